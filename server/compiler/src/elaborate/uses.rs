//! Walks over a tree that look for one thing.

use shared::diagnostic::Span;

use crate::ast::{Block, Expression, ExpressionKind, Name, Print, Statement, StatementKind};

/// A statement or an expression, met on a walk.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Statement(&'a Statement),
    Expression(&'a Expression),
}

/// The calls in a body: the function's name and the number of arguments.
pub(super) fn calls(body: &Block) -> Vec<(&Name, usize)> {
    let mut found = Vec::new();
    visit_block(body, &mut |node| {
        if let Node::Expression(Expression { kind: ExpressionKind::Call { function, arguments }, .. }) = node {
            found.push((function, arguments.len()));
        }
    });
    found
}

/// The names in a body that are, or could be, those of variables: with each, where it stands.
pub(super) fn variables(body: &Block) -> Vec<(&str, Span)> {
    let mut found = Vec::new();
    visit_block(body, &mut |node| match node {
        Node::Expression(expression) => match &expression.kind {
            ExpressionKind::Name(name) => found.push((name.as_str(), expression.span)),
            ExpressionKind::In { array, .. } => found.push((array.text.as_str(), array.span)),
            _ => {}
        },
        Node::Statement(statement) => {
            found.extend(assigned_by(statement).map(|name| (name.text.as_str(), name.span)));
        }
    });
    found
}

/// The variables that a statement itself assigns to: those of a `foreach`, and that of a `catch`.
pub(super) fn assigned_by(statement: &Statement) -> impl Iterator<Item = &Name> {
    let (foreach, message) = match &statement.kind {
        StatementKind::Foreach(foreach) => (Some(foreach), None),
        StatementKind::Try { message, .. } => (None, message.as_ref()),
        _ => (None, None),
    };
    foreach.into_iter().flat_map(|foreach| foreach.value.iter().chain(&foreach.keys)).chain(message)
}

/// Whether a body assigns to a variable.
pub(super) fn assigns(body: &Block, variable: &str) -> bool {
    let mut found = false;
    visit_block(body, &mut |node| match node {
        Node::Expression(expression) => {
            if let ExpressionKind::Assign { target, .. } | ExpressionKind::Step { target, .. } = &expression.kind {
                found |= matches!(&target.kind, ExpressionKind::Name(name) if name == variable);
            }
        }
        Node::Statement(statement) => found |= assigned_by(statement).any(|name| name.text == variable),
    });
    found
}

/// Whether a function can go on to the next of its name: there is a `next`.
pub(super) fn next(body: &Block) -> bool {
    let mut found = false;
    visit_block(body, &mut |node| {
        found |= matches!(node, Node::Statement(Statement { kind: StatementKind::Next, .. }));
    });
    found
}

/// How many statements and expressions there are.
pub(super) fn nodes(body: &Block) -> usize {
    let mut count = 1;
    visit_block(body, &mut |_| count += 1);
    count
}

/// The names that a body uses as arrays: each with its number of keys.
pub(super) fn indexed(body: &Block) -> Vec<(&str, usize, Span)> {
    let mut found = Vec::new();
    visit_block(body, &mut |node| match node {
        Node::Expression(expression) => match &expression.kind {
            ExpressionKind::Index { base, keys } => {
                if let ExpressionKind::Name(name) = &base.kind {
                    found.push((name.as_str(), keys.len(), expression.span));
                }
            }
            ExpressionKind::In { keys, array } => found.push((array.text.as_str(), keys.len(), array.span)),
            _ => {}
        },
        Node::Statement(Statement { kind: StatementKind::Foreach(foreach), .. }) => {
            if let ExpressionKind::Name(name) = &foreach.over.kind {
                found.push((name.as_str(), foreach.keys.len(), foreach.over.span));
            }
        }
        Node::Statement(_) => {}
    });
    found
}

/// Calls `visit` with every statement and expression of a block, outer ones first.
pub(super) fn visit_block<'a>(block: &'a Block, visit: &mut dyn FnMut(Node<'a>)) {
    block.statements.iter().for_each(|statement| visit_statement(statement, visit));
}

/// The same for a statement, itself included.
pub(super) fn visit_statement<'a>(statement: &'a Statement, visit: &mut dyn FnMut(Node<'a>)) {
    visit(Node::Statement(statement));
    match &statement.kind {
        StatementKind::Empty | StatementKind::Break | StatementKind::Continue | StatementKind::Next => {}
        StatementKind::Block(block) => visit_block(block, visit),
        StatementKind::Expression(expression) | StatementKind::Delete(expression) => {
            visit_expression(expression, visit)
        }
        StatementKind::If { condition, then, otherwise } => {
            visit_expression(condition, visit);
            visit_statement(then, visit);
            otherwise.iter().for_each(|otherwise| visit_statement(otherwise, visit));
        }
        StatementKind::While { condition, body } => {
            visit_expression(condition, visit);
            visit_statement(body, visit);
        }
        StatementKind::For { init, condition, step, body } => {
            [init, condition, step].into_iter().flatten().for_each(|expression| visit_expression(expression, visit));
            visit_statement(body, visit);
        }
        StatementKind::Foreach(foreach) => {
            visit_expression(&foreach.over, visit);
            foreach
                .slice
                .iter()
                .flatten()
                .chain(&foreach.limit)
                .for_each(|expression| visit_expression(expression, visit));
            visit_statement(&foreach.body, visit);
        }
        StatementKind::Return(value) => value.iter().for_each(|value| visit_expression(value, visit)),
        StatementKind::Try { body, handler, .. } => {
            visit_block(body, visit);
            visit_block(handler, visit);
        }
    }
}

/// The same for an expression, itself included.
pub(super) fn visit_expression<'a>(expression: &'a Expression, visit: &mut dyn FnMut(Node<'a>)) {
    visit(Node::Expression(expression));
    let mut each = |expressions: &[&'a Expression]| expressions.iter().for_each(|inner| visit_expression(inner, visit));
    match &expression.kind {
        ExpressionKind::Literal(_)
        | ExpressionKind::Name(_)
        | ExpressionKind::Target(_)
        | ExpressionKind::AtVar { .. }
        | ExpressionKind::ProbeWrite(_)
        | ExpressionKind::Perf(_)
        | ExpressionKind::Const(_)
        | ExpressionKind::Enum(..)
        | ExpressionKind::Register { .. } => {}
        ExpressionKind::Index { base, keys } => {
            each(&[base]);
            keys.iter().flatten().for_each(|key| visit_expression(key, visit));
        }
        ExpressionKind::In { keys, .. } => keys.iter().flatten().for_each(|key| visit_expression(key, visit)),
        ExpressionKind::Call { arguments, .. } | ExpressionKind::Print(Print { arguments, .. }) => {
            arguments.iter().for_each(|argument| visit_expression(argument, visit));
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
        | ExpressionKind::Histogram { statistic: inner, .. } => each(&[inner]),
        ExpressionKind::Binary(_, a, b) => each(&[a, b]),
        ExpressionKind::Assign { target: a, value: b, .. } | ExpressionKind::Element { base: a, index: b } => {
            each(&[a, b])
        }
        ExpressionKind::Ternary(a, b, c) => each(&[a, b, c]),
    }
}
