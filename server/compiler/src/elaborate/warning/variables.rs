//! Variables that are never set, or never asked for.

use std::collections::{BTreeMap, BTreeSet};

use shared::diagnostic::{Diagnostic, Span, similar};

use super::{Body, Script};
use crate::ast::{Assign, Expression, ExpressionKind, StatementKind};
use crate::elaborate::Log;
use crate::elaborate::private::as_written;
use crate::elaborate::uses::{self, Node};

/// What a body does with a variable, and where first in the user's text.
#[derive(Default)]
struct Usage {
    is_read: bool,
    is_written: bool,
    first_read: Option<Span>,
    first_written: Option<Span>,
}

/// What a body does with its variables, by their names.
type Usages<'s> = BTreeMap<&'s str, Usage>;

/// Warns of locals, body by body, then of globals.
pub(super) fn warn(script: &Script<'_, '_>, log: &mut Log) {
    let mut globals: BTreeMap<&str, Usage> = BTreeMap::new();
    // A handler is there once for each alias of its points: its locals are unused where they are in each of them.
    let mut unread: BTreeMap<Span, &str> = BTreeMap::new();
    let mut read: BTreeSet<Span> = BTreeSet::new();
    for body in script.bodies() {
        let usages = usages(&body, script);
        let is_global = |name: &str| script.globals.contains_key(name) && !body.parameters.contains(&name);
        let set: Vec<&str> = usages.iter().filter(|(_, usage)| usage.is_written).map(|(name, _)| *name).collect();
        for (name, usage) in &usages {
            if is_global(name) {
                let known = globals.entry(name).or_default();
                known.is_read |= usage.is_read;
                known.is_written |= usage.is_written;
                known.first_read = known.first_read.or(usage.first_read);
                continue;
            }
            if body.parameters.contains(name) {
                continue;
            }
            match (usage.is_read, usage.is_written) {
                (true, false) => never_assigned(name, usage, &set, script, log),
                (true, true) => read.extend(usage.first_written),
                (false, _) => unread.extend(usage.first_written.map(|span| (span, *name))),
            }
        }
    }
    for (span, name) in unread.into_iter().filter(|(span, _)| !read.contains(span)) {
        let message = format!("the variable `{name}` is set, but never used");
        log.report(Diagnostic::warning("elaborate/unused-variable", span, message));
    }
    warn_of_globals(script, &globals, log);
}

fn never_assigned(name: &str, usage: &Usage, set: &[&str], script: &Script<'_, '_>, log: &mut Log) {
    let Some(span) = usage.first_read else { return };
    let known = set.iter().copied().chain(script.globals.keys().copied());
    // To a short name every other is near.
    let nearest = similar(name, known.filter(|_| name.len() > 2)).first().map(|near| format!("did you mean `{near}`?"));
    let message = format!("the variable `{name}` is used, but never set");
    let diagnostic = Diagnostic::warning("elaborate/never-assigned", span, message);
    log.report(match nearest {
        Some(nearest) => diagnostic.saying(nearest),
        None => diagnostic.saying("this is always 0 or the empty string"),
    });
}

fn warn_of_globals(script: &Script<'_, '_>, usages: &BTreeMap<&str, Usage>, log: &mut Log) {
    for (name, declaration) in &script.globals {
        let span = declaration.name.span;
        let written = as_written(name);
        if !script.is_users(span) {
            continue;
        }
        let usage = usages.get(name);
        if usage.is_none_or(|usage| !usage.is_read && !usage.is_written) {
            let message = format!("the global `{written}` is never used");
            log.report(Diagnostic::warning("elaborate/unused-global", span, message));
        } else if let Some(usage) = usage.filter(|usage| !usage.is_written && declaration.initial.is_none()) {
            let message = format!("the global `{written}` is used, but never set");
            let diagnostic = Diagnostic::warning("elaborate/never-assigned", span, message);
            log.report(match usage.first_read {
                Some(read) => diagnostic.also(read, "this is always 0 or the empty string"),
                None => diagnostic,
            });
        }
    }
}

fn usages<'s>(body: &Body<'s>, script: &Script<'_, '_>) -> Usages<'s> {
    let mut usages = Usages::new();
    // Names that are assigned to are met on their own after the assignment: they are not read there.
    let mut only_written: BTreeSet<Span> = BTreeSet::new();
    uses::visit_block(body.block, &mut |node| match node {
        Node::Statement(statement) => {
            // A loop has its keys whether anybody asks for them or not.
            for name in uses::assigned_by(statement) {
                let usage = usages.entry(&name.text).or_default();
                usage.write(name.span, script);
                usage.read(name.span, script);
            }
            if let StatementKind::Delete(target) = &statement.kind {
                write(target, true, &mut usages, &mut only_written, script);
            }
        }
        Node::Expression(expression) => match &expression.kind {
            ExpressionKind::Name(name) if !only_written.contains(&expression.span) => {
                usages.entry(name).or_default().read(expression.span, script);
            }
            ExpressionKind::In { array, .. } => {
                usages.entry(&array.text).or_default().read(array.span, script);
            }
            ExpressionKind::Assign { op, target, .. } => {
                let only = matches!(op, Assign::Set | Assign::Accumulate);
                write(target, only, &mut usages, &mut only_written, script);
            }
            ExpressionKind::Step { target, .. } => write(target, false, &mut usages, &mut only_written, script),
            _ => {}
        },
    });
    usages
}

/// A variable, or an array by one of its entries, is assigned to.
fn write<'s>(
    target: &'s Expression,
    only: bool,
    usages: &mut Usages<'s>,
    only_written: &mut BTreeSet<Span>,
    script: &Script<'_, '_>,
) {
    let variable = match &target.kind {
        ExpressionKind::Index { base, .. } => base,
        _ => target,
    };
    if let ExpressionKind::Name(name) = &variable.kind {
        usages.entry(name).or_default().write(variable.span, script);
        if only {
            only_written.insert(variable.span);
        }
    }
}

impl Usage {
    fn read(&mut self, span: Span, script: &Script<'_, '_>) {
        self.is_read = true;
        self.first_read = self.first_read.or(Some(span).filter(|&span| script.is_users(span)));
    }

    fn write(&mut self, span: Span, script: &Script<'_, '_>) {
        self.is_written = true;
        self.first_written = self.first_written.or(Some(span).filter(|&span| script.is_users(span)));
    }
}
