//! The workspace we are in, and the binaries it builds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The machine that the static client is built for, and whose kernels the test bed boots.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    // Cargo says at run time where the package is; a binary started by hand falls back on where it was built.
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or(PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let found = package.ancestors().find(|directory| directory.join("Cargo.lock").is_file());
    found.unwrap_or(&package).to_path_buf()
}

/// A `cargo` command in the workspace's root, by the cargo that runs us.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    command
}

/// Builds the client without a single shared library, as it is shipped, but as quickly as tests are built. Returns the paths
/// of its binaries, `taprun` and `tapwire`.
///
/// # Errors
/// When it does not build; cargo's own words go to stderr.
pub fn static_client() -> Result<Vec<PathBuf>> {
    let flags = format!(r#"target.{TARGET}.rustflags=["-C","target-feature=+crt-static"]"#);
    build(&["--target", TARGET, "--package", "tapwire-client", "--bins", "--config", &flags])
}

/// How a binary is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As tests are.
    Dev,
    /// As it is shipped, for measuring.
    Release,
}

/// Builds the binaries of a package of the workspace, and returns their paths.
///
/// # Errors
/// When it does not build; cargo's own words go to stderr.
pub fn binaries(package: &str, profile: Profile) -> Result<Vec<PathBuf>> {
    match profile {
        Profile::Dev => build(&["--package", package, "--bins"]),
        Profile::Release => build(&["--package", package, "--bins", "--release"]),
    }
}

/// Runs `cargo build` with `arguments` and returns the executables that it made or found fresh, sorted by name.
fn build(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    /// One line of `--message-format=json`.
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let mut command = cargo();
    command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]).args(arguments);
    // In the environment they would take the place of those that --config gives.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo build {} failed", arguments.join(" "));
    let mut executables = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Message = serde_json::from_str(line).context("cannot understand what cargo build says")?;
        executables.extend(message.executable);
    }
    executables.sort_by(|a, b| name(a).cmp(&name(b)));
    Ok(executables)
}

fn name(path: &Path) -> Option<&std::ffi::OsStr> {
    path.file_name()
}
