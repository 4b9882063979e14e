//! `cargo xtask demo`: shows Tapwire at work.

use std::process::ExitCode;

use anyhow::{Result, bail};

pub(crate) fn run() -> Result<ExitCode> {
    bail!("there is no demonstration yet: the client and the server it would show are being built")
}
