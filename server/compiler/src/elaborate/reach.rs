//! What a script reaches: its own declarations, and those of the library files that its names lead to.
//!
//! A file that is reached comes along whole: with its globals and probes, which may reach further files. Functions that
//! nothing calls are left out at the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use shared::diagnostic::{Diagnostic, Span, similar};

use super::private::{self, as_written};
use super::{Log, intrinsic, uses};
use crate::ast::{Block, FunctionDecl, GlobalDecl, Item, Name, Probe, ProbeAlias, Stapfile};
use crate::library::{FileId, Libraries, match_alias};

/// Reads files of the libraries, each at most once.
pub trait Reader {
    /// The declarations of a file, as far as it can be read; what is wrong with it is said elsewhere. `because` is the place
    /// that leads to it.
    fn read(&mut self, file: FileId, because: Span) -> Stapfile;

    /// The same, only to see what it declares: nothing is said of it.
    fn peek(&mut self, file: FileId, because: Span) -> Stapfile;
}

/// The declarations that are known so far.
pub(super) struct Reach<'e> {
    libraries: Libraries<'e>,
    reader: &'e mut dyn Reader,
    joined: BTreeSet<FileId>,
    pub(super) globals: Vec<GlobalDecl>,
    global_indices: BTreeMap<String, usize>,
    pub(super) functions: Vec<Function>,
    /// By name and number of parameters.
    functions_by_name: BTreeMap<String, BTreeMap<usize, Vec<usize>>>,
    aliases: Vec<Rc<ProbeAlias>>,
    /// By their names, components joined by dots.
    aliases_by_name: BTreeMap<String, Vec<usize>>,
    /// Probes that are not derived yet, of the script first.
    probes: VecDeque<Probe>,
    /// What is called, by name and number of arguments.
    called: BTreeSet<(String, usize)>,
    /// The functions that a call can come to, in the order in which they were met.
    reached: Vec<usize>,
    /// Names that were looked for among the globals of the libraries.
    looked_for: BTreeSet<String>,
}

/// A function, and whose it is.
pub(super) struct Function {
    pub(super) declaration: Rc<FunctionDecl>,
    pub(super) origin: Origin,
    /// Whether it has a `next`, by which the next of its name gets its turn.
    pub(super) goes_on: bool,
}

/// Whose text a declaration stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user's script.
    Script,
    /// A library, the user's or the server's.
    Library,
}

/// An alias that a probe point names.
pub(super) struct Named {
    pub(super) alias: Rc<ProbeAlias>,
    /// Which, so that one can be told from another.
    pub(super) index: usize,
    /// Its name, components joined by dots.
    pub(super) name: String,
    /// How many components of the probe point name it.
    pub(super) count: usize,
}

impl<'e> Reach<'e> {
    pub(super) fn new(libraries: Libraries<'e>, reader: &'e mut dyn Reader) -> Self {
        Self {
            libraries,
            reader,
            joined: BTreeSet::new(),
            globals: Vec::new(),
            global_indices: BTreeMap::new(),
            functions: Vec::new(),
            functions_by_name: BTreeMap::new(),
            aliases: Vec::new(),
            aliases_by_name: BTreeMap::new(),
            probes: VecDeque::new(),
            called: BTreeSet::new(),
            reached: Vec::new(),
            looked_for: BTreeSet::new(),
        }
    }

    /// Takes the declarations of a file.
    pub(super) fn join(&mut self, mut file: Stapfile, file_name: &str, origin: Origin, log: &mut Log) {
        private::qualify(&mut file, file_name);
        for item in file.items {
            match item {
                Item::Probe(probe) => self.probes.push_back(probe),
                Item::Global(global) => self.add_global(global, log),
                Item::Function(function) => self.add_function(function, origin),
                Item::Alias(alias) => self.add_alias(alias, log),
            }
        }
    }

    /// A probe that is to be derived, with all that it names.
    pub(super) fn next_probe(&mut self) -> Option<Probe> {
        self.probes.pop_front()
    }

