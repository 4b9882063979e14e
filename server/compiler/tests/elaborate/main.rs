//! Pass 2 by example: scripts and libraries in, the program and what is said about it out. `BLESS=1` rewrites the cases.
//!
//! A file of `cases/` has one case after another:
//!
//! | line | what follows |
//! |---|---|
//! | `=== title` | a case begins |
//! | `--- -g --compatible 4.0` | options, and nothing else |
//! | `--- lib/NAME.stp`, `--- tapset/NAME.stp` | a file of the user's library, or of the server's |
//! | `--- kernel` | nothing: debuginfo is there, that of [`kernel`] |
//! | `--- script` | the script; a second one is that of an `-E` |
//! | `---` | what is expected: `-p2`, then diagnostics |
//!
//! The host has the tracepoints of [`TRACEPOINTS`], and nobody has debuginfo unless a case says so.
#![allow(clippy::disallowed_methods, reason = "the compiler reads no files, but its tests do")]

mod kernel;
#[path = "../debuginfo/synthetic.rs"]
#[allow(dead_code, reason = "made for the tests of debuginfo, which use all of it")]
mod synthetic;

use std::fmt::Write as _;
use std::path::Path;

use compiler::library::{Library, LibraryFile};
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, Define, Options, Output, Request, Text, compile};
use shared::diagnostic::{Diagnostic, Label, Note, Report, Severity};
use shared::target::{Architecture, BuildId, Fact, FactQuery, Feature, Target, glob_matches};

const TRACEPOINTS: [&str; 4] = ["sched_process_exec", "sched_switch", "sched_wakeup", "sys_enter"];

/// Makes a test of each file, which must exist.
macro_rules! cases {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+

        #[test]
        fn every_file_is_a_test() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elaborate/cases");
            let mut files: Vec<String> = std::fs::read_dir(directory)
                .expect("the cases are there")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".txt", ""))
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),+]);
        }
    };
}

cases! { alias control family function library operator option pattern point pointer statistic target text types warning }

#[track_caller]
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/elaborate/cases/{name}.txt"));
    let text = std::fs::read_to_string(&path).expect("a file of cases");
    let found: String = text.split("=== ").map(case).collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).expect("the file is ours");
        return;
    }
    let difference = text.lines().zip(found.lines()).enumerate().find(|(_, (expected, found))| expected != found);
    if let Some((line, (expected, found))) = difference {
        panic!("{name}.txt:{}:\nexpected {expected}\n   found {found}\n`BLESS=1` takes what is found", line + 1);
    }
    assert_eq!(text.len(), found.len(), "{name}.txt: something is missing at the end");
}

#[derive(Default)]
struct Case<'a> {
    options: Vec<&'a str>,
    own: Vec<Text>,
    tapset: Vec<LibraryFile<'a>>,
    kernel: Option<Vec<u8>>,
    scripts: Vec<Text>,
}

/// A case with what comes of it now.
fn case(text: &str) -> String {
    let Some((title, body)) = text.split_once('\n') else { return text.to_owned() };
    let Some((input, _)) = body.split_once("---\n") else { return text.to_owned() };
    let mut case = Case::default();
    for section in input.split("--- ").filter(|section| !section.is_empty()) {
        let (head, text) = section.split_once('\n').expect("a section has a head");
        let file = || Text { name: head.to_owned(), text: text.to_owned() };
        match head {
            _ if head.starts_with('-') => case.options.extend(head.split(' ')),
            "kernel" => case.kernel = Some(kernel::bytes()),
            _ if head.starts_with("lib/") => case.own.push(file()),
            _ if head.starts_with("tapset/") => case.tapset.push(LibraryFile { name: head, text }),
            _ => case.scripts.push(file()),
        }
    }
    format!("=== {title}\n{input}---\n{}\n", run(&case))
}

