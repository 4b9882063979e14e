//! Makes signed artifacts out of IR text and hand-written programs, and runs `taprun` on them: what a compile server would
//! do, in a hundred lines and without a compiler.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use client::elf::kernel_build_id;
use object::write::{Object, Relocation, StandardSegment, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf,
};
use shared::abi::map::{EVENTS, GLOBALS, PARAMETERS, Parameter, RODATA, array_name, key_size, scalar_offsets, session};
use shared::artifact::container::sign;
use shared::artifact::manifest::{Claims, Digest, KernelClaim, Manifest};
use shared::artifact::section::{LICENSE, program_name, program_section};
use shared::artifact::signature::SignerKey;
use shared::ir::read::read;
use shared::ir::{Content, GlobalId, Ir, Storage};
use shared::trust::Privilege;
use shared::trust::store::SIGNERS;

/// A BPF program under way. Jumps lead to the end, where 0 is returned.
#[derive(Default)]
pub(crate) struct Program {
    insns: Vec<[u8; 8]>,
    symbols: Vec<(usize, &'static str)>,
    jumps: Vec<usize>,
}

pub(crate) const R0: u8 = 0;
pub(crate) const R1: u8 = 1;
pub(crate) const R2: u8 = 2;
pub(crate) const R3: u8 = 3;
pub(crate) const R6: u8 = 6;
pub(crate) const R7: u8 = 7;
pub(crate) const R8: u8 = 8;
const R10: u8 = 10;

/// Helpers by their numbers in include/uapi/linux/bpf.h.
pub(crate) const MAP_LOOKUP_ELEM: i32 = 1;
pub(crate) const GET_CURRENT_PID_TGID: i32 = 14;
pub(crate) const RINGBUF_RESERVE: i32 = 131;
pub(crate) const RINGBUF_SUBMIT: i32 = 132;
pub(crate) const GET_ATTACH_COOKIE: i32 = 174;

impl Program {
    /// A program that has its context in R8 and the value of the globals in R6, and ends unless the session runs.
    pub(crate) fn new() -> Self {
        let mut program = Self::default();
        program.copy(R8, R1).symbol(R1, GLOBALS);
        program.insn(0x62, R10, 0, -4, 0).copy(R2, R10).insn(0x07, R2, 0, 0, -4);
        program.call(MAP_LOOKUP_ELEM).end_if_equal(R0, 0).copy(R6, R0);
        program.load(R1, R6, session::STATE as i16).end_unless_equal(R1, 1);
        program
    }

