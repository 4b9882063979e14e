//! Finds the type of every variable, key, parameter and result, by unification over the whole script.
//!
//! Each of them has a slot; what is done with it makes slots equal to each other, or to long or string. Two types for one slot
//! are an error that shows both places. A slot that nothing decides is a long.

use std::collections::BTreeMap;

use shared::abi::format::{ArgumentKind, Format};
use shared::diagnostic::{Diagnostic, Span};

use super::Log;
use super::declarations::{Callee, Declarations};
use crate::ast::{
    Assign, Binary, Block, Expression, ExpressionKind, Foreach, Literal, LiteralValue, Name, Parameter, Print,
    PrintForm, Statement, StatementKind, TypeName, Unary,
};
use crate::program::Type;

/// The types of a script.
pub(super) struct Types {
    pub(super) globals: Vec<GlobalSlots>,
    pub(super) functions: Vec<FunctionSlots>,
    pub(super) probes: Vec<Locals>,
    slots: Vec<SlotState>,
}

/// Something that has a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(usize);

pub(super) struct GlobalSlots {
    pub(super) keys: Vec<Slot>,
    pub(super) value: Slot,
}

pub(super) struct FunctionSlots {
    /// The parameters are the first.
    pub(super) locals: Locals,
    pub(super) result: Option<Slot>,
}

/// The local variables of a body, in the order they are met.
#[derive(Default)]
pub(super) struct Locals {
    pub(super) names: Vec<(String, Slot)>,
    indices: BTreeMap<String, usize>,
}

struct SlotState {
    parent: Slot,
    /// At a root: the type, where it is known, and what says so.
    ty: Option<(Type, Option<Span>)>,
}

const LONG: Slot = Slot(0);
const STRING: Slot = Slot(1);

/// Infers all types.
pub(super) fn infer(declarations: &Declarations<'_>, log: &mut Log) -> Types {
    let mut types = Types { globals: Vec::new(), functions: Vec::new(), probes: Vec::new(), slots: Vec::new() };
    types.new_known(Type::Long);
    types.new_known(Type::String);
    types.declare(declarations, log);
    for (index, function) in declarations.functions.iter().enumerate() {
        let slots = &mut types.functions[index];
        let (locals, result) = (std::mem::take(&mut slots.locals), slots.result);
        types.functions[index].locals =
            Walk { types: &mut types, declarations, log, locals, result }.body(&function.body);
    }
    for probe in &declarations.probes {
        let locals =
            Walk { types: &mut types, declarations, log, locals: Locals::default(), result: None }.body(&probe.body);
        types.probes.push(locals);
    }
    types
}

impl Locals {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    fn add(&mut self, name: &str, slot: Slot) {
        self.indices.insert(name.to_owned(), self.names.len());
        self.names.push((name.to_owned(), slot));
    }
}

