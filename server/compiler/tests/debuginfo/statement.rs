//! Statements by line, functions by file, labels, addresses.

use compiler::debuginfo::{Debuginfo, Lines};
use gimli::constants as dw;

use crate::function;
use crate::line::with_rows;
use crate::synthetic::{Elf, TEXT, address};

/// A kernel whose `f` is declared at `sub/h.h:42` and has statements of that file and of `a.c`, and a label.
fn file() -> Vec<u8> {
    let rows = [
        (0x100, 1, 42, false),
        (0x104, 1, 44, false),
        (0x108, 0, 44, false),
        (0x10c, 1, 44, false),
        (0x110, 1, 43, false),
        (0x120, 1, 50, false),
        (0x140, 1, 45, false),
    ];
    let (mut code, function) = with_rows(5, &rows);
    let block = code.add(function, dw::DW_TAG_lexical_block);
    code.place(block, 0x110, 0x10);
    for (name, offset) in [("again", Some(0x114)), ("out", Some(0x118)), ("dropped", None)] {
        let label = code.named(block, dw::DW_TAG_label, name);
        if let Some(offset) = offset {
            code.set(label, dw::DW_AT_low_pc, address(offset));
        }
    }
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).function("assembly", 0x200, 0x10).dwarf(code);
    elf.bytes()
}

#[test]
fn statements_are_found_by_their_lines() {
    let bytes = file();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let statements = |lines| {
        let found = debuginfo.statements(&function(&debuginfo, "f"), &lines).expect("a line table");
        found.into_iter().map(|statement| (statement.line, statement.place.pc - TEXT)).collect::<Vec<_>>()
    };
    // Of one line the lowest address; no line of another file, nor of another function.
    assert_eq!(statements(Lines::All), [(42, 0x100), (44, 0x104), (43, 0x110), (50, 0x120)]);
    assert_eq!(statements(Lines::Absolute(44..=44)), [(44, 0x104)]);
    assert_eq!(statements(Lines::Absolute(43..=44)), [(44, 0x104), (43, 0x110)]);
    assert_eq!(statements(Lines::Relative(1..=1)), [(43, 0x110)]);
    assert_eq!(statements(Lines::Absolute(45..=45)), []);
    assert_eq!(debuginfo.statements(&function(&debuginfo, "assembly"), &Lines::All), Ok(Vec::new()));
}

#[test]
fn functions_are_found_by_the_file_that_declares_them() {
    let bytes = file();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    for (name, found) in
        [("h.h", 1), ("sub/h.h", 1), ("*.h", 1), ("a.c", 0), ("b.h", 0), ("/sub/h.h", 0), ("ub/h.h", 0)]
    {
        let functions = debuginfo.functions_in("*", name).expect("functions");
        assert_eq!(functions.found.len(), found, "{name}: {functions:?}");
    }
}

#[test]
fn labels_are_places() {
    let bytes = file();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let labels = |pattern| {
        let found = debuginfo.labels(&function(&debuginfo, "f"), pattern).expect("labels");
        found.into_iter().map(|label| (label.name, label.place.pc - TEXT)).collect::<Vec<_>>()
    };
    assert_eq!(labels("*"), [("again".to_owned(), 0x114), ("out".to_owned(), 0x118)]);
    assert_eq!(labels("out"), [("out".to_owned(), 0x118)]);
    assert_eq!(labels("dropped"), []);
}

#[test]
fn an_address_is_a_place_of_its_function() {
    let bytes = file();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let place = |offset| {
        let found = debuginfo.place_at(TEXT + offset).expect("symbols");
        found.map(|found| (found.place.function.name.clone(), found.place.declaration.is_some(), found.place.pc - TEXT))
    };
    assert_eq!(place(0x100), Some(("f".to_owned(), true, 0x100)));
    assert_eq!(place(0x117), Some(("f".to_owned(), true, 0x117)));
    assert_eq!(place(0x140), None);
    assert_eq!(place(0x20f), Some(("assembly".to_owned(), false, 0x20f)));
    assert_eq!(place(0x210), None);
}