    pub(crate) fn insn(&mut self, code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> &mut Self {
        let [o0, o1] = offset.to_le_bytes();
        let [i0, i1, i2, i3] = imm.to_le_bytes();
        self.insns.push([code, src << 4 | dst, o0, o1, i0, i1, i2, i3]);
        self
    }

    pub(crate) fn copy(&mut self, dst: u8, src: u8) -> &mut Self {
        self.insn(0xbf, dst, src, 0, 0)
    }

    pub(crate) fn long(&mut self, dst: u8, long: u64) -> &mut Self {
        self.insn(0x18, dst, 0, 0, long as i32).insn(0, 0, 0, 0, (long >> 32) as i32)
    }

    /// The address of a map or of something in the read-only data.
    pub(crate) fn symbol(&mut self, dst: u8, symbol: &'static str) -> &mut Self {
        self.symbols.push((self.insns.len(), symbol));
        self.long(dst, 0)
    }

    pub(crate) fn load(&mut self, dst: u8, src: u8, offset: i16) -> &mut Self {
        self.insn(0x79, dst, src, offset, 0)
    }

    pub(crate) fn store(&mut self, dst: u8, offset: i16, src: u8) -> &mut Self {
        self.insn(0x7b, dst, src, offset, 0)
    }

    pub(crate) fn atomic_add(&mut self, dst: u8, offset: i16, src: u8) -> &mut Self {
        self.insn(0xdb, dst, src, offset, 0)
    }

    pub(crate) fn call(&mut self, helper: i32) -> &mut Self {
        self.insn(0x85, 0, 0, 0, helper)
    }

    pub(crate) fn end_if_equal(&mut self, a: u8, imm: i32) -> &mut Self {
        self.jumps.push(self.insns.len());
        self.insn(0x15, a, 0, 0, imm)
    }

    pub(crate) fn end_unless_equal(&mut self, a: u8, imm: i32) -> &mut Self {
        self.jumps.push(self.insns.len());
        self.insn(0x55, a, 0, 0, imm)
    }

    /// Ends unless the process is the target; leaves its id in R7.
    pub(crate) fn end_unless_target(&mut self) -> &mut Self {
        self.call(GET_CURRENT_PID_TGID).insn(0x77, R0, 0, 0, 32).copy(R7, R0).symbol(R1, PARAMETERS).load(R1, R1, 0);
        self.jumps.push(self.insns.len());
        self.insn(0x5d, R7, R1, 0, 0)
    }

    /// Sends a record of these words, each from a register or a number; counts it as lost where there is no room for it.
    pub(crate) fn send(&mut self, words: &[Word], size: i32) -> &mut Self {
        self.symbol(R1, EVENTS).insn(0xb7, R2, 0, 0, size).insn(0xb7, R3, 0, 0, 0).call(RINGBUF_RESERVE);
        // No room: count it, and skip to the end.
        self.insn(0x55, R0, 0, 3, 0).insn(0xb7, R1, 0, 0, 1).atomic_add(R6, session::LOST as i16, R1);
        self.jumps.push(self.insns.len());
        self.insn(0x05, 0, 0, 0, 0);
        for (word, offset) in words.iter().zip((0i16..).step_by(8)) {
            match word {
                Word::Register(register) => self.store(R0, offset, *register),
                Word::Long(long) => self.long(R1, *long).store(R0, offset, R1),
            };
        }
        self.copy(R1, R0).insn(0xb7, R2, 0, 0, 0).call(RINGBUF_SUBMIT)
    }

    /// The code, ended and with its jumps in place.
    fn finish(mut self) -> (Vec<u8>, Vec<(u64, &'static str)>) {
        let end = self.insns.len();
        for &jump in &self.jumps {
            let distance = (end - jump - 1) as i16;
            self.insns[jump][2..4].copy_from_slice(&distance.to_le_bytes());
        }
        self.insn(0xb7, R0, 0, 0, 0).insn(0x95, 0, 0, 0, 0);
        let symbols = self.symbols.iter().map(|&(insn, symbol)| (insn as u64 * 8, symbol)).collect();
        (self.insns.concat(), symbols)
    }
}

/// A word of a record.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    Register(u8),
    Long(u64),
}

/// The ELF object of a script: the maps that the IR asks for, and its programs by the index of their handler.
pub(crate) fn object(ir: &Ir, programs: Vec<(usize, Program)>, ring_bytes: u32) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let section = |object: &mut Object<'_>, name: &str, kind, data: &[u8]| {
        let id = object.add_section(object.segment_name(StandardSegment::Data).to_vec(), name.into(), kind);
        object.append_section_data(id, data, 8);
        id
    };
    section(&mut object, "license", SectionKind::Data, format!("{LICENSE}\0").as_bytes());
    let rodata = section(&mut object, RODATA, SectionKind::ReadOnlyData, &[0; Parameter::ALL.len() * 8]);
    add_symbol(&mut object, PARAMETERS, SymbolKind::Data, rodata, 0, Parameter::ALL.len() as u64 * 8);
    // type, key size, value size, entries, flags, id, pinning
    let (_, globals_size) = scalar_offsets(&ir.globals);
    let mut maps = vec![
        (EVENTS.to_owned(), [27, 0, 0, ring_bytes, 0, 0, 0]),
        (GLOBALS.to_owned(), [2, 4, globals_size as u32, 1, 1 << 10, 0, 0]),
    ];
    for (index, global) in ir.globals.iter().enumerate() {
        if let Storage::Array { keys, content: Content::Value(value), entries_max, .. } = &global.storage {
            let def = [1, key_size(keys) as u32, value.size() as u32, *entries_max, 0, 0, 0];
            maps.push((array_name(GlobalId(index as u16)), def));
        }
    }
    let defs: Vec<u8> = maps.iter().flat_map(|(_, def)| def.iter().flat_map(|field| field.to_le_bytes())).collect();
    let maps_section = section(&mut object, "maps", SectionKind::Data, &defs);
    for (index, (name, _)) in maps.iter().enumerate() {
        add_symbol(&mut object, name, SymbolKind::Data, maps_section, index as u64 * 28, 28);
    }
    for (handler, program) in programs {
        let (code, symbols) = program.finish();
        let name = program_section(handler, &ir.handlers[handler].points[0].place).expect("a program's section");
        let id = section(&mut object, &name, SectionKind::Text, &code);
        add_symbol(&mut object, &program_name(handler), SymbolKind::Text, id, 0, code.len() as u64);
        for (offset, name) in symbols {
            let symbol = object.symbol_id(name.as_bytes()).expect("a symbol");
            let flags = RelocationFlags::Elf { r_type: elf::R_BPF_64_64 };
            object.add_relocation(id, Relocation { offset, symbol, addend: 0, flags }).expect("a relocation");
        }
    }
    object.write().expect("an object")
}

