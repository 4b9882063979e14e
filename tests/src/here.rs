//! This machine as a host that runs scripts: with a home of its own, and a compile server as any user gets who names none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::debuginfod::Debuginfod;
use crate::workspace::{self, Profile};

/// This machine. Its server ends, and its home is gone, when this value is dropped.
#[derive(Debug)]
pub struct Here {
    home: TempDir,
    bin: PathBuf,
    debuginfod: Option<Debuginfod>,
}

impl Here {
    /// Builds client and server. Debuginfo of programs comes from below these directories.
    ///
    /// # Errors
    /// When something does not build, or debuginfod does not start.
    pub fn start(programs: &[PathBuf]) -> Result<Self> {
        let home = tempfile::tempdir().context("no room for a home")?;
        let client = workspace::binaries("tapwire-client", Profile::Dev)?;
        workspace::binaries("tapwire-server", Profile::Dev)?;
        let bin = client.first().and_then(|path| path.parent()).context("the client has programs")?.to_owned();
        let debuginfod = if programs.is_empty() { None } else { Some(Debuginfod::of_programs(programs)?) };
        Ok(Self { home, bin, debuginfod })
    }

    /// A line of shell, to be run as a user of this host would.
    #[must_use]
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        command.args(["-c", line]).current_dir(self.home.path());
        command.env_clear().env("HOME", self.home.path());
        // A colon in a directory's name cannot be helped; there is none in ours.
        command.env("PATH", std::env::join_paths(path).unwrap_or_default());
        command.env("DEBUGINFOD_URLS", self.debuginfod.as_ref().map_or("", Debuginfod::url));
        command
    }

    /// The home directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Here {
    /// Ends the servers that were started on the way: each holds a lock that names it.
    fn drop(&mut self) {
        let state = self.home.path().join(".local/state/tapwire");
        for personal in std::fs::read_dir(state).into_iter().flatten().flatten() {
            let pid = std::fs::read_to_string(personal.path().join("lock")).ok();
            let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(pid.trim().parse().ok()?));
            if let Some(pid) = pid {
                // It may have ended already.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}
