//! What people see: every transcript of `cli/`, run again. `BLESS=1` rewrites them.
//!
//! A transcript is a shell session: lines that start with `$ ` are run, what follows them is what they print (both streams as
//! they come), and `? N` is their exit status where it is not 0. Lines before the first command say what it is about.
//!
//! The commands find a client's configuration in their home, and know
//!
//! | variable | |
//! |---|---|
//! | `$SERVER` | a compile server that knows the client, with debuginfo of Debian's 6.1 kernel |
//! | `$FACTS` | a facts file of a host with that kernel |
//! | `$NOWHERE` | an address of loopback where nothing listens |
//! | `$STRANGER` | a compile server that neither knows the client nor is known to it |

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail, ensure};
use harness::client::{self, Client};
use harness::tapwired::{Debuginfo, Tapwired};
use harness::workspace::{self, Profile};
use harness::{kernels, packages, skip};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let dir = workspace::root().join("tests/cli");
    let scene = Arc::new(OnceLock::new());
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("transcripts").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let trials = paths.into_iter().map(|path| {
        let scene = Arc::clone(&scene);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name.clone(), move || {
            let scene: &Result<Option<Scene>, String> =
                scene.get_or_init(|| Scene::set().map_err(|error| format!("{error:#}")));
            match scene {
                Ok(Some(scene)) => Ok(scene.check(&path).map_err(|error| format!("{error:#}"))?),
                Ok(None) => {
                    skip::skip(
                        &format!("cli::{name}"),
                        "the packages of Debian's 6.1 kernel are not here; `cargo xtask setup` fetches them",
                    );
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Two servers and a client.
struct Scene {
    client: Client,
    server: Tapwired,
    stranger: Tapwired,
    tree: PathBuf,
}

impl Scene {
    fn set() -> Result<Option<Self>> {
        let Some(kernel) = packages::cached(&kernels::guest("6.1")?)? else { return Ok(None) };
        let tree = kernel.debuginfo();
        let server = Tapwired::start(Debuginfo { urls: &[], directories: std::slice::from_ref(&tree) }, Profile::Dev)?;
        let stranger = Tapwired::start(Debuginfo::default(), Profile::Dev)?;
        let client = Client::build(&kernel, Profile::Dev)?;
        client.meet(&server)?;
        Ok(Some(Self { client, server, stranger, tree }))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let transcript = std::fs::read_to_string(path)?;
        let mut again = String::new();
        let mut lines = transcript.lines().peekable();
        while let Some(line) = lines.next() {
            writeln!(again, "{line}")?;
            if let Some(command) = line.strip_prefix("$ ") {
                while lines.next_if(|line| !line.is_empty() && !line.starts_with("$ ")).is_some() {}
                again.push_str(&self.run(command)?);
            }
        }
        ensure!(transcript.contains("\n$ "), "a transcript without commands cannot fail");
        if std::env::var_os("BLESS").is_some() {
            return Ok(std::fs::write(path, again)?);
        }
        if again != transcript {
            bail!("{} is not what happens:\n{again}", path.display());
        }
        Ok(())
    }

    fn run(&self, command: &str) -> Result<String> {
        let (server, stranger) =
            (format!("127.0.0.1:{}", self.server.port()), format!("127.0.0.1:{}", self.stranger.port()));
        let output = self
            .client
            .command("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env("SERVER", &server)
            .env("STRANGER", &stranger)
            .env("NOWHERE", NOWHERE)
            .env("FACTS", self.client.home().join(client::FACTS))
            .output()?;
        let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let spelled = |path: &Path| path.display().to_string();
        for (from, to) in [
            (server, "SERVER"),
            (stranger, "STRANGER"),
            (spelled(self.client.home()), "HOME"),
            (spelled(self.server.dir()), "SERVER_DIR"),
            (spelled(&self.tree), "DEBUG_TREE"),
        ] {
            shown = shown.replace(&from, to);
        }
        let mut shown = stable(&shown);
        if output.status.code() != Some(0) {
            writeln!(shown, "? {}", output.status.code().map_or("a signal".to_owned(), |status| status.to_string()))?;
        }
        Ok(shown)
    }
}

/// Port 1 of loopback belongs to tcpmux, which nobody runs, and never over UDP.
const NOWHERE: &str = "127.0.0.1:1";

/// Without what differs from run to run or from kernel package to kernel package; blank lines would end the output.
fn stable(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in [
        (r"\b[0-9a-f]{16,}\b", "HEX"),
        (r"6\.1\.\d+-\d+-cloud-amd64", "RELEASE"),
        (r"_stext\+0x[0-9a-f]+", "_stext+OFFSET"),
        (r"\.c:\d+\b", ".c:LINE"),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a regular expression");
        text = pattern.replace_all(&text, word).into_owned();
    }
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{}\n", line.trim_end())).collect()
}