    /// The aliases that a probe point names: the longest one, or with wildcards all that match.
    pub(super) fn aliases(&mut self, components: &[&str], because: Span, log: &mut Log) -> Vec<Named> {
        for file in self.libraries.aliases(components) {
            self.read(file, because, log);
        }
        let is_glob = components.iter().any(|component| shared::target::is_glob(component));
        let named = |this: &Self, name: &str, count| -> Vec<Named> {
            let indices = this.aliases_by_name.get(name).into_iter().flatten();
            let named =
                |&index: &usize| Named { alias: Rc::clone(&this.aliases[index]), index, name: name.to_owned(), count };
            indices.map(named).collect()
        };
        if !is_glob {
            let names = (1..=components.len()).rev().map(|count| (components[..count].join("."), count));
            return names
                .map(|(name, count)| named(self, &name, count))
                .find(|found| !found.is_empty())
                .unwrap_or_default();
        }
        let counted = |name: &String| {
            let count = match_alias(components, &name.split('.').collect::<Vec<_>>())?;
            Some((name.clone(), count))
        };
        let counted: Vec<_> = self.aliases_by_name.keys().filter_map(counted).collect();
        counted.into_iter().flat_map(|(name, count)| named(self, &name, count)).collect()
    }

    /// Whether a name is that of a global.
    pub(super) fn is_global(&mut self, name: &str, because: Span, log: &mut Log) -> bool {
        self.look_for_global(name, because, log);
        self.global_indices.contains_key(name)
    }

    /// The names of all aliases, for a person who misspelt one.
    pub(super) fn alias_names(&self) -> impl Iterator<Item = &str> {
        self.aliases_by_name.keys().map(String::as_str).chain(self.libraries.alias_names())
    }

    /// Finds what a body names, and what the functions that it calls name.
    pub(super) fn body(&mut self, body: &Block, log: &mut Log) {
        let functions = self.names_of(body, log);
        self.functions(functions, log);
    }

    /// Finds the functions that came to be among those of a call after it was looked at. Gives whether there are no further
    /// probes to be derived.
    pub(super) fn settle(&mut self, log: &mut Log) -> bool {
        let reached: BTreeSet<usize> = self.reached.iter().copied().collect();
        let all = self.called.iter().flat_map(|(name, count)| self.overloads(name, *count));
        let late = all.filter(|index| !reached.contains(index)).collect();
        self.functions(late, log);
        self.probes.is_empty()
    }

    /// Finds what functions name, and those that they call.
    fn functions(&mut self, mut functions: Vec<usize>, log: &mut Log) {
        functions.reverse();
        while let Some(index) = functions.pop() {
            self.reached.push(index);
            let declaration = Rc::clone(&self.functions[index].declaration);
            functions.extend(self.names_of(&declaration.body, log).into_iter().rev());
        }
    }

    /// Finds what a body names; gives the functions that are called for the first time.
    fn names_of(&mut self, body: &Block, log: &mut Log) -> Vec<usize> {
        for (name, span) in uses::variables(body) {
            self.look_for_global(name, span, log);
        }
        let mut new = Vec::new();
        for (name, argument_count) in uses::calls(body) {
            if self.called.insert((name.text.clone(), argument_count)) {
                new.extend(self.functions_of(name, argument_count, log));
            }
        }
        new
    }

    fn look_for_global(&mut self, name: &str, because: Span, log: &mut Log) {
        if !self.global_indices.contains_key(name) && self.looked_for.insert(name.to_owned()) {
            for file in self.libraries.globals(name) {
                self.read(file, because, log);
            }
        }
    }

    /// The functions that a call can come to.
    fn functions_of(&mut self, name: &Name, argument_count: usize, log: &mut Log) -> Vec<usize> {
        let mut found = self.overloads(&name.text, argument_count);
        let is_built_in = || intrinsic::find(&name.text).is_some_and(|found| found.parameters.len() == argument_count);
        let goes_on = found.last().is_none_or(|&last| self.functions[last].goes_on);
        if goes_on && !(found.is_empty() && is_built_in()) {
            let mut files = self.libraries.functions(&name.text);
            if files.is_empty() && found.is_empty() {
                files = self.libraries.opaque();
                files.retain(|&file| self.peek_declares(file, name));
            }
            for file in files {
                self.read(file, name.span, log);
            }
            found = self.overloads(&name.text, argument_count);
        }
        if found.is_empty() && !is_built_in() {
            log.report(self.unknown_function(name, argument_count));
        }
        found
    }

    /// The functions of a name that a call with so many arguments can come to, in the order of their turns, down to the first
    /// that does not go on.
    pub(super) fn overloads(&self, name: &str, argument_count: usize) -> Vec<usize> {
        let mut all = self.all_overloads(name, argument_count);
        let last = all.iter().position(|&index| !self.functions[index].goes_on);
        all.truncate(last.map_or(all.len(), |last| last + 1));
        all
    }

