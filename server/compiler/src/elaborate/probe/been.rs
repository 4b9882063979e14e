//! `begin`, `end`, `error`, `never`: the session itself.

use shared::probe::{Place, ProbePoint};

use super::{Derivation, Form, Log, Point, Resolved, Resolver, Scope};

pub(super) const FORMS: &[Form] = &[
    Form { components: &["begin"], resolve },
    Form { components: &["begin()"], resolve },
    Form { components: &["end"], resolve },
    Form { components: &["end()"], resolve },
    Form { components: &["error"], resolve },
    Form { components: &["error()"], resolve },
    Form { components: &["never"], resolve },
];

fn resolve(_resolver: &mut Resolver<'_>, point: &Point<'_>, _log: &mut Log) -> Resolved {
    let order = match point.argument(0) {
        Some(_) => Some(point.number(0)?.0),
        None => None,
    };
    let argument = order.map_or(String::new(), |order| format!("({order})"));
    let order = order.unwrap_or(0);
    let (name, place) = match () {
        () if point.has("begin") => ("begin", Place::Begin { order }),
        () if point.has("end") => ("end", Place::End { order }),
        () if point.has("error") => ("error", Place::Error { order }),
        () => ("never", Place::Never),
    };
    let point = ProbePoint { name: format!("{name}{argument}"), function: String::new(), place };
    Ok(vec![Derivation { point, scope: Scope::None("the session has no variables of a target") }])
}
