//! The texts a compile reads, and places in them.
//!
//! A macro's body stands in one place and means something in many. So each expansion is a source of its own: it has the
//! text of the file that it was written in, at the same offsets, and the place that called for it. A span into it says
//! both; [`Sources::report`] turns it into labels that a client can show without knowing of expansions.

use std::collections::{BTreeMap, BTreeSet};

use shared::diagnostic::{Diagnostic, Label, Report, Source, SourceId, Span};
use shared::ir::Location;

/// All texts of one compile: the script first, then whatever of the tapset it reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    texts: Vec<Source>,
    /// Of each text, where its lines start.
    lines: Vec<Vec<u32>>,
    expansions: Vec<Expansion>,
    /// Of a file of a library, the words that led to it.
    reached: BTreeMap<SourceId, Span>,
}

/// A macro's body, or a script argument (`$1`), standing where it was called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expansion {
    /// The text that it is written in; never an expansion.
    pub of: SourceId,
    /// The words that called for it, `@name` or `$1`; perhaps inside another expansion.
    pub call: Span,
}

/// A place as people count: both from 1; columns are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// The line.
    pub line: u32,
    /// The byte in the line.
    pub column: u32,
}

/// The ids of texts are below, those of expansions start here.
///
/// A call is read before what it expands to: of two sources, the one that was called from within the other has the larger id.
const EXPANSION_FIRST: u32 = 1 << 31;