    /// The same, with those that never get their turn.
    pub(super) fn all_overloads(&self, name: &str, argument_count: usize) -> Vec<usize> {
        let by_count = self.functions_by_name.get(name);
        let mut found = by_count.and_then(|by_count| by_count.get(&argument_count)).cloned().unwrap_or_default();
        found.sort_by_key(|&index| self.functions[index].priority());
        found
    }

    /// The functions that a call can come to, callers before callees.
    pub(super) fn reached(&self) -> &[usize] {
        &self.reached
    }

    /// What is called, by name and number of arguments.
    pub(super) fn called(&self) -> impl Iterator<Item = (&str, usize)> {
        self.called.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether a file declares a function after all, of which its text does not show what it declares.
    fn peek_declares(&mut self, file: FileId, name: &Name) -> bool {
        let declares = |item: &Item| matches!(item, Item::Function(function) if function.name.text == name.text);
        !self.joined.contains(&file) && self.reader.peek(file, name.span).items.iter().any(declares)
    }

    /// Takes the declarations of a library file, once.
    fn read(&mut self, file: FileId, because: Span, log: &mut Log) {
        if self.joined.insert(file) {
            let declarations = self.reader.read(file, because);
            self.join(declarations, self.libraries.file(file).name, Origin::Library, log);
        }
    }

    fn add_global(&mut self, declaration: GlobalDecl, log: &mut Log) {
        if let Some(&first) = self.global_indices.get(&declaration.name.text) {
            let first = &self.globals[first].name;
            let message = format!("global `{}` is declared twice", as_written(&declaration.name.text));
            let diagnostic = Diagnostic::error("elaborate/duplicate-global", declaration.name.span, message);
            log.report(diagnostic.saying("again here").also(first.span, "first here"));
            return;
        }
        self.global_indices.insert(declaration.name.text.clone(), self.globals.len());
        self.globals.push(declaration);
    }

    fn add_function(&mut self, declaration: FunctionDecl, origin: Origin) {
        let by_count = self.functions_by_name.entry(declaration.name.text.clone()).or_default();
        by_count.entry(declaration.parameters.len()).or_default().push(self.functions.len());
        let goes_on = uses::next(&declaration.body);
        self.functions.push(Function { declaration: Rc::new(declaration), origin, goes_on });
    }

    fn add_alias(&mut self, alias: ProbeAlias, log: &mut Log) {
        for components in &alias.names {
            let wrong = components
                .iter()
                .find(|component| component.argument.is_some() || shared::target::is_glob(&component.name.text));
            if let Some(wrong) = wrong {
                let message = "the name of an alias has neither arguments nor wildcards";
                log.report(Diagnostic::error("elaborate/alias-name", wrong.name.span, message));
                continue;
            }
            let names: Vec<&str> = components.iter().map(|component| component.name.text.as_str()).collect();
            self.aliases_by_name.entry(names.join(".")).or_default().push(self.aliases.len());
        }
        self.aliases.push(Rc::new(alias));
    }

    fn unknown_function(&self, name: &Name, argument_count: usize) -> Diagnostic {
        let written = as_written(&name.text);
        let mut counts: Vec<usize> =
            self.functions_by_name.get(&name.text).into_iter().flat_map(BTreeMap::keys).copied().collect();
        counts.extend(intrinsic::find(&name.text).map(|found| found.parameters.len()));
        if let Some(expected) = counts.first() {
            let message = format!("function `{written}` takes {}, not {argument_count}", arguments(*expected));
            return Diagnostic::error("elaborate/argument-count", name.span, message);
        }
        let known = self.functions_by_name.keys().map(String::as_str).filter(|known| *known == as_written(known));
        let built_in = intrinsic::names().map(|name| -> &str { name });
        let known = known.chain(self.libraries.function_names().map(|name| -> &str { name })).chain(built_in);
        let similar = similar(written, known);
        let diagnostic =
            Diagnostic::error("elaborate/unknown-function", name.span, format!("unknown function `{written}`"));
        match similar.as_slice() {
            [] => diagnostic,
            [nearest, ..] => {
                diagnostic.saying(format!("did you mean `{nearest}`?")).note(format!("similar: {}", similar.join(", ")))
            }
        }
    }
}

impl Function {
    /// Those with smaller numbers come first; a user's own before those of libraries.
    fn priority(&self) -> i64 {
        self.declaration.priority.unwrap_or(match self.origin {
            Origin::Script => 0,
            Origin::Library => 1,
        })
    }
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    }
}
