//! Pass 1 by example: a snippet in, the tree as a script and what was said about it out.

use std::collections::BTreeMap;
use std::fmt::Write;

use shared::diagnostic::{Diagnostic, Label, Note, Severity};
use shared::trust::Privilege;

use super::{Environment, Macros, SYSTEMTAP_VERSION, define_macros, parse};
use crate::ast::Stapfile;
use crate::source::Sources;

mod declaration;

mod expression;

mod limit;

mod preprocess;

mod property;

mod recovery;

mod statement;

/// What a snippet meets unless a test says otherwise.
const ENVIRONMENT: Environment<'_> = Environment {
    kernel_release: "6.1.0-56-cloud-amd64",
    architecture: "x86_64",
    config: super::CONFIG_NONE,
    runtime: "kernel",
    privilege: Privilege::Stapdev,
    guru: false,
    compatible: SYSTEMTAP_VERSION,
    arguments: &[],
    macros: &NO_MACROS,
    user_script: true,
};

const NO_MACROS: Macros = Macros { by_name: BTreeMap::new() };

/// Parses `input` and compares the tree, then the diagnostics, with `expected`, whose indentation does not count.
#[track_caller]
fn check(input: &str, expected: &str) {
    check_in(&ENVIRONMENT, input, expected);
}

#[track_caller]
fn check_in(environment: &Environment<'_>, input: &str, expected: &str) {
    let (sources, tree, diagnostics) = parse_text(environment, input);
    assert_same(&format!("{tree}{}", shown(&sources, diagnostics)), expected);
}

/// The same for statements of a probe's handler.
#[track_caller]
fn check_body(input: &str, expected: &str) {
    let (sources, tree, diagnostics) = parse_text(&ENVIRONMENT, &format!("probe p {{\n{input}\n}}"));
    let text = tree.to_string();
    let body = text.strip_prefix("probe p {\n").and_then(|text| text.strip_suffix("}\n")).unwrap_or(&text);
    assert_same(&format!("{}\n{}", unindented(body), shown(&sources, diagnostics)), expected);
}

/// Checks that two snippets are the same tree, and that there is nothing to say about them.
#[track_caller]
fn same(a: &str, b: &str) {
    let tree = |body: &str| {
        let (sources, tree, diagnostics) = parse_text(&ENVIRONMENT, &format!("probe p {{ {body} }}"));
        assert_eq!(shown(&sources, diagnostics), "");
        tree.to_string()
    };
    assert_eq!(tree(a), tree(b));
}

fn parse_text(environment: &Environment<'_>, input: &str) -> (Sources, Stapfile, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let id = sources.add("script", input);
    let (tree, diagnostics) = parse(&mut sources, id, environment);
    (sources, tree, diagnostics)
}

/// Reads texts of macros as the tapset has them.
fn library(texts: &[&str]) -> (Sources, Macros, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let mut macros = Macros::default();
    let mut diagnostics = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let id = sources.add(format!("{index}.stpm"), *text);
        diagnostics.extend(define_macros(&mut sources, id, &ENVIRONMENT, &mut macros));
    }
    (sources, macros, diagnostics)
}

/// Diagnostics as a report has them, a line for each label and each note.
fn shown(sources: &Sources, diagnostics: Vec<Diagnostic>) -> String {
    let mut text = String::new();
    let report = sources.report(diagnostics);
    let mut sources = Sources::default();
    for source in report.sources {
        sources.add(source.name, source.text);
    }
    for Diagnostic { code, severity, message, labels, notes } in report.diagnostics {
        let severity = if severity == Severity::Error { "error" } else { "warning" };
        let _ = writeln!(text, "{severity}[{code}]: {message}");
        for Label { span, text: words } in labels {
            let place = sources.line_column(span);
            let name = match sources.get(span.source).name.as_str() {
                "script" => "",
                name => &format!("{name}:"),
            };
            let quoted = sources.text(span).replace('\n', "\\n");
            let _ = writeln!(text, "  {name}{}:{} `{quoted}` {words}", place.line, place.column);
        }
        for note in notes {
            let _ = match note {
                Note::Note(note) => writeln!(text, "  note: {note}"),
                Note::Help(help) => writeln!(text, "  help: {help}"),
            };
        }
    }
    text
}

#[track_caller]
fn assert_same(actual: &str, expected: &str) {
    let (actual, expected) = (unindented(actual), unindented(expected));
    assert!(actual == expected, "\n--- expected\n{expected}\n--- actual\n{actual}\n");
}

/// The lines without the indentation that all have, and without blank ones around.
fn unindented(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let indent = lines.clone().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.map(|line| &line[indent..]).collect::<Vec<_>>().join("\n")
}
