//! Makes handlers run: ties programs to their probe points, and knows when `taprun` itself runs the others. One file for each
//! [`shared::probe::ProbeKind`].

use aya::programs::Program;
use shared::ir::Handler;
use shared::probe::{Place, ProbePoint};

pub mod been;

pub mod timer;

mod kprobe;

mod uprobe;

mod tracepoint;

/// A handler at one of its probe points, by indices into the IR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// Into `Ir::handlers`.
    pub handler: usize,
    /// Into `Handler::points`.
    pub point: usize,
}

/// A program at one probe point. It is detached when this is dropped.
pub enum Link {
    /// At a kprobe or uprobe.
    Perf(crate::kernel::perf_event::PerfLink),
    /// At a raw tracepoint.
    RawTracepoint(aya::programs::raw_trace_point::RawTracePointLink),
}

/// Why a probe point cannot be attached.
#[derive(Debug, thiserror::Error)]
#[error("cannot probe {point}: {reason}")]
pub struct AttachError {
    /// Its name.
    pub point: String,
    /// Why.
    pub reason: Reason,
}

/// What stands in the way.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The kernel was built without this kind of probe.
    #[error("this kernel has no {0}")]
    NoSuchKind(&'static str),
    /// `/proc/kallsyms` shows no addresses.
    #[error("the kernel hides its addresses")]
    HiddenAddresses,
    /// The file is another one now.
    #[error("{path} was updated since the script was compiled: its build id is {got}, expected {expected}")]
    Updated {
        /// The file.
        path: String,
        /// Its build id.
        got: shared::target::BuildId,
        /// What it was.
        expected: shared::target::BuildId,
    },
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The kernel says no.
    #[error("{0}: {1}")]
    Refused(&'static str, std::io::Error),
    /// The signed manifest says something that the object does not.
    #[error("the object's program does not fit")]
    Misfit,
}

impl Reason {
    /// What to do about it, a line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::HiddenAddresses => "allow root to see them: sysctl kernel.kptr_restrict=1",
            Self::Updated { .. } => "compile the script again",
            Self::NoSuchKind(_) | Self::File(..) | Self::Refused(..) | Self::Misfit => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// Attaches programs, and remembers what all points of a kind share.
#[derive(Default)]
pub struct Attacher {
    kprobes: Option<kprobe::Kprobes>,
    uprobes: Option<uprobe::Uprobes>,
}

impl Attacher {
    /// Attaches a handler's program to each of its points. Where there are several (a wildcard), points that fail are left out
    /// and told to `warn`.
    ///
    /// # Errors
    /// When no point can be attached.
    pub fn attach(
        &mut self,
        handler: &Handler,
        program: &mut Program,
        mut warn: impl FnMut(&AttachError),
    ) -> Result<Vec<Link>, AttachError> {
        let mut links = Vec::new();
        let mut failed = Vec::new();
        for (index, point) in handler.points.iter().enumerate() {
            match self.attach_point(point, index as u64, program) {
                Ok(link) => links.push(link),
                Err(reason) => failed.push(AttachError { point: point.name.clone(), reason }),
            }
        }
        if links.is_empty() && !failed.is_empty() {
            return Err(failed.swap_remove(0));
        }
        failed.iter().for_each(&mut warn);
        Ok(links)
    }

    /// The program finds `cookie`, the point's index in the handler, where its kind of probe has cookies.
    fn attach_point(&mut self, point: &ProbePoint, cookie: u64, program: &mut Program) -> Result<Link, Reason> {
        match (&point.place, program) {
            (Place::Kprobe { base, offset, on_return }, Program::KProbe(program)) => {
                let kprobes = match self.kprobes.take() {
                    Some(kprobes) => kprobes,
                    None => kprobe::Kprobes::find()?,
                };
                self.kprobes.insert(kprobes).attach(base, *offset, *on_return, cookie, program).map(Link::Perf)
            }
            (Place::Uprobe { path, build_id, address, on_return }, Program::UProbe(program)) => {
                let uprobes = match self.uprobes.take() {
                    Some(uprobes) => uprobes,
                    None => uprobe::Uprobes::find()?,
                };
                let uprobes = self.uprobes.insert(uprobes);
                uprobes.attach(path, build_id, *address, *on_return, cookie, program).map(Link::Perf)
            }
            (Place::Tracepoint { name }, Program::RawTracePoint(program)) => {
                tracepoint::attach(name, program).map(Link::RawTracepoint)
            }
            // No program belongs to these, and no other to those.
            (Place::Begin { .. } | Place::End { .. } | Place::Error { .. } | Place::Never | Place::Timer { .. }, _)
            | (Place::Kprobe { .. } | Place::Uprobe { .. } | Place::Tracepoint { .. }, _) => Err(Reason::Misfit),
        }
    }
}
