//! Pass 4: IR becomes BPF. Each handler that the kernel runs becomes one program.
//!
//! The way of a handler: [`select`] chooses instructions over virtual registers, [`allocate`] finds registers for these, [`emit`]
//! writes the result down. What a probe kind's context holds is in [`context`], one file a kind.
//!
//! It must not know the script's tree or types, debuginfo, or how an ELF file looks.

mod allocate;
mod context;
mod draft;
mod emit;
mod rodata;
mod select;

use std::collections::BTreeSet;

use shared::abi::map::{SCRATCH_LEVELS, key_size, scalar_offsets};
use shared::artifact::section::{program_name, program_section};
use shared::ir::{Content, GlobalId, Ir, Location, Storage};
use shared::limits::{RING_BYTES_DEFAULT, SCRATCH_BYTES_MAX};
use shared::target::{Feature, Target};

use crate::bpf::code::map;
use crate::bpf::{Bpf, Map, MapDef, Program};
use draft::Placement;
use rodata::Rodata;

/// Bytes from which on things go to scratch memory, where not all fits the stack.
const SCRATCH_BYTES_MIN: usize = 40;

/// Something in a handler that no BPF program for this target can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Where in the script.
    pub location: Location,
    /// The probe point of the handler.
    pub point: String,
    /// Why.
    pub refusal: Refusal,
}

/// What no BPF program can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The strings of one handler do not fit the stack and scratch memory.
    #[error(
        "the handler needs {bytes} bytes for its strings, a BPF program has {bytes_max}; a smaller MAXSTRINGLEN helps"
    )]
    StackTooLarge {
        /// What it needs.
        bytes: usize,
        /// What there is.
        bytes_max: usize,
    },
    /// A jump over more than 32,767 instructions.
    #[error("the handler is too large for a BPF program")]
    ProgramTooLarge,
    /// An operation that is only there for handlers that `taprun` runs.
    #[error("{0} is not possible in a handler that runs in the kernel")]
    NotInKernel(&'static str),
    /// An operation that this kernel cannot do.
    #[error("{0} needs a kernel with {1}")]
    NoFeature(&'static str, Feature),
    /// A bug.
    #[error("no registers could be found: {0}")]
    Allocation(String),
}

/// Generates code for every handler that the kernel runs.
///
/// # Errors
/// What no program for this target can do; all of it.
pub fn generate(ir: &Ir, target: &Target) -> Result<Bpf, Vec<Unsupported>> {
    let mut rodata = Rodata::new();
    let mut programs = Vec::new();
    let mut unsupported = Vec::new();
    let mut scratch_size = 0;
    for (index, handler) in ir.handlers.iter().enumerate() {
        let Some(section) = program_section(index, &handler.points[0].place) else { continue };
        let name = program_name(index);
        match program(ir, target, index, &mut rodata) {
            Ok((emitted, scratch)) => {
                let emit::Emitted { insns, relocations, lines } = emitted;
                scratch_size = scratch_size.max(scratch);
                programs.push(Program { section, name, insns, relocations, lines });
            }
            Err((location, refusal)) => {
                unsupported.push(Unsupported { location, point: handler.points[0].name.clone(), refusal });
            }
        }
    }
    if unsupported.is_empty() {
        Ok(Bpf { maps: maps(ir, scratch_size), rodata: rodata.bytes(), programs })
    } else {
        Err(unsupported)
    }
}

fn program(
    ir: &Ir,
    target: &Target,
    handler: usize,
    rodata: &mut Rodata,
) -> Result<(emit::Emitted, usize), (Location, Refusal)> {
    let nowhere = |refusal| (Location::default(), refusal);
    let mut refused = Refusal::ProgramTooLarge;
    // What does not fit the stack goes to scratch memory, the largest things first.
    for placement in [Placement::Stack, Placement::Below(SCRATCH_BYTES_MIN), Placement::Below(8)] {
        let draft = select::select(ir, target, handler, rodata, placement)?;
        if draft.needs_scratch && placement == Placement::Stack {
            continue;
        }
        if draft.scratch_size > SCRATCH_BYTES_MAX {
            let (bytes, bytes_max) = (draft.scratch_size, SCRATCH_BYTES_MAX);
            return Err(nowhere(Refusal::StackTooLarge { bytes, bytes_max }));
        }
        let (output, flat) =
            allocate::allocate(&draft).map_err(|error| nowhere(Refusal::Allocation(format!("{error:?}"))))?;
        match emit::emit(&draft, &flat, &output) {
            Ok(emitted) => return Ok((emitted, draft.scratch_size)),
            Err(refusal @ Refusal::StackTooLarge { .. }) => refused = refusal,
            Err(refusal) => return Err(nowhere(refusal)),
        }
    }
    Err(nowhere(refused))
}

fn maps(ir: &Ir, scratch_size: usize) -> Vec<MapDef> {
    let (_, globals_size) = scalar_offsets(&ir.globals);
    let mut maps = vec![
        MapDef {
            map: Map::Events,
            ty: map::RINGBUF,
            key_size: 0,
            value_size: 0,
            entries_max: RING_BYTES_DEFAULT,
            flags: 0,
        },
        MapDef {
            map: Map::Globals,
            ty: map::ARRAY,
            key_size: 4,
            value_size: globals_size as u32,
            entries_max: 1,
            flags: map::F_MMAPABLE,
        },
    ];
    if scratch_size > 0 {
        maps.push(MapDef {
            map: Map::Scratch,
            ty: map::PERCPU_ARRAY,
            key_size: 4,
            value_size: scratch_size as u32,
            entries_max: SCRATCH_LEVELS,
            flags: 0,
        });
    }
    for (index, global) in ir.globals.iter().enumerate() {
        maps.extend(array(GlobalId(index as u16), &global.storage));
    }
    maps
}

/// The map of an array or a statistic.
fn array(id: GlobalId, storage: &Storage) -> Option<MapDef> {
    let (ty, key_size, value_size, entries_max) = match storage {
        Storage::Scalar { .. } => return None,
        Storage::Statistic(statistic) => (map::PERCPU_ARRAY, 4, statistic.words().total * 8, 1),
        Storage::Array { keys, content, entries_max, wrap } => {
            let ty = match (content, wrap) {
                (Content::Value(_), false) => map::HASH,
                (Content::Value(_), true) => map::LRU_HASH,
                (Content::Statistic(_), false) => map::PERCPU_HASH,
                (Content::Statistic(_), true) => map::LRU_PERCPU_HASH,
            };
            (ty, key_size(keys), content.size(), *entries_max)
        }
    };
    let (key_size, value_size) = (key_size as u32, value_size as u32);
    Some(MapDef { map: Map::Array(id), ty, key_size, value_size, entries_max, flags: 0 })
}

/// What a target must be able to do for a session to run at all, and cannot.
#[must_use]
pub fn missing_features(ir: &Ir, features: &BTreeSet<Feature>) -> Vec<Feature> {
    let needed =
        ir.handlers.iter().flat_map(|handler| &handler.points).filter_map(|point| context::feature(&point.place));
    let needed: BTreeSet<Feature> = needed.chain([Feature::RingBuffer]).collect();
    needed.difference(features).copied().collect()
}
