//! Pass 2: a tree becomes a program. Names, types and probe points are resolved; target variables become reads.
//!
//! The way: [`declarations`] collects what the script declares and which functions its probes reach, [`infer`] finds the type
//! of every variable, [`probe`] finds the places of every probe point, [`body`] turns each handler into statements of the
//! program. Everything that is wrong is collected; what only the host or a debug file can tell is collected, too.
//!
//! It must not know IR functions or BPF.

mod body;
mod declarations;
mod infer;
mod intrinsic;
mod probe;
mod target;
mod uses;

use std::collections::BTreeSet;

use shared::diagnostic::{Diagnostic, Severity};
use shared::target::{Fact, FactQuery, Target};

use crate::DebuginfoNeed;
use crate::ast::Stapfile;
use crate::program::{DerivedProbe, Program};
use crate::world::World;
use declarations::Declarations;
use infer::Types;

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

/// Elaborates a script.
#[must_use]
pub fn elaborate(script: &Stapfile, environment: &Environment<'_>) -> Elaboration {
    let mut log = Log::default();
    let declarations = Declarations::collect(script, &mut log);
    let types = infer::infer(&declarations, &mut log);
    let mut program = Program {
        globals: body::globals(&declarations, &types, &mut log),
        functions: body::functions(&declarations, &types, &mut log),
        probes: Vec::new(),
    };
    let mut resolver = probe::Resolver::new(environment);
    for (index, probe) in declarations.probes.iter().enumerate() {
        let derivations = resolver.resolve_all(&probe.points, &mut log);
        let probes = derive(&declarations, &types, index, &derivations, &resolver, &mut log);
        program.probes.extend(probes);
    }
    let points: usize = program.probes.iter().map(|probe| probe.points.len()).sum();
    log.check_points(script, points);
    Elaboration {
        program,
        diagnostics: log.diagnostics,
        facts_needed: log.facts_needed,
        debuginfo_needed: log.debuginfo_needed,
        debuginfo_missing: log.debuginfo_missing,
    }
}

/// Makes a handler for each place of a probe; places whose handlers come out the same, and can be told apart at run time,
/// share one.
fn derive(
    declarations: &Declarations<'_>,
    types: &Types,
    index: usize,
    derivations: &[probe::Derivation],
    resolver: &probe::Resolver<'_>,
    log: &mut Log,
) -> Vec<DerivedProbe> {
    let by_place = uses::target_variables(&declarations.probes[index].body);
    let mut probes: Vec<DerivedProbe> = Vec::new();
    for derivation in derivations {
        let key = resolver.sharing_key(&derivation.point.place);
        let sharable = |probe: &DerivedProbe| key.is_some() && resolver.sharing_key(&probe.points[0].place) == key;
        if !by_place && let Some(probe) = probes.iter_mut().find(|probe| sharable(probe)) {
            probe.points.push(derivation.point.clone());
            continue;
        }
        let body = body::handler(declarations, types, index, derivation, resolver, log);
        let mut latest = probes.iter_mut().rev().take(SHARED_BODIES_MAX);
        match latest.find(|probe| sharable(probe) && probe.body == body) {
            Some(probe) => probe.points.push(derivation.point.clone()),
            None => probes.push(DerivedProbe { points: vec![derivation.point.clone()], condition: None, body }),
        }
    }
    probes
}

/// How many different bodies of one probe are compared with a new one: functions with the same parameters in the same
/// registers are many, different bodies few.
const SHARED_BODIES_MAX: usize = 16;

/// Everything that is noticed on the way.
#[derive(Debug, Default)]
struct Log {
    diagnostics: Vec<Diagnostic>,
    facts_needed: BTreeSet<FactQuery>,
    debuginfo_needed: BTreeSet<DebuginfoNeed>,
    debuginfo_missing: Option<DebuginfoNeed>,
}

impl Log {
    fn report(&mut self, diagnostic: Diagnostic) {
        // A handler is elaborated once for each place: what is wrong with it is said once.
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether something has to be had from outside before it can be said what is wrong.
    fn waits(&self) -> bool {
        !self.facts_needed.is_empty() || !self.debuginfo_needed.is_empty() || self.debuginfo_missing.is_some()
    }

    fn check_points(&mut self, script: &Stapfile, count: usize) {
        let has_errors = self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        if count > 0 || has_errors || self.waits() {
            return;
        }
        let first = script.items.iter().find_map(|item| match item {
            crate::ast::Item::Probe(probe) => Some(probe.span),
            _ => None,
        });
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
