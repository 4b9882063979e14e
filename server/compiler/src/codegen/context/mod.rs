//! What a program finds in its context, one file a probe kind.

mod kprobe;
mod registers;
mod tracepoint;
mod uprobe;

use shared::probe::{Place, ProbeKind};
use shared::target::{Architecture, Feature};

/// Where the context holds a register, by its DWARF number, as an offset in bytes; nothing where it does not hold it.
pub(super) fn register(kind: ProbeKind, architecture: Architecture, number: u8) -> Option<i32> {
    match kind {
        ProbeKind::Been | ProbeKind::Timer => None,
        ProbeKind::Kprobe => kprobe::register(architecture, number),
        ProbeKind::Uprobe => uprobe::register(architecture, number),
        ProbeKind::Tracepoint => tracepoint::register(architecture, number),
    }
}

/// What a kernel must be able to do for a place to be attached to.
pub(super) fn feature(place: &Place) -> Option<Feature> {
    match place.kind() {
        ProbeKind::Been | ProbeKind::Timer => None,
        ProbeKind::Kprobe => Some(Feature::Kprobe),
        ProbeKind::Uprobe => Some(Feature::Uprobe),
        ProbeKind::Tracepoint => Some(Feature::RawTracepoint),
    }
}
