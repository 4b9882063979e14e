//! Probes to derived probes: aliases are replaced by what they stand for, and points by their places.
//!
//! An alias's body goes around the handler, so that both are one body with one set of variables. Points that are written in
//! one list share a body; each alias in a list makes a body of its own.

use shared::diagnostic::{Diagnostic, Span};
use shared::limits::{ALIAS_NESTING_MAX, DERIVED_NODES_MAX, PROBE_POINTS_MAX};

use super::private::as_written;
use super::probe::{Derivation, Resolver, Unresolved};
use super::reach::{Named, Reach};
use super::{Log, uses};
use crate::ast::{
    Block, Component, Expression, ExpressionKind, Placement, Probe, ProbePoint, Statement, StatementKind, Unary,
};

/// A handler with the bodies of aliases around it, and its places.
pub(super) struct Derived {
    pub(super) body: Block,
    pub(super) derivations: Vec<Derivation>,
    /// Where the probe is declared.
    pub(super) span: Span,
}

/// Finds the places of probes.
pub(super) struct Deriver<'d, 'e, 'a> {
    reach: &'d mut Reach<'e>,
    resolver: &'d mut Resolver<'a>,
    /// `--suppress-handler-errors`
    suppresses_errors: bool,
    log: &'d mut Log,
    /// Points looked at and nodes copied so far, against the limits.
    points: usize,
    nodes: usize,
}

