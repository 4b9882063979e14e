//! Probe points: from what is written to where it attaches, one file a probe kind.

mod been;
mod families;
mod functions;
mod kprobe;
mod timer;
mod tracepoint;
mod uprobe;

use shared::diagnostic::{Diagnostic, Span, similar};
use shared::ir::Space;
use shared::probe::{KernelBase, Place, ProbeKind, ProbePoint};
use shared::target::{BuildId, Fact, FactQuery, Feature, is_glob};

use super::{Environment, Log};
use crate::DebuginfoNeed;
use crate::ast::{self, Component, LiteralValue};
use crate::debuginfo::index::Index;
use crate::debuginfo::{Debuginfo, DebuginfoError, ObjectKind};
use crate::library::component_matches;
use crate::program::Base;
use crate::world::DebuginfoFile;

/// One place that a probe point stands for, and what its target variables are looked up in.
#[derive(Debug, Clone)]
pub(super) struct Derivation {
    pub(super) point: ProbePoint,
    pub(super) scope: Scope,
}

/// Where target variables come from.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// There are none; the words say why.
    None(&'static str),
    /// A function in a debug file.
    Function(FunctionScope),
}

/// A function in a debug file, entered or left.
#[derive(Debug, Clone)]
pub(super) struct FunctionScope {
    /// Index into [`Resolver`]'s files.
    pub(super) file: usize,
    pub(super) place: crate::debuginfo::Place,
    /// Whose memory its pointers point into.
    pub(super) space: shared::ir::Space,
}

/// What resolution of one point may come to, besides places.
pub(super) enum Unresolved {
    /// It has no known form.
    Unknown,
    /// Something is wrong with it.
    Wrong(Box<Diagnostic>),
    /// Something has to be asked or fetched first.
    Waiting,
}

type Resolved = Result<Vec<Derivation>, Unresolved>;

/// Resolves probe points, and keeps the debug files that were opened on the way.
pub(super) struct Resolver<'a> {
    environment: &'a Environment<'a>,
    files: Vec<OpenFile<'a>>,
}

/// An opened debug file.
struct OpenFile<'a> {
    /// What a person calls the object that it describes: its path, if it is a program.
    object: String,
    build_id: BuildId,
    debuginfo: Debuginfo<'a>,
}

/// A form that a probe point can have: its components, where `()` stands for an argument, and what resolves it.
struct Form {
    components: &'static [&'static str],
    resolve: fn(&mut Resolver<'_>, &Point<'_>, &mut Log) -> Resolved,
}

/// A probe point that has a known form.
pub(super) struct Point<'p> {
    written: &'p ast::ProbePoint,
}

/// Every form, by kind.
fn forms() -> impl Iterator<Item = &'static Form> {
    been::FORMS.iter().chain(timer::FORMS).chain(kprobe::FORMS).chain(uprobe::FORMS).chain(tracepoint::FORMS)
}

impl<'a> Resolver<'a> {
    pub(super) fn new(environment: &'a Environment<'a>) -> Self {
        Self { environment, files: Vec::new() }
    }

    /// The places of a point; with wildcards, those of every form that matches and has any.
    pub(super) fn resolve(&mut self, written: &ast::ProbePoint, log: &mut Log) -> Resolved {
        if !written.components.iter().any(|component| is_glob(&component.name.text)) {
            let form = forms().find(|form| form.fits(&written.components)).ok_or(Unresolved::Unknown)?;
            return (form.resolve)(self, &Point { written }, log);
        }
        let (mut derivations, mut failure) = (Vec::new(), Unresolved::Unknown);
        for form in forms() {
            let Some(components) = form.instance(&written.components) else { continue };
            let written = ast::ProbePoint { components, ..written.clone() };
            match (form.resolve)(self, &Point { written: &written }, log) {
                Ok(found) => derivations.extend(found),
                Err(Unresolved::Waiting) => failure = Unresolved::Waiting,
                Err(wrong @ Unresolved::Wrong(_)) if matches!(failure, Unresolved::Unknown) => failure = wrong,
                Err(_) => {}
            }
        }
        match failure {
            Unresolved::Waiting => Err(Unresolved::Waiting),
            failure if derivations.is_empty() => Err(failure),
            _ => Ok(derivations),
        }
    }

