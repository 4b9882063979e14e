//! The index: answers are the same with and without, and a damaged one does no harm.

use compiler::debuginfo::index::Index;
use compiler::debuginfo::{Debuginfo, Lines, Moment, Place};
use gimli::constants as dw;
use gimli::write::AttributeValue;

use crate::hostile::{Numbers, rich};
use crate::synthetic::{Code, DATA, Elf, expression, text};
use crate::{forms, function};

/// The file of the index of a file, made in parts: the first unit of each, and the one after its last.
fn index(bytes: &[u8], parts: &[(usize, usize)]) -> Option<Vec<u8>> {
    let debuginfo = Debuginfo::open(bytes).ok()?;
    let part = |&(first, end)| debuginfo.index_part(first..end);
    let parts = parts.iter().map(part).collect::<Result<Vec<_>, _>>().ok()?;
    debuginfo.index_file(parts).ok()
}

/// The same in one part.
fn whole_index(bytes: &[u8]) -> Option<Vec<u8>> {
    let count = Debuginfo::open(bytes).ok()?.unit_count().ok()?;
    index(bytes, &[(0, count)])
}

/// All that a search of the whole file can be asked for, in words.
fn answers(debuginfo: &Debuginfo<'_>) -> Vec<String> {
    let mut answers = Vec::new();
    for name in ["outer", "struct outer", "long", "enum color", "nothing", "union outer", "both", "char *"] {
        answers.push(format!("{name}: {:?}", debuginfo.type_named(name)));
    }
    for name in ["counter", "RED", "elsewhere", "declared", "nothing"] {
        answers.push(format!("{name}: {:?}", debuginfo.enumerator(name)));
        for file in [None, Some("a.c"), Some("b.c"), Some("*.c"), Some("nothing.c")] {
            answers.push(format!("{name} in {file:?}: {:?}", debuginfo.global(name, file)));
        }
    }
    for pattern in ["f", "g", "g.isra.0", "*", "helper", "h*", "nothing"] {
        let inlined = debuginfo.inlined(pattern);
        answers.push(format!("{pattern}: {inlined:?}"));
        answers.extend(inlined.unwrap_or_default().found.iter().map(|place| variables(debuginfo, place)));
        let functions = debuginfo.functions(pattern);
        answers.push(format!("{pattern}: {functions:?}"));
        for file in ["a.c", "*.h", "nothing.c"] {
            answers.push(format!("{pattern}@{file}: {:?}", debuginfo.functions_in(pattern, file)));
        }
        for function in functions.unwrap_or_default().found {
            answers.push(format!("{:?}", debuginfo.statements(&function, &Lines::All)));
            answers.push(format!("{:?}", debuginfo.labels(&function, "*")));
            answers.push(format!("{:?}", debuginfo.place_at(function.address + 0x11)));
            for moment in [Moment::Entry, Moment::Return] {
                let place = debuginfo.place(&function, moment);
                answers.push(format!("{}: {place:?}", function.symbol));
                answers.extend(place.iter().map(|place| variables(debuginfo, place)));
            }
        }
    }
    answers
}

fn variables(debuginfo: &Debuginfo<'_>, place: &Place) -> String {
    let variables = debuginfo.variables(place);
    let names = variables.iter().flatten().map(|variable| variable.name.clone());
    let found: Vec<_> = names.map(|name| debuginfo.variable(place, &name)).collect();
    format!("{}: {variables:?} {found:?}", place.pc)
}

/// Asks a file both ways; whether it could be indexed.
fn agrees(bytes: &[u8]) -> bool {
    let Ok(plain) = Debuginfo::open(bytes) else { return false };
    let plain = answers(&plain);
    let Some(index) = whole_index(bytes) else { return false };
    let index = Index::open(&index).expect("what was written is read");
    assert!(index.is_intact());
    let indexed = answers(&Debuginfo::open_indexed(bytes, Some(index)).expect("an ELF file"));
    assert_eq!(plain.len(), indexed.len());
    for (plain, indexed) in plain.into_iter().zip(indexed) {
        assert_eq!(plain, indexed);
    }
    true
}

