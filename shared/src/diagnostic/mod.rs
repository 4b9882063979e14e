//! Diagnostics as data: what the compiler has to say about a script. The client renders them; nobody parses them.
//!
//! A diagnostic is collected, never thrown: one run reports as many as it can. Its code is usable in conversation and never
//! changes once shipped; `--explain CODE` prints its page of [`explain`].

use serde::{Deserialize, Serialize};

pub mod explain;

/// Everything a compile said, with the sources it speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The texts that labels point into, by [`SourceId`].
    pub sources: Vec<Source>,
    /// In the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Whether any diagnostic is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// A text that a script is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What a person calls it: a path, or `<input>` for `-e`.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// Which source: an index into [`Report::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// A range of bytes in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The range from the start of `self` to the end of `other`; `self` alone where they lie in different sources.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source == other.source && other.end >= self.start { Self { end: other.end, ..self } } else { self }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// The script cannot be run.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// One thing to say about a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `stage/kebab-case`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line, lower case, no final period.
    pub message: String,
    /// Where; the first is the primary one. Empty where no place in a script is to blame.
    pub labels: Vec<Label>,
    /// What else helps: the nearest names, what to do next. One line each.
    pub notes: Vec<Note>,
}

/// A place and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words beside the caret; may be empty.
    pub text: String,
}

/// A line below the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Note {
    /// A fact.
    Note(String),
    /// A thing to do.
    Help(String),
}

impl Diagnostic {
    /// An error at `span`.
    #[must_use]
    pub fn error(code: &str, span: Span, message: impl Into<String>) -> Self {
        Self::at(code, Severity::Error, span, message.into())
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(code: &str, span: Span, message: impl Into<String>) -> Self {
        Self::at(code, Severity::Warning, span, message.into())
    }

    fn at(code: &str, severity: Severity, span: Span, message: String) -> Self {
        let labels = vec![Label { span, text: String::new() }];
        Self { code: code.to_owned(), severity, message, labels, notes: Vec::new() }
    }

    /// The same with words beside the primary caret.
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// The same with a fact below.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note::Note(text.into()));
        self
    }

    /// The same with advice below.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note::Help(text.into()));
        self
    }
}

/// The names of `known` nearest to `wrong`, best first, at most five; empty where none is near enough to be meant.
///
/// Near means at most a third of the letters differ (Levenshtein, two neighbours swapped counting
/// as one), as SystemTap's `(similar: …)` lists.
#[must_use]
pub fn similar<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Nobody means a name this long, and comparing takes the product of the lengths.
    const NAME_BYTES_MAX: usize = 64;
    if wrong.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let distance_max = (wrong.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|name| name.len().abs_diff(wrong.len()) <= distance_max * 4)
        .map(|name| (strsim::osa_distance(wrong, name), name))
        .filter(|&(distance, _)| distance <= distance_max)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(5).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let known = ["execname", "exit", "pexecname", "pid"];
        assert_eq!(similar("exename", known), ["execname", "pexecname"]);
        assert_eq!(similar("pidd", known), ["pid"]);
        assert_eq!(similar("pdi", known), ["pid"]);
        assert!(similar("frobnicate", known).is_empty());
    }
}
