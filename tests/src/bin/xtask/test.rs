//! `cargo xtask test`: everything that is checked before a change is accepted.
//!
//! Its exit status is 0 when all was run and passed, 1 when something failed, 2 when nothing failed but something could
//! not be run here: a check that did not happen is not a check that passed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use harness::{setup, skip, workspace};

pub(crate) fn run() -> Result<ExitCode> {
    let problems = setup::run();
    let notices = tempfile::NamedTempFile::new()?;
    let mut failures = Vec::new();
    for arguments in CHECKS {
        let words = format!("cargo {}", arguments.join(" "));
        eprintln!("\n== {words}");
        let mut check = workspace::cargo();
        check.args(arguments).env(skip::SKIPS_VARIABLE, notices.path());
        if !check.status().with_context(|| format!("cannot run {words}"))?.success() {
            failures.push(words);
        }
    }
    let skipped = skip::skipped(notices.path())?;
    report("could not be set up", &problems);
    report("could not run", &skipped);
    report("failed", &failures);
    Ok(match (failures.is_empty(), problems.is_empty() && skipped.is_empty()) {
        (false, _) => ExitCode::from(1),
        (true, false) => ExitCode::from(2),
        (true, true) => {
            eprintln!("\n== everything ran and passed");
            ExitCode::SUCCESS
        }
    })
}

/// The checks, quick ones first; each is run even if one before it failed.
const CHECKS: [&[&str]; 3] = [
    &["fmt", "--all", "--check"],
    &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    &["test", "--workspace", "--no-fail-fast"],
];

fn report(what: &str, lines: &[String]) {
    if !lines.is_empty() {
        eprintln!("\n== {what}:");
        for line in lines {
            eprintln!("{line}");
        }
    }
}
