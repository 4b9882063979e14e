//! Forms that compilers write and `gimli::write` does not: numbers into tables of strings, addresses and lists (DWARF
//! 5, sections 7.26 to 7.29).

use compiler::debuginfo::{Debuginfo, DebuginfoError, Moment};
use gimli::constants as dw;

use crate::synthetic::{DATA, Elf, TEXT};
use crate::{function, location};

/// Bytes in the making.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn all(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// With its length in front, as every table of DWARF begins.
    fn counted(self) -> Vec<u8> {
        [&(self.0.len() as u32).to_le_bytes()[..], &self.0].concat()
    }
}

/// An abbreviation: code, tag, whether it has children, attributes; all numbers below 128 or given as their two bytes.
fn abbreviation(code: u8, tag: dw::DwTag, children: bool, attributes: &[(dw::DwAt, dw::DwForm)]) -> Vec<u8> {
    let mut bytes = vec![code, tag.0 as u8, u8::from(children)];
    for (name, form) in attributes {
        if name.0 < 0x80 {
            bytes.push(name.0 as u8);
        } else {
            bytes.extend([(name.0 & 0x7f) as u8 | 0x80, (name.0 >> 7) as u8]);
        }
        bytes.push(form.0 as u8);
        if *form == dw::DW_FORM_implicit_const {
            bytes.push(8);
        }
    }
    bytes.extend([0, 0]);
    bytes
}

const STRINGS: &[u8] = b"\0f\0p\0q\0r\0long int\0";

fn abbreviations() -> Vec<u8> {
    let unit = [
        (dw::DW_AT_str_offsets_base, dw::DW_FORM_sec_offset),
        (dw::DW_AT_addr_base, dw::DW_FORM_sec_offset),
        (dw::DW_AT_loclists_base, dw::DW_FORM_sec_offset),
        (dw::DW_AT_rnglists_base, dw::DW_FORM_sec_offset),
        (dw::DW_AT_low_pc, dw::DW_FORM_addrx),
        (dw::DW_AT_ranges, dw::DW_FORM_rnglistx),
    ];
    let base = [
        (dw::DW_AT_name, dw::DW_FORM_strx1),
        (dw::DW_AT_byte_size, dw::DW_FORM_implicit_const),
        (dw::DW_AT_encoding, dw::DW_FORM_data1),
    ];
    let function = [
        (dw::DW_AT_name, dw::DW_FORM_strx1),
        (dw::DW_AT_low_pc, dw::DW_FORM_addrx1),
        (dw::DW_AT_high_pc, dw::DW_FORM_data4),
    ];
    let listed = [
        (dw::DW_AT_name, dw::DW_FORM_strx2),
        (dw::DW_AT_type, dw::DW_FORM_ref_addr),
        (dw::DW_AT_location, dw::DW_FORM_loclistx),
    ];
    let wide = [
        (dw::DW_AT_name, dw::DW_FORM_string),
        (dw::DW_AT_type, dw::DW_FORM_ref4),
        (dw::DW_AT_const_value, dw::DW_FORM_data16),
    ];
    let addressed = [
        (dw::DW_AT_name, dw::DW_FORM_line_strp),
        (dw::DW_AT_type, dw::DW_FORM_ref_udata),
        (dw::DW_AT_location, dw::DW_FORM_exprloc),
    ];
    [
        abbreviation(1, dw::DW_TAG_compile_unit, true, &unit),
        abbreviation(2, dw::DW_TAG_base_type, false, &base),
        abbreviation(3, dw::DW_TAG_subprogram, true, &function),
        abbreviation(4, dw::DW_TAG_formal_parameter, false, &listed),
        abbreviation(5, dw::DW_TAG_variable, false, &wide),
        abbreviation(6, dw::DW_TAG_variable, false, &addressed),
        vec![0],
    ]
    .concat()
}

