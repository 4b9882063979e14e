//! A kernel of the support matrix, booted under qemu, that runs one command after another.
//!
//! The guest is an initramfs of busybox and the caller's files. It reaches the host's loopback at [`HOST`]. Commands and
//! their output travel over three ports of a virtio serial device: unlike a UART they are binary, fast and cost no
//! interrupt a byte, which would show in what is traced. The UART is left to the kernel's console.
//!
//! qemu emulates the processor (TCG) on one thread: on the machines we know, KVM hangs before the kernel starts, and
//! two threads of TCG bring a guest under BPF load to a panic.

mod cpio;
mod files;
mod stream;

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

pub use self::files::{Contents, GuestFile};
use self::stream::Stream;
use crate::packages::Unpacked;
use crate::process::{self, Log, Tied};

/// A shell script that the guest runs before any command; what it exports, commands find in their environment.
pub const PROFILE: &str = "/etc/profile";

/// The host's loopback, as the guest sees it.
pub const HOST: &str = "10.0.2.2";

/// Bytes of output of one command, of each stream. More is a run-away script, and would fill our memory.
pub const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// What to boot.
#[derive(Debug, Clone)]
pub struct Config<'a> {
    /// The kernel.
    pub kernel: &'a Unpacked,
    /// Files to find in the guest.
    pub files: &'a [GuestFile],
    /// Processors of the guest; all are emulated by one thread of ours.
    pub cpus_count: u32,
    /// Memory of the guest, beyond what its files take.
    pub memory_mib: u64,
    /// How long the boot may take.
    pub boot_deadline: Duration,
}

impl<'a> Config<'a> {
    /// Two processors, so that what is per CPU shows; 1 GiB of memory; and minutes to boot, which takes seconds on
    /// a host that is not busy.
    #[must_use]
    pub fn new(kernel: &'a Unpacked) -> Self {
        Self { kernel, files: &[], cpus_count: 2, memory_mib: 1024, boot_deadline: Duration::from_secs(180) }
    }
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The exit status as a shell has it: 128 and the signal's number for a command that was killed.
    pub status: i32,
    /// Everything written to standard output. What a process left in the background writes later shows up in the
    /// output of a later command.
    pub stdout: Vec<u8>,
    /// Everything written to standard error.
    pub stderr: Vec<u8>,
}

/// One of the two streams of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A running guest; it ends when this value is dropped.
#[derive(Debug)]
pub struct Guest {
    name: String,
    qemu: Tied,
    commands: UnixStream,
    arrivals: Receiver<Arrival>,
    streams: [Stream; 2],
    marker_seed: String,
    commands_count: u64,
    console: Log,
}

/// What comes from a port: bytes, or none any more.
type Arrival = (Port, Option<Vec<u8>>);

impl Guest {
    /// Boots a guest and waits until it answers.
    ///
    /// # Errors
    /// When qemu is missing, or the guest panics or does not answer in time; the error shows the console's last lines.
    pub fn boot(config: &Config<'_>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tapwire-guest-").tempdir()?;
        let listeners = PORTS.map(|port| UnixListener::bind(directory.path().join(port)));
        files::write(File::create(directory.path().join(INITRAMFS))?, config.kernel, config.files)?;
        let console = Log::new()?;
        let mut command = qemu(config, directory.path())?;
        console.take(&mut command)?;
        let mut qemu = Tied::spawn(command)?;
        let until = Instant::now() + config.boot_deadline;
        let mut connections = Vec::new();
        for listener in listeners {
            let connection = accept(&listener?, &mut qemu, until);
            connections.push(connection.map_err(|e| anyhow!("{e:#}\n{}", console.last_lines(CONSOLE_LINES_SHOWN)))?);
        }
        let [commands, stdout, stderr] =
            <[UnixStream; 3]>::try_from(connections).map_err(|_| anyhow!("qemu has other ports than we gave it"))?;
        let (sender, arrivals) = channel();
        forward(stdout, Port::Stdout, sender.clone());
        forward(stderr, Port::Stderr, sender);
        let name = config.kernel.name.clone();
        let marker_seed = format!("{:016x}", RandomState::new().hash_one(Instant::now()));
        let streams = [Stream::default(), Stream::default()];
        let mut guest = Self { name, qemu, commands, arrivals, streams, marker_seed, commands_count: 0, console };
        let answer = guest.run("true", until.saturating_duration_since(Instant::now()))?;
        ensure!(answer.status == 0, "the guest {} cannot run `true`: {answer:?}", guest.name);
        Ok(guest)
    }

