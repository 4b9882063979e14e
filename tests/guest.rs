//! The test bed itself, tried on every guest kernel of the support matrix: commands and their output, files, network,
//! programs, debuginfo, and what happens when a guest dies.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use harness::debuginfod::{Debuginfod, build_id};
use harness::guest::{Config, Guest, GuestFile, HOST, Output};
use harness::packages::{self, Unpacked};
use harness::{kernels, process, setup, skip, workspace};

const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn streams_and_status_come_back_apart() {
    on_each_kernel("streams_and_status_come_back_apart", |_, guest| {
        let output = run(guest, "echo out; echo err >&2; printf 'no newline'; exit 7");
        assert_eq!(output, Output { status: 7, stdout: b"out\nno newline".to_vec(), stderr: b"err\n".to_vec() });
        assert_eq!(run(guest, ":"), Output::default());
        assert_eq!(run(guest, "kill -TERM $$").status, 128 + 15);
        assert_eq!(run(guest, "a='two words'\n\necho \"$a\"").stdout, b"two words\n");
        assert_eq!(run(guest, "cat").stdout, b"", "standard input is empty");
    });
}

#[test]
fn bytes_survive_both_ways() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    on_each_kernel("bytes_survive_both_ways", |_, guest| {
        let output = guest.run_with_input("tee /dev/stderr", &bytes, DEADLINE).expect("the command ends");
        assert_eq!(output.status, 0);
        assert!(output.stdout == bytes, "stdout: {} bytes of {}", output.stdout.len(), bytes.len());
        assert!(output.stderr == bytes, "stderr: {} bytes of {}", output.stderr.len(), bytes.len());
    });
}

#[test]
fn a_process_in_the_background_does_not_hold_up_its_command() {
    on_each_kernel("a_process_in_the_background_does_not_hold_up_its_command", |_, guest| {
        let output = run(guest, "mkfifo /tmp/gate; (cat /tmp/gate) & echo started");
        assert_eq!(output.stdout, b"started\n");
        let output =
            run(guest, "echo late > /tmp/gate; while pidof -s cat > /dev/null; do sleep 0.1; done; rm /tmp/gate");
        assert_eq!(output.stdout, b"late\n");
    });
}

#[test]
fn files_are_where_they_were_put() {
    on_each_kernel("files_are_where_they_were_put", |_, guest| {
        let listed = run(guest, "stat -c '%n %a %s' /etc/testbed/secret /etc/testbed/manifest /init");
        let manifest_bytes = std::fs::metadata(manifest()).expect("the manifest is there").len();
        let listed = text(&listed.stdout);
        assert!(listed.contains("/etc/testbed/secret 600 6\n"), "{listed}");
        assert!(listed.contains(&format!("/etc/testbed/manifest 644 {manifest_bytes}\n")), "{listed}");
        assert!(listed.contains("/init 755 "), "{listed}");
        guest.put("/opt/it's new/late", 0o640, b"\0late").expect("the guest can write");
        let output = run(guest, "cd '/opt/it'\\''s new' && stat -c %a late && cat late");
        assert_eq!(output.stdout, b"640\n\0late");
    });
}

#[test]
fn the_file_systems_of_a_tracer_are_mounted() {
    on_each_kernel("the_file_systems_of_a_tracer_are_mounted", |kernel, guest| {
        let mounts = run(guest, "cut -d' ' -f2,3 /proc/mounts").stdout;
        for mount in [
            "/proc proc",
            "/sys sysfs",
            "/dev devtmpfs",
            "/sys/kernel/tracing tracefs",
            "/sys/kernel/debug debugfs",
            "/sys/kernel/security securityfs",
            "/sys/fs/bpf bpf",
            "/sys/fs/cgroup cgroup2",
        ] {
            assert!(text(&mounts).lines().any(|line| line == mount), "{mount} is not in {}", text(&mounts));
        }
        let output = run(guest, "uname -r; nproc; test -s /sys/kernel/btf/vmlinux; echo $?");
        assert_eq!(text(&output.stdout), format!("{}\n2\n0\n", kernel.release));
    });
}

