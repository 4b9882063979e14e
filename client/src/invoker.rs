//! Who started `taprun`, and what the process may do. Rights that the program file lends (file capabilities, set-user-id)
//! are for the kernel's probes, never for files that the invoker names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getuid};
use rustix::thread::{CapabilitySet, capabilities, set_thread_res_gid, set_thread_res_uid};
use shared::limits::{ARTIFACT_BYTES_MAX, LimitExceeded};

/// The real user behind the process.
#[derive(Debug, Clone, Copy)]
pub struct Invoker {
    uid: Uid,
    gid: Gid,
}

impl Invoker {
    /// Of this process.
    #[must_use]
    pub fn current() -> Self {
        Self { uid: getuid(), gid: getgid() }
    }

    /// Whether it is root, by its real user id.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid.is_root()
    }

    /// Reads an artifact with the invoker's rights, from standard input where the path is `-`.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than any artifact.
    pub fn read_artifact(self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let bytes_max = ARTIFACT_BYTES_MAX as u64;
        if path == Path::new("-") {
            io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes)?;
        } else {
            let file = self.with_own_rights(|| File::open(path))?;
            file.take(bytes_max + 1).read_to_end(&mut bytes)?;
        }
        LimitExceeded::check("artifact size in bytes", bytes.len() as u64, bytes_max).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Creates a file for output with the invoker's rights, or empties the one that is there.
    ///
    /// # Errors
    /// When the invoker may not.
    pub fn create(self, path: &Path) -> io::Result<File> {
        self.with_own_rights(|| File::create(path))
    }

    /// Opens a file as the invoker and not as the user whom the set-user-id bit made of the process.
    fn with_own_rights(self, open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
        let (euid, egid) = (geteuid(), getegid());
        if (euid, egid) == (self.uid, self.gid) {
            return open();
        }
        // These change the calling thread alone, and there is no other. The saved ids stay, for the way back.
        set_thread_res_gid(None, self.gid, None)?;
        set_thread_res_uid(None, self.uid, None)?;
        let file = open();
        set_thread_res_uid(None, euid, None)?;
        set_thread_res_gid(None, egid, None)?;
        file
    }
}

/// The privileges that loading needs and the process lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("taprun lacks {}", .0.join(" and "))]
pub struct MissingPrivileges(Vec<&'static str>);

impl MissingPrivileges {
    /// What to do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let program = std::env::current_exe().map_or_else(|_| "taprun".to_owned(), |path| path.display().to_string());
        vec![
            "run it as root".to_owned(),
            format!(
                "or let the program do it for everybody who may execute it: setcap cap_bpf,cap_perfmon,cap_syslog+ep {program}"
            ),
        ]
    }
}

/// Checks that the kernel will let this process load and attach: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, which was
/// all of these before Linux 5.8.
///
/// # Errors
/// When something is missing.
pub fn check_privileges() -> Result<(), MissingPrivileges> {
    let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let needed = [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")];
    let missing = needed.into_iter().filter(|(capability, _)| !effective.contains(*capability));
    let missing: Vec<_> = missing.map(|(_, name)| name).collect();
    if missing.is_empty() { Ok(()) } else { Err(MissingPrivileges(missing)) }
}
