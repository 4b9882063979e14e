//! The program's words, files and exit status.

use std::io::Write as _;
use std::process::Stdio;

use shared::diagnostic::{Diagnostic, Report, Source, SourceId, Span};
use shared::protocol::request::Output;
use shared::protocol::response::Outcome;
use shared::target::{Fact, FactQuery};

use crate::command::{Home, Said, expect_snapshot};
use crate::fake_server::{FakeServer, Parties, Step};
use crate::samples::{ELF, artifact, artifact_with, finished, progress, text};

/// `taprun` as far as `tapwire` can tell: says how it was called, and what it was given.
const TAPRUN: &str = r#"
if [ "$1" = --features ]; then echo kprobe; echo ring_buffer; exit 0; fi
for last; do :; done
echo "taprun: $(echo "$@" | sed 's,/proc/self/fd/.*,ARTIFACT,')"
echo "artifact: $(wc -c < "$last") bytes"
echo "stdin: $(cat)"
echo "pid: $$"
exit 7
"#;

#[track_caller]
fn expect_refusal(name: &str, said: &Said) {
    assert!(!said.status.success());
    expect_snapshot(name, &said.shown());
}

fn span(start: u32, end: u32) -> Span {
    Span { source: SourceId(0), start, end }
}

#[test]
fn help() {
    let home = Home::new();
    let said = home.run(&["--help"]);
    assert!(said.status.success());
    expect_snapshot("help", &said.shown());
    expect_snapshot("help_facts", &home.run(&["facts", "--help"]).shown());
    let version = home.run(&["-V"]).stdout;
    assert!(version.starts_with("tapwire ") && version.contains("protocol tapwire/"), "{version}");
}

#[test]
fn mistakes_on_the_command_line() {
    let home = Home::new();
    let mistakes: &[&[&str]] = &[
        &[],
        &["--use-sever=farm", "a.stp"],
        &["-D7", "a.stp"],
        &["-Gx=1", "a.stp"],
        &["--compatible=new", "a.stp"],
        &["--runtime=bpf", "a.stp"],
        &["-p6", "a.stp"],
        &["-p3", "--emit=bpf", "a.stp"],
        &["--emit=c", "a.stp"],
        &["--facts", "facts.toml", "a.stp"],
        &["-c", "ls", "-x", "1", "a.stp"],
        &["-x", "0", "a.stp"],
        &["-m", "../a", "a.stp"],
        &["--use-server=farm:x", "a.stp"],
        &["facts", "a.stp"],
    ];
    let mut shown = String::new();
    for words in mistakes {
        let said = home.run(words);
        assert_eq!(said.status.code(), Some(2), "{words:?}");
        // The usage lines are in the help's snapshot.
        let ends = ["\n\nUsage:", "\n\nFor more information"].map(|end| said.stderr.find(end));
        let end = ends.into_iter().flatten().min().unwrap_or(said.stderr.len());
        let complaint = &said.stderr[..end];
        shown.push_str(&format!("$ tapwire {}\n{complaint}\n\n", words.join(" ")));
    }
    expect_snapshot("mistakes", &shown);
}

#[test]
fn what_stands_in_the_way_before_anybody_is_asked() {
    let home = Home::new();
    home.write("bad.toml", "[target]\nrelease = 7\n");
    home.write("latin1.stp", "");
    std::fs::write(home.path("latin1.stp"), b"probe begin { println(\"\xe4\") }\n").expect("written");
    let mut shown = String::new();
    for words in [
        &["-p1", "missing.stp"][..],
        &["-p1", "probe begin { exit() }"],
        &["-p1", "latin1.stp"],
        &["-p1", "-I", "missing", "-e", "probe begin {}"],
        &["-p2", "-e", "probe begin {}"],
        &["-p2", "--facts", "bad.toml", "-e", "probe begin {}"],
        &["-p2", "--facts", "missing.toml", "-e", "probe begin {}"],
        &["-p1", "-e", "probe begin {}"],
        &["facts"],
    ] {
        let mut command = home.command(words);
        command.env("PATH", home.path("bin"));
        let said = home.finish(command);
        assert_eq!(said.status.code(), Some(1), "{words:?}: {}", said.stderr);
        shown.push_str(&format!("$ tapwire {}\n{}\n", words.join(" "), said.stderr));
    }
    expect_snapshot("in_the_way", &shown);
}

