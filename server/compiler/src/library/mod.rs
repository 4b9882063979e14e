//! Libraries of script: files of aliases, functions, globals and macros, of which a script reads only what it reaches.
//!
//! [`Library`] says which file to read for a name, without reading any: declarations are found by their keywords, which
//! stand nowhere else in a script. What it says is a little too much rather than too little; a file that is then read and
//! does not declare the name after all (another branch of a `%( … %)` does) does no harm. It must not know how a file is
//! parsed.

use std::collections::{BTreeMap, BTreeSet};

use shared::target::{glob_matches, is_glob};

mod scan;

/// A file of a library. What its name ends in says what it holds: `.stp` or `.stpm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LibraryFile<'a> {
    /// What a person calls it: `tapset/errno.stp`.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Files, and by which names they are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Library<'a> {
    files: Vec<LibraryFile<'a>>,
    functions: Names<'a>,
    globals: Names<'a>,
    macros: Names<'a>,
    /// By their names, components joined by dots.
    aliases: BTreeMap<String, Vec<usize>>,
    /// Files that call macros where declarations stand: what they declare is seen only when they are read.
    opaque: Vec<usize>,
}

type Names<'a> = BTreeMap<&'a str, Vec<usize>>;

/// The libraries of a compile, the user's own in front of the server's.
#[derive(Debug, Clone, Copy)]
pub struct Libraries<'a> {
    /// `-I`
    pub own: &'a Library<'a>,
    /// The server's.
    pub tapset: &'a Library<'a>,
}

/// A file of one of the libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

impl<'a> Library<'a> {
    /// Looks through files for what they declare. Takes time in proportion to their length.
    #[must_use]
    pub fn new(files: Vec<LibraryFile<'a>>) -> Self {
        let mut library = Self::default();
        for (index, file) in files.iter().enumerate() {
            let is_macros = file.name.ends_with(".stpm");
            scan::scan(file.text, &mut |declared| match declared {
                scan::Declared::Macro(name) if is_macros => add(library.macros.entry(name).or_default(), index),
                scan::Declared::Macro(_) => {}
                _ if is_macros => {}
                scan::Declared::Function(name) => add(library.functions.entry(name).or_default(), index),
                scan::Declared::Global(name) => add(library.globals.entry(name).or_default(), index),
                scan::Declared::Alias(name) => add(library.aliases.entry(name).or_default(), index),
                scan::Declared::Unseen => add(&mut library.opaque, index),
            });
        }
        Self { files, ..library }
    }
}

fn add(files: &mut Vec<usize>, index: usize) {
    if files.last() != Some(&index) {
        files.push(index);
    }
}

impl<'a> Libraries<'a> {
    /// A file.
    #[must_use]
    pub fn file(&self, id: FileId) -> LibraryFile<'a> {
        match self.own.files.get(id.0) {
            Some(file) => *file,
            None => self.tapset.files[id.0 - self.own.files.len()],
        }
    }

    /// The files with functions of a name.
    #[must_use]
    pub fn functions(&self, name: &str) -> Vec<FileId> {
        self.in_each(|library| library.functions.get(name))
    }

    /// The files with globals of a name.
    #[must_use]
    pub fn globals(&self, name: &str) -> Vec<FileId> {
        self.in_each(|library| library.globals.get(name))
    }

    /// The file that defines a macro: the first, for one that a user defines stands in for that of the server.
    #[must_use]
    pub fn macro_(&self, name: &str) -> Option<FileId> {
        self.in_each(|library| library.macros.get(name)).first().copied()
    }

    /// The files with an alias that a probe point names, with or without something after it. `components` are those of the
    /// point, perhaps with wildcards; arguments do not matter.
    #[must_use]
    pub fn aliases(&self, components: &[&str]) -> Vec<FileId> {
        let mut found = BTreeSet::new();
        if components.iter().any(|component| is_glob(component)) {
            let matching = |(_, library): &(usize, &Library<'_>)| -> Vec<usize> {
                let names = library.aliases.iter();
                let names =
                    names.filter(|(name, _)| match_alias(components, &name.split('.').collect::<Vec<_>>()).is_some());
                names.flat_map(|(_, files)| files.iter().copied()).collect()
            };
            for layer in self.layers() {
                found.extend(matching(&layer).into_iter().map(|index| FileId(layer.0 + index)));
            }
        } else {
            for count in 1..=components.len() {
                let name = components[..count].join(".");
                found.extend(self.in_each(|library| library.aliases.get(&name)));
            }
        }
        found.into_iter().collect()
    }

    /// Files of which is not known what they declare.
    #[must_use]
    pub fn opaque(&self) -> Vec<FileId> {
        self.in_each(|library| Some(&library.opaque))
    }

    /// Files of macros.
    #[must_use]
    pub fn macro_files(&self) -> Vec<FileId> {
        let all = |(first, library): (usize, &Library<'_>)| -> Vec<FileId> {
            let files: BTreeSet<usize> = library.macros.values().flatten().copied().collect();
            files.into_iter().map(|index| FileId(first + index)).collect()
        };
        self.layers().into_iter().flat_map(all).collect()
    }

    /// The names of all functions, for a person who misspelt one.
    pub fn function_names(&self) -> impl Iterator<Item = &'a str> {
        self.own.functions.keys().chain(self.tapset.functions.keys()).copied()
    }

    /// The names of all aliases, components joined by dots, for a person who misspelt one.
    pub fn alias_names(&self) -> impl Iterator<Item = &'a str> {
        self.own.aliases.keys().chain(self.tapset.aliases.keys()).map(String::as_str)
    }

    /// Each library and the number of its first file.
    fn layers(&self) -> [(usize, &'a Library<'a>); 2] {
        [(0, self.own), (self.own.files.len(), self.tapset)]
    }

    fn in_each<'s>(&self, select: impl Fn(&'a Library<'a>) -> Option<&'s Vec<usize>>) -> Vec<FileId> {
        let select = |(first, library)| select(library).into_iter().flatten().map(move |index| FileId(first + index));
        self.layers().into_iter().flat_map(select).collect()
    }
}

