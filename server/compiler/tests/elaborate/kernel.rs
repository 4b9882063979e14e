//! A kernel with two functions, as C would have it:
//!
//! ```c
//! enum color { RED, GREEN = 5 };
//! struct inode { long ino; };
//! struct file {
//!     long pos; struct inode *inode; unsigned flags:4, mode:12; char name[16]; char *path;
//!     struct { int major; }; int list[3]; float load; double cost;
//! };
//! long f(struct file *file, int count, enum color color) { long gone; … }
//! struct file *g(struct inode *inode) { … }
//! long jiffies;
//! ```

use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};

use crate::synthetic::{Code, DATA, Elf, expression};

/// Its debug file.
pub(crate) fn bytes() -> Vec<u8> {
    let mut code = Code::new(5);
    let types = Types::new(&mut code);
    let f = code.function("f", 0x100, 0x40);
    code.set(f, dw::DW_AT_type, AttributeValue::UnitRef(types.long));
    code.parameter(f, "file", types.file_pointer, &[dw::DW_OP_reg5.0]);
    code.parameter(f, "count", types.int, &[dw::DW_OP_reg4.0]);
    code.parameter(f, "color", types.color, &[dw::DW_OP_reg1.0]);
    code.variable(f, dw::DW_TAG_variable, "gone", types.long);
    let g = code.function("g", 0x200, 0x40);
    code.set(g, dw::DW_AT_type, AttributeValue::UnitRef(types.file_pointer));
    code.parameter(g, "inode", types.inode_pointer, &[dw::DW_OP_reg5.0]);
    let root = code.root();
    let jiffies = code.variable(root, dw::DW_TAG_variable, "jiffies", types.long);
    let mut at = vec![dw::DW_OP_addr.0];
    at.extend((DATA + 0x40).to_le_bytes());
    code.set(jiffies, dw::DW_AT_location, expression(&at));
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).function("g", 0x200, 0x40).dwarf(code);
    elf.bytes()
}

struct Types {
    long: UnitEntryId,
    int: UnitEntryId,
    color: UnitEntryId,
    inode_pointer: UnitEntryId,
    file_pointer: UnitEntryId,
}

impl Types {
    fn new(code: &mut Code) -> Self {
        let (long, int) = (code.long(), code.base_type("int", 4, dw::DW_ATE_signed));
        let color = enumeration(code);
        let inode = code.structure(dw::DW_TAG_structure_type, "inode", 8);
        code.member(inode, "ino", long, 0);
        let inode_pointer = code.derived(dw::DW_TAG_pointer_type, inode);
        let file = file(code, long, int, inode_pointer);
        let file_pointer = code.derived(dw::DW_TAG_pointer_type, file);
        Self { long, int, color, inode_pointer, file_pointer }
    }
}

fn enumeration(code: &mut Code) -> UnitEntryId {
    let root = code.root();
    let color = code.named(root, dw::DW_TAG_enumeration_type, "color");
    code.set(color, dw::DW_AT_byte_size, AttributeValue::Udata(4));
    for (name, value) in [("RED", 0), ("GREEN", 5)] {
        let enumerator = code.named(color, dw::DW_TAG_enumerator, name);
        code.set(enumerator, dw::DW_AT_const_value, AttributeValue::Udata(value));
    }
    color
}

fn file(code: &mut Code, long: UnitEntryId, int: UnitEntryId, inode_pointer: UnitEntryId) -> UnitEntryId {
    let unsigned = code.base_type("unsigned int", 4, dw::DW_ATE_unsigned);
    let char = code.base_type("char", 1, dw::DW_ATE_signed_char);
    let (float, double) = (code.base_type("float", 4, dw::DW_ATE_float), code.base_type("double", 8, dw::DW_ATE_float));
    let (name, list) = (array(code, char, 16), array(code, int, 3));
    let path = code.derived(dw::DW_TAG_pointer_type, char);
    let id = code.structure(dw::DW_TAG_structure_type, "", 4);
    code.member(id, "major", int, 0);
    let file = code.structure(dw::DW_TAG_structure_type, "file", 80);
    code.member(file, "pos", long, 0);
    code.member(file, "inode", inode_pointer, 8);
    for (member, first, size) in [("flags", 0, 4), ("mode", 4, 12)] {
        let entry = code.named(file, dw::DW_TAG_member, member);
        code.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(unsigned));
        code.set(entry, dw::DW_AT_data_bit_offset, AttributeValue::Udata(128 + first));
        code.set(entry, dw::DW_AT_bit_size, AttributeValue::Udata(size));
    }
    for (member, ty, offset) in [
        ("name", name, 20),
        ("path", path, 40),
        ("", id, 48),
        ("list", list, 52),
        ("load", float, 64),
        ("cost", double, 72),
    ] {
        code.member(file, member, ty, offset);
    }
    file
}

fn array(code: &mut Code, of: UnitEntryId, count: u64) -> UnitEntryId {
    let array = code.derived(dw::DW_TAG_array_type, of);
    let range = code.add(array, dw::DW_TAG_subrange_type);
    code.set(range, dw::DW_AT_count, AttributeValue::Udata(count));
    array
}
