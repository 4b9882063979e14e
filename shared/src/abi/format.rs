//! The format strings of `printf` and `sprintf`: read once by the compiler, rendered by `taprun` and the interpreter.
//!
//! Conversions are SystemTap's (stapfuncs(3stap), `printf`): `%c %d %i %o %p %s %u %x %X %b %%`, the flags `- + space # 0`, a
//! width and a precision, each a number or `*`; a length modifier `l` is accepted and means nothing, since every integer is
//! a signed 64-bit long.

use bstr::{BString, ByteSlice};
use serde::{Deserialize, Serialize};

use crate::abi::value::Datum;
use crate::limits::{FORMAT_ARGUMENTS_MAX, FORMAT_WIDTH_MAX};

/// A format string, read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Format {
    /// In order; two texts never stand side by side.
    pub pieces: Vec<Piece>,
}

/// Text or a conversion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Piece {
    /// Bytes that stand for themselves.
    Text(BString),
    /// A place for an argument.
    Conversion(Conversion),
}

/// One `%…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conversion {
    /// What the argument is turned into.
    pub verb: Verb,
    /// `-`: fill on the right.
    pub left: bool,
    /// `+`: a sign also for numbers that are not negative.
    pub plus: bool,
    /// A space where a plus could be.
    pub space: bool,
    /// `#`: `0x` or `0` in front.
    pub alternate: bool,
    /// `0`: fill with zeros.
    pub zero: bool,
    /// The smallest number of bytes.
    pub width: Extent,
    /// Digits at least, or bytes of a string at the most.
    pub precision: Extent,
}

/// A width or a precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Extent {
    /// Not given.
    #[default]
    None,
    /// A number in the format.
    Fixed(u32),
    /// `*`: a long among the arguments.
    Argument,
}

/// The letter of a conversion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    /// `%d`, `%i`
    #[default]
    Decimal,
    /// `%u`
    Unsigned,
    /// `%o`
    Octal,
    /// `%x`
    Hex,
    /// `%X`
    HexUpper,
    /// `%p`
    Pointer,
    /// `%c`
    Character,
    /// `%s`
    String,
    /// `%b`: the long's bytes as they lie in memory; the width says how many of 1, 2, 4, 8.
    Binary,
}

/// Why a format string cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    /// The byte of the format string where reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A long.
    Long,
    /// A string.
    String,
}

impl Format {
    /// Reads a format string.
    ///
    /// # Errors
    /// At the first conversion that does not exist or exceeds a limit.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let mut format = Self::default();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if byte != b'%' {
                format.push_text(&[byte]);
                at += 1;
            } else if text.get(at + 1) == Some(&b'%') {
                format.push_text(b"%");
                at += 2;
            } else {
                let (conversion, end) = Conversion::parse(text, at)?;
                format.pieces.push(Piece::Conversion(conversion));
                at = end;
            }
        }
        let count = format.arguments().len();
        if count > FORMAT_ARGUMENTS_MAX {
            let message = format!("{count} arguments in one format, the limit is {FORMAT_ARGUMENTS_MAX}");
            return Err(FormatError { offset: 0, message });
        }
        Ok(format)
    }

    /// The format string again, in a form that [`Format::parse`] reads to the same pieces.
    #[must_use]
    pub fn text(&self) -> BString {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend(text.replace("%", "%%")),
                Piece::Conversion(conversion) => out.extend(conversion.to_string().into_bytes()),
            }
        }
        out.into()
    }

    /// Appends text, joining it with text before it.
    pub fn push_text(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.extend_from_slice(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Text(text.into())),
        }
    }

    /// Appends a plain conversion.
    pub fn push_conversion(&mut self, verb: Verb) {
        self.pieces.push(Piece::Conversion(Conversion { verb, ..Conversion::default() }));
    }

    /// What arguments the format takes, in order, widths and precisions included.
    #[must_use]
    pub fn arguments(&self) -> Vec<ArgumentKind> {
        let mut kinds = Vec::new();
        for piece in &self.pieces {
            let Piece::Conversion(conversion) = piece else { continue };
            let extents = [conversion.width, conversion.precision];
            kinds.extend(extents.iter().filter(|&&extent| extent == Extent::Argument).map(|_| ArgumentKind::Long));
            kinds.push(if conversion.verb == Verb::String { ArgumentKind::String } else { ArgumentKind::Long });
        }
        kinds
    }

    /// Appends the format with its arguments filled in. A missing argument counts as 0 or the empty string.
    pub fn render(&self, arguments: &[Datum], out: &mut Vec<u8>) {
        let mut arguments = arguments.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Conversion(conversion) => conversion.render(&mut arguments, out),
            }
        }
    }
}