/// How many components of a probe point, perhaps with wildcards, name an alias: those after them are for what the alias
/// stands for. Nothing where they do not. `*` is for a component, or part of one; `**` for one or more.
#[must_use]
pub fn match_alias(written: &[&str], alias: &[&str]) -> Option<usize> {
    let Some((&name, rest)) = alias.split_first() else { return Some(0) };
    let (&pattern, written) = written.split_first()?;
    if !pattern.contains("**") {
        return component_matches(pattern, name).then(|| match_alias(written, rest)).flatten().map(|count| count + 1);
    }
    let counts = (1..=alias.len()).filter_map(|count| {
        let (head, tail) = alias.split_at(count);
        let matches = component_matches(pattern, &head.join("."));
        matches.then(|| match_alias(written, tail)).flatten().map(|count| count + 1)
    });
    counts.max()
}

/// Whether a component that a user wrote means one of this name. Names that start with `_` are a library's own: a wildcard
/// in their place does not mean them.
#[must_use]
pub fn component_matches(pattern: &str, name: &str) -> bool {
    if !is_glob(pattern) {
        return pattern == name;
    }
    (pattern.starts_with('_') || !name.starts_with('_')) && glob_matches(pattern, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_files_that_declare_it() {
        let own = Library::new(vec![
            LibraryFile { name: "own/a.stp", text: "function f() {} probe syscall.open = begin {}" },
            LibraryFile { name: "own/a.stpm", text: "@define m %( 1 %)" },
        ]);
        let tapset = Library::new(vec![
            LibraryFile { name: "a.stp", text: "global f, g; function f(x) {} probe syscall.read.return = end {}" },
            LibraryFile { name: "m.stpm", text: "@define m %( 2 %) @define n(x) %( @x %)" },
            LibraryFile { name: "o.stp", text: "@make(x)" },
        ]);
        let libraries = Libraries { own: &own, tapset: &tapset };
        let names = |ids: Vec<FileId>| ids.into_iter().map(|id| libraries.file(id).name).collect::<Vec<_>>();
        assert_eq!(names(libraries.functions("f")), ["own/a.stp", "a.stp"]);
        assert_eq!(names(libraries.globals("f")), ["a.stp"]);
        assert_eq!(names(libraries.macro_("m").into_iter().collect()), ["own/a.stpm"]);
        assert_eq!(names(libraries.macro_("n").into_iter().collect()), ["m.stpm"]);
        assert_eq!(names(libraries.aliases(&["syscall", "open", "return"])), ["own/a.stp"]);
        assert_eq!(names(libraries.aliases(&["syscall", "read"])), [""; 0]);
        assert_eq!(names(libraries.aliases(&["sys*", "*", "return"])), ["own/a.stp", "a.stp"]);
        assert_eq!(names(libraries.opaque()), ["o.stp"]);
        assert_eq!(names(libraries.macro_files()), ["own/a.stpm", "m.stpm"]);
    }

    #[test]
    fn wildcards_stand_for_components() {
        let count = |written: &str, alias: &str| {
            match_alias(&written.split('.').collect::<Vec<_>>(), &alias.split('.').collect::<Vec<_>>())
        };
        for (written, alias, used) in [
            ("a.b", "a.b", 2),
            ("a.b.return", "a.b", 2),
            ("a.*", "a.b", 2),
            ("*.open*", "nd_syscall.openat", 2),
            ("a.**", "a.b.c", 2),
            ("a.**.d", "a.b.c.d", 3),
            ("a.**.d", "a.b", 2),
            ("**", "a.b.c", 1),
            ("a.b**", "a.bc.d", 2),
            ("_*", "_a", 1),
        ] {
            assert_eq!(count(written, alias), Some(used), "{written} names {alias}");
        }
        for (written, alias) in [("a", "a.b"), ("a.*", "a.b.c"), ("*", "_a"), ("a.*", "a._b")] {
            assert_eq!(count(written, alias), None, "{written} does not name {alias}");
        }
    }
}
