//! The ELF object inside an artifact: what each section and symbol is called. The compiler writes them, aya reads them.
//!
//! | section | what it holds | why it is there |
//! |---|---|---|
//! | `kprobe/…`, `raw_tp/…`, … | one program each, with one function symbol | aya takes the program's type from the part before `/` |
//! | `maps` | map definitions, one object symbol each | the old form, which needs no BTF |
//! | `.rodata` | parameters, then literals | frozen at load: the kernel's verifier knows its contents |
//! | `license` | [`LICENSE`] | without it aya would claim "GPL" |

use crate::probe::Place;

/// What generated programs declare. Helpers that read kernel memory are for GPL-compatible programs only.
pub const LICENSE: &str = "Dual MIT/GPL";

/// The name of the program of a handler: section suffix, symbol, and what the kernel shows.
#[must_use]
pub fn program_name(handler: usize) -> String {
    format!("h{handler}")
}

/// The section of a handler's program, or nothing for handlers that `taprun` interprets.
#[must_use]
pub fn program_section(handler: usize, place: &Place) -> Option<String> {
    let ty = match place {
        Place::Begin { .. } | Place::End { .. } | Place::Error { .. } | Place::Never | Place::Timer { .. } => {
            return None;
        }
        Place::Kprobe { on_return: false, .. } => "kprobe",
        Place::Kprobe { on_return: true, .. } => "kretprobe",
        Place::Uprobe { on_return: false, .. } => "uprobe",
        Place::Uprobe { on_return: true, .. } => "uretprobe",
        Place::Tracepoint { .. } => "raw_tp",
    };
    Some(format!("{ty}/{}", program_name(handler)))
}