impl Conversion {
    /// Reads the conversion that starts with the `%` at `start`; gives it and the byte after it.
    fn parse(text: &[u8], start: usize) -> Result<(Self, usize), FormatError> {
        let mut conversion = Self::default();
        let mut at = start + 1;
        while let Some(flag) = text.get(at) {
            match flag {
                b'-' => conversion.left = true,
                b'+' => conversion.plus = true,
                b' ' => conversion.space = true,
                b'#' => conversion.alternate = true,
                b'0' => conversion.zero = true,
                _ => break,
            }
            at += 1;
        }
        (conversion.width, at) = parse_extent(text, at)?;
        if text.get(at) == Some(&b'.') {
            (conversion.precision, at) = parse_extent(text, at + 1)?;
            if conversion.precision == Extent::None {
                conversion.precision = Extent::Fixed(0);
            }
        }
        while text.get(at) == Some(&b'l') {
            at += 1;
        }
        conversion.verb = match text.get(at) {
            Some(b'd' | b'i') => Verb::Decimal,
            Some(b'u') => Verb::Unsigned,
            Some(b'o') => Verb::Octal,
            Some(b'x') => Verb::Hex,
            Some(b'X') => Verb::HexUpper,
            Some(b'p') => Verb::Pointer,
            Some(b'c') => Verb::Character,
            Some(b's') => Verb::String,
            Some(b'b') => Verb::Binary,
            Some(&letter) => {
                let message = format!("unknown conversion `%{}`", BString::from(vec![letter]));
                return Err(FormatError { offset: at, message });
            }
            None => return Err(FormatError { offset: start, message: "conversion without a letter".to_owned() }),
        };
        Ok((conversion, at + 1))
    }

    fn render<'a>(self, arguments: &mut impl Iterator<Item = &'a Datum>, out: &mut Vec<u8>) {
        let mut extent = |extent| match extent {
            Extent::None => None,
            Extent::Fixed(extent) => Some(i64::from(extent)),
            Extent::Argument => Some(arguments.next().map_or(0, Datum::long)),
        };
        // printf(3): a negative width is a `-` flag and a width; a negative precision is none.
        let width = extent(self.width).unwrap_or(0);
        let precision = extent(self.precision).filter(|&precision| precision >= 0);
        let left = self.left || width < 0;
        let width = width.unsigned_abs().min(u64::from(FORMAT_WIDTH_MAX)) as usize;
        let precision = precision.map(|precision| precision.min(i64::from(FORMAT_WIDTH_MAX)) as usize);
        let zero = Datum::Long(0);
        let argument = arguments.next().unwrap_or(&zero);
        match self.verb {
            Verb::String => {
                let bytes = argument.bytes();
                let shown = precision.map_or(bytes.len(), |precision| precision.min(bytes.len()));
                pad(&[], &bytes[..shown], width, left, false, out);
            }
            Verb::Character => pad(&[], &[argument.long() as u8], width, left, false, out),
            Verb::Binary => {
                let size = if matches!(width, 1 | 2 | 4) { width } else { 8 };
                out.extend_from_slice(&argument.long().to_ne_bytes()[..size]);
            }
            _ => {
                let (sign, digits) = self.number(argument.long(), precision);
                let zeros = self.zero && !left && precision.is_none();
                pad(sign.as_bytes(), digits.as_bytes(), width, left, zeros, out);
            }
        }
    }

    /// The sign or prefix of a number, and its digits.
    fn number(self, long: i64, precision: Option<usize>) -> (&'static str, String) {
        let bits = long as u64;
        let (sign, digits) = match self.verb {
            Verb::Decimal => {
                let sign = match () {
                    () if long < 0 => "-",
                    () if self.plus => "+",
                    () if self.space => " ",
                    () => "",
                };
                (sign, long.unsigned_abs().to_string())
            }
            Verb::Octal => (if self.alternate { "0" } else { "" }, format!("{bits:o}")),
            Verb::Hex => (if self.alternate && bits != 0 { "0x" } else { "" }, format!("{bits:x}")),
            Verb::HexUpper => (if self.alternate && bits != 0 { "0X" } else { "" }, format!("{bits:X}")),
            Verb::Pointer => ("0x", format!("{bits:x}")),
            Verb::Unsigned | Verb::Character | Verb::String | Verb::Binary => ("", bits.to_string()),
        };
        match precision {
            Some(0) if bits == 0 => (sign, String::new()),
            Some(precision) => (sign, format!("{digits:0>precision$}")),
            None => (sign, digits),
        }
    }
}