fn run(case: &Case<'_>) -> String {
    let world = Known { tapset: Library::new(case.tapset.clone()), kernel: case.kernel.as_deref() };
    let target = Target {
        architecture: Architecture::X86_64,
        release: "6.1.0-56-cloud-amd64".to_owned(),
        kernel: build_id(),
        features: [Feature::AttachCookie].into(),
    };
    let (script, additions) = case.scripts.split_first().expect("a case has a script");
    let options = options(&case.options);
    let mut facts = Vec::new();
    loop {
        let request = Request {
            script_name: &script.name,
            script: &script.text,
            additions,
            library: &case.own,
            arguments: &[],
            output: Output::Elaborated,
            guru: case.options.contains(&"-g"),
            options: &options,
            target: &target,
            facts: &facts,
        };
        match compile(&request, &world).expect("no stage breaks its own rules") {
            Compilation::Text(text, report) => return text + &shown(&report),
            Compilation::Refused(report) => return shown(&report),
            Compilation::NeedFacts(queries) => facts.extend(queries.iter().map(answer)),
            Compilation::DebuginfoMissing(need) => return format!("no debuginfo of {}\n", need.object),
            other => panic!("a compile to text ended as {other:?}"),
        }
    }
}

fn options(words: &[&str]) -> Options {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "-g" => {}
            "-W" => options.warnings_are_errors = true,
            "--check-version" => options.check_version = true,
            "--compatible" => options.compatible = words.next().map(|version| (*version).to_owned()),
            "--semantic-keep-going" => options.keep_going = true,
            "--skip-badvars" => options.skip_badvars = true,
            "--suppress-handler-errors" => options.suppress_handler_errors = true,
            "--suppress-time-limits" => options.suppress_time_limits = true,
            _ => {
                let definition = word.strip_prefix("-D").expect("an option");
                let (name, value) = definition.split_once('=').map_or((definition, None), |(n, v)| (n, Some(v)));
                options.defines.push(Define { name: name.to_owned(), value: value.map(str::to_owned) });
            }
        }
    }
    options
}

/// A world with a tapset, and perhaps the debuginfo of the kernel.
struct Known<'a> {
    tapset: Library<'a>,
    kernel: Option<&'a [u8]>,
}

impl World for Known<'_> {
    fn debuginfo(&self, _build_id: &BuildId) -> DebuginfoFile<'_> {
        self.kernel.map_or(DebuginfoFile::Missing, DebuginfoFile::Bytes)
    }

    fn tapset(&self) -> &Library<'_> {
        &self.tapset
    }
}

fn build_id() -> BuildId {
    "4c094903".parse().expect("a build id")
}

fn answer(query: &FactQuery) -> Fact {
    match query {
        FactQuery::Elf { path } => Fact::Elf { path: path.clone(), found: Err("no such file".to_owned()) },
        FactQuery::KernelConfig { name } => {
            Fact::KernelConfig { name: name.clone(), value: Err("nobody knows".to_owned()) }
        }
        FactQuery::Tracepoints { pattern } => {
            let names = TRACEPOINTS.iter().filter(|name| glob_matches(pattern, name));
            Fact::Tracepoints { pattern: pattern.clone(), names: names.map(|name| (*name).to_owned()).collect() }
        }
    }
}

fn shown(report: &Report) -> String {
    let mut text = String::new();
    for Diagnostic { code, severity, message, labels, notes } in &report.diagnostics {
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(text, "{severity}[{code}]: {message}");
        for label in labels {
            let _ = writeln!(text, "  {}", place(report, label));
        }
        for note in notes {
            let (Note::Note(words) | Note::Help(words)) = note;
            let _ = writeln!(text, "  = {words}");
        }
    }
    text
}

fn place(report: &Report, label: &Label) -> String {
    let source = &report.sources[label.span.source.0 as usize];
    let before = &source.text[..label.span.start as usize];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    let words = source.text[label.span.start as usize..label.span.end as usize].lines().next().unwrap_or("");
    let text = if label.text.is_empty() { String::new() } else { format!(": {}", label.text) };
    format!("{}:{line}:{column} `{words}`{text}", source.name)
}
