//! BPF programs with their maps and read-only data: the noun between codegen and object.
//!
//! Instructions are the kernel's (Documentation/bpf/standardization/instruction-set.rst), registers physical, jumps resolved;
//! what only the loader knows, the addresses of maps, is a [`Relocation`]. The text form, `-p4 --emit=bpf`, is [`print`].

use shared::ir::{GlobalId, Location};

pub mod code;
mod print;

/// All programs of a script and what they share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bpf {
    /// In the order of their symbols.
    pub maps: Vec<MapDef>,
    /// Parameters, then literals.
    pub rodata: Vec<u8>,
    /// One for each handler that the kernel runs.
    pub programs: Vec<Program>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapDef {
    /// Which.
    pub map: Map,
    /// `enum bpf_map_type`
    pub ty: u32,
    /// Bytes.
    pub key_size: u32,
    /// Bytes.
    pub value_size: u32,
    /// Entries; for a ring buffer, bytes.
    pub entries_max: u32,
    /// `BPF_F_…`
    pub flags: u32,
}

/// The maps of a session, as [`shared::abi::map`] names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Map {
    /// The ring buffer.
    Events,
    /// The session's words and scalars.
    Globals,
    /// Scratch memory.
    Scratch,
    /// An associative array.
    Array(GlobalId),
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The section: it tells the loader the type.
    pub section: String,
    /// The symbol.
    pub name: String,
    /// What runs. Two-slot instructions are two entries, the second with code 0.
    pub insns: Vec<Insn>,
    /// In the order of their instructions.
    pub relocations: Vec<Relocation>,
    /// Where in the script an instruction comes from, wherever that changes.
    pub lines: Vec<Line>,
}

/// `struct bpf_insn`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Insn {
    /// The operation.
    pub code: u8,
    /// The destination register, 0 to 10.
    pub dst: u8,
    /// The source register, 0 to 10, or a pseudo-source of a call or address.
    pub src: u8,
    /// A jump's distance, or an address's displacement.
    pub offset: i16,
    /// The immediate.
    pub immediate: i32,
}

/// An address that the loader fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// The two-slot instruction, by the index of its first slot.
    pub insn: usize,
    /// Whose address.
    pub symbol: Symbol,
}

/// What has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Symbol {
    /// A map.
    Map(Map),
    /// The start of the read-only data; the instruction's immediate is the offset.
    Rodata,
}

/// From this instruction on, the code comes from this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Index of the instruction.
    pub insn: usize,
    /// The place.
    pub location: Location,
}

impl Map {
    /// Its symbol.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Events => shared::abi::map::EVENTS.to_owned(),
            Self::Globals => shared::abi::map::GLOBALS.to_owned(),
            Self::Scratch => shared::abi::map::SCRATCH.to_owned(),
            Self::Array(global) => shared::abi::map::array_name(global),
        }
    }
}

impl Insn {
    /// The eight bytes, little-endian.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[0] = self.code;
        bytes[1] = self.src << 4 | self.dst;
        bytes[2..4].copy_from_slice(&self.offset.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.immediate.to_le_bytes());
        bytes
    }
}
