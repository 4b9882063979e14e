//! Finds the type of every variable, key, parameter and result, by unification over the whole script, and what the script
//! asks of each statistic.
//!
//! Each of them has a slot; what is done with it makes slots equal to each other, or to long, string or statistic. Two types
//! for one slot are an error that shows both places. A slot that nothing decides is a long. It must not know probe points or
//! debuginfo: what a target variable is in C is `pointer`'s business.

use std::collections::{BTreeMap, BTreeSet};

use shared::diagnostic::{Diagnostic, Span};

use super::Log;
use super::declarations::Declarations;
use crate::ast::{Expression, Literal, LiteralValue, Parameter, TypeName};
use crate::program::{Statistic, Type};

mod statistic;
mod walk;

/// The types of a script.
pub(super) struct Types<'d> {
    pub(super) globals: Vec<GlobalSlots>,
    pub(super) functions: Vec<FunctionSlots<'d>>,
    pub(super) probes: Vec<Locals<'d>>,
    slots: Vec<SlotState>,
}

/// Something that has a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(usize);

pub(super) struct GlobalSlots {
    pub(super) keys: Vec<Slot>,
    pub(super) value: Slot,
    /// What is asked of it, where it is a statistic.
    pub(super) statistic: Statistic,
    /// Where its variance is asked for first.
    variance: Option<Span>,
    /// Whether a `foreach` sorts by the value.
    sorted: bool,
}

pub(super) struct FunctionSlots<'d> {
    parameters: Vec<Slot>,
    /// The parameters are the first.
    pub(super) locals: Locals<'d>,
    pub(super) result: Option<Slot>,
}

/// The local variables of a body, in the order they are met, and what the body does with them.
#[derive(Default)]
pub(super) struct Locals<'d> {
    pub(super) names: Vec<(&'d str, Slot)>,
    pub(super) uses: Uses<'d>,
    indices: BTreeMap<&'d str, usize>,
    /// Those that a `foreach` binds to the values of an array, which may be statistics, and the globals that these are.
    bound: BTreeMap<usize, BTreeSet<usize>>,
}

/// What a body does, as far as it matters outside of it.
#[derive(Default)]
pub(super) struct Uses<'d> {
    /// Whether it may mean something else at each place of a probe: it reads target variables or registers.
    pub(super) by_place: bool,
    /// Whether it steps on from values of the script: `->`, `[]` or a `$` behind one.
    pub(super) steps: bool,
    /// The functions it calls.
    pub(super) calls: BTreeSet<usize>,
    /// Which values go where.
    pub(super) flows: Vec<Flow<'d>>,
}

/// A value goes somewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow<'d> {
    pub(super) holder: Holder,
    pub(super) source: Source<'d>,
}

/// What holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A local of the body, by its index.
    Local(usize),
    /// What the body returns.
    Result,
    /// A parameter of a function.
    Parameter(usize, usize),
    /// A global, or all entries of an array.
    Global(usize),
    /// A key of an array, by its index.
    Key(usize, usize),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'d> {
    Expression(&'d Expression),
    Holder(Holder),
}

struct SlotState {
    parent: Slot,
    /// At a root: how many slots are one with it.
    count: u32,
    /// At a root: the type, where it is known, and what says so.
    ty: Option<(Type, Option<Span>)>,
}

const LONG: Slot = Slot(0);
const STRING: Slot = Slot(1);
const STATISTIC: Slot = Slot(2);

/// Infers all types.
pub(super) fn infer<'d>(declarations: &'d Declarations<'d>, log: &mut Log) -> Types<'d> {
    let mut types = Types { globals: Vec::new(), functions: Vec::new(), probes: Vec::new(), slots: Vec::new() };
    for ty in [Type::Long, Type::String, Type::Statistic] {
        let slot = types.new_slot();
        types.slots[slot.0].ty = Some((ty, None));
    }
    types.declare(declarations, log);
    for (index, function) in declarations.functions.iter().enumerate() {
        types.functions[index].locals = walk::function(&mut types, declarations, log, index, function);
    }
    for probe in &declarations.probes {
        let locals = walk::handler(&mut types, declarations, log, &probe.body);
        types.probes.push(locals);
    }
    types.finish_statistics();
    types
}

impl<'d> Locals<'d> {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// The arrays whose values a `foreach` binds to a local.
    fn bound(&self, local: usize) -> Vec<usize> {
        self.bound.get(&local).into_iter().flatten().copied().collect()
    }

