//! Functions of strings: what each takes, gives and means. Positions count bytes from 0.

use bstr::ByteSlice as _;
use serde::{Deserialize, Serialize};

use super::{Datum, Type};

/// A function of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StringFunction {
    /// `strlen`: of a string, its bytes.
    Length,
    /// `stringat`: of a string and a position, the byte there; -1 where there is none.
    Byte,
    /// `substr`: of a string, a position and a number, so many bytes from there. Empty where there is no such position.
    Substring,
    /// `strpos`: of two strings, where the second is found in the first; -1 where it is not.
    Find,
    /// `strtol`: of a string and a base, the number that it begins with, as the kernel's `simple_strtol` reads it; 0 where it
    /// is none.
    Number,
    /// `str_replace`: of three strings, the first with the third in the place of the second, wherever that is.
    Replace,
    /// `tokenize`: of a string and some delimiters, the first part without delimiters, and what comes behind it.
    Token,
    /// `text_str`: of a string, what it is in a string literal.
    Escape,
    /// `string_quoted`: the same with the quotes around it.
    Quote,
}

impl StringFunction {
    /// What it takes; strings of any bound.
    #[must_use]
    pub fn parameters(self) -> &'static [Type] {
        const STRING: Type = Type::String(0);
        match self {
            Self::Length | Self::Escape | Self::Quote => &[STRING],
            Self::Byte | Self::Number => &[STRING, Type::Long],
            Self::Substring => &[STRING, Type::Long, Type::Long],
            Self::Find | Self::Token => &[STRING, STRING],
            Self::Replace => &[STRING, STRING, STRING],
        }
    }

    /// What it gives; strings are cut to the bounds of the results.
    #[must_use]
    pub fn results(self) -> &'static [Type] {
        match self {
            Self::Length | Self::Byte | Self::Find | Self::Number => &[Type::Long],
            Self::Substring | Self::Replace | Self::Escape | Self::Quote => &[Type::String(0)],
            Self::Token => &[Type::String(0); 2],
        }
    }

    /// What it means.
    #[must_use]
    pub fn apply(self, arguments: &[Datum]) -> Vec<Datum> {
        let bytes = |index: usize| arguments.get(index).map_or(&[] as &[u8], Datum::bytes);
        let long = |index: usize| arguments.get(index).map_or(0, Datum::long);
        let string = bytes(0);
        let text = |bytes: &[u8]| vec![Datum::String(bytes.into())];
        let number = |number: i64| vec![Datum::Long(number)];
        let position = |position: Option<usize>| number(position.map_or(-1, |position| position as i64));
        match self {
            Self::Length => number(string.len() as i64),
            Self::Byte => {
                let byte = usize::try_from(long(1)).ok().and_then(|at| string.get(at));
                number(byte.map_or(-1, |&byte| i64::from(byte)))
            }
            Self::Substring => {
                let rest = usize::try_from(long(1)).ok().and_then(|start| string.get(start..)).unwrap_or(&[]);
                let size = usize::try_from(long(2)).unwrap_or(0).min(rest.len());
                text(&rest[..size])
            }
            Self::Find => position(string.find(bytes(1))),
            Self::Number => number(parse(string, long(1))),
            Self::Replace if bytes(1).is_empty() => text(string),
            Self::Replace => text(&string.replace(bytes(1), bytes(2))),
            Self::Token => {
                let is_delimiter = |byte: &u8| bytes(1).contains(byte);
                let start = string.iter().position(|byte| !is_delimiter(byte)).unwrap_or(string.len());
                let end = string[start..].iter().position(is_delimiter).map_or(string.len(), |size| start + size);
                let rest = string.get(end + 1..).unwrap_or(&[]);
                [text(&string[start..end]), text(rest)].concat()
            }
            Self::Escape => text(&escaped(string)),
            Self::Quote => text(&[b"\"", escaped(string).as_slice(), b"\""].concat()),
        }
    }
}

/// The number at the start of a string (lib/vsprintf.c, `simple_strtol`): a sign, a prefix for base 16 or unknown bases,
/// digits; what is too large wraps.
fn parse(string: &[u8], base: i64) -> i64 {
    if let Some(rest) = string.strip_prefix(b"-") {
        return parse_unsigned(rest, base).wrapping_neg();
    }
    parse_unsigned(string, base)
}