impl Types {
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
        self.slots.push(SlotState { parent: slot, ty: None });
        slot
    }

    fn new_known(&mut self, ty: Type) {
        let slot = self.new_slot();
        self.slots[slot.0].ty = Some((ty, None));
    }

    fn declare(&mut self, declarations: &Declarations<'_>, log: &mut Log) {
        for global in &declarations.globals {
            let value = self.new_slot();
            let keys = (0..global.key_count).map(|_| self.new_slot()).collect();
            if let Some(initial) = &global.declaration.initial {
                self.unify(value, literal_slot(initial), initial.span, log);
            }
            self.globals.push(GlobalSlots { keys, value });
        }
        for function in &declarations.functions {
            let mut locals = Locals::default();
            for Parameter { name, ty } in &function.parameters {
                let slot = ty.map_or_else(|| self.new_slot(), named);
                locals.add(&name.text, slot);
            }
            let result = match function.result {
                Some(ty) => Some(named(ty)),
                None => returns_value(&function.body.statements).then(|| self.new_slot()),
            };
            self.functions.push(FunctionSlots { locals, result });
        }
    }

    fn root(&mut self, slot: Slot) -> Slot {
        let parent = self.slots[slot.0].parent;
        if parent == slot {
            return slot;
        }
        let root = self.root_of(parent);
        self.slots[slot.0].parent = root;
        root
    }

    fn root_of(&self, mut slot: Slot) -> Slot {
        while self.slots[slot.0].parent != slot {
            slot = self.slots[slot.0].parent;
        }
        slot
    }

    /// Makes two slots one; `span` is where the script says so.
    fn unify(&mut self, a: Slot, b: Slot, span: Span, log: &mut Log) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        match (self.slots[a.0].ty, self.slots[b.0].ty) {
            (Some((type_a, span_a)), Some((type_b, span_b))) if type_a != type_b => {
                let message = format!("type mismatch: {} and {}", type_a.name(), type_b.name());
                let mut diagnostic = Diagnostic::error("elaborate/type-mismatch", span, message);
                for (ty, known) in [(type_a, span_a), (type_b, span_b)] {
                    if let Some(known) = known.filter(|&known| known != span) {
                        diagnostic = diagnostic.also(known, format!("{} because of this", ty.name()));
                    }
                }
                log.report(diagnostic);
            }
            (Some(_), Some(_)) if a == LONG || a == STRING => self.slots[b.0].parent = a,
            (Some((ty, _)), None) => self.decide(b, a, ty, span),
            (None, Some((ty, _))) => self.decide(a, b, ty, span),
            _ => self.slots[a.0].parent = b,
        }
    }

    /// An undecided slot becomes one with a decided one. The constants stay alone, so that a place in the script is kept
    /// for each variable.
    fn decide(&mut self, undecided: Slot, decided: Slot, ty: Type, span: Span) {
        if decided == LONG || decided == STRING {
            self.slots[undecided.0].ty = Some((ty, Some(span)));
        } else {
            self.slots[undecided.0].parent = decided;
        }
    }
}

fn named(ty: TypeName) -> Slot {
    match ty {
        TypeName::Long => LONG,
        TypeName::String => STRING,
    }
}

fn literal_slot(literal: &Literal) -> Slot {
    match literal.value {
        LiteralValue::Number(_) => LONG,
        LiteralValue::String(_) => STRING,
    }
}

/// Whether a `return` with a value is among the statements.
fn returns_value(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match &statement.kind {
        StatementKind::Return(value) => value.is_some(),
        StatementKind::Block(block) => returns_value(&block.statements),
        StatementKind::If { then, otherwise, .. } => {
            returns_value(std::slice::from_ref(then))
                || otherwise.as_ref().is_some_and(|otherwise| returns_value(std::slice::from_ref(otherwise)))
        }
        StatementKind::While { body, .. } | StatementKind::For { body, .. } => {
            returns_value(std::slice::from_ref(body))
        }
        StatementKind::Foreach(foreach) => returns_value(std::slice::from_ref(&foreach.body)),
        StatementKind::Try { body, handler, .. } => {
            returns_value(&body.statements) || returns_value(&handler.statements)
        }
        _ => false,
    })
}

/// A walk through one body.
struct Walk<'w, 'a> {
    types: &'w mut Types,
    declarations: &'w Declarations<'a>,
    log: &'w mut Log,
    locals: Locals,
    result: Option<Slot>,
}

impl Walk<'_, '_> {
    fn body(mut self, body: &Block) -> Locals {
        self.block(body);
        self.locals
    }

