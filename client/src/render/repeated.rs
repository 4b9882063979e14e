//! What is said again and again is said once, with all its places: a name that is misspelt throughout, a macro that is wrong in
//! each expansion.

use std::collections::BTreeMap;

use shared::diagnostic::{Diagnostic, Label, Note, Report, Severity, Source};

/// Places that are listed; of more there is a count.
const PLACES_MAX: usize = 6;

/// What makes two diagnostics the same: the words, and the text that they point at.
type Words<'r> = (Severity, &'r str, &'r str, Vec<&'r str>, &'r [Note], &'r str);

/// The diagnostics, those that say the same as an earlier one merged into that.
pub(super) fn merged(report: &Report) -> Vec<Diagnostic> {
    let mut first: BTreeMap<Words<'_>, usize> = BTreeMap::new();
    let mut said: Vec<(&Diagnostic, Vec<&Label>)> = Vec::new();
    for diagnostic in &report.diagnostics {
        let earlier = first.entry(words(diagnostic, &report.sources)).or_insert(said.len());
        match said.get_mut(*earlier) {
            None => said.push((diagnostic, Vec::new())),
            Some((earlier, again)) if earlier.labels != diagnostic.labels => again.extend(place(earlier, diagnostic)),
            Some(_) => {}
        }
    }
    said.into_iter()
        .map(|(diagnostic, again)| match again.as_slice() {
            [] => diagnostic.clone(),
            places => diagnostic.clone().note(note(diagnostic, places, &report.sources)),
        })
        .collect()
}

fn words<'r>(diagnostic: &'r Diagnostic, sources: &'r [Source]) -> Words<'r> {
    let Diagnostic { severity, code, message, labels, notes } = diagnostic;
    let texts = labels.iter().map(|label| label.text.as_str()).collect();
    let pointed_at = labels.first().and_then(|label| {
        let text = &sources.get(label.span.source.0 as usize)?.text;
        text.get(label.span.start as usize..label.span.end as usize)
    });
    (*severity, code, message, texts, notes, pointed_at.unwrap_or(""))
}

/// Where a diagnostic differs from an earlier one: in its own place, or else in that of the call which led there.
fn place<'r>(earlier: &Diagnostic, diagnostic: &'r Diagnostic) -> Option<&'r Label> {
    let differs = |&&(label, other): &&(&'r Label, &Label)| label.span != other.span;
    let pairs: Vec<(&Label, &Label)> = diagnostic.labels.iter().zip(&earlier.labels).collect();
    let first = pairs.first().filter(differs);
    first.or_else(|| pairs.iter().rev().find(differs)).map(|(label, _)| *label)
}

fn note(diagnostic: &Diagnostic, places: &[&Label], sources: &[Source]) -> String {
    let own = diagnostic.labels.first().map(|label| label.span.source);
    let listed = places.iter().take(PLACES_MAX).filter_map(|label| {
        let source = sources.get(label.span.source.0 as usize)?;
        let before = &source.text[..source.text.floor_char_boundary(label.span.start as usize)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let name = if own == Some(label.span.source) { String::new() } else { format!("{}:", source.name) };
        Some(format!("{name}{line}:{column}"))
    });
    let listed = listed.collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(PLACES_MAX) {
        0 => format!("the same at {listed}"),
        more => format!("the same at {listed} and {more} more places"),
    }
}
