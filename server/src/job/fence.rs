//! What a worker may still do: compute. It has limits before it reads a byte, and once its files are mapped it can neither
//! open another, nor reach a network, nor start anything, whatever the script or the debuginfo make it do.
//!
//! The limits always hold. Landlock and seccomp hold where the kernel has them; where not, the server's log says so.

use std::collections::BTreeMap;

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::assignment::Fence;

/// Bytes of stack: hostile scripts nest deeply, and a compiler is recursive.
const STACK_BYTES_MAX: u64 = 64 << 20;

/// The limits that hold before anything from outside is read. Bounded is what the worker allocates (`RLIMIT_DATA`), not its
/// address space: mapped debuginfo costs nothing that matters.
///
/// # Errors
/// When the kernel refuses one.
pub(super) fn limit(memory_bytes_max: u64) -> std::io::Result<()> {
    for (resource, value) in [(Resource::Data, memory_bytes_max), (Resource::Core, 0), (Resource::Fsize, 0)] {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    let stack = rustix::process::getrlimit(Resource::Stack);
    let current = Some(stack.maximum.map_or(STACK_BYTES_MAX, |maximum| maximum.min(STACK_BYTES_MAX)));
    setrlimit(Resource::Stack, Rlimit { current, ..stack })?;
    Ok(())
}

/// A fence that is ready to be closed, around the thread that closes it.
#[derive(Clone)]
pub(super) struct OpenFence {
    filter: Result<BpfProgram, String>,
}

impl OpenFence {
    /// Prepares what takes time.
    #[must_use]
    pub(super) fn prepare() -> Self {
        Self { filter: filter().map_err(|error| error.to_string()) }
    }

    /// From here on the worker can only compute, and write to what is open.
    #[must_use]
    pub(super) fn close(self) -> Fence {
        // Where it cannot be set, seccomp allows no new process either.
        let _ = setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) });
        let landlock = restrict();
        let apply = |filter: BpfProgram| seccompiler::apply_filter(&filter).map_err(|error| error.to_string());
        Fence { landlock, seccomp: self.filter.and_then(apply) }
    }
}

/// Handles every right that Landlock knows and grants none.
fn restrict() -> Result<(), String> {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.restrict_self())
        .map_err(|error| error.to_string())?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("the kernel has no Landlock, or it is switched off".to_owned()),
    }
}

/// Allows the system calls that allocating, writing an answer, panicking and exiting take. Every other fails with EPERM, so
/// that a library which tries something needless goes on without.
fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture)?.try_into()
}

const ALLOWED: [libc::c_long; 25] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_write,
];