    /// Runs a shell command to its end, with nothing on its standard input.
    ///
    /// # Errors
    /// When the command does not end within `deadline`, or the guest panics; the error shows the output so far and the
    /// console's last lines, and the guest is good for nothing any more.
    pub fn run(&mut self, command: &str, deadline: Duration) -> Result<Output> {
        self.run_with_input(command, &[], deadline)
    }

    /// Runs a shell command to its end, with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn run_with_input(&mut self, command: &str, input: &[u8], deadline: Duration) -> Result<Output> {
        let mut output = Output::default();
        let ran = self.run_streaming(command, input, deadline, &mut |port, bytes| {
            let stream = match port {
                Port::Stdout => &mut output.stdout,
                Port::Stderr => &mut output.stderr,
            };
            stream.extend_from_slice(bytes);
            ensure!(stream.len() <= OUTPUT_BYTES_MAX, "the output is larger than {OUTPUT_BYTES_MAX} bytes");
            Ok(())
        });
        match ran {
            Ok(status) => Ok(Output { status, ..output }),
            Err(error) => Err(anyhow!("{error:#}{}", so_far(&output))),
        }
    }

    /// Runs a shell command to its end, gives its output to `sink` as it comes, and returns its exit status.
    ///
    /// # Errors
    /// As [`Guest::run`], and when `sink` fails.
    pub fn run_streaming(
        &mut self,
        command: &str,
        input: &[u8],
        deadline: Duration,
        sink: &mut dyn FnMut(Port, &[u8]) -> Result<()>,
    ) -> Result<i32> {
        let ended = self.converse(command, input, Instant::now() + deadline, sink);
        // Whatever went wrong, the guest is in the middle of something, and nobody listens any more.
        ended.inspect_err(|_| self.qemu.kill())
    }

    fn converse(
        &mut self,
        command: &str,
        input: &[u8],
        until: Instant,
        sink: &mut dyn FnMut(Port, &[u8]) -> Result<()>,
    ) -> Result<i32> {
        let marker = self.send(command, input, until)?;
        let mut ends = [None, None];
        // What a process in the background wrote since the last command waits in the streams.
        let mut arrived = vec![(Port::Stdout, Vec::new()), (Port::Stderr, Vec::new())];
        loop {
            for (port, bytes) in arrived.drain(..) {
                let taken = self.streams[port as usize].take(&bytes, marker.as_bytes());
                sink(port, &taken.output)?;
                ends[port as usize] = ends[port as usize].take().or(taken.end);
            }
            if let [Some(status), Some(_)] = &ends {
                return status.parse().with_context(|| format!("the guest's exit status is {status:?}"));
            }
            match self.arrivals.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((port, Some(bytes))) => arrived.push((port, bytes)),
                Ok((_, None)) | Err(RecvTimeoutError::Disconnected) => return Err(self.stopped(command)),
                Err(RecvTimeoutError::Timeout) => return Err(self.late(command)),
            }
        }
    }

    /// Writes a file in the guest.
    ///
    /// # Errors
    /// When the guest cannot write it.
    pub fn put(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let path = process::quoted(path);
        let command = format!("mkdir -p \"$(dirname {path})\" && cat > {path} && chmod {mode:o} {path}");
        let output = self.run_with_input(&command, bytes, Duration::from_secs(60))?;
        ensure!(output.status == 0, "cannot write {path} in the guest: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// What the kernel has said on its console.
    #[must_use]
    pub fn console(&self) -> String {
        self.console.text()
    }

    /// Sends a command, and returns the marker that will end its output.
    fn send(&mut self, command: &str, input: &[u8], until: Instant) -> Result<String> {
        self.commands_count += 1;
        let marker = format!("---end-of-command-{}.{}---", self.marker_seed, self.commands_count);
        let head = format!("{marker} {} {}\n", command.len(), input.len());
        for mut part in [head.as_bytes(), command.as_bytes(), input] {
            while !part.is_empty() {
                let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                self.commands.set_write_timeout(Some(left))?;
                match self.commands.write(part) {
                    Ok(written) => part = &part[written..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(self.late(command)),
                    Err(_) => return Err(self.stopped(command)),
                }
            }
        }
        Ok(marker)
    }

    fn late(&self, command: &str) -> anyhow::Error {
        let console = self.console.last_lines(CONSOLE_LINES_SHOWN);
        anyhow!("the guest {} did not end `{command}` in time\n{console}", self.name)
    }

    fn stopped(&mut self, command: &str) -> anyhow::Error {
        // The ports close shortly before qemu itself has ended.
        let until = Instant::now() + Duration::from_secs(5);
        let how = loop {
            match self.qemu.ended() {
                Ok(Some(status)) => break format!("qemu ended with {status}"),
                Ok(None) if Instant::now() < until => thread::sleep(POLL),
                _ => break "qemu closed its ports and still runs".to_owned(),
            }
        };
        let console = self.console.last_lines(CONSOLE_LINES_SHOWN);
        anyhow!("the guest {} stopped at `{command}`: {how}\n{console}", self.name)
    }
}

/// The ports, in the order in which init.sh opens them.
const PORTS: [&str; 3] = ["commands", "stdout", "stderr"];

/// The first file system, in the same directory as the ports.
const INITRAMFS: &str = "initramfs";

/// Lines of the console that an error shows: a panic with its backtrace.
const CONSOLE_LINES_SHOWN: usize = 50;

/// How long to sleep between two looks at something that only looking can tell.
const POLL: Duration = Duration::from_millis(5);

fn qemu(config: &Config<'_>, directory: &Path) -> Result<Command> {
    let program = "qemu-system-x86_64";
    ensure!(process::exists(program), "{program} is not here: run `cargo xtask setup`");
    let initramfs_bytes = fs::metadata(directory.join(INITRAMFS))?.len();
    // The archive and what is unpacked of it lie in memory side by side.
    let memory_mib = config.memory_mib + 2 * initramfs_bytes.div_ceil(1 << 20);
    let mut qemu = process::tied(program);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    qemu.args(["-accel", "tcg,thread=single", "-cpu", "max"]);
    qemu.args(["-smp", &config.cpus_count.to_string(), "-m", &memory_mib.to_string()]);
    qemu.arg("-kernel").arg(config.kernel.image()).arg("-initrd").arg(directory.join(INITRAMFS));
    // On a busy host the emulated timer is late, and the kernel would take it for broken (no_timer_check).
    qemu.args(["-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off no_timer_check"]);
    qemu.args(["-serial", "stdio"]);
    // Without a ROM the firmware has nothing to boot from the network with, and does not try.
    qemu.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
    qemu.args(["-device", "virtio-serial-pci"]);
    for (index, port) in PORTS.iter().enumerate() {
        qemu.args(["-chardev", &format!("socket,id={port},path={}", directory.join(port).display())]);
        qemu.args(["-device", &format!("virtserialport,chardev={port},name={port},nr={}", index + 1)]);
    }
    Ok(qemu)
}

/// Waits until qemu connects to `listener`.
fn accept(listener: &UnixListener, qemu: &mut Tied, until: Instant) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(false)?;
                return Ok(connection);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = qemu.ended()? {
            bail!("qemu ended with {status}");
        }
        ensure!(Instant::now() < until, "qemu did not open its ports in time");
        thread::sleep(POLL);
    }
}

/// Reads `connection` to its end on a thread of its own, so that the guest never waits for us to read.
fn forward(mut connection: UnixStream, port: Port, arrivals: Sender<Arrival>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(bytes_count @ 1..) = connection.read(&mut buffer) {
            if arrivals.send((port, Some(buffer[..bytes_count].to_vec()))).is_err() {
                return;
            }
        }
        // When the guest's owner is gone, nobody needs to know.
        let _ = arrivals.send((port, None));
    });
}

fn so_far(output: &Output) -> String {
    let mut words = String::new();
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(words, "\nits {name} until then: {:?}", String::from_utf8_lossy(bytes));
        }
    }
    words
}