    /// What is wrong with a point that has no known form and names none of the aliases.
    pub(super) fn unknown<'n>(&self, written: &ast::ProbePoint, aliases: impl Iterator<Item = &'n str>) -> Diagnostic {
        families::refuse(written).unwrap_or_else(|| unknown_form(written, aliases))
    }

    /// What places must agree in to share a program; nothing where they cannot share one, because the kernel does not tell
    /// a program which of its points fired.
    pub(super) fn sharing_key(&self, place: &Place) -> Option<(ProbeKind, bool)> {
        let has_cookies = self.environment.target.features.contains(&Feature::AttachCookie);
        let kind = place.kind();
        (has_cookies && matches!(kind, ProbeKind::Kprobe | ProbeKind::Uprobe)).then(|| (kind, place.on_return()))
    }

    /// The host's answer to a question; where it has not answered yet, the question is put.
    fn fact(&self, query: FactQuery, log: &mut Log) -> Result<&'a Fact, Unresolved> {
        match self.environment.facts.iter().find(|fact| fact.query() == query) {
            Some(fact) => Ok(fact),
            None => {
                log.facts_needed.insert(query);
                Err(Unresolved::Waiting)
            }
        }
    }

    /// Opens the debug file of an object.
    fn open(&mut self, object: &str, build_id: &BuildId, span: Span, log: &mut Log) -> Result<usize, Unresolved> {
        if let Some(index) = self.files.iter().position(|file| file.build_id == *build_id) {
            return Ok(index);
        }
        let need = || DebuginfoNeed { object: object.to_owned(), build_id: build_id.clone() };
        let bytes = match self.environment.world.debuginfo(build_id) {
            DebuginfoFile::Bytes(bytes) => bytes,
            DebuginfoFile::NotHere => {
                log.debuginfo_needed.insert(need());
                return Err(Unresolved::Waiting);
            }
            DebuginfoFile::Missing => {
                log.debuginfo_missing.get_or_insert_with(need);
                return Err(Unresolved::Waiting);
            }
        };
        let index = self.environment.world.index(build_id).and_then(|index| Index::open(index).ok());
        let debuginfo = Debuginfo::open_indexed(bytes, index).map_err(|error| {
            let message = format!("the debuginfo of {object} (build id {build_id}) cannot be read: {error}");
            Unresolved::wrong("elaborate/debuginfo", span, message)
        })?;
        self.files.push(OpenFile { object: object.to_owned(), build_id: build_id.clone(), debuginfo });
        Ok(self.files.len() - 1)
    }

    /// The debug file that `@cast` and its relatives name, and whose memory its pointers point into.
    pub(super) fn module(&mut self, name: &str, span: Span, log: &mut Log) -> Result<(usize, Space), Unresolved> {
        if name == "kernel" {
            let build_id = self.environment.target.kernel.clone();
            return Ok((self.open("the kernel", &build_id, span, log)?, Space::Kernel));
        }
        if name.starts_with('/') {
            let (.., file) = uprobe::open(self, name, span, log)?;
            return Ok((file, Space::User));
        }
        let message = format!("the types of `{name}` are not to be had: name the kernel or the path of a program");
        Err(Unresolved::wrong("elaborate/unknown-module", span, message))
    }

    /// An opened debug file.
    pub(super) fn file(&self, index: usize) -> &Debuginfo<'a> {
        &self.files[index].debuginfo
    }

    /// What addresses of an opened debug file are counted from where its object is loaded, and a link-time address so
    /// counted.
    pub(super) fn loaded_address(&self, index: usize, address: u64) -> Result<(Base, u64), DebuginfoError> {
        let OpenFile { object, build_id, debuginfo } = &self.files[index];
        if debuginfo.object().kind == ObjectKind::Kernel {
            return Ok((Base::Kernel(KernelBase::Stext), debuginfo.offset_from_stext(address)?));
        }
        Ok((Base::Object { path: object.clone(), build_id: build_id.clone() }, address))
    }
}

impl Unresolved {
    fn wrong(code: &str, span: Span, message: impl Into<String>) -> Self {
        Self::Wrong(Box::new(Diagnostic::error(code, span, message)))
    }
}

impl Form {
    fn fits(&self, components: &[Component]) -> bool {
        self.components.len() == components.len() && common(self.components, components) == components.len()
    }

    /// The point of this form that components with wildcards mean; nothing where they mean none.
    fn instance(&self, written: &[Component]) -> Option<Vec<Component>> {
        instance(self.components, written)
    }
}

