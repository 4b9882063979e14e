//! What the comparisons of `%( … %? … %)` mean: pure questions about the environment. Which tokens they stand in is the
//! preprocessor's business.

use std::cmp::Ordering;

use bstr::ByteSlice;
use shared::diagnostic::similar;
use shared::target::{glob_matches, is_glob};

use crate::parse::Environment;
use crate::parse::token::Symbol;

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// `kernel_v`, `CONFIG_SMP`
    Name(String),
    /// `"6.1"`
    String(Vec<u8>),
    /// `5`
    Number(i64),
}

/// Why a comparison means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConditionError {
    /// Which part of it.
    pub(super) part: Part,
    /// What is wrong there.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

/// A part of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Before the operator.
    Left,
    /// The operator.
    Operator,
    /// Behind the operator.
    Right,
}

/// What can be asked for by name, besides `CONFIG_…`.
const NAMES: &[&str] = &["arch", "kernel_v", "kernel_vr", "systemtap_v", "runtime", "systemtap_privilege", "guru_mode"];

/// Whether a symbol compares.
pub(super) fn is_relation(symbol: Symbol) -> bool {
    relation(symbol, Ordering::Equal).is_some()
}

/// Says whether a comparison holds.
pub(super) fn holds(
    left: &Operand,
    operator: Symbol,
    right: &Operand,
    environment: &Environment<'_>,
) -> Result<bool, ConditionError> {
    match left {
        Operand::Number(left) => {
            let Operand::Number(right) = right else {
                return Err(error(Part::Right, "a number compares only with a number"));
            };
            ordered(operator, left.cmp(right))
        }
        Operand::String(left) => {
            let right = text(right)?;
            ordered(operator, left.as_slice().cmp(right))
        }
        Operand::Name(name) => named(name, operator, right, environment),
    }
}

/// A comparison with something of the environment.
fn named(name: &str, operator: Symbol, right: &Operand, environment: &Environment<'_>) -> Result<bool, ConditionError> {
    let release = environment.kernel_release;
    match name {
        "kernel_vr" => version(release, operator, right),
        "kernel_v" => version(release.split_once('-').map_or(release, |(version, _)| version), operator, right),
        "systemtap_v" => version(environment.compatible, operator, right),
        "arch" => matching(environment.architecture, operator, right),
        "runtime" => matching(environment.runtime, operator, right),
        "systemtap_privilege" => equal(text(right)? == environment.privilege.to_string().as_bytes(), operator),
        "guru_mode" => match right {
            Operand::Number(guru @ 0..=1) => equal((*guru == 1) == environment.guru, operator),
            _ => Err(error(Part::Right, "`guru_mode` compares only with 0 or 1")),
        },
        _ if name.starts_with("CONFIG_") => config(name, operator, right, environment),
        _ => {
            let help = match similar(name, NAMES.iter().copied()).as_slice() {
                [] => format!("a condition asks for {} or CONFIG_…, or compares two literals", NAMES.join(", ")),
                near => format!("did you mean `{}`?", near.join("` or `")),
            };
            let message = format!("no condition is called `{name}`");
            Err(ConditionError { part: Part::Left, message, help: Some(help) })
        }
    }
}

/// A comparison with an option of the kernel's configuration. One that is not set is the empty string, and 0.
fn config(
    name: &str,
    operator: Symbol,
    right: &Operand,
    environment: &Environment<'_>,
) -> Result<bool, ConditionError> {
    let value = |name: &str| environment.config.get(name).and_then(Option::as_deref).unwrap_or_default();
    let number = |name: &str, part| match value(name) {
        "" => Ok(0),
        digits => long(digits).ok_or_else(|| error(part, format!("`{name}` is `{digits}`, which is no number"))),
    };
    match right {
        Operand::String(_) => matching(value(name), operator, right),
        Operand::Number(right) => ordered(operator, number(name, Part::Left)?.cmp(right)),
        Operand::Name(other) if other.starts_with("CONFIG_") => match operator {
            Symbol::EqualEqual | Symbol::NotEqual => equal(value(name) == value(other), operator),
            _ => ordered(operator, number(name, Part::Left)?.cmp(&number(other, Part::Right)?)),
        },
        Operand::Name(_) => Err(error(Part::Right, format!("`{name}` compares with a literal or another CONFIG_…"))),
    }
}

