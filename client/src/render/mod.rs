//! What `tapwire` says to a person: a compiler's report and an error of ours, as text for a terminal or a file. It is the
//! only place that knows what either looks like, and it must not print.
//!
//! Texts may come from a server: nothing in them reaches a terminal that could control it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use shared::diagnostic::{Diagnostic, Label, Note, Report, Severity, Source, SourceId};

use crate::error::Error;
use color::Colors;

pub mod color;

pub mod explain;

pub mod passes;

mod repeated;

/// How texts look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// With colours, and which.
    pub colors: Option<Colors>,
    /// Without warnings.
    pub hide_warnings: bool,
}

/// Diagnostics of one report that are shown. After so many a person mends the first and asks again.
const DIAGNOSTICS_SHOWN_MAX: usize = 100;

/// Every diagnostic of a report with its places in the script, a blank line after each. What is said more than once is shown
/// once.
#[must_use]
pub fn report(report: &Report, look: Look) -> String {
    let sources: Vec<Source> = report.sources.iter().map(visible_source).collect();
    let diagnostics = repeated::merged(report);
    let is_shown = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error || !look.hide_warnings;
    let mut shown = diagnostics.iter().filter(is_shown);
    let mut text = String::new();
    for diagnostic in shown.by_ref().take(DIAGNOSTICS_SHOWN_MAX) {
        text.push_str(&self::diagnostic(diagnostic, &sources, look));
        text.push_str("\n\n");
    }
    match shown.count() {
        0 => {}
        more => text.push_str(&format!("and {more} more\n\n")),
    }
    text
}

/// One line that says which pass a script did not survive, and of how many errors.
#[must_use]
pub fn refusal(report: &Report, look: Look) -> String {
    let count = |severity| report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let number = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let last_pass = errors.filter_map(|error| passes::Pass::of_code(&error.code)).max();
    let pass = last_pass
        .map_or("The script was refused".to_owned(), |pass| format!("Pass {}: {} failed", pass.number(), pass.word()));
    let mut counts = number(count(Severity::Error), "error");
    let warnings = count(Severity::Warning);
    if warnings > 0 && !look.hide_warnings {
        counts = format!("{counts}, {}", number(warnings, "warning"));
    }
    format!("{pass}: {counts}")
}

/// One line that says how to learn more about the first error that there is a page about.
#[must_use]
pub fn further_reading(report: &Report) -> Option<String> {
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let page = errors.filter_map(|error| shared::diagnostic::explain::page(&error.code)).next()?;
    Some(format!("For more about an error: tapwire --explain {}", page.code))
}

/// An error of ours, and what to do about it.
#[must_use]
pub fn error(error: &Error, look: Look) -> String {
    let hints = error.hints();
    said(Level::ERROR, &error.to_string(), &hints, look)
}

/// A warning of ours.
#[must_use]
pub fn warning(message: &str, look: Look) -> String {
    if look.hide_warnings { String::new() } else { said(Level::WARNING, message, &[], look) }
}

fn said(level: Level<'_>, message: &str, hints: &[String], look: Look) -> String {
    // Each in a report of its own: within one, titles are joined by a bar as if a script's line stood between them.
    let line = |level: Level<'_>, text: &str| {
        format!("{}\n", renderer(look).render(&[Group::with_title(level.primary_title(plain(text)))]))
    };
    let hints = hints.iter().map(|hint| line(Level::HELP, hint));
    line(level, message) + &hints.collect::<String>()
}

/// A line that cannot control a terminal, and stays a line.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(normalize_untrusted_str(&visible(text)).replace('\n', " "))
    } else {
        normalize_bidi(text)
    }
}

/// A text of several lines that cannot control a terminal.
#[must_use]
pub fn plain_text(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let cells: Vec<_> = line.split('\t').map(plain).collect();
            format!("{}{end}", cells.join("\t"))
        })
        .collect()
}

/// Characters that change the direction of text are replaced too.
fn normalize_bidi(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(normalize_untrusted_str(text)) }
}

fn renderer(look: Look) -> Renderer {
    let renderer = look.colors.map_or(Renderer::plain(), Colors::renderer);
    renderer.decor_style(DecorStyle::Ascii)
}

fn diagnostic(diagnostic: &Diagnostic, sources: &[Source], look: Look) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(plain(&diagnostic.message)).id(plain(&diagnostic.code));
    let title = Group::with_title(title);
    let snippets = snippets(&diagnostic.labels, sources);
    let notes = diagnostic.notes.iter().map(|note| match note {
        Note::Note(text) => Level::NOTE.message(plain(text)),
        Note::Help(text) => Level::HELP.message(plain(text)),
    });
    if snippets.is_empty() {
        return renderer(look).render(&[title.elements(notes)]);
    }
    // The caret has the level's style, which would be that of the title: they are rendered apart, the place as information.
    let place = Group::with_level(Level::INFO).elements(snippets).elements(notes);
    format!("{}\n{}", renderer(look).render(&[title]), renderer(look).render(&[place]))
}

/// A snippet for each source that labels point into, that of the primary label first.
fn snippets<'a>(labels: &'a [Label], sources: &'a [Source]) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = labels.first().map(|label| label.span.source);
    let mut by_source: BTreeMap<(bool, SourceId), Vec<Annotation<'a>>> = BTreeMap::new();
    for (index, label) in labels.iter().enumerate() {
        let Some(source) = sources.get(label.span.source.0 as usize) else { continue };
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let mut annotation = kind.span(range(label, &source.text));
        if !label.text.is_empty() {
            annotation = annotation.label(plain(&label.text));
        }
        let key = (Some(label.span.source) != primary, label.span.source);
        by_source.entry(key).or_default().push(annotation);
    }
    let snippet = |((_, id), annotations): ((bool, SourceId), Vec<Annotation<'a>>)| {
        let source = sources.get(id.0 as usize)?;
        Some(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotations(annotations))
    };
    by_source.into_iter().filter_map(snippet).collect()
}

