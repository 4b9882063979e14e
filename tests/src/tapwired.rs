//! Our own compile server, with keys of its own, as a farm would run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{self, Log, Tied};
use crate::workspace::{self, Profile};

/// A running `tapwired`, and a client that it knows. It ends, and its keys are gone, when this value is dropped.
#[derive(Debug)]
pub struct Tapwired {
    process: Tied,
    port: u16,
    log: Log,
    dir: TempDir,
}

/// Where a server finds debuginfo.
#[derive(Debug, Clone, Copy, Default)]
pub struct Debuginfo<'a> {
    /// Entries of `$DEBUGINFOD_URLS`.
    pub urls: &'a [&'a str],
    /// Directory trees, as `/usr/lib/debug` is one.
    pub directories: &'a [PathBuf],
}

/// How long a server may take to serve: it makes no keys and reads no debuginfo.
const START_DEADLINE: Duration = Duration::from_secs(30);

impl Tapwired {
    /// Builds the server, makes the keys of all roles, lets the parties trust one another, and starts it on a free port of
    /// loopback.
    ///
    /// # Errors
    /// When one of these fails; the server's last words are in the error.
    pub fn start(debuginfo: Debuginfo<'_>, profile: Profile) -> Result<Self> {
        let dir = tempfile::tempdir().context("no room for keys")?;
        make_keys(dir.path())?;
        let server = built("tapwire-server", "tapwired", profile)?;
        let mut command = process::tied(&server.to_string_lossy());
        command.args(["--listen", "127.0.0.1:0", "--debuginfod-urls", &debuginfo.urls.join(" ")]);
        command.arg("--directory").arg(dir.path().join("server")).arg("--cache").arg(dir.path().join("cache"));
        debuginfo.directories.iter().for_each(|tree| {
            command.arg("--debuginfo-directory").arg(tree);
        });
        let log = Log::new()?;
        log.take(&mut command)?;
        let process = Tied::spawn(command)?;
        let mut started = Self { process, port: 0, log, dir };
        started.port = started.wait_until_it_serves()?;
        Ok(started)
    }

    fn wait_until_it_serves(&mut self) -> Result<u16> {
        let began = Instant::now();
        loop {
            let text = self.log.text();
            if let Some(address) = text.split("address=127.0.0.1:").nth(1) {
                let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
                return digits.parse().context("tapwired serves at no port");
            }
            if let Some(status) = self.process.ended()? {
                bail!("tapwired ended with {status}; {}", self.log.last_lines(10));
            }
            if began.elapsed() > START_DEADLINE {
                bail!("tapwired does not serve; {}", self.log.last_lines(10));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The UDP port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where keys and caches of both sides are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The client's directory, to stand at `/etc/tapwire` of a host: its identity, and the lists of whom it trusts.
    #[must_use]
    pub fn client_dir(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Ends it, as a farm that is switched off.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

/// A server with its signer, and a client; each knows the other.
fn make_keys(dir: &Path) -> Result<()> {
    let certs = built("tapwire-certs", "tapwire-certs", Profile::Dev)?;
    let (server, client) = (dir.join("server"), dir.join("client"));
    let run = |arguments: &[&Path]| process::output(Command::new(&certs).args(arguments)).map(drop);
    let word = Path::new;
    run(&[word("make"), word("server"), &server])?;
    run(&[word("make"), word("signer"), &server])?;
    run(&[word("make"), word("client"), &client])?;
    run(&[word("trust"), word("server"), &server.join("server.crt"), &client])?;
    run(&[word("trust"), word("signer"), &server.join("signer.pub"), &client])?;
    run(&[word("authorise"), &client.join("client.crt"), word("--privilege"), word("stapdev"), &server])
}

/// The binary `name` of a package.
fn built(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let binaries = workspace::binaries(package, profile)?;
    let named = binaries.into_iter().find(|path| path.file_name().is_some_and(|file| file == name));
    named.with_context(|| format!("{package} has no program {name}"))
}
