//! `cargo xtask setup`: makes the machine ready for the tests.

use std::process::ExitCode;

use harness::setup;

pub(crate) fn run() -> ExitCode {
    let problems = setup::run();
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
