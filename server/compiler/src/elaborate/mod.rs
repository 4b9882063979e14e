//! Pass 2: a tree becomes a program. Names, types and probe points are resolved; target variables become reads.
//!
//! The way: [`reach`] finds what the script declares and which files of libraries its names lead to, [`derive`] replaces
//! aliases by what they stand for and has [`probe`] find the places of every probe point, [`infer`] finds the type of every
//! variable, [`pointer`] what pointers of C they hold, [`body`] turns each handler into statements of the program, with what
//! [`target`] variables come to. Everything that is wrong is collected; what only
//! the host or a debug file can tell is collected, too.
//!
//! It must not know IR functions or BPF, nor how a file is parsed.

mod intrinsic;
mod private;
mod uses;
mod warning;

mod reach;

mod derive;
mod probe;

mod declarations;

mod infer;

mod pointer;
mod target;
mod unit;

mod body;
mod constant;
mod format;
mod pattern;

use std::collections::BTreeSet;

use shared::diagnostic::{Diagnostic, Severity, SourceId, Span};
use shared::limits::{DIAGNOSTICS_KEEP_GOING_MAX, DIAGNOSTICS_MAX};
use shared::target::{Fact, FactQuery, Target};

use crate::ast::{Item, Stapfile};
use crate::library::Libraries;
use crate::options::Tunables;
use crate::program::{DerivedProbe, Program};
use crate::world::World;
use crate::{DebuginfoNeed, Options};
use declarations::Declarations;
use derive::Deriver;
pub use reach::Reader;
use reach::{Origin, Reach};
use unit::Unit;

/// What elaboration works from, besides the tree.
pub struct Environment<'a> {
    /// Debuginfo.
    pub world: &'a dyn World,
    /// The host.
    pub target: &'a Target,
    /// What the host has answered.
    pub facts: &'a [Fact],
    /// `-g`
    pub guru: bool,
    /// Options that change the meaning of a script.
    pub options: &'a Options,
    /// Limits that options set.
    pub tunables: Tunables,
    /// The libraries, whose files a [`Reader`] reads.
    pub libraries: Libraries<'a>,
}

/// A script of the user's.
#[derive(Debug)]
pub struct Script<'a> {
    /// What a person calls it.
    pub name: &'a str,
    /// Its text.
    pub source: SourceId,
    /// Its declarations.
    pub file: Stapfile,
}

/// What elaboration comes to.
#[derive(Debug, Default)]
pub struct Elaboration {
    /// The program, as far as it could be resolved; whole where nothing below speaks against it.
    pub program: Program,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What only the host can tell.
    pub facts_needed: BTreeSet<FactQuery>,
    /// Debug files that have to be fetched first.
    pub debuginfo_needed: BTreeSet<DebuginfoNeed>,
    /// A debug file that nobody has.
    pub debuginfo_missing: Option<DebuginfoNeed>,
}

/// Elaborates scripts, as one.
#[must_use]
pub fn elaborate(scripts: Vec<Script<'_>>, environment: &Environment<'_>, reader: &mut dyn Reader) -> Elaboration {
    let mut log = Log { keeps_going: environment.options.keep_going, ..Log::default() };
    let first = scripts.iter().find_map(|script| first_probe(&script.file));
    let mut reach = Reach::new(environment.libraries, reader);
    let user_sources: BTreeSet<SourceId> = scripts.iter().map(|script| script.source).collect();
    for Script { name, file, .. } in scripts {
        reach.join(file, name, Origin::Script, &mut log);
    }
    let mut resolver = probe::Resolver::new(environment);
    let probes = Deriver::new(&mut reach, &mut resolver, environment.options.suppress_handler_errors, &mut log).all();
    let declarations = Declarations::collect(&reach, &probes, environment.tunables, &mut log);
    let types = infer::infer(&declarations, &mut log);
    let globals = body::globals(&declarations, &types, &mut log);
    let mut unit = Unit::new(environment, &declarations, &types, &mut resolver, &mut log);
    let derived = (0..probes.len()).flat_map(|index| handlers(&mut unit, index)).collect();
    let program = Program { limits: environment.tunables.limits, globals, functions: unit.finish(), probes: derived };
    log.check_points(first, program.probes.is_empty());
    if !log.has_errors() && !log.waits() {
        warning::warn(&reach, &probes, &user_sources, &mut log);
    }
    Elaboration {
        program,
        diagnostics: log.diagnostics,
        facts_needed: log.facts_needed,
        debuginfo_needed: log.debuginfo_needed,
        debuginfo_missing: log.debuginfo_missing,
    }
}

