//! Target variables as text: `$x$` and `$x$$`, `$$vars` and its relatives.
//!
//! A struct or array in memory gets a function that takes its address, so that what leads there is read once. What cannot be
//! read when the probe fires shows as `ERROR`, what the compiler did not keep as `?`.

use bstr::BString;
use shared::abi::format::{Conversion, Format, Piece, Verb};
use shared::diagnostic::Span;
use shared::limits::{FORMAT_ARGUMENTS_MAX, STRING_BYTES_MAX, TYPE_NESTING_SHOWN_MAX};
use shared::probe;

use super::{Failure, Result, Target, entry_place, wrong};
use crate::debuginfo::{self, Availability, Encoding, Expr, Location, Moment, Role, Type as TargetType, Variable};
use crate::elaborate::unit::{At, Unit};
use crate::program::{
    Body, Expression, ExpressionKind, Function, Local, LocalId, Place, Statement, StatementKind, Type,
};

/// How much of structs and arrays is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::elaborate) enum Shown {
    /// Only that they are there; numbers in hexadecimal.
    Brief,
    /// `$`: what is in them, but not what is in that.
    Flat,
    /// `$$`: everything.
    Deep,
}

impl<'d> Unit<'_, 'd, '_> {
    /// `$x$` and `$x$$`. A pointer shows what it points to, where that is a struct.
    pub(in crate::elaborate) fn text(
        &mut self,
        target: &Target<'d>,
        given: &[Expression],
        shown: Shown,
        span: Span,
    ) -> Result<Expression> {
        let variable = self.pointee(target).unwrap_or_else(|| target.variable.clone());
        let target = Target { variable, ..target.clone() };
        match &target.variable.location {
            Location::Memory(address) if self.is_compound(&target) => {
                let address = self.make(&target, given, span).expression(address)?;
                Ok(self.text_function(&target, address, shown, span))
            }
            _ => {
                let mut writer = Writer::new(self, &target, given, span);
                writer.value(&target.variable, shown, 0);
                Ok(writer.finish())
            }
        }
    }

    /// What a pointer to a struct or union points to.
    fn pointee(&self, target: &Target<'d>) -> Option<Variable> {
        let pointed = self.debuginfo(target).deref(&target.variable).ok()?;
        let (_, ty) = self.debuginfo(target).resolved_type(pointed.type_id).ok()?;
        matches!(ty, TargetType::Struct { .. }).then_some(pointed)
    }

    fn is_compound(&self, target: &Target<'d>) -> bool {
        let resolved = self.debuginfo(target).resolved_type(target.variable.type_id);
        matches!(resolved, Ok((_, TargetType::Struct { .. } | TargetType::Array { .. })))
    }

    /// A call of a function that makes the text of what is at an address.
    fn text_function(&mut self, target: &Target<'d>, address: Expression, shown: Shown, span: Span) -> Expression {
        let variable = Variable { location: Location::Memory(Expr::Given(0)), ..target.variable.clone() };
        let base = Expression { kind: ExpressionKind::Read(Place::Local(LocalId(0))), ty: Type::Long, span };
        let given = [base];
        let mut writer = Writer::new(self, target, &given, span);
        writer.value(&variable, shown, 0);
        let value = writer.finish();
        let suffix = if shown == Shown::Deep { "$$" } else { "$" };
        let name = format!("{}{suffix}", self.type_name(target.file, target.variable.type_id));
        let body = Body {
            locals: vec![Local { name: "base".to_owned(), ty: Type::Long }],
            statements: vec![Statement { kind: StatementKind::Return(Some(value)), span }],
        };
        let function = self.functions.share(Function { name, parameter_count: 1, result: Type::String, body });
        string(ExpressionKind::Call(vec![function], vec![address]), span)
    }

