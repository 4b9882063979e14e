//! Debian's debuginfod, serving what the tests need on a free port.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cache;
use crate::packages::Unpacked;
use crate::process::{self, Log, Tied};

/// A running debuginfod; it ends when this value is dropped.
#[derive(Debug)]
pub struct Debuginfod {
    process: Tied,
    url: String,
    log: Log,
    agent: ureq::Agent,
}

impl Debuginfod {
    /// Serves the debuginfo of `kernel`, by an index that is made the first time and kept beside it.
    ///
    /// # Errors
    /// When debuginfod is missing or does not get ready.
    pub fn of_kernel(kernel: &Unpacked) -> Result<Self> {
        let index = index(kernel)?;
        // A passive server only reads the index, so that any number of them share it.
        Self::start(&index, &["--passive", "--scan-file-dir"], &[kernel.debuginfo()])
    }

    /// Serves the programs and debug files under `directories`.
    ///
    /// # Errors
    /// As [`Debuginfod::of_kernel`].
    pub fn of_programs(directories: &[PathBuf]) -> Result<Self> {
        let served = Self::start(Path::new(":memory:"), &SCAN_ONCE, directories)?;
        served.wait_for_scan()?;
        Ok(served)
    }

    /// Where it listens: one entry of `$DEBUGINFOD_URLS`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it has debuginfo for the build id `id`, in hexadecimal.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn has(&self, id: &str) -> Result<bool> {
        // There is no HEAD; what is not read of the answer is dropped with the connection.
        let answer = self.agent.get(format!("{}/buildid/{id}/debuginfo", self.url)).call();
        match answer.with_context(|| self.last_words())?.status().as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            status => bail!("debuginfod answers {status} for build id {id}\n{}", self.last_words()),
        }
    }

    fn start(index: &Path, options: &[&str], directories: &[PathBuf]) -> Result<Self> {
        let program = "debuginfod";
        ensure!(process::exists(program), "{program} is not here: run `cargo xtask setup`");
        for _ in 0..PORTS_TRIED_MAX {
            let log = Log::new()?;
            let port = free_port()?;
            let mut command = process::tied(program);
            command.arg("--database").arg(index).args(["--port", &port.to_string()]).args(options).args(directories);
            // It must not forward what it does not know to the servers of whoever runs the tests.
            command.env_remove("DEBUGINFOD_URLS").env("LC_ALL", "C");
            log.take(&mut command)?;
            let process = Tied::spawn(command)?;
            let config =
                ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_DEADLINE));
            let agent = config.build().new_agent();
            let mut started = Self { process, url: format!("http://127.0.0.1:{port}"), log, agent };
            if started.listens(port)? {
                return Ok(started);
            }
        }
        bail!("debuginfod found {PORTS_TRIED_MAX} ports taken that had been free")
    }

    /// Waits until it listens, or has ended because somebody took the port first.
    fn listens(&mut self, port: u16) -> Result<bool> {
        let until = Instant::now() + START_DEADLINE;
        loop {
            // Its own word, since whoever has taken the port may answer as well.
            let log = self.log.text();
            if log.lines().any(|line| line.contains("started http server") && line.ends_with(&format!("port={port}"))) {
                return Ok(true);
            }
            if let Some(status) = self.process.ended()? {
                ensure!(
                    log.contains("cannot start http server"),
                    "debuginfod ended with {status}\n{}",
                    self.last_words()
                );
                return Ok(false);
            }
            ensure!(Instant::now() < until, "debuginfod does not start\n{}", self.last_words());
            thread::sleep(POLL);
        }
    }

    /// Waits until every file has been looked at once.
    fn wait_for_scan(&self) -> Result<()> {
        let until = Instant::now() + SCAN_DEADLINE;
        loop {
            let answer = self.agent.get(format!("{}/metrics", self.url)).call();
            let metrics = answer.with_context(|| self.last_words())?.body_mut().read_to_string()?;
            if is_scanned(&metrics) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "debuginfod does not finish its index\n{}", self.last_words());
            thread::sleep(POLL);
        }
    }

    fn last_words(&self) -> String {
        self.log.last_lines(20)
    }
}

