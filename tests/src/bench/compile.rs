//! From a script to its signed artifact, on Debian's 6.1 kernel with the debug file on the local disk: the first script on a
//! build id that the server has never seen, a new one afterwards, and one that it has compiled before; beside
//! `stap -p4 --runtime=bpf` where that is installed.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Figure, served, timed};
use crate::client::Client;
use crate::packages::{self, Unpacked};
use crate::tapwired::{Debuginfo, Tapwired};
use crate::workspace::Profile;
use crate::{kernels, process};

/// How often everything is measured, each time with a server that has seen nothing.
const ROUNDS: usize = 7;

/// How many new scripts, and how often each, in a round.
const SCRIPTS: usize = 5;

/// The script with which `round` and `index` make one that was never seen.
fn script(round: usize, index: usize) -> String {
    let never = 1_000_000 * (round + 1) + index;
    format!(
        r#"probe kernel.function("vfs_read") {{ if ($count != {never}) printf("%s %d %d\n", execname(), pid(), $count) }}"#
    )
}

/// Measures.
///
/// # Errors
/// When the kernel cannot be had, or a compile fails.
pub fn run() -> Result<()> {
    let kernel = packages::fetch(&kernels::guest("6.1")?)?;
    let client = Client::build(&kernel, Profile::Release)?;
    let stap = process::exists("stap").then(|| Stap::new(&kernel)).transpose()?;
    let ms = Duration::from_millis;
    let mut first = Figures::new("first script on a build id never seen", None);
    let mut new = Figures::new("new script afterwards", Some(ms(50)));
    let mut repeated = Figures::new("repeated script", Some(ms(5)));
    let mut peer = Figure::new("stap -p4 --runtime=bpf");
    let trees = [kernel.debuginfo()];
    for round in 0..ROUNDS {
        let server = Tapwired::start(Debuginfo { urls: &[], directories: &trees }, Profile::Release)?;
        first.take(&client, &server, &script(round, 0))?;
        for index in 1..=SCRIPTS {
            new.take(&client, &server, &script(round, index))?;
        }
        for index in 1..=SCRIPTS {
            repeated.take(&client, &server, &script(round, index))?;
        }
        if let Some(stap) = &stap {
            peer.rounds.push(stap.compile(&script(round, 0))?);
        }
    }
    println!("kernel {}, debug file on the local disk, medians of {ROUNDS} rounds", kernel.release);
    println!("\nat the server, from request to signed artifact");
    [&first, &new, &repeated].iter().for_each(|figures| println!("{}", figures.at_server));
    println!("\nthe whole command");
    [&first, &new, &repeated].iter().for_each(|figures| println!("{}", figures.whole));
    if stap.is_some() {
        println!("{peer}");
        for figures in [&first, &new, &repeated] {
            println!("{:<44} ratio {:.3}", format!("{} / stap", figures.whole.what), figures.whole.ratio(&peer));
        }
    } else {
        println!("stap is not installed: nothing to compare with (apt install systemtap)");
    }
    Ok(())
}

/// One job, measured on both sides.
pub(super) struct Figures {
    pub(super) at_server: Figure,
    pub(super) whole: Figure,
}

impl Figures {
    pub(super) fn new(what: &str, goal: Option<Duration>) -> Self {
        Self { at_server: Figure { goal, ..Figure::new(what) }, whole: Figure::new(what) }
    }

    pub(super) fn take(&mut self, client: &Client, server: &Tapwired, script: &str) -> Result<()> {
        client.meet(server)?;
        let (at_server, whole) = served(server, client.tapwire(server).args(["-p4", "-m", "bench", "-e", script]))?;
        self.at_server.rounds.push(at_server);
        self.whole.rounds.push(whole);
        Ok(())
    }
}

/// `stap`, and what it wants to find of a kernel: its build directory, of which it reads a few files.
pub(super) struct Stap {
    build: tempfile::TempDir,
}

impl Stap {
    pub(super) fn new(kernel: &Unpacked) -> Result<Self> {
        let build = tempfile::tempdir()?;
        let here = |name: &str| build.path().join(name);
        let boot = |name: &str| kernel.root.join("boot").join(format!("{name}-{}", kernel.release));
        std::fs::create_dir_all(here("include/config"))?;
        std::fs::write(here("include/config/kernel.release"), &kernel.release)?;
        std::fs::write(here("Module.symvers"), "")?;
        std::fs::write(here("Makefile"), makefile(&kernel.release))?;
        std::fs::copy(boot("config"), here(".config"))?;
        std::fs::copy(
            kernel.debuginfo().join("boot").join(format!("System.map-{}", kernel.release)),
            here("System.map"),
        )?;
        symlink(kernel.vmlinux(), here("vmlinux"))?;
        Ok(Self { build })
    }

    pub(super) fn compile(&self, script: &str) -> Result<Duration> {
        let mut command = Command::new("stap");
        command.args(["-p4", "--runtime=bpf", "-m", "bench", "-r"]).arg(self.build.path()).args(["-e", script]);
        timed(command.current_dir(self.build.path()))
    }
}

/// The version, as the head of the kernel's Makefile has it.
fn makefile(release: &str) -> String {
    let mut numbers = release.split(['.', '-']);
    let mut number = || numbers.next().unwrap_or("0");
    format!("VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\n", number(), number(), number())
}