    fn block(&mut self, block: &Block) {
        block.statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Empty | StatementKind::Break | StatementKind::Continue | StatementKind::Next => {}
            StatementKind::Block(block) => self.block(block),
            StatementKind::Expression(expression) => {
                self.expression(expression);
            }
            StatementKind::If { condition, then, otherwise } => {
                self.is(condition, LONG);
                self.statement(then);
                otherwise.iter().for_each(|otherwise| self.statement(otherwise));
            }
            StatementKind::While { condition, body } => {
                self.is(condition, LONG);
                self.statement(body);
            }
            StatementKind::For { init, condition, step, body } => {
                init.iter().chain(step).for_each(|expression| {
                    self.expression(expression);
                });
                condition.iter().for_each(|condition| self.is(condition, LONG));
                self.statement(body);
            }
            StatementKind::Foreach(foreach) => self.foreach(foreach),
            StatementKind::Return(Some(value)) => {
                let slot = self.expression(value);
                if let Some(result) = self.result {
                    self.types.unify(result, slot, value.span, self.log);
                }
            }
            StatementKind::Return(None) => {}
            StatementKind::Delete(expression) => self.delete(expression),
            StatementKind::Try { body, message, handler } => {
                self.block(body);
                if let Some(message) = message {
                    let slot = self.variable(&message.text);
                    self.types.unify(slot, STRING, message.span, self.log);
                }
                self.block(handler);
            }
        }
    }

    fn delete(&mut self, expression: &Expression) {
        // The name of a whole array is no expression.
        if !matches!(expression.kind, ExpressionKind::Name(_)) {
            self.expression(expression);
        }
    }

    fn foreach(&mut self, foreach: &Foreach) {
        if let ExpressionKind::Name(name) = &foreach.over.kind
            && let Some(array) = self.declarations.global(name)
        {
            for (index, key) in foreach.keys.iter().enumerate() {
                let slot = self.variable(&key.text);
                if let Some(&key_slot) = self.types.globals[array].keys.get(index) {
                    self.types.unify(slot, key_slot, key.span, self.log);
                }
            }
            if let Some(value) = &foreach.value {
                let slot = self.variable(&value.text);
                let value_slot = self.types.globals[array].value;
                self.types.unify(slot, value_slot, value.span, self.log);
            }
        }
        foreach.limit.iter().for_each(|limit| self.is(limit, LONG));
        self.statement(&foreach.body);
    }

    /// The slot of a variable: a global's, or a local's, which begins to exist when it is first named.
    fn variable(&mut self, name: &str) -> Slot {
        if let Some(index) = self.locals.index(name) {
            return self.locals.names[index].1;
        }
        if let Some(global) = self.declarations.global(name) {
            return self.types.globals[global].value;
        }
        let slot = self.types.new_slot();
        self.locals.add(name, slot);
        slot
    }

    /// Says that an expression has the type of a slot.
    fn is(&mut self, expression: &Expression, slot: Slot) {
        let found = self.expression(expression);
        self.types.unify(slot, found, expression.span, self.log);
    }

    fn are_long(&mut self, expressions: &[&Expression]) -> Slot {
        expressions.iter().for_each(|expression| self.is(expression, LONG));
        LONG
    }

    fn keys(&mut self, array: &str, keys: &[Option<Expression>]) -> Option<Slot> {
        let global = self.declarations.global(array)?;
        for (index, key) in keys.iter().enumerate() {
            let slot = self.types.globals[global].keys.get(index).copied();
            if let (Some(key), Some(slot)) = (key, slot) {
                self.is(key, slot);
            }
        }
        Some(self.types.globals[global].value)
    }

    fn expression(&mut self, expression: &Expression) -> Slot {
        match &expression.kind {
            ExpressionKind::Literal(LiteralValue::Number(_)) => LONG,
            ExpressionKind::Literal(LiteralValue::String(_)) => STRING,
            ExpressionKind::Name(name) => self.variable(name),
            ExpressionKind::Index { base, keys } => match &base.kind {
                ExpressionKind::Name(name) => self.keys(name, keys).unwrap_or(LONG),
                _ => LONG,
            },
            ExpressionKind::In { keys, array } => {
                self.keys(&array.text, keys);
                LONG
            }
            ExpressionKind::Call { function, arguments } => self.call(function, arguments),
            ExpressionKind::Unary(Unary::Negate | Unary::Plus | Unary::LogicalNot | Unary::Not, operand) => {
                self.are_long(&[operand])
            }
            ExpressionKind::Step { target, .. } => self.are_long(&[target]),
            ExpressionKind::Binary(op, a, b) => self.binary(*op, a, b),
            ExpressionKind::Ternary(condition, a, b) => {
                self.is(condition, LONG);
                let slot = self.expression(a);
                self.is(b, slot);
                slot
            }
            ExpressionKind::Assign { op, target, value } => self.assign(*op, target, value),
            ExpressionKind::Match { subject, .. } => {
                self.is(subject, STRING);
                LONG
            }
            ExpressionKind::Pretty { .. } | ExpressionKind::EnumName(..) => STRING,
            ExpressionKind::Target(name) if name.starts_with("$$") => STRING,
            ExpressionKind::Cast { operand: inner, .. } | ExpressionKind::Deref { address: inner, .. } => {
                self.are_long(&[inner])
            }
            ExpressionKind::Member { base: inner, .. }
            | ExpressionKind::AddressOf(inner)
            | ExpressionKind::Aggregate { statistic: inner, .. } => {
                self.expression(inner);
                LONG
            }
            ExpressionKind::Element { base, index } => {
                self.expression(base);
                self.are_long(&[index])
            }
            ExpressionKind::Entry(inner) => self.expression(inner),
            ExpressionKind::Print(print) => self.print(print, expression.span),
            ExpressionKind::Target(_)
            | ExpressionKind::AtVar { .. }
            | ExpressionKind::Defined(_)
            | ExpressionKind::ProbeWrite(_)
            | ExpressionKind::Perf(_)
            | ExpressionKind::Const(_)
            | ExpressionKind::Enum(..)
            | ExpressionKind::Register { .. }
            | ExpressionKind::Histogram { .. } => LONG,
        }
    }

    fn call(&mut self, function: &Name, arguments: &[Expression]) -> Slot {
        let span = function.span;
        match self.declarations.callee(&function.text, arguments.len()) {
            Some(Callee::Functions(overloads)) => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| (self.expression(argument), argument.span)).collect();
                overloads.iter().for_each(|&index| self.overload(index, &arguments));
                let mut results = overloads.iter().filter_map(|&index| self.types.functions[index].result);
                let result = results.next().unwrap_or(LONG);
                let others: Vec<Slot> = results.collect();
                others.into_iter().for_each(|other| self.types.unify(result, other, span, self.log));
                result
            }
            Some(Callee::Intrinsic(intrinsic)) => {
                for (argument, ty) in arguments.iter().zip(intrinsic.parameters) {
                    self.is(argument, if *ty == Type::String { STRING } else { LONG });
                }
                if intrinsic.result == Type::String { STRING } else { LONG }
            }
            None => {
                arguments.iter().for_each(|argument| {
                    self.expression(argument);
                });
                self.types.new_slot()
            }
        }
    }

    /// Says that a function is called with arguments of these types.
    fn overload(&mut self, index: usize, arguments: &[(Slot, Span)]) {
        for (position, &(argument, argument_span)) in arguments.iter().enumerate() {
            // A function that calls itself is being walked: its locals are ours.
            let slots = &self.types.functions[index].locals;
            let names = if slots.names.is_empty() { &self.locals.names } else { &slots.names };
            let slot = names[position].1;
            self.types.unify(slot, argument, argument_span, self.log);
        }
    }

    fn binary(&mut self, op: Binary, a: &Expression, b: &Expression) -> Slot {
        match op {
            Binary::Concat => {
                self.is(a, STRING);
                self.is(b, STRING);
                STRING
            }
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessEqual
            | Binary::Greater
            | Binary::GreaterEqual => {
                let slot = self.expression(a);
                self.is(b, slot);
                LONG
            }
            _ => self.are_long(&[a, b]),
        }
    }

    fn assign(&mut self, op: Assign, target: &Expression, value: &Expression) -> Slot {
        match op {
            Assign::Set => {
                let slot = self.expression(target);
                self.is(value, slot);
                slot
            }
            Assign::With(Binary::Concat) => {
                self.is(target, STRING);
                self.is(value, STRING);
                STRING
            }
            Assign::With(_) | Assign::Accumulate => self.are_long(&[target, value]),
        }
    }

    fn print(&mut self, print: &Print, span: Span) -> Slot {
        if let PrintForm::Format(format) = &print.form {
            self.printf(format, &print.arguments, span);
        } else {
            print.arguments.iter().for_each(|argument| {
                self.expression(argument);
            });
        }
        if print.to_string { STRING } else { LONG }
    }

    fn printf(&mut self, literal: &Literal, arguments: &[Expression], span: Span) {
        let LiteralValue::String(text) = &literal.value else { return };
        let format = match Format::parse(text) {
            Ok(format) => format,
            Err(error) => {
                self.log.report(Diagnostic::error("elaborate/format", literal.span, error.to_string()));
                return;
            }
        };
        let kinds = format.arguments();
        if kinds.len() != arguments.len() {
            let message = format!("the format takes {} arguments, {} are given", kinds.len(), arguments.len());
            self.log.report(Diagnostic::error("elaborate/format-arguments", span, message));
        }
        for (argument, kind) in arguments.iter().zip(kinds) {
            self.is(argument, if kind == ArgumentKind::String { STRING } else { LONG });
        }
    }
}
