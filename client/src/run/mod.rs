//! A session, from a verified artifact to its last word: `begin` handlers, probes, timers, `end` handlers.
//!
//! One thread. Probes run in the kernel and send records through the ring buffer; everything else happens here, in the
//! order of the functions of `Session`.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use rustix::thread::{MembarrierCommand, membarrier};
use shared::abi::event::{Record, RecordError, decode};
use shared::abi::map::{SessionState, session};
use shared::artifact::VerifiedArtifact;
use shared::ir::Ir;
use signal_hook::consts::{SIGHUP, SIGTERM};

use crate::attach::timer::Timers;
use crate::attach::{AttachError, Attacher, Firing, Link, been};
use crate::interpret::{Bounds, InterpretError, Message, interpret};
use crate::load::{LoadError, Loaded, Parameters, load};
use crate::output::Output;
use console::Console;
pub use console::error_text;
use process::{Command, Process};
use signals::Signals;
use world::{Cells, HostWorld, set_state};

mod console;

mod process;

mod signals;

mod world;

/// How long the session sleeps at the most: probes may leave out wake-ups, and signals only set a flag.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Records taken in one go before the session looks around again.
const RECORDS_AT_ONCE: usize = 4096;

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `-c`: a shell command to run once everything is attached; the session ends with it.
    pub command: Option<String>,
    /// `-x`: the process that `target()` gives; the session ends with it.
    pub target: Option<Pid>,
    /// A process without which the session has no use: the one that started it.
    pub parent: Option<Pid>,
    /// `-T`: how long the session lasts.
    pub duration: Option<Duration>,
    /// `-v`, as often as it was given.
    pub verbosity: u8,
}

/// Why a session could not be held, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel does not take the artifact.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A probe cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A handler cannot be run.
    #[error(transparent)]
    Interpret(#[from] InterpretError),
    /// What came through the ring buffer is none of this session's.
    #[error("bug in codegen: {0}")]
    Record(#[from] RecordError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// A process or the system does not do what is needed.
    #[error("{0}: {1}")]
    System(String, io::Error),
}

/// How a session went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Success,
    /// There were run-time errors, or the command of `-c` failed.
    Failure,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Exit,
    Errors,
    Skipped,
    Signal(i32),
    CommandEnded,
    TargetEnded,
    ParentEnded,
    TimeOver,
    OutputClosed,
}

type Result<T = ()> = std::result::Result<T, RunError>;

struct Session<'a> {
    ir: &'a Ir,
    options: &'a Options,
    console: Console<'a>,
    parameters: Parameters,
    loaded: Loaded,
    links: Vec<Link>,
    signals: Signals,
    command: Option<Command>,
    target: Option<Process>,
    parent: Option<Process>,
    exited: bool,
    cells: Cells,
}

/// Holds a session. The output is complete when this returns.
///
/// # Errors
/// When it cannot start, or breaks. Run-time errors of the script are no such errors.
pub fn run(artifact: &VerifiedArtifact, options: &Options, output: Output) -> Result<Outcome> {
    let claims = artifact.claims();
    // Forked before anything else: the child is to inherit nothing.
    let command = options.command.as_deref().map(Command::hold).transpose();
    let command = command.map_err(|error| RunError::System("cannot start the command".to_owned(), error))?;
    let target = options.target.map(open_process).transpose()?;
    let parent = options.parent.map(open_process).transpose()?;
    let signals = Signals::catch().map_err(|error| RunError::System("cannot catch signals".to_owned(), error))?;
    let parameters = Parameters::measure(&claims.parameters, command.as_ref().map(Command::pid).or(options.target))?;
    let mut session = Session {
        ir: &claims.ir,
        options,
        console: Console::new(&claims.ir, output),
        loaded: load(artifact, &parameters)?,
        parameters,
        links: Vec::new(),
        signals,
        command,
        target,
        parent,
        exited: false,
        cells: Cells::new(),
    };
    let outcome = session.hold(artifact);
    session.console.output.flush();
    outcome
}

fn open_process(pid: Pid) -> Result<Process> {
    Process::open(pid).map_err(|error| RunError::System(format!("cannot watch process {pid}"), error))
}