fn first_probe(file: &Stapfile) -> Option<Span> {
    file.items.iter().find_map(|item| match item {
        Item::Probe(probe) => Some(probe.span),
        _ => None,
    })
}

/// Makes a handler for each place of a probe; places whose handlers come out the same, and can be told apart at run time,
/// share one.
fn handlers(unit: &mut Unit<'_, '_, '_>, index: usize) -> Vec<DerivedProbe> {
    let by_place = unit.is_by_place(index);
    let mut probes: Vec<DerivedProbe> = Vec::new();
    for (number, derivation) in unit.declarations.probes[index].derivations.iter().enumerate() {
        let key = unit.resolver.sharing_key(&derivation.point.place);
        let sharable = |unit: &Unit<'_, '_, '_>, probe: &DerivedProbe| {
            key.is_some() && unit.resolver.sharing_key(&probe.points[0].place) == key
        };
        if !by_place && let Some(probe) = probes.iter_mut().find(|probe| sharable(unit, probe)) {
            probe.points.push(derivation.point.clone());
            continue;
        }
        let body = unit.handler(index, number);
        let mut latest = probes.iter_mut().rev().take(SHARED_BODIES_MAX);
        match latest.find(|probe| sharable(unit, probe) && probe.body == body) {
            Some(probe) => probe.points.push(derivation.point.clone()),
            None => probes.push(DerivedProbe { points: vec![derivation.point.clone()], body }),
        }
    }
    probes
}

/// How many different bodies of one probe are compared with a new one: functions with the same parameters in the same
/// registers are many, different bodies few.
const SHARED_BODIES_MAX: usize = 16;

/// The place of a byte of a literal; the whole literal where escapes or neighbours make it something else than written.
fn within(literal: Span, text_bytes: usize, offset: usize) -> Span {
    let is_as_written = (literal.end - literal.start) as usize == text_bytes + 2;
    match u32::try_from(offset + 1) {
        Ok(offset) if is_as_written => {
            let start = literal.start + offset;
            Span { start, end: (start + 1).min(literal.end), ..literal }
        }
        _ => literal,
    }
}

/// Everything that is noticed on the way.
#[derive(Debug, Default)]
struct Log {
    diagnostics: Vec<Diagnostic>,
    /// Whether there may be more than a person reads.
    keeps_going: bool,
    facts_needed: BTreeSet<FactQuery>,
    debuginfo_needed: BTreeSet<DebuginfoNeed>,
    debuginfo_missing: Option<DebuginfoNeed>,
}

impl Log {
    fn report(&mut self, diagnostic: Diagnostic) {
        let count_max = if self.keeps_going { DIAGNOSTICS_KEEP_GOING_MAX } else { DIAGNOSTICS_MAX };
        // A handler is elaborated once for each place: what is wrong with it is said once.
        if self.diagnostics.len() > count_max || self.diagnostics.contains(&diagnostic) {
            return;
        }
        if self.diagnostics.len() < count_max {
            self.diagnostics.push(diagnostic);
            return;
        }
        let place = diagnostic.labels.first().map(|label| label.span);
        let message = format!("more than {count_max} errors and warnings; the others are not shown");
        self.diagnostics.extend(place.map(|span| Diagnostic::error("elaborate/too-many-errors", span, message)));
    }

    fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Takes over what has to be had from outside, and nothing that was reported.
    fn add_needs(&mut self, other: Self) {
        self.facts_needed.extend(other.facts_needed);
        self.debuginfo_needed.extend(other.debuginfo_needed);
        self.debuginfo_missing = self.debuginfo_missing.take().or(other.debuginfo_missing);
    }

    /// Whether something was said of a place, so that what follows from it need not be said.
    fn has_spoken_of(&self, span: Span) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.labels.first().is_some_and(|label| label.span == span))
    }

    /// Whether something has to be had from outside before it can be said what is wrong.
    fn waits(&self) -> bool {
        !self.facts_needed.is_empty() || !self.debuginfo_needed.is_empty() || self.debuginfo_missing.is_some()
    }

    /// Reports where a script has nothing to do; `first` is its first probe.
    fn check_points(&mut self, first: Option<Span>, is_empty: bool) {
        if !is_empty || self.has_errors() || self.waits() {
            return;
        }
        let message = "the script has no probe that could fire";
        match first {
            Some(span) => self.report(Diagnostic::error("elaborate/no-probes", span, message)),
            None => self.report(Diagnostic {
                code: "elaborate/no-probes".to_owned(),
                severity: Severity::Error,
                message: "the script has no probes".to_owned(),
                labels: Vec::new(),
                notes: Vec::new(),
            }),
        }
    }
}
