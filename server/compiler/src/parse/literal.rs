//! What literals stand for: the text of a number or a string token to its value.

use bstr::BString;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// `12a`, `08`, `0x`
    Malformed,
    /// More than 64 bits.
    TooLarge,
}

/// An escape that is none, by its place among the bytes between the quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EscapeError {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) message: &'static str,
}

/// Reads a number as C does: decimal, `0x…` or `0…`; up to 2^64 - 1.
pub(super) fn number(text: &str) -> Result<u64, NumberError> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NumberError::Malformed);
    }
    u64::from_str_radix(digits, radix).map_err(|_| NumberError::TooLarge)
}

/// Reads what stands between the quotes of a string; `hex` says whether `\x41` is an escape. What is wrong is left as it is
/// written and told apart.
pub(super) fn string(text: &str, hex: bool) -> (BString, Vec<EscapeError>) {
    let bytes = text.as_bytes();
    let mut value = Vec::with_capacity(bytes.len());
    let mut errors = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        match escape(bytes, &mut at, hex) {
            Ok(byte) => value.extend(byte),
            Err(message) => {
                errors.push(EscapeError { start, end: at, message });
                value.extend_from_slice(&bytes[start..at]);
            }
        }
    }
    (value.into(), errors)
}

/// Reads what follows a backslash.
fn escape(bytes: &[u8], at: &mut usize, hex: bool) -> Result<Option<u8>, &'static str> {
    let Some(&letter) = bytes.get(*at) else { return Ok(None) };
    let digits = |at: usize, radix: u32, digits_max: usize| {
        let rest = bytes.get(at..).unwrap_or(&[]);
        rest.iter().take(digits_max).take_while(|&&byte| char::from(byte).is_digit(radix)).count()
    };
    let (first, count, radix) = match letter {
        b'0'..=b'7' => (*at, digits(*at, 8, 3), 8),
        b'x' if hex => (*at + 1, digits(*at + 1, 16, 2), 16),
        _ => {
            *at += 1;
            return Ok(Some(control(letter)));
        }
    };
    *at = first + count;
    let value = bytes[first..*at].iter().filter_map(|&byte| char::from(byte).to_digit(radix));
    match value.reduce(|value, digit| value * radix + digit).map(u8::try_from) {
        Some(Ok(byte)) => Ok(Some(byte)),
        Some(Err(_)) => Err("an octal escape above \\377 is no byte"),
        None => Err("`\\x` without a hexadecimal digit"),
    }
}

/// What a letter means after a backslash; a letter without a meaning is itself.
fn control(letter: u8) -> u8 {
    match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_in_c() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("017", Ok(15)),
            ("0X1f", Ok(31)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(NumberError::TooLarge)),
            ("01777777777777777777777", Ok(u64::MAX)),
            ("0x", Err(NumberError::Malformed)),
            ("08", Err(NumberError::Malformed)),
            ("12a", Err(NumberError::Malformed)),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_as_in_c() {
        let read = |text| string(text, true).0;
        assert_eq!(read(r#"\a\b\t\n\v\f\r\\\""#), b"\x07\x08\t\n\x0b\x0c\r\\\"".as_slice());
        assert_eq!(read(r"\101\x41\0\1234\x414"), b"AA\0S4A4".as_slice());
        assert_eq!(read(r"\q\."), "q.");
        assert_eq!(read("a\\\nb"), "a\nb");
        assert_eq!(read("é\\xff"), b"\xc3\xa9\xff".as_slice());
        assert_eq!(string(r"\x41", false).0, "x41");
    }

    #[test]
    fn wrong_escapes_are_named_by_their_place() {
        let (value, errors) = string(r"ab\400c\xg", true);
        assert_eq!(value, r"ab\400c\xg");
        assert_eq!(errors.iter().map(|error| (error.start, error.end)).collect::<Vec<_>>(), [(2, 6), (7, 9)]);
    }
}