/// Two units that have something in common and something each.
fn two_units(version: u16) -> Elf {
    let mut code = Code::new(version);
    let long = code.long();
    let root = code.root();
    // A struct and a typedef of the same name in one unit.
    code.structure(dw::DW_TAG_structure_type, "both", 8);
    code.variable(root, dw::DW_TAG_typedef, "both", long);
    let declared = code.variable(root, dw::DW_TAG_variable, "elsewhere", long);
    code.set(declared, dw::DW_AT_declaration, AttributeValue::Flag(true));
    let helper = code.named(root, dw::DW_TAG_subprogram, "helper");
    code.set(helper, dw::DW_AT_inline, AttributeValue::Inline(dw::DW_INL_inlined));
    let formal = code.variable(helper, dw::DW_TAG_formal_parameter, "x", long);
    let function = code.function("f", 0x100, 0x40);
    let block = code.add(function, dw::DW_TAG_lexical_block);
    code.place(block, 0x108, 0x20);
    let call = code.add(block, dw::DW_TAG_inlined_subroutine);
    code.place(call, 0x110, 8);
    code.set(call, dw::DW_AT_abstract_origin, AttributeValue::UnitRef(helper));
    let actual = code.add(call, dw::DW_TAG_formal_parameter);
    code.set(actual, dw::DW_AT_abstract_origin, AttributeValue::UnitRef(formal));
    code.set(actual, dw::DW_AT_location, expression(&[dw::DW_OP_fbreg.0, 8]));

    let first = (code.unit, helper);
    let root = code.next_unit();
    code.set(root, dw::DW_AT_name, text("dir/b.c"));
    code.place(root, 0x180, 0x40);
    let long = code.base_type("long int", 8, dw::DW_ATE_signed);
    code.structure(dw::DW_TAG_union_type, "both", 8);
    for (name, offset) in [("elsewhere", 8), ("counter", 16)] {
        let variable = code.variable(root, dw::DW_TAG_variable, name, long);
        let [a, b, c, d, ..] = (DATA + offset).to_le_bytes();
        let place = expression(&[dw::DW_OP_addr.0, a, b, c, d, 0xff, 0xff, 0xff, 0xff]);
        code.set(variable, dw::DW_AT_location, place);
    }
    let variable = code.variable(root, dw::DW_TAG_variable, "declared", long);
    code.set(variable, dw::DW_AT_declaration, AttributeValue::Flag(true));
    code.set(variable, dw::DW_AT_external, AttributeValue::Flag(true));
    // Inlined from another unit, as link-time optimisation does.
    let function = code.function("g", 0x180, 0x40);
    let call = code.add(function, dw::DW_TAG_inlined_subroutine);
    code.place(call, 0x180, 8);
    let origin = gimli::write::DebugInfoRef::Entry(first.0, first.1);
    code.set(call, dw::DW_AT_abstract_origin, AttributeValue::DebugInfoRef(origin));

    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).static_function("g.isra.0", 0x180, 0x40);
    elf.symbol("declared", ".data", DATA + 24, 8, object::elf::STT_OBJECT, object::elf::STB_GLOBAL);
    elf.dwarf(code);
    elf
}

#[test]
fn answers_are_the_same_with_and_without() {
    for elf in [two_units(4), two_units(5), rich(4, true), rich(5, true), rich(5, false), forms::elf()] {
        assert!(agrees(&elf.bytes()), "no index was made");
    }
}

#[test]
fn whatever_can_be_indexed_is_answered_the_same() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for elf in [two_units(5), rich(4, true), forms::elf()] {
        let bytes = elf.bytes();
        for _ in 0..200 {
            let mut altered = bytes.clone();
            // Headers, symbols and DWARF, but no code.
            let offset = match numbers.next(8) {
                0 => numbers.next(0x400),
                _ => 0x1_1000 + numbers.next(bytes.len() - 0x1_1000),
            };
            altered[offset] = [0, 1, 0x7f, 0x80, 0xff, numbers.next(256) as u8][numbers.next(6)];
            agrees(&altered);
        }
    }
}

