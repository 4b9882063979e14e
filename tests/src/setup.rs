//! What the machine must have for the tests, each with its reason, and how it gets there.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{kernels, packages, process};

/// A Debian package that some test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Debian's name of the package.
    pub package: &'static str,
    /// What it is for.
    pub reason: &'static str,
}

/// Everything that the machine must have beside a Rust toolchain.
pub const NEEDS: [Need; 6] = [
    Need { package: "gcc", reason: "compiles the C in our dependencies, and the programs that tests probe" },
    Need { package: "libc6-dev", reason: "the static C library of the static client" },
    Need { package: "qemu-system-x86", reason: "boots the kernels of the support matrix" },
    Need { package: "busybox-static", reason: "is the user space of those guests" },
    Need { package: "debuginfod", reason: "is the debuginfo server that the compile server asks" },
    Need { package: "systemtap-doc", reason: "installs the upstream scripts that the conformance ledger lists" },
];

/// The packages without which nothing of ours is built.
const COMPILERS: [&str; 2] = ["gcc", "libc6-dev"];

/// Installs what is missing and fetches every kernel of the support matrix. Returns what could not be had, each with
/// what a person can do about it; quick when nothing is missing.
#[must_use]
pub fn run() -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(problem) = missing().and_then(install) {
        problems.push(format!("{problem:#}"));
    }
    match kernels::guests() {
        Ok(guests) => {
            problems.extend(guests.iter().filter_map(|kernel| packages::fetch(kernel).err()).map(|e| format!("{e:#}")));
        }
        Err(problem) => problems.push(format!("{problem:#}")),
    }
    problems
}

/// Installs what it takes to build, and nothing else.
///
/// # Errors
/// When something is missing and cannot be had.
pub fn compilers() -> Result<()> {
    let missing = missing()?.into_iter().filter(|need| COMPILERS.contains(&need.package)).collect();
    install(missing)
}

/// Which of [`NEEDS`] are not installed.
///
/// # Errors
/// When the machine is not Debian's.
pub fn missing() -> Result<Vec<Need>> {
    let mut command = Command::new("dpkg-query");
    command.args(["-W", "-f", "${Package} ${db:Status-Status}\\n"]).args(NEEDS.map(|need| need.package));
    // It fails when it knows nothing of one of them; what it knows of the others stands on stdout all the same.
    let known = command.output().context("cannot run dpkg-query: the test bed needs Debian or a descendant of it")?;
    let known = String::from_utf8_lossy(&known.stdout);
    let installed = |need: &Need| known.lines().any(|line| line == format!("{} installed", need.package));
    Ok(NEEDS.into_iter().filter(|need| !installed(need)).collect())
}

/// Why a test cannot run that needs `wanted`, packages out of [`NEEDS`]; `None` when they are installed.
///
/// # Errors
/// When the machine is not Debian's.
pub fn lacking(wanted: &[&str]) -> Result<Option<String>> {
    let lacking: Vec<_> = missing()?.into_iter().map(|need| need.package).filter(|it| wanted.contains(it)).collect();
    let reason = || format!("{} not installed: run `cargo xtask setup`", lacking.join(", "));
    Ok((!lacking.is_empty()).then(reason))
}

fn install(missing: Vec<Need>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("missing: {}, which {}", need.package, need.reason);
    }
    let install = || {
        let mut command = Command::new("apt-get");
        command.args(["install", "-y", "-qq", "--no-install-recommends"]);
        command.args(missing.iter().map(|need| need.package)).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    if !rustix::process::geteuid().is_root() {
        bail!("packages are missing: run `{}` as root", process::spelled(&install()));
    }
    eprintln!("installing them");
    process::output(&mut install())
        .or_else(|_| packages::refresh_lists().and_then(|()| process::output(&mut install())))
        .map(drop)
}
