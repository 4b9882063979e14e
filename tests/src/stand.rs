//! Everything around one guest: the client in it, and the servers on the host that it talks to.
//!
//! `cargo xtask vm` and the kernel tests both start here, so that what is tried by hand is what is tested.

use anyhow::{Context, Result};

use crate::debuginfod::Debuginfod;
use crate::guest::{Config, Guest, GuestFile};
use crate::packages::Unpacked;
use crate::workspace;

/// A guest that can run the client, and what serves it. Ends, as a whole, when it is dropped.
#[derive(Debug)]
pub struct Stand {
    /// The host that runs scripts.
    pub guest: Guest,
    /// Serves the guest's debuginfo to the compile server.
    pub debuginfod: Debuginfod,
}

impl Stand {
    /// Builds the client, starts the servers and boots the guest, with `files` beside the client.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn start(kernel: &Unpacked, files: &[GuestFile]) -> Result<Self> {
        let debuginfod = Debuginfod::of_kernel(kernel)?;
        // The compile server's place: make the certificates of its roles, start it with `debuginfod.url()`, and add the
        // client's certificates and configuration to the guest's files; the guest reaches it at `guest::HOST`.
        let mut guest_files = client()?;
        guest_files.extend_from_slice(files);
        let guest = Guest::boot(&Config { files: &guest_files, ..Config::new(kernel) })?;
        Ok(Self { guest, debuginfod })
    }
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