fn parse_unsigned(mut string: &[u8], mut base: i64) -> i64 {
    let is_hexadecimal = matches!(string, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit());
    if base == 0 {
        base = match string {
            _ if is_hexadecimal => 16,
            [b'0', ..] => 8,
            _ => 10,
        };
    }
    if base == 16 && matches!(string, [b'0', b'x' | b'X', ..]) {
        string = &string[2..];
    }
    let mut number = 0i64;
    for &byte in string {
        let digit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => i64::from(digit - b'0'),
            digit @ b'a'..=b'f' => i64::from(digit - b'a') + 10,
            _ => break,
        };
        if digit >= base {
            break;
        }
        number = number.wrapping_mul(base).wrapping_add(digit);
    }
    number
}

/// A string as it would be written between quotes.
fn escaped(string: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(string.len());
    for &byte in string {
        match byte {
            b'\x07' => text.extend(b"\\a"),
            b'\x08' => text.extend(b"\\b"),
            b'\x0c' => text.extend(b"\\f"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            b'\x0b' => text.extend(b"\\v"),
            b'"' | b'\\' => text.extend([b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            _ => text.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Datum {
        Datum::String(text.into())
    }

    #[track_caller]
    fn gives(function: StringFunction, arguments: &[Datum], expected: &[Datum]) {
        assert_eq!(function.apply(arguments), expected);
    }

    #[test]
    fn parts_of_strings() {
        let part = |start, size| vec![string("hello"), Datum::Long(start), Datum::Long(size)];
        for (start, size, expected) in
            [(1, 3, "ell"), (0, 99, "hello"), (4, 1, "o"), (5, 1, ""), (-1, 3, ""), (2, -1, ""), (2, i64::MAX, "llo")]
        {
            gives(StringFunction::Substring, &part(start, size), &[string(expected)]);
        }
        for (at, expected) in [(0, 104), (4, 111), (5, -1), (-1, -1)] {
            gives(StringFunction::Byte, &[string("hello"), Datum::Long(at)], &[Datum::Long(expected)]);
        }
        gives(StringFunction::Length, &[string("hello")], &[Datum::Long(5)]);
    }

    #[test]
    fn what_is_found_and_replaced() {
        for (text, part, expected) in [("abcabc", "ca", 2), ("abc", "", 0), ("abc", "abcd", -1), ("", "a", -1)] {
            gives(StringFunction::Find, &[string(text), string(part)], &[Datum::Long(expected)]);
        }
        for (old, new, expected) in [("a", "xy", "xybxy"), ("", "x", "aba"), ("c", "x", "aba"), ("ab", "", "a")] {
            gives(StringFunction::Replace, &[string("aba"), string(old), string(new)], &[string(expected)]);
        }
    }

    #[test]
    fn tokens_are_never_empty() {
        for (text, token, rest) in
            [("a,b;c", "a", "b;c"), (",;a,b", "a", "b"), ("abc", "abc", ""), (",,", "", ""), ("a,", "a", "")]
        {
            gives(StringFunction::Token, &[string(text), string(",;")], &[string(token), string(rest)]);
        }
    }

    #[test]
    fn numbers_as_the_kernel_reads_them() {
        for (text, base, expected) in [
            ("12ab", 10, 12),
            ("-0x1f", 0, -31),
            ("017", 0, 15),
            ("0x1f", 16, 31),
            ("1F", 16, 31),
            ("19", 8, 1),
            (" 1", 10, 0),
            ("", 10, 0),
            ("9223372036854775808", 10, i64::MIN),
        ] {
            gives(StringFunction::Number, &[string(text), Datum::Long(base)], &[Datum::Long(expected)]);
        }
    }

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        gives(StringFunction::Escape, &[string("a\n\"\u{1}\\é")], &[string("a\\n\\\"\\001\\\\\\303\\251")]);
        gives(StringFunction::Quote, &[string("x\ty")], &[string("\"x\\ty\"")]);
    }
}
