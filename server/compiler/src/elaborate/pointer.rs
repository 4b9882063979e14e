//! Finds out what the longs of a script point to, so that `->`, `[]` and `$` work on variables, globals, parameters and
//! results: each keeps the C type of the target expressions that are assigned to it.
//!
//! Values flow from expressions to what holds them; a holder has no type, one, or more than one, and passes on what it has
//! whenever that changes. Each changes at most twice, so the work grows with the number of flows. Two types are an error only
//! for whoever steps on from there.

use std::collections::{BTreeMap, VecDeque};

use shared::ir::Space;

use super::declarations::Callee;
use super::infer::{Flow, Holder, Source};
use super::unit::{At, BodyId, Owner, PlaceId, Unit};
use crate::ast::{Assign, Expression, ExpressionKind as Tree};
use crate::debuginfo::TypeId;

/// A pointer type of C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    /// The debug file that has it, as the resolver counts them.
    pub(super) file: usize,
    pub(super) type_id: TypeId,
    /// Whose memory it points into.
    pub(super) space: Space,
}

/// What is known of the pointer that something holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Known {
    /// It is no pointer, as far as anybody says.
    #[default]
    Nothing,
    One(Pointer),
    /// Two that are not the same.
    Conflict(Pointer, Pointer),
}

/// What every holder of a value points to.
#[derive(Default)]
pub(super) struct Pointers<'d> {
    known: Vec<Known>,
    /// By holder, the flows that start from it.
    dependents: Vec<Vec<usize>>,
    flows: Vec<BodyFlow<'d>>,
    /// By global: its value, which its keys follow.
    globals: Vec<usize>,
    /// By body: its first local, which the others and the result follow.
    bodies: BTreeMap<BodyId, usize>,
}

#[derive(Clone, Copy)]
struct BodyFlow<'d> {
    body: BodyId,
    into: usize,
    source: Source<'d>,
}

impl<'d> Unit<'_, 'd, '_> {
    pub(super) fn infer_pointers(&mut self) {
        let mut locals = self.types.probes.iter().chain(self.types.functions.iter().map(|function| &function.locals));
        if !locals.any(|locals| locals.uses.steps) {
            return;
        }
        for global in &self.types.globals {
            let value = self.pointers.add(1 + global.keys.len());
            self.pointers.globals.push(value);
        }
        let bodies = self.reach_bodies();
        for body in bodies {
            let locals = self.locals(body);
            for &Flow { holder, source } in &locals.uses.flows {
                self.add_flow(body, holder, source);
            }
        }
        self.solve();
    }

    /// Makes room for the locals of every body at every place that it is lowered for.
    fn reach_bodies(&mut self) -> Vec<BodyId> {
        let mut waiting = Vec::new();
        for (probe, derived) in self.declarations.probes.iter().enumerate() {
            let count = if self.is_by_place(probe) { derived.derivations.len() } else { 1 };
            let places = (0..count.min(derived.derivations.len())).map(|derivation| PlaceId { probe, derivation });
            waiting.extend(places.map(|place| BodyId { owner: Owner::Probe(probe), place: Some(place) }));
        }
        let mut reached = Vec::new();
        while let Some(body) = waiting.pop() {
            if self.pointers.bodies.contains_key(&body) {
                continue;
            }
            let locals = self.locals(body);
            let first = self.pointers.add(locals.names.len() + 1);
            self.pointers.bodies.insert(body, first);
            reached.push(body);
            waiting.extend(locals.uses.calls.iter().map(|&function| self.callee(function, body)));
        }
        reached
    }

    fn add_flow(&mut self, body: BodyId, holder: Holder, source: Source<'d>) {
        let mut from = Vec::new();
        match source {
            Source::Expression(expression) => self.sources(expression, body, &mut from),
            Source::Holder(holder) => from.extend(self.holder(holder, body)),
        }
        let Some(into) = self.holder(holder, body) else { return };
        let flow = self.pointers.flows.len();
        self.pointers.flows.push(BodyFlow { body, into, source });
        from.into_iter().for_each(|source| self.pointers.dependents[source].push(flow));
    }

    fn solve(&mut self) {
        let mut queue: VecDeque<usize> = (0..self.pointers.flows.len()).collect();
        while let Some(flow) = queue.pop_front() {
            let BodyFlow { body, into, source } = self.pointers.flows[flow];
            let new = match source {
                Source::Expression(expression) => self.pointer_of(expression, At { body, entry: false }),
                Source::Holder(holder) => self.known(holder, body),
            };
            let joined = self.join(self.pointers.known[into], new);
            if joined != self.pointers.known[into] {
                self.pointers.known[into] = joined;
                queue.extend(&self.pointers.dependents[into]);
            }
        }
    }

    fn join(&self, a: Known, b: Known) -> Known {
        match (a, b) {
            (Known::Nothing, other) | (other, Known::Nothing) => other,
            (Known::One(a), Known::One(b)) if self.is_same(a, b) => Known::One(a),
            (Known::One(a), Known::One(b)) => Known::Conflict(a, b),
            (conflict @ Known::Conflict(..), _) | (_, conflict) => conflict,
        }
    }

