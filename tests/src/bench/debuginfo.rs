//! What debuginfo costs, with the debug files on the local disk: the first script on a kernel that the server has never seen,
//! beside `stap -p4 --runtime=bpf`; other scripts once the index is made; making it; its size; and the memory of a server
//! that has indexed all kernels that are here.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Figure;
use super::compile::{Figures, Stap};
use crate::client::Client;
use crate::packages::{self, Unpacked};
use crate::tapwired::{Debuginfo, Tapwired};
use crate::workspace::Profile;
use crate::{kernels, process};

/// How often everything is measured, each time with a server that has seen nothing.
const ROUNDS: usize = 5;

/// Scripts that look for different things, each asked once in a round, when the index is there.
const NEXT: [&str; 4] = [
    r#"probe kernel.function("vfs_write") { printf("%d\n", $count) }"#,
    r#"probe kernel.function("do_sys_openat2") { printf("%d %d\n", $dfd, $how->flags) }"#,
    r#"probe kernel.function("tcp_sendmsg") { printf("%d %d\n", $size, $sk->__sk_common->skc_family) }"#,
    r#"probe kernel.function("vfs_*") { printf("%s\n", execname()) }"#,
];

/// The first script, which no round has in common with another.
fn first_script(round: usize) -> String {
    format!(r#"probe kernel.function("vfs_read") {{ printf("{round} %s %d %d\n", execname(), pid(), $count) }}"#)
}

/// How long making an index may take before something is wrong.
const INDEX_DEADLINE: Duration = Duration::from_secs(300);

/// What a server has that was told to index some kernels.
struct Indexed {
    duration: Duration,
    bytes: u64,
}

/// Measures.
///
/// # Errors
/// When a kernel cannot be had, or a compile fails.
pub fn run() -> Result<()> {
    let kernel = packages::fetch(&kernels::guest("6.1")?)?;
    let client = Client::build(&kernel, Profile::Release)?;
    let stap = process::exists("stap").then(|| Stap::new(&kernel)).transpose()?;
    let trees = [kernel.debuginfo()];
    let mut first = Figures::new("first script on a kernel never seen", None);
    let mut next = Figures::new("next script, at the server", Some(Duration::from_millis(5)));
    let mut index = Figure::new("index").with_goal(Duration::from_secs(10));
    let mut peer = Figure::new("stap -p4 --runtime=bpf");
    let mut index_bytes = 0;
    for round in 0..ROUNDS {
        let server = Tapwired::start(Debuginfo { urls: &[], directories: &trees }, Profile::Release)?;
        first.take(&client, &server, &first_script(round))?;
        let Indexed { duration, bytes } = wait_for_index(&server, 1)?;
        index.rounds.push(duration);
        index_bytes = bytes;
        for script in NEXT {
            next.take(&client, &server, script)?;
        }
        if let Some(stap) = &stap {
            peer.rounds.push(stap.compile(&first_script(round))?);
        }
    }
    println!("kernel {}, debug file on the local disk, medians of {ROUNDS} rounds\n", kernel.release);
    if stap.is_some() {
        first.whole.goal = Some(peer.median());
        println!("{peer}");
    } else {
        println!("stap is not installed: nothing to compare with (apt install systemtap)");
    }
    println!("{}\n{}\n{index}", first.whole, next.at_server);
    let file_bytes = std::fs::metadata(kernel.vmlinux())?.len();
    print_bound("index, of the debug file", 100.0 * index_bytes as f64 / file_bytes as f64, "%", 5.0);
    measure_memory()
}

/// The memory of a server with the indexes of all kernels that are here.
fn measure_memory() -> Result<()> {
    let kernels: Vec<Unpacked> =
        kernels::guests()?.iter().map(packages::cached).filter_map(Result::transpose).collect::<Result<_>>()?;
    let trees: Vec<_> = kernels.iter().map(Unpacked::debuginfo).collect();
    let server = Tapwired::start(Debuginfo { urls: &[], directories: &trees }, Profile::Release)?;
    for (number, kernel) in kernels.iter().enumerate() {
        let client = Client::build(kernel, Profile::Release)?;
        let mut figures = Figures::new("", None);
        figures.take(&client, &server, &first_script(number))?;
        wait_for_index(&server, number + 1)?;
        for script in NEXT {
            figures.take(&client, &server, script)?;
        }
    }
    let megabytes = resident_bytes(server.pid())? as f64 / f64::from(1 << 20);
    print_bound(&format!("memory with {} kernels indexed", kernels.len()), megabytes, "MiB", 300.0);
    Ok(())
}

fn print_bound(what: &str, value: f64, unit: &str, goal: f64) {
    let word = if value <= goal { "met" } else { "short" };
    println!("{what:<44} {value:>10.2} {unit}   goal {goal} {unit}: {word}");
}

/// Waits until the server has logged that many indexes; what it says of the last one.
fn wait_for_index(server: &Tapwired, count: usize) -> Result<Indexed> {
    let began = Instant::now();
    loop {
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("debuginfo indexed")).collect();
        if let Some(line) = lines.get(count - 1) {
            let duration = Duration::from_millis(number(line, "duration_ms=")?);
            return Ok(Indexed { duration, bytes: number(line, "bytes=")? });
        }
        if began.elapsed() > INDEX_DEADLINE {
            bail!("tapwired makes no index:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn number(line: &str, name: &str) -> Result<u64> {
    let rest = line.split(name).nth(1).unwrap_or_default();
    Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
}

/// The memory of a process and of those it started, what they share counted once.
fn resident_bytes(pid: u32) -> Result<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    let mut bytes = pss.split_whitespace().next().unwrap_or_default().parse::<u64>()? << 10;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            // A worker that has just ended needs nothing.
            bytes += resident_bytes(child.parse()?).unwrap_or(0);
        }
    }
    Ok(bytes)
}
