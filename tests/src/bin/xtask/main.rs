//! `cargo xtask`: the project's chores, one subcommand each. It only parses the command line; the work is in the
//! harness.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod setup;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests need, and fetch the kernels they run on
    Setup,
    /// Run everything that is checked before a change is accepted
    Test,
    /// Boot a kernel of the support matrix and run a command in it
    Vm(vm::Arguments),
    /// Show Tapwire at work
    Demo,
    /// Measure something
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Setup => Ok(setup::run()),
        Chore::Test => test::run(),
        Chore::Vm(arguments) => vm::run(&arguments),
        Chore::Demo => demo::run(),
        Chore::Bench(arguments) => bench::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