    /// Every unit of a debug file has types of its own, which are the same where they are spelled the same.
    fn is_same(&self, a: Pointer, b: Pointer) -> bool {
        let name = |pointer: Pointer| self.resolver.file(pointer.file).type_name(pointer.type_id).ok();
        a == b || (a.file == b.file && a.space == b.space && name(a).is_some_and(|a| name(b) == Some(a)))
    }

    /// What an expression points to.
    pub(super) fn pointer_of(&mut self, expression: &'d Expression, at: At) -> Known {
        match &expression.kind {
            Tree::Name(name) => self.known_by_name(name, at.body),
            Tree::Index { base, .. } => match &base.kind {
                Tree::Name(name) if self.is_array(name, at.body) => self.known_by_name(name, at.body),
                _ => self.target_pointer(expression, at),
            },
            Tree::Call { function, arguments } => {
                let Some(Callee::Functions(functions)) = self.declarations.callee(&function.text, arguments.len())
                else {
                    return Known::Nothing;
                };
                functions.iter().fold(Known::Nothing, |known, &function| {
                    let result = self.known(Holder::Result, self.callee(function, at.body));
                    self.join(known, result)
                })
            }
            Tree::Ternary(_, a, b) => {
                let (a, b) = (self.pointer_of(a, at), self.pointer_of(b, at));
                self.join(a, b)
            }
            Tree::Assign { op: Assign::Set, value, .. } => self.pointer_of(value, at),
            Tree::Entry(inner) => self.pointer_of(inner, At { entry: true, ..at }),
            Tree::Target(_)
            | Tree::AtVar { .. }
            | Tree::Cast { .. }
            | Tree::Member { .. }
            | Tree::Element { .. }
            | Tree::AddressOf(_) => self.target_pointer(expression, at),
            _ => Known::Nothing,
        }
    }

    fn target_pointer(&mut self, expression: &'d Expression, at: At) -> Known {
        let found = match &expression.kind {
            Tree::AddressOf(inner) => self.find(inner, at).and_then(|target| self.address_of(&target, inner.span)),
            _ => self.find(expression, at),
        };
        // What is wrong with it is said where it is lowered.
        found.ok().and_then(|target| self.pointer_type(&target)).map_or(Known::Nothing, Known::One)
    }

    /// The holders that [`Unit::pointer_of`] looks at.
    fn sources(&self, expression: &Expression, body: BodyId, out: &mut Vec<usize>) {
        match &expression.kind {
            Tree::Name(name) => out.extend(self.holder_by_name(name, body)),
            Tree::Call { function, arguments } => {
                if let Some(Callee::Functions(functions)) = self.declarations.callee(&function.text, arguments.len()) {
                    let results = functions.iter().map(|&function| self.callee(function, body));
                    out.extend(results.filter_map(|callee| self.holder(Holder::Result, callee)));
                }
            }
            Tree::Ternary(_, a, b) => {
                self.sources(a, body, out);
                self.sources(b, body, out);
            }
            Tree::Assign { op: Assign::Set, value: inner, .. }
            | Tree::Index { base: inner, .. }
            | Tree::Member { base: inner, .. }
            | Tree::Element { base: inner, .. }
            | Tree::AddressOf(inner)
            | Tree::Entry(inner) => self.sources(inner, body, out),
            _ => {}
        }
    }

    /// Whether a name is that of an array.
    pub(super) fn is_array(&self, name: &str, body: BodyId) -> bool {
        self.locals(body).index(name).is_none()
            && self.declarations.global(name).is_some_and(|global| self.declarations.globals[global].key_count > 0)
    }

    fn known_by_name(&self, name: &str, body: BodyId) -> Known {
        self.holder_by_name(name, body).map_or(Known::Nothing, |holder| self.pointers.known[holder])
    }

    fn known(&self, holder: Holder, body: BodyId) -> Known {
        self.holder(holder, body).map_or(Known::Nothing, |holder| self.pointers.known[holder])
    }

    fn holder_by_name(&self, name: &str, body: BodyId) -> Option<usize> {
        match self.locals(body).index(name) {
            Some(local) => self.holder(Holder::Local(local), body),
            None => self.holder(Holder::Global(self.declarations.global(name)?), body),
        }
    }

    fn holder(&self, holder: Holder, body: BodyId) -> Option<usize> {
        let first = |body| self.pointers.bodies.get(&body).copied();
        match holder {
            Holder::Local(local) => Some(first(body)? + local),
            Holder::Result => Some(first(body)? + self.locals(body).names.len()),
            Holder::Parameter(function, index) => Some(first(self.callee(function, body))? + index),
            Holder::Global(global) => self.pointers.globals.get(global).copied(),
            Holder::Key(global, index) => Some(self.pointers.globals.get(global)? + 1 + index),
        }
    }
}

impl Pointers<'_> {
    /// Makes room for holders; the first of them.
    fn add(&mut self, count: usize) -> usize {
        let first = self.known.len();
        self.known.resize(first + count, Known::Nothing);
        self.dependents.resize(first + count, Vec::new());
        first
    }
}
