//! `cargo xtask bench`: measures something by name.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

/// What to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of the measurement
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    bail!("there is no benchmark {} yet: what it would measure is being built", arguments.name)
}