fn add_symbol(
    object: &mut Object<'_>,
    name: &str,
    kind: SymbolKind,
    section: object::write::SectionId,
    value: u64,
    size: u64,
) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.into(),
        value,
        size,
        kind,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

/// An artifact in a directory of its own, with a list of signers that trusts it.
pub(crate) struct Forged {
    pub(crate) directory: tempfile::TempDir,
}

impl Forged {
    /// Signs a script in IR text and its programs for this kernel.
    pub(crate) fn new(ir: &str, programs: Vec<(usize, Program)>) -> Self {
        Self::with_ring(ir, programs, 1 << 16)
    }

    pub(crate) fn with_ring(ir: &str, programs: Vec<(usize, Program)>, ring_bytes: u32) -> Self {
        let ir = read(ir).expect("an IR");
        assert_eq!(shared::ir::verify::verify(&ir), Ok(()));
        let elf = object(&ir, programs, ring_bytes);
        Self::sign(ir, elf)
    }

    /// Signs a script with an object that was made for another.
    pub(crate) fn with_elf(ir: &str, elf: Vec<u8>) -> Self {
        Self::sign(read(ir).expect("an IR"), elf)
    }

    fn sign(ir: Ir, elf: Vec<u8>) -> Self {
        let kernel = KernelClaim {
            architecture: shared::target::Architecture::X86_64,
            release: "of the test".to_owned(),
            build_id: kernel_build_id().expect("the kernel's build id"),
        };
        let claims = Claims {
            script_name: "<input>".to_owned(),
            script_digest: Digest::of(b""),
            elf_digest: Digest::of(&elf),
            kernel,
            privilege: Privilege::Stapdev,
            guru: false,
            parameters: Parameter::ALL.to_vec(),
            ir,
        };
        let key = SignerKey::from_seed(&[7; 32]);
        let artifact =
            sign(&Manifest { claims, issued_at_s: 0, expires_at_s: u64::MAX }, elf, &key).expect("an artifact");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join(SIGNERS)).expect("a list");
        let pem = key.public().to_pem().expect("a key");
        std::fs::write(directory.path().join(SIGNERS).join("forge.pem"), pem).expect("a signer");
        std::fs::write(directory.path().join("script.tap"), artifact).expect("an artifact");
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `taprun` on the artifact.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taprun"));
        command.arg("--signers").arg(self.path(SIGNERS)).args(arguments).arg(self.path("script.tap"));
        command
    }

    /// Runs `taprun` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("taprun");
        Ran {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code(),
        }
    }

    /// Starts `taprun`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("taprun");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        Running { child, stdout }
    }
}

/// What `taprun` did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

/// A `taprun` that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// The next line that it prints; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a signal sent");
    }

    /// Closes the pipe it prints to. Gives the process, and what it says on standard error.
    pub(crate) fn stop_reading(mut self) -> (Child, impl FnOnce() -> String) {
        let mut stderr = self.child.stderr.take().expect("its errors");
        let read = move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("its errors");
            text
        };
        (self.child, read)
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ran {
        let mut ran = Ran { stdout: String::new(), stderr: String::new(), status: None };
        self.stdout.read_to_string(&mut ran.stdout).expect("its output");
        self.child.stderr.take().expect("its errors").read_to_string(&mut ran.stderr).expect("its errors");
        ran.status = self.child.wait().expect("its status").code();
        ran
    }
}

/// Whether the test cannot be run here, which is then said.
pub(crate) fn is_skipped(test: &str) -> bool {
    let reason = client::invoker::check_privileges().err().map(|missing| missing.to_string());
    let reason = reason.or_else(|| (!client::invoker::Invoker::current().is_root()).then(|| "not root".to_owned()));
    if let Some(reason) = &reason {
        println!("SKIPPED {test}: {reason}");
    }
    reason.is_some()
}
