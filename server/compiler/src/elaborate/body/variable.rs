//! Variables, entries of arrays, statistics, and whatever else can be read and assigned to.

use shared::diagnostic::{Diagnostic, Span, similar};

use super::Lower;
use crate::ast::{self, ExpressionKind as Tree};
use crate::elaborate::pointer::Known;
use crate::program::{Expression, GlobalId, HistogramOf, LocalId, Place, Selector, Type};

impl<'d> Lower<'_, '_, 'd, '_> {
    /// Something that can be read and assigned to; not yet whether it may.
    pub(super) fn place(&mut self, expression: &'d ast::Expression) -> Option<Place> {
        match &expression.kind {
            Tree::Name(name) => self.named_place(name, expression.span),
            Tree::Index { base, .. } if self.is_pointer_index(base) => {
                if self.check_pointer_index(base) {
                    self.target_place(expression)
                } else {
                    None
                }
            }
            Tree::Index { base, keys } => {
                let array = self.array(base)?;
                Some(Place::Element(array, self.keys(array, keys)?))
            }
            Tree::Target(_) | Tree::AtVar { .. } | Tree::Member { .. } | Tree::Element { .. } => {
                self.target_place(expression)
            }
            _ => {
                self.error("elaborate/not-assignable", expression.span, "this cannot be assigned to");
                None
            }
        }
    }

    fn named_place(&mut self, name: &str, span: Span) -> Option<Place> {
        if let Some(index) = self.unit.locals(self.at.body).index(name) {
            if self.at.entry {
                let message = format!("`{name}` has no value when the probed function is entered");
                let help = "`@entry` can use globals, target variables and functions";
                self.report(Diagnostic::error("elaborate/local-at-entry", span, message).help(help));
                return None;
            }
            return Some(Place::Local(LocalId(index)));
        }
        let global = self.unit.declarations.global(name)?;
        if self.unit.declarations.globals[global].key_count > 0 {
            let message = format!("`{name}` is an array: it needs keys here");
            self.error("elaborate/array-without-keys", span, message);
            return None;
        }
        Some(Place::Global(GlobalId(global)))
    }

    /// Whether what is indexed is no array of the script's, but holds a pointer: a local that is known to.
    pub(super) fn is_pointer_index(&self, base: &ast::Expression) -> bool {
        match &base.kind {
            Tree::Name(name) => self.unit.locals(self.at.body).index(name).is_some(),
            Tree::Histogram { .. } => false,
            _ => true,
        }
    }

    /// Whether what is indexed can be stepped on from. A name that nothing says so of was meant as an array.
    pub(super) fn check_pointer_index(&mut self, base: &'d ast::Expression) -> bool {
        match &base.kind {
            Tree::Name(name) if self.unit.pointer_of(base, self.at) == Known::Nothing => {
                self.array_named(name, base.span);
                false
            }
            _ => true,
        }
    }

    pub(super) fn type_of(&self, place: &Place) -> Type {
        match place {
            Place::Local(local) => self.locals[local.0].ty,
            Place::Global(global) | Place::Element(global, _) => {
                self.unit.types.of(self.unit.types.globals[global.0].value)
            }
            Place::Memory { .. } | Place::Register(..) => Type::Long,
        }
    }

    /// A place that holds a long or a string.
    pub(super) fn value_place(&mut self, expression: &'d ast::Expression) -> Option<Place> {
        let place = self.place(expression)?;
        if self.type_of(&place) == Type::Statistic {
            if self.unit.log.has_spoken_of(expression.span) {
                return None;
            }
            let message = "a statistic has no value of its own";
            let diagnostic = Diagnostic::error("elaborate/statistic-value", expression.span, message);
            self.report(diagnostic.help("add to it with `<<<`, and ask it for @count, @sum, @min, @max, @avg …"));
            return None;
        }
        Some(place)
    }

    // Arrays

    pub(super) fn array(&mut self, base: &'d ast::Expression) -> Option<GlobalId> {
        match &base.kind {
            Tree::Name(name) => self.array_named(name, base.span),
            _ => {
                self.error("elaborate/not-an-array", base.span, "only an array has keys");
                None
            }
        }
    }

    pub(super) fn array_named(&mut self, name: &str, span: Span) -> Option<GlobalId> {
        let declarations = self.unit.declarations;
        if let Some(global) = declarations.global(name).filter(|_| self.unit.is_array(name, self.at.body)) {
            return Some(GlobalId(global));
        }
        let arrays = declarations.globals.iter().filter(|global| global.key_count > 0);
        let nearest = similar(name, arrays.map(|global| global.declaration.name.text.as_str()));
        let diagnostic = Diagnostic::error("elaborate/unknown-array", span, format!("unknown array `{name}`"));
        let diagnostic = match nearest.first() {
            Some(nearest) => diagnostic.saying(format!("did you mean `{nearest}`?")),
            None => diagnostic.help(format!("arrays are global: declare it with `global {name}`")),
        };
        self.report(diagnostic);
        None
    }

    pub(super) fn selectors(&mut self, array: GlobalId, keys: &'d [Option<ast::Expression>]) -> Option<Vec<Selector>> {
        // A wrong number was reported when the arrays were collected.
        if keys.len() != self.unit.declarations.globals[array.0].key_count {
            return None;
        }
        let selector = |key: &'d Option<ast::Expression>| match key {
            Some(key) => Selector::Is(self.value(key)),
            None => Selector::Any,
        };
        Some(keys.iter().map(selector).collect())
    }

    /// Keys that mean one entry.
    fn keys(&mut self, array: GlobalId, keys: &'d [Option<ast::Expression>]) -> Option<Vec<Expression>> {
        let selectors = self.selectors(array, keys)?;
        let mut values = Vec::new();
        for selector in selectors {
            match selector {
                Selector::Is(key) => values.push(key),
                // Refused when it was parsed.
                Selector::Any => return None,
            }
        }
        Some(values)
    }

    // Statistics

    /// A statistic: a global, an entry, or what a `foreach` binds to an entry.
    pub(super) fn statistic(&mut self, expression: &'d ast::Expression) -> Option<Place> {
        let place = match &expression.kind {
            Tree::Name(_) | Tree::Index { .. } => self.place(expression)?,
            // What has another type was reported when types were inferred.
            _ => return None,
        };
        match place {
            Place::Local(local) if !self.bound.contains(&local) => {
                let message = "a local cannot be a statistic, except where a `foreach` binds it to an entry";
                let name = &self.locals[local.0].name;
                let help = format!("statistics are global: declare it with `global {name}`");
                self.report(Diagnostic::error("elaborate/local-statistic", expression.span, message).help(help));
                None
            }
            // What is none was reported when types were inferred.
            place => (self.type_of(&place) == Type::Statistic).then_some(place),
        }
    }

    pub(super) fn histogram(&mut self, expression: &'d ast::Expression) -> Option<HistogramOf> {
        let Tree::Histogram { histogram, statistic } = &expression.kind else { return None };
        Some(HistogramOf { statistic: self.statistic(statistic)?, histogram: (*histogram).into() })
    }
}
