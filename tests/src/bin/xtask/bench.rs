//! `cargo xtask bench`: measures something by name.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use harness::bench::BENCHES;

/// What to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of the bench; without one, all are listed
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Some(name) = &arguments.name else {
        BENCHES.iter().for_each(|bench| println!("{:<12} {}", bench.name, bench.about));
        return Ok(ExitCode::SUCCESS);
    };
    let bench = BENCHES.iter().find(|bench| bench.name == name);
    (bench.with_context(|| format!("no bench {name}: `cargo xtask bench` lists them"))?.run)()?;
    Ok(ExitCode::SUCCESS)
}