#[test]
fn a_taprun_that_may_not_try_is_quoted() {
    let home = Home::new();
    home.install("taprun", "echo 'error: taprun lacks CAP_BPF and CAP_PERFMON' >&2; echo 'help: x' >&2; exit 1");
    expect_refusal("features_refused", &home.run(&["-p2", "-e", "probe begin {}"]));
    home.install("taprun", "exit 0");
    let said = home.run(&["-p2", "-e", "probe begin {}"]);
    assert!(said.stderr.contains("failed (it found nothing)\nhelp: trying"), "{}", said.stderr);
    home.install("taprun", "echo kprobe; echo teleport");
    expect_refusal("features_unknown", &home.run(&["-p2", "-e", "probe begin {}"]));
}

#[test]
fn a_facts_file_describes_the_host_it_was_written_on() {
    let home = Home::new();
    home.install("taprun", TAPRUN);
    let said = home.run(&["facts", "--elf", "bin/taprun"]);
    assert_eq!(
        said.stderr,
        "error: bin/taprun: not a 64-bit ELF file\nhelp: a program has a build id when it is linked with --build-id, as distributions do\n"
    );
    let said = home.run(&["facts", "--elf", "/bin/sh"]);
    assert!(said.status.success(), "{}", said.stderr);
    let facts = client::host::facts::HostFacts::from_toml(&said.stdout).expect("a facts file");
    assert_eq!(facts.target.release, rustix::system::uname().release().to_string_lossy());
    assert!(facts.elf.contains_key("/bin/sh"));
}

#[test]
fn text_of_a_pass_goes_to_standard_output() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, request| {
        assert_eq!((request.script_name.as_str(), request.script.as_str()), ("hello.stp", "probe begin {}\n"));
        assert_eq!(request.arguments, ["10", "-v"]);
        assert_eq!((request.output, request.guru), (Output::Elaborated, true));
        assert_eq!(request.target.kernel.to_string(), "4c094903");
        vec![progress("fetching debuginfo of the kernel (4c094903)"), text("probe begin { /* 2 */ }\n")]
    }));
    home.write("hello.stp", "probe begin {}\n");
    let said = home.ask(&server, &["-gp2", "--facts", "facts.toml", "hello.stp", "10", "--", "-v"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("probe begin { /* 2 */ }\n", ""));
    assert!(said.status.success());
    let said = home.ask(&server, &["-gp2", "-vv", "--facts", "facts.toml", "hello.stp", "10", "--", "-v"]);
    expect_snapshot("verbose", &said.shown().replace(&server.address.port().to_string(), "PORT"));
}

#[test]
fn a_script_comes_from_standard_input_too() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(
        parties.setup(|_, request| vec![text(&format!("{}: {}", request.script_name, request.script))]),
    );
    let server = format!("--use-server={}", server.address);
    let mut command = home.command(&[server.as_str(), "-p1", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
    child.stdin.take().expect("a pipe").write_all(b"probe end {}").expect("written");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "<input>: probe end {}\n");
}

#[test]
fn a_script_file_can_be_a_program() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, request| vec![text(&format!("{:?}", request.arguments))]));
    let head = format!("#!/usr/bin/env -S tapwire --use-server={} -p1\n", server.address);
    home.write_program("script", &format!("{head}probe begin {{}}\n"));
    let mut command = std::process::Command::new(home.path("script"));
    command.args(["10", "foo"]);
    command
        .env_clear()
        .env("HOME", home.path("."))
        .env("PATH", format!("{}:/usr/bin:/bin", home.path("bin").display()));
    let said = home.finish(command);
    assert_eq!(said.stdout, "[\"10\", \"foo\"]\n", "{}", said.stderr);
}

fn faulty_report() -> Report {
    let script = "global hits\n\nprobe kernel.function(\"vfs_raed\") {\n\thits[execnam()] <<< $cuont\n\tä = 1\n}\n";
    let place = |word: &str| {
        let start = script.find(word).expect("a word") as u32;
        span(start, start + word.len() as u32)
    };
    let tapset = Source { name: "tapset/context.stp".to_owned(), text: "function execname:string()\n{ }\n".to_owned() };
    let in_tapset = Span { source: SourceId(1), start: 9, end: 17 };
    let diagnostics = vec![
        Diagnostic::error("elaborate/no-function", place("\"vfs_raed\""), "no kernel function matches \"vfs_raed\"")
            .saying("not found")
            .help("did you mean vfs_read, vfs_readf or vfs_readv?"),
        Diagnostic::error("elaborate/unknown-function", place("execnam()"), "unknown function execnam")
            .also(in_tapset, "a similar function is defined here")
            .note("the function takes no arguments"),
        Diagnostic::warning("elaborate/never-read", place("ä"), "variable ä is never read").saying("written here"),
    ];
    let mut diagnostics = diagnostics;
    let nowhere =
        Diagnostic { labels: Vec::new(), ..Diagnostic::error("elaborate/no-probes", span(0, 0), "no probes") };
    diagnostics.push(nowhere);
    Report { sources: vec![Source { name: "hello.stp".to_owned(), text: script.to_owned() }, tapset], diagnostics }
}