/// How many components agree before the first that does not.
fn common(known: &[&str], written: &[Component]) -> usize {
    let agree = |(known, written): &(&&str, &Component)| match known.strip_suffix("()") {
        Some(name) => written.name.text == name && written.argument.is_some(),
        None => written.name.text == **known && written.argument.is_none(),
    };
    known.iter().zip(written).take_while(agree).count()
}

fn instance(form: &[&str], written: &[Component]) -> Option<Vec<Component>> {
    let Some((first, rest)) = written.split_first() else { return form.is_empty().then(Vec::new) };
    let named =
        |name: &str| Component { name: ast::Name { text: name.to_owned(), span: first.name.span }, ..first.clone() };
    // What `**` stands for has no arguments.
    let count_max = if first.name.text.contains("**") { form.len() } else { form.len().min(1) };
    (1..=count_max).find_map(|count| {
        let (head, tail) = form.split_at(count);
        let has_argument = count == 1 && head[0].ends_with("()");
        let name = head.join(".");
        let matches = component_matches(&first.name.text, name.trim_end_matches("()"))
            && (count == 1 || !name.contains("()"))
            && has_argument == first.argument.is_some();
        let rest = matches.then(|| instance(tail, rest)).flatten()?;
        Some(head.iter().map(|name| named(name.trim_end_matches("()"))).chain(rest).collect())
    })
}

impl Point<'_> {
    fn span(&self) -> Span {
        self.written.span
    }

    fn has(&self, component: &str) -> bool {
        self.written.components.iter().any(|written| written.name.text == component)
    }

    fn argument(&self, component: usize) -> Option<&ast::Literal> {
        self.written.components.get(component)?.argument.as_ref()
    }

    fn number(&self, component: usize) -> Result<(i64, Span), Unresolved> {
        match self.argument(component) {
            Some(ast::Literal { value: LiteralValue::Number(number), span }) => Ok((*number, *span)),
            _ => Err(self.wrong_argument(component, "a number")),
        }
    }

    fn string(&self, component: usize) -> Result<(String, Span), Unresolved> {
        match self.argument(component) {
            Some(ast::Literal { value: LiteralValue::String(string), span }) => Ok((string.to_string(), *span)),
            _ => Err(self.wrong_argument(component, "a string")),
        }
    }

    fn wrong_argument(&self, component: usize, expected: &str) -> Unresolved {
        let span = self.argument(component).map_or(self.span(), |argument| argument.span);
        let name = self.written.components.get(component).map_or("", |component| &component.name.text);
        Unresolved::wrong("elaborate/probe-argument", span, format!("`{name}` takes {expected}"))
    }
}

fn unknown_form<'n>(written: &ast::ProbePoint, aliases: impl Iterator<Item = &'n str>) -> Diagnostic {
    let components = &written.components;
    let aliases: Vec<Vec<&str>> = aliases.map(|name| name.split('.').collect()).collect();
    let known: Vec<&[&str]> = forms().map(|form| form.components).chain(aliases.iter().map(Vec::as_slice)).collect();
    let depth = known.iter().map(|known| common(known, components)).max().unwrap_or(0);
    let possible = known.iter().filter(|known| common(known, components) == depth && known.len() > depth);
    let mut possible: Vec<&str> = possible.map(|known| known[depth]).collect();
    possible.sort_unstable();
    possible.dedup();
    let Some(wrong) = components.get(depth) else {
        let message = "the probe point is not complete";
        let diagnostic = Diagnostic::error("elaborate/unknown-probe-point", written.span, message);
        return diagnostic.note(format!("it goes on with: {}", listed(&possible)));
    };
    let name = &wrong.name.text;
    let message = match possible.iter().find(|known| known.trim_end_matches("()") == name) {
        Some(known) if known.ends_with("()") => format!("`{name}` needs an argument"),
        Some(_) => format!("`{name}` takes no argument"),
        None => format!("unknown probe point component `{name}`"),
    };
    let names: Vec<&str> = possible.iter().map(|known| known.trim_end_matches("()")).collect();
    let diagnostic = Diagnostic::error("elaborate/unknown-probe-point", wrong.name.span, message);
    match similar(name, names.iter().copied()).first() {
        Some(nearest) if *nearest != name => diagnostic.saying(format!("did you mean `{nearest}`?")),
        _ if !possible.is_empty() => diagnostic.note(format!("possible here: {}", listed(&possible))),
        _ => diagnostic.note("the probe point ends before this"),
    }
}

/// So many names as a person reads.
fn listed(names: &[&str]) -> String {
    const NAMES_MAX: usize = 20;
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
