//! A compile server of the user's own, on loopback: finds the one that runs, or starts one. Keys and certificates are its
//! affair; it is talked to like any other server.
//!
//! Each environment has its own, in `$XDG_STATE_HOME/tapwire/personal-DIGEST`: what a server inherits when it starts is
//! part of what it does. What lies in the directory is said in [`shared::trust::store::personal`]; beside that are `log`,
//! what the server printed, and `starting`, locked by whoever looks for a server, so that two commands at once
//! start one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use shared::artifact::manifest::Digest;
use shared::trust::store::personal::{ADDRESS, LOCK};

use crate::render::plain;
use crate::sibling::{self, SiblingMissing};

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// Its directory, which holds what [`crate::submit::credentials`] and `taprun --signers` read.
    pub dir: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it was started just now.
    pub is_new: bool,
}

/// Why there is no server of the user's own.
#[derive(Debug, thiserror::Error)]
pub enum PersonalError {
    /// There is none to start.
    #[error(transparent)]
    NoTapwired(#[from] SiblingMissing),
    /// The user has no directory for it.
    #[error("cannot find a directory for your own compile server: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// The user became another one, and kept the home.
    #[error("your own compile server belongs into your home, but HOME ({}) is somebody else's", .0.display())]
    NotOurHome(PathBuf),
    /// The directory is somebody else's, or open to others.
    #[error("your own compile server's directory {} belongs to somebody else, or is open to others", .0.display())]
    NotPrivate(PathBuf),
    /// The operating system refused.
    #[error("your own compile server: {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The server ended at once, or says nothing.
    #[error("your own compile server did not start: {reason}")]
    NotStarted {
        /// What happened.
        reason: String,
        /// The end of what it printed.
        log: Vec<String>,
        /// All of it.
        log_path: PathBuf,
    },
}

impl PersonalError {
    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoTapwired(_) => {
                vec!["install tapwired on this host, or name a compile server: --use-server=HOST".to_owned()]
            }
            Self::NoHome => vec!["set HOME, or name a compile server: --use-server=HOST".to_owned()],
            Self::NotOurHome(_) => vec!["take your own home along: sudo -H tapwire".to_owned()],
            Self::NotPrivate(dir) => vec![format!("remove it: rm -r {}", dir.display())],
            Self::Io { .. } => Vec::new(),
            Self::NotStarted { log, log_path, .. } => {
                let said = log.iter().map(|line| format!("it said: {line}"));
                said.chain([format!("all it said is in {}", log_path.display())]).collect()
            }
        }
    }
}

type Result<T> = std::result::Result<T, PersonalError>;

/// How long a server may take from its start until it listens. It makes keys first.
const START_TIME_MAX: Duration = Duration::from_secs(15);

/// How long to sleep between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lines and bytes of the log that are shown.
const LOG_LINES_SHOWN: usize = 10;
const LOG_BYTES_SHOWN: u64 = 4096;

/// What of the environment changes what a server does: where it finds and keeps debuginfo, and by which way.
const INHERITED: [&str; 9] = [
    "DEBUGINFOD_URLS",
    "DEBUGINFOD_CACHE_PATH",
    "DEBUGINFOD_TIMEOUT",
    "XDG_CACHE_HOME",
    "HOME",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Finds the server that runs, or starts one.
///
/// # Errors
/// When there is none and none can be started.
pub fn find_or_start() -> Result<Personal> {
    let tapwired = sibling::find("tapwired")?;
    let dir = state_dir()?.join("tapwire").join(format!("personal-{}", &environment_digest(&tapwired)?[..16]));
    in_dir(&dir, &tapwired, START_TIME_MAX)
}

fn in_dir(dir: &Path, tapwired: &Path, time_max: Duration) -> Result<Personal> {
    make_private(dir)?;
    let deadline = Instant::now() + time_max;
    let starting = lock_file(&dir.join("starting"))?;
    while !try_lock(&starting, dir)? {
        wait(dir, deadline, "another tapwire is starting it")?;
    }
    let mut started: Option<Child> = None;
    loop {
        match (is_running(dir)?, started.as_mut()) {
            (true, started) => {
                // A server without an address has just begun, or is about to end.
                if let Some(address) = read_address(dir)? {
                    return Ok(Personal { dir: dir.to_owned(), address, is_new: started.is_some() });
                }
            }
            (false, None) => started = Some(start(dir, tapwired)?),
            (false, Some(child)) => {
                if let Some(status) = child.try_wait().map_err(io_at(tapwired))? {
                    return Err(not_started(dir, format!("{} ended with {status}", tapwired.display())));
                }
            }
        }
        wait(dir, deadline, "it does not say where it listens")?;
    }
}

fn wait(dir: &Path, deadline: Instant, reason: &str) -> Result<()> {
    if Instant::now() > deadline {
        return Err(not_started(dir, format!("{reason}, and the time for that is over")));
    }
    thread::sleep(LOOK_EVERY);
    Ok(())
}

/// Whether a server holds its lock. Only who holds `starting` may try: the try itself takes the lock for a moment.
fn is_running(dir: &Path) -> Result<bool> {
    let path = dir.join(LOCK);
    Ok(!try_lock(&lock_file(&path)?, &path)?)
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(io_at(path)(error)),
    }
}

