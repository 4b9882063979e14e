//! `cargo xtask demo`: Tapwire at work on this very machine, for some seconds.

use std::process::ExitCode;

use anyhow::Result;
use harness::here::Here;
use harness::{process, setup, workspace};

/// How long it watches.
const SECONDS: u32 = 8;

pub(crate) fn run() -> Result<ExitCode> {
    setup::compilers()?;
    eprintln!("building; the first time takes some minutes");
    let here = Here::start(&[])?;
    let script = workspace::root().join("tests/demo.stp");
    let tapwire = |options: &str| {
        let line = format!("tapwire {options} {} {SECONDS}", process::quoted(&script.to_string_lossy()));
        eprintln!("\n$ {line}");
        here.shell(&line).status()
    };
    if !rustix::process::geteuid().is_root() {
        let status = tapwire("-p3")?;
        eprintln!(
            "\nleft out: running it. Only root may load programs into the kernel: run `cargo xtask demo` as root"
        );
        return Ok(if status.success() { ExitCode::from(2) } else { ExitCode::FAILURE });
    }
    let status = tapwire("-v")?;
    eprintln!("\nThe script is tests/demo.stp. The README shows what else there is.");
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
