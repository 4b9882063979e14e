//! Line tables: declarations, lines of instructions, ends of prologues.

use compiler::debuginfo::{Debuginfo, Moment};
use gimli::constants as dw;
use gimli::write::{Address, AttributeValue, FileId, LineProgram, LineString, LocationList, UnitEntryId};
use gimli::{Encoding, Format, LineEncoding};

use crate::synthetic::{Code, Elf, TEXT, text};
use crate::{entry, function};

/// Rows of a line table: address from [`TEXT`], file (0 is `a.c`, 1 is `sub/h.h`), line, whether a prologue ends there.
pub(crate) fn with_rows(version: u16, rows: &[(u64, usize, u64, bool)]) -> (Code, UnitEntryId) {
    let mut code = Code::new(version);
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut string = |text: &str| LineString::new(text, encoding, &mut code.dwarf.line_strings);
    let (directory, name, sub, header) = (string("/src"), string("a.c"), string("sub"), string("h.h"));
    let mut program = LineProgram::new(encoding, LineEncoding::default(), directory, None, name.clone(), None);
    let root = program.default_directory();
    let sub = program.add_directory(sub);
    let files: [FileId; 2] = [program.add_file(name, root, None), program.add_file(header, sub, None)];
    program.begin_sequence(Some(Address::Constant(TEXT)));
    for &(offset, file, line, prologue_end) in rows {
        let row = program.row();
        (row.address_offset, row.file, row.line, row.prologue_end) = (offset, files[file], line, prologue_end);
        program.generate_row();
    }
    program.end_sequence(0x1000);
    code.unit().line_program = program;
    let root = code.root();
    code.set(root, dw::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.set(function, dw::DW_AT_decl_file, AttributeValue::FileIndex(Some(files[1])));
    code.set(function, dw::DW_AT_decl_line, AttributeValue::Udata(42));
    code.parameter(function, "p", long, &[dw::DW_OP_fbreg.0, 0x60]);
    (code, function)
}

const ROWS: [(u64, usize, u64, bool); 4] =
    [(0x100, 0, 7, false), (0x104, 0, 7, false), (0x110, 1, 9, false), (0x140, 0, 20, false)];

/// The file with `f`.
fn elf(mut file: Elf, code: Code) -> Vec<u8> {
    file.function("f", 0x100, 0x40).dwarf(code);
    file.bytes()
}

#[test]
fn declarations_and_instructions_have_lines() {
    for version in [4, 5] {
        let bytes = elf(Elf::kernel(), with_rows(version, &ROWS).0);
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        let declaration = entry(&debuginfo, "f").declaration.expect("a declaration");
        assert_eq!(declaration.to_string(), "sub/h.h:42", "DWARF {version}");
        let line = |offset| debuginfo.line(TEXT + offset).expect("a line table").map(|line| line.to_string());
        assert_eq!(line(0x105).as_deref(), Some("/src/a.c:7"), "DWARF {version}");
        assert_eq!(line(0x110).as_deref(), Some("sub/h.h:9"));
        assert_eq!(line(0xfff).as_deref(), Some("/src/a.c:20"));
        assert_eq!(line(0x1000), None);
        assert_eq!(line(0x20), None);
    }
}

#[test]
fn unoptimised_programs_are_probed_after_the_prologue() {
    for version in [4, 5] {
        let bytes = elf(Elf::program(), with_rows(version, &ROWS).0);
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        assert_eq!(entry(&debuginfo, "f").pc, TEXT + 0x104, "DWARF {version}");
        let returned = debuginfo.place(&function(&debuginfo, "f"), Moment::Return).expect("a place");
        assert_eq!(returned.pc, TEXT + 0x100);
    }
}

#[test]
fn a_marked_end_of_a_prologue_counts() {
    let mut rows = ROWS;
    rows[2].3 = true;
    let bytes = elf(Elf::program(), with_rows(5, &rows).0);
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(entry(&debuginfo, "f").pc, TEXT + 0x110);
}

#[test]
fn optimised_code_and_the_kernel_are_probed_at_the_entry() {
    let bytes = elf(Elf::kernel(), with_rows(5, &ROWS).0);
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(entry(&debuginfo, "f").pc, TEXT + 0x100);

    let mut code = with_rows(5, &ROWS).0;
    let root = code.root();
    code.set(root, dw::DW_AT_producer, text("GNU C17 12.2.0 -mtune=generic -g -O2"));
    let bytes = elf(Elf::program(), code);
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(entry(&debuginfo, "f").pc, TEXT + 0x100);
}

#[test]
fn code_is_optimised_where_a_variable_has_a_list_of_locations() {
    let (mut code, function) = with_rows(5, &ROWS);
    let long = code.long();
    let local = code.variable(function, dw::DW_TAG_variable, "v", long);
    let list = code.unit().locations.add(LocationList(Vec::new()));
    code.set(local, dw::DW_AT_location, AttributeValue::LocationListRef(list));
    let bytes = elf(Elf::program(), code);
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(entry(&debuginfo, "f").pc, TEXT + 0x100);
}
