//! Bodies: each statement and expression of the tree becomes one of the program, with its type known and its names resolved.
//! What is wrong is reported where it stands, and something harmless takes its place.

use std::collections::BTreeMap;

use shared::abi::value::Datum;
use shared::diagnostic::{Diagnostic, Span};
use shared::limits::{MAP_ENTRIES_MAX, SCRIPT_NESTING_MAX};

use super::Log;
use super::declarations::Declarations;
use super::infer::{Slot, Types};
use super::unit::{At, BodyId, Owner, PlaceId, Unit};
use crate::ast::{self, Block, Literal, LiteralValue};
use crate::program::{
    Body, Content, Expression, ExpressionKind, Function, FunctionId, Global, Local, LocalId, Storage, Type,
};

mod statement;

mod expression;
mod operator;
mod print;
mod variable;

/// The globals, with what they start as.
pub(super) fn globals(declarations: &Declarations<'_>, types: &Types<'_>, log: &mut Log) -> Vec<Global> {
    let mut globals = Vec::new();
    for (global, slots) in declarations.globals.iter().zip(&types.globals) {
        let declaration = global.declaration;
        let span = declaration.name.span;
        let content = match types.of(slots.value) {
            Type::Statistic => Content::Statistic(slots.statistic.clone()),
            value => Content::Value(value),
        };
        let storage = if global.key_count > 0 || declaration.size.is_some() {
            if let Some(initial) = &declaration.initial {
                let message = format!("array `{}` cannot have an initial value", declaration.name.text);
                log.report(Diagnostic::error("elaborate/array-initial", initial.span, message));
            }
            // An array that is declared with a size but never used has one key of any type.
            let keys: Vec<Type> = slots.keys.iter().map(|&slot| key_type(types, slot, span, log)).collect();
            let keys = if keys.is_empty() { vec![Type::Long] } else { keys };
            Storage::Array {
                keys,
                content,
                entries_max: entries_max(declaration, declarations.tunables.map_entries, log),
                wrap: declaration.wrap,
            }
        } else {
            if declaration.wrap {
                let message =
                    format!("`{}` is no array: only an array can drop its oldest entries", declaration.name.text);
                log.report(Diagnostic::error("elaborate/wrap", span, message));
            }
            match content {
                Content::Statistic(statistic) => Storage::Statistic(statistic),
                Content::Value(ty) => Storage::Scalar(initial(declaration.initial.as_ref(), ty)),
            }
        };
        globals.push(Global { name: declaration.name.text.clone(), span, storage });
    }
    globals
}

fn initial(initial: Option<&Literal>, ty: Type) -> Datum {
    match initial.map(|initial| &initial.value) {
        Some(LiteralValue::Number(number)) => Datum::Long(*number),
        Some(LiteralValue::String(string)) => Datum::String(string.clone()),
        None if ty == Type::String => Datum::String(Default::default()),
        None => Datum::Long(0),
    }
}

fn key_type(types: &Types<'_>, slot: Slot, span: Span, log: &mut Log) -> Type {
    let ty = types.of(slot);
    if ty == Type::Statistic {
        log.report(Diagnostic::error("elaborate/type-mismatch", span, "a statistic cannot be a key"));
        return Type::Long;
    }
    ty
}

fn entries_max(declaration: &ast::GlobalDecl, default: u32, log: &mut Log) -> u32 {
    let Some(size) = &declaration.size else { return default };
    match size.value {
        LiteralValue::Number(number) if number > 0 && number <= i64::from(MAP_ENTRIES_MAX) => number as u32,
        _ => {
            let message = format!("the size of an array must be between 1 and {MAP_ENTRIES_MAX}");
            log.report(Diagnostic::error("elaborate/array-size", size.span, message));
            default
        }
    }
}

/// The functions of the program: those of the script that are the same everywhere, then what is made on the way.
#[derive(Default)]
pub(super) struct Functions {
    /// Nothing where a function is still being lowered.
    list: Vec<Option<Function>>,
    /// Those of the script.
    ids: BTreeMap<BodyId, FunctionId>,
    /// Bodies that are being lowered; those that were called meanwhile have an id.
    open: BTreeMap<BodyId, Option<FunctionId>>,
    by_name: BTreeMap<String, Vec<FunctionId>>,
}

/// How many functions of one name are compared with a new one: places are many, different bodies few.
const SHARED_FUNCTIONS_MAX: usize = 16;

impl Functions {
    /// A function that is made for a place; one that is there already where it is the same.
    pub(super) fn share(&mut self, function: Function) -> FunctionId {
        let known = self.by_name.get(&function.name).map_or(&[][..], Vec::as_slice);
        let mut latest = known.iter().rev().take(SHARED_FUNCTIONS_MAX);
        if let Some(&same) = latest.find(|id| self.list[id.0].as_ref() == Some(&function)) {
            return same;
        }
        let id = self.reserve();
        self.by_name.entry(function.name.clone()).or_default().push(id);
        self.list[id.0] = Some(function);
        id
    }

    fn reserve(&mut self) -> FunctionId {
        self.list.push(None);
        FunctionId(self.list.len() - 1)
    }

