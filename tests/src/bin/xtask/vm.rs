//! `cargo xtask vm`: a command, or a look around, in a kernel of the support matrix.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use harness::guest::{GuestFile, Port};
use harness::stand::{Plan, Stand};
use harness::{kernels, packages, process};

/// What to boot, what to put in it and what to run.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kernel, by its name in vagrant/kernels.toml
    kernel: String,
    /// A file of the host, and where to put it in the guest; a dynamic program brings its libraries along
    #[arg(long = "file", value_name = "SRC:DST")]
    files: Vec<String>,
    /// How long the command may run
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    deadline_s: u64,
    /// The command: one word is a line of shell, several are a program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let kernel = packages::fetch(&kernels::guest(&arguments.kernel)?)?;
    let mut files = Vec::new();
    for spelled in &arguments.files {
        files.extend(guest_files(spelled)?);
    }
    let mut stand = Stand::start(Plan { kernel: &kernel, files: &files, programs: &[] })?;
    let command = match arguments.command.as_slice() {
        [line] => line.clone(),
        words => words.iter().map(|word| process::quoted(word)).collect::<Vec<_>>().join(" "),
    };
    let deadline = Duration::from_secs(arguments.deadline_s);
    let status = stand.guest.run_streaming(&command, &[], deadline, &mut print)?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)))
}

/// `SRC:DST`, with the libraries that SRC needs if it is a dynamic program.
fn guest_files(spelled: &str) -> Result<Vec<GuestFile>> {
    let (source, path) = spelled.split_once(':').with_context(|| format!("--file {spelled}: write SRC:DST"))?;
    let source = Path::new(source);
    // ldd fails for whatever is no dynamic program.
    GuestFile::program(path, source).or_else(|_| Ok(vec![GuestFile::host(path, source)?]))
}

fn print(port: Port, bytes: &[u8]) -> Result<()> {
    match port {
        Port::Stdout => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(bytes)?;
            Ok(stdout.flush()?)
        }
        Port::Stderr => Ok(std::io::stderr().write_all(bytes)?),
    }
}