    /// `$$vars`, `$$parms`, `$$locals`, `$$return`, and what identifies a probe.
    pub(in crate::elaborate) fn context_text(
        &mut self,
        name: &str,
        shown: Shown,
        at: At,
        span: Span,
    ) -> Result<Expression> {
        let roles: &[Role] = match name {
            "$$vars" => &[Role::Parameter, Role::Local],
            "$$parms" => &[Role::Parameter],
            "$$locals" => &[Role::Local],
            "$$return" => return self.return_text(shown, at, span),
            "$$name" => return self.name_text(at, span),
            _ => {
                let message = format!("there is no `{name}` here");
                let help = "the variables as text: $$vars, $$parms, $$locals, $$return";
                return Err(match wrong("elaborate/unknown-target-variable", span, message) {
                    Failure::Wrong(diagnostic) => Failure::Wrong(Box::new(diagnostic.help(help))),
                    waiting @ Failure::Waiting => waiting,
                });
            }
        };
        let scope = self.function_scope(at, span)?;
        let on_return = scope.place.moment == Moment::Return;
        let place = if on_return { entry_place(self, scope, span)? } else { scope.place.clone() };
        let known = self.resolver.file(scope.file).variables(&place);
        let known = known.map_err(|error| self.explain(error.into(), span))?;
        let none = Variable { type_id: debuginfo::TypeId::VOID, location: Location::Bytes(Vec::new()), bits: None };
        let (file, space) = (scope.file, scope.space);
        let target = Target { variable: none, file, space, given: Vec::new(), saved: false };
        let mut writer = Writer::new(self, &target, &[], span);
        let wanted = known.iter().filter(|known| roles.contains(&known.role));
        for (index, known) in wanted.enumerate() {
            writer.text(if index == 0 { "" } else { " " });
            writer.text(&known.name);
            writer.text("=");
            let found = writer.unit.resolver.file(file).variable(&place, &known.name);
            match found.ok().filter(|_| known.availability == Availability::Here) {
                Some(variable) => writer.value(&variable, shown, 0),
                None => writer.text("?"),
            }
        }
        let text = writer.finish();
        let is_saved = on_return && !at.entry;
        Ok(if is_saved { string(ExpressionKind::Entry(Box::new(text)), span) } else { text })
    }

    fn return_text(&mut self, shown: Shown, at: At, span: Span) -> Result<Expression> {
        let scope = self.function_scope(at, span)?;
        let returned = match scope.place.moment {
            Moment::Return if !at.entry => self.resolver.file(scope.file).return_value(&scope.place).ok(),
            _ => None,
        };
        let Some(variable) = returned else { return Ok(string(ExpressionKind::String(BString::default()), span)) };
        let (file, space) = (scope.file, scope.space);
        let target = Target { variable: variable.clone(), file, space, given: Vec::new(), saved: false };
        let mut writer = Writer::new(self, &target, &[], span);
        writer.text("return=");
        writer.value(&variable, shown, 0);
        Ok(writer.finish())
    }

    /// `$$name`: of the kernel's own tracepoints so far.
    fn name_text(&self, at: At, span: Span) -> Result<Expression> {
        match self.derivation(at.body).map(|derivation| &derivation.point.place) {
            Some(probe::Place::Tracepoint { name }) => Ok(string(ExpressionKind::String(name.as_str().into()), span)),
            _ => Err(wrong("elaborate/unknown-target-variable", span, "only static probe points have a `$$name`")),
        }
    }
}

fn string(kind: ExpressionKind, span: Span) -> Expression {
    Expression { kind, ty: Type::String, span }
}

/// Text in the making: a format and its arguments.
struct Writer<'w, 'u, 'd, 'e> {
    unit: &'w Unit<'u, 'd, 'e>,
    target: &'w Target<'d>,
    given: &'w [Expression],
    span: Span,
    format: Format,
    arguments: Vec<Expression>,
    text_bytes: usize,
}

impl<'w, 'u, 'd, 'e> Writer<'w, 'u, 'd, 'e> {
    fn new(unit: &'w Unit<'u, 'd, 'e>, target: &'w Target<'d>, given: &'w [Expression], span: Span) -> Self {
        Self { unit, target, given, span, format: Format::default(), arguments: Vec::new(), text_bytes: 0 }
    }

    /// The text; where something of it cannot be read, `ERROR`.
    fn finish(self) -> Expression {
        let span = self.span;
        let text = string(ExpressionKind::Format(self.format, self.arguments), span);
        let error = string(ExpressionKind::String("ERROR".into()), span);
        string(ExpressionKind::Catch(Box::new(text), Box::new(error)), span)
    }

    fn text(&mut self, text: &str) {
        self.text_bytes += text.len();
        self.format.push_text(text.as_bytes());
    }

    fn is_full(&self) -> bool {
        self.arguments.len() >= FORMAT_ARGUMENTS_MAX || self.text_bytes >= usize::from(STRING_BYTES_MAX)
    }

    fn value(&mut self, variable: &Variable, shown: Shown, depth: usize) {
        if self.is_full() {
            return self.text("...");
        }
        let debuginfo = self.unit.debuginfo(self.target);
        let Ok((_, ty)) = debuginfo.resolved_type(variable.type_id) else { return self.text("?") };
        let is_open = match shown {
            Shown::Brief => false,
            Shown::Flat => depth == 0,
            Shown::Deep => depth < TYPE_NESTING_SHOWN_MAX,
        };
        match ty {
            TargetType::Struct { .. } if is_open => self.members(variable, shown, depth),
            TargetType::Struct { .. } => self.text("{...}"),
            TargetType::Array { element, count } if shown != Shown::Brief && self.is_character(element) => {
                let address = match &variable.location {
                    Location::Memory(address) => self.make().expression(address).ok(),
                    _ => None,
                };
                match address {
                    Some(address) => self.string_at(address, count),
                    None => self.text("?"),
                }
            }
            TargetType::Array { count, .. } if is_open => self.elements(variable, count, shown, depth),
            TargetType::Array { .. } => self.text("[...]"),
            TargetType::Pointer { to } if shown != Shown::Brief && self.is_character(to) => match self.read(variable) {
                Some(address) => self.string_at(address, None),
                None => self.text("?"),
            },
            _ => match self.read(variable) {
                Some(value) => self.number(&ty, shown, value),
                None => self.text("?"),
            },
        }
    }

