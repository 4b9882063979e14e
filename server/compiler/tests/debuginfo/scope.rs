//! Which names a place has in scope.

use compiler::debuginfo::{Availability, Debuginfo, Role, VariableError};
use gimli::constants as dw;
use gimli::write::AttributeValue;
use object::elf;

use crate::synthetic::{Code, DATA, Elf, address, expression, text};
use crate::{entry, location, variable};

const RDI: &[u8] = &[dw::DW_OP_reg5.0];
const RSI: &[u8] = &[dw::DW_OP_reg4.0];
const RDX: &[u8] = &[dw::DW_OP_reg1.0];

/// The names at the entry of `f` and what can be had of them: `p`, or `p-` where it was optimised out.
fn names(elf: &Elf) -> Vec<String> {
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let variables = debuginfo.variables(&entry(&debuginfo, "f")).expect("variables");
    let shown = |availability| if availability == Availability::Here { "" } else { "-" };
    variables.into_iter().map(|variable| format!("{}{}", variable.name, shown(variable.availability))).collect()
}

fn kernel_with(code: Code) -> Elf {
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    elf
}

#[test]
fn inner_blocks_hide_names_of_outer_ones() {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", long, RDI);
    let block = code.add(function, dw::DW_TAG_lexical_block);
    code.place(block, 0x100, 0x20);
    let inner = code.add(block, dw::DW_TAG_lexical_block);
    code.place(inner, 0x100, 0x10);
    for (parent, name, place) in [(block, "a", RDI), (block, "b", RDX), (inner, "a", RSI), (function, "c", RDX)] {
        let local = code.variable(parent, dw::DW_TAG_variable, name, long);
        code.set(local, dw::DW_AT_location, expression(place));
    }
    let elf = kernel_with(code);
    assert_eq!(names(&elf), ["a", "b", "p", "c"]);
    assert_eq!(location(&elf, "a"), "value %rsi");
    assert_eq!(location(&elf, "b"), "value %rdx");
}

#[test]
fn blocks_elsewhere_are_told_from_names_that_do_not_exist() {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "count", long, RDI);
    let block = code.add(function, dw::DW_TAG_lexical_block);
    code.place(block, 0x120, 0x20);
    let local = code.variable(block, dw::DW_TAG_variable, "late", long);
    code.set(local, dw::DW_AT_location, expression(RSI));
    let elf = kernel_with(code);
    let error = variable(&elf, "late").expect_err("out of scope");
    assert!(matches!(&error, VariableError::NotInScope { known, .. } if known.len() == 1), "{error:?}");
    let error = variable(&elf, "cuont").expect_err("no such name");
    let VariableError::Unknown { known, .. } = &error else { panic!("{error:?}") };
    assert_eq!(known[0].name, "count");
    assert_eq!((known[0].role, &known[0].availability), (Role::Parameter, &Availability::Here));
    assert_eq!(error.to_string(), "no variable \"cuont\" in f");
}

#[test]
fn what_was_inlined_at_the_place_is_not_in_scope() {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", long, RDI);
    let inlined = code.add(function, dw::DW_TAG_inlined_subroutine);
    code.place(inlined, 0x100, 0x20);
    code.parameter(inlined, "q", long, RSI);
    assert_eq!(names(&kernel_with(code)), ["p"]);
}

/// A function whose code refers to an abstract instance: what a clone or an inlined function looks like.
fn clone_of_abstract(symbol: &str, mut concrete: impl FnMut(&mut Code, [gimli::write::UnitEntryId; 3])) -> Elf {
    let mut code = Code::new(5);
    let (long, root) = (code.long(), code.root());
    let origin = code.named(root, dw::DW_TAG_subprogram, "f");
    let first = code.variable(origin, dw::DW_TAG_formal_parameter, "first", long);
    let second = code.variable(origin, dw::DW_TAG_formal_parameter, "second", long);
    let function = code.add(root, dw::DW_TAG_subprogram);
    code.set(function, dw::DW_AT_abstract_origin, AttributeValue::UnitRef(origin));
    code.place(function, 0x100, 0x40);
    concrete(&mut code, [function, first, second]);
    let mut elf = Elf::kernel();
    elf.static_function(symbol, 0x100, 0x40).dwarf(code);
    elf
}

#[test]
fn clones_have_the_names_of_their_origin_and_know_what_was_dropped() {
    for symbol in ["f", "f.isra.0", "f.constprop.0"] {
        let elf = clone_of_abstract(symbol, |code, [function, first, _]| {
            let parameter = code.add(function, dw::DW_TAG_formal_parameter);
            code.set(parameter, dw::DW_AT_abstract_origin, AttributeValue::UnitRef(first));
            code.set(parameter, dw::DW_AT_location, expression(RDI));
        });
        assert_eq!(names(&elf), ["first", "second-"]);
        assert_eq!(location(&elf, "first"), "value %rdi");
        let error = "error: variable \"second\" of f has no value at the probed place: the compiler optimised it out";
        assert_eq!(location(&elf, "second"), error);
    }
}

