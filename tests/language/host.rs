//! The host that examples are compiled for: facts from a file, and the debuginfo of a kernel and of a program that exist as
//! debuginfo alone, made on the spot.
//!
//! What can be probed there is listed in `README.md` beside this file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use client::cli::Invocation;
use client::host::facts::HostFacts;
use client::script;
use compiler::library::Library;
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, Request, compile as compile_once};
use gimli::DW_TAG_structure_type as STRUCTURE;
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};
use object::elf;
use shared::limits::FACT_ROUNDS_MAX;
use shared::target::{BuildId, Fact};
use synthetic::{Code, DATA, Elf, INIT_TEXT, expression, text};

use super::Result;

#[allow(dead_code, reason = "the tests of debuginfo need more of it")]
#[path = "../../server/compiler/tests/debuginfo/synthetic.rs"]
mod synthetic;

/// Registers of x86-64 by their DWARF numbers, as they carry parameters.
const PARAMETER_REGISTERS: [u8; 4] = [5, 4, 1, 2];

/// Compiles a script for the host of `host.facts`, or for that which `--facts` names.
///
/// # Errors
/// When there is no such host, when the compiler breaks its own rules, or does not stop asking.
pub(crate) fn compile(invocation: &Invocation, script: &str) -> Result<Compilation> {
    let host = HostFacts::open(invocation.facts.as_deref().unwrap_or(Path::new("host.facts")));
    let host = host.map_err(|error| error.to_string())?;
    let library = script::read_library(&invocation.library).map_err(|error| error.to_string())?;
    let mut facts: Vec<Fact> = Vec::new();
    for _ in 0..FACT_ROUNDS_MAX {
        let request = Request {
            script_name: "<input>",
            script,
            additions: &[],
            library: &library,
            arguments: &invocation.arguments,
            output: invocation.goal.output(),
            guru: invocation.guru,
            options: &invocation.options,
            target: &host.target,
            facts: &facts,
        };
        match compile_once(&request, &*DEBUGINFO).map_err(|error| error.to_string())? {
            Compilation::NeedFacts(queries) => facts.extend(queries.iter().map(|query| host.answer(query))),
            compilation => return Ok(compilation),
        }
    }
    Err("the compiler asks again and again".to_owned())
}

/// Debug files, by build id.
struct Debuginfo(BTreeMap<BuildId, Vec<u8>>);

static DEBUGINFO: LazyLock<Debuginfo> = LazyLock::new(|| {
    let files = [("aa", kernel()), ("bb", program()), ("cc", b"no ELF file".to_vec())];
    Debuginfo(files.map(|(id, bytes)| (id.parse().expect("a build id"), bytes)).into())
});

impl World for Debuginfo {
    fn debuginfo(&self, build_id: &BuildId) -> DebuginfoFile<'_> {
        self.0.get(build_id).map_or(DebuginfoFile::Missing, |bytes| DebuginfoFile::Bytes(bytes))
    }

    fn tapset(&self) -> &Library<'_> {
        server::tapset::library()
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

/// `vfs_read`, `vfs_write`, whose local `written` is kept nowhere, `wake_up_process` and `start_kernel`, with the structures that they are given.
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
    enumeration(&mut code, "pid_type", types.unsigned, &["PIDTYPE_PID", "PIDTYPE_TGID", "PIDTYPE_PGID"]);
    global(&mut code, "jiffies", types.long, DATA);
    let transfer = [("file", file), ("buf", types.chars), ("count", types.size), ("pos", position)];
    let mut elf = Elf::kernel();
    function(&mut elf, &mut code, "vfs_read", 0x100, types.long, &transfer);
    let write = function(&mut elf, &mut code, "vfs_write", 0x200, types.long, &transfer);
    code.variable(write, dw::DW_TAG_variable, "written", types.long);
    function(&mut elf, &mut code, "wake_up_process", 0x300, types.int, &[("p", task)]);
    elf.symbol("start_kernel", ".init.text", INIT_TEXT, 0x40, elf::STT_FUNC, elf::STB_GLOBAL);
    elf.dwarf(code).bytes()
}

/// Adds an enumeration of C, whose values count from 0.
fn enumeration(code: &mut Code, name: &str, of: UnitEntryId, enumerators: &[&str]) {
    let root = code.root();
    let entry = code.variable(root, dw::DW_TAG_enumeration_type, name, of);
    code.set(entry, dw::DW_AT_byte_size, AttributeValue::Udata(4));
    for (name, value) in enumerators.iter().zip(0..) {
        let enumerator = code.named(entry, dw::DW_TAG_enumerator, name);
        code.set(enumerator, dw::DW_AT_const_value, AttributeValue::Udata(value));
    }
}

/// Adds a global variable.
fn global(code: &mut Code, name: &str, kind: UnitEntryId, address: u64) {
    let root = code.root();
    let entry = code.variable(root, dw::DW_TAG_variable, name, kind);
    let location = [&[dw::DW_OP_addr.0], address.to_le_bytes().as_slice()].concat();
    code.set(entry, dw::DW_AT_location, expression(&location));
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
) -> UnitEntryId {
    const SIZE: u64 = 0x40;
    elf.function(name, offset, SIZE);
    let entry = code.function(name, offset, SIZE);
    code.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(result));
    code.set(entry, dw::DW_AT_external, AttributeValue::Flag(true));
    code.set(entry, dw::DW_AT_prototyped, AttributeValue::Flag(true));
    for (&(name, kind), register) in parameters.iter().zip(PARAMETER_REGISTERS) {
        code.parameter(entry, name, kind, &[dw::DW_OP_reg0.0 + register]);
    }
    entry
}
