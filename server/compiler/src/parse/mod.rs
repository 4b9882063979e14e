//! Pass 1: text to tree. Total: whatever it is given, it ends with a tree and with everything there is to say.
//!
//! `lex` makes tokens of text, `preprocess` decides conditionals and expands macros and script arguments, and the parser, a
//! recursive descent over tokens, makes the tree: `declaration` asks `point` and `statement`, which ask `expression`, which
//! asks `operator` for what starts with `@` and for the print family. `cursor` holds what they share. Nothing here may know
//! of tapsets, types or debuginfo: a name is a name.

use std::collections::BTreeMap;
use std::rc::Rc;

use shared::diagnostic::{Diagnostic, Note, SourceId, Span, similar};
use shared::limits::{DIAGNOSTICS_MAX, SCRIPT_BYTES_MAX};
use shared::trust::Privilege;

use crate::ast::Stapfile;
use crate::source::Sources;

mod token;

mod lex;

mod literal;

mod preprocess;

mod cursor;

mod declaration;

mod point;

mod statement;

mod expression;

mod operator;

mod embedded;

pub mod invariants;

#[cfg(test)]
mod tests;

/// The code of the warning that an option of the kernel's configuration is not known, whose name stands at its place.
pub const CONFIG_UNKNOWN: &str = "parse/config-unknown";

/// A configuration of which nothing is known.
pub const CONFIG_NONE: &BTreeMap<String, Option<String>> = &BTreeMap::new();

/// The version of SystemTap whose language this is: what `systemtap_v` compares with unless the user names an older one.
pub const SYSTEMTAP_VERSION: &str = "5.6";

/// The versions that changed the language, each with one before it.
pub const OLDER_VERSIONS: &[(&str, &str)] = &[("2.9", "3.0"), ("3.3", "4.0")];

/// What a text means depends on: what conditionals may ask for, what `$1` stands for, which macros there are.
#[derive(Debug, Clone, Copy)]
pub struct Environment<'a> {
    /// `uname -r` of the host: `kernel_vr`, and `kernel_v` up to the first `-`.
    pub kernel_release: &'a str,
    /// `arch`, as SystemTap names it: `x86_64`.
    pub architecture: &'a str,
    /// What is known of the configuration of the host's kernel: `CONFIG_…`, each with its value (`y`, `m`, `64`, quotes
    /// included), or `None` where it is not set. Of others it is said that they are not known.
    pub config: &'a BTreeMap<String, Option<String>>,
    /// `runtime`. Scripts ask it to keep away from the limits of upstream's own BPF runtime, which are not ours: `kernel`.
    pub runtime: &'a str,
    /// `systemtap_privilege`
    pub privilege: Privilege,
    /// `guru_mode`, `-g`
    pub guru: bool,
    /// `systemtap_v`, `--compatible`: [`SYSTEMTAP_VERSION`], or an older version whose rules are to be followed.
    pub compatible: &'a str,
    /// `$1`, `@1` and so on.
    pub arguments: &'a [String],
    /// The macros of the tapset.
    pub macros: &'a Macros,
    /// Whether the text is the user's own: it is warned about, and may reach into the kernel only in guru mode.
    pub user_script: bool,
}

/// Macros by name, from one or several texts. Their places are in the [`Sources`] that they were read into: whoever parses with
/// them must do so with these sources, or a clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Macros {
    by_name: BTreeMap<String, Rc<preprocess::Macro>>,
}

/// The operators that start with `@`, without it.
pub const OPERATORS: &[&str] = &[
    "avg",
    "cast",
    "const",
    "count",
    "define",
    "defined",
    "entry",
    "enum",
    "enumname",
    "hist_linear",
    "hist_log",
    "kderef",
    "kregister",
    "max",
    "min",
    "perf",
    "probewrite",
    "sum",
    "uderef",
    "uregister",
    "var",
    "variance",
];

/// Reads a script or a file of the tapset, which must be in `sources`; what macros expand to is added there.
pub fn parse(sources: &mut Sources, id: SourceId, environment: &Environment<'_>) -> (Stapfile, Vec<Diagnostic>) {
    if let Some(diagnostic) = too_large(sources, id) {
        return (Stapfile::default(), vec![diagnostic]);
    }
    let preprocessed = preprocess::preprocess(sources, id, environment);
    cursor::Parser::new(sources, environment, preprocessed).file()
}

/// Reads a file of macro definitions (`.stpm`) into `macros`, where they join those of the files before.
pub fn define_macros(
    sources: &mut Sources,
    id: SourceId,
    environment: &Environment<'_>,
    macros: &mut Macros,
) -> Vec<Diagnostic> {
    match too_large(sources, id) {
        Some(diagnostic) => vec![diagnostic],
        None => preprocess::define_library(sources, id, environment, macros),
    }
}

fn too_large(sources: &Sources, id: SourceId) -> Option<Diagnostic> {
    let source = sources.get(id);
    let message = format!("{} is longer than {SCRIPT_BYTES_MAX} bytes", source.name);
    let start = Span { source: id, start: 0, end: 0 };
    (source.text.len() > SCRIPT_BYTES_MAX).then(|| Diagnostic::error("parse/too-large", start, message))
}

/// A diagnostic whose words are not longer than a person reads, whatever names it quotes.
fn shortened(mut diagnostic: Diagnostic) -> Diagnostic {
    const TEXT_BYTES_MAX: usize = 400;
    let labels = diagnostic.labels.iter_mut().map(|label| &mut label.text);
    let notes = diagnostic.notes.iter_mut().map(|(Note::Note(text) | Note::Help(text))| text);
    for text in labels.chain(notes).chain([&mut diagnostic.message]) {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
            text.shrink_to_fit();
        }
    }
    diagnostic
}

/// Whether `@name` is an operator.
fn is_built_in(name: &str) -> bool {
    name.strip_prefix('@').is_some_and(|name| OPERATORS.contains(&name))
}

/// What there is to say of an `@name` that is neither an operator nor a macro, wherever it stands.
fn unknown_operator(span: Span, name: &str, macros: [&Macros; 2]) -> Diagnostic {
    const NAMES_MAX: usize = 1000;
    let known = OPERATORS.iter().copied().chain(macros.into_iter().flat_map(Macros::names));
    let near = similar(name.get(1..).unwrap_or(""), known.take(NAMES_MAX)).join("`, `@");
    let diagnostic =
        Diagnostic::error("parse/unknown-operator", span, format!("no operator or macro is called `{name}`"));
    match near.as_str() {
        "" => diagnostic,
        near => diagnostic.help(format!("did you mean `@{near}`?")),
    }
}

fn too_many_errors(span: Span) -> Diagnostic {
    let message = format!("more than {DIAGNOSTICS_MAX} errors; the rest of the script is not looked at");
    Diagnostic::error("parse/too-many-errors", span, message)
}

impl Environment<'_> {
    /// Whether the rules of this version of SystemTap are followed.
    #[must_use]
    pub fn follows(&self, version: &str) -> bool {
        preprocess::comparison::version_order(self.compatible.as_bytes(), version.as_bytes()).is_ge()
    }

    /// SystemTap 3.0 made it one.
    fn private_is_keyword(&self) -> bool {
        self.follows("3.0")
    }

    /// Since SystemTap 2.3, `\x41` in a string is a byte.
    fn has_hex_escapes(&self) -> bool {
        self.follows("2.3")
    }
}

impl Macros {
    /// None at all.
    pub const NONE: Self = Self { by_name: BTreeMap::new() };

    /// The names, without their `@`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
