//! The texts of one compile: scripts, and files of libraries when they are first wanted, each with the macros that it calls.
//!
//! It stands between the stages: what elaboration wants read, parse reads. It must not know why a file is wanted.

use std::collections::BTreeSet;

use shared::diagnostic::{Diagnostic, SourceId, Span};

use crate::ast::Stapfile;
use crate::elaborate;
use crate::library::{FileId, Libraries, LibraryFile};
use crate::parse::{self, Macros};
use crate::source::Sources;

/// Everything that was read.
pub(crate) struct Texts<'a> {
    /// What conditionals and script arguments stand for; its macros and whose text it is are set for each text.
    environment: parse::Environment<'a>,
    libraries: Libraries<'a>,
    pub(crate) sources: Sources,
    macros: Macros,
    /// The files of macros among them.
    read: BTreeSet<FileId>,
    /// What was said of all texts.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(environment: parse::Environment<'a>, libraries: Libraries<'a>) -> Self {
        Self {
            environment,
            libraries,
            sources: Sources::default(),
            macros: Macros::default(),
            read: BTreeSet::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Reads a script of the user's.
    pub(crate) fn script(&mut self, name: &str, text: &str) -> Stapfile {
        let id = self.sources.add(name, text);
        self.parse(id, text, true)
    }

    fn parse(&mut self, id: SourceId, text: &str, user_script: bool) -> Stapfile {
        self.define_macros_of(id, text);
        let environment = parse::Environment { macros: &self.macros, user_script, ..self.environment };
        let (file, diagnostics) = parse::parse(&mut self.sources, id, &environment);
        self.diagnostics.extend(diagnostics);
        file
    }

    /// Reads the files that define the macros which a text calls, and those that these call.
    fn define_macros_of(&mut self, id: SourceId, text: &str) {
        let mut texts = vec![(id, text)];
        let mut is_unknown = false;
        while let Some((id, text)) = texts.pop() {
            for (start, name) in macro_words(text) {
                match self.libraries.macro_(name) {
                    Some(file) => {
                        let end = start + name.len() as u32;
                        texts.extend(self.define(file, Span { source: id, start: start - 1, end }));
                    }
                    None => is_unknown |= !parse::OPERATORS.contains(&name),
                }
            }
        }
        // A name that nobody has may be misspelt. Whose it is meant to be is found among all of them.
        if is_unknown && !text.contains("@define") {
            let because = Span { source: id, start: 0, end: 0 };
            let known = self.diagnostics.len();
            for file in self.libraries.macro_files() {
                self.define(file, because);
            }
            self.diagnostics.truncate(known);
        }
    }

    /// Reads a file of macros, once; gives its text.
    fn define(&mut self, file: FileId, because: Span) -> Option<(SourceId, &'a str)> {
        if !self.read.insert(file) {
            return None;
        }
        let LibraryFile { name, text } = self.libraries.file(file);
        let id = self.sources.add_reached(name, text, because);
        let none = Macros::default();
        let environment = parse::Environment { macros: &none, user_script: false, ..self.environment };
        self.diagnostics.extend(parse::define_macros(&mut self.sources, id, &environment, &mut self.macros));
        Some((id, text))
    }
}

impl elaborate::Reader for Texts<'_> {
    fn read(&mut self, file: FileId, because: Span) -> Stapfile {
        let LibraryFile { name, text } = self.libraries.file(file);
        let id = self.sources.add_reached(name, text, because);
        self.parse(id, text, false)
    }
}

/// The words of a text that could call a macro, with their places: more of them than do, for comments hold some.
fn macro_words(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.match_indices('@').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let length = rest.bytes().take_while(|&byte| byte.is_ascii_alphanumeric() || byte == b'_').count();
        let name = &rest[..length];
        let is_name = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        is_name.then_some((at as u32 + 1, name))
    })
}