#[test]
fn the_guest_reaches_a_server_on_the_hosts_loopback() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("the loopback has a free port");
    let port = server.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let mut datagram = [0; 1500];
        while let Ok((size, from)) = server.recv_from(&mut datagram) {
            datagram[..size].make_ascii_uppercase();
            let _ = server.send_to(&datagram[..size], from);
        }
    });
    on_each_kernel("the_guest_reaches_a_server_on_the_hosts_loopback", |_, guest| {
        // busybox's nc speaks TCP alone; its nslookup speaks UDP to any port, but says little. So a program of
        // ours.
        let output = run(guest, &format!("udp-exchange {HOST} {port} 'hello over there'"));
        assert_eq!(text(&output.stdout), "HELLO OVER THERE", "{}", text(&output.stderr));
    });
}

#[test]
fn the_client_runs_without_libraries() {
    let name = "the_client_runs_without_libraries";
    on_each_kernel(name, |_, guest| {
        for client in workspace::static_client().expect("the client builds") {
            if client.ends_with("tapwire") {
                let bytes = std::fs::read(&client).expect("cargo built it");
                guest.put("/opt/jail/tapwire", 0o755, &bytes).expect("the guest has room for it");
            }
        }
        let output = run(guest, "chroot /opt/jail /tapwire --version");
        assert_eq!(output.status, 0, "{}", text(&output.stderr));
    });
}

#[test]
fn debuginfod_serves_the_running_kernel_and_its_modules() {
    let name = "debuginfod_serves_the_running_kernel_and_its_modules";
    if let Some(reason) = setup::lacking(&["debuginfod"]).expect("dpkg answers") {
        return skip::skip(name, &reason);
    }
    on_each_kernel(name, |kernel, guest| {
        let debuginfod = Debuginfod::of_kernel(kernel).expect("debuginfod starts");
        for notes in ["/sys/kernel/notes", "/sys/module/virtio_net/notes/.note.gnu.build-id"] {
            let id = build_id(&run(guest, &format!("cat {notes}")).stdout).expect("the notes have a build id");
            assert!(debuginfod.has(&id).expect("debuginfod answers"), "{notes}: {id}");
        }
        let stranger = "00".repeat(20);
        assert!(!debuginfod.has(&stranger).expect("debuginfod answers"), "nobody has {stranger}");
    });
}

