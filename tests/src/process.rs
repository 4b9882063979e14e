//! Processes that we start: run to their end, or tied to our life.
//!
//! A test process may end in many ways, `static` values are never dropped, and a virtual machine left behind eats a
//! core. So whatever outlives one call is *tied*: the kernel itself kills it when we are gone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use anyhow::{Context, Result, bail};

/// Runs `command` to its end and returns what it printed on stdout.
///
/// # Errors
/// When it cannot be started or fails; the error carries its stderr.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot run {}", spelled(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}\n{}", spelled(command), output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}

/// Whether `program` can be found in `$PATH`.
#[must_use]
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The words of `command`, as a person would type them.
#[must_use]
pub fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// `word` as one word of a shell command.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A command for `program` that can be given to [`Tied::spawn`].
#[must_use]
pub fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A child process that dies when this value is dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct Tied(Child);

impl Tied {
    /// Starts a command made by [`tied`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: Command) -> Result<Self> {
        let words = spelled(&command);
        let (reply, answer) = channel();
        nursery().send((command, reply)).context("the thread that starts processes is gone")?;
        let child = answer.recv().context("the thread that starts processes is gone")?;
        Ok(Self(child.with_context(|| format!("cannot start {words}"))?))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Its process id; after `setpriv`, which it began as, it is still the same.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it at once; it may have ended already.
    pub fn kill(&mut self) {
        // Both fail only when it has already been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to end, by SIGTERM, and waits until it has.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn terminate(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a tied process prints, in a file without a name: nothing is left of it, however we end.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// An empty log.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn new() -> Result<Self> {
        Ok(Self(tempfile::tempfile()?))
    }

    /// Makes both streams of `command` go here, and gives it nothing to read.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn take(&self, command: &mut Command) -> Result<()> {
        command.stdin(Stdio::null()).stdout(self.0.try_clone()?).stderr(self.0.try_clone()?);
        Ok(())
    }

    /// What has been printed so far.
    #[must_use]
    pub fn text(&self) -> String {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
        // The writers share their position in the file with us, so reading must leave it alone.
        while let Ok(read_bytes @ 1..) = self.0.read_at(&mut chunk, bytes.len() as u64) {
            bytes.extend_from_slice(&chunk[..read_bytes]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last `count` lines that are not empty, indented, behind a line that says so.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let shown = lines[lines.len().saturating_sub(count)..].iter();
        std::iter::once("its last words:".to_owned())
            .chain(shown.map(|line| format!("    {line}")))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// The thread that starts tied processes. The parent-death signal of prctl(2) comes when the parent *thread* ends, and
/// the threads of tests end early; this one lives as long as the process.
fn nursery() -> &'static Sender<Order> {
    static NURSERY: OnceLock<Sender<Order>> = OnceLock::new();
    NURSERY.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // A failed send means that whoever asked is gone; the child is dropped with the message.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    })
}