/// Whether what stands there was expanded from something, and so is not where it is written.
#[must_use]
pub fn is_expansion(source: SourceId) -> bool {
    source.0 >= EXPANSION_FIRST
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let source = Source { name: name.into(), text: text.into() };
        let ends = source.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        self.lines.push(std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect());
        self.texts.push(source);
        SourceId(self.texts.len() as u32 - 1)
    }

    /// Adds a file of a library, and the words that led to it.
    pub fn add_reached(&mut self, name: impl Into<String>, text: impl Into<String>, because: Span) -> SourceId {
        let id = self.add(name, text);
        self.reached.insert(id, because);
        id
    }

    /// Adds an expansion: what stands in `of`, once more, because of `call`.
    pub fn expand(&mut self, of: SourceId, call: Span) -> SourceId {
        let of = self.expansion(of).map_or(of, |expansion| expansion.of);
        self.expansions.push(Expansion { of, call });
        SourceId(EXPANSION_FIRST + (self.expansions.len() as u32 - 1))
    }

    /// What an id stands for, where it is an expansion.
    #[must_use]
    pub fn expansion(&self, id: SourceId) -> Option<Expansion> {
        let index = id.0.checked_sub(EXPANSION_FIRST)?;
        self.expansions.get(index as usize).copied()
    }

    /// A source; empty for an id that is not of this compile.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        const NONE: &Source = &Source { name: String::new(), text: String::new() };
        let id = self.expansion(id).map_or(id, |expansion| expansion.of);
        self.texts.get(id.0 as usize).unwrap_or(NONE)
    }

    /// The text of a span; empty where the span is not of these sources.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of a span's start, where it is written.
    #[must_use]
    pub fn line_column(&self, span: Span) -> LineColumn {
        let source = self.written(span).source.0 as usize;
        let Some(lines) = self.lines.get(source) else { return LineColumn { line: 1, column: 1 } };
        let line = lines.partition_point(|&start| start <= span.start).max(1);
        LineColumn { line: line as u32, column: span.start - lines[line - 1] + 1 }
    }

    /// The same place as the IR has it.
    #[must_use]
    pub fn location(&self, span: Span) -> Location {
        let LineColumn { line, column } = self.line_column(span);
        let source = u16::try_from(self.written(span).source.0).unwrap_or(u16::MAX);
        Location { source, line, column: u16::try_from(column).unwrap_or(u16::MAX) }
    }

    /// The place of a location, as an empty span; nothing where it is none.
    #[must_use]
    pub fn span_of(&self, location: Location) -> Option<Span> {
        let lines = self.lines.get(usize::from(location.source))?;
        let line_start = *lines.get((location.line as usize).checked_sub(1)?)?;
        let start = line_start + u32::from(location.column).saturating_sub(1);
        Some(Span { source: SourceId(u32::from(location.source)), start, end: start })
    }

    /// All texts, in the order of their ids.
    #[must_use]
    pub fn all(&self) -> &[Source] {
        &self.texts
    }

    /// The smallest span with both in it. Where one of them comes out of an expansion and the other does not, the call
    /// stands for what it expands to.
    #[must_use]
    pub fn cover(&self, mut a: Span, mut b: Span) -> Span {
        while a.source != b.source {
            let inner = if a.source > b.source { &mut a } else { &mut b };
            match self.expansion(inner.source) {
                Some(expansion) => *inner = expansion.call,
                None => return a,
            }
        }
        Span { source: a.source, start: a.start.min(b.start), end: a.end.max(b.end) }
    }

    /// Where a span is written: the same, but never in an expansion.
    #[must_use]
    pub fn written(&self, span: Span) -> Span {
        Span { source: self.expansion(span.source).map_or(span.source, |expansion| expansion.of), ..span }
    }

    /// The calls that led to a span, the innermost first; empty where it was not expanded from anything.
    pub fn calls(&self, span: Span) -> impl Iterator<Item = Span> {
        std::iter::successors(Some(span), |span| self.expansion(span.source).map(|expansion| expansion.call)).skip(1)
    }

    /// What a client is to be told: the diagnostics in the order of their places, with the way through every expansion, and
    /// the texts they speak of.
    #[must_use]
    pub fn report(&self, mut diagnostics: Vec<Diagnostic>) -> Report {
        diagnostics.sort_by_key(|diagnostic| {
            let span = diagnostic.labels.first().map(|label| label.span);
            span.map(|span| self.way(span).last().map_or(span, |label| label.span))
                .map_or((1, None), |span| (0, Some(span)))
        });
        let mut diagnostics: Vec<Diagnostic> =
            diagnostics.into_iter().map(|diagnostic| self.explain(diagnostic)).collect();
        let labels = || diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels);
        let spoken_of: BTreeSet<SourceId> = labels().map(|label| label.span.source).collect();
        let sources = spoken_of.iter().map(|&id| self.get(id).clone()).collect();
        let ids: BTreeMap<SourceId, SourceId> = spoken_of.into_iter().zip((0..).map(SourceId)).collect();
        for label in diagnostics.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
            label.span.source = ids.get(&label.span.source).copied().unwrap_or(label.span.source);
        }
        Report { sources, diagnostics }
    }

    /// Puts every label where its text is written; adds labels for the way there from the script, where the first one is in
    /// something expanded or in a file of a library.
    fn explain(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        let way = diagnostic.labels.first().map_or(Vec::new(), |label| self.way(label.span));
        for label in way {
            let is_known = diagnostic.labels.iter().any(|known| self.written(known.span) == self.written(label.span));
            if !is_known {
                diagnostic.labels.push(label);
            }
        }
        for label in &mut diagnostic.labels {
            label.span = self.written(label.span);
        }
        diagnostic
    }

    /// The words that led to a span, the innermost first.
    fn way(&self, mut span: Span) -> Vec<Label> {
        let mut way = Vec::new();
        loop {
            if let Some(expansion) = self.expansion(span.source) {
                span = expansion.call;
                let name = self.text(span);
                let is_macro = name.as_bytes().get(1).is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_');
                let text = match is_macro {
                    true => format!("in the expansion of `{name}`"),
                    false => format!("in the script argument that `{name}` stands for"),
                };
                way.push(Label { span, text });
            } else if let Some(&because) = self.reached.get(&span.source) {
                let text = format!("this leads to {}", self.get(span.source).name);
                span = because;
                way.push(Label { span, text });
            } else {
                return way;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(source: SourceId, start: u32, end: u32) -> Span {
        Span { source, start, end }
    }

    /// `@outer` in the script calls `@inner` in the tapset, both of whose bodies are in the same file.
    fn nested() -> (Sources, SourceId, SourceId, SourceId) {
        let mut sources = Sources::default();
        let script = sources.add("script", "1 + @outer + 2");
        let tapset = sources.add("tapset", "x @inner\ny z");
        let outer = sources.expand(tapset, span(script, 4, 10));
        let inner = sources.expand(tapset, span(outer, 2, 8));
        (sources, script, outer, inner)
    }

    #[test]
    fn a_span_of_an_expansion_has_the_text_of_what_it_expands() {
        let (sources, _, _, inner) = nested();
        assert_eq!(sources.text(span(inner, 9, 10)), "y");
        assert_eq!(sources.line_column(span(inner, 11, 12)), LineColumn { line: 2, column: 3 });
        assert_eq!(sources.written(span(inner, 9, 10)), span(SourceId(1), 9, 10));
    }

    #[test]
    fn what_covers_an_expansion_and_its_surroundings_covers_the_call() {
        let (sources, script, outer, inner) = nested();
        assert_eq!(sources.cover(span(inner, 9, 10), span(inner, 11, 12)), span(inner, 9, 12));
        assert_eq!(sources.cover(span(outer, 0, 1), span(inner, 9, 10)), span(outer, 0, 8));
        assert_eq!(sources.cover(span(script, 0, 1), span(inner, 9, 10)), span(script, 0, 10));
        assert_eq!(sources.cover(span(inner, 9, 10), span(script, 13, 14)), span(script, 4, 14));
    }

    #[test]
    fn a_report_holds_the_texts_it_speaks_of() {
        let (mut sources, script, ..) = nested();
        sources.add("other", "nothing");
        let third = sources.add("third", "abc");
        let wrong = Diagnostic::error("parse/test", span(third, 1, 2), "wrong").also(span(script, 0, 1), "");
        let report = sources.report(vec![wrong]);
        assert_eq!(report.sources, [sources.get(script).clone(), sources.get(third).clone()]);
        assert_eq!(report.diagnostics[0].labels[0].span, span(SourceId(1), 1, 2));
    }

    #[test]
    fn a_report_leads_from_a_library_to_the_script() {
        let mut sources = Sources::default();
        let script = sources.add("script", "f()");
        let first = sources.add_reached("first.stp", "function f() { g() }", span(script, 0, 1));
        let second = sources.add_reached("second.stp", "function g() { 1 }", span(first, 15, 16));
        let report = sources.report(vec![Diagnostic::error("parse/test", span(second, 15, 16), "wrong")]);
        let labels: Vec<(&str, &str)> = report.diagnostics[0]
            .labels
            .iter()
            .map(|label| (report.sources[label.span.source.0 as usize].name.as_str(), label.text.as_str()))
            .collect();
        let expected =
            [("second.stp", ""), ("first.stp", "this leads to second.stp"), ("script", "this leads to first.stp")];
        assert_eq!(labels, expected);
    }

    #[test]
    fn a_report_leads_from_the_macro_to_the_script() {
        let (sources, script, _, inner) = nested();
        let wrong = Diagnostic::error("parse/test", span(inner, 9, 10), "wrong");
        let earlier = Diagnostic::error("parse/test", span(script, 0, 1), "earlier");
        let report = sources.report(vec![wrong, earlier]);
        assert_eq!(report.diagnostics[0].message, "earlier");
        let labels: Vec<(Span, &str)> =
            report.diagnostics[1].labels.iter().map(|label| (label.span, label.text.as_str())).collect();
        let tapset = SourceId(1);
        assert_eq!(
            labels,
            [
                (span(tapset, 9, 10), ""),
                (span(tapset, 2, 8), "in the expansion of `@inner`"),
                (span(script, 4, 10), "in the expansion of `@outer`"),
            ]
        );
    }
}
