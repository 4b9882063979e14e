//! Statements that do nothing or are never reached, and comparisons whose end is known.

use shared::diagnostic::Diagnostic;

use super::Script;
use crate::ast::{Binary, Block, Expression, ExpressionKind, Statement, StatementKind};
use crate::elaborate::uses::{self, Node};
use crate::elaborate::{Log, intrinsic};
use crate::program::Type;

/// Which functions do something besides giving a value.
pub(super) struct Effects<'s, 'e> {
    script: &'s Script<'s, 'e>,
    /// By the index of the function.
    functions: Vec<bool>,
}

impl<'s, 'e> Effects<'s, 'e> {
    pub(super) fn new(script: &'s Script<'s, 'e>) -> Self {
        let mut effects = Self { script, functions: vec![false; script.reach.functions.len()] };
        // A function has the effects of those that it calls: callees come after callers, except where they call one another.
        let mut is_settled = false;
        while !is_settled {
            is_settled = true;
            for &index in script.reach.reached().iter().rev() {
                if !effects.functions[index] && effects.reach_outside(index) {
                    effects.functions[index] = true;
                    is_settled = false;
                }
            }
        }
        effects
    }

    /// Whether a function changes anything but its own variables.
    fn reach_outside(&self, index: usize) -> bool {
        let declaration = &self.script.reach.functions[index].declaration;
        let is_own = |target: &Expression| match &target.kind {
            ExpressionKind::Name(name) => {
                let is_parameter = declaration.parameters.iter().any(|parameter| parameter.name.text == *name);
                is_parameter || !self.script.globals.contains_key(name.as_str())
            }
            _ => false,
        };
        let mut found = false;
        uses::visit_block(&declaration.body, &mut |node| {
            found |= match node {
                Node::Expression(expression) => match &expression.kind {
                    ExpressionKind::Assign { target, .. } | ExpressionKind::Step { target, .. } => !is_own(target),
                    _ => self.of_node(expression),
                },
                Node::Statement(statement) => matches!(statement.kind, StatementKind::Delete(_) | StatementKind::Next),
            };
        });
        found
    }

    /// Whether anything in a block has an effect, beyond what it jumps over.
    pub(super) fn of_block(&self, block: &Block) -> bool {
        let mut found = false;
        uses::visit_block(block, &mut |node| {
            found |= match node {
                Node::Expression(expression) => self.of_node(expression),
                Node::Statement(statement) => matches!(statement.kind, StatementKind::Delete(_)),
            };
        });
        found
    }

    fn of_statement(&self, statement: &Statement) -> bool {
        let mut found = false;
        uses::visit_statement(statement, &mut |node| {
            found |= match node {
                Node::Expression(expression) => self.of_node(expression),
                Node::Statement(statement) => matches!(
                    statement.kind,
                    StatementKind::Delete(_)
                        | StatementKind::Break
                        | StatementKind::Continue
                        | StatementKind::Return(_)
                        | StatementKind::Next
                        | StatementKind::Try { .. }
                ),
            };
        });
        found
    }

    /// Whether an expression itself has an effect, whatever its parts have.
    fn of_node(&self, expression: &Expression) -> bool {
        match &expression.kind {
            ExpressionKind::Assign { .. } | ExpressionKind::Step { .. } | ExpressionKind::Match { .. } => true,
            ExpressionKind::Print(print) => !print.to_string,
            ExpressionKind::Call { function, arguments } => {
                let overloads = self.script.reach.overloads(&function.text, arguments.len());
                match overloads.is_empty() {
                    true => intrinsic::find(&function.text).is_none_or(|found| found.result == Type::Void),
                    false => overloads.iter().any(|&index| self.functions[index]),
                }
            }
            _ => false,
        }
    }
}

/// Warns of what is in a body.
pub(super) fn warn(body: &Block, effects: &Effects<'_, '_>, log: &mut Log) {
    let mut check = Check { effects, log };
    check.list(&body.statements);
    uses::visit_block(body, &mut |node| {
        if let Node::Expression(expression) = node {
            check.comparison(expression);
        }
    });
}

