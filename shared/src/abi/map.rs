//! The BPF maps of a session: names, layouts, and the words that probes and `taprun` exchange.

use serde::{Deserialize, Serialize};

use crate::abi::value::{Type, offsets};
use crate::ir::{Global, GlobalId, Storage};

/// The ring buffer that carries events ([`crate::abi::event`]).
pub const EVENTS: &str = "events";

/// The one-entry array, mapped into `taprun`'s memory, that holds the session's words and every scalar global.
pub const GLOBALS: &str = "globals";

/// The scratch memory of handlers whose strings do not fit the stack: [`SCRATCH_LEVELS`] pieces for each processor, of which
/// a handler takes the first that nobody has. A piece's first word says whether somebody has it.
pub const SCRATCH: &str = "scratch";

/// How many handlers may have scratch memory on one processor: one that was preempted or interrupted keeps its piece.
pub const SCRATCH_LEVELS: u32 = 4;

/// The read-only data: literals, and [`Parameters`] at the start.
pub const RODATA: &str = ".rodata";

/// The symbol of [`Parameters`] in the read-only data.
pub const PARAMETERS: &str = "parameters";

/// The map that holds an associative array or a statistic: `array_0` for the first global.
#[must_use]
pub fn array_name(global: GlobalId) -> String {
    format!("array_{}", global.0)
}

/// Byte offsets of the session's words in the value of [`GLOBALS`]; the script's scalars follow.
pub mod session {
    /// A [`super::SessionState`]: a handler that finds anything but `Running` does nothing.
    pub const STATE: usize = 0;
    /// Records that found no room in the ring buffer.
    pub const LOST: usize = 8;
    /// Run-time errors that were reported.
    pub const ERRORS: usize = 16;
    /// Handlers that found no scratch memory.
    pub const SKIPPED: usize = 32;
    /// Always 0, which the kernel's verifier does not know.
    pub const ZERO: usize = 24;
    /// Bytes of all the words; where the first scalar lies.
    pub const SIZE: usize = 40;
}

/// Whether probes do their work. The word is zero from the start: nothing runs before every `begin` handler is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum SessionState {
    /// The `begin` handlers have not finished.
    Starting = 0,
    /// Probes run.
    Running = 1,
    /// `exit()` was called, or the session was interrupted.
    Stopping = 2,
}

/// Where each scalar global lies in the value of [`GLOBALS`], and the value's size. Arrays have no place there.
#[must_use]
pub fn scalar_offsets(globals: &[Global]) -> (Vec<Option<usize>>, usize) {
    let mut end = session::SIZE;
    let offsets = globals
        .iter()
        .map(|global| match &global.storage {
            Storage::Scalar { ty, .. } => {
                let offset = end;
                end += ty.size();
                Some(offset)
            }
            Storage::Array { .. } | Storage::Statistic(_) => None,
        })
        .collect();
    (offsets, end)
}

/// The size of an array's composite key.
#[must_use]
pub fn key_size(keys: &[Type]) -> usize {
    offsets(keys).1
}

/// What differs from run to run and may be set at load, within what the manifest allows. It is written to the read-only
/// data before the programs are verified, so the kernel treats each as a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Parameter {
    /// `target()`: the process of `-c` or `-x`, or 0.
    Target,
    /// Nanoseconds that CLOCK_TAI is ahead of CLOCK_REALTIME on the host.
    TaiOffset,
}

impl Parameter {
    /// Every parameter, in the order of the words at [`PARAMETERS`].
    pub const ALL: [Self; 2] = [Self::Target, Self::TaiOffset];

    /// Its offset from [`PARAMETERS`]; each is one long.
    #[must_use]
    pub fn offset(self) -> usize {
        self as usize * 8
    }

    /// Its name in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::TaiOffset => "tai_offset_ns",
        }
    }

    /// The values a host may set, both included. Process ids are below PID_MAX_LIMIT (2^22); TAI is some 37 s ahead.
    #[must_use]
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::Target => (0, 1 << 22),
            Self::TaiOffset => (0, 3_600_000_000_000),
        }
    }
}
