//! Names that are private to a file: each gets the name of its file behind it, which no other file can write, so that from
//! there on there is one space of names.

use std::collections::BTreeSet;

use crate::ast::{
    Block, Expression, ExpressionKind, FunctionDecl, Item, Name, Print, ProbePoint, Stapfile, Statement, StatementKind,
};

/// Between a private name and that of its file.
const SEPARATOR: char = '@';

/// A name as it was written.
pub(super) fn as_written(name: &str) -> &str {
    name.split(SEPARATOR).next().unwrap_or(name)
}

/// Gives every private name of a file its full form, where it is declared and where it is used.
pub(super) fn qualify(file: &mut Stapfile, file_name: &str) {
    let mut names = Names { globals: BTreeSet::new(), functions: BTreeSet::new(), file_name };
    for item in &file.items {
        match item {
            Item::Global(global) if global.private => _ = names.globals.insert(global.name.text.clone()),
            Item::Function(function) if function.private => _ = names.functions.insert(function.name.text.clone()),
            _ => {}
        }
    }
    if names.globals.is_empty() && names.functions.is_empty() {
        return;
    }
    for item in &mut file.items {
        match item {
            Item::Global(global) => names.global(&mut global.name),
            Item::Function(function) => names.function(function),
            Item::Probe(probe) => {
                names.points(&mut probe.points);
                names.block(&mut probe.body);
            }
            Item::Alias(alias) => {
                names.points(&mut alias.points);
                names.block(&mut alias.body);
                alias.epilogue.iter_mut().for_each(|epilogue| names.block(epilogue));
            }
        }
    }
}

struct Names<'a> {
    globals: BTreeSet<String>,
    functions: BTreeSet<String>,
    file_name: &'a str,
}

impl Names<'_> {
    fn text(&self, text: &mut String, private: &BTreeSet<String>) {
        if private.contains(text) {
            text.push(SEPARATOR);
            text.push_str(self.file_name);
        }
    }

    fn global(&self, name: &mut Name) {
        self.text(&mut name.text, &self.globals);
    }

    /// The parameters of a function hide globals of their names.
    fn function(&mut self, function: &mut FunctionDecl) {
        self.text(&mut function.name.text, &self.functions);
        let hidden = |parameter: &crate::ast::Parameter| self.globals.take(&parameter.name.text);
        let hidden: Vec<String> = function.parameters.iter().filter_map(hidden).collect();
        self.block(&mut function.body);
        self.globals.extend(hidden);
    }

    fn points(&self, points: &mut [ProbePoint]) {
        points.iter_mut().filter_map(|point| point.condition.as_mut()).for_each(|condition| self.expression(condition));
    }

    fn block(&self, block: &mut Block) {
        block.statements.iter_mut().for_each(|statement| self.statement(statement));
    }

    fn statement(&self, statement: &mut Statement) {
        match &mut statement.kind {
            StatementKind::Empty | StatementKind::Break | StatementKind::Continue | StatementKind::Next => {}
            StatementKind::Block(block) => self.block(block),
            StatementKind::Expression(expression) | StatementKind::Delete(expression) => self.expression(expression),
            StatementKind::If { condition, then, otherwise } => {
                self.expression(condition);
                self.statement(then);
                otherwise.iter_mut().for_each(|otherwise| self.statement(otherwise));
            }
            StatementKind::While { condition, body } => {
                self.expression(condition);
                self.statement(body);
            }
            StatementKind::For { init, condition, step, body } => {
                let parts = [init, condition, step].into_iter().flatten();
                parts.for_each(|expression| self.expression(expression));
                self.statement(body);
            }
            StatementKind::Foreach(foreach) => {
                foreach.value.iter_mut().chain(&mut foreach.keys).for_each(|name| self.global(name));
                self.expression(&mut foreach.over);
                let selected = foreach.slice.iter_mut().flatten().chain(&mut foreach.limit);
                selected.for_each(|expression| self.expression(expression));
                self.statement(&mut foreach.body);
            }
            StatementKind::Return(value) => value.iter_mut().for_each(|value| self.expression(value)),
            StatementKind::Try { body, message, handler } => {
                self.block(body);
                message.iter_mut().for_each(|name| self.global(name));
                self.block(handler);
            }
        }
    }

    fn expression(&self, expression: &mut Expression) {
        match &mut expression.kind {
            ExpressionKind::Literal(_)
            | ExpressionKind::Target(_)
            | ExpressionKind::AtVar { .. }
            | ExpressionKind::Perf(_)
            | ExpressionKind::Const(_)
            | ExpressionKind::Enum(..)
            | ExpressionKind::Register { .. } => {}
            ExpressionKind::Name(name) => self.text(name, &self.globals),
            ExpressionKind::ProbeWrite(name) => self.global(name),
            ExpressionKind::Index { base, keys } => {
                self.expression(base);
                keys.iter_mut().flatten().for_each(|key| self.expression(key));
            }
            ExpressionKind::In { keys, array } => {
                self.global(array);
                keys.iter_mut().flatten().for_each(|key| self.expression(key));
            }
            ExpressionKind::Call { function, arguments } => {
                self.text(&mut function.text, &self.functions);
                arguments.iter_mut().for_each(|argument| self.expression(argument));
            }
            ExpressionKind::Print(Print { arguments, .. }) => {
                arguments.iter_mut().for_each(|argument| self.expression(argument));
            }
            ExpressionKind::Unary(_, inner)
            | ExpressionKind::Step { target: inner, .. }
            | ExpressionKind::Match { subject: inner, .. }
            | ExpressionKind::Cast { operand: inner, .. }
            | ExpressionKind::Member { base: inner, .. }
            | ExpressionKind::Pretty { base: inner, .. }
            | ExpressionKind::AddressOf(inner)
            | ExpressionKind::Defined(inner)
            | ExpressionKind::Entry(inner)
            | ExpressionKind::EnumName(inner, ..)
            | ExpressionKind::Deref { address: inner, .. }
            | ExpressionKind::Aggregate { statistic: inner, .. }
            | ExpressionKind::Histogram { statistic: inner, .. } => self.expression(inner),
            ExpressionKind::Binary(_, a, b)
            | ExpressionKind::Assign { target: a, value: b, .. }
            | ExpressionKind::Element { base: a, index: b } => {
                self.expression(a);
                self.expression(b);
            }
            ExpressionKind::Ternary(a, b, c) => [a, b, c].into_iter().for_each(|inner| self.expression(inner)),
        }
    }
}
