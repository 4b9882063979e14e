//! Bodies: each statement and expression of the tree becomes one of the program, with its type known and its names resolved.

use shared::abi::format::{Format, Verb};
use shared::abi::value::Datum;
use shared::diagnostic::{Diagnostic, Span, similar};
use shared::ir::{BinaryOp, Relation, UnaryOp};
use shared::limits::{MAP_ENTRIES_DEFAULT, MAP_ENTRIES_MAX};

use super::Log;
use super::declarations::{Callee, Declarations};
use super::infer::{Locals, Types};
use super::intrinsic::{Intrinsic, Meaning};
use super::probe::{Derivation, Resolver};
use crate::ast::{self, Assign, Binary, Block, ExpressionKind as Tree, Literal, LiteralValue, Print, PrintForm, Unary};
use crate::program::{
    Body, Content, Expression, ExpressionKind, Foreach, Function, FunctionId, Global, GlobalId, Local, LocalId, Order,
    Place, Selector, SortBy, Statement, StatementKind, Storage, Type, UpdateOp,
};

/// The globals, with what they start as.
pub(super) fn globals(declarations: &Declarations<'_>, types: &Types, log: &mut Log) -> Vec<Global> {
    let mut globals = Vec::new();
    for (global, slots) in declarations.globals.iter().zip(&types.globals) {
        let declaration = global.declaration;
        let value = types.of(slots.value);
        let storage = if global.key_count > 0 || declaration.size.is_some() {
            if let Some(initial) = &declaration.initial {
                let message = format!("array `{}` cannot have an initial value", declaration.name.text);
                log.report(Diagnostic::error("elaborate/array-initial", initial.span, message));
            }
            if declaration.wrap {
                let message = "arrays that drop their oldest entries (`%`) are not supported by this version";
                log.report(Diagnostic::error("elaborate/not-supported", declaration.name.span, message));
            }
            // An array that is declared with a size but never used has one key of any type.
            let keys: Vec<Type> = slots.keys.iter().map(|&slot| types.of(slot)).collect();
            let keys = if keys.is_empty() { vec![Type::Long] } else { keys };
            let content = Content::Value(value);
            Storage::Array { keys, content, entries_max: entries_max(declaration, log), wrap: declaration.wrap }
        } else {
            Storage::Scalar(match (&declaration.initial, value) {
                (Some(Literal { value: LiteralValue::Number(number), .. }), _) => Datum::Long(*number),
                (Some(Literal { value: LiteralValue::String(string), .. }), _) => Datum::String(string.clone()),
                (None, Type::String) => Datum::String(Default::default()),
                (None, _) => Datum::Long(0),
            })
        };
        globals.push(Global { name: declaration.name.text.clone(), span: declaration.name.span, storage });
    }
    globals
}

fn entries_max(declaration: &ast::GlobalDecl, log: &mut Log) -> u32 {
    let Some(size) = &declaration.size else { return MAP_ENTRIES_DEFAULT };
    match size.value {
        LiteralValue::Number(number) if number > 0 && number <= i64::from(MAP_ENTRIES_MAX) => number as u32,
        _ => {
            let message = format!("the size of an array must be between 1 and {MAP_ENTRIES_MAX}");
            log.report(Diagnostic::error("elaborate/array-size", size.span, message));
            MAP_ENTRIES_DEFAULT
        }
    }
}

/// The functions that some probe reaches.
pub(super) fn functions(declarations: &Declarations<'_>, types: &Types, log: &mut Log) -> Vec<Function> {
    let mut functions = Vec::new();
    for (declaration, slots) in declarations.functions.iter().zip(&types.functions) {
        let result = slots.result.map_or(Type::Void, |slot| types.of(slot));
        let mut lower =
            Lower { declarations, types, locals: &slots.locals, context: Context::Function, log, loop_depth: 0 };
        let body = lower.body(&declaration.body);
        let parameter_count = declaration.parameters.len();
        functions.push(Function { name: declaration.name.text.clone(), parameter_count, result, body });
    }
    functions
}

