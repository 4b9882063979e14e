//! `taprun`: verifies a signed artifact, loads it, attaches it, prints what it says. The command line and nothing else.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use client::elf;
use client::inspect::Inspection;
use client::invoker::{Invoker, check_privileges};
use client::kernel::feature;
use client::output::Output;
use client::run::{Options, Outcome, RunError, run};
use client::verify::{Places, Refusal, Trust, claimed};
use rustix::process::Pid;

/// Verifies a signed artifact, loads it into the kernel and prints what it says.
#[derive(Parser)]
#[command(name = "taprun", version)]
struct Arguments {
    /// Say more; twice, everything the kernel's verifier says
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Run this shell command as the target once the probes are there, and end with it
    #[arg(short, value_name = "CMD", conflicts_with = "target")]
    command: Option<String>,

    /// Take this process as the target, and end with it
    #[arg(short = 'x', value_name = "PID", value_parser = parse_pid)]
    target: Option<Pid>,

    /// Write to this file instead of standard output
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// End after so many seconds
    #[arg(short = 'T', value_name = "SEC")]
    duration_s: Option<u64>,

    /// Trust the signers in this directory, too (root alone)
    #[arg(long, value_name = "DIR")]
    signers: Vec<PathBuf>,

    /// End with this process, which started taprun
    #[arg(long, value_name = "PID", value_parser = parse_pid)]
    parent: Option<Pid>,

    /// Print what the kernel was found able to do, and load nothing
    #[arg(long, exclusive = true)]
    features: bool,

    /// Print what the artifact claims and whether it would be loaded, and load nothing
    #[arg(long)]
    inspect: bool,

    /// The artifact (NAME.tap), or `-` for standard input
    #[arg(required_unless_present = "features")]
    artifact: Option<PathBuf>,
}

/// One line and what to do, a line each.
struct Failure {
    message: String,
    hints: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(&arguments) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Failure) => ExitCode::FAILURE,
        Err(Failure { message, hints }) => {
            let hints = hints.iter().map(|hint| format!("  {hint}\n"));
            // There is nobody left to tell that nobody listens.
            let _ = write!(io::stderr(), "ERROR: {message}\n{}", hints.collect::<String>());
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<Outcome, Failure> {
    if arguments.features {
        check_privileges().map_err(|missing| Failure { message: missing.to_string(), hints: missing.hints() })?;
        let features = feature::features();
        return print(features.iter().map(|feature| format!("{feature}\n")).collect::<String>());
    }
    let invoker = Invoker::current();
    let path = arguments.artifact.as_deref().unwrap_or(Path::new("-"));
    let bytes = invoker.read_artifact(path).map_err(|error| failure(format_args!("{}: {error}", path.display())))?;
    let kernel = elf::kernel_build_id().map_err(|error| failure(format_args!("the kernel's build id: {error}")))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let verify = || trust(invoker, arguments)?.verify(&bytes, &kernel, now_s);
    if arguments.inspect {
        let refusal = verify().err();
        let (signer, manifest) = claimed(&bytes).map_err(refused)?;
        return print(Inspection { signer, manifest: &manifest, refusal: refusal.as_ref(), now_s });
    }
    check_privileges().map_err(|missing| Failure { message: missing.to_string(), hints: missing.hints() })?;
    let artifact = verify().map_err(refused)?;
    let output = match &arguments.output {
        None => Output::stdout().map_err(|error| failure(format_args!("standard output: {error}")))?,
        Some(path) => {
            let file = invoker.create(path).map_err(|error| failure(format_args!("{}: {error}", path.display())))?;
            Output::new(file)
        }
    };
    let options = Options {
        command: arguments.command.clone(),
        target: arguments.target,
        parent: arguments.parent,
        duration: arguments.duration_s.map(Duration::from_secs),
        verbosity: arguments.verbose,
    };
    run(&artifact, &options, output).map_err(|error| broken(&error, arguments.verbose))
}

fn trust(invoker: Invoker, arguments: &Arguments) -> Result<Trust, Refusal> {
    Trust::read(Places::of_host(invoker.is_root(), arguments.signers.clone())?)
}

fn print(text: impl Display) -> Result<Outcome, Failure> {
    match write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failure(error)),
        _ => Ok(Outcome::Success),
    }
}

fn failure(message: impl Display) -> Failure {
    Failure { message: message.to_string(), hints: Vec::new() }
}

fn refused(refusal: Refusal) -> Failure {
    Failure { message: refusal.to_string(), hints: refusal.hints() }
}

fn broken(error: &RunError, verbosity: u8) -> Failure {
    let hints = match error {
        RunError::Load(error) => error.hints(verbosity > 1),
        RunError::Attach(error) => error.reason.hints(),
        RunError::Interpret(_) | RunError::Record(_) | RunError::Output(_) | RunError::System(..) => Vec::new(),
    };
    Failure { message: error.to_string(), hints }
}

fn parse_pid(text: &str) -> Result<Pid, String> {
    let pid = text.parse().ok().filter(|&pid: &i32| pid > 0).and_then(Pid::from_raw);
    pid.ok_or_else(|| "not a process id".to_owned())
}
