//! Target variables: `$x`, `$return`, `@var`, `@cast`, and the steps `->`, `[]`, `&` from them or from pointers that the
//! script holds. Here it is found out what an expression names; [`read`] makes a value of it, [`text`] text.

use shared::diagnostic::{Diagnostic, Note, Span, similar};
use shared::ir::Space;

use super::pointer::{Known, Pointer};
use super::probe::{FunctionScope, Unresolved};
use super::unit::{At, Unit};
use crate::ast::{self, ExpressionKind as Tree, Literal, LiteralValue};
use crate::debuginfo::{
    Availability, Debuginfo, DebuginfoError, Expr, Location, Moment, Place, ScopedVariable, Type as TargetType, TypeId,
    Variable, VariableError,
};

pub(super) use text::Shown;

mod read;

mod text;

/// Why a target expression has no meaning.
pub(super) enum Failure {
    /// Something is wrong with it.
    Wrong(Box<Diagnostic>),
    /// Something has to be asked or fetched first.
    Waiting,
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// What a target expression names.
#[derive(Debug, Clone)]
pub(super) struct Target<'d> {
    pub(super) variable: Variable,
    /// The debug file that describes it.
    pub(super) file: usize,
    /// Whose memory its pointers point into.
    pub(super) space: Space,
    /// The numbers that the script supplies: what [`Expr::Given`] counts.
    pub(super) given: Vec<&'d ast::Expression>,
    /// Whether it is looked at when the probed function is entered, although the probe fires when it returns.
    pub(super) saved: bool,
}