/// The label's bytes: within the text, between characters, and in order, whatever the span says.
fn range(label: &Label, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(label.span.start as usize);
    let end = text.ceil_char_boundary(label.span.end as usize);
    start..end.max(start)
}

/// A source whose text no longer controls a terminal, each byte where it was.
fn visible_source(source: &Source) -> Source {
    Source { name: plain(&source.name).into_owned(), text: visible(&source.text).into_owned() }
}

/// The renderer shows the control characters of ASCII by their symbols, but knows nothing of those of ISO 6429 beyond
/// (U+0080 to U+009F), which start sequences too. They take two bytes, and so does what stands for them.
fn visible(text: &str) -> Cow<'_, str> {
    let is_second_set = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if text.contains(is_second_set) { Cow::Owned(text.replace(is_second_set, "·")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use shared::diagnostic::Span;

    use super::*;

    const PLAIN: Look = Look { colors: None, hide_warnings: false };

    fn at(source: u32, start: u32, end: u32) -> Span {
        Span { source: SourceId(source), start, end }
    }

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn no_span_whatsoever_breaks_the_rendering() {
        let text = "a\u{e4}\tb\r\n\n\u{1F980}\u{9b}c";
        let size = text.len() as u32;
        for source_id in 0..3 {
            for start in (0..size + 2).chain([u32::MAX]) {
                for end in (0..size + 2).chain([u32::MAX]) {
                    let diagnostic = Diagnostic::error("parse/x", at(source_id, start, end), "m")
                        .saying("here")
                        .also(at(0, end, start), "there");
                    let sources = vec![source("a.stp", text), source("empty.stp", "")];
                    let said = report(&Report { sources, diagnostics: vec![diagnostic] }, PLAIN);
                    assert!(said.starts_with("error[parse/x]: m"), "{said}");
                }
            }
        }
    }

    #[test]
    fn nothing_from_a_server_controls_the_terminal() {
        let evil = "\u{1b}[31mred\u{7}\u{9b}1m\u{202e}\r\nnext";
        let diagnostic = Diagnostic::error(evil, at(0, 0, 3), evil).saying(evil).note(evil).help(evil);
        let report_ = Report { sources: vec![source(evil, evil)], diagnostics: vec![diagnostic] };
        let said = report(&report_, PLAIN);
        let controls = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(controls), "{said:?}");
        assert!(!plain(evil).contains(|c| controls(c) || c == '\n'));
        assert_eq!(plain_text("a\tb\nc\u{1b}d\n"), "a\tb\nc\u{241b}d\n");
    }

    #[test]
    fn a_flood_is_cut_short() {
        let diagnostic = |n| Diagnostic::error("parse/x", at(0, 0, 1), format!("m{n}"));
        let diagnostics = (0..DIAGNOSTICS_SHOWN_MAX + 7).map(diagnostic).collect();
        let said = report(&Report { sources: vec![source("a.stp", "x")], diagnostics }, PLAIN);
        assert_eq!(said.matches("error[parse/x]").count(), DIAGNOSTICS_SHOWN_MAX);
        assert!(said.ends_with("and 7 more\n\n"));
    }

    #[test]
    fn what_is_said_again_is_shown_once_with_its_places() {
        let text = "a b\nb a\nc(a)\n";
        let unknown = |start| Diagnostic::error("parse/x", at(0, start, start + 1), "unknown");
        let called = |start| unknown(10).also(at(0, start, start + 1), "in the expansion");
        let shown = |diagnostics| report(&Report { sources: vec![source("a.stp", text)], diagnostics }, PLAIN);
        let said = shown(vec![unknown(0), unknown(6), unknown(0), unknown(2), unknown(10)]);
        assert_eq!(said.matches("error[parse/x]").count(), 2, "{said}");
        assert!(said.contains("1 | a b\n  | ^\n  |\n  = note: the same at 2:3, 3:3\n"), "{said}");
        let said = shown(vec![called(0), called(2), called(0)]);
        assert!(said.ends_with("= note: the same at 1:3\n\n"), "{said}");
        let many = (0..40).map(|n| Diagnostic::error("parse/x", at(0, n % 2 * 6, n % 2 * 6 + 1), "unknown")).collect();
        assert!(shown(many).ends_with("2:3, 2:3 and 14 more places\n\n"));
    }

    #[test]
    fn the_last_line_names_the_pass_and_counts() {
        let error = |code: &str| Diagnostic::error(code, at(0, 0, 0), "m");
        let warning = Diagnostic::warning("elaborate/unused", at(0, 0, 0), "m");
        let line = |diagnostics: Vec<Diagnostic>, look| refusal(&Report { sources: Vec::new(), diagnostics }, look);
        assert_eq!(line(vec![error("parse/x")], PLAIN), "Pass 1: parse failed: 1 error");
        let two = vec![error("elaborate/x"), warning.clone(), error("parse/x")];
        assert_eq!(line(two.clone(), PLAIN), "Pass 2: analysis failed: 2 errors, 1 warning");
        assert_eq!(line(two, Look { hide_warnings: true, ..PLAIN }), "Pass 2: analysis failed: 2 errors");
        assert_eq!(line(vec![error("policy/x")], PLAIN), "The script was refused: 1 error");
    }
}