/// A number as a kernel configuration writes it.
fn long(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A comparison of versions; a pattern can only be equal or not.
fn version(value: &str, operator: Symbol, right: &Operand) -> Result<bool, ConditionError> {
    let pattern = text(right)?.to_str_lossy();
    match operator {
        Symbol::EqualEqual | Symbol::NotEqual if is_glob(&pattern) => equal(glob_matches(&pattern, value), operator),
        _ if is_glob(&pattern) => {
            Err(error(Part::Operator, "a version with wildcards can be equal (`==`) or not (`!=`), but has no order"))
        }
        _ => ordered(operator, version_order(value.as_bytes(), pattern.as_bytes())),
    }
}

/// A comparison with a pattern.
fn matching(value: &str, operator: Symbol, right: &Operand) -> Result<bool, ConditionError> {
    equal(glob_matches(&text(right)?.to_str_lossy(), value), operator)
}

fn text(operand: &Operand) -> Result<&[u8], ConditionError> {
    match operand {
        Operand::String(text) => Ok(text),
        Operand::Name(_) | Operand::Number(_) => Err(error(Part::Right, "expected a string")),
    }
}

fn equal(equal: bool, operator: Symbol) -> Result<bool, ConditionError> {
    match operator {
        Symbol::EqualEqual => Ok(equal),
        Symbol::NotEqual => Ok(!equal),
        _ => Err(error(Part::Operator, "expected `==` or `!=`")),
    }
}

fn ordered(operator: Symbol, order: Ordering) -> Result<bool, ConditionError> {
    relation(operator, order).ok_or_else(|| error(Part::Operator, "expected a comparison"))
}

/// Whether things in this order stand in the relation; `None` for what is no relation.
fn relation(operator: Symbol, order: Ordering) -> Option<bool> {
    match operator {
        Symbol::Less => Some(order.is_lt()),
        Symbol::LessEqual => Some(order.is_le()),
        Symbol::EqualEqual => Some(order.is_eq()),
        Symbol::NotEqual => Some(order.is_ne()),
        Symbol::Greater => Some(order.is_gt()),
        Symbol::GreaterEqual => Some(order.is_ge()),
        _ => None,
    }
}

fn error(part: Part, message: impl Into<String>) -> ConditionError {
    ConditionError { part, message: message.into(), help: None }
}

/// The order of strverscmp(3): digits in a row are a number, and a row that starts with a zero is a fraction.
pub(in crate::parse) fn version_order(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let start = same - a[..same].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = |text: &[u8]| text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    // What is missing is a NUL, as in C.
    let at = |text: &[u8], index: usize| text.get(index).copied().unwrap_or(0);
    let (next_a, next_b) = (at(a, same), at(b, same));
    let bytewise = next_a.cmp(&next_b);
    let number = |text| matches!(at(text, start), b'1'..=b'9');
    if number(a) && number(b) {
        return digits(a).cmp(&digits(b)).then(bytewise);
    }
    let only_zeros = start < same && a[start..same].iter().all(|&byte| byte == b'0');
    if only_zeros && (next_a.is_ascii_digit() || next_b.is_ascii_digit()) {
        // The more zeros, the smaller the fraction: a digit is less than anything else.
        return next_a.wrapping_sub(b'0').cmp(&next_b.wrapping_sub(b'0'));
    }
    bytewise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_strverscmp_orders_them() {
        let examples = ["000", "00", "01", "010", "09", "0", "1", "9", "10"];
        for pair in examples.windows(2) {
            assert_eq!(version_order(pair[0].as_bytes(), pair[1].as_bytes()), Ordering::Less, "{pair:?}");
            assert_eq!(version_order(pair[1].as_bytes(), pair[0].as_bytes()), Ordering::Greater, "{pair:?}");
        }
        for (less, more) in [
            ("", "a"),
            ("6.1", "6.1.0"),
            ("6.9", "6.10"),
            ("2.6.9", "2.6.32"),
            ("6.1.0", "6.1.0-56-cloud-amd64"),
            ("a1", "ab"),
            ("4.18.0-80.el8", "4.18.0-147.el8"),
            ("1.001", "1.01"),
        ] {
            assert_eq!(version_order(less.as_bytes(), more.as_bytes()), Ordering::Less, "{less} {more}");
            assert_eq!(version_order(more.as_bytes(), less.as_bytes()), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(version_order(b"6.1", b"6.1"), Ordering::Equal);
    }
}
