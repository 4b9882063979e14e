//! `timer.s(N)` and its relatives.

use shared::probe::{Place, ProbePoint};

use super::{Derivation, Form, Log, Point, Resolved, Resolver, Scope, Unresolved};

pub(super) const FORMS: &[Form] = &[
    Form { components: &["timer", "s()"], resolve },
    Form { components: &["timer", "sec()"], resolve },
    Form { components: &["timer", "ms()"], resolve },
    Form { components: &["timer", "msec()"], resolve },
    Form { components: &["timer", "us()"], resolve },
    Form { components: &["timer", "usec()"], resolve },
    Form { components: &["timer", "ns()"], resolve },
    Form { components: &["timer", "nsec()"], resolve },
];

fn resolve(_resolver: &mut Resolver<'_>, point: &Point<'_>, _log: &mut Log) -> Resolved {
    let (count, span) = point.number(1)?;
    let unit = &point.written.components[1].name.text;
    let unit_ns = match unit.as_str() {
        "s" | "sec" => 1_000_000_000,
        "ms" | "msec" => 1_000_000,
        "us" | "usec" => 1_000,
        _ => 1,
    };
    let interval_ns =
        u64::try_from(count).ok().and_then(|count| count.checked_mul(unit_ns)).filter(|&interval| interval > 0);
    let Some(interval_ns) = interval_ns else {
        return Err(Unresolved::wrong("elaborate/probe-argument", span, "a timer's interval must be positive"));
    };
    let place = Place::Timer { interval_ns };
    let point = ProbePoint { name: format!("timer.{unit}({count})"), function: String::new(), place };
    Ok(vec![Derivation { point, scope: Scope::None("a timer interrupts nothing that has variables") }])
}
