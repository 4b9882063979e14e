//! `begin`, `end` and `error`: handlers that the session itself fires, in the order their scripts give them.

use shared::ir::Ir;
use shared::probe::Place;

use super::Firing;

/// The handlers of `begin`, smaller orders first, and those of one order as the script has them.
#[must_use]
pub fn begin(ir: &Ir) -> Vec<Firing> {
    in_order(ir, |place| match place {
        Place::Begin { order } => Some(*order),
        _ => None,
    })
}

/// The handlers of `end`, likewise.
#[must_use]
pub fn end(ir: &Ir) -> Vec<Firing> {
    in_order(ir, |place| match place {
        Place::End { order } => Some(*order),
        _ => None,
    })
}

/// The handlers of `error`, likewise.
#[must_use]
pub fn error(ir: &Ir) -> Vec<Firing> {
    in_order(ir, |place| match place {
        Place::Error { order } => Some(*order),
        _ => None,
    })
}

fn in_order(ir: &Ir, order: impl Fn(&Place) -> Option<i64>) -> Vec<Firing> {
    let mut firings = Vec::new();
    for (handler, declared) in ir.handlers.iter().enumerate() {
        let orders = declared.points.iter().enumerate().filter_map(|(point, at)| Some((order(&at.place)?, point)));
        firings.extend(orders.map(|(order, point)| (order, Firing { handler, point })));
    }
    firings.sort_by_key(|(order, _)| *order);
    firings.into_iter().map(|(_, firing)| firing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_orders_come_first_and_equal_ones_as_in_the_script() {
        let ir = shared::ir::read::read(
            r#"function u0 "f"
b0():
  return
handler h0 u0
  at "begin" "" begin 0
  at "end" "" end 5
handler h1 u0
  at "begin(-1)" "" begin -1
  at "begin(3)" "" begin 3
handler h2 u0
  at "begin" "" begin 0
  at "end" "" end -9223372036854775808
  at "error" "" error 0
  at "never" "" never
"#,
        )
        .expect("an IR");
        let pairs = |firings: Vec<Firing>| firings.iter().map(|at| (at.handler, at.point)).collect::<Vec<_>>();
        assert_eq!(pairs(begin(&ir)), [(1, 0), (0, 0), (2, 0), (1, 1)]);
        assert_eq!(pairs(end(&ir)), [(2, 1), (0, 1)]);
        assert_eq!(pairs(error(&ir)), [(2, 2)]);
    }
}
