//! What the bodies of a script are lowered with, and which body is meant: a handler's or a function's, and at which place.
//!
//! A body that reads target variables, or calls a function that does, can mean something else at each place. It is lowered
//! once for each; all others once.

use std::collections::BTreeSet;

use super::body::Functions;
use super::declarations::Declarations;
use super::infer::{Locals, Types};
use super::pointer::Pointers;
use super::probe::{Derivation, FunctionScope, Resolver, Scope};
use super::{Environment, Log};

/// Everything that is known of a script when its bodies are lowered.
pub(super) struct Unit<'u, 'd, 'e> {
    pub(super) environment: &'u Environment<'e>,
    pub(super) declarations: &'d Declarations<'d>,
    pub(super) types: &'d Types<'d>,
    pub(super) resolver: &'u mut Resolver<'e>,
    pub(super) log: &'u mut Log,
    pub(super) pointers: Pointers<'d>,
    pub(super) functions: Functions,
    /// Levels of the trees that are being lowered: that of a handler, and those of functions that are lowered for its place
    /// on the way.
    pub(super) depth: usize,
    /// The functions that are lowered for each place.
    by_place: BTreeSet<usize>,
}

/// A body at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BodyId {
    pub(super) owner: Owner,
    /// Nothing for functions that are the same everywhere.
    pub(super) place: Option<PlaceId>,
}

/// Whose body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A probe's, by its index.
    Probe(usize),
    /// A function's, by its index.
    Function(usize),
}

/// A place of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlaceId {
    pub(super) probe: usize,
    /// Index into its derivations.
    pub(super) derivation: usize,
}

/// A body, and whether what is looked at is what was there when the probed function was entered (`@entry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) body: BodyId,
    pub(super) entry: bool,
}

impl<'u, 'd, 'e> Unit<'u, 'd, 'e> {
    pub(super) fn new(
        environment: &'u Environment<'e>,
        declarations: &'d Declarations<'d>,
        types: &'d Types<'d>,
        resolver: &'u mut Resolver<'e>,
        log: &'u mut Log,
    ) -> Self {
        let (pointers, functions) = (Pointers::default(), Functions::default());
        let by_place = functions_by_place(types);
        let mut unit =
            Self { environment, declarations, types, resolver, log, pointers, functions, depth: 0, by_place };
        unit.infer_pointers();
        unit.lower_functions();
        unit
    }

    /// Whether a handler is to be lowered for each of its places.
    pub(super) fn is_by_place(&self, probe: usize) -> bool {
        let uses = &self.types.probes[probe].uses;
        uses.by_place || !uses.calls.is_disjoint(&self.by_place)
    }

    /// Whether a function is to be lowered for each place that it is called from.
    pub(super) fn is_function_by_place(&self, function: usize) -> bool {
        self.by_place.contains(&function)
    }

    /// The body of a function as a body calls it.
    pub(super) fn callee(&self, function: usize, caller: BodyId) -> BodyId {
        let place = caller.place.filter(|_| self.is_function_by_place(function));
        BodyId { owner: Owner::Function(function), place }
    }

    pub(super) fn locals(&self, body: BodyId) -> &'d Locals<'d> {
        match body.owner {
            Owner::Probe(probe) => &self.types.probes[probe],
            Owner::Function(function) => &self.types.functions[function].locals,
        }
    }

    /// The place a body is lowered for.
    pub(super) fn derivation(&self, body: BodyId) -> Option<&'d Derivation> {
        let PlaceId { probe, derivation } = body.place?;
        self.declarations.probes[probe].derivations.get(derivation)
    }

    /// The function whose variables a body sees, or why it sees none.
    pub(super) fn scope(&self, body: BodyId) -> Result<&'d FunctionScope, &'static str> {
        match self.derivation(body).map(|derivation| &derivation.scope) {
            Some(Scope::Function(scope)) => Ok(scope),
            Some(Scope::None(why)) => Err(why),
            None => Err("the function is the same wherever it is called from"),
        }
    }
}

/// The functions that read target variables, or call one that does.
fn functions_by_place(types: &Types<'_>) -> BTreeSet<usize> {
    let mut callers = vec![Vec::new(); types.functions.len()];
    for (caller, function) in types.functions.iter().enumerate() {
        function.locals.uses.calls.iter().for_each(|&callee| callers[callee].push(caller));
    }
    let reads = |&index: &usize| types.functions[index].locals.uses.by_place;
    let mut found: BTreeSet<usize> = (0..types.functions.len()).filter(reads).collect();
    let mut waiting: Vec<usize> = found.iter().copied().collect();
    while let Some(function) = waiting.pop() {
        waiting.extend(callers[function].iter().copied().filter(|&caller| found.insert(caller)));
    }
    found
}
