//! Damaged and hostile files: any answer will do, as long as there is one.

use compiler::debuginfo::{Debuginfo, Expr, Moment, Type, TypeId, Variable};
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};

use crate::synthetic::{Code, Elf, TEXT, address, expression};
use crate::{forms, location};

/// Files made by altering one. A hundred times as many were tried by hand.
const ALTERATIONS: usize = 300;

/// Asks everything that can be asked.
fn exercise(bytes: &[u8]) {
    let Ok(debuginfo) = Debuginfo::open(bytes) else { return };
    let _ = debuginfo.line(TEXT + 0x105);
    for name in ["outer", "struct nothing", "long"] {
        let _ = debuginfo.type_named(name);
    }
    let Ok(functions) = debuginfo.functions("*") else { return };
    for function in &functions.found {
        for moment in [Moment::Entry, Moment::Return] {
            let Ok(place) = debuginfo.place(function, moment) else { continue };
            let names = debuginfo.variables(&place).unwrap_or_default();
            for name in names.iter().map(|variable| variable.name.as_str()).chain(["counter", "RED", "nothing"]) {
                if let Ok(variable) = debuginfo.variable(&place, name) {
                    exercise_variable(&debuginfo, &variable, 3);
                }
            }
            if let Ok(variable) = debuginfo.return_value(&place) {
                exercise_variable(&debuginfo, &variable, 1);
            }
        }
    }
}

fn exercise_variable(debuginfo: &Debuginfo<'_>, variable: &Variable, depth: usize) {
    exercise_type(debuginfo, variable.type_id);
    let _ = debuginfo.address_of(variable);
    let steps = [debuginfo.deref(variable), debuginfo.index(variable, Expr::Given(0))];
    let members = ["a", "in", "nothing"].map(|name| debuginfo.member(variable, name));
    if depth > 0 {
        for next in steps.into_iter().chain(members).flatten() {
            exercise_variable(debuginfo, &next, depth - 1);
        }
    }
}

fn exercise_type(debuginfo: &Debuginfo<'_>, id: TypeId) {
    let _ = debuginfo.type_name(id);
    let _ = debuginfo.type_size(id);
    let _ = debuginfo.members(id);
    let _ = debuginfo.enumerators(id);
    if let Ok((_, Type::Function { returns, .. })) = debuginfo.resolved_type(id) {
        let _ = debuginfo.type_name(returns);
    }
}

/// A file with something of everything.
pub(crate) fn rich(version: u16, kernel: bool) -> Elf {
    let mut code = Code::new(version);
    code.rows(&[0x100, 0x104, 0x110, 0x180]);
    let (long, root) = (code.long(), code.root());
    let outer = code.structure(dw::DW_TAG_structure_type, "outer", 32);
    let pointer = code.derived(dw::DW_TAG_pointer_type, outer);
    let array = code.derived(dw::DW_TAG_array_type, long);
    let range = code.add(array, dw::DW_TAG_subrange_type);
    code.set(range, dw::DW_AT_upper_bound, AttributeValue::Data1(3));
    let union = code.structure(dw::DW_TAG_union_type, "", 8);
    let bits = code.member(union, "in", long, 0);
    code.set(bits, dw::DW_AT_bit_size, AttributeValue::Udata(3));
    code.member(outer, "a", pointer, 0);
    code.member(outer, "", union, 8);
    code.member(outer, "b", array, 16);
    let color = code.named(root, dw::DW_TAG_enumeration_type, "color");
    code.set(color, dw::DW_AT_byte_size, AttributeValue::Udata(4));
    let red = code.named(color, dw::DW_TAG_enumerator, "RED");
    code.set(red, dw::DW_AT_const_value, AttributeValue::Sdata(-1));
    let counter = code.variable(root, dw::DW_TAG_variable, "counter", long);
    code.set(counter, dw::DW_AT_location, expression(&[dw::DW_OP_addr.0, 0, 0, 0, 0x82, 0xff, 0xff, 0xff, 0xff]));
    for (name, offset) in [("f", 0x100), ("g", 0x180)] {
        let function = code.function(name, offset, 0x40);
        code.set(function, dw::DW_AT_type, AttributeValue::UnitRef(outer));
        code.parameter(function, "p", pointer, &[dw::DW_OP_reg5.0]);
        code.parameter(function, "q", outer, &[dw::DW_OP_fbreg.0, 0x60]);
        code.parameter(function, "r", array, &[dw::DW_OP_breg5.0, 8, dw::DW_OP_deref.0, dw::DW_OP_plus_uconst.0, 3]);
        let block = code.add(function, dw::DW_TAG_lexical_block);
        code.place(block, offset, 0x20);
        code.parameter(block, "s", long, &[dw::DW_OP_reg5.0, dw::DW_OP_piece.0, 4, dw::DW_OP_piece.0, 4]);
    }
    let mut elf = if kernel { Elf::kernel() } else { Elf::program() };
    elf.function("f", 0x100, 0x40).static_function("g.isra.0", 0x180, 0x40).dwarf(code);
    elf
}

