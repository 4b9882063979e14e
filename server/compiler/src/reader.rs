//! The texts of one compile: scripts, and files of libraries when they are first wanted, each with the macros that it calls.
//!
//! It stands between the stages: what elaboration wants read, parse reads. It must not know why a file is wanted.

use std::collections::BTreeSet;

use shared::diagnostic::{Diagnostic, SourceId, Span};

use crate::ast::{Item, Stapfile};
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
    /// `--check-version`
    check_version: bool,
    /// What was said of all texts.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(environment: parse::Environment<'a>, libraries: Libraries<'a>, check_version: bool) -> Self {
        Self {
            environment,
            libraries,
            sources: Sources::default(),
            macros: Macros::default(),
            read: BTreeSet::new(),
            check_version,
            diagnostics: Vec::new(),
        }
    }

    /// Reads a script of the user's.
    pub(crate) fn script(&mut self, name: &str, text: &str) -> (SourceId, Stapfile) {
        let id = self.sources.add(name, text);
        let file = self.parse(id, text, true);
        if self.check_version {
            self.check_versions(id);
        }
        (id, file)
    }

    /// Of what is said of each text, keeps what was said of all of them: an argument that one script does not use may be for
    /// another.
    pub(crate) fn keep_what_all_say(&mut self, code: &str, texts_count: usize) {
        let said = self.diagnostics.iter().filter(|diagnostic| diagnostic.code == code).cloned();
        let counted =
            |diagnostic: &Diagnostic, all: &[Diagnostic]| all.iter().filter(|other| *other == diagnostic).count();
        let said: Vec<Diagnostic> = said.collect();
        let mut by_all: Vec<Diagnostic> = Vec::new();
        for diagnostic in &said {
            if counted(diagnostic, &said) == texts_count && !by_all.contains(diagnostic) {
                by_all.push(diagnostic.clone());
            }
        }
        self.diagnostics.retain(|diagnostic| diagnostic.code != code);
        self.diagnostics.extend(by_all);
    }

    /// `--check-version`: warns where a script means something else, or nothing, since a version of SystemTap.
    fn check_versions(&mut self, id: SourceId) {
        let environment = parse::Environment { macros: &self.macros, user_script: true, ..self.environment };
        for &(before, version) in parse::OLDER_VERSIONS {
            if !self.environment.follows(version) {
                continue;
            }
            let mut items = |compatible| {
                let environment = parse::Environment { compatible, ..environment };
                parse::parse(&mut self.sources, id, &environment).0.items
            };
            let (older, newer) = (items(before), items(version));
            let shown = |items: &[Item], index: usize| items.get(index).map(ToString::to_string);
            let count = older.len().max(newer.len());
            let Some(index) = (0..count).find(|&index| shown(&older, index) != shown(&newer, index)) else { continue };
            let span = newer.get(index).or(older.get(index)).map_or(Span { source: id, start: 0, end: 0 }, span_of);
            let message = format!("before version {version}, SystemTap took this otherwise");
            let diagnostic = Diagnostic::warning("parse/version-specific", span, message);
            self.diagnostics.push(diagnostic.help(format!("`--compatible {before}` follows the older rules")));
        }
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

    fn peek(&mut self, file: FileId, because: Span) -> Stapfile {
        let known = self.diagnostics.len();
        let declarations = self.read(file, because);
        self.diagnostics.truncate(known);
        declarations
    }
}

fn span_of(item: &Item) -> Span {
    match item {
        Item::Probe(probe) => probe.span,
        Item::Alias(alias) => alias.span,
        Item::Global(global) => global.name.span,
        Item::Function(function) => function.name.span,
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
