//! `kernel.trace("x")`: the kernel's static tracepoints, as the host lists them.

use shared::diagnostic::{Diagnostic, similar};
use shared::probe::{Place, ProbePoint};
use shared::target::{Fact, FactQuery, is_glob};

use super::{Derivation, Form, Log, Point, Resolved, Resolver, Scope, Unresolved};

pub(super) const FORMS: &[Form] = &[Form { components: &["kernel", "trace()"], resolve }];

fn resolve(resolver: &mut Resolver<'_>, point: &Point<'_>, log: &mut Log) -> Resolved {
    let (argument, span) = point.string(1)?;
    // The subsystem of `sched:sched_switch` is for people: names are unique in the kernel.
    let pattern = argument.rsplit(':').next().unwrap_or(&argument).to_owned();
    let query = FactQuery::Tracepoints { pattern: pattern.clone() };
    let Fact::Tracepoints { names, .. } = resolver.fact(query, log)? else { return Err(Unresolved::Waiting) };
    if names.is_empty() {
        let mut diagnostic = Diagnostic::error(
            "elaborate/unknown-tracepoint",
            span,
            format!("the kernel has no tracepoint `{pattern}`"),
        );
        // A second question would be needed for the names that are near: one that all of them answer.
        if !is_glob(&pattern) {
            let all = FactQuery::Tracepoints { pattern: "*".to_owned() };
            let Fact::Tracepoints { names, .. } = resolver.fact(all, log)? else { return Err(Unresolved::Waiting) };
            if let Some(nearest) = similar(&pattern, names.iter().map(String::as_str)).first() {
                diagnostic = diagnostic.saying(format!("did you mean `{nearest}`?"));
            }
        }
        return Err(Unresolved::Wrong(Box::new(diagnostic)));
    }
    let derivation = |name: &String| Derivation {
        point: ProbePoint {
            name: format!("kernel.trace({name:?})"),
            function: String::new(),
            place: Place::Tracepoint { name: name.clone() },
        },
        scope: Scope::None("the arguments of tracepoints are not supported by this version"),
    };
    Ok(names.iter().map(derivation).collect())
}