/// Numbers that look random and are the same each time (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

#[test]
fn altered_bytes_do_no_harm() {
    let text = 0x1000..0x1_1000;
    for (seed, file) in [rich(4, true), rich(5, true), rich(5, false), forms::elf()].iter().enumerate() {
        let bytes = file.bytes();
        exercise(&bytes);
        let interesting: Vec<usize> = (0..bytes.len()).filter(|offset| !text.contains(offset)).collect();
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed as u64);
        for _ in 0..ALTERATIONS {
            let mut altered = bytes.clone();
            for _ in 0..=numbers.next(3) {
                let offset = interesting[numbers.next(interesting.len())];
                altered[offset] = [0, 1, 0x7f, 0x80, 0xff, numbers.next(256) as u8][numbers.next(6)];
            }
            exercise(&altered);
        }
    }
}

#[test]
fn cut_off_files_do_no_harm() {
    let bytes = rich(5, true).bytes();
    for length in (0..bytes.len()).step_by(97) {
        exercise(&bytes[..length]);
    }
}

#[test]
fn cut_off_sections_do_no_harm() {
    let mut code = Code::new(5);
    code.rows(&[0x100]);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", long, &[dw::DW_OP_fbreg.0, 0x60]);
    for (name, data) in code.sections() {
        for length in 0..data.len() {
            let mut elf = rich(5, true);
            elf.raw(name, data[..length].to_vec());
            exercise(&elf.bytes());
        }
    }
}

/// A kernel with `f(p)` that was changed before it was written.
fn changed(change: impl FnOnce(&mut Code, [UnitEntryId; 2])) -> Elf {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    let parameter = code.parameter(function, "p", long, &[dw::DW_OP_reg5.0]);
    change(&mut code, [function, parameter]);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    elf
}

#[test]
fn entries_that_complete_one_another_in_a_circle_are_damaged() {
    for reference in [dw::DW_AT_abstract_origin, dw::DW_AT_specification] {
        let elf = changed(|code, [_, parameter]| {
            code.unit().get_mut(parameter).delete(dw::DW_AT_location);
            code.set(parameter, reference, AttributeValue::UnitRef(parameter));
        });
        assert_eq!(location(&elf, "p"), "error: damaged debuginfo: entries complete one another in a circle");
    }
}

#[test]
fn code_beyond_the_last_address_is_damaged() {
    let elf = changed(|code, [function, _]| {
        let block = code.add(function, dw::DW_TAG_lexical_block);
        code.set(block, dw::DW_AT_low_pc, address(0));
        code.set(block, dw::DW_AT_high_pc, AttributeValue::Udata(u64::MAX));
    });
    assert_eq!(location(&elf, "p"), "error: damaged debuginfo: code ends beyond the last address");
}

#[test]
fn blocks_in_blocks_meet_a_limit() {
    let elf = changed(|code, [function, _]| {
        let mut block = function;
        for _ in 0..1000 {
            block = code.add(block, dw::DW_TAG_lexical_block);
            code.place(block, 0x100, 0x40);
        }
    });
    assert_eq!(location(&elf, "p"), "error: depth of nested blocks is 129, the limit is 128");
}

#[test]
fn an_entry_with_countless_attributes_meets_a_limit() {
    let elf = changed(|code, [_, parameter]| {
        for attribute in 0x3000..0x3200 {
            code.set(parameter, gimli::DwAt(attribute), AttributeValue::FlagPresent);
        }
    });
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let error = debuginfo.place(&crate::function(&debuginfo, "f"), Moment::Entry).expect_err("a limit").to_string();
    assert_eq!(error, "attributes of an entry is 515, the limit is 256");
}