impl<'d, 'e> Unit<'_, 'd, 'e> {
    /// What an expression names.
    pub(super) fn find(&mut self, expression: &'d ast::Expression, at: At) -> Result<Target<'d>> {
        let span = expression.span;
        match &expression.kind {
            Tree::Target(name) => self.find_variable(name, at, span),
            Tree::AtVar { name, module } => self.find_global(name, module.as_ref(), at, span),
            Tree::Cast { operand, ty, module } => self.find_cast(operand, ty, module.as_ref(), at, span),
            Tree::Member { base, member } => {
                let base = self.find(base, at)?;
                let variable = self.debuginfo(&base).member(&base.variable, &member.text);
                let variable = variable.map_err(|error| self.explain(error, member.span))?;
                Ok(Target { variable, ..base })
            }
            Tree::Element { base, index } => self.find_element(base, index, at, span),
            Tree::Index { base, keys } => match (&base.kind, keys.as_slice()) {
                (Tree::Name(name), _) if self.is_array(name, at.body) => self.find_pointed(expression, at),
                (_, [Some(index)]) => self.find_element(base, index, at, span),
                _ => Err(wrong("elaborate/pointer-index", span, "a pointer is indexed by one number")),
            },
            _ => self.find_pointed(expression, at),
        }
    }

    /// `$x` and `$return`
    fn find_variable(&mut self, name: &str, at: At, span: Span) -> Result<Target<'d>> {
        let scope = self.function_scope(at, span)?;
        let debuginfo = self.resolver.file(scope.file);
        let bare = name.trim_start_matches('$');
        let on_return = scope.place.moment == Moment::Return;
        let (found, saved) = match (name, on_return, at.entry) {
            ("$return", true, false) => (debuginfo.return_value(&scope.place), false),
            ("$return", ..) => {
                let message = "a function has no return value before it returns";
                return Err(wrong("elaborate/return-at-entry", span, message));
            }
            (_, false, _) => (debuginfo.variable(&scope.place, bare), false),
            // What the function was called with is looked at when it is called.
            (_, true, _) => (debuginfo.variable(&entry_place(self, scope, span)?, bare), true),
        };
        let variable = found.map_err(|error| self.explain(error, span))?;
        let saved = saved && !at.entry;
        Ok(Target { variable, file: scope.file, space: scope.space, given: Vec::new(), saved })
    }

    /// `@var("x@file", "module")`
    fn find_global(&mut self, name: &Literal, module: Option<&Literal>, at: At, span: Span) -> Result<Target<'d>> {
        let (file, space) = self.module(module, at, span)?;
        let text = text_of(name);
        let (bare, source) = match text.split_once('@') {
            Some((bare, source)) => (bare, Some(source)),
            None => (text.as_str(), None),
        };
        let debuginfo = self.resolver.file(file);
        // A name alone is first looked for where the probe is.
        let scope = self.scope(at.body).ok().filter(|scope| scope.file == file && source.is_none());
        let near = scope.and_then(|scope| debuginfo.variable(&scope.place, bare).ok());
        let found = near.map_or_else(|| debuginfo.global(bare, source), Ok);
        let variable = found.map_err(|error| self.explain(error, name.span))?;
        Ok(Target { variable, file, space, given: Vec::new(), saved: false })
    }

    /// `@cast(e, "type", "module")`: a pointer to the type, or of the type where that is a pointer itself.
    fn find_cast(
        &mut self,
        operand: &'d ast::Expression,
        ty: &Literal,
        module: Option<&Literal>,
        at: At,
        span: Span,
    ) -> Result<Target<'d>> {
        let (file, space, type_id) = self.type_in(module, ty, at, span)?;
        let debuginfo = self.resolver.file(file);
        let explain = |error: DebuginfoError| damaged(error, span);
        let type_id = match debuginfo.resolved_type(type_id).map_err(explain)?.1 {
            TargetType::Pointer { .. } => type_id,
            _ => type_id.pointer().map_err(explain)?,
        };
        let variable = Variable { type_id, location: Location::Value(Expr::Given(0)), bits: None };
        Ok(Target { variable, file, space, given: vec![operand], saved: false })
    }

    /// A type by its C name.
    pub(super) fn type_named(&self, file: usize, name: &Literal) -> Result<TypeId> {
        let text = text_of(name);
        let found = self.resolver.file(file).type_named(&text).map_err(|error| damaged(error, name.span))?;
        found.ok_or_else(|| unknown_type(name))
    }

    /// An enumeration by its C name, with or without `enum`.
    pub(super) fn enum_named(&self, file: usize, name: &Literal) -> Result<TypeId> {
        let text = text_of(name);
        if !text.starts_with("enum ") {
            let tagged = self.resolver.file(file).type_named(&format!("enum {text}"));
            if let Some(found) = tagged.map_err(|error| damaged(error, name.span))? {
                return Ok(found);
            }
        }
        self.type_named(file, name)
    }

    fn find_element(
        &mut self,
        base: &'d ast::Expression,
        index: &'d ast::Expression,
        at: At,
        span: Span,
    ) -> Result<Target<'d>> {
        let mut base = self.find(base, at)?;
        let index = match index.kind {
            Tree::Literal(LiteralValue::Number(number)) => Expr::Constant(number.cast_unsigned()),
            _ if base.saved => {
                let message = "what is saved at the function's entry is indexed by literal numbers only";
                return Err(wrong("elaborate/entry-index", index.span, message));
            }
            _ => {
                base.given.push(index);
                Expr::Given(base.given.len() as u32 - 1)
            }
        };
        let found = self.debuginfo(&base).index(&base.variable, index);
        let variable = found.map_err(|error| self.explain(error, span))?;
        Ok(Target { variable, ..base })
    }

    /// A value of the script that is known to be a pointer.
    fn find_pointed(&mut self, expression: &'d ast::Expression, at: At) -> Result<Target<'d>> {
        let span = expression.span;
        match self.pointer_of(expression, at) {
            Known::One(Pointer { file, type_id, space }) => {
                let variable = Variable { type_id, location: Location::Value(Expr::Given(0)), bits: None };
                Ok(Target { variable, file, space, given: vec![expression], saved: false })
            }
            Known::Nothing => {
                let message = "nothing says what this points to";
                let diagnostic = Diagnostic::error("elaborate/no-pointer-type", span, message);
                let help = "assign a pointer of the target's to it, or name the type: `@cast(…, \"struct name\")`";
                Err(Failure::Wrong(Box::new(diagnostic.help(help))))
            }
            Known::Conflict(a, b) => {
                let name = |pointer: Pointer| self.type_name(pointer.file, pointer.type_id);
                let message = format!("this is a `{}` at one time and a `{}` at another", name(a), name(b));
                let diagnostic = Diagnostic::error("elaborate/pointer-conflict", span, message);
                let help = "name the type that is meant: `@cast(…, \"struct name\")`";
                Err(Failure::Wrong(Box::new(diagnostic.help(help))))
            }
        }
    }

    /// `&` of what an expression names.
    pub(super) fn address_of(&self, target: &Target<'d>, span: Span) -> Result<Target<'d>> {
        let found = self.debuginfo(target).address_of(&target.variable);
        let variable = found.map_err(|error| self.explain(error, span))?;
        Ok(Target { variable, ..target.clone() })
    }

    /// The type of the pointer that an expression gives, where it gives one.
    pub(super) fn pointer_type(&self, target: &Target<'d>) -> Option<Pointer> {
        let type_id = target.variable.type_id;
        let (_, resolved) = self.debuginfo(target).resolved_type(type_id).ok()?;
        let pointer = Pointer { file: target.file, type_id, space: target.space };
        matches!(resolved, TargetType::Pointer { .. }).then_some(pointer)
    }

    /// The debug file that a module's name, or its absence, means, and whose memory pointers of it point into.
    pub(super) fn module(&mut self, module: Option<&Literal>, at: At, span: Span) -> Result<(usize, Space)> {
        match module {
            Some(module) => Ok(self.resolver.module(&text_of(module), module.span, self.log)?),
            None => match self.scope(at.body) {
                Ok(scope) => Ok((scope.file, scope.space)),
                Err(_) => Ok(self.resolver.module("kernel", span, self.log)?),
            },
        }
    }

    /// A type by its C name, in the first of several modules that has it: their names are separated by colons, and a header
    /// in angle brackets behind a name is only a hint.
    fn type_in(
        &mut self,
        modules: Option<&Literal>,
        ty: &Literal,
        at: At,
        span: Span,
    ) -> Result<(usize, Space, TypeId)> {
        let Some(modules) = modules else {
            let (file, space) = self.module(None, at, span)?;
            return Ok((file, space, self.type_named(file, ty)?));
        };
        let text = text_of(modules);
        let names = text.split(':').map(|name| name.split('<').next().unwrap_or(name));
        let mut found = Err(unknown_type(ty));
        for name in names {
            let name = if name.is_empty() { "kernel" } else { name };
            let (file, space) = self.resolver.module(name, modules.span, self.log)?;
            found = self.type_named(file, ty).map(|type_id| (file, space, type_id));
            if found.is_ok() {
                break;
            }
        }
        found
    }

    /// The function whose variables are there.
    pub(super) fn function_scope(&self, at: At, span: Span) -> Result<&'d FunctionScope> {
        self.scope(at.body).map_err(|why| {
            let place = self.derivation(at.body).map_or("a function", |derivation| &derivation.point.name);
            let message = format!("there are no target variables in {place}");
            let diagnostic = Diagnostic::error("elaborate/no-target-variables", span, message);
            Failure::Wrong(Box::new(diagnostic.note(why)))
        })
    }

    pub(super) fn debuginfo(&self, target: &Target<'d>) -> &Debuginfo<'e> {
        self.resolver.file(target.file)
    }

    pub(super) fn type_name(&self, file: usize, type_id: TypeId) -> String {
        self.resolver.file(file).type_name(type_id).unwrap_or_default()
    }

    pub(super) fn explain(&self, error: VariableError, span: Span) -> Failure {
        let (code, message) = match &error {
            VariableError::Unknown { name, function, .. } => {
                ("elaborate/unknown-target-variable", format!("no variable `${name}` in function `{function}`"))
            }
            VariableError::NoGlobal { .. } => ("elaborate/unknown-global-variable", error.to_string()),
            VariableError::NoMember { name, of, .. } => {
                ("elaborate/unknown-member", format!("`{of}` has no member `{name}`"))
            }
            VariableError::NotInScope { .. } | VariableError::OptimisedOut { .. } => {
                ("elaborate/unavailable-target-variable", error.to_string())
            }
            _ => ("elaborate/target-variable", error.to_string()),
        };
        let mut diagnostic = Diagnostic::error(code, span, message);
        let (name, known) = match error {
            VariableError::Unknown { name, known, .. }
            | VariableError::NotInScope { name, known, .. }
            | VariableError::OptimisedOut { name, known, .. } => (format!("${name}"), available(&known)),
            VariableError::NoMember { name, known, .. } => (name, known),
            _ => return Failure::Wrong(Box::new(diagnostic)),
        };
        let nearest = similar(&name, known.iter().map(String::as_str)).into_iter().find(|&nearest| nearest != name);
        if let Some(nearest) = nearest {
            diagnostic = diagnostic.saying(format!("did you mean `{nearest}`?"));
        }
        diagnostic.notes.push(Note::Note(if known.is_empty() {
            "nothing can be read here".to_owned()
        } else {
            format!("there is: {}", known.join(", "))
        }));
        Failure::Wrong(Box::new(diagnostic))
    }
}

/// Where the variables of a function that is left are looked at: where it is entered.
pub(super) fn entry_place(unit: &Unit<'_, '_, '_>, scope: &FunctionScope, span: Span) -> Result<Place> {
    let place = unit.resolver.file(scope.file).place(&scope.place.function, Moment::Entry);
    place.map_err(|error| damaged(error, span))
}

/// The variables that can be read, as a script names them.
fn available(known: &[ScopedVariable]) -> Vec<String> {
    let here = known.iter().filter(|variable| variable.availability == Availability::Here);
    here.map(|variable| format!("${}", variable.name)).collect()
}

pub(super) fn text_of(literal: &Literal) -> String {
    match &literal.value {
        LiteralValue::String(text) => text.to_string(),
        LiteralValue::Number(number) => number.to_string(),
    }
}

pub(super) fn wrong(code: &str, span: Span, message: impl Into<String>) -> Failure {
    Failure::Wrong(Box::new(Diagnostic::error(code, span, message)))
}

fn unknown_type(name: &Literal) -> Failure {
    let message = format!("there is no type `{}` in the debuginfo", text_of(name));
    wrong("elaborate/unknown-type", name.span, message)
}

fn damaged(error: DebuginfoError, span: Span) -> Failure {
    wrong("elaborate/target-variable", span, error.to_string())
}

impl From<Unresolved> for Failure {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Wrong(diagnostic) => Self::Wrong(diagnostic),
            Unresolved::Waiting | Unresolved::Unknown => Self::Waiting,
        }
    }
}