#[test]
fn debuginfod_serves_programs_of_our_own() {
    let name = "debuginfod_serves_programs_of_our_own";
    if let Some(reason) = setup::lacking(&["debuginfod", "gcc", "libc6-dev"]).expect("dpkg answers") {
        return skip::skip(name, &reason);
    }
    let directory = tempfile::tempdir().expect("there is room");
    let id = "0123456789abcdef0123456789abcdef01234567";
    let source = directory.path().join("program.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("there is room");
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", &format!("-Wl,--build-id=0x{id}"), "-o"]).arg(directory.path().join("program")).arg(source);
    process::output(&mut gcc).expect("the program compiles");
    let debuginfod = Debuginfod::of_programs(&[directory.path().to_owned()]).expect("debuginfod starts");
    assert!(debuginfod.has(id).expect("debuginfod answers"));
}

#[test]
fn a_panic_is_an_error_with_the_kernels_last_words() {
    on_each_kernel_alone("a_panic_is_an_error_with_the_kernels_last_words", |_, guest| {
        let error = guest.run("echo c > /proc/sysrq-trigger", DEADLINE).expect_err("the guest is dead");
        let words = format!("{error:#}");
        assert!(words.contains("stopped at `echo c"), "{words}");
        assert!(words.contains("Kernel panic - not syncing: sysrq triggered crash"), "{words}");
        let again = guest.run("echo again", DEADLINE).expect_err("a dead guest stays dead");
        assert!(format!("{again:#}").contains("stopped at `echo again`"), "{again:#}");
    });
}

#[test]
fn a_command_that_does_not_end_is_an_error_with_its_output_so_far() {
    on_each_kernel_alone("a_command_that_does_not_end_is_an_error_with_its_output_so_far", |_, guest| {
        let error = guest.run("echo begun; sleep 1000", Duration::from_secs(2)).expect_err("it cannot have ended");
        let words = format!("{error:#}");
        assert!(words.contains("did not end `echo begun; sleep 1000` in time"), "{words}");
        assert!(words.contains(r#"its stdout until then: "begun\n""#), "{words}");
        let again = guest.run("echo again", DEADLINE).expect_err("the guest was given up");
        assert!(format!("{again:#}").contains("stopped at `echo again`"), "{again:#}");
    });
}

fn run(guest: &mut Guest, command: &str) -> Output {
    guest.run(command, DEADLINE).expect("the command ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn manifest() -> std::path::PathBuf {
    workspace::root().join("Cargo.toml")
}

/// Runs `check` on every guest kernel, in guests that all tests of this file share, one test at a time.
fn on_each_kernel(test: &str, check: impl Fn(&Unpacked, &mut Guest)) {
    static GUESTS: OnceLock<Vec<(Unpacked, Mutex<Guest>)>> = OnceLock::new();
    let kernels = kernels_or_skip(test);
    let boot = |kernel: &Unpacked| (kernel.clone(), Mutex::new(boot(kernel)));
    for (kernel, guest) in GUESTS.get_or_init(|| kernels.iter().map(boot).collect()) {
        println!("on kernel {}", kernel.name);
        // A check that failed leaves a guest that is as good as before.
        check(kernel, &mut guest.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs `check` on every guest kernel, in guests of its own.
fn on_each_kernel_alone(test: &str, check: impl Fn(&Unpacked, &mut Guest)) {
    for kernel in kernels_or_skip(test) {
        println!("on kernel {}", kernel.name);
        check(&kernel, &mut boot(&kernel));
    }
}

fn kernels_or_skip(test: &str) -> Vec<Unpacked> {
    if let Some(reason) =
        setup::lacking(&["qemu-system-x86", "busybox-static", "gcc", "libc6-dev"]).expect("dpkg answers")
    {
        skip::skip(test, &reason);
        return Vec::new();
    }
    let mut unpacked = Vec::new();
    for kernel in kernels::guests().expect("the support matrix is well-formed") {
        match packages::cached(&kernel).expect("the cache is sound") {
            Some(kernel) => unpacked.push(kernel),
            None => skip::skip(test, &format!("kernel {} is not in the cache: run `cargo xtask setup`", kernel.name)),
        }
    }
    unpacked
}

fn boot(kernel: &Unpacked) -> Guest {
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = GuestFile::program("/usr/bin/udp-exchange", &udp_exchange(directory.path())).expect("ldd knows it");
    files.push(GuestFile::bytes("/etc/testbed/secret", 0o644, "replaced by the next"));
    files.push(GuestFile::bytes("/etc/testbed/secret", 0o600, "secret"));
    files
        .push(GuestFile { mode: 0o644, ..GuestFile::host("/etc/testbed/manifest", &manifest()).expect("it is there") });
    Guest::boot(&Config { files: &files, ..Config::new(kernel) }).expect("the kernel boots")
}

/// A dynamic program that sends a datagram and prints the answer.
fn udp_exchange(directory: &Path) -> std::path::PathBuf {
    let (source, program) = (directory.join("udp-exchange.c"), directory.join("udp-exchange"));
    let text = r#"
        #include <arpa/inet.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
            char answer[1500];
            inet_pton(AF_INET, argv[1], &to.sin_addr);
            int fd = socket(AF_INET, SOCK_DGRAM, 0);
            if (connect(fd, (struct sockaddr *)&to, sizeof to)) return 1;
            if (write(fd, argv[3], strlen(argv[3])) < 0) return 2;
            ssize_t size = read(fd, answer, sizeof answer);
            return size < 0 || write(1, answer, size) != size;
        }
    "#;
    std::fs::write(&source, text).expect("there is room");
    process::output(Command::new("gcc").arg("-o").arg(&program).arg(source)).expect("the program compiles");
    program
}
