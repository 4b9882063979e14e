//! Puts what came of a script where it belongs: text on standard output, an artifact in a file, or an artifact into
//! `taprun`. It verifies no signature: that is `taprun`'s, on the host that loads.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::fs::{MemfdFlags, SealFlags};
use shared::artifact::container::EXTENSION;
use shared::artifact::manifest::Digest;
use shared::artifact::{ArtifactRejected, UntrustedArtifact};
use shared::limits::ARTIFACT_LIFE_S_DEFAULT;

use crate::cli::{ModuleName, RunOptions};
use crate::render;
use crate::sibling::{self, SiblingMissing};

/// Why something did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The server sent something else.
    #[error("the server sent no artifact that this client can read: {0}")]
    NotAnArtifact(#[from] ArtifactRejected),
    /// The server sent text for an artifact, or the other way round.
    #[error("the server sent something else than was asked for")]
    WrongProduct,
    /// A file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// There is nowhere to put an artifact.
    #[error("there is no cache directory to put the artifact into: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    /// Bytes are not for a screen.
    #[error("an object file is not for a terminal")]
    Terminal,
    /// The privileged half is not installed.
    #[error(transparent)]
    NoTaprun(#[from] SiblingMissing),
    /// The privileged half does not start.
    #[error("cannot start {}: {error}", taprun.display())]
    Start {
        /// The program.
        taprun: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
}

impl DeliverError {
    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::NotAnArtifact(_) | Self::WrongProduct => &["install tapwire and tapwired of the same version"],
            Self::NoCache => &["leave the artifact in the current directory with -m NAME"],
            Self::Terminal => &["write it to NAME.o with -m NAME, or redirect the output"],
            Self::NoTaprun(_) => &[
                "install taprun, the privileged half of the client, beside tapwire",
                "to compile without running, stop with -p4",
            ],
            Self::Write { .. } | Self::Start { .. } => &[],
        };
        hints.iter().map(|&hint| hint.to_owned()).collect()
    }
}

type Result<T> = std::result::Result<T, DeliverError>;

/// Writes the text of a pass to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn text(text: &str) -> Result<()> {
    // A file gets every byte as it is; a terminal nothing that could control it.
    let shown = if io::stdout().is_terminal() { render::plain_text(text) } else { text.to_owned() };
    let end = if shown.is_empty() || shown.ends_with('\n') { "" } else { "\n" };
    to_stdout(format!("{shown}{end}").as_bytes())
}

/// Leaves an artifact in a file and prints the file's name, as stap does with a module: `NAME.tap` in the current
/// directory, or else a name made of what it is in the user's cache.
///
/// # Errors
/// When it is none, or cannot be written.
pub fn artifact(bytes: &[u8], module: Option<&ModuleName>) -> Result<()> {
    let path = match module {
        Some(module) => leave_copy(bytes, module)?,
        None => cache(bytes)?,
    };
    to_stdout(format!("{}\n", path.display()).as_bytes())
}

/// Writes the ELF object in an artifact: to `NAME.o` in the current directory, or to standard output.
///
/// # Errors
/// When the artifact is none, or the object cannot be written.
pub fn elf(bytes: &[u8], module: Option<&ModuleName>) -> Result<()> {
    let artifact = UntrustedArtifact::parse(bytes)?;
    match module {
        Some(module) => {
            let path = PathBuf::from(format!("{}.o", module.as_str()));
            write(&path, artifact.unverified_elf())?;
            to_stdout(format!("{}\n", path.display()).as_bytes())
        }
        None if io::stdout().is_terminal() => Err(DeliverError::Terminal),
        None => to_stdout(artifact.unverified_elf()),
    }
}

/// Becomes `taprun`, which runs an artifact: the process stays the same, so whoever waits for it or signals it reaches the
/// script. Comes back only with the reason why not. `signers` is a list that is trusted for this run.
#[must_use]
pub fn run(bytes: &[u8], options: &RunOptions, verbose: u8, signers: Option<&Path>) -> DeliverError {
    match prepare(bytes, options, verbose, signers) {
        Ok((mut command, _artifact)) => {
            let taprun = PathBuf::from(command.get_program());
            DeliverError::Start { taprun, error: command.exec() }
        }
        Err(error) => error,
    }
}