#[test]
fn a_table_of_nothing_but_zeros_is_no_recursion() {
    let mut elf = rich(5, true);
    let length = 16 << 20;
    let header = [&(length as u32 + 8).to_le_bytes()[..], &[2, 0, 0, 0, 0, 0, 8, 0]].concat();
    elf.raw(".debug_aranges", [header, vec![0; length]].concat());
    // The list names the unit, but none of its code.
    assert!(location(&elf, "p").starts_with("error: no debuginfo describes f"), "{}", location(&elf, "p"));
}

/// The unit of a file without functions, made to be of another kind, whose header has `extra` bytes more.
fn strange_unit(kind: dw::DwUt, extra: usize) -> Vec<u8> {
    let old = &Code::new(5).sections()[".debug_info"];
    let length = (old.len() - 4 + extra) as u32;
    [&length.to_le_bytes()[..], &old[4..6], &[kind.0], &old[7..12], &vec![0; extra], &old[12..]].concat()
}

const STRANGE: [(dw::DwUt, usize, &str); 3] = [
    (dw::DW_UT_skeleton, 8, "split into .dwo files"),
    (dw::DW_UT_split_compile, 8, "split into .dwo files"),
    (dw::DW_UT_type, 12, "-fdebug-types-section"),
];

#[test]
fn split_and_type_units_are_refused_with_a_reason() {
    for (kind, extra, reason) in STRANGE {
        let mut elf = Elf::kernel();
        elf.function("f", 0x100, 0x40).dwarf(Code::new(5)).raw(".debug_info", strange_unit(kind, extra));
        let bytes = elf.bytes();
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        let function = crate::function(&debuginfo, "f");
        let error = debuginfo.place(&function, Moment::Entry).expect_err("a strange unit").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn strange_units_do_not_hide_others() {
    for (kind, extra, _) in STRANGE {
        let mut code = Code::new(5);
        let long = code.long();
        let function = code.function("f", 0x100, 0x40);
        code.parameter(function, "p", long, &[dw::DW_OP_reg5.0]);
        let sections = code.sections();
        let mut elf = Elf::kernel();
        elf.function("f", 0x100, 0x40);
        // The abbreviations of the strange unit follow the others.
        let mut strange = strange_unit(kind, extra);
        let abbreviations = &sections[".debug_abbrev"];
        strange[8..12].copy_from_slice(&(abbreviations.len() as u32).to_le_bytes());
        let more = &Code::new(5).sections()[".debug_abbrev"];
        for (name, data) in &sections {
            elf.raw(name, data.clone());
        }
        elf.raw(".debug_abbrev", [&abbreviations[..], more].concat());
        elf.raw(".debug_info", [&strange[..], &sections[".debug_info"]].concat());
        assert_eq!(location(&elf, "p"), "value %rdi");
        let bytes = elf.bytes();
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        assert!(debuginfo.type_named("long").expect("types").is_some());
    }
}

#[test]
fn counts_of_a_line_table_are_not_believed() {
    let mut code = Code::new(5);
    code.rows(&[0x100]);
    let sections = code.sections();
    let mut line = sections[".debug_line"].clone();
    // The count of directories follows the formats: one directory, as a number of one byte.
    let formats = [1, dw::DW_LNCT_path.0 as u8, dw::DW_FORM_line_strp.0 as u8, 1];
    let count = line.windows(4).position(|window| window == formats).expect("formats") + 3;
    line.splice(count..=count, [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let mut elf = rich(5, true);
    elf.raw(".debug_line", line);
    exercise(&elf.bytes());
}

#[test]
fn symbols_with_names_outside_of_their_table_are_damaged() {
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40);
    let bytes = elf.bytes();
    let strings = bytes.windows(10).rposition(|window| window == b"\0_stext\0f\0").expect("a string table");
    let mut altered = bytes.clone();
    altered[strings + 7..strings + 10].copy_from_slice(b"xxx");
    let debuginfo = Debuginfo::open(&altered).expect("an ELF file");
    let error = debuginfo.functions("f").expect_err("a damaged symbol table").to_string();
    assert_eq!(error, "damaged debuginfo: a symbol's name has no end");
}