#[test]
fn a_file_may_be_divided_in_any_way() {
    let bytes = two_units(5).bytes();
    let whole = index(&bytes, &[(0, 2)]).expect("an index");
    assert_eq!(index(&bytes, &[(1, 2), (0, 1)]).as_ref(), Some(&whole));
    for incomplete in [&[(0, 1)][..], &[(1, 2)], &[(0, 1), (0, 1)], &[]] {
        assert_eq!(index(&bytes, incomplete), None, "{incomplete:?}");
    }
}

#[test]
fn searches_find_what_other_units_define() {
    let bytes = two_units(5).bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let place = |name, file| match debuginfo.global(name, file) {
        Ok(variable) => variable.location.to_string(),
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(place("elsewhere", None), format!("memory at @{:#x}", DATA + 8));
    assert_eq!(place("elsewhere", Some("b.c")), format!("memory at @{:#x}", DATA + 8));
    assert_eq!(place("elsewhere", Some("dir/*.c")), format!("memory at @{:#x}", DATA + 8));
    assert_eq!(place("elsewhere", Some("a.c")), "error: no global variable \"elsewhere\" in a.c");
    // Nobody defines it, but it has a symbol.
    assert_eq!(place("declared", None), format!("memory at @{:#x}", DATA + 24));
    assert_eq!(place("nothing", None), "error: no global variable \"nothing\"");
    let both = debuginfo.type_named("both").expect("types").expect("a type");
    assert_eq!(debuginfo.type_name(both).expect("a name"), "both", "a typedef comes before a struct");
}

#[test]
fn an_inlined_call_is_a_place_with_the_variables_of_what_was_inlined() {
    let bytes = two_units(5).bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let calls = debuginfo.inlined("helper").expect("calls");
    let places: Vec<_> =
        calls.found.iter().map(|place| (place.name(), place.function.symbol.as_str(), place.pc & 0xfff)).collect();
    assert_eq!(places, [("helper", "f", 0x110), ("helper", "g.isra.0", 0x180)]);
    // `x` lies in the frame of `f`, which no call frame information describes.
    let error = debuginfo.variable(&calls.found[0], "x").expect_err("no frame").to_string();
    assert!(error.contains("call frame information"), "{error}");
    // In `g`, nothing says where it is.
    let error = debuginfo.variable(&calls.found[1], "x").expect_err("no value").to_string();
    assert_eq!(error, "variable \"x\" of helper has no value at the probed place: the compiler optimised it out");
    assert_eq!(debuginfo.inlined("f").expect("calls").found, []);
}

#[test]
fn an_index_of_another_file_is_not_used() {
    let mut other = two_units(5);
    let index = whole_index(&other.bytes()).expect("an index");
    other.function("h", 0x200, 0x10);
    let bytes = other.bytes();
    let debuginfo = Debuginfo::open_indexed(&bytes, Index::open(&index).ok()).expect("an ELF file");
    assert_eq!(function(&debuginfo, "h").symbol, "h");
}

#[test]
fn a_damaged_index_is_noticed_and_does_no_harm() {
    let bytes = two_units(5).bytes();
    let index = whole_index(&bytes).expect("an index");
    for position in 0..index.len() {
        let mut damaged = index.clone();
        damaged[position] ^= [1, 0x80, 0xff][position % 3];
        if let Ok(index) = Index::open(&damaged) {
            assert!(!index.is_intact(), "byte {position}");
            if position % 7 == 0 {
                let debuginfo = Debuginfo::open_indexed(&bytes, Some(index)).expect("an ELF file");
                answers(&debuginfo);
            }
        }
    }
    for length in 0..index.len() {
        assert!(!Index::open(&index[..length]).is_ok_and(|index| index.is_intact()), "{length} bytes");
    }
}