/// The build id in the notes of an ELF file or of `/sys/kernel/notes`, in hexadecimal: the `NT_GNU_BUILD_ID` note of the
/// System V gABI, "Note Section", and of elf.h.
#[must_use]
pub fn build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    loop {
        let word = |index: usize| {
            let bytes = notes.get(4 * index..4 * index + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let (name_bytes, description_bytes, kind) = (word(0)?, word(1)?, word(2)?);
        let description_start = 12 + name_bytes.next_multiple_of(4);
        let description = notes.get(description_start..description_start + description_bytes)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..16) == Some(b"GNU\0") {
            return Some(description.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = notes.get(description_start + description_bytes.next_multiple_of(4)..)?;
    }
}

/// Look at every file once, and then neither again nor for files that are gone.
const SCAN_ONCE: [&str; 5] = ["--scan-file-dir", "--rescan-time", "0", "--groom-time", "0"];

/// How often a port may turn out to be taken between finding it free and using it.
const PORTS_TRIED_MAX: usize = 5;

/// How long it may take to listen, which takes a twentieth of a second.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long it may take to read a kernel and its modules, from a cold disk.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);

/// How long an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// How long to sleep between two looks.
const POLL: Duration = Duration::from_millis(20);

/// The index of the kernel's debuginfo, made if it is not there.
fn index(kernel: &Unpacked) -> Result<PathBuf> {
    let home = kernel.root.join("debuginfod");
    let index = home.join("index.sqlite");
    if index.exists() {
        return Ok(index);
    }
    let _lock = cache::lock()?;
    if index.exists() {
        return Ok(index);
    }
    eprintln!("kernel {}: indexing its debuginfo", kernel.name);
    let unfinished = tempfile::Builder::new().prefix(".debuginfod-").tempdir_in(&kernel.root)?;
    let scanner = Debuginfod::start(&unfinished.path().join("index.sqlite"), &SCAN_ONCE, &[kernel.debuginfo()])?;
    scanner.wait_for_scan()?;
    // Asked to end, it merges its journal into the one file.
    scanner.process.terminate()?;
    fs::rename(unfinished.keep(), home)?;
    Ok(index)
}

/// Whether debuginfod's own figures say that it has traversed the directories and scanned every file it met.
fn is_scanned(metrics: &str) -> bool {
    let figure = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<f64>().ok()
    };
    let is_zero = |name: &str| figure(name).unwrap_or(0.0) == 0.0;
    figure(r#"thread_work_total{role="traverse"}"#).is_some()
        && is_zero(r#"thread_busy{role="traverse"}"#)
        && is_zero(r#"thread_busy{role="scan"}"#)
        && is_zero(r#"thread_work_pending{role="scan"}"#)
        && figure(r#"thread_work_total{role="scan"}"#) == figure(r#"traversed_total{type="file"}"#)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let mut notes = Vec::new();
        for (kind, name, description) in [(1_u32, &b"Xen\0"[..], &b"abc"[..]), (3, b"GNU\0", &[0x3b, 0x43, 0x0f])] {
            notes.extend((name.len() as u32).to_le_bytes());
            notes.extend((description.len() as u32).to_le_bytes());
            notes.extend(kind.to_le_bytes());
            notes.extend(name);
            notes.extend(description);
            notes.push(0);
        }
        assert_eq!(build_id(&notes).as_deref(), Some("3b430f"));
        assert_eq!(build_id(&notes[..20]), None, "cut before the note");
        assert_eq!(build_id(&notes[..notes.len() - 2]), None, "cut inside the note");
    }

    #[test]
    fn a_scan_is_over_when_every_traversed_file_was_scanned() {
        let metrics = |scanned: u32, busy: u32| {
            format!(
                "thread_busy{{role=\"scan\"}} {busy}\nthread_busy{{role=\"traverse\"}} 0\n\
                 thread_work_total{{role=\"scan\"}} {scanned}\nthread_work_total{{role=\"traverse\"}} 1\n\
                 traversed_total{{type=\"file\"}} 2\n"
            )
        };
        assert!(is_scanned(&metrics(2, 0)));
        assert!(!is_scanned(&metrics(1, 0)), "one file is still to come");
        assert!(!is_scanned(&metrics(2, 1)), "one file is being read");
        assert!(!is_scanned(""), "it has not begun");
    }
}
