//! One body after the other: what is done with variables makes their slots equal.

use shared::abi::format::ArgumentKind;
use shared::diagnostic::{Diagnostic, Span};

use super::{Flow, Holder, LONG, Locals, STATISTIC, STRING, Slot, Source, Types};
use crate::ast::{
    Assign, Binary, Block, Expression, ExpressionKind, Foreach, FunctionDecl, Literal, LiteralValue, Name, Print,
    PrintForm, SortBy, Statement, StatementKind, Unary,
};
use crate::elaborate::declarations::{Callee, Declarations};
use crate::elaborate::format::{Argument, ScriptFormat};
use crate::elaborate::{Log, within};
use crate::program::Type;

/// Walks through a function; its locals.
pub(super) fn function<'d>(
    types: &mut Types<'d>,
    declarations: &'d Declarations<'d>,
    log: &mut Log,
    index: usize,
    function: &'d FunctionDecl,
) -> Locals<'d> {
    let slots = &mut types.functions[index];
    let (locals, result) = (std::mem::take(&mut slots.locals), slots.result);
    let mut walk = Walk { types, declarations, log, locals, result };
    walk.block(&function.body);
    walk.locals
}

/// Walks through a handler; its locals.
pub(super) fn handler<'d>(
    types: &mut Types<'d>,
    declarations: &'d Declarations<'d>,
    log: &mut Log,
    body: &'d Block,
) -> Locals<'d> {
    let mut walk = Walk { types, declarations, log, locals: Locals::default(), result: None };
    walk.block(body);
    walk.locals
}

