//! Warnings about a script that is right: what does nothing, is never used, never set or never reached. Only the user's own
//! text is warned of; that of libraries counts as use.
//!
//! It looks at handlers with their aliases, before they are typed, and changes nothing.

mod statements;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use shared::diagnostic::{Diagnostic, SourceId, Span};
use shared::probe::Place;

use super::derive::Derived;
use super::private::as_written;
use super::reach::{Origin, Reach};
use super::{Log, uses};
use crate::ast::{Block, GlobalDecl};
use statements::Effects;

/// Warns.
pub(super) fn warn(reach: &Reach<'_>, probes: &[Derived], user_sources: &BTreeSet<SourceId>, log: &mut Log) {
    let globals = reach.globals.iter().map(|global| (global.name.text.as_str(), global)).collect();
    let script = Script { reach, probes, globals, user_sources };
    script.functions(log);
    script.cross_file_globals(log);
    variables::warn(&script, log);
    let effects = Effects::new(&script);
    script.bodies().for_each(|body| statements::warn(body.block, &effects, log));
    script.probes_without_effect(&effects, log);
}

/// What there is to look at.
struct Script<'s, 'e> {
    reach: &'s Reach<'e>,
    probes: &'s [Derived],
    globals: BTreeMap<&'s str, &'s GlobalDecl>,
    /// The texts that are the user's own.
    user_sources: &'s BTreeSet<SourceId>,
}

/// A handler with its aliases, or the body of a function.
struct Body<'s> {
    block: &'s Block,
    /// The names of a function's parameters, which hide globals.
    parameters: Vec<&'s str>,
}

impl<'s> Script<'s, '_> {
    /// Whether a place is in the user's own text, and not in what a macro made.
    fn is_users(&self, span: Span) -> bool {
        self.user_sources.contains(&span.source)
    }

    fn bodies(&self) -> impl Iterator<Item = Body<'s>> {
        let (reach, probes) = (self.reach, self.probes);
        let handlers = probes.iter().map(|probe| Body { block: &probe.body, parameters: Vec::new() });
        let functions = reach.reached().iter().map(|&index| {
            let declaration = &reach.functions[index].declaration;
            let parameters = declaration.parameters.iter().map(|parameter| parameter.name.text.as_str()).collect();
            Body { block: &declaration.body, parameters }
        });
        handlers.chain(functions)
    }

    /// Functions that nothing calls, and those that never get their turn.
    fn functions(&self, log: &mut Log) {
        let has_turn: BTreeSet<usize> =
            self.reach.called().flat_map(|(name, count)| self.reach.overloads(name, count)).collect();
        let called: BTreeSet<(&str, usize)> = self.reach.called().collect();
        for (index, function) in self.reach.functions.iter().enumerate() {
            if function.origin != Origin::Script || has_turn.contains(&index) {
                continue;
            }
            let name = &function.declaration.name;
            let count = function.declaration.parameters.len();
            let written = as_written(&name.text);
            if !called.contains(&(name.text.as_str(), count)) {
                let message = format!("nothing calls the function `{written}`");
                log.report(Diagnostic::warning("elaborate/unused-function", name.span, message));
                continue;
            }
            let message = format!("this function `{written}` never gets its turn");
            let mut diagnostic = Diagnostic::warning("elaborate/unreachable-overload", name.span, message);
            if let Some(&last) = self.reach.overloads(&name.text, count).last() {
                let last = self.reach.functions[last].declaration.name.span;
                diagnostic = diagnostic.also(last, "this one comes first, and has no `next`");
            }
            log.report(diagnostic);
        }
    }

    /// Globals that are declared in one file and used in another, where one of them is the user's: a variable of a library
    /// that is meant to be local may have the name of a global of the script.
    fn cross_file_globals(&self, log: &mut Log) {
        let mut warned = BTreeSet::new();
        for body in self.bodies() {
            for (name, span) in uses::variables(body.block) {
                let Some(global) = self.globals.get(name).filter(|_| !body.parameters.contains(&name)) else {
                    continue;
                };
                let declared = global.name.span;
                if declared.source == span.source || self.is_users(declared) == self.is_users(span) {
                    continue;
                }
                // What a macro names is as its author means it.
                if crate::source::is_expansion(span.source) || !warned.insert(name) {
                    continue;
                }
                let message = format!("`{name}` is a global of another file");
                let diagnostic = Diagnostic::warning("elaborate/cross-file-global", span, message);
                log.report(
                    diagnostic.also(declared, "declared here").help("choose another name, or declare it `private`"),
                );
            }
        }
    }

    fn probes_without_effect(&self, effects: &Effects<'_, '_>, log: &mut Log) {
        for Derived { body, derivations, span } in self.probes {
            let never = derivations.iter().all(|derivation| derivation.point.place == Place::Never);
            if !never && self.is_users(*span) && !effects.of_block(body) {
                log.report(Diagnostic::warning("elaborate/empty-probe", *span, "this probe does nothing"));
            }
        }
    }
}