impl Session<'_> {
    fn hold(&mut self, artifact: &VerifiedArtifact) -> Result<Outcome> {
        let stop = match self.begin()? {
            Some(stop) => stop,
            None => {
                self.attach(artifact)?;
                self.watch()?
            }
        };
        self.detach()?;
        self.end()?;
        self.close(stop)
    }

    /// Runs the `begin` handlers. Gives a reason where there is already one to end.
    fn begin(&mut self) -> Result<Option<Stop>> {
        for firing in been::begin(self.ir) {
            self.fire(firing)?;
            if let Some(stop) = self.stop() {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// Attaches every program, and lets the command run.
    fn attach(&mut self, artifact: &VerifiedArtifact) -> Result {
        set_state(&self.loaded.maps, SessionState::Running);
        let started = Instant::now();
        let mut attacher = Attacher::default();
        for index in artifact.programs() {
            let Some(program) = self.loaded.program(index) else { continue };
            let warn = |error: &AttachError| self.console.say(format_args!("WARNING: {error}"));
            self.links.extend(attacher.attach(&self.ir.handlers[index], program, warn)?);
        }
        if self.options.verbosity > 0 {
            let (count, took) = (self.links.len(), started.elapsed());
            self.console.say(format_args!("taprun: {count} probe points attached in {} ms", took.as_millis()));
        }
        let released = self.command.as_mut().map_or(Ok(()), Command::release);
        released.map_err(|error| RunError::System("cannot start the command".to_owned(), error))
    }

    /// Prints what probes send and fires timers until there is a reason to end.
    fn watch(&mut self) -> Result<Stop> {
        let started = Instant::now();
        let end = self.options.duration.and_then(|duration| started.checked_add(duration));
        let mut timers = Timers::start(self.ir, started);
        loop {
            let is_drained = self.drain()?;
            if let Some(stop) = self.stop() {
                return Ok(stop);
            }
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) {
                return Ok(Stop::TimeOver);
            }
            for firing in timers.take_due(now) {
                // What was sent before the timer was due is printed before what it prints.
                self.drain()?;
                if let Some(stop) = self.stop() {
                    return Ok(stop);
                }
                self.fire(firing)?;
            }
            if is_drained {
                self.console.output.flush();
                self.sleep([timers.next_due(), end]);
            }
        }
    }

    /// Detaches every probe. Programs that were running have ended when this returns, and what they sent is printed.
    fn detach(&mut self) -> Result {
        set_state(&self.loaded.maps, SessionState::Stopping);
        self.links.clear();
        // Waits for an RCU grace period, as long as a program can run. Kernels without it lose at most a last record.
        let _ = membarrier(MembarrierCommand::Global);
        while !self.drain()? {}
        Ok(())
    }

    /// Runs the `end` handlers, unless errors ended the session.
    fn end(&mut self) -> Result {
        // A signal has ended the session; it must not end these handlers as well.
        self.signals.forget();
        for firing in been::end(self.ir) {
            if self.console.has_too_many_errors() {
                break;
            }
            self.fire(firing)?;
        }
        self.console.output.flush();
        Ok(())
    }

    /// Says how it went.
    fn close(&mut self, stop: Stop) -> Result<Outcome> {
        if self.options.verbosity > 0 {
            self.console.say(format_args!("taprun: the session ended: {stop}"));
        }
        let lost = self.loaded.maps.globals.word(session::LOST).map_or(0, |word| word.load(Ordering::SeqCst));
        if lost > 0 {
            self.console.say(format_args!("WARNING: There were {lost} lost events"));
        }
        let errors = self.console.errors;
        let skipped = self.skipped();
        if errors > 0 || skipped > 0 {
            self.console.say(format_args!("WARNING: Number of errors: {errors}, skipped probes: {skipped}"));
        }
        let has_failed = self.wait_for_command(stop);
        match self.console.output.take_error() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(RunError::Output(error)),
            _ if errors > 0 || stop == Stop::Skipped || has_failed => Ok(Outcome::Failure),
            _ => Ok(Outcome::Success),
        }
    }

    /// Handlers that found no scratch memory.
    fn skipped(&self) -> u64 {
        self.loaded.maps.globals.word(session::SKIPPED).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Waits for the command, which may outlive the session, as long as somebody may wait for us. Gives whether it failed.
    fn wait_for_command(&mut self, stop: Stop) -> bool {
        let Some(command) = self.command.as_ref().filter(|command| command.is_released()) else { return false };
        let is_awaited = !matches!(stop, Stop::Signal(SIGTERM | SIGHUP) | Stop::ParentEnded);
        if is_awaited && !command.process.has_ended(Duration::ZERO) {
            self.console.say("Waiting for the command to exit");
            while !command.process.has_ended(SLEEP_MAX) && self.signals.received().is_none() {}
        }
        let failure = command.failure();
        if let Some(failure) = &failure {
            self.console.say(format_args!("WARNING: {failure}"));
        }
        failure.is_some()
    }

    /// Runs a handler of ours.
    fn fire(&mut self, firing: Firing) -> Result {
        let mut world = HostWorld {
            ir: self.ir,
            maps: &self.loaded.maps,
            parameters: &self.parameters,
            console: &mut self.console,
            signals: &self.signals,
            firing,
            exited: &mut self.exited,
            cells: &mut self.cells,
        };
        Ok(interpret(self.ir, self.ir.handlers[firing.handler].function, &mut world, Bounds::of_user_side(self.ir))?)
    }

    /// Takes records from the ring buffer, not forever. Gives whether it was emptied.
    fn drain(&mut self) -> Result<bool> {
        for _ in 0..RECORDS_AT_ONCE {
            let Some(bytes) = self.loaded.events.next() else { return Ok(true) };
            match decode(self.ir, &bytes)? {
                Record::Print { format, arguments } => self.console.print(format, &arguments),
                Record::Exit => self.exited = true,
                Record::Raise { handler, point, location, format, arguments } => {
                    self.console.raise(Firing { handler, point }, location, &Message::Format { format, arguments });
                }
            }
        }
        Ok(false)
    }

    /// A reason to end, if there is one.
    fn stop(&self) -> Option<Stop> {
        let has_ended = |process: Option<&Process>| process.is_some_and(|process| process.has_ended(Duration::ZERO));
        match () {
            () if self.console.has_too_many_errors() => Some(Stop::Errors),
            () if self.skipped() > u64::from(self.ir.limits.skipped_max) => Some(Stop::Skipped),
            () if self.exited => Some(Stop::Exit),
            () if self.console.output.has_failed() => Some(Stop::OutputClosed),
            () if has_ended(self.command.as_ref().map(|command| &command.process)) => Some(Stop::CommandEnded),
            () if has_ended(self.target.as_ref()) => Some(Stop::TargetEnded),
            () if has_ended(self.parent.as_ref()) => Some(Stop::ParentEnded),
            () => self.signals.received().map(Stop::Signal),
        }
    }

    /// Sleeps until a record comes, a process ends or a moment is there; a signal wakes it up, too.
    fn sleep(&self, until: [Option<Instant>; 2]) {
        let now = Instant::now();
        let moments = until.into_iter().flatten().map(|moment| moment.saturating_duration_since(now));
        let wait = moments.fold(SLEEP_MAX, Duration::min);
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        let command = self.command.as_ref().map(|command| &command.process);
        let processes = [command, self.target.as_ref(), self.parent.as_ref()];
        let fds = processes.into_iter().flatten().map(|process| process.as_fd());
        let fds = fds.chain([self.loaded.events.as_fd()]);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // Whatever ends the sleep, an error included, the loop looks at everything.
        let _ = poll(&mut fds, Some(&wait));
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit => f.write_str("exit() was called"),
            Self::Errors => f.write_str("too many run-time errors"),
            Self::Skipped => f.write_str("too many skipped probes"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::CommandEnded => f.write_str("the command ended"),
            Self::TargetEnded => f.write_str("the target ended"),
            Self::ParentEnded => f.write_str("the process that started it ended"),
            Self::TimeOver => f.write_str("its time is over"),
            Self::OutputClosed => f.write_str("nobody takes the output"),
        }
    }
}
