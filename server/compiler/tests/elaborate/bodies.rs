//! Bodies and types: a script in, the resolved program or what is wrong with it out. One case, one file: the script, then a
//! line `---`, then what comes of it. `BLESS=1` rewrites what comes of it. `//@ guru` in a script is `-g`.
//!
//! The kernel is the one of [`super::kernel`], made on the spot; it has two functions and a few types.

use std::fmt::Write;
use std::path::Path;
use std::sync::LazyLock;

use compiler::library::Library;
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, Options, Output, Request, compile};
use shared::diagnostic::{Note, Report, Severity};
use shared::target::{Architecture, BuildId, Fact, FactQuery, Feature, Target};

struct Kernel(Vec<u8>);

impl World for Kernel {
    fn debuginfo(&self, _build_id: &BuildId) -> DebuginfoFile<'_> {
        DebuginfoFile::Bytes(&self.0)
    }

    fn tapset(&self) -> &Library<'_> {
        static NONE: LazyLock<Library<'static>> = LazyLock::new(Library::default);
        &NONE
    }
}

#[test]
fn cases() {
    let world = Kernel(super::kernel::bytes());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elaborate/bodies");
    let mut names: Vec<_> =
        std::fs::read_dir(directory).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    names.sort();
    let mut wrong = Vec::new();
    for path in names {
        let case = std::fs::read_to_string(&path).expect("a case");
        let (script, expected) = case.split_once("\n---\n").unwrap_or((&case, ""));
        let actual = elaborate(script, &world);
        if actual == expected {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, format!("{}\n---\n{actual}", script.trim_end())).expect("a case");
        } else {
            wrong.push(format!("{}:\n--- expected\n{expected}\n--- actual\n{actual}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn elaborate(script: &str, world: &Kernel) -> String {
    let target = Target {
        architecture: Architecture::X86_64,
        release: "6.1.0".to_owned(),
        kernel: BuildId::new(&[1]).expect("a build id"),
        features: [Feature::Kprobe, Feature::RawTracepoint, Feature::AttachCookie].into(),
    };
    let mut facts = Vec::new();
    loop {
        let request = Request {
            script_name: "script",
            script,
            additions: &[],
            library: &[],
            arguments: &[],
            output: Output::Elaborated,
            guru: script.contains("//@ guru"),
            options: &Options::default(),
            target: &target,
            facts: &facts,
        };
        match compile(&request, world).expect("no bug") {
            Compilation::Text(text, report) => return format!("{text}{}", shown(&report)),
            Compilation::Refused(report) => return shown(&report),
            Compilation::NeedFacts(queries) => facts.extend(queries.into_iter().map(answer)),
            other => return format!("{other:?}"),
        }
    }
}

fn answer(query: FactQuery) -> Fact {
    match query {
        FactQuery::Elf { path } => Fact::Elf { path, found: Err("no such file".to_owned()) },
        FactQuery::Tracepoints { pattern } => {
            let names = ["sched_switch"].into_iter().filter(|name| shared::target::glob_matches(&pattern, name));
            Fact::Tracepoints { names: names.map(str::to_owned).collect(), pattern }
        }
    }
}

/// Diagnostics, a line for each label and each note.
fn shown(report: &Report) -> String {
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
        let _ = writeln!(text, "{severity}[{}]: {}", diagnostic.code, diagnostic.message);
        for label in &diagnostic.labels {
            let source = &report.sources[label.span.source.0 as usize].text;
            let line = source[..label.span.start as usize].matches('\n').count() + 1;
            let quoted = source[label.span.start as usize..label.span.end as usize].replace('\n', "\\n");
            let _ = writeln!(text, "  {line}: `{quoted}` {}", label.text);
        }
        for note in &diagnostic.notes {
            let _ = match note {
                Note::Note(note) => writeln!(text, "  note: {note}"),
                Note::Help(help) => writeln!(text, "  help: {help}"),
            };
        }
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