fn info() -> Vec<u8> {
    let header = Bytes::default().u16(5).u8(dw::DW_UT_compile.0).u8(8).u32(0);
    let root = header.u8(1).u32(8).u32(8).u32(12).u32(12).u8(0).u8(0);
    // Counted from the unit's start, whose length takes 4 bytes.
    let base_type = 4 + root.0.len() as u32;
    let mut info = root.u8(2).u8(4).u8(dw::DW_ATE_signed.0).u8(3).u8(0).u8(1).u32(0x40);
    for (string, list) in [(1, 0), (2, 1), (3, 2)] {
        info = info.u8(4).u16(string).u32(base_type).u8(list);
    }
    info = info.u8(5).all(b"wide\0").u32(base_type).all(&[1; 16]);
    info = info.u8(6).u32(0).u8(base_type as u8).u8(2).u8(dw::DW_OP_addrx.0).u8(2);
    info.u8(0).u8(0).counted()
}

pub(crate) fn elf() -> Elf {
    let addresses = Bytes::default().u16(5).u8(8).u8(0).u64(TEXT).u64(TEXT + 0x100).u64(DATA).u64(TEXT + 0x140);
    let mut offsets = Bytes::default().u16(5).u16(0);
    for offset in [1, 3, 5, 7, 9] {
        offsets = offsets.u32(offset);
    }
    let pair = |end, register: dw::DwOp| [dw::DW_LLE_offset_pair.0, 0, end, 1, register.0];
    let base = [dw::DW_LLE_base_addressx.0, 1];
    let based = [&base[..], &pair(0, dw::DW_OP_reg5), &pair(16, dw::DW_OP_reg3), &[0]].concat();
    let length = [dw::DW_LLE_startx_length.0, 1, 16, 1, dw::DW_OP_reg4.0, 0];
    let ends = [dw::DW_LLE_startx_endx.0, 1, 3, 1, dw::DW_OP_reg1.0, 0];
    let table = Bytes::default().u16(5).u8(8).u8(0).u32(3);
    // Lists follow the table of their offsets, which count from that table.
    let (first, second) = (12, 12 + based.len() as u32);
    let lists = table.u32(first).u32(second).u32(second + length.len() as u32).all(&based).all(&length).all(&ends);
    let ranges = [dw::DW_RLE_startx_length.0, 0, 0x80, 0x04, 0];
    let ranges = Bytes::default().u16(5).u8(8).u8(0).u32(1).u32(4).all(&ranges);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).raw(".debug_abbrev", abbreviations()).raw(".debug_info", info());
    elf.raw(".debug_str", STRINGS.to_vec()).raw(".debug_line_str", b"addressed\0".to_vec());
    elf.raw(".debug_str_offsets", offsets.counted()).raw(".debug_addr", addresses.counted());
    elf.raw(".debug_loclists", lists.counted()).raw(".debug_rnglists", ranges.counted());
    elf
}

#[test]
fn numbers_lead_into_tables() {
    let elf = elf();
    // Its list begins with a range of no instructions, which holds for a parameter at the entry.
    assert_eq!(location(&elf, "p"), "value %rdi");
    assert_eq!(location(&elf, "q"), "value %rsi");
    assert_eq!(location(&elf, "r"), "value %rdx");
    assert_eq!(location(&elf, "addressed"), format!("memory at @{DATA:#x}"));
    assert_eq!(location(&elf, "wide"), format!("bytes {:02x?}", [1; 16]));
}

#[test]
fn types_have_names_by_number() {
    let bytes = elf().bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let long = debuginfo.type_named("long").expect("types").expect("a type");
    assert_eq!(debuginfo.type_name(long).as_deref(), Ok("long int"));
    assert_eq!(debuginfo.type_size(long), Ok(Some(8)));
}

#[test]
fn numbers_beyond_their_tables_are_errors() {
    for table in [".debug_str_offsets", ".debug_addr", ".debug_loclists"] {
        let mut elf = elf();
        elf.raw(table, vec![0; 12]);
        let bytes = elf.bytes();
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        let place = debuginfo.place(&function(&debuginfo, "f"), Moment::Entry);
        let variables = place.and_then(|place| debuginfo.variables(&place));
        assert!(matches!(variables, Err(DebuginfoError::Damaged(_))), "{table}: {variables:?}");
    }
}