#[test]
fn globals_and_enumerators_are_found_after_locals() {
    let mut code = Code::new(4);
    let (long, root) = (code.long(), code.root());
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "both", long, RDI);
    let at = [&[dw::DW_OP_addr.0][..], &DATA.to_le_bytes()].concat();
    for name in ["counter", "both"] {
        let global = code.variable(root, dw::DW_TAG_variable, name, long);
        code.set(global, dw::DW_AT_location, expression(&at));
    }
    let elsewhere = code.variable(root, dw::DW_TAG_variable, "elsewhere", long);
    code.set(elsewhere, dw::DW_AT_external, AttributeValue::Flag(true));
    code.set(elsewhere, dw::DW_AT_declaration, AttributeValue::Flag(true));
    let color = code.named(root, dw::DW_TAG_enumeration_type, "color");
    code.set(color, dw::DW_AT_byte_size, AttributeValue::Udata(4));
    for (name, value) in [("RED", 0), ("GREEN", -3)] {
        let enumerator = code.named(color, dw::DW_TAG_enumerator, name);
        code.set(enumerator, dw::DW_AT_const_value, AttributeValue::Sdata(value));
    }
    let mut elf = kernel_with(code);
    elf.symbol("elsewhere", ".data", DATA + 8, 8, elf::STT_OBJECT, elf::STB_GLOBAL);
    assert_eq!(location(&elf, "counter"), format!("memory at @{DATA:#x}"));
    assert_eq!(location(&elf, "both"), "value %rdi");
    assert_eq!(location(&elf, "elsewhere"), format!("memory at @{:#x}", DATA + 8));
    assert_eq!(location(&elf, "GREEN"), "value -3");
    assert_eq!(names(&elf), ["both"]);
}

#[test]
fn static_functions_of_one_name_have_each_their_own_variables() {
    let mut code = Code::new(5);
    for (offset, name) in [(0x100, "one"), (0x200, "two")] {
        if offset == 0x200 {
            let root = code.next_unit();
            code.set(root, dw::DW_AT_low_pc, address(0x200)).set(root, dw::DW_AT_high_pc, AttributeValue::Udata(0x100));
        } else {
            let root = code.root();
            code.set(root, dw::DW_AT_high_pc, AttributeValue::Udata(0x200));
        }
        let long = code.long();
        let function = code.function("f", offset, 0x40);
        code.parameter(function, name, long, RDI);
    }
    let mut elf = Elf::kernel();
    elf.static_function("f", 0x100, 0x40).static_function("f", 0x200, 0x40).dwarf(code);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let functions = debuginfo.functions("f").expect("symbols").found;
    let mut seen = Vec::new();
    for function in &functions {
        let place = debuginfo.place(function, compiler::debuginfo::Moment::Entry).expect("a place");
        seen.extend(debuginfo.variables(&place).expect("variables").into_iter().map(|variable| variable.name));
    }
    assert_eq!(seen, ["one", "two"]);
}

#[test]
fn functions_without_debuginfo_have_no_variables() {
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(Code::new(5));
    assert_eq!(names(&elf), [""; 0]);
    let error = variable(&elf, "p").expect_err("no DWARF");
    assert_eq!(error, VariableError::NotDescribed { function: "f".to_owned() });
}

#[test]
fn specifications_complete_declarations() {
    let mut code = Code::new(5);
    let (long, root) = (code.long(), code.root());
    let space = code.named(root, dw::DW_TAG_namespace, "space");
    let declaration = code.named(space, dw::DW_TAG_subprogram, "f");
    code.set(declaration, dw::DW_AT_declaration, AttributeValue::Flag(true));
    code.set(declaration, dw::DW_AT_type, AttributeValue::UnitRef(long));
    let function = code.add(space, dw::DW_TAG_subprogram);
    code.set(function, dw::DW_AT_specification, AttributeValue::UnitRef(declaration));
    code.place(function, 0x100, 0x40);
    let parameter = code.parameter(function, "p", long, RDI);
    code.set(parameter, dw::DW_AT_name, text("renamed"));
    let elf = kernel_with(code);
    assert_eq!(names(&elf), ["renamed"]);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let returned = debuginfo.return_value(&entry(&debuginfo, "f")).expect("a value");
    assert_eq!(debuginfo.type_name(returned.type_id).expect("a name"), "long int");
}
