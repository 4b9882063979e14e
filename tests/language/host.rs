//! The host that examples are compiled for: a kernel and a program that exist as debuginfo alone, made on the spot.
//!
//! What can be probed there is listed in `README.md` beside this file.

use std::sync::LazyLock;

use client::cli::Invocation;
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, Request, compile as compile_once};
use gimli::DW_TAG_structure_type as STRUCTURE;
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};
use shared::target::{Architecture, BuildId, ElfFile, Fact, FactQuery, Feature, Target, glob_matches};
use synthetic::{Code, Elf, text};

use super::Result;

#[allow(dead_code, reason = "the tests of debuginfo need more of it")]
#[path = "../../server/compiler/tests/debuginfo/synthetic.rs"]
mod synthetic;

const RELEASE: &str = "6.12.48+deb13-amd64";
const TRACEPOINTS: [&str; 5] = ["sched_process_fork", "sched_switch", "sched_wakeup", "sys_enter", "sys_exit"];
const PROGRAM: &str = "/usr/bin/app";

/// Registers of x86-64 by their DWARF numbers, as they carry parameters.
const PARAMETER_REGISTERS: [u8; 4] = [5, 4, 1, 2];

/// Compiles a script, answering what the compiler asks.
///
/// # Errors
/// When the compiler breaks its own rules, or does not stop asking.
pub(crate) fn compile(invocation: &Invocation, script: &str) -> Result<Compilation> {
    let target = target();
    let mut facts: Vec<Fact> = Vec::new();
    for _ in 0..8 {
        let request = Request {
            script_name: "<input>",
            script,
            arguments: &invocation.arguments,
            output: invocation.goal.output(),
            guru: invocation.guru,
            target: &target,
            facts: &facts,
        };
        match compile_once(&request, &*HOST).map_err(|error| error.to_string())? {
            Compilation::NeedFacts(queries) => facts.extend(queries.into_iter().map(answer)),
            compilation => return Ok(compilation),
        }
    }
    Err("the compiler asks again and again".to_owned())
}

fn target() -> Target {
    Target {
        architecture: Architecture::X86_64,
        release: RELEASE.to_owned(),
        kernel: kernel_id(),
        features: Feature::ALL.into(),
    }
}

fn kernel_id() -> BuildId {
    "aa".parse().expect("a build id")
}

fn program_id() -> BuildId {
    "bb".parse().expect("a build id")
}

fn answer(query: FactQuery) -> Fact {
    match query {
        FactQuery::Elf { path } => {
            let is_program = path == PROGRAM || PROGRAM.ends_with(&format!("/{path}"));
            let file = ElfFile { path: PROGRAM.to_owned(), build_id: program_id() };
            Fact::Elf { found: if is_program { Ok(file) } else { Err("no such file".to_owned()) }, path }
        }
        FactQuery::Tracepoints { pattern } => {
            let names = TRACEPOINTS.iter().filter(|name| glob_matches(&pattern, name));
            Fact::Tracepoints { names: names.map(|&name| name.to_owned()).collect(), pattern }
        }
    }
}

/// The debuginfo of a kernel and of a program.
struct Host {
    kernel: Vec<u8>,
    program: Vec<u8>,
}

static HOST: LazyLock<Host> = LazyLock::new(|| Host { kernel: kernel(), program: program() });

impl World for Host {
    fn debuginfo(&self, build_id: &BuildId) -> DebuginfoFile<'_> {
        match build_id {
            id if *id == kernel_id() => DebuginfoFile::Bytes(&self.kernel),
            id if *id == program_id() => DebuginfoFile::Bytes(&self.program),
            _ => DebuginfoFile::Missing,
        }
    }
}

/// The types that several functions use.
struct Types {
    int: UnitEntryId,
    unsigned: UnitEntryId,
    long: UnitEntryId,
    size: UnitEntryId,
    chars: UnitEntryId,
}

impl Types {
    fn new(code: &mut Code) -> Self {
        let long_unsigned = code.base_type("long unsigned int", 8, dw::DW_ATE_unsigned);
        let size = code.derived(dw::DW_TAG_typedef, long_unsigned);
        code.set(size, dw::DW_AT_name, text("size_t"));
        let char = code.base_type("char", 1, dw::DW_ATE_signed_char);
        Self {
            int: code.base_type("int", 4, dw::DW_ATE_signed),
            unsigned: code.base_type("unsigned int", 4, dw::DW_ATE_unsigned),
            long: code.long(),
            size,
            chars: code.derived(dw::DW_TAG_pointer_type, char),
        }
    }
}

/// `vfs_read`, `vfs_write` and `wake_up_process`, with the structures that they are given.
fn kernel() -> Vec<u8> {
    let mut code = Code::new(5);
    let types = Types::new(&mut code);
    let inode = code.structure(STRUCTURE, "inode", 24);
    code.member(inode, "i_mode", types.unsigned, 0);
    code.member(inode, "i_ino", types.long, 8);
    code.member(inode, "i_size", types.long, 16);
    let inode = code.derived(dw::DW_TAG_pointer_type, inode);
    let file = code.structure(STRUCTURE, "file", 32);
    code.member(file, "f_flags", types.unsigned, 0);
    code.member(file, "f_mode", types.unsigned, 4);
    code.member(file, "f_inode", inode, 8);
    code.member(file, "f_pos", types.long, 16);
    let file = code.derived(dw::DW_TAG_pointer_type, file);
    let task = code.structure(STRUCTURE, "task_struct", 32);
    code.member(task, "pid", types.int, 0);
    code.member(task, "tgid", types.int, 4);
    let task = code.derived(dw::DW_TAG_pointer_type, task);
    let position = code.derived(dw::DW_TAG_pointer_type, types.long);
    let transfer = [("file", file), ("buf", types.chars), ("count", types.size), ("pos", position)];
    let mut elf = Elf::kernel();
    function(&mut elf, &mut code, "vfs_read", 0x100, types.long, &transfer);
    function(&mut elf, &mut code, "vfs_write", 0x200, types.long, &transfer);
    function(&mut elf, &mut code, "wake_up_process", 0x300, types.int, &[("p", task)]);
    elf.dwarf(code).bytes()
}

/// `main` and `serve`.
fn program() -> Vec<u8> {
    let mut code = Code::new(5);
    let types = Types::new(&mut code);
    let arguments = code.derived(dw::DW_TAG_pointer_type, types.chars);
    let mut elf = Elf::program();
    function(&mut elf, &mut code, "main", 0x100, types.int, &[("argc", types.int), ("argv", arguments)]);
    function(&mut elf, &mut code, "serve", 0x200, types.int, &[("name", types.chars), ("bytes", types.size)]);
    elf.dwarf(code).bytes()
}

/// Adds a function of C whose parameters lie in registers.
fn function(
    elf: &mut Elf,
    code: &mut Code,
    name: &str,
    offset: u64,
    result: UnitEntryId,
    parameters: &[(&str, UnitEntryId)],
) {
    const SIZE: u64 = 0x40;
    elf.function(name, offset, SIZE);
    let entry = code.function(name, offset, SIZE);
    code.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(result));
    code.set(entry, dw::DW_AT_external, AttributeValue::Flag(true));
    code.set(entry, dw::DW_AT_prototyped, AttributeValue::Flag(true));
    for (&(name, kind), register) in parameters.iter().zip(PARAMETER_REGISTERS) {
        code.parameter(entry, name, kind, &[dw::DW_OP_reg0.0 + register]);
    }
}