/// Appends `sign` and `body`, filled up to `width` bytes.
fn pad(sign: &[u8], body: &[u8], width: usize, left: bool, zeros: bool, out: &mut Vec<u8>) {
    let fill = width.saturating_sub(sign.len() + body.len());
    let (before, between, after) = match (left, zeros) {
        (true, _) => (0, 0, fill),
        (false, true) => (0, fill, 0),
        (false, false) => (fill, 0, 0),
    };
    out.extend(std::iter::repeat_n(b' ', before));
    out.extend_from_slice(sign);
    out.extend(std::iter::repeat_n(b'0', between));
    out.extend_from_slice(body);
    out.extend(std::iter::repeat_n(b' ', after));
}

/// Reads a number or `*` at `at`; gives it and the byte after it.
fn parse_extent(text: &[u8], mut at: usize) -> Result<(Extent, usize), FormatError> {
    if text.get(at) == Some(&b'*') {
        return Ok((Extent::Argument, at + 1));
    }
    let start = at;
    let mut extent = 0u32;
    while let Some(digit) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
        extent = extent.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
        at += 1;
    }
    if extent > FORMAT_WIDTH_MAX {
        let message = format!("a width or precision above {FORMAT_WIDTH_MAX}");
        return Err(FormatError { offset: start, message });
    }
    Ok((if at == start { Extent::None } else { Extent::Fixed(extent) }, at))
}

impl std::fmt::Display for Conversion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("%")?;
        let flags = [(self.left, '-'), (self.plus, '+'), (self.space, ' '), (self.alternate, '#'), (self.zero, '0')];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            write!(f, "{flag}")?;
        }
        write!(f, "{}", self.width)?;
        if self.precision != Extent::None {
            write!(f, ".{}", self.precision)?;
        }
        f.write_str(match self.verb {
            Verb::Decimal => "d",
            Verb::Unsigned => "u",
            Verb::Octal => "o",
            Verb::Hex => "x",
            Verb::HexUpper => "X",
            Verb::Pointer => "p",
            Verb::Character => "c",
            Verb::String => "s",
            Verb::Binary => "b",
        })
    }
}

impl std::fmt::Display for Extent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Fixed(extent) => write!(f, "{extent}"),
            Self::Argument => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, arguments: &[Datum], expected: &str) {
        let format = Format::parse(format.as_bytes()).expect("a format");
        let mut out = Vec::new();
        format.render(arguments, &mut out);
        assert_eq!(BString::from(out), expected);
        assert_eq!(Format::parse(&format.text()), Ok(format));
    }

    fn long(long: i64) -> Datum {
        Datum::Long(long)
    }

    fn string(text: &str) -> Datum {
        Datum::String(text.into())
    }

    #[test]
    fn integers_as_in_c() {
        check("%d|%5d|%-5d|%05d|%+d|% d", &[1, -2, 3, -4, 5, 6].map(long), "1|   -2|3    |-0004|+5| 6");
        check("%u %x %X %o", &[-1, 255, 255, 8].map(long), "18446744073709551615 ff FF 10");
        check("%#x %#o %#x %p %p", &[255, 8, 0, 4096, 0].map(long), "0xff 010 0 0x1000 0x0");
        check("%.3d|%8.3d|%.0d|%ld|%lli", &[7, 7, 0, 9, -9].map(long), "007|     007||9|-9");
        check("%d", &[long(i64::MIN)], "-9223372036854775808");
    }

    #[test]
    fn strings_and_characters() {
        check("%s|%5s|%-5s|%.2s", &["a", "bc", "de", "fgh"].map(string), "a|   bc|de   |fg");
        check("100%% %c%c", &[long(104), long(105)], "100% hi");
    }

    #[test]
    fn widths_from_arguments() {
        check("%*d|%-*s|%.*s", &[long(4), long(1), long(-3), string("x"), long(1), string("yz")], "   1|x  |y");
    }

    #[test]
    fn a_binary_long_is_its_bytes() {
        let mut out = Vec::new();
        Format::parse(b"%4b").expect("a format").render(&[long(0x0102_0304)], &mut out);
        assert_eq!(out, [4, 3, 2, 1]);
    }

    #[test]
    fn what_is_no_format_is_refused_where_it_goes_wrong() {
        for (text, offset) in [("%", 0), ("ab%q", 3), ("%5", 0), ("%99999d", 1)] {
            assert_eq!(Format::parse(text.as_bytes()).map_err(|error| error.offset), Err(offset), "{text}");
        }
        assert!(Format::parse("%d".repeat(FORMAT_ARGUMENTS_MAX + 1).as_bytes()).is_err());
    }
}