    fn number(&mut self, ty: &TargetType, shown: Shown, value: Expression) {
        let quote = if shown != Shown::Brief && is_character(ty) { "'" } else { "" };
        let conversion = match ty {
            _ if shown == Shown::Brief => Conversion { verb: Verb::Hex, alternate: true, ..Conversion::default() },
            _ if is_character(ty) => Conversion { verb: Verb::Character, ..Conversion::default() },
            TargetType::Pointer { .. } => Conversion { verb: Verb::Pointer, ..Conversion::default() },
            TargetType::Float { .. } => Conversion { verb: Verb::Hex, alternate: true, ..Conversion::default() },
            TargetType::Integer { encoding: Encoding::Unsigned | Encoding::Bool, .. } => {
                Conversion { verb: Verb::Unsigned, ..Conversion::default() }
            }
            _ => Conversion::default(),
        };
        self.text(quote);
        self.format.pieces.push(Piece::Conversion(conversion));
        self.arguments.push(value);
        self.text(quote);
    }

    /// The string at an address, of at most so many bytes, in quotes.
    fn string_at(&mut self, address: Expression, bytes_max: Option<u64>) {
        let number = |bytes: u64| ExpressionKind::Long(i64::try_from(bytes).unwrap_or(i64::MAX));
        let length =
            bytes_max.map(|bytes| Box::new(Expression { kind: number(bytes), ty: Type::Long, span: self.span }));
        let load = string(ExpressionKind::LoadString(self.target.space, Box::new(address), length), self.span);
        let unknown = string(ExpressionKind::String("???".into()), self.span);
        self.text("\"");
        self.format.push_conversion(Verb::String);
        self.arguments.push(string(ExpressionKind::Catch(Box::new(load), Box::new(unknown)), self.span));
        self.text("\"");
    }

    fn members(&mut self, variable: &Variable, shown: Shown, depth: usize) {
        let members = self.unit.debuginfo(self.target).members(variable.type_id).unwrap_or_default();
        self.text("{");
        for (index, member) in members.iter().enumerate() {
            self.text(if index == 0 { "" } else { ", " });
            if self.is_full() {
                self.text("...");
                break;
            }
            if let Some(name) = &member.name {
                self.text(&format!(".{name}="));
            }
            // What has no name is part of what it lies in.
            let depth = if member.name.is_some() { depth + 1 } else { depth };
            match self.member(variable, member) {
                Some(member) => self.value(&member, shown, depth),
                None => self.text("?"),
            }
        }
        self.text("}");
    }

    fn member(&self, variable: &Variable, member: &debuginfo::Member) -> Option<Variable> {
        match (&variable.location, &member.name) {
            (Location::Memory(address), _) => {
                let offset = Box::new(Expr::Constant(member.offset));
                let address = Expr::Binary(debuginfo::BinaryOp::Add, Box::new(address.clone()), offset);
                let location = Location::Memory(address);
                Some(Variable { type_id: member.type_id, location, bits: member.bits })
            }
            (_, Some(name)) => self.unit.debuginfo(self.target).member(variable, name).ok(),
            (_, None) => None,
        }
    }

    fn elements(&mut self, variable: &Variable, count: Option<u64>, shown: Shown, depth: usize) {
        self.text("[");
        for index in 0..count.unwrap_or(0) {
            self.text(if index == 0 { "" } else { ", " });
            if self.is_full() {
                self.text("...");
                break;
            }
            match self.unit.debuginfo(self.target).index(variable, Expr::Constant(index)) {
                Ok(element) => self.value(&element, shown, depth + 1),
                Err(_) => {
                    self.text("?");
                    break;
                }
            }
        }
        self.text("]");
    }

    fn make(&self) -> super::read::Make<'_, 'e> {
        self.unit.make(self.target, self.given, self.span)
    }

    fn read(&self, variable: &Variable) -> Option<Expression> {
        let target = Target { variable: variable.clone(), ..self.target.clone() };
        self.unit.read(&target, self.given, self.span).ok()
    }

    fn is_character(&self, id: debuginfo::TypeId) -> bool {
        self.unit.debuginfo(self.target).resolved_type(id).is_ok_and(|(_, ty)| is_character(&ty))
    }
}

fn is_character(ty: &TargetType) -> bool {
    matches!(ty, TargetType::Integer { size: 1, encoding: Encoding::SignedChar | Encoding::UnsignedChar, .. })
}