    fn finish(self) -> Vec<Function> {
        self.list.into_iter().flatten().collect()
    }
}

impl<'d> Unit<'_, 'd, '_> {
    /// Lowers the functions that are the same everywhere.
    pub(super) fn lower_functions(&mut self) {
        let indices = 0..self.declarations.functions.len();
        let plain: Vec<usize> = indices.filter(|&index| !self.is_function_by_place(index)).collect();
        for &function in &plain {
            let id = self.functions.reserve();
            self.functions.ids.insert(BodyId { owner: Owner::Function(function), place: None }, id);
        }
        for function in plain {
            let body = BodyId { owner: Owner::Function(function), place: None };
            let lowered = self.lower_function(function, body);
            let FunctionId(id) = self.functions.ids[&body];
            self.functions.list[id] = Some(lowered);
        }
    }

    /// The function that a body means by a function of the script; nothing where they call one another too deep.
    fn function(&mut self, function: usize, caller: BodyId) -> Option<FunctionId> {
        let body = self.callee(function, caller);
        if let Some(&id) = self.functions.ids.get(&body) {
            return Some(id);
        }
        if let Some(&id) = self.functions.open.get(&body) {
            // It calls itself: what it is going to be needs a name now.
            return Some(id.unwrap_or_else(|| {
                let id = self.functions.reserve();
                self.functions.open.insert(body, Some(id));
                id
            }));
        }
        if self.depth > SCRIPT_NESTING_MAX {
            let span = self.declarations.functions[function].name.span;
            let message = "functions that read target variables call one another too deep";
            self.log.report(Diagnostic::error("elaborate/functions-too-deep", span, message));
            return None;
        }
        self.functions.open.insert(body, None);
        let lowered = self.lower_function(function, body);
        let id = match self.functions.open.remove(&body).flatten() {
            Some(id) => {
                self.functions.list[id.0] = Some(lowered);
                id
            }
            None => self.functions.share(lowered),
        };
        self.functions.ids.insert(body, id);
        Some(id)
    }

    fn lower_function(&mut self, function: usize, body: BodyId) -> Function {
        let declaration = &self.declarations.functions[function];
        let result = self.types.functions[function].result.map_or(Type::Void, |slot| self.types.of(slot));
        let (name, parameter_count) = (declaration.name.text.clone(), declaration.parameters.len());
        let body = Lower::new(self, body).body(&declaration.body);
        Function { name, parameter_count, result, body }
    }

    /// The handler of a probe at one of its places.
    pub(super) fn handler(&mut self, probe: usize, derivation: usize) -> Body {
        let derivation = if self.is_by_place(probe) { derivation } else { 0 };
        let body = BodyId { owner: Owner::Probe(probe), place: Some(PlaceId { probe, derivation }) };
        let block = &self.declarations.probes[probe].body;
        Lower::new(self, body).body(block)
    }

    pub(super) fn finish(self) -> Vec<Function> {
        self.functions.finish()
    }
}

/// Lowers one body.
struct Lower<'l, 'u, 'd, 'e> {
    unit: &'l mut Unit<'u, 'd, 'e>,
    at: At,
    /// The script's, then those that are made on the way.
    locals: Vec<Local>,
    /// Locals that stand for an entry's statistic here.
    bound: Vec<LocalId>,
}

impl<'l, 'u, 'd, 'e> Lower<'l, 'u, 'd, 'e> {
    fn new(unit: &'l mut Unit<'u, 'd, 'e>, body: BodyId) -> Self {
        let names = &unit.locals(body).names;
        let local = |&(name, slot): &(&str, Slot)| Local { name: name.to_owned(), ty: unit.types.of(slot) };
        let locals = names.iter().map(local).collect();
        Self { unit, at: At { body, entry: false }, locals, bound: Vec::new() }
    }

    fn body(mut self, body: &'d Block) -> Body {
        let mut statements = Vec::new();
        self.block(body, &mut statements);
        Body { locals: self.locals, statements }
    }

    /// A local that the script does not name.
    fn new_local(&mut self, name: &str, ty: Type) -> LocalId {
        self.locals.push(Local { name: name.to_owned(), ty });
        LocalId(self.locals.len() - 1)
    }

    fn is_function(&self) -> bool {
        matches!(self.at.body.owner, Owner::Function(_))
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.unit.log.report(diagnostic);
    }

    fn error(&mut self, code: &str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }
}

fn long(long: i64, span: Span) -> Expression {
    Expression { kind: ExpressionKind::Long(long), ty: Type::Long, span }
}

/// 0 or the empty string.
fn zero(ty: Type, span: Span) -> Expression {
    match ty {
        Type::String => Expression { kind: ExpressionKind::String(Default::default()), ty, span },
        Type::Long | Type::Statistic | Type::Void => long(0, span),
    }
}

/// What is known of a condition before anything runs.
fn decided(condition: &Expression) -> Option<bool> {
    match condition.kind {
        ExpressionKind::Long(long) => Some(long != 0),
        _ => None,
    }
}
