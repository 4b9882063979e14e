//! Names → functions, and which of them can be probed.

use compiler::debuginfo::{Debuginfo, Functions, Moment, PlaceOffset, Refusal};
use object::elf;

use crate::synthetic::{Code, DATA, Elf, INIT_TEXT, TEXT};
use crate::{entry, function};

fn functions(elf: &Elf, pattern: &str) -> Functions {
    let bytes = elf.bytes();
    Debuginfo::open(&bytes).expect("an ELF file").functions(pattern).expect("a symbol table")
}

fn symbols(elf: &Elf, pattern: &str) -> Vec<String> {
    functions(elf, pattern).found.into_iter().map(|function| function.symbol).collect()
}

#[test]
fn names_and_globs_match() {
    let mut elf = Elf::kernel();
    elf.function("vfs_read", 0x100, 0x10).function("vfs_write", 0x200, 0x10).static_function("vfs", 0x300, 0x10);
    elf.symbol("vfs_undefined", "", 0, 0, elf::STT_FUNC, elf::STB_GLOBAL);
    elf.symbol("vfs_data", ".data", DATA, 8, elf::STT_OBJECT, elf::STB_GLOBAL);
    assert_eq!(symbols(&elf, "vfs_read"), ["vfs_read"]);
    assert_eq!(symbols(&elf, "vfs_*"), ["vfs_read", "vfs_write"]);
    assert_eq!(symbols(&elf, "[v]f?"), ["vfs"]);
    assert_eq!(symbols(&elf, "nothing"), [""; 0]);
    let found = functions(&elf, "vfs_read").found.remove(0);
    assert_eq!((found.address, found.size, found.external), (TEXT + 0x100, 0x10, true));
    assert!(!functions(&elf, "vfs").found[0].external);
}

#[test]
fn clones_answer_to_the_name_in_the_source() {
    let mut elf = Elf::kernel();
    elf.static_function("f.isra.0", 0x100, 0x10).static_function("f.constprop.0.isra.0", 0x200, 0x10);
    elf.static_function("f.part.0", 0x300, 0x10).static_function("f.cold", 0x400, 0x10);
    elf.static_function("f.part.0.cold", 0x500, 0x10).static_function("__pfx_f", 0x5f0, 0x10);
    assert_eq!(symbols(&elf, "f"), ["f.constprop.0.isra.0", "f.isra.0"]);
    assert_eq!(symbols(&elf, "__pfx_*"), [""; 0]);
    assert!(functions(&elf, "f").found.iter().all(|function| function.name == "f"));
    // A call of `f` would count twice, or only sometimes.
    let refused = functions(&elf, "f*").refused;
    assert_eq!(
        refused.iter().map(|(function, why)| (function.symbol.as_str(), *why)).collect::<Vec<_>>(),
        [("f.part.0", Refusal::Part)]
    );
    assert_eq!(symbols(&elf, "f.part.0"), ["f.part.0"]);
}

#[test]
fn versions_of_symbols_are_no_part_of_names() {
    let mut elf = Elf::program();
    elf.function("memcpy@@GLIBC_2.14", 0x100, 0x10).function("__cfi_check", 0x200, 0x10);
    assert_eq!(functions(&elf, "memcpy").found[0].name, "memcpy");
    assert_eq!(symbols(&elf, "__cfi_check"), ["__cfi_check"]);
}

#[test]
fn of_several_names_for_one_address_a_glob_gives_the_plainest_global() {
    let mut elf = Elf::program();
    elf.static_function("_local_read", 0x100, 0x10).function("__libc_read", 0x100, 0x10).function("read", 0x100, 0x10);
    elf.symbol("aread", ".text", TEXT + 0x100, 0x10, elf::STT_FUNC, elf::STB_WEAK);
    assert_eq!(symbols(&elf, "*read"), ["read"]);
    assert_eq!(symbols(&elf, "__libc_read"), ["__libc_read"]);
}

#[test]
fn the_kernel_refuses_probes_in_some_functions() {
    let mut elf = Elf::kernel();
    for (name, offset) in [("f_plain", 0x100), ("f_noinstr", 0x1100), ("f_entry", 0x2100), ("f_marked", 0x3000)] {
        elf.function(name, offset, 0x10);
    }
    elf.symbol("f_init", ".init.text", INIT_TEXT, 0x10, elf::STT_FUNC, elf::STB_GLOBAL);
    elf.symbol("_kbl_addr_f_marked", ".data", DATA, 8, elf::STT_OBJECT, elf::STB_LOCAL);
    for (name, offset) in [
        ("__noinstr_text_start", 0x1000),
        ("__noinstr_text_end", 0x2000),
        ("__entry_text_start", 0x2000),
        ("__entry_text_end", 0x3000),
    ] {
        elf.symbol(name, ".text", TEXT + offset, 0, elf::STT_NOTYPE, elf::STB_GLOBAL);
    }
    let functions = functions(&elf, "f_*");
    let refused: Vec<_> = functions.refused.iter().map(|(function, why)| (function.name.as_str(), *why)).collect();
    assert_eq!(functions.found.len(), 1);
    assert_eq!(
        refused,
        [
            ("f_entry", Refusal::Blocklisted),
            ("f_init", Refusal::Init),
            ("f_marked", Refusal::Blocklisted),
            ("f_noinstr", Refusal::Blocklisted),
        ]
    );
}

#[test]
fn functions_without_an_ftrace_location_are_not_traced() {
    let mut elf = Elf::kernel();
    elf.function("f_traced", 0x100, 0x10).function("f_endbr", 0x200, 0x10).function("f_notrace", 0x300, 0x10);
    let list = [TEXT + 0x204, TEXT + 0x100, TEXT + 0x310].map(u64::to_le_bytes).concat();
    let (start, end) = (DATA + 0x2000, DATA + 0x2000 + list.len() as u64);
    elf.loaded(".init.data", start, list);
    elf.symbol("__start_mcount_loc", ".init.data", start, 0, elf::STT_NOTYPE, elf::STB_GLOBAL);
    elf.symbol("__stop_mcount_loc", ".init.data", end, 0, elf::STT_NOTYPE, elf::STB_GLOBAL);
    let functions = functions(&elf, "f_*");
    assert_eq!(functions.found.len(), 2);
    assert_eq!(functions.refused.len(), 1);
    assert_eq!((functions.refused[0].0.name.as_str(), functions.refused[0].1), ("f_notrace", Refusal::NotTraced));
}

#[test]
fn kernel_places_count_from_stext_and_others_from_the_file() {
    for (mut elf, offset) in
        [(Elf::kernel(), PlaceOffset::FromStext(0x100)), (Elf::program(), PlaceOffset::InFile(0x1100))]
    {
        elf.function("f", 0x100, 0x10).dwarf(Code::new(5));
        let bytes = elf.bytes();
        let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
        for moment in [Moment::Entry, Moment::Return] {
            let place = debuginfo.place(&function(&debuginfo, "f"), moment).expect("a place");
            assert_eq!((place.pc, place.offset, place.moment), (TEXT + 0x100, offset, moment));
        }
    }
}

#[test]
fn a_split_debug_file_does_not_know_where_code_lies() {
    let mut elf = Elf::program();
    elf.function("f", 0x100, 0x10).dwarf(Code::new(5)).without_code();
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(entry(&debuginfo, "f").offset, PlaceOffset::OnlyInProgram);
}