#[test]
fn a_faulty_script_is_shown_with_its_places() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, _| vec![finished(Outcome::Refused(faulty_report()))]));
    let words = ["-p1", "-e", "x"];
    let said = home.ask(&server, &words);
    assert_eq!(said.status.code(), Some(1));
    expect_snapshot("faulty", &said.shown());
    let said = home.ask(&server, &["-w", "--color=always", "-p1", "-e", "x"]);
    expect_snapshot("faulty_color_w", &said.shown().replace('\u{1b}', "^["));
    let with_colors = |colors: &str| {
        let mut command =
            home.command(&[&format!("--use-server={}", server.address), "--color=always", "-p1", "-e", "x"]);
        command.env("SYSTEMTAP_COLORS", colors).env("NO_COLOR", "1");
        home.finish(command).shown()
    };
    let colored = with_colors("error=35:warning=36:source=32:caret=07:token=04");
    expect_snapshot("faulty_colors", &colored.replace('\u{1b}', "^["));
    assert!(!with_colors("").contains('\u{1b}'));
}

#[test]
fn warnings_do_not_keep_a_script_from_running() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    home.install("taprun", TAPRUN);
    let mut report = faulty_report();
    report.diagnostics.retain(|diagnostic| diagnostic.code == "elaborate/never-read");
    let server = FakeServer::start(parties.setup(move |_, _| vec![artifact_with(report.clone())]));
    let said = home.ask(&server, &["-e", "x"]);
    assert_eq!(said.status.code(), Some(7), "{}", said.stderr);
    assert!(said.stderr.starts_with("warning[elaborate/never-read]"), "{}", said.stderr);
    assert_eq!(home.ask(&server, &["-w", "-e", "x"]).stderr, "");
}

#[test]
fn questions_are_answered_from_the_facts_file() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|round, request| match round {
        0 => vec![finished(Outcome::NeedFacts(vec![
            FactQuery::Elf { path: "/bin/bash".to_owned() },
            FactQuery::Elf { path: "/bin/other".to_owned() },
            FactQuery::Tracepoints { pattern: "sched_*".to_owned() },
            FactQuery::KernelConfig { name: "CONFIG_SMP".to_owned() },
        ]))],
        _ => {
            let answers = request.facts.iter().map(|fact| match fact {
                Fact::Elf { path, found } => {
                    format!("{path} {:?}\n", found.as_ref().map(|elf| elf.build_id.to_string()))
                }
                Fact::Tracepoints { pattern, names } => format!("{pattern} {names:?}\n"),
                Fact::KernelConfig { name, value } => format!("{name} {value:?}\n"),
            });
            vec![text(&answers.collect::<String>())]
        }
    }));
    let said = home.ask(&server, &["-v", "-p2", "--facts", "facts.toml", "-e", "x"]);
    expect_snapshot("facts_answers", &said.shown().replace(&server.address.port().to_string(), "PORT"));
}

#[test]
fn an_artifact_is_left_where_its_user_expects_it() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, _| vec![artifact_with(Report::default())]));
    let ask = |words: &[&str]| {
        let words: Vec<&str> = ["--facts", "facts.toml"].iter().chain(words).copied().collect();
        let said = home.ask(&server, &words);
        assert!(said.status.success(), "{}", said.stderr);
        said.stdout
    };
    assert_eq!(ask(&["-p4", "-m", "mine", "-e", "x"]), "mine.tap\n");
    assert_eq!(std::fs::read(home.path("mine.tap")).expect("a file"), artifact());
    assert_eq!(ask(&["--emit=elf", "-m", "mine", "-e", "x"]), "mine.o\n");
    assert_eq!(std::fs::read(home.path("mine.o")).expect("a file"), ELF);
    assert_eq!(ask(&["-p4", "--emit=elf", "-e", "x"]).as_bytes(), ELF);

    let path = ask(&["-p4", "-e", "x"]);
    let path = path.trim_end().strip_prefix("HOME/").expect("a path below the home");
    assert!(path.starts_with(".cache/tapwire/artifacts/stap_") && path.ends_with(".tap"), "{path}");
    assert_eq!(std::fs::read(home.path(path)).expect("a file"), artifact());
    assert_eq!(ask(&["-p4", "-e", "x"]).trim_end(), format!("HOME/{path}"));
}