struct Check<'c, 's, 'e> {
    effects: &'c Effects<'s, 'e>,
    log: &'c mut Log,
}

impl Check<'_, '_, '_> {
    fn list(&mut self, statements: &[Statement]) {
        for (index, statement) in statements.iter().enumerate() {
            self.statement(statement);
            let next = statements.get(index + 1);
            if let Some(next) = next.filter(|_| leaves(statement))
                && self.effects.script.is_users(next.span)
            {
                let diagnostic =
                    Diagnostic::warning("elaborate/unreachable-statement", next.span, "this is never reached");
                self.log.report(diagnostic.also(statement.span, "because of this"));
                return;
            }
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let what = match &statement.kind {
            StatementKind::Block(block) => return self.list(&block.statements),
            StatementKind::Expression(_) => "statement",
            StatementKind::If { .. } => "`if`",
            StatementKind::While { .. } | StatementKind::For { .. } | StatementKind::Foreach(_) => "loop",
            StatementKind::Try { body, handler, .. } => {
                self.list(&body.statements);
                return self.list(&handler.statements);
            }
            _ => return,
        };
        if self.effects.script.is_users(statement.span) && !self.effects.of_statement(statement) {
            let message = format!("this {what} has no effect");
            self.log.report(Diagnostic::warning("elaborate/no-side-effect", statement.span, message));
            return;
        }
        match &statement.kind {
            StatementKind::If { then, otherwise, .. } => {
                self.list(std::slice::from_ref(then));
                otherwise.iter().for_each(|otherwise| self.list(std::slice::from_ref(otherwise)));
            }
            StatementKind::While { body, .. } | StatementKind::For { body, .. } => {
                self.list(std::slice::from_ref(body));
            }
            StatementKind::Foreach(foreach) => self.list(std::slice::from_ref(&foreach.body)),
            _ => {}
        }
    }

    /// A comparison of something with itself, or of two literals.
    fn comparison(&mut self, expression: &Expression) {
        let ExpressionKind::Binary(op, a, b) = &expression.kind else { return };
        let is_literal = |side: &Expression| matches!(side.kind, ExpressionKind::Literal(_));
        let on_equals = match op {
            Binary::Equal | Binary::LessEqual | Binary::GreaterEqual => true,
            Binary::NotEqual | Binary::Less | Binary::Greater => false,
            _ => return,
        };
        // One argument of a macro that it names twice stands in one place.
        let places = [expression.span, a.span, b.span];
        let is_written = a.span != b.span && places.into_iter().all(|span| self.effects.script.is_users(span));
        if !is_written || !is_steady(a) || a.to_string() != b.to_string() {
            return;
        }
        let what = if is_literal(a) { "two equal literals are compared" } else { "something is compared with itself" };
        let message = format!("{what}: this is always {}", if on_equals { "true" } else { "false" });
        self.log.report(Diagnostic::warning("elaborate/tautology", expression.span, message));
    }
}

/// Whether what follows a statement is never reached.
fn leaves(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Return(_) | StatementKind::Next | StatementKind::Break | StatementKind::Continue => true,
        StatementKind::Block(block) => block.statements.iter().any(leaves),
        StatementKind::If { then, otherwise: Some(otherwise), .. } => leaves(then) && leaves(otherwise),
        _ => false,
    }
}

/// Whether an expression gives the same when it is asked twice.
fn is_steady(expression: &Expression) -> bool {
    let mut is_steady = true;
    uses::visit_expression(expression, &mut |node| {
        is_steady &= !matches!(
            node,
            Node::Expression(Expression {
                kind: ExpressionKind::Call { .. }
                    | ExpressionKind::Assign { .. }
                    | ExpressionKind::Step { .. }
                    | ExpressionKind::Perf(_),
                ..
            })
        );
    });
    is_steady
}
