//! Scripts on real kernels: every case of `kernel/`, on this machine and on every guest of the support matrix.
//!
//! A case is a script. Its first line says what it shows; directives follow:
//!
//! | directive | meaning |
//! |---|---|
//! | `//@ before: LINE` | run this in a shell first |
//! | `//@ command: LINE` | what `-c` runs while the script does |
//! | `//@ arguments: WORDS` | the script's arguments |
//! | `//@ needs: FEATURE` | skip hosts whose kernel has it not (`taprun --features` lists them) |
//! | `//@ expect: COUNT REGEX` | so many lines of output match; `+`: at least one |
//! | `//@ expect: = TEXT` | the output is exactly this (`\n` for a newline) |
//! | `//@ only: REGEX` | every line of output matches |
//! | `//@ stderr: REGEX` | the messages match |
//! | `//@ status: N` | the exit status, else 0 |
//!
//! `$PROBED` and `$PROBED_O2` stand for `fixtures/progs/probed.c`, compiled with `-g -O0` and `-g -O2`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::guest::GuestFile;
use harness::here::Here;
use harness::stand::{Plan, SERVER, Stand};
use harness::{kernels, packages, process, skip, workspace};
use libtest_mimic::{Arguments, Trial};
use regex::Regex;

/// How long a case may take in a guest, which is slow, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = cases().expect("the cases can be read");
    let mut trials = Vec::new();
    for host in hosts() {
        for case in &cases {
            let (host, case) = (Arc::clone(&host), Arc::clone(case));
            let name = format!("{}::{}", host.name, case.name);
            trials.push(Trial::test(name.clone(), move || {
                Ok(host.try_case(&name, &case).map_err(|error| format!("{error:#}"))?)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

// Cases

struct Case {
    name: String,
    path: PathBuf,
    before: Option<String>,
    command: Option<String>,
    arguments: String,
    needs: Vec<String>,
    expectations: Vec<Expectation>,
    stderr: Option<Regex>,
    status: i32,
}

enum Expectation {
    Lines(usize, Regex),
    SomeLine(Regex),
    EveryLine(Regex),
    Whole(String),
}

fn cases() -> Result<Vec<Arc<Case>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(workspace::root().join("tests/kernel"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    let scripts = paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "stp"));
    scripts.map(|path| Case::read(&path).map(Arc::new).with_context(|| path.display().to_string())).collect()
}

impl Case {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        ensure!(text.starts_with("// "), "the first line says what the case shows");
        let name = path.file_stem().context("a name")?.to_string_lossy().into_owned();
        let mut case = Self {
            name,
            path: path.to_owned(),
            before: None,
            command: None,
            arguments: String::new(),
            needs: Vec::new(),
            expectations: Vec::new(),
            stderr: None,
            status: 0,
        };
        for line in text.lines() {
            let Some(directive) = line.strip_prefix("//@ ") else { continue };
            let (key, value) = directive.split_once(": ").with_context(|| format!("no value in {line:?}"))?;
            match key {
                "before" => case.before = Some(value.to_owned()),
                "command" => case.command = Some(value.to_owned()),
                "arguments" => value.clone_into(&mut case.arguments),
                "needs" => case.needs.push(value.to_owned()),
                "expect" => case.expectations.push(Expectation::read(value)?),
                "only" => case.expectations.push(Expectation::EveryLine(Regex::new(value)?)),
                "stderr" => case.stderr = Some(Regex::new(value)?),
                "status" => case.status = value.parse()?,
                _ => bail!("unknown directive {key:?}"),
            }
        }
        ensure!(!case.expectations.is_empty() || case.stderr.is_some(), "a case that expects nothing cannot fail");
        Ok(case)
    }

    fn judge(&self, output: &Output) -> Result<()> {
        let Output { status, stdout, stderr } = output;
        let shown = || format!("status {status}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        ensure!(*status == self.status, "expected status {}, got {}", self.status, shown());
        for expectation in &self.expectations {
            match expectation {
                Expectation::Lines(count, regex) => {
                    let found = stdout.lines().filter(|line| regex.is_match(line)).count();
                    ensure!(found == *count, "expected {count} lines with {regex}, got {found}; {}", shown());
                }
                Expectation::SomeLine(regex) => {
                    ensure!(stdout.lines().any(|line| regex.is_match(line)), "no line with {regex}; {}", shown());
                }
                Expectation::EveryLine(regex) => {
                    ensure!(stdout.lines().all(|line| regex.is_match(line)), "a line without {regex}; {}", shown());
                }
                Expectation::Whole(text) => ensure!(stdout == text, "expected {text:?}; {}", shown()),
            }
        }
        if let Some(regex) = &self.stderr {
            ensure!(regex.is_match(stderr), "no message with {regex}; {}", shown());
        }
        Ok(())
    }
}

impl Expectation {
    fn read(value: &str) -> Result<Self> {
        let (count, text) = value.split_once(' ').context("a count and a regular expression")?;
        Ok(match count {
            "=" => Self::Whole(text.replace("\\n", "\n")),
            "+" => Self::SomeLine(Regex::new(text)?),
            count => Self::Lines(count.parse()?, Regex::new(text)?),
        })
    }
}

// Hosts

/// Where cases run: one at a time, the host is shared.
struct Host {
    name: String,
    kernel: Option<kernels::Kernel>,
    started: OnceLock<Result<Mutex<Started>, Unusable>>,
}

enum Started {
    Here(Here, Programs),
    Guest(Box<Stand>, Programs),
}

/// Why a host cannot run cases: a lack that is named, or a failure.
enum Unusable {
    Lacking(String),
    Broken(String),
}

struct Output {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Where the probed programs are on a host.
struct Programs {
    dir: PathBuf,
    /// Compiled here, and served to debuginfod from here.
    _compiled: tempfile::TempDir,
}

fn hosts() -> Vec<Arc<Host>> {
    let host = |name: &str, kernel| Arc::new(Host { name: name.to_owned(), kernel, started: OnceLock::new() });
    let guests = kernels::guests().expect("the support matrix can be read");
    let guests = guests.into_iter().map(|kernel| host(&kernel.name.clone(), Some(kernel)));
    std::iter::once(host("here", None)).chain(guests).collect()
}

impl Host {
    fn try_case(&self, test: &str, case: &Case) -> Result<()> {
        let started = match self.started.get_or_init(|| self.start()) {
            Ok(started) => started,
            Err(Unusable::Lacking(what)) => {
                skip::skip(test, what);
                return Ok(());
            }
            Err(Unusable::Broken(why)) => bail!("{} did not start: {why}", self.name),
        };
        // A case that failed leaves the host as it was: others may go on.
        let mut started = started.lock().unwrap_or_else(PoisonError::into_inner);
        let features = started.shell("taprun --features")?.stdout;
        if let Some(missing) = case.needs.iter().find(|need| !features.lines().any(|feature| feature == *need)) {
            // No lack of this machine's setup, but of its kernel: another host runs the case.
            println!("{test}: the kernel has no {missing}");
            return Ok(());
        }
        if let Some(before) = &case.before {
            let output = started.shell(before)?;
            ensure!(output.status == 0, "{before:?} failed: {}", output.stderr);
        }
        let script = started.put(&case.path)?;
        let server = if self.kernel.is_some() { format!("--use-server=${SERVER} ") } else { String::new() };
        let command = case.command.as_ref().map_or(String::new(), |line| format!("-c {} ", started.quoted(line)));
        case.judge(&started.shell(&format!("tapwire {server}{command}{script} {}", case.arguments))?)
    }

    fn start(&self) -> Result<Mutex<Started>, Unusable> {
        if let Some(lack) = lack(self.kernel.is_some()) {
            return Err(Unusable::Lacking(lack));
        }
        let broken = |error: anyhow::Error| Unusable::Broken(format!("{error:#}"));
        let Some(kernel) = &self.kernel else {
            return here().map(Mutex::new).map_err(broken);
        };
        match packages::cached(kernel) {
            Ok(Some(unpacked)) => guest(&unpacked).map(Mutex::new).map_err(broken),
            Ok(None) => Err(Unusable::Lacking(format!(
                "the packages of {} are not here; `cargo xtask setup` fetches them",
                self.name
            ))),
            Err(error) => Err(broken(error)),
        }
    }
}

fn lack(of_guest: bool) -> Option<String> {
    if !of_guest && !rustix::process::geteuid().is_root() {
        return Some("loading eBPF takes root".to_owned());
    }
    let programs: &[&str] =
        if of_guest { &["qemu-system-x86_64", "debuginfod", "gcc"] } else { &["debuginfod", "gcc"] };
    let missing = programs.iter().find(|program| !process::exists(program))?;
    Some(format!("there is no {missing}; `cargo xtask setup` installs it"))
}

fn here() -> Result<Started> {
    let programs = Programs::compile()?;
    let here = Here::start(std::slice::from_ref(&programs.dir))?;
    Ok(Started::Here(here, programs))
}

fn guest(kernel: &packages::Unpacked) -> Result<Started> {
    let compiled = Programs::compile()?;
    let mut files = Vec::new();
    for name in ["probed", "probed-o2"] {
        files.extend(GuestFile::program(&format!("/opt/{name}"), &compiled.dir.join(name))?);
    }
    let plan = Plan { kernel, files: &files, programs: std::slice::from_ref(&compiled.dir) };
    let stand = Stand::start(plan)?;
    Ok(Started::Guest(Box::new(stand), Programs { dir: PathBuf::from("/opt"), ..compiled }))
}

impl Programs {
    fn compile() -> Result<Self> {
        let compiled = tempfile::tempdir()?;
        let source = workspace::root().join("tests/fixtures/progs/probed.c");
        for (name, level) in [("probed", "-O0"), ("probed-o2", "-O2")] {
            let mut gcc = Command::new("gcc");
            gcc.args(["-g", level, "-Wl,--build-id", "-o"]).arg(compiled.path().join(name)).arg(&source);
            process::output(&mut gcc)?;
        }
        Ok(Self { dir: compiled.path().to_owned(), _compiled: compiled })
    }
}

impl Started {
    fn programs(&self) -> &Programs {
        match self {
            Self::Here(_, programs) | Self::Guest(_, programs) => programs,
        }
    }

    /// A line as one word of a shell, with the programs' paths in it.
    fn quoted(&self, line: &str) -> String {
        process::quoted(&self.expanded(line))
    }

    fn expanded(&self, line: &str) -> String {
        let dir = self.programs().dir.display();
        line.replace("$PROBED_O2", &format!("{dir}/probed-o2")).replace("$PROBED", &format!("{dir}/probed"))
    }

    /// Puts a script where the host finds it.
    fn put(&mut self, path: &Path) -> Result<String> {
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        match self {
            Self::Here(..) => Ok(path.display().to_string()),
            Self::Guest(stand, _) => {
                let there = format!("/tmp/{name}");
                stand.guest.put(&there, 0o644, &std::fs::read(path)?)?;
                Ok(there)
            }
        }
    }

    fn shell(&mut self, line: &str) -> Result<Output> {
        let line = self.expanded(line);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(match self {
            Self::Here(here, _) => {
                let output = here.shell(&line).output()?;
                let status = output.status.code().context("a signal ended it")?;
                Output { status, stdout: text(output.stdout), stderr: text(output.stderr) }
            }
            Self::Guest(stand, _) => {
                let output = stand.guest.run(&line, DEADLINE)?;
                Output { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
            }
        })
    }
}
