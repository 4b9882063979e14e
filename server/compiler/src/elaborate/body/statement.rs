//! Statements. What a condition excludes for this place is not looked at: `if (@defined($x)) …` is how scripts ask.

use shared::diagnostic::Span;

use super::{Lower, decided, long, zero};
use crate::ast::{self, Block, ExpressionKind as Tree};
use crate::program::{
    Aggregate, Expression, ExpressionKind, Foreach, ForeachBucket, GlobalId, LocalId, Order, Place, SortBy, Statement,
    StatementKind, Type,
};

impl<'d> Lower<'_, '_, 'd, '_> {
    pub(super) fn block(&mut self, block: &'d Block, out: &mut Vec<Statement>) {
        block.statements.iter().for_each(|statement| self.statement(statement, out));
    }

    fn nested(&mut self, statement: &'d ast::Statement) -> Vec<Statement> {
        let mut statements = Vec::new();
        self.statement(statement, &mut statements);
        statements
    }

    fn nested_block(&mut self, block: &'d Block) -> Vec<Statement> {
        let mut statements = Vec::new();
        self.block(block, &mut statements);
        statements
    }

    fn statement(&mut self, statement: &'d ast::Statement, out: &mut Vec<Statement>) {
        self.unit.depth += 1;
        self.lowered_statement(statement, out);
        self.unit.depth -= 1;
    }

    fn lowered_statement(&mut self, statement: &'d ast::Statement, out: &mut Vec<Statement>) {
        let span = statement.span;
        let kind = match &statement.kind {
            ast::StatementKind::Empty => return,
            ast::StatementKind::Block(block) => return self.block(block, out),
            ast::StatementKind::Expression(expression) => StatementKind::Expression(self.effect(expression)),
            ast::StatementKind::If { condition, then, otherwise } => {
                let condition = self.value(condition);
                match decided(&condition) {
                    Some(true) => return self.statement(then, out),
                    Some(false) => {
                        return otherwise.iter().for_each(|otherwise| self.statement(otherwise, out));
                    }
                    None => {}
                }
                let then = self.nested(then);
                let otherwise = otherwise.as_ref().map_or_else(Vec::new, |otherwise| self.nested(otherwise));
                StatementKind::If(condition, then, otherwise)
            }
            ast::StatementKind::While { condition, body } => {
                let condition = self.value(condition);
                StatementKind::Loop { condition, body: self.nested(body), step: Vec::new() }
            }
            ast::StatementKind::For { init, condition, step, body } => {
                out.extend(init.as_ref().map(|init| self.expression_statement(init)));
                let condition = condition.as_ref().map_or_else(|| long(1, span), |condition| self.value(condition));
                let body = self.nested(body);
                let step = step.iter().map(|step| self.expression_statement(step)).collect();
                StatementKind::Loop { condition, body, step }
            }
            ast::StatementKind::Foreach(foreach) => match self.foreach(foreach, span) {
                Some(kind) => kind,
                None => return,
            },
            ast::StatementKind::Break => StatementKind::Break,
            ast::StatementKind::Continue => StatementKind::Continue,
            ast::StatementKind::Return(value) => StatementKind::Return(value.as_ref().map(|value| self.value(value))),
            ast::StatementKind::Next if self.is_function() => StatementKind::Next,
            ast::StatementKind::Next => StatementKind::Return(None),
            ast::StatementKind::Delete(expression) => match self.delete(expression) {
                Some(kind) => kind,
                None => return,
            },
            ast::StatementKind::Try { body, message, handler } => self.try_(body, message.as_ref(), handler),
        };
        out.push(Statement { kind, span });
    }

    fn expression_statement(&mut self, expression: &'d ast::Expression) -> Statement {
        Statement { kind: StatementKind::Expression(self.effect(expression)), span: expression.span }
    }

    fn try_(&mut self, body: &'d Block, message: Option<&'d ast::Name>, handler: &'d Block) -> StatementKind {
        let body = self.nested_block(body);
        let mut before = Vec::new();
        let message = message.and_then(|name| self.bound_variable(name, Type::String, &mut before));
        self.block(handler, &mut before);
        StatementKind::Try { body, message, handler: before }
    }

    // Deletion

    fn delete(&mut self, expression: &'d ast::Expression) -> Option<StatementKind> {
        match &expression.kind {
            Tree::Index { base, keys } => {
                let array = self.array(base)?;
                Some(StatementKind::Delete(array, self.selectors(array, keys)?))
            }
            Tree::Name(name) => {
                let locals = self.unit.locals(self.at.body);
                let global = self.unit.declarations.global(name).filter(|_| locals.index(name).is_none());
                if let Some(global) = global {
                    let is_array = self.unit.declarations.globals[global].key_count > 0;
                    if is_array || self.type_of(&Place::Global(GlobalId(global))) == Type::Statistic {
                        return Some(StatementKind::Clear(GlobalId(global)));
                    }
                }
                // A scalar becomes what it was before it was assigned to.
                let place = self.place(expression)?;
                let zero = zero(self.type_of(&place), expression.span);
                let (ty, span) = (zero.ty, zero.span);
                let kind = ExpressionKind::Assign(place, Box::new(zero));
                Some(StatementKind::Expression(Expression { kind, ty, span }))
            }
            // What else could stand here was refused when it was parsed.
            _ => None,
        }
    }

    // foreach

    fn foreach(&mut self, foreach: &'d ast::Foreach, span: Span) -> Option<StatementKind> {
        if let Tree::Histogram { .. } = foreach.over.kind {
            return self.foreach_bucket(foreach, span);
        }
        let array = self.array(&foreach.over)?;
        let value_type = self.type_of(&Place::Global(array));
        let mut before = Vec::new();
        let mut keys = Vec::new();
        for (index, name) in foreach.keys.iter().enumerate() {
            let slot = self.unit.types.globals[array.0].keys.get(index);
            let ty = slot.map_or(Type::Long, |&slot| self.unit.types.of(slot));
            keys.push(self.bound_variable(name, ty, &mut before)?);
        }
        let value = match &foreach.value {
            Some(name) => Some(self.bound_variable(name, value_type, &mut before)?),
            None => None,
        };
        let selection = match foreach.slice.as_slice() {
            [] => Vec::new(),
            slice if slice.len() == keys.len() => self.selectors(array, slice)?,
            slice => {
                let message = format!("{} keys are selected, and {} are taken", slice.len(), keys.len());
                self.error("elaborate/key-count", foreach.over.span, message);
                return None;
            }
        };
        let order = foreach.sort.map_or(Order::Any, |sort| order(sort, value_type));
        let limit = foreach.limit.as_ref().map(|limit| self.value(limit));
        let bound = value.filter(|_| value_type == Type::Statistic);
        self.bound.extend(bound);
        let mut body = before;
        self.statement(&foreach.body, &mut body);
        self.bound.truncate(self.bound.len() - usize::from(bound.is_some()));
        Some(StatementKind::Foreach(Foreach { array, keys, value, selection, order, limit, body }))
    }

    fn foreach_bucket(&mut self, foreach: &'d ast::Foreach, span: Span) -> Option<StatementKind> {
        let of = self.histogram(&foreach.over)?;
        let [bucket] = foreach.keys.as_slice() else {
            self.error("elaborate/key-count", span, "the buckets of a histogram have one number each");
            return None;
        };
        let descending = match foreach.sort {
            None => false,
            Some(ast::Sort { by: ast::SortBy::Key(_), descending }) => descending,
            Some(_) => {
                let message = "the buckets of a histogram are sorted by their numbers";
                self.error("elaborate/histogram-sort", foreach.over.span, message);
                false
            }
        };
        let mut before = Vec::new();
        let bucket = self.bound_variable(bucket, Type::Long, &mut before)?;
        let count = match &foreach.value {
            Some(name) => Some(self.bound_variable(name, Type::Long, &mut before)?),
            None => None,
        };
        let limit = foreach.limit.as_ref().map(|limit| self.value(limit));
        let mut body = before;
        self.statement(&foreach.body, &mut body);
        Some(StatementKind::ForeachBucket(ForeachBucket { of, bucket, count, descending, limit, body }))
    }

    /// The local that takes a value at the beginning of a block. A global gets its value from one that is made for it.
    fn bound_variable(&mut self, name: &'d ast::Name, ty: Type, before: &mut Vec<Statement>) -> Option<LocalId> {
        if let Some(local) = self.unit.locals(self.at.body).index(&name.text) {
            return Some(LocalId(local));
        }
        let span = name.span;
        let Some(global) = self.unit.declarations.global(&name.text).filter(|_| ty != Type::Statistic) else {
            self.error("elaborate/local-statistic", span, "only a local can stand for the statistic of an entry");
            return None;
        };
        if self.unit.declarations.globals[global].key_count > 0 {
            self.error(
                "elaborate/array-without-keys",
                span,
                format!("`{}` is an array: it needs keys here", name.text),
            );
            return None;
        }
        let local = self.new_local(&format!("@{}", name.text), ty);
        let value = Expression { kind: ExpressionKind::Read(Place::Local(local)), ty, span };
        let kind = ExpressionKind::Assign(Place::Global(GlobalId(global)), Box::new(value));
        before.push(Statement { kind: StatementKind::Expression(Expression { kind, ty, span }), span });
        Some(local)
    }
}

/// An array of statistics is sorted by the count where no aggregate is named.
fn order(sort: ast::Sort, value: Type) -> Order {
    let by = match sort.by {
        ast::SortBy::Key(key) => SortBy::Key(key as u8),
        ast::SortBy::Value if value == Type::Statistic => SortBy::Aggregate(Aggregate::Count),
        ast::SortBy::Value => SortBy::Value,
        ast::SortBy::Aggregate(aggregate) => SortBy::Aggregate(aggregate.into()),
    };
    Order::By { by, descending: sort.descending }
}
