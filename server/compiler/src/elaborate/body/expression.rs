//! Expressions of the script's own: literals, variables, arithmetic, comparison, calls, assignment.

use shared::diagnostic::{Diagnostic, Note, Span};
use shared::ir::{BinaryOp, Relation, StringFunction, UnaryOp};

use super::{Lower, decided, long, zero};
use crate::ast::{self, Assign, Binary, ExpressionKind as Tree, LiteralValue, Unary};
use crate::elaborate::declarations::Callee;
use crate::elaborate::intrinsic::{Intrinsic, Meaning};
use crate::elaborate::{pattern, within};
use crate::program::{Expression, ExpressionKind, Pattern, Place, Type, UpdateOp};

impl<'d> Lower<'_, '_, 'd, '_> {
    /// An expression whose value nobody wants.
    pub(super) fn effect(&mut self, expression: &'d ast::Expression) -> Expression {
        self.expression(expression)
    }

    /// An expression that must have a value.
    pub(super) fn value(&mut self, expression: &'d ast::Expression) -> Expression {
        let value = self.expression(expression);
        if value.ty == Type::Void {
            self.error("elaborate/no-value", expression.span, "this gives no value");
        }
        value
    }

    fn boxed(&mut self, expression: &'d ast::Expression) -> Box<Expression> {
        Box::new(self.value(expression))
    }

    pub(super) fn values(&mut self, expressions: &'d [ast::Expression]) -> Vec<Expression> {
        expressions.iter().map(|expression| self.value(expression)).collect()
    }

    fn expression(&mut self, expression: &'d ast::Expression) -> Expression {
        self.unit.depth += 1;
        let lowered = self.lowered(expression);
        self.unit.depth -= 1;
        lowered
    }

    fn lowered(&mut self, expression: &'d ast::Expression) -> Expression {
        let span = expression.span;
        let (kind, ty) = match &expression.kind {
            Tree::Literal(LiteralValue::Number(number)) => (ExpressionKind::Long(*number), Type::Long),
            Tree::Literal(LiteralValue::String(string)) => (ExpressionKind::String(string.clone()), Type::String),
            Tree::Name(_) => return self.read(expression),
            Tree::Index { base, keys } => match &base.kind {
                Tree::Histogram { .. } => return self.bucket(base, keys, span),
                _ if self.is_pointer_index(base) => match self.check_pointer_index(base) {
                    true => return self.target_value(expression),
                    false => return long(0, span),
                },
                _ => return self.read(expression),
            },
            Tree::In { keys, array } => return self.contains(keys, array, span),
            Tree::Call { function, arguments } => return self.call(&function.text, arguments, span),
            Tree::Unary(op, operand) => return self.unary(*op, operand, span),
            Tree::Step { increment, postfix, target } => {
                let op = if *increment { BinaryOp::Add } else { BinaryOp::Subtract };
                return self.update(target, UpdateOp::Binary(op), long(1, span), *postfix, span);
            }
            Tree::Binary(op @ (Binary::LogicalAnd | Binary::LogicalOr), a, b) => {
                return self.logical(*op == Binary::LogicalAnd, a, b, span);
            }
            Tree::Binary(op, a, b) => return self.binary(*op, a, b, span),
            Tree::Ternary(condition, a, b) => {
                let condition = self.boxed(condition);
                match decided(&condition) {
                    Some(true) => return self.value(a),
                    Some(false) => return self.value(b),
                    None => {}
                }
                let (a, b) = (self.boxed(a), self.boxed(b));
                let ty = a.ty;
                (ExpressionKind::Conditional(condition, a, b), ty)
            }
            Tree::Assign { op, target, value } => return self.assign(*op, target, value, span),
            Tree::Match { negated, subject, pattern } => {
                let subject = self.boxed(subject);
                let Some(pattern) = self.pattern(pattern) else { return long(0, span) };
                let matches = Expression { kind: ExpressionKind::Match(subject, pattern), ty: Type::Long, span };
                if !negated {
                    return matches;
                }
                (ExpressionKind::Not(Box::new(matches)), Type::Long)
            }
            Tree::Print(print) => return self.print(print, span),
            Tree::Target(_) | Tree::Member { .. } | Tree::Element { .. } | Tree::AtVar { .. } | Tree::Cast { .. } => {
                return self.target_value(expression);
            }
            _ => return self.operator(expression),
        };
        Expression { kind, ty, span }
    }

    fn read(&mut self, expression: &'d ast::Expression) -> Expression {
        let span = expression.span;
        let Some(place) = self.value_place(expression) else { return long(0, span) };
        let ty = self.type_of(&place);
        Expression { kind: ExpressionKind::Read(place), ty, span }
    }

    fn contains(&mut self, keys: &'d [Option<ast::Expression>], array: &'d ast::Name, span: Span) -> Expression {
        let Some(array) = self.array_named(&array.text, array.span) else { return long(0, span) };
        let Some(keys) = self.selectors(array, keys) else { return long(0, span) };
        Expression { kind: ExpressionKind::Contains(array, keys), ty: Type::Long, span }
    }

    fn bucket(&mut self, base: &'d ast::Expression, keys: &'d [Option<ast::Expression>], span: Span) -> Expression {
        let [Some(bucket)] = keys else {
            self.error("elaborate/key-count", span, "the buckets of a histogram have one number each");
            return long(0, span);
        };
        let Some(of) = self.histogram(base) else { return long(0, span) };
        Expression { kind: ExpressionKind::Bucket(of, self.boxed(bucket)), ty: Type::Long, span }
    }

    /// The pattern of a match, which is read once.
    fn pattern(&mut self, literal: &ast::Literal) -> Option<Pattern> {
        let LiteralValue::String(text) = &literal.value else { return None };
        match pattern::read(text) {
            Ok(pattern) => Some(pattern),
            Err(wrong) => {
                let span = within(literal.span, text.len(), wrong.offset);
                let mut diagnostic = Diagnostic::error("elaborate/pattern", span, wrong.message);
                diagnostic.notes.extend(wrong.help.map(|help| Note::Help(help.to_owned())));
                self.report(diagnostic);
                None
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &'d [ast::Expression], span: Span) -> Expression {
        let declarations = self.unit.declarations;
        let mut values = self.values(arguments);
        match declarations.callee(name, arguments.len()) {
            Some(Callee::Functions(overloads)) => {
                let result = |&index: &usize| self.unit.types.functions[index].result;
                let ty = overloads.iter().find_map(result).map_or(Type::Void, |slot| self.unit.types.of(slot));
                let body = self.at.body;
                let functions: Vec<_> = overloads.iter().filter_map(|&index| self.unit.function(index, body)).collect();
                if functions.is_empty() {
                    return zero(ty, span);
                }
                Expression { kind: ExpressionKind::Call(functions, values), ty, span }
            }
            Some(Callee::Intrinsic(intrinsic)) => intrinsic_call(intrinsic, &mut values, span),
            // Reported when the calls were collected.
            None => long(0, span),
        }
    }

    fn unary(&mut self, op: Unary, operand: &'d ast::Expression, span: Span) -> Expression {
        let operand = self.boxed(operand);
        let kind = match (op, decided(&operand)) {
            (Unary::Plus, _) => return *operand,
            (Unary::Negate, _) => ExpressionKind::Unary(UnaryOp::Negate, operand),
            (Unary::Not, _) => ExpressionKind::Unary(UnaryOp::Not, operand),
            (Unary::LogicalNot, Some(holds)) => ExpressionKind::Long(i64::from(!holds)),
            (Unary::LogicalNot, None) => ExpressionKind::Not(operand),
        };
        Expression { kind, ty: Type::Long, span }
    }

    /// `&&` and `||`, whose right side is not looked at where the left one decides for this place.
    fn logical(&mut self, and: bool, a: &'d ast::Expression, b: &'d ast::Expression, span: Span) -> Expression {
        let a = self.boxed(a);
        let kind = match decided(&a) {
            Some(holds) if holds != and => ExpressionKind::Long(i64::from(!and)),
            Some(_) => {
                let b = self.boxed(b);
                match decided(&b) {
                    Some(holds) => ExpressionKind::Long(i64::from(holds)),
                    // The result is 0 or 1.
                    None => {
                        ExpressionKind::Not(Box::new(Expression { kind: ExpressionKind::Not(b), ty: Type::Long, span }))
                    }
                }
            }
            None if and => ExpressionKind::And(a, self.boxed(b)),
            None => ExpressionKind::Or(a, self.boxed(b)),
        };
        Expression { kind, ty: Type::Long, span }
    }

    fn binary(&mut self, op: Binary, a: &'d ast::Expression, b: &'d ast::Expression, span: Span) -> Expression {
        let (a, b) = (self.boxed(a), self.boxed(b));
        let kind = match (arithmetic(op), relation(op)) {
            (Some(op), _) => ExpressionKind::Binary(op, a, b),
            (None, Some(relation)) => ExpressionKind::Compare(relation, a, b),
            (None, None) => return Expression { kind: ExpressionKind::Concat(a, b), ty: Type::String, span },
        };
        Expression { kind, ty: Type::Long, span }
    }

    fn assign(
        &mut self,
        op: Assign,
        target: &'d ast::Expression,
        value: &'d ast::Expression,
        span: Span,
    ) -> Expression {
        let value = self.value(value);
        match op {
            Assign::Set => {
                let Some(place) = self.value_place(target) else { return value };
                let ty = value.ty;
                Expression { kind: ExpressionKind::Assign(place, Box::new(value)), ty, span }
            }
            Assign::With(Binary::Concat) => self.update(target, UpdateOp::Concat, value, false, span),
            Assign::With(op) => match arithmetic(op) {
                Some(op) => self.update(target, UpdateOp::Binary(op), value, false, span),
                None => value,
            },
            Assign::Accumulate => {
                let Some(place) = self.statistic(target) else { return value };
                if let Place::Local(_) = place {
                    let message = "what stands for an entry's statistic can be asked, not added to";
                    self.error("elaborate/local-statistic", target.span, message);
                    return value;
                }
                let ty = Type::Long;
                Expression { kind: ExpressionKind::Accumulate(place, Box::new(value)), ty, span }
            }
        }
    }

    fn update(
        &mut self,
        target: &'d ast::Expression,
        op: UpdateOp,
        operand: Expression,
        postfix: bool,
        span: Span,
    ) -> Expression {
        let Some(place) = self.value_place(target) else { return operand };
        let ty = operand.ty;
        Expression { kind: ExpressionKind::Update { place, op, operand: Box::new(operand), postfix }, ty, span }
    }
}

/// A call of a built-in function, with as many arguments as it takes.
fn intrinsic_call(intrinsic: &Intrinsic, arguments: &mut Vec<Expression>, span: Span) -> Expression {
    let mut argument = || Box::new(if arguments.is_empty() { long(0, span) } else { arguments.remove(0) });
    let string = |kind| Expression { kind, ty: Type::String, span };
    let kind = match intrinsic.meaning {
        Meaning::Task(field) => ExpressionKind::Task(field),
        Meaning::Cpu => ExpressionKind::Cpu,
        Meaning::Target => ExpressionKind::Target,
        Meaning::Point(field) => ExpressionKind::Point(field),
        Meaning::Exit => ExpressionKind::Exit,
        Meaning::Clock(clock, 1) => ExpressionKind::Clock(clock),
        Meaning::Clock(clock, unit_ns) => {
            let clock = Expression { kind: ExpressionKind::Clock(clock), ty: Type::Long, span };
            ExpressionKind::Binary(BinaryOp::Divide, Box::new(clock), Box::new(long(unit_ns, span)))
        }
        Meaning::Raise => ExpressionKind::Raise(argument()),
        Meaning::Matched => ExpressionKind::Matched(argument()),
        Meaning::GroupCount => ExpressionKind::GroupCount,
        Meaning::LoadString(space, None) => ExpressionKind::LoadString(space, argument(), None),
        Meaning::LoadString(space, Some(unknown)) => {
            let load = string(ExpressionKind::LoadString(space, argument(), None));
            let unknown = string(ExpressionKind::String(unknown.into()));
            ExpressionKind::Catch(Box::new(load), Box::new(unknown))
        }
        Meaning::LoadStringOf(space) => {
            let address = argument();
            ExpressionKind::LoadString(space, address, Some(argument()))
        }
        Meaning::StringFunction(function) => {
            let arguments = function.parameters().iter().map(|_| *argument()).collect();
            ExpressionKind::StringFunction(function, arguments)
        }
        Meaning::IsPart => {
            let found = ExpressionKind::StringFunction(StringFunction::Find, vec![*argument(), *argument()]);
            let found = Expression { kind: found, ty: Type::Long, span };
            ExpressionKind::Compare(Relation::GreaterEqual, Box::new(found), Box::new(long(0, span)))
        }
        Meaning::Tokenize => ExpressionKind::Tokenize(argument(), argument()),
    };
    Expression { kind, ty: intrinsic.result, span }
}

fn arithmetic(op: Binary) -> Option<BinaryOp> {
    Some(match op {
        Binary::Add => BinaryOp::Add,
        Binary::Subtract => BinaryOp::Subtract,
        Binary::Multiply => BinaryOp::Multiply,
        Binary::Divide => BinaryOp::Divide,
        Binary::Modulo => BinaryOp::Modulo,
        Binary::And => BinaryOp::And,
        Binary::Or => BinaryOp::Or,
        Binary::Xor => BinaryOp::Xor,
        Binary::ShiftLeft => BinaryOp::ShiftLeft,
        Binary::ShiftRight => BinaryOp::ShiftRight,
        Binary::ShiftRightLogical => BinaryOp::ShiftRightLogical,
        _ => return None,
    })
}

fn relation(op: Binary) -> Option<Relation> {
    Some(match op {
        Binary::Equal => Relation::Equal,
        Binary::NotEqual => Relation::NotEqual,
        Binary::Less => Relation::Less,
        Binary::LessEqual => Relation::LessEqual,
        Binary::Greater => Relation::Greater,
        Binary::GreaterEqual => Relation::GreaterEqual,
        _ => return None,
    })
}