#[test]
fn a_server_that_sends_something_else_is_found_out() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|round, _| match round {
        0 => vec![text("no artifact")],
        1 => vec![artifact_with(Report::default())],
        _ => {
            let (report, timings) = (Report::default(), Vec::new());
            vec![finished(Outcome::Artifact { artifact: b"\x7fELF".to_vec(), report, timings })]
        }
    }));
    let facts = ["--facts", "facts.toml", "-e", "x"];
    let ask = |pass: &str| home.ask(&server, &[&[pass], &facts[..]].concat()).stderr;
    assert!(ask("-p4").starts_with("error: the server sent something else than was asked for\n"));
    assert!(ask("-p3").starts_with("error: the server sent something else than was asked for\n"));
    assert!(ask("-p4").starts_with("error: the server sent no artifact that this client can read: "));
}

#[test]
fn running_a_script_becomes_taprun() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    home.install("taprun", TAPRUN);
    let server = FakeServer::start(parties.setup(|_, request| {
        assert_eq!(request.target.features.len(), 2);
        vec![artifact_with(Report::default())]
    }));
    let server = format!("--use-server={}", server.address);
    let words = [&server, "-v", "-c", "ls -l", "-o", "out", "-T", "3", "-m", "mine", "-e", "x"];
    let mut command = home.command(&words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a program");
    let id = child.id();
    child.stdin.take().expect("a pipe").write_all(b"typed").expect("written");
    let output = child.wait_with_output().expect("an end");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let size = artifact().len();
    let expected =
        format!("taprun: -v -c ls -l -o out -T 3 ARTIFACT\nartifact: {size} bytes\nstdin: typed\npid: {id}\n");
    assert_eq!(stdout, expected);
    assert_eq!(output.status.code(), Some(7), "the status is not taprun's");
    assert!(String::from_utf8_lossy(&output.stderr).ends_with("Pass 5: starting run.\n"));
    assert_eq!(std::fs::read(home.path("mine.tap")).expect("a file"), artifact());
}

#[test]
fn options_for_the_run_are_idle_before_it() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, _| vec![text("")]));
    let said = home.ask(&server, &["-p1", "-c", "ls", "-T", "5", "-e", "x"]);
    let expected = "warning: -c is for pass 5, which is not run\nwarning: -T is for pass 5, which is not run\n";
    assert_eq!(said.stderr, expected);
    assert!(said.status.success());
    assert_eq!(home.ask(&server, &["-p1", "-w", "-c", "ls", "-e", "x"]).stderr, "");
}

#[test]
fn servers_of_the_list_are_asked_by_the_names_of_their_entries() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let servers = home.path(".config/tapwire/servers");
    std::fs::rename(servers.join("127.0.0.1.crt"), servers.join("nowhere.invalid.crt")).expect("renamed");
    let said = home.run(&["--use-server", "-p1", "-e", "x"]);
    assert!(said.stderr.contains("cannot find the server nowhere.invalid:7027: "), "{}", said.stderr);
    assert_eq!(said.status.code(), Some(1));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let server = FakeServer::start(parties.setup(|_, _| vec![text(&"line\n".repeat(1 << 18))]));
    let mut command = std::process::Command::new("/bin/sh");
    let pipe = format!("tapwire --use-server={} -p1 -e x | head -n 1", server.address);
    command.args(["-c", &pipe]).env_clear().env("HOME", home.path("."));
    command.env("PATH", format!("{}:/usr/bin:/bin", home.path("bin").display()));
    let said = home.finish(command);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("line\n", ""));
}

#[test]
fn a_terminal_shows_progress_and_wipes_it() {
    let parties = Parties::new();
    let home = Home::of(&parties);
    let behaviour =
        |_: usize, _: &_| vec![progress("fetching debuginfo"), Step::Work(300), text("an \u{1b}[31mescape")];
    let server = FakeServer::start(parties.setup(behaviour));
    // script(1) gives it a terminal.
    let mut command = std::process::Command::new("/usr/bin/script");
    let words = format!("{} --use-server={} -p1 -e x", home.path("bin/tapwire").display(), server.address);
    command.args(["-qec", &words, "/dev/null"]).stdin(Stdio::null());
    command.env_clear().env("HOME", home.path(".")).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let shown = home.finish(command).stdout;
    assert!(shown.contains("fetching debuginfo 1.00 MiB/5.00 MiB"), "{shown:?}");
    assert!(shown.ends_with("\r\u{1b}[2Kan \u{241b}[31mescape\r\n"), "{shown:?}");
}