/// The handler of a probe at one place.
pub(super) fn handler(
    declarations: &Declarations<'_>,
    types: &Types,
    index: usize,
    derivation: &Derivation,
    resolver: &Resolver<'_>,
    log: &mut Log,
) -> Body {
    let context = Context::Handler { derivation, resolver };
    let mut lower = Lower { declarations, types, locals: &types.probes[index], context, log, loop_depth: 0 };
    lower.body(&declarations.probes[index].body)
}

/// Whose body it is.
#[derive(Clone, Copy)]
enum Context<'c, 'w> {
    Function,
    Handler { derivation: &'c Derivation, resolver: &'c Resolver<'w> },
}

struct Lower<'c, 'd, 'w> {
    declarations: &'c Declarations<'d>,
    types: &'c Types,
    locals: &'c Locals,
    context: Context<'c, 'w>,
    log: &'c mut Log,
    loop_depth: usize,
}

impl Lower<'_, '_, '_> {
    fn body(&mut self, body: &Block) -> Body {
        let local =
            |(name, slot): &(String, super::infer::Slot)| Local { name: name.clone(), ty: self.types.of(*slot) };
        let locals = self.locals.names.iter().map(local).collect();
        let mut statements = Vec::new();
        self.block(body, &mut statements);
        Body { locals, statements }
    }

    fn error(&mut self, code: &str, span: Span, message: impl Into<String>) {
        self.log.report(Diagnostic::error(code, span, message));
    }

    fn not_supported(&mut self, span: Span, what: &str) {
        self.error("elaborate/not-supported", span, format!("{what} is not supported by this version"));
    }

    // Statements

    fn block(&mut self, block: &Block, out: &mut Vec<Statement>) {
        block.statements.iter().for_each(|statement| self.statement(statement, out));
    }

    fn nested(&mut self, statement: &ast::Statement) -> Vec<Statement> {
        let mut statements = Vec::new();
        self.statement(statement, &mut statements);
        statements
    }

    fn round(&mut self, statement: &ast::Statement) -> Vec<Statement> {
        self.loop_depth += 1;
        let statements = self.nested(statement);
        self.loop_depth -= 1;
        statements
    }

    fn statement(&mut self, statement: &ast::Statement, out: &mut Vec<Statement>) {
        let span = statement.span;
        let kind = match &statement.kind {
            ast::StatementKind::Empty => return,
            ast::StatementKind::Block(block) => return self.block(block, out),
            ast::StatementKind::Expression(expression) => StatementKind::Expression(self.effect(expression)),
            ast::StatementKind::If { condition, then, otherwise } => {
                let condition = self.value(condition);
                let then = self.nested(then);
                let otherwise = otherwise.as_ref().map_or_else(Vec::new, |otherwise| self.nested(otherwise));
                StatementKind::If(condition, then, otherwise)
            }
            ast::StatementKind::While { condition, body } => {
                StatementKind::Loop { condition: self.value(condition), body: self.round(body), step: Vec::new() }
            }
            ast::StatementKind::For { init, condition, step, body } => {
                out.extend(init.as_ref().map(|init| self.expression_statement(init)));
                let condition = condition.as_ref().map_or_else(|| long(1, span), |condition| self.value(condition));
                let body = self.round(body);
                let step = step.iter().map(|step| self.expression_statement(step)).collect();
                StatementKind::Loop { condition, body, step }
            }
            ast::StatementKind::Foreach(foreach) => match self.foreach(foreach) {
                Some(foreach) => StatementKind::Foreach(foreach),
                None => return,
            },
            ast::StatementKind::Break | ast::StatementKind::Continue if self.loop_depth == 0 => {
                return self.error("elaborate/outside-loop", span, "there is no loop around this");
            }
            ast::StatementKind::Break => StatementKind::Break,
            ast::StatementKind::Continue => StatementKind::Continue,
            ast::StatementKind::Return(value) => match self.return_(value.as_ref(), span) {
                Some(kind) => kind,
                None => return,
            },
            ast::StatementKind::Next => match self.context {
                Context::Handler { .. } => StatementKind::Return(None),
                Context::Function => return self.not_supported(span, "`next` in a function"),
            },
            ast::StatementKind::Delete(expression) => match self.delete(expression) {
                Some(kind) => kind,
                None => return,
            },
            ast::StatementKind::Try { .. } => return self.not_supported(span, "`try`"),
        };
        out.push(Statement { kind, span });
    }

    fn expression_statement(&mut self, expression: &ast::Expression) -> Statement {
        Statement { kind: StatementKind::Expression(self.effect(expression)), span: expression.span }
    }

    fn return_(&mut self, value: Option<&ast::Expression>, span: Span) -> Option<StatementKind> {
        if matches!(self.context, Context::Handler { .. }) {
            let diagnostic = Diagnostic::error("elaborate/return-in-probe", span, "a probe returns nothing");
            self.log.report(diagnostic.help("write `next` to leave the handler"));
            return None;
        }
        Some(StatementKind::Return(value.map(|value| self.value(value))))
    }

    fn delete(&mut self, expression: &ast::Expression) -> Option<StatementKind> {
        match &expression.kind {
            Tree::Index { base, keys } => {
                let array = self.array(base)?;
                let keys = self.keys(keys)?;
                Some(StatementKind::Delete(array, keys.into_iter().map(Selector::Is).collect()))
            }
            Tree::Name(name) => {
                let Some(global) = self.declarations.global(name).filter(|_| self.locals.index(name).is_none()) else {
                    // A local becomes what it was before it was assigned to.
                    let place = self.place(expression)?;
                    return Some(StatementKind::Expression(self.reset(place, expression)));
                };
                if self.declarations.globals[global].key_count > 0 {
                    return Some(StatementKind::Clear(GlobalId(global)));
                }
                Some(StatementKind::Expression(self.reset(Place::Global(GlobalId(global)), expression)))
            }
            _ => {
                self.error("elaborate/delete", expression.span, "only a variable or an array's entry can be deleted");
                None
            }
        }
    }

    /// Assigns 0 or the empty string.
    fn reset(&mut self, place: Place, expression: &ast::Expression) -> Expression {
        let span = expression.span;
        let ty = self.type_of_place(&place);
        let zero = match ty {
            Type::String => ExpressionKind::String(Default::default()),
            _ => ExpressionKind::Long(0),
        };
        let kind = ExpressionKind::Assign(place, Box::new(Expression { kind: zero, ty, span }));
        Expression { kind, ty, span }
    }

    fn foreach(&mut self, foreach: &ast::Foreach) -> Option<Foreach> {
        let array = self.array(&foreach.over)?;
        if !foreach.slice.is_empty() {
            self.not_supported(foreach.over.span, "`foreach` over a part of an array");
        }
        let local = |this: &mut Self, name: &ast::Name| match this.locals.index(&name.text) {
            Some(index) => Some(LocalId(index)),
            None => {
                this.error(
                    "elaborate/foreach-global",
                    name.span,
                    format!("`{}` is a global: `foreach` takes locals", name.text),
                );
                None
            }
        };
        let keys: Option<Vec<LocalId>> = foreach.keys.iter().map(|name| local(self, name)).collect();
        let value = match &foreach.value {
            Some(name) => Some(local(self, name)?),
            None => None,
        };
        let order = match foreach.sort {
            None => Order::Any,
            Some(sort) => match sort.by {
                ast::SortBy::Key(key) => Order::By { by: SortBy::Key(key as u8), descending: sort.descending },
                ast::SortBy::Value => Order::By { by: SortBy::Value, descending: sort.descending },
                ast::SortBy::Aggregate(_) => {
                    self.not_supported(foreach.over.span, "sorting by an aggregate");
                    Order::Any
                }
            },
        };
        let limit = foreach.limit.as_ref().map(|limit| self.value(limit));
        let body = self.round(&foreach.body);
        Some(Foreach { array, keys: keys?, value, selection: Vec::new(), order, limit, body })
    }

    // Expressions

    /// An expression whose value nobody wants.
    fn effect(&mut self, expression: &ast::Expression) -> Expression {
        self.expression(expression)
    }

    /// An expression that must have a value.
    fn value(&mut self, expression: &ast::Expression) -> Expression {
        let value = self.expression(expression);
        if value.ty == Type::Void {
            self.error("elaborate/no-value", expression.span, "this gives no value");
        }
        value
    }

    fn boxed(&mut self, expression: &ast::Expression) -> Box<Expression> {
        Box::new(self.value(expression))
    }

    fn values(&mut self, expressions: &[ast::Expression]) -> Vec<Expression> {
        expressions.iter().map(|expression| self.value(expression)).collect()
    }

    fn expression(&mut self, expression: &ast::Expression) -> Expression {
        let span = expression.span;
        let (kind, ty) = match &expression.kind {
            Tree::Literal(LiteralValue::Number(number)) => (ExpressionKind::Long(*number), Type::Long),
            Tree::Literal(LiteralValue::String(string)) => (ExpressionKind::String(string.clone()), Type::String),
            Tree::Name(_) | Tree::Index { .. } => match self.place(expression) {
                Some(place) => {
                    let ty = self.type_of_place(&place);
                    (ExpressionKind::Read(place), ty)
                }
                None => return long(0, span),
            },
            Tree::In { keys, array } => match (self.array_named(&array.text, array.span), self.keys(keys)) {
                (Some(array), Some(keys)) => {
                    (ExpressionKind::Contains(array, keys.into_iter().map(Selector::Is).collect()), Type::Long)
                }
                _ => return long(0, span),
            },
            Tree::Call { function, arguments } => return self.call(&function.text, arguments, span),
            Tree::Unary(op, operand) => match op {
                Unary::Plus => return self.value(operand),
                Unary::Negate => (ExpressionKind::Unary(UnaryOp::Negate, self.boxed(operand)), Type::Long),
                Unary::Not => (ExpressionKind::Unary(UnaryOp::Not, self.boxed(operand)), Type::Long),
                Unary::LogicalNot => (ExpressionKind::Not(self.boxed(operand)), Type::Long),
            },
            Tree::Step { increment, postfix, target } => {
                let op = if *increment { BinaryOp::Add } else { BinaryOp::Subtract };
                return self.update(target, UpdateOp::Binary(op), long(1, span), *postfix, span);
            }
            Tree::Binary(op, a, b) => return self.binary(*op, a, b, span),
            Tree::Ternary(condition, a, b) => {
                let (condition, a, b) = (self.boxed(condition), self.boxed(a), self.boxed(b));
                let ty = a.ty;
                (ExpressionKind::Conditional(condition, a, b), ty)
            }
            Tree::Assign { op, target, value } => return self.assign(*op, target, value, span),
            Tree::Print(print) => return self.print(print, span),
            Tree::Target(_) | Tree::Member { .. } | Tree::Element { .. } => {
                return self.target_variable(expression).unwrap_or_else(|| long(0, span));
            }
            other => {
                self.not_supported(span, name_of(other));
                return long(0, span);
            }
        };
        Expression { kind, ty, span }
    }

    fn call(&mut self, name: &str, arguments: &[ast::Expression], span: Span) -> Expression {
        let values = self.values(arguments);
        match self.declarations.callee(name, arguments.len()) {
            Some(Callee::Functions(overloads)) => {
                if overloads.len() > 1 {
                    self.not_supported(span, "a function of which there are several with as many parameters");
                }
                let index = overloads[0];
                let ty = self.types.functions[index].result.map_or(Type::Void, |slot| self.types.of(slot));
                Expression { kind: ExpressionKind::Call(vec![FunctionId(index)], values), ty, span }
            }
            Some(Callee::Intrinsic(intrinsic)) => intrinsic_call(intrinsic, span),
            // Reported when the calls were collected.
            None => long(0, span),
        }
    }

    fn binary(&mut self, op: Binary, a: &ast::Expression, b: &ast::Expression, span: Span) -> Expression {
        let (a, b) = (self.boxed(a), self.boxed(b));
        let kind = match op {
            Binary::Add => ExpressionKind::Binary(BinaryOp::Add, a, b),
            Binary::Subtract => ExpressionKind::Binary(BinaryOp::Subtract, a, b),
            Binary::Multiply => ExpressionKind::Binary(BinaryOp::Multiply, a, b),
            Binary::Divide => ExpressionKind::Binary(BinaryOp::Divide, a, b),
            Binary::Modulo => ExpressionKind::Binary(BinaryOp::Modulo, a, b),
            Binary::And => ExpressionKind::Binary(BinaryOp::And, a, b),
            Binary::Or => ExpressionKind::Binary(BinaryOp::Or, a, b),
            Binary::Xor => ExpressionKind::Binary(BinaryOp::Xor, a, b),
            Binary::ShiftLeft => ExpressionKind::Binary(BinaryOp::ShiftLeft, a, b),
            Binary::ShiftRight => ExpressionKind::Binary(BinaryOp::ShiftRight, a, b),
            Binary::ShiftRightLogical => ExpressionKind::Binary(BinaryOp::ShiftRightLogical, a, b),
            Binary::LogicalAnd => ExpressionKind::And(a, b),
            Binary::LogicalOr => ExpressionKind::Or(a, b),
            Binary::Equal => ExpressionKind::Compare(Relation::Equal, a, b),
            Binary::NotEqual => ExpressionKind::Compare(Relation::NotEqual, a, b),
            Binary::Less => ExpressionKind::Compare(Relation::Less, a, b),
            Binary::LessEqual => ExpressionKind::Compare(Relation::LessEqual, a, b),
            Binary::Greater => ExpressionKind::Compare(Relation::Greater, a, b),
            Binary::GreaterEqual => ExpressionKind::Compare(Relation::GreaterEqual, a, b),
            Binary::Concat => return Expression { kind: ExpressionKind::Concat(a, b), ty: Type::String, span },
        };
        Expression { kind, ty: Type::Long, span }
    }

    fn assign(&mut self, op: Assign, target: &ast::Expression, value: &ast::Expression, span: Span) -> Expression {
        let value = self.value(value);
        match op {
            Assign::Set => {
                let Some(place) = self.place(target) else { return value };
                let ty = value.ty;
                Expression { kind: ExpressionKind::Assign(place, Box::new(value)), ty, span }
            }
            Assign::With(Binary::Concat) => self.update(target, UpdateOp::Concat, value, false, span),
            Assign::With(op) => match arithmetic(op) {
                Some(op) => self.update(target, UpdateOp::Binary(op), value, false, span),
                None => value,
            },
            Assign::Accumulate => {
                self.not_supported(span, "`<<<`");
                value
            }
        }
    }

    fn update(
        &mut self,
        target: &ast::Expression,
        op: UpdateOp,
        operand: Expression,
        postfix: bool,
        span: Span,
    ) -> Expression {
        let Some(place) = self.place(target) else { return operand };
        let ty = operand.ty;
        Expression { kind: ExpressionKind::Update { place, op, operand: Box::new(operand), postfix }, ty, span }
    }

    // Variables

    /// Something that can be read and assigned to.
    fn place(&mut self, expression: &ast::Expression) -> Option<Place> {
        match &expression.kind {
            Tree::Name(name) => {
                if let Some(index) = self.locals.index(name) {
                    return Some(Place::Local(LocalId(index)));
                }
                let global = self.declarations.global(name)?;
                if self.declarations.globals[global].key_count > 0 {
                    let message = format!("`{name}` is an array: it needs keys here");
                    self.error("elaborate/array-without-keys", expression.span, message);
                    return None;
                }
                Some(Place::Global(GlobalId(global)))
            }
            Tree::Index { base, keys } => {
                let array = self.array(base)?;
                Some(Place::Element(array, self.keys(keys)?))
            }
            Tree::Target(_) | Tree::Member { .. } | Tree::Element { .. } => {
                let message = "target variables cannot be written to";
                self.error("elaborate/target-write", expression.span, message);
                None
            }
            _ => {
                self.error("elaborate/not-assignable", expression.span, "this cannot be assigned to");
                None
            }
        }
    }

    fn type_of_place(&self, place: &Place) -> Type {
        let slot = match place {
            Place::Local(local) => self.locals.names[local.0].1,
            Place::Global(global) | Place::Element(global, _) => self.types.globals[global.0].value,
            Place::Memory { .. } | Place::Register(..) => return Type::Long,
        };
        self.types.of(slot)
    }

    fn array(&mut self, base: &ast::Expression) -> Option<GlobalId> {
        match &base.kind {
            Tree::Name(name) => self.array_named(name, base.span),
            Tree::Histogram { .. } => {
                self.not_supported(base.span, "a histogram");
                None
            }
            _ => {
                self.error("elaborate/not-an-array", base.span, "only an array has keys");
                None
            }
        }
    }

    fn array_named(&mut self, name: &str, span: Span) -> Option<GlobalId> {
        match self.declarations.global(name) {
            Some(global) if self.locals.index(name).is_none() => Some(GlobalId(global)),
            _ => {
                let known = self.declarations.globals.iter().map(|global| global.declaration.name.text.as_str());
                let nearest = similar(name, known).first().map(|nearest| format!("did you mean `{nearest}`?"));
                let diagnostic = Diagnostic::error("elaborate/unknown-array", span, format!("unknown array `{name}`"));
                self.log.report(match nearest {
                    Some(nearest) => diagnostic.saying(nearest),
                    None => diagnostic.help(format!("arrays are global: declare it with `global {name}`")),
                });
                None
            }
        }
    }

    fn keys(&mut self, keys: &[Option<ast::Expression>]) -> Option<Vec<Expression>> {
        let mut values = Vec::new();
        for key in keys {
            match key {
                Some(key) => values.push(self.value(key)),
                None => {
                    let diagnostic = "a wildcard among keys is not supported by this version";
                    let span = keys.iter().flatten().next().map(|key| key.span)?;
                    self.error("elaborate/not-supported", span, diagnostic);
                    return None;
                }
            }
        }
        Some(values)
    }

    // Output

    fn print(&mut self, print: &Print, span: Span) -> Expression {
        let arguments = self.values(&print.arguments);
        let format = match &print.form {
            // What is no format was reported when types were inferred.
            PrintForm::Format(Literal { value: LiteralValue::String(text), .. }) => {
                Format::parse(text).unwrap_or_default()
            }
            PrintForm::Format(_) => Format::default(),
            PrintForm::Character => {
                let mut format = Format::default();
                format.push_conversion(Verb::Character);
                format
            }
            PrintForm::Plain { delimiter, newline } => plain(&arguments, delimiter.as_ref(), *newline),
        };
        let (kind, ty) = if print.to_string {
            (ExpressionKind::Format(format, arguments), Type::String)
        } else {
            (ExpressionKind::Print(format, arguments), Type::Void)
        };
        Expression { kind, ty, span }
    }

    // Target variables

    fn target_variable(&mut self, expression: &ast::Expression) -> Option<Expression> {
        match self.context {
            Context::Handler { derivation, resolver } => {
                let found = super::target::variable(expression, derivation, resolver);
                found.map_err(|diagnostic| self.log.report(*diagnostic)).ok()
            }
            Context::Function => {
                self.not_supported(expression.span, "a target variable in a function");
                None
            }
        }
    }
}

