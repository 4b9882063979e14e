//! Files: which are taken, what they are, compressed sections.

use std::io::Write as _;

use compiler::debuginfo::{Debuginfo, DebuginfoError, ObjectKind};
use gimli::constants as dw;
use object::elf;

use crate::location;
use crate::synthetic::{Code, Elf};

fn kind(elf: Elf) -> Result<ObjectKind, DebuginfoError> {
    Debuginfo::open(&elf.bytes()).map(|debuginfo| debuginfo.object().kind)
}

#[test]
fn files_are_what_their_headers_say() {
    assert_eq!(kind(Elf::kernel()), Ok(ObjectKind::Kernel));
    assert_eq!(kind(Elf::program()), Ok(ObjectKind::Executable));
    assert_eq!(kind(Elf::program().of_type(elf::ET_DYN)), Ok(ObjectKind::SharedObject));
    assert!(matches!(kind(Elf::program().of_type(elf::ET_REL)), Err(DebuginfoError::Unsupported(_))));
    assert!(matches!(kind(Elf::program().of_type(elf::ET_CORE)), Err(DebuginfoError::Elf(_))));
    assert!(matches!(kind(Elf::program().for_machine(elf::EM_AARCH64)), Err(DebuginfoError::Unsupported(_))));
}

#[test]
fn other_files_are_refused() {
    let elf = Elf::program().bytes();
    let with = |index: usize, value: u8| {
        let mut bytes = elf.clone();
        bytes[index] = value;
        bytes
    };
    // A text, nothing, 32 bits, big endian.
    for bytes in [b"#!/bin/sh\n".to_vec(), Vec::new(), with(4, elf::ELFCLASS32), with(5, elf::ELFDATA2MSB)] {
        let error = Debuginfo::open(&bytes).expect_err("not ours").to_string();
        assert!(error.starts_with("not a usable ELF file: "), "{error}");
    }
}

#[test]
fn files_without_dwarf_or_symbols_say_so() {
    let mut elf = Elf::program();
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert!(!debuginfo.object().has_dwarf);
    let error = debuginfo.functions("f").expect_err("no symbols").to_string();
    assert_eq!(error, "not a usable ELF file: it has no symbols");

    elf.function("f", 0x100, 0x40);
    assert_eq!(
        location(&elf, "p"),
        "error: no debuginfo describes f: it may be written in assembly, or merged with a function of the same code"
    );
    elf.dwarf(code());
    let bytes = elf.bytes();
    assert!(Debuginfo::open(&bytes).expect("an ELF file").object().has_dwarf);
}

#[test]
fn build_ids_are_found() {
    let note = [&4_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), &3_u32.to_le_bytes(), b"GNU\0", &[0xab, 0xcd, 0xef, 1]];
    let mut elf = Elf::program();
    elf.note(note.concat());
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    assert_eq!(debuginfo.object().build_id.as_ref().map(ToString::to_string).as_deref(), Some("abcdef01"));
}

/// The header of a compressed section (`Elf64_Chdr`) and its contents.
fn compressed(kind: u32, size: u64, contents: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &size.to_le_bytes(), &1_u64.to_le_bytes(), contents].concat()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

fn code() -> Code {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", long, &[dw::DW_OP_reg5.0]);
    code
}

/// A file whose `.debug_info` is compressed as the closure says.
fn with_info(compress: impl FnOnce(&[u8]) -> Vec<u8>) -> Elf {
    let info = code().sections().remove(".debug_info").expect("a section");
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code());
    elf.flagged(".debug_info", u64::from(elf::SHF_COMPRESSED), compress(&info));
    elf
}

#[test]
fn compressed_sections_are_expanded() {
    let elf = with_info(|info| compressed(elf::ELFCOMPRESS_ZLIB, info.len() as u64, &zlib(info)));
    assert_eq!(location(&elf, "p"), "value %rdi");
    let elf = with_info(|info| compressed(elf::ELFCOMPRESS_ZSTD, info.len() as u64, &zstd(info)));
    assert_eq!(location(&elf, "p"), "value %rdi");
}

#[test]
fn compressed_sections_are_what_their_headers_say_or_refused() {
    let refuse = |compress: &dyn Fn(&[u8]) -> Vec<u8>, expected: &str| {
        let bytes = with_info(compress).bytes();
        let error = Debuginfo::open(&bytes).expect_err("a damaged section").to_string();
        assert!(error.contains(expected), "{error}");
    };
    for (kind, encode) in [(elf::ELFCOMPRESS_ZLIB, zlib as fn(&[u8]) -> Vec<u8>), (elf::ELFCOMPRESS_ZSTD, zstd)] {
        refuse(&|info| compressed(kind, info.len() as u64 + 1, &encode(info)), "a compressed section is damaged");
        refuse(&|info| compressed(kind, info.len() as u64, &encode(info)[..9]), "damaged");
        refuse(&|info| compressed(kind, 1 << 40, &encode(info)), "the limit is");
        refuse(&|info| compressed(kind, info.len() as u64, &[0x55; 40]), "damaged");
    }
    refuse(&|info| compressed(77, info.len() as u64, info), "compressed in an unknown way");
    refuse(&|_| vec![1; 3], "not a usable ELF file");
}

#[test]
fn a_section_that_expands_beyond_its_size_is_cut_off() {
    let bomb = vec![0; 1 << 20];
    let elf = with_info(|info| {
        let beginning = [info, &bomb].concat();
        compressed(elf::ELFCOMPRESS_ZLIB, info.len() as u64, &zlib(&beginning))
    });
    assert_eq!(location(&elf, "p"), "value %rdi");
}