    /// A `foreach` binds a local to the values of an array, which may be statistics.
    fn bind(&mut self, name: &str, array: usize) {
        if let Some(local) = self.index(name) {
            self.bound.entry(local).or_default().insert(array);
        }
    }

    fn add(&mut self, name: &'d str, slot: Slot) {
        self.indices.insert(name, self.names.len());
        self.names.push((name, slot));
    }
}

impl<'d> Types<'d> {
    /// The type of a slot, once everything is inferred.
    pub(super) fn of(&self, slot: Slot) -> Type {
        let mut slot = slot;
        while self.slots[slot.0].parent != slot {
            slot = self.slots[slot.0].parent;
        }
        self.slots[slot.0].ty.map_or(Type::Long, |(ty, _)| ty)
    }

    fn new_slot(&mut self) -> Slot {
        let slot = Slot(self.slots.len());
        self.slots.push(SlotState { parent: slot, count: 1, ty: None });
        slot
    }

    /// A slot that an annotation decides.
    fn annotated(&mut self, ty: TypeName, span: Span) -> Slot {
        let slot = self.new_slot();
        let ty = match ty {
            TypeName::Long => Type::Long,
            TypeName::String => Type::String,
        };
        self.slots[slot.0].ty = Some((ty, Some(span)));
        slot
    }

    fn declare(&mut self, declarations: &'d Declarations<'d>, log: &mut Log) {
        for global in &declarations.globals {
            let value = self.new_slot();
            let keys = (0..global.key_count).map(|_| self.new_slot()).collect();
            if let Some(initial) = &global.declaration.initial {
                self.unify(value, literal_slot(initial), initial.span, log);
            }
            let statistic = Statistic::default();
            self.globals.push(GlobalSlots { keys, value, statistic, variance: None, sorted: false });
        }
        for function in &declarations.functions {
            let mut locals = Locals::default();
            let mut parameters = Vec::new();
            for Parameter { name, ty } in &function.parameters {
                let slot = match ty {
                    Some(ty) => self.annotated(*ty, name.span),
                    None => self.new_slot(),
                };
                parameters.push(slot);
                locals.add(&name.text, slot);
            }
            let result = match function.result {
                Some(ty) => Some(self.annotated(ty, function.name.span)),
                None => walk::returns_value(&function.body.statements).then(|| self.new_slot()),
            };
            self.functions.push(FunctionSlots { parameters, locals, result });
        }
    }

    /// The slot that stands for all that are one with this. Halves the way there.
    fn root(&mut self, mut slot: Slot) -> Slot {
        while self.slots[slot.0].parent != slot {
            let above = self.slots[self.slots[slot.0].parent.0].parent;
            self.slots[slot.0].parent = above;
            slot = above;
        }
        slot
    }

    /// Makes two slots one; `span` is where the script says so.
    fn unify(&mut self, a: Slot, b: Slot, span: Span, log: &mut Log) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        // The constants stay alone, so that each variable keeps the place in the script that decided it.
        let is_constant = |slot| slot == LONG || slot == STRING || slot == STATISTIC;
        match (self.slots[a.0].ty, self.slots[b.0].ty) {
            (Some((type_a, span_a)), Some((type_b, span_b))) if type_a != type_b => {
                log.report(mismatch(span, [(type_a, span_a), (type_b, span_b)]));
            }
            (Some((ty, _)), None) if is_constant(a) => self.slots[b.0].ty = Some((ty, Some(span))),
            (None, Some((ty, _))) if is_constant(b) => self.slots[a.0].ty = Some((ty, Some(span))),
            _ if is_constant(a) || is_constant(b) => {}
            (type_a, type_b) => {
                let (under, root) = if self.slots[a.0].count > self.slots[b.0].count { (b, a) } else { (a, b) };
                self.slots[under.0].parent = root;
                self.slots[root.0].count += self.slots[under.0].count;
                self.slots[root.0].ty = type_a.or(type_b);
            }
        }
    }
}

fn mismatch(span: Span, types: [(Type, Option<Span>); 2]) -> Diagnostic {
    let [(a, _), (b, _)] = types;
    let message = format!("type mismatch: {} and {}", a.name(), b.name());
    let mut diagnostic = Diagnostic::error("elaborate/type-mismatch", span, message);
    for (ty, known) in types {
        if let Some(known) = known.filter(|&known| known != span) {
            diagnostic = diagnostic.also(known, format!("{} because of this", ty.name()));
        }
    }
    diagnostic
}

fn literal_slot(literal: &Literal) -> Slot {
    match literal.value {
        LiteralValue::Number(_) => LONG,
        LiteralValue::String(_) => STRING,
    }
}
