//! Everything around one guest: the client in it, and the servers on the host that it talks to.
//!
//! `cargo xtask vm` and the kernel tests both start here, so that what is tried by hand is what is tested.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::debuginfod::Debuginfod;
use crate::guest::{self, Config, Guest, GuestFile};
use crate::packages::Unpacked;
use crate::tapwired::{Debuginfo, Tapwired};
use crate::workspace::{self, Profile};

/// A guest that can run the client, and what serves it. Ends, as a whole, when it is dropped.
#[derive(Debug)]
pub struct Stand {
    /// The host that runs scripts.
    pub guest: Guest,
    /// Compiles for the guest, which reaches it at [`SERVER`].
    pub tapwired: Tapwired,
    /// Serve the compile server with debuginfo: of the guest's kernel, and of its programs.
    pub debuginfods: Vec<Debuginfod>,
}

/// What a guest is to have.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Its kernel.
    pub kernel: &'a Unpacked,
    /// Files beside the client.
    pub files: &'a [GuestFile],
    /// Directories of this host with programs compiled with `-g`, whose debuginfo is served.
    pub programs: &'a [PathBuf],
}

/// The environment variable of the guest that names the compile server, for `--use-server=$TAPWIRED`.
pub const SERVER: &str = "TAPWIRED";

impl Stand {
    /// Builds the client, starts the servers and boots the guest.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn start(plan: Plan<'_>) -> Result<Self> {
        let mut debuginfods = vec![Debuginfod::of_kernel(plan.kernel)?];
        if !plan.programs.is_empty() {
            debuginfods.push(Debuginfod::of_programs(plan.programs)?);
        }
        let urls: Vec<&str> = debuginfods.iter().map(Debuginfod::url).collect();
        let tapwired = Tapwired::start(Debuginfo { urls: &urls, directories: &[] }, Profile::Dev)?;
        let mut files = client()?;
        files.extend(tree(&tapwired.client_dir(), "/etc/tapwire")?);
        let profile = format!("export {SERVER}={}:{}\n", guest::HOST, tapwired.port());
        files.push(GuestFile::bytes(guest::PROFILE, 0o644, profile));
        files.extend_from_slice(plan.files);
        let guest = Guest::boot(&Config { files: &files, ..Config::new(plan.kernel) })?;
        Ok(Self { guest, tapwired, debuginfods })
    }
}

/// A directory tree of this host, at a place in the guest.
fn tree(from: &Path, to: &str) -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a directory's entry has a name")?.to_string_lossy();
        let to = format!("{to}/{name}");
        if path.is_dir() { files.extend(tree(&path, &to)?) } else { files.push(GuestFile::host(&to, &path)?) }
    }
    Ok(files)
}

/// The client's binaries, where a package would install them.
fn client() -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    for path in workspace::static_client()? {
        let name = path.file_name().context("cargo names a file")?.to_string_lossy();
        files.push(GuestFile::host(&format!("/usr/bin/{name}"), &path)?);
    }
    Ok(files)
}
