//! A server of the user's own: `tapwired --personal DIR` as far as `tapwire` can tell is a script that holds the lock and
//! says where the test's server listens.

use std::path::PathBuf;

use shared::diagnostic::Report;

use crate::command::{Home, Said};
use crate::fake_server::{FakeServer, Identity, Parties, write_client_dir};
use crate::samples::{artifact_with, text};

/// Holds the lock, makes keys by copying them, says where it listens, and stays until the home is gone or `end` appears in
/// it. Writes a line into `starts` each time.
const TAPWIRED: &str = r#"
[ "$1" = --personal ] || exit 3
echo start >> HOME/starts
echo "tapwired: here I am"
exec 9>>"$2/lock"
flock -n 9 || { echo "tapwired: somebody else is here" >&2; exit 1; }
rm -f "$2/address"
cp -r HOME/keys/. "$2/"
sleep 0.2
echo ADDRESS > "$2/.new" && mv "$2/.new" "$2/address"
while [ -d HOME ] && [ ! -e HOME/end ]; do sleep 0.05; done
rm -f "$2/address"
"#;

struct Personal {
    home: Home,
    server: FakeServer,
}

impl Personal {
    fn new() -> Self {
        let parties = Parties::new();
        let home = Home::new();
        write_client_dir(&home.path("keys"), &parties.server, &parties.client);
        let server = FakeServer::start(parties.setup(|_, request| match request.output {
            shared::protocol::request::Output::Artifact => vec![artifact_with(Report::default())],
            _ => vec![text("hello")],
        }));
        let personal = Self { home, server };
        personal.install(TAPWIRED);
        personal
    }

    fn install(&self, script: &str) {
        let script = script.replace("HOME", &self.home.path("").display().to_string());
        self.home.install("tapwired", &script.replace("ADDRESS", &self.server.address.to_string()));
    }

    fn run(&self) -> Said {
        self.home.run(&["-p1", "-e", "x"])
    }

    fn starts_count(&self) -> usize {
        std::fs::read_to_string(self.home.path("starts")).unwrap_or_default().lines().count()
    }

    /// The directories of all servers so far.
    fn dirs(&self) -> Vec<PathBuf> {
        let dirs = std::fs::read_dir(self.home.path(".local/state/tapwire")).expect("a directory");
        dirs.map(|dir| dir.expect("an entry").path()).collect()
    }
}

#[track_caller]
fn expect_hello(said: &Said) {
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("hello\n", ""));
}

#[test]
fn a_server_is_started_once_and_found_again() {
    let personal = Personal::new();
    expect_hello(&personal.run());
    expect_hello(&personal.run());
    assert_eq!(personal.starts_count(), 1);
    assert_eq!(personal.dirs().len(), 1);
    let log = std::fs::read_to_string(personal.dirs()[0].join("log")).expect("a log");
    assert_eq!(log, "tapwired: here I am\n");
}

#[test]
fn two_at_once_start_one_server() {
    let personal = Personal::new();
    let home = &personal.home;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| expect_hello(&home.run(&["-p1", "-e", "x"])));
        }
    });
    assert_eq!(personal.starts_count(), 1);
}

#[test]
fn a_server_that_ended_or_was_killed_is_started_again() {
    let personal = Personal::new();
    expect_hello(&personal.run());
    personal.home.write("end", "");
    let dir = personal.dirs().remove(0);
    while dir.join("address").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::remove_file(personal.home.path("end")).expect("removed");
    // What a killed server leaves: an address where nobody listens, and no lock.
    std::fs::write(dir.join("address"), "127.0.0.1:9\n").expect("written");
    expect_hello(&personal.run());
    assert_eq!(personal.starts_count(), 2);
}

#[test]
fn another_environment_has_another_server() {
    let personal = Personal::new();
    expect_hello(&personal.run());
    let mut command = personal.home.command(&["-p1", "-e", "x"]);
    command.env("DEBUGINFOD_URLS", "https://debuginfod.example.org/");
    expect_hello(&personal.home.finish(command));
    assert_eq!((personal.starts_count(), personal.dirs().len()), (2, 2));
}

#[test]
fn a_server_that_does_not_start_is_quoted() {
    let personal = Personal::new();
    personal.install("echo; echo 'tapwired: cannot listen: \x1b[31mno sockets left' >&2; exit 1");
    let said = personal.run();
    let stderr = said.stderr.replace(&personal.dirs()[0].display().to_string(), "DIR");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "error: your own compile server did not start: HOME/bin/tapwired ended with exit status: 1");
    assert_eq!(lines[1], "help: it said: tapwired: cannot listen: \u{241b}[31mno sockets left");
    assert!(lines[2].starts_with("help: all it said is in "), "{stderr}");
    assert_eq!(said.status.code(), Some(1));
}

#[test]
fn its_certificate_is_checked_like_any_other() {
    let personal = Personal::new();
    let other = Identity::of_server();
    std::fs::write(personal.home.path("keys/servers/127.0.0.1.crt"), other.certificate_pem).expect("written");
    let said = personal.run();
    assert!(said.stderr.contains(" is not trusted: its certificate has the fingerprint "), "{}", said.stderr);
}

#[test]
fn an_address_elsewhere_is_not_believed() {
    let personal = Personal::new();
    // It ends by itself: the wait for a better address is long.
    personal.install(&TAPWIRED.replace("ADDRESS", "192.0.2.1:7027").replace("while [ -d HOME ]", "while false"));
    let said = personal.run();
    assert!(said.stderr.starts_with("error: your own compile server did not start: "), "{}", said.stderr);
    assert_eq!(personal.server.requests_count(), 0);
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let personal = Personal::new();
    expect_hello(&personal.run());
    let dir = personal.dirs().remove(0);
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let said = personal.run();
    assert!(said.stderr.contains("belongs to somebody else, or is open to others"), "{}", said.stderr);
}

#[test]
fn taprun_is_told_whom_to_trust_when_root_asks() {
    let personal = Personal::new();
    personal.home.install(
        "taprun",
        "[ \"$1\" = --features ] && { echo kprobe; exit 0; }; echo \"$@\" | sed 's,/proc/self/fd/.*,ARTIFACT,'",
    );
    let said = personal.home.run(&["-e", "x"]);
    let dir = personal.dirs()[0].file_name().map(|name| name.to_string_lossy().into_owned()).expect("a name");
    let told = format!("--signers HOME/.local/state/tapwire/{dir}/signers ARTIFACT\n");
    let expected = if rustix::process::getuid().is_root() { told } else { "ARTIFACT\n".to_owned() };
    assert_eq!(said.stdout, expected, "{}", said.stderr);
}
