//! Tests that cannot run here say so, aloud.
//!
//! A test that lacks root, qemu or a kernel package calls [`skip`] and returns. The line goes to stderr past libtest's
//! capture, and to the file named by [`SKIPS_VARIABLE`], where `cargo xtask test` gathers it for its closing report.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// The environment variable that names the file to which skipped tests are written, one a line.
pub const SKIPS_VARIABLE: &str = "TAPWIRE_SKIPS";

/// Says that `test` cannot run here, and why.
///
/// # Panics
/// When the notice cannot be written: a skip that nobody can see is worse than a failure.
pub fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {}\n", reason.trim().replace('\n', "; "));
    std::io::stderr().write_all(line.as_bytes()).expect("stderr takes the notice");
    if let Some(path) = std::env::var_os(SKIPS_VARIABLE) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of skips takes the notice");
    }
}

/// The lines that tests wrote to the file at `path`.
///
/// # Errors
/// When it cannot be read.
pub fn skipped(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
