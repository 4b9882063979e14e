//! Target variables and the operators that begin with `@`: what each comes to at this place.

use std::collections::BTreeMap;

use bstr::BString;
use shared::diagnostic::{Diagnostic, Severity, Span};
use shared::ir::{Space, Width};
use shared::probe::ProbeKind;

use super::{Lower, long, zero};
use crate::ast::{self, Block, ExpressionKind as Tree, Literal, LiteralValue, Statement, StatementKind};
use crate::debuginfo::{Enumerator, Expr, Location, Moment};
use crate::elaborate::target::{Failure, Shown, Target, text_of, wrong};
use crate::elaborate::unit::{At, Owner};
use crate::elaborate::{constant, uses};
use crate::program::{Expression, ExpressionKind, Place, Type};

type Result<T> = std::result::Result<T, Failure>;

impl<'d> Lower<'_, '_, 'd, '_> {
    /// The value of a target expression; 0 where there is none.
    pub(super) fn target_value(&mut self, expression: &'d ast::Expression) -> Expression {
        let span = expression.span;
        let found = match &expression.kind {
            Tree::Target(name) if name.starts_with("$$") => self.unit.context_text(name, Shown::Brief, self.at, span),
            _ => self.unit.find(expression, self.at).and_then(|target| self.read_target(&target, span)),
        };
        let ty = match &expression.kind {
            Tree::Target(name) if name.starts_with("$$") => Type::String,
            _ => Type::Long,
        };
        self.settle(found, ty, span)
    }

    fn read_target(&mut self, target: &Target<'d>, span: Span) -> Result<Expression> {
        let given = self.given(target);
        let value = self.unit.read(target, &given, span)?;
        Ok(self.at_entry_if(target.saved, value))
    }

    /// The numbers that the script supplies to a target expression.
    fn given(&mut self, target: &Target<'d>) -> Vec<Expression> {
        target.given.iter().map(|given| self.value(given)).collect()
    }

    fn at_entry_if(&self, saved: bool, value: Expression) -> Expression {
        if !saved {
            return value;
        }
        let (ty, span) = (value.ty, value.span);
        Expression { kind: ExpressionKind::Entry(Box::new(value)), ty, span }
    }

    /// What was found; where nothing was, that is said, and something harmless stands for it.
    fn settle(&mut self, found: Result<Expression>, ty: Type, span: Span) -> Expression {
        found.unwrap_or_else(|failure| {
            if let Failure::Wrong(diagnostic) = failure {
                self.report_missing(*diagnostic);
            }
            zero(ty, span)
        })
    }

    /// Reports that there is no such thing at this place; with `--skip-badvars` that is no error.
    fn report_missing(&mut self, diagnostic: Diagnostic) {
        if self.unit.environment.options.skip_badvars {
            let diagnostic = Diagnostic { severity: Severity::Warning, ..diagnostic };
            return self.report(diagnostic.note("0 or the empty string stands for it (--skip-badvars)"));
        }
        self.report(diagnostic);
    }

    /// A target expression that is assigned to.
    pub(super) fn target_place(&mut self, expression: &'d ast::Expression) -> Option<Place> {
        let span = expression.span;
        if !self.unit.environment.guru {
            let message = "target variables cannot be written to";
            let diagnostic = Diagnostic::error("elaborate/target-write", span, message);
            self.report(diagnostic.help("guru mode (-g) allows it"));
            return None;
        }
        let found = self.unit.find(expression, self.at).and_then(|target| {
            let given = self.given(&target);
            self.unit.target_place(&target, &given, span)
        });
        match found {
            Ok(place) => Some(place),
            Err(Failure::Wrong(diagnostic)) => {
                self.report(*diagnostic);
                None
            }
            Err(Failure::Waiting) => None,
        }
    }

    pub(super) fn operator(&mut self, expression: &'d ast::Expression) -> Expression {
        let span = expression.span;
        let (found, ty) = match &expression.kind {
            Tree::Pretty { base, deep } => (self.pretty(base, *deep, span), Type::String),
            Tree::AddressOf(inner) => (self.address_of(inner, span), Type::Long),
            Tree::Defined(inner) => (Ok(long(i64::from(self.is_defined(inner)), span)), Type::Long),
            Tree::Entry(inner) => return self.entry(inner, span),
            Tree::ProbeWrite(name) => (Ok(long(i64::from(self.writes(&name.text)), span)), Type::Long),
            Tree::Perf(name) => (self.perf(name), Type::Long),
            Tree::Const(name) => (constant_value(name), Type::Long),
            Tree::Enum(name, module) => (self.enumerator(name, module.as_ref(), span), Type::Long),
            Tree::EnumName(inner, ty, module) => {
                (self.enumerator_name(inner, ty.as_ref(), module.as_ref(), span), Type::String)
            }
            Tree::Deref { user, size, address } => (self.deref(*user, size, address, span), Type::Long),
            Tree::Register { user, number } => (self.register(*user, number, span), Type::Long),
            Tree::Aggregate { aggregate, statistic, .. } => {
                let Some(place) = self.statistic(statistic) else { return long(0, span) };
                let kind = ExpressionKind::Aggregate((*aggregate).into(), place);
                (Ok(Expression { kind, ty: Type::Long, span }), Type::Long)
            }
            // A histogram that is neither printed, indexed nor walked through was refused when it was parsed.
            _ => (Ok(long(0, span)), Type::Long),
        };
        self.settle(found, ty, span)
    }

    // Text and addresses

    fn pretty(&mut self, base: &'d ast::Expression, deep: bool, span: Span) -> Result<Expression> {
        let shown = if deep { Shown::Deep } else { Shown::Flat };
        match &base.kind {
            Tree::Target(name) if name.starts_with("$$") => self.unit.context_text(name, shown, self.at, span),
            _ => {
                let target = self.unit.find(base, self.at)?;
                let given = self.given(&target);
                let text = self.unit.text(&target, &given, shown, span)?;
                Ok(self.at_entry_if(target.saved, text))
            }
        }
    }

    fn address_of(&mut self, inner: &'d ast::Expression, span: Span) -> Result<Expression> {
        let address = self.unit.find_address(inner, self.at)?;
        self.read_target(&address, span)
    }

    // What is there

    /// Whether an expression has a meaning at this place.
    fn is_defined(&mut self, inner: &'d ast::Expression) -> bool {
        let log = std::mem::take(self.unit.log);
        let lowered = match &inner.kind {
            // A struct is there although it has no value.
            Tree::Target(name) if !name.starts_with("$$") => self.unit.find(inner, self.at).is_ok(),
            Tree::Member { .. } | Tree::Element { .. } | Tree::AtVar { .. } | Tree::Cast { .. } => {
                self.unit.find(inner, self.at).is_ok()
            }
            _ => {
                self.effect(inner);
                true
            }
        };
        let tried = std::mem::replace(self.unit.log, log);
        let is_clean = !tried.has_errors();
        self.unit.log.add_needs(tried);
        lowered && is_clean
    }

    /// Whether the handler itself, and not an alias around it, assigns to a variable.
    fn writes(&self, name: &str) -> bool {
        let Owner::Probe(probe) = self.at.body.owner else { return false };
        uses::assigns(own_block(&self.unit.declarations.probes[probe].body), name)
    }

    // Moments

    /// `@entry(e)`: what an expression gave when the function was entered.
    fn entry(&mut self, inner: &'d ast::Expression, span: Span) -> Expression {
        let scope = self.unit.scope(self.at.body);
        if !scope.is_ok_and(|scope| scope.place.moment == Moment::Return) || self.at.entry {
            let message = "`@entry` is for probes of a return";
            self.error("elaborate/entry", span, message);
            return long(0, span);
        }
        let outside = self.at;
        self.at = At { entry: true, ..outside };
        let value = self.value(inner);
        self.at = outside;
        self.at_entry_if(true, value)
    }

    /// `@perf("name")`: one of the script's probes counts it.
    fn perf(&self, name: &Literal) -> Result<Expression> {
        let text = text_of(name);
        let counter = format!("counter({text:?})");
        let mut places = self.unit.declarations.probes.iter().flat_map(|probe| &probe.derivations);
        if !places.any(|derivation| derivation.point.name.contains(&counter)) {
            let message = format!("there is no performance counter `{text}`");
            let diagnostic = Diagnostic::error("elaborate/unknown-counter", name.span, message);
            let help = format!("name one: `probe perf.hw.cpu_cycles.process(\"…\").counter(\"{text}\") {{}}`");
            return Err(Failure::Wrong(Box::new(diagnostic.help(help))));
        }
        Ok(Expression { kind: ExpressionKind::Perf(text), ty: Type::Long, span: name.span })
    }

    // Names of C

    fn enumerator(&mut self, name: &Literal, module: Option<&Literal>, span: Span) -> Result<Expression> {
        let (file, _) = self.unit.module(module, self.at, span)?;
        let text = text_of(name);
        let found = self.unit.resolver.file(file).enumerator(&text).ok().flatten();
        match found.map(|variable| variable.location) {
            Some(Location::Value(Expr::Constant(number))) => Ok(long(number.cast_signed(), span)),
            _ => Err(wrong("elaborate/unknown-enumerator", name.span, format!("there is no enumerator `{text}`"))),
        }
    }

    /// `@enumname(e, "enum", "module")`
    fn enumerator_name(
        &mut self,
        inner: &'d ast::Expression,
        ty: Option<&Literal>,
        module: Option<&Literal>,
        span: Span,
    ) -> Result<Expression> {
        let (file, type_id) = match ty {
            Some(ty) => {
                let (file, _) = self.unit.module(module, self.at, span)?;
                (file, self.unit.enum_named(file, ty)?)
            }
            None => {
                let target = self.unit.find(inner, self.at)?;
                (target.file, target.variable.type_id)
            }
        };
        let enumerators = self.unit.resolver.file(file).enumerators(type_id).unwrap_or_default();
        if enumerators.is_empty() {
            let message = format!("`{}` has no enumerators", self.unit.type_name(file, type_id));
            return Err(wrong("elaborate/not-an-enum", ty.map_or(inner.span, |ty| ty.span), message));
        }
        // Of several names for a value, the first counts.
        let mut names = BTreeMap::new();
        for Enumerator { name, value } in enumerators {
            names.entry(value).or_insert_with(|| BString::from(name));
        }
        let kind = ExpressionKind::EnumName(Box::new(self.value(inner)), names);
        Ok(Expression { kind, ty: Type::String, span })
    }

    // Raw access

    fn deref(&mut self, user: bool, size: &Literal, address: &'d ast::Expression, span: Span) -> Result<Expression> {
        let LiteralValue::Number(bytes @ (1 | 2 | 4 | 8)) = size.value else {
            return Err(wrong("elaborate/raw-size", size.span, "memory is read by 1, 2, 4 or 8 bytes"));
        };
        let width = Width { bytes: bytes as u8, signed: false };
        let space = if user { Space::User } else { Space::Kernel };
        let kind = ExpressionKind::Load(space, width, Box::new(self.value(address)));
        Ok(Expression { kind, ty: Type::Long, span })
    }

    fn register(&self, user: bool, number: &Literal, span: Span) -> Result<Expression> {
        let LiteralValue::Number(register @ 0..=16) = number.value else {
            let message = "registers are named by their DWARF numbers: 0 to 16";
            return Err(wrong("elaborate/register", number.span, message));
        };
        let kind = self.unit.derivation(self.at.body).map(|derivation| derivation.point.place.kind());
        let register = register as u8;
        let kind = match kind {
            Some(ProbeKind::Uprobe) if user => ExpressionKind::Register(register),
            Some(ProbeKind::Kprobe | ProbeKind::Tracepoint) if user => ExpressionKind::UserRegister(register),
            Some(ProbeKind::Kprobe) => ExpressionKind::Register(register),
            _ => {
                let message = "there are no such registers where this probe fires";
                return Err(wrong("elaborate/register", span, message));
            }
        };
        Ok(Expression { kind, ty: Type::Long, span })
    }
}

fn constant_value(name: &Literal) -> Result<Expression> {
    let text = text_of(name);
    constant::value(&text).map(|value| long(value, name.span)).ok_or_else(|| {
        let message = format!("the value of the C constant `{text}` is not known without a C compiler");
        let diagnostic = Diagnostic::error("elaborate/unknown-constant", name.span, message);
        Failure::Wrong(Box::new(diagnostic.help("write the number; enumerators are found by `@enum(\"NAME\")`")))
    })
}

/// A handler without the aliases around it: where there are any, they made a block around it that has its place.
fn own_block(body: &Block) -> &Block {
    // `--suppress-handler-errors` puts all of it into a `try`.
    if let [Statement { kind: StatementKind::Try { body, .. }, span }] = body.statements.as_slice()
        && *span == body.span
    {
        return own_block(body);
    }
    let own = body.statements.iter().find_map(|statement| match &statement.kind {
        StatementKind::Block(block) if statement.span == body.span => Some(block),
        _ => None,
    });
    own.unwrap_or(body)
}