/// What stands around the handler at one point of the way.
#[derive(Clone, Copy)]
struct Around<'l> {
    layer: Layer<'l>,
    outer: Option<&'l Around<'l>>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Layer<'l> {
    /// `if (condition)`
    Condition(&'l Expression),
    /// An alias, and the point that names it.
    Alias(&'l Named, Span),
}

/// What is known of a point or a list of them.
enum Found {
    /// So many places.
    Places(usize),
    /// It is not known how many: something has to be had first, or what is wrong was reported.
    Unknown,
}

type Outcome = Result<Found, Box<Diagnostic>>;

impl<'d, 'e, 'a> Deriver<'d, 'e, 'a> {
    pub(super) fn new(
        reach: &'d mut Reach<'e>,
        resolver: &'d mut Resolver<'a>,
        suppresses_errors: bool,
        log: &'d mut Log,
    ) -> Self {
        Self { reach, resolver, suppresses_errors, log, points: 0, nodes: 0 }
    }

    /// Derives all probes that the script reaches.
    pub(super) fn all(&mut self) -> Vec<Derived> {
        let mut derived = Vec::new();
        loop {
            while let Some(probe) = self.reach.next_probe() {
                let first = derived.len();
                self.points(&probe, &probe.points, &[], None, false, &mut derived);
                for new in &derived[first..] {
                    self.reach.body(&new.body, self.log);
                }
                if derived.len() == first {
                    // What is wrong with a handler is said although its points are wrong, too.
                    self.reach.body(&probe.body, self.log);
                }
            }
            if self.reach.settle(self.log) {
                return derived;
            }
        }
    }

    /// Derives the points of a list, each with `suffix` behind it. Those that are reached through an optional point are all
    /// optional.
    fn points(
        &mut self,
        probe: &Probe,
        points: &[ProbePoint],
        suffix: &[Component],
        around: Option<&Around<'_>>,
        optional: bool,
        out: &mut Vec<Derived>,
    ) -> Found {
        let mut derivations = Vec::new();
        let (mut places, mut is_unknown) = (0, false);
        for written in points {
            let mut point = written.clone();
            point.components.extend_from_slice(suffix);
            match self.point(probe, &point, around, &mut derivations, out) {
                Ok(Found::Places(count)) => {
                    places += count;
                    if written.sufficient && count > 0 {
                        break;
                    }
                }
                // What stands after a sufficient point is looked at when it is known to be needed.
                Ok(Found::Unknown) => {
                    is_unknown = true;
                    if written.sufficient {
                        break;
                    }
                }
                Err(_) if written.optional || optional => {}
                Err(diagnostic) => {
                    is_unknown = true;
                    self.log.report(with_way(*diagnostic, around));
                }
            }
        }
        self.push(probe, around, derivations, out);
        if is_unknown { Found::Unknown } else { Found::Places(places) }
    }

    /// Derives a point: to `plain` where it needs no body of its own, otherwise to `out`.
    fn point(
        &mut self,
        probe: &Probe,
        point: &ProbePoint,
        around: Option<&Around<'_>>,
        plain: &mut Vec<Derivation>,
        out: &mut Vec<Derived>,
    ) -> Outcome {
        self.points += 1;
        if self.points > PROBE_POINTS_MAX + 1 {
            return Ok(Found::Unknown);
        }
        if self.points > PROBE_POINTS_MAX {
            let message = format!("the aliases of the script stand for more than {PROBE_POINTS_MAX} probe points");
            return Err(Box::new(Diagnostic::error("elaborate/too-many-points", point.span, message)));
        }
        let Some(condition) = &point.condition else { return self.unconditional(probe, point, around, plain, out) };
        self.check_condition(condition)?;
        let around = Around { layer: Layer::Condition(condition), outer: around, depth: depth(around) };
        let mut own = Vec::new();
        let found = self.unconditional(probe, point, Some(&around), &mut own, out);
        self.push(probe, Some(&around), own, out);
        found
    }

    /// A condition is asked before the handler, and changes nothing.
    fn check_condition(&mut self, condition: &Expression) -> Result<(), Box<Diagnostic>> {
        let mut wrong = None;
        let Self { reach, log, .. } = self;
        uses::visit_expression(condition, &mut |node| {
            let uses::Node::Expression(expression) = node else { return };
            let what = match &expression.kind {
                ExpressionKind::Assign { .. } | ExpressionKind::Step { .. } => "this changes a variable",
                ExpressionKind::Print(print) if !print.to_string => "this prints",
                ExpressionKind::Target(_) | ExpressionKind::AtVar { .. } => "there are no target variables yet",
                ExpressionKind::Name(name) if !reach.is_global(name, expression.span, log) => "this is no global",
                _ => return,
            };
            let message = "the condition of a probe point can only ask for globals";
            wrong.get_or_insert_with(|| {
                Diagnostic::error("elaborate/probe-condition", expression.span, message).saying(what)
            });
        });
        wrong.map_or(Ok(()), |wrong| Err(Box::new(wrong)))
    }

    fn unconditional(
        &mut self,
        probe: &Probe,
        point: &ProbePoint,
        around: Option<&Around<'_>>,
        plain: &mut Vec<Derivation>,
        out: &mut Vec<Derived>,
    ) -> Outcome {
        let names: Vec<&str> = point.components.iter().map(|component| component.name.text.as_str()).collect();
        let is_glob = names.iter().any(|name| shared::target::is_glob(name));
        let aliases = self.reach.aliases(&names, point.span, self.log);
        // An alias is named without arguments.
        let bare = |named: &Named| point.components[..named.count].iter().all(|part| part.argument.is_none());
        let (mut places, mut is_unknown, mut first_wrong) = (0, false, None);
        let mut note = |found: Outcome| match found {
            Ok(Found::Places(count)) => places += count,
            Ok(Found::Unknown) => is_unknown = true,
            Err(wrong) => _ = first_wrong.get_or_insert(wrong),
        };
        let aliases: Vec<Named> = aliases.into_iter().filter(bare).collect();
        for named in &aliases {
            note(self.alias(probe, point, named, around, is_glob, out));
        }
        if aliases.is_empty() || is_glob {
            note(match self.resolver.resolve(point, self.log) {
                Ok(found) => {
                    let count = found.len();
                    plain.extend(found);
                    Ok(Found::Places(count))
                }
                Err(Unresolved::Waiting) => Ok(Found::Unknown),
                Err(Unresolved::Unknown) if is_glob => Ok(Found::Places(0)),
                Err(Unresolved::Unknown) => Err(Box::new(self.resolver.unknown(point, self.reach.alias_names()))),
                Err(Unresolved::Wrong(diagnostic)) => Err(diagnostic),
            });
        }
        match (places, is_unknown, first_wrong) {
            (0, true, _) => Ok(Found::Unknown),
            (0, false, Some(wrong)) => Err(wrong),
            (0, false, None) => Err(Box::new(no_place(point, &names, &aliases))),
            _ => Ok(Found::Places(places)),
        }
    }

    fn alias(
        &mut self,
        probe: &Probe,
        point: &ProbePoint,
        named: &Named,
        around: Option<&Around<'_>>,
        optional: bool,
        out: &mut Vec<Derived>,
    ) -> Outcome {
        let mut outer = around;
        while let Some(Around { layer, outer: next, .. }) = outer {
            if matches!(layer, Layer::Alias(other, _) if other.index == named.index) {
                let message = format!("the alias `{}` stands for itself", named.name);
                let diagnostic = Diagnostic::error("elaborate/alias-cycle", point.span, message);
                return Err(Box::new(diagnostic.also(named.alias.span, "defined here")));
            }
            outer = *next;
        }
        let around = Around { layer: Layer::Alias(named, point.span), outer: around, depth: depth(around) + 1 };
        if around.depth > ALIAS_NESTING_MAX {
            let message = format!("more than {ALIAS_NESTING_MAX} aliases stand for one another");
            return Err(Box::new(Diagnostic::error("elaborate/alias-too-deep", point.span, message)));
        }
        let suffix = &point.components[named.count..];
        let optional = optional || point.optional;
        Ok(self.points(probe, &named.alias.points, suffix, Some(&around), optional, out))
    }

    fn push(
        &mut self,
        probe: &Probe,
        around: Option<&Around<'_>>,
        derivations: Vec<Derivation>,
        out: &mut Vec<Derived>,
    ) {
        if derivations.is_empty() {
            return;
        }
        let body = body(&probe.body, around);
        let body = if self.suppresses_errors { without_errors(body) } else { body };
        self.nodes += uses::nodes(&body);
        if self.nodes > DERIVED_NODES_MAX {
            let message =
                format!("the handlers with what aliases add to them have more than {DERIVED_NODES_MAX} parts");
            self.log.report(Diagnostic::error("elaborate/too-large", probe.span, message));
            return;
        }
        out.push(Derived { body, derivations, span: probe.span });
    }
}

fn depth(around: Option<&Around<'_>>) -> usize {
    around.map_or(0, |around| around.depth)
}

/// A handler with what stands around it: first all conditions, the outermost first, then the prologues and epilogues.
fn body(handler: &Block, around: Option<&Around<'_>>) -> Block {
    let (mut conditions, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let layers = std::iter::successors(around, |around| around.outer).map(|around| around.layer);
    for layer in layers {
        match layer {
            Layer::Condition(condition) => conditions.push(unless(condition)),
            Layer::Alias(Named { alias, .. }, _) => {
                match alias.placement {
                    Placement::Prologue => before.push(block(&alias.body)),
                    Placement::Epilogue => after.push(block(&alias.body)),
                }
                after.extend(alias.epilogue.iter().map(block));
            }
        }
    }
    if conditions.is_empty() && before.is_empty() && after.is_empty() {
        return handler.clone();
    }
    // The walk was from the innermost layer outwards, and so is the way of prologues; epilogues go back.
    conditions.reverse();
    after.reverse();
    let statements = conditions.into_iter().chain(before).chain([block(handler)]).chain(after).collect();
    Block { statements, span: handler.span }
}

/// `try { … } catch {}`
fn without_errors(body: Block) -> Block {
    let span = body.span;
    let kind = StatementKind::Try { body, message: None, handler: Block { statements: Vec::new(), span } };
    Block { statements: vec![Statement { kind, span }], span }
}

fn block(block: &Block) -> Statement {
    Statement { kind: StatementKind::Block(block.clone()), span: block.span }
}

/// `if (!condition) next`
fn unless(condition: &Expression) -> Statement {
    let span = condition.span;
    let kind = ExpressionKind::Unary(Unary::LogicalNot, Box::new(condition.clone()));
    let then = Box::new(Statement { kind: StatementKind::Next, span });
    let kind = StatementKind::If { condition: Expression { kind, span }, then, otherwise: None };
    Statement { kind, span }
}

/// An error with the way through the aliases that led to it.
fn with_way(mut diagnostic: Diagnostic, around: Option<&Around<'_>>) -> Diagnostic {
    for Around { layer, .. } in std::iter::successors(around, |around| around.outer) {
        if let Layer::Alias(named, point) = layer {
            diagnostic = diagnostic.also(*point, format!("because of the alias `{}`", as_written(&named.name)));
        }
    }
    diagnostic
}

fn no_place(point: &ProbePoint, names: &[&str], aliases: &[Named]) -> Diagnostic {
    let written = names.join(".");
    let diagnostic = match aliases {
        [named, ..] => {
            let message = format!("nothing that `{written}` stands for is there on this host");
            let diagnostic = Diagnostic::error("elaborate/no-match", point.span, message);
            diagnostic.also(named.alias.span, format!("`{}` is defined here", named.name))
        }
        [] => Diagnostic::error("elaborate/no-match", point.span, format!("no probe point matches `{written}`")),
    };
    diagnostic.help("write `?` behind a probe point that may match nothing")
}