/// The command, and the file it will read, which must stay open until it starts.
fn prepare(bytes: &[u8], options: &RunOptions, verbose: u8, signers: Option<&Path>) -> Result<(Command, File)> {
    UntrustedArtifact::parse(bytes)?;
    if let Some(module) = &options.module {
        leave_copy(bytes, module)?;
    }
    let taprun = sibling::find("taprun")?;
    let start = |error| DeliverError::Start { taprun: taprun.clone(), error };
    let artifact = sealed(bytes).map_err(start)?;
    // Standard input stays the script's and its command's.
    let path = format!("/proc/self/fd/{}", artifact.as_raw_fd());
    let mut command = Command::new(&taprun);
    command.args(arguments(options, verbose, signers)).arg(path);
    Ok((command, artifact))
}

fn arguments(options: &RunOptions, verbose: u8, signers: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-v".into(); verbose.into()];
    let pid = options.pid.map(|pid| pid.to_string().into());
    let timeout_s = options.timeout_s.map(|timeout_s| timeout_s.to_string().into());
    let with_values = [
        ("-c", options.command.clone()),
        ("-x", pid),
        ("-o", options.output.clone().map(Into::into)),
        ("-T", timeout_s),
        ("--signers", signers.map(Into::into)),
    ];
    for (option, value) in with_values {
        if let Some(value) = value {
            arguments.extend([option.into(), value]);
        }
    }
    arguments
}

/// A file in memory that nobody can change any more, and that outlives exec.
fn sealed(bytes: &[u8]) -> io::Result<File> {
    let fd = rustix::fs::memfd_create("script.tap", MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

fn leave_copy(bytes: &[u8], module: &ModuleName) -> Result<PathBuf> {
    UntrustedArtifact::parse(bytes)?;
    let path = PathBuf::from(format!("{}.{EXTENSION}", module.as_str()));
    write(&path, bytes)?;
    Ok(path)
}

/// Puts an artifact into the user's cache. What was compiled the same way before gives way to it.
fn cache(bytes: &[u8]) -> Result<PathBuf> {
    let claims = UntrustedArtifact::parse(bytes)?.claimed()?;
    let name = Digest::of(format!("{claims:?}").as_bytes()).to_string();
    let dir = cache_dir().ok_or(DeliverError::NoCache)?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map_err(|error| DeliverError::Write { path: dir.clone(), error })?;
    remove_expired(&dir);
    let path = dir.join(format!("stap_{}.{EXTENSION}", &name[..32]));
    write(&path, bytes)?;
    Ok(path)
}

fn cache_dir() -> Option<PathBuf> {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let usual = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    xdg.or_else(usual).map(|dir| dir.join("tapwire").join("artifacts"))
}

/// An artifact that nobody may load any more is no use to anybody. What cannot be removed stays until the next time.
fn remove_expired(dir: &Path) {
    let Some(oldest) = SystemTime::now().checked_sub(Duration::from_secs(ARTIFACT_LIFE_S_DEFAULT)) else { return };
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = file.path().extension().is_some_and(|extension| extension == EXTENSION);
        let written = file.metadata().and_then(|metadata| metadata.modified());
        if is_ours && written.is_ok_and(|written| written < oldest) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".tapwire-")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(parent)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(|error| DeliverError::Write { path: path.to_owned(), error })
}

fn to_stdout(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(DeliverError::Write { path: "standard output".into(), error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taprun_is_told_what_tapwire_was_told() {
        let options = RunOptions {
            command: Some("ls -l".into()),
            pid: Some(7),
            output: Some("out.txt".into()),
            timeout_s: Some(3),
            module: None,
        };
        let expected = ["-v", "-v", "-c", "ls -l", "-x", "7", "-o", "out.txt", "-T", "3", "--signers", "/s"];
        assert_eq!(arguments(&options, 2, Some(Path::new("/s"))), expected);
        assert!(arguments(&RunOptions::default(), 0, None).is_empty());
    }

    #[test]
    fn a_sealed_file_cannot_be_changed() {
        let file = sealed(b"artifact").expect("a file");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert_eq!(fs::read(&path).expect("readable"), b"artifact");
        assert!(fs::write(&path, b"other").is_err());
        assert!((&file).write_all(b"more").is_err());
        assert_eq!(fs::read(&path).expect("readable"), b"artifact");
    }

    #[test]
    fn old_artifacts_leave_the_cache() {
        let dir = tempfile::tempdir().expect("a directory");
        let age = |name: &str, days: u64| {
            let path = dir.path().join(name);
            let file = File::create(&path).expect("a file");
            let written = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            file.set_modified(written).expect("a time");
            path
        };
        let (old, new, foreign) = (age("stap_1.tap", 31), age("stap_2.tap", 29), age("notes.txt", 31));
        remove_expired(dir.path());
        assert_eq!([old.exists(), new.exists(), foreign.exists()], [false, true, true]);
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.tap");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
        assert!(write(&dir.path().join("missing/a.tap"), b"x").is_err());
    }
}
