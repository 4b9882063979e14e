//! The module-reuse path in a guest: `-p4 -m NAME`, then `taprun NAME.tap` with the server switched off; and everything that
//! must be refused, each with its own words and before anything reaches the kernel.

use std::time::Duration;

use harness::guest::Output;
use harness::stand::{Plan, Stand};
use harness::{kernels, packages, process, skip};

const DEADLINE: Duration = Duration::from_secs(120);

const SCRIPT: &str =
    r#"probe kernel.function("vfs_read") { if (execname() == "dd" && $count == 777) printf("read %d\n", $count) }"#;

/// A workload that reads twice.
const WORKLOAD: &str = "dd if=/tmp/data of=/dev/null bs=777 count=2 2> /dev/null";

#[test]
fn an_artifact_runs_without_the_server_and_nowhere_it_should_not() {
    let Some(mut stand) = stand("an_artifact_runs_without_the_server_and_nowhere_it_should_not") else { return };
    prepare(&mut stand);
    stand.tapwired.stop();
    let run = format!("taprun reads.tap -c '{WORKLOAD}'");
    assert_eq!(shell(&mut stand, &run), said(0, "read 777\nread 777\n", ""));

    let program_ids = |stand: &mut Stand| {
        let show = "taprun reads.tap -c 'grep -h ^prog_id: /proc/[0-9]*/fdinfo/* | sort -u'";
        let shown = shell(stand, show).1;
        shown
            .split_ascii_whitespace()
            .filter_map(|word| word.parse::<u64>().ok())
            .max()
            .expect("a program that is loaded")
    };
    let (first, second) = (program_ids(&mut stand), program_ids(&mut stand));
    for (name, change, words) in REFUSED {
        let (status, ..) = shell(
            &mut stand,
            &format!("rm -rf /tmp/etc && cp -r /etc/tapwire /tmp/etc && cp reads.tap changed.tap && {change}"),
        );
        assert_eq!(status, 0, "{name}: {change}");
        let (status, stdout, stderr) = shell(&mut stand, &format!("taprun changed.tap -c '{WORKLOAD}'"));
        assert_eq!((status, stdout.as_str()), (1, ""), "{name}: {stderr}");
        assert!(stderr.contains(words), "{name}: expected {words:?} in {stderr:?}");
        shell(&mut stand, "rm -rf /etc/tapwire && cp -r /tmp/etc /etc/tapwire");
    }
    let third = program_ids(&mut stand);
    assert_eq!(third - second, second - first, "what was refused has loaded programs");
    assert_eq!(shell(&mut stand, &run), said(0, "read 777\nread 777\n", ""), "the lists are as before");
}

/// What is done to an artifact or its host, and the words of the refusal.
const REFUSED: [(&str, &str, &str); 8] = [
    ("the mark", "printf x | dd of=changed.tap conv=notrunc 2>/dev/null", "not a Tapwire artifact"),
    ("the version", "printf '\\377' | dd of=changed.tap bs=1 seek=8 conv=notrunc 2>/dev/null", "is of version"),
    (
        "a byte of the manifest",
        "printf '\\377' | dd of=changed.tap bs=1 seek=100 conv=notrunc 2>/dev/null",
        "it was altered after it was signed",
    ),
    (
        "a byte of the program",
        "printf '\\377' | dd of=changed.tap bs=1 seek=$(($(stat -c %s changed.tap) - 300)) conv=notrunc 2>/dev/null",
        "the program does not fit the signed manifest",
    ),
    ("the end", "truncate -s $(($(stat -c %s changed.tap) - 1)) changed.tap", "the artifact is damaged"),
    ("a signer that is not trusted", "rm /etc/tapwire/signers/*", "not in this host's list of trusted signers"),
    (
        "a policy that allows less",
        "printf '[[allow]]\\nsigner = \"*\"\\nprivilege = \"stapusr\"\\n' > /etc/tapwire/policy.toml",
        "needs privilege stapsys",
    ),
    ("another kernel", "cp other.tap changed.tap", "this host runs build id"),
];

/// Compiles what is loaded later: for this guest, and for a host with another kernel.
fn prepare(stand: &mut Stand) {
    let steps = format!(
        "set -e
        dd if=/dev/zero of=/tmp/data bs=777 count=2 2> /dev/null
        tapwire --use-server=$TAPWIRED -p4 -m reads -e {script}
        tapwire facts | sed 's/^kernel = .*/kernel = \"00112233445566778899aabbccddeeff00112233\"/' > other.facts
        tapwire --use-server=$TAPWIRED --facts other.facts -p4 -m other -e 'probe kernel.trace(\"sched_switch\") {{ exit() }}'",
        script = process::quoted(SCRIPT),
    );
    assert_eq!(shell(stand, &steps), said(0, "reads.tap\nother.tap\n", ""));
}

fn stand(test: &str) -> Option<Stand> {
    let kernel = kernels::guest("6.1").expect("the support matrix has it");
    let missing = ["qemu-system-x86_64", "debuginfod"].into_iter().find(|program| !process::exists(program));
    if let Some(missing) = missing {
        skip::skip(test, &format!("there is no {missing}; `cargo xtask setup` installs it"));
        return None;
    }
    let Some(kernel) = packages::cached(&kernel).expect("the cache can be read") else {
        skip::skip(test, "the packages of 6.1 are not here; `cargo xtask setup` fetches them");
        return None;
    };
    Some(Stand::start(Plan { kernel: &kernel, files: &[], programs: &[] }).expect("the stand starts"))
}

fn shell(stand: &mut Stand, line: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = stand.guest.run(line, DEADLINE).expect("the command ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status, text(stdout), text(stderr))
}

fn said(status: i32, stdout: &str, stderr: &str) -> (i32, String, String) {
    (status, stdout.to_owned(), stderr.to_owned())
}
