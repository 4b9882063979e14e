//! Runs the program in a home of its own and looks at what it says.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use shared::limits::FACTS_BYTES_MAX;
use tempfile::TempDir;

use crate::fake_server::{FakeServer, Parties, write_client_dir};

const FACTS: &str = r#"
tracepoints = ["sched_switch", "sys_enter"]

[target]
architecture = "x86_64"
release = "6.1.0-56-cloud-amd64"
kernel = "4c094903"
features = ["kprobe", "ring_buffer"]

[elf]
"/bin/bash" = "2a6b"
"#;

/// A home with a copy of the program in `bin/`, where it finds no siblings but those a test puts there, and a facts file.
pub(crate) struct Home {
    dir: TempDir,
}

/// What a run left.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let home = Self { dir };
        std::fs::create_dir(home.path("bin")).expect("a directory");
        std::fs::hard_link(env!("CARGO_BIN_EXE_tapwire"), home.path("bin/tapwire")).expect("a link");
        assert!(FACTS.len() < FACTS_BYTES_MAX);
        home.write("facts.toml", FACTS);
        home
    }

    /// A home whose user trusts `parties`' server and is known to it.
    pub(crate) fn of(parties: &Parties) -> Self {
        let home = Self::new();
        write_client_dir(&home.path(".config/tapwire"), &parties.server, &parties.client);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Puts a shell script beside the program.
    pub(crate) fn install(&self, name: &str, script: &str) {
        self.write_program(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    }

    /// Writes a file that can be executed. Another process writes it: a file that we had open for writing while another
    /// test starts a program would stay open in that program for a moment, and until then be busy.
    pub(crate) fn write_program(&self, name: &str, text: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(self.path(name)).stdin(Stdio::piped());
        let mut shell = shell.spawn().expect("a shell");
        shell.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        assert!(shell.wait().expect("an end").success());
    }

    pub(crate) fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(self.path("bin/tapwire"));
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.finish(self.command(words))
    }

    /// Runs with `--use-server` of `server`, in front of the words.
    pub(crate) fn ask(&self, server: &FakeServer, words: &[&str]) -> Said {
        let server = format!("--use-server={}", server.address);
        let words: Vec<&str> = [server.as_str()].into_iter().chain(words.iter().copied()).collect();
        self.run(&words)
    }

    pub(crate) fn finish(&self, mut command: Command) -> Said {
        let output = command.output().expect("a program");
        let text = |bytes: &[u8]| {
            // What changes from run to run.
            String::from_utf8_lossy(bytes).replace(&self.dir.path().display().to_string(), "HOME")
        };
        Said { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Said {
    /// All of it, as a snapshot shows it.
    pub(crate) fn shown(&self) -> String {
        let mut shown = String::new();
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{}\n", text.trim_end_matches('\n')));
            }
        }
        format!("{shown}--- {}\n", self.status)
    }
}

/// Compares with `snapshots/NAME.txt`, or rewrites it.
#[track_caller]
pub(crate) fn expect_snapshot(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/tapwire/snapshots/{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, got).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == expected, "{name} differs (BLESS=1 rewrites it)\n=== expected\n{expected}\n=== got\n{got}");
}
