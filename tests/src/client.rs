//! `tapwire` of this machine with a home of its own, where it knows one compile server and describes one host.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::facts;
use crate::packages::Unpacked;
use crate::tapwired::Tapwired;
use crate::workspace::{self, Profile};

/// A client that compiles for a host with one of Debian's kernels. Its home is gone when it is dropped.
#[derive(Debug)]
pub struct Client {
    programs: PathBuf,
    home: TempDir,
}

/// The facts of the host, in the client's home.
pub const FACTS: &str = "host.facts";

impl Client {
    /// Builds the client.
    ///
    /// # Errors
    /// When it does not build, or the kernel's build id cannot be read.
    pub fn build(kernel: &Unpacked, profile: Profile) -> Result<Self> {
        let built = workspace::binaries("tapwire-client", profile)?;
        let programs = built.first().and_then(|path| path.parent()).context("the client has programs")?.to_owned();
        let home = tempfile::tempdir().context("no room for a home")?;
        std::fs::create_dir_all(home.path().join(".config"))?;
        std::fs::write(home.path().join(FACTS), facts::of_kernel(kernel)?)?;
        Ok(Self { programs, home })
    }

    /// Makes `server` the one that it knows and that knows it.
    ///
    /// # Errors
    /// When the home cannot be written.
    pub fn meet(&self, server: &Tapwired) -> Result<()> {
        let link = self.home.path().join(".config/tapwire");
        if link.is_symlink() {
            std::fs::remove_file(&link)?;
        }
        Ok(symlink(server.client_dir(), link)?)
    }

    /// The home directory, where commands run.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A program of this machine, to be run in the home with nothing else in its environment; the client's are found first.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", self.programs.display());
        command.args([&path, program]).env_clear().env("HOME", self.home());
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// `tapwire` as it asks `server` about the host.
    #[must_use]
    pub fn tapwire(&self, server: &Tapwired) -> Command {
        let mut command = self.command("tapwire");
        command.arg(format!("--use-server=127.0.0.1:{}", server.port())).args(["--facts", FACTS]);
        command
    }
}
