//! Where values are when functions return.

use compiler::debuginfo::Debuginfo;
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};

use crate::entry;
use crate::synthetic::{Code, Elf};

/// Where `f` returns a value of the type that is made.
fn returned(make: impl FnOnce(&mut Code) -> Option<UnitEntryId>) -> String {
    let mut code = Code::new(5);
    let kind = make(&mut code);
    let function = code.function("f", 0x100, 0x40);
    if let Some(kind) = kind {
        code.set(function, dw::DW_AT_type, AttributeValue::UnitRef(kind));
    }
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    match debuginfo.return_value(&entry(&debuginfo, "f")) {
        Ok(variable) => variable.location.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

/// A struct of members that lie one after the other, 8 bytes apart.
fn structure(code: &mut Code, size: u64, members: &[UnitEntryId]) -> UnitEntryId {
    let structure = code.structure(dw::DW_TAG_structure_type, "s", size);
    for (index, &member) in members.iter().enumerate() {
        code.member(structure, &format!("m{index}"), member, 8 * index as u64);
    }
    structure
}

const FLOAT: &str = "error: f returns its value in a floating point register, which probes cannot read";

#[test]
fn numbers_and_pointers_are_in_rax() {
    assert_eq!(returned(|code| Some(code.long())), "value %rax");
    assert_eq!(returned(|code| Some(code.base_type("_Bool", 1, dw::DW_ATE_boolean))), "value %rax");
    assert_eq!(
        returned(|code| {
            let long = code.long();
            Some(code.derived(dw::DW_TAG_pointer_type, long))
        }),
        "value %rax"
    );
    assert_eq!(
        returned(|code| Some(code.base_type("__int128", 16, dw::DW_ATE_signed))),
        "8 bytes: value %rax, 8 bytes: value %rdx"
    );
}

#[test]
fn functions_may_return_nothing() {
    assert_eq!(returned(|_| None), "error: f returns nothing");
    let unspecified = returned(|code| {
        let root = code.root();
        Some(code.named(root, dw::DW_TAG_unspecified_type, "void"))
    });
    assert_eq!(unspecified, "error: f returns nothing");
}

#[test]
fn small_structs_are_in_registers_and_large_ones_in_memory() {
    let small = returned(|code| {
        let long = code.long();
        Some(structure(code, 8, &[long]))
    });
    assert_eq!(small, "value %rax");
    let two = returned(|code| {
        let long = code.long();
        Some(structure(code, 16, &[long, long]))
    });
    assert_eq!(two, "8 bytes: value %rax, 8 bytes: value %rdx");
    let three = returned(|code| {
        let long = code.long();
        Some(structure(code, 24, &[long, long, long]))
    });
    assert_eq!(three, "memory at %rax");
    let packed = returned(|code| {
        let long = code.long();
        let packed = code.structure(dw::DW_TAG_structure_type, "s", 9);
        code.member(packed, "m", long, 1);
        Some(packed)
    });
    assert_eq!(packed, "memory at %rax");
}

#[test]
fn floating_point_numbers_cannot_be_read() {
    assert_eq!(returned(|code| Some(code.base_type("double", 8, dw::DW_ATE_float))), FLOAT);
    let mixed = returned(|code| {
        let (long, double) = (code.long(), code.base_type("double", 8, dw::DW_ATE_float));
        let inner = structure(code, 8, &[double]);
        Some(structure(code, 16, &[long, inner]))
    });
    assert_eq!(mixed, FLOAT);
}