fn long(long: i64, span: Span) -> Expression {
    Expression { kind: ExpressionKind::Long(long), ty: Type::Long, span }
}

fn intrinsic_call(intrinsic: &Intrinsic, span: Span) -> Expression {
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
    };
    Expression { kind, ty: intrinsic.result, span }
}

/// The format of `print`, `println`, `printd`, `printdln`.
fn plain(arguments: &[Expression], delimiter: Option<&Literal>, newline: bool) -> Format {
    let mut format = Format::default();
    for (index, argument) in arguments.iter().enumerate() {
        if let (1.., Some(Literal { value: LiteralValue::String(delimiter), .. })) = (index, delimiter) {
            format.push_text(delimiter);
        }
        format.push_conversion(if argument.ty == Type::String { Verb::String } else { Verb::Decimal });
    }
    if newline {
        format.push_text(b"\n");
    }
    format
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

/// What a person calls an expression that is not supported yet.
fn name_of(kind: &Tree) -> &'static str {
    match kind {
        Tree::Match { .. } => "a regular expression",
        Tree::AtVar { .. } => "`@var`",
        Tree::Cast { .. } => "`@cast`",
        Tree::Pretty { .. } => "printing a structure",
        Tree::AddressOf(_) => "`&`",
        Tree::Defined(_) => "`@defined`",
        Tree::Entry(_) => "`@entry`",
        Tree::ProbeWrite(_) => "`@probewrite`",
        Tree::Perf(_) => "`@perf`",
        Tree::Const(_) => "`@const`",
        Tree::Enum(..) => "`@enum`",
        Tree::EnumName(..) => "`@enumname`",
        Tree::Deref { .. } => "raw memory access",
        Tree::Register { .. } => "raw register access",
        Tree::Aggregate { .. } => "a statistic",
        Tree::Histogram { .. } => "a histogram",
        _ => "this expression",
    }
}
