//! Probe points as both sides know them: the kinds, who executes their handlers, and where each attaches.
//!
//! A probe kind is a column through the tree: the same file name in the compiler's `elaborate/probe/` and
//! `codegen/context/`, in the client's `attach/` and in `tests/kernel/`. A missing cell is a `match` that does not compile.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::target::BuildId;
use crate::trust::Privilege;

/// What makes a handler run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProbeKind {
    /// `begin`, `end`, `error`, `never`: the session itself.
    Been,
    /// `timer.s(N)` and its relatives.
    Timer,
    /// `kernel.function("f")`, with and without `.return`.
    Kprobe,
    /// `process("path").function("f")`, with and without `.return`.
    Uprobe,
    /// `kernel.trace("x")`.
    Tracepoint,
}

/// Who runs a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// The kernel: the handler becomes a BPF program.
    Kernel,
    /// `taprun`: the handler is interpreted from its IR.
    User,
}

impl ProbeKind {
    /// Who runs the handlers of this kind. What no kernel event triggers runs in `taprun`.
    #[must_use]
    pub fn executor(self) -> Executor {
        match self {
            Self::Been | Self::Timer => Executor::User,
            Self::Kprobe | Self::Uprobe | Self::Tracepoint => Executor::Kernel,
        }
    }

    /// What a user must be allowed to have such a probe. SystemTap lets `stapusr` probe processes of its own; until a handler
    /// can tell whose process it runs in, that takes `stapsys` here.
    #[must_use]
    pub fn privilege(self) -> Privilege {
        match self {
            Self::Been | Self::Timer => Privilege::Stapusr,
            Self::Kprobe | Self::Uprobe | Self::Tracepoint => Privilege::Stapsys,
        }
    }
}

/// One resolved probe point: a name for people and a place for the machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProbePoint {
    /// The full resolved text, as `pp()` gives it: `kernel.function("vfs_read@fs/read_write.c:450").call`.
    pub name: String,
    /// The function the place lies in, as `ppfunc()` gives it. Empty where there is none.
    pub function: String,
    /// Where and how it attaches.
    pub place: Place,
}

/// Where a probe point attaches. Every address is an offset from a base that the host knows, so that the same signed bytes
/// serve every boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// Once, before anything else is attached; smaller `order` first.
    Begin {
        /// `begin(N)`.
        order: i64,
    },
    /// Once, after everything was detached; smaller `order` first.
    End {
        /// `end(N)`.
        order: i64,
    },
    /// Once, after everything was detached, in the place of those of `End` where errors ended the session; smaller `order`
    /// first.
    Error {
        /// `error(N)`.
        order: i64,
    },
    /// Never runs; it is only checked.
    Never,
    /// Again and again.
    Timer {
        /// The time between two activations.
        interval_ns: u64,
    },
    /// A kprobe or kretprobe.
    Kprobe {
        /// What `offset` counts from.
        base: KernelBase,
        /// The address as an offset from the base.
        offset: u64,
        /// Whether it fires when the function returns.
        on_return: bool,
    },
    /// A uprobe or uretprobe.
    Uprobe {
        /// The file on the host.
        path: String,
        /// What its build id must be.
        build_id: BuildId,
        /// The link-time address of the place.
        address: u64,
        /// Whether it fires when the function returns.
        on_return: bool,
    },
    /// A raw tracepoint.
    Tracepoint {
        /// Its name in the kernel, without a subsystem: `sched_switch`.
        name: String,
    },
}

/// What kernel addresses are counted from: the kernel is loaded somewhere else at each boot (KASLR).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KernelBase {
    /// The address of `_stext` in `/proc/kallsyms`.
    Stext,
}

impl Place {
    /// The kind of probe this is a place of.
    #[must_use]
    pub fn kind(&self) -> ProbeKind {
        match self {
            Self::Begin { .. } | Self::End { .. } | Self::Error { .. } | Self::Never => ProbeKind::Been,
            Self::Timer { .. } => ProbeKind::Timer,
            Self::Kprobe { .. } => ProbeKind::Kprobe,
            Self::Uprobe { .. } => ProbeKind::Uprobe,
            Self::Tracepoint { .. } => ProbeKind::Tracepoint,
        }
    }

    /// Whether the probe fires when a function returns.
    #[must_use]
    pub fn on_return(&self) -> bool {
        matches!(self, Self::Kprobe { on_return: true, .. } | Self::Uprobe { on_return: true, .. })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |on_return: bool| if on_return { " return" } else { "" };
        match self {
            Self::Begin { order } => write!(f, "begin {order}"),
            Self::End { order } => write!(f, "end {order}"),
            Self::Error { order } => write!(f, "error {order}"),
            Self::Never => write!(f, "never"),
            Self::Timer { interval_ns } => write!(f, "timer {interval_ns}ns"),
            Self::Kprobe { base: KernelBase::Stext, offset, on_return } => {
                write!(f, "kprobe _stext+{offset:#x}{}", when(*on_return))
            }
            Self::Uprobe { path, build_id, address, on_return } => {
                write!(f, "uprobe {path:?} {build_id} {address:#x}{}", when(*on_return))
            }
            Self::Tracepoint { name } => write!(f, "tracepoint {name}"),
        }
    }
}