/// Whether a `return` with a value is among the statements.
pub(super) fn returns_value(statements: &[Statement]) -> bool {
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
pub(super) struct Walk<'w, 'd> {
    pub(super) types: &'w mut Types<'d>,
    pub(super) declarations: &'d Declarations<'d>,
    pub(super) log: &'w mut Log,
    pub(super) locals: Locals<'d>,
    result: Option<Slot>,
}

impl<'d> Walk<'_, 'd> {
    fn block(&mut self, block: &'d Block) {
        block.statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &'d Statement) {
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
                    self.flow(Holder::Result, Source::Expression(value));
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

    fn delete(&mut self, expression: &'d Expression) {
        // The name of a whole array is no expression.
        if !matches!(expression.kind, ExpressionKind::Name(_)) {
            self.expression(expression);
        }
    }

    fn foreach(&mut self, foreach: &'d Foreach) {
        match &foreach.over.kind {
            ExpressionKind::Name(name) => {
                if let Some(array) = self.declarations.global(name) {
                    self.foreach_entry(foreach, array);
                }
            }
            _ => {
                self.expression(&foreach.over);
                for name in foreach.keys.iter().chain(&foreach.value) {
                    let slot = self.variable(&name.text);
                    self.types.unify(slot, LONG, name.span, self.log);
                }
            }
        }
        foreach.limit.iter().for_each(|limit| self.is(limit, LONG));
        self.statement(&foreach.body);
    }

    fn foreach_entry(&mut self, foreach: &'d Foreach, array: usize) {
        self.selectors(array, &foreach.slice);
        for (index, key) in foreach.keys.iter().enumerate() {
            let slot = self.variable(&key.text);
            if let Some(&key_slot) = self.types.globals[array].keys.get(index) {
                self.types.unify(slot, key_slot, key.span, self.log);
                self.flow_to(&key.text, Source::Holder(Holder::Key(array, index)));
            }
        }
        match foreach.sort.map(|sort| sort.by) {
            Some(SortBy::Aggregate(aggregate)) => self.sort_aggregate(array, aggregate, foreach.over.span),
            Some(SortBy::Value) => self.types.globals[array].sorted = true,
            Some(SortBy::Key(_)) | None => {}
        }
        if let Some(value) = &foreach.value {
            let slot = self.variable(&value.text);
            let value_slot = self.types.globals[array].value;
            self.types.unify(slot, value_slot, value.span, self.log);
            self.locals.bind(&value.text, array);
            self.flow_to(&value.text, Source::Holder(Holder::Global(array)));
        }
    }

    /// The slot of a variable: a global's, or a local's, which begins to exist when it is first named.
    fn variable(&mut self, name: &'d str) -> Slot {
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

    /// Notes that a value goes to a variable, or to an entry of an array.
    fn flow_to(&mut self, name: &'d str, source: Source<'d>) {
        let holder = match self.locals.index(name) {
            Some(local) => Some(Holder::Local(local)),
            None => self.declarations.global(name).map(Holder::Global),
        };
        holder.into_iter().for_each(|holder| self.flow(holder, source));
    }

    fn flow(&mut self, holder: Holder, source: Source<'d>) {
        self.locals.uses.flows.push(Flow { holder, source });
    }

    /// Notes what of a body can differ from place to place, and where it steps on from values of the script.
    fn note_uses(&mut self, kind: &ExpressionKind) {
        let uses = &mut self.locals.uses;
        match kind {
            ExpressionKind::Target(_)
            | ExpressionKind::AtVar { .. }
            | ExpressionKind::Cast { .. }
            | ExpressionKind::Entry(_)
            | ExpressionKind::Enum(..)
            | ExpressionKind::EnumName(..)
            | ExpressionKind::Register { .. }
            | ExpressionKind::Perf(_) => uses.by_place = true,
            ExpressionKind::Member { base, .. }
            | ExpressionKind::Element { base, .. }
            | ExpressionKind::Pretty { base, .. } => {
                uses.steps |= !matches!(
                    base.kind,
                    ExpressionKind::Target(_)
                        | ExpressionKind::AtVar { .. }
                        | ExpressionKind::Cast { .. }
                        | ExpressionKind::Member { .. }
                        | ExpressionKind::Element { .. }
                );
            }
            _ => {}
        }
    }

    /// Says that an expression has the type of a slot.
    pub(super) fn is(&mut self, expression: &'d Expression, slot: Slot) {
        let found = self.expression(expression);
        self.types.unify(slot, found, expression.span, self.log);
    }

    fn are_long(&mut self, expressions: &[&'d Expression]) -> Slot {
        expressions.iter().for_each(|expression| self.is(expression, LONG));
        LONG
    }

    /// `x[k]`: the value of an array's entry, or a step from a pointer that a variable holds.
    fn index(&mut self, name: &'d str, keys: &'d [Option<Expression>], span: Span) -> Slot {
        let array = self.declarations.global(name).filter(|_| self.locals.index(name).is_none());
        if let Some(array) = array {
            self.selectors(array, keys);
            return self.types.globals[array].value;
        }
        let slot = self.variable(name);
        self.types.unify(slot, LONG, span, self.log);
        self.locals.uses.steps = true;
        keys.iter().flatten().for_each(|key| self.is(key, LONG));
        LONG
    }

    fn selectors(&mut self, array: usize, selectors: &'d [Option<Expression>]) {
        for (index, key) in selectors.iter().enumerate() {
            let slot = self.types.globals[array].keys.get(index).copied();
            if let (Some(key), Some(slot)) = (key, slot) {
                self.is(key, slot);
                self.flow(Holder::Key(array, index), Source::Expression(key));
            }
        }
    }

    fn expression(&mut self, expression: &'d Expression) -> Slot {
        self.note_uses(&expression.kind);
        match &expression.kind {
            ExpressionKind::Literal(LiteralValue::Number(_)) => LONG,
            ExpressionKind::Literal(LiteralValue::String(_)) => STRING,
            ExpressionKind::Name(name) => self.variable(name),
            ExpressionKind::Index { base, keys } => match &base.kind {
                ExpressionKind::Name(name) => self.index(name, keys, base.span),
                _ => {
                    self.expression(base);
                    keys.iter().flatten().for_each(|key| self.is(key, LONG));
                    LONG
                }
            },
            ExpressionKind::In { keys, array } => {
                if let Some(array) = self.declarations.global(&array.text) {
                    self.selectors(array, keys);
                }
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
            // Of `$$vars$`, both are text.
            ExpressionKind::Pretty { base: inner, .. } => {
                self.expression(inner);
                STRING
            }
            ExpressionKind::EnumName(inner, ..) => {
                self.is(inner, LONG);
                STRING
            }
            ExpressionKind::Target(name) if name.starts_with("$$") => STRING,
            ExpressionKind::Cast { operand: inner, .. }
            | ExpressionKind::Deref { address: inner, .. }
            | ExpressionKind::Member { base: inner, .. }
            | ExpressionKind::AddressOf(inner) => self.are_long(&[inner]),
            ExpressionKind::Element { base, index } => self.are_long(&[base, index]),
            ExpressionKind::Aggregate { aggregate, statistic, shift } => {
                self.aggregate(*aggregate, statistic, *shift);
                LONG
            }
            ExpressionKind::Histogram { histogram, statistic } => {
                self.histogram(*histogram, statistic, expression.span);
                LONG
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
            | ExpressionKind::Register { .. } => LONG,
        }
    }

    fn call(&mut self, function: &'d Name, arguments: &'d [Expression]) -> Slot {
        let span = function.span;
        match self.declarations.callee(&function.text, arguments.len()) {
            Some(Callee::Functions(overloads)) => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| (self.expression(argument), argument)).collect();
                overloads.iter().for_each(|&index| self.overload(index, &arguments));
                self.locals.uses.calls.extend(overloads);
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
    fn overload(&mut self, index: usize, arguments: &[(Slot, &'d Expression)]) {
        for (position, &(slot, argument)) in arguments.iter().enumerate() {
            if let Some(&parameter) = self.types.functions[index].parameters.get(position) {
                self.types.unify(parameter, slot, argument.span, self.log);
                self.flow(Holder::Parameter(index, position), Source::Expression(argument));
            }
        }
    }

    fn binary(&mut self, op: Binary, a: &'d Expression, b: &'d Expression) -> Slot {
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

    fn assign(&mut self, op: Assign, target: &'d Expression, value: &'d Expression) -> Slot {
        match op {
            Assign::Set => {
                let slot = self.expression(target);
                self.is(value, slot);
                match &target.kind {
                    ExpressionKind::Name(name) => self.flow_to(name, Source::Expression(value)),
                    ExpressionKind::Index { base, .. } => {
                        if let ExpressionKind::Name(name) = &base.kind {
                            self.flow_to(name, Source::Expression(value));
                        }
                    }
                    _ => {}
                }
                slot
            }
            Assign::With(Binary::Concat) => {
                self.is(target, STRING);
                self.is(value, STRING);
                STRING
            }
            Assign::With(_) => self.are_long(&[target, value]),
            Assign::Accumulate => {
                self.is(target, STATISTIC);
                self.are_long(&[value])
            }
        }
    }

    fn print(&mut self, print: &'d Print, span: Span) -> Slot {
        if let PrintForm::Format(format) = &print.form {
            self.printf(format, &print.arguments, span);
        } else {
            print.arguments.iter().for_each(|argument| {
                self.expression(argument);
            });
        }
        if print.to_string { STRING } else { LONG }
    }

    fn printf(&mut self, literal: &Literal, arguments: &'d [Expression], span: Span) {
        let LiteralValue::String(text) = &literal.value else { return };
        let taken = match ScriptFormat::read(text) {
            Ok(format) => format.arguments,
            Err(error) => {
                let span = within(literal.span, text.len(), error.offset);
                self.log.report(Diagnostic::error("elaborate/format", span, error.to_string()));
                return;
            }
        };
        if taken.len() != arguments.len() {
            let message = format!("the format takes {} arguments, {} are given", taken.len(), arguments.len());
            self.log.report(Diagnostic::error("elaborate/format-arguments", span, message));
        }
        for (argument, taken) in arguments.iter().zip(taken) {
            self.is(argument, if taken == Argument::Same(ArgumentKind::String) { STRING } else { LONG });
        }
    }
}