/// Where the server that runs says it listens; nothing while it says nothing. Nobody but loopback is believed.
fn read_address(dir: &Path) -> Result<Option<SocketAddr>> {
    let path = dir.join(ADDRESS);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut text)) {
        Ok(_) => Ok(text.trim().parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PersonalError::Io { path, error }),
    }
}

/// Starts a server that outlives us: in a process group of its own, so that no key pressed here reaches it, and with
/// nothing of ours open.
fn start(dir: &Path, tapwired: &Path) -> Result<Child> {
    // An address that a killed server left would be taken for the new one's.
    match fs::remove_file(dir.join(ADDRESS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(dir)(error)),
        _ => {}
    }
    let path = log_path(dir);
    let log = OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(io_at(&path))?;
    let stdout = log.try_clone().map_err(io_at(&path))?;
    let mut command = Command::new(tapwired);
    command.arg("--personal").arg(dir).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(stdout).stderr(log).spawn().map_err(io_at(tapwired))
}

fn make_private(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_at(dir))?;
    let metadata = fs::symlink_metadata(dir).map_err(io_at(dir))?;
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if metadata.is_dir() && is_ours && metadata.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(PersonalError::NotPrivate(dir.to_owned()))
    }
}

fn lock_file(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io_at(path))
}

fn state_dir() -> Result<PathBuf> {
    let xdg = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(dir) = xdg {
        return Ok(dir);
    }
    let home = env::home_dir().filter(|home| home.is_absolute()).ok_or(PersonalError::NoHome)?;
    // Under some configurations of sudo, HOME stays the caller's. What root trusts must not lie there.
    if fs::metadata(&home).map_err(io_at(&home))?.uid() != rustix::process::geteuid().as_raw() {
        return Err(PersonalError::NotOurHome(home));
    }
    Ok(home.join(".local/state"))
}

/// Of what a server inherits, and of the program itself, so that an upgrade starts the new one.
fn environment_digest(tapwired: &Path) -> Result<String> {
    let program = fs::metadata(tapwired).map_err(io_at(tapwired))?;
    let mut bytes = tapwired.as_os_str().as_bytes().to_vec();
    bytes.extend(format!("\0{}\0{}.{}\0", program.len(), program.mtime(), program.mtime_nsec()).bytes());
    for name in INHERITED {
        let value = env::var_os(name);
        bytes.extend(name.as_bytes());
        bytes.extend(value.as_ref().map_or(b"\0".as_slice(), |_| b"=".as_slice()));
        bytes.extend(value.unwrap_or_default().as_bytes());
        bytes.push(0);
    }
    Ok(Digest::of(&bytes).to_string())
}

fn not_started(dir: &Path, reason: String) -> PersonalError {
    PersonalError::NotStarted { reason, log: log_tail(dir), log_path: log_path(dir) }
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn log_tail(dir: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut read = || -> io::Result<()> {
        let mut file = File::open(log_path(dir))?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(LOG_BYTES_SHOWN)))?;
        file.take(LOG_BYTES_SHOWN).read_to_end(&mut bytes)?;
        Ok(())
    };
    // Without a log there is nothing to show; what went wrong is being said already.
    let _ = read();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    tail.iter().map(|line| plain(line).into_owned()).collect()
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> PersonalError {
    move |error| PersonalError::Io { path: path.to_owned(), error }
}
