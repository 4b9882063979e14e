//! Formats of `printf`: those of [`Format`], and the conversions that show memory, `%m` as it is and `%M` in hexadecimal.
//!
//! Of these the argument is an address of the kernel's, and the precision says how many bytes are shown, else one. Here each
//! becomes as many conversions as it has bytes, so that nothing behind pass 2 needs to know of them.

use shared::abi::format::{ArgumentKind, Format, FormatError, Piece};
use shared::limits::{FORMAT_ARGUMENTS_MAX, FORMAT_WIDTH_MAX};

/// A format, and what becomes of the arguments that a script gives it.
#[derive(Debug, Default)]
pub(super) struct ScriptFormat {
    pub(super) format: Format,
    pub(super) arguments: Vec<Argument>,
}

/// An argument of a script's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// One of the format, of this kind.
    Same(ArgumentKind),
    /// An address, which stands for so many bytes.
    Memory(usize),
}

/// `%8.4M`, read.
struct Memory {
    /// The byte behind it.
    end: usize,
    hexadecimal: bool,
    left: bool,
    width: usize,
    bytes: usize,
}

impl ScriptFormat {
    /// Reads a format.
    pub(super) fn read(text: &[u8]) -> Result<Self, FormatError> {
        let mut read = Self::default();
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            if text[at] != b'%' {
                at += 1;
            } else if text.get(at + 1) == Some(&b'%') {
                at += 2;
            } else if let Some(memory) = Memory::read(text, at)? {
                read.add_plain(text, start, at)?;
                read.add_memory(&memory);
                (start, at) = (memory.end, memory.end);
            } else {
                at += 1;
            }
        }
        read.add_plain(text, start, text.len())?;
        let count = read.format.arguments().len();
        if count > FORMAT_ARGUMENTS_MAX {
            let message = format!("{count} arguments in one format, the limit is {FORMAT_ARGUMENTS_MAX}");
            return Err(FormatError { offset: 0, message });
        }
        Ok(read)
    }

    fn add_plain(&mut self, text: &[u8], start: usize, end: usize) -> Result<(), FormatError> {
        let read = Format::parse(&text[start..end]);
        let plain = read.map_err(|error| FormatError { offset: error.offset + start, ..error })?;
        self.arguments.extend(plain.arguments().into_iter().map(Argument::Same));
        for piece in plain.pieces {
            match piece {
                Piece::Text(text) => self.format.push_text(&text),
                conversion @ Piece::Conversion(_) => self.format.pieces.push(conversion),
            }
        }
        Ok(())
    }

    fn add_memory(&mut self, memory: &Memory) {
        let fill = vec![b' '; memory.width.saturating_sub(memory.bytes)];
        if !memory.left {
            self.format.push_text(&fill);
        }
        let each: &[u8] = if memory.hexadecimal { b"%02x" } else { b"%c" };
        let pieces = Format::parse(each).unwrap_or_default().pieces;
        (0..memory.bytes).for_each(|_| self.format.pieces.extend_from_slice(&pieces));
        if memory.left {
            self.format.push_text(&fill);
        }
        self.arguments.push(Argument::Memory(memory.bytes));
    }
}

impl Memory {
    /// Reads the conversion at a percent sign; nothing where it shows no memory.
    fn read(text: &[u8], start: usize) -> Result<Option<Self>, FormatError> {
        let rest = &text[start + 1..];
        let flags = rest.iter().take_while(|byte| b"-+ #0".contains(byte)).count();
        let (width, after_width) = number(rest, flags);
        let (precision, end) = match rest.get(after_width) {
            Some(b'.') => number(rest, after_width + 1),
            _ => (Some(0), after_width),
        };
        let end = end + rest[end.min(rest.len())..].iter().take_while(|&&byte| byte == b'l').count();
        let Some(letter @ (b'm' | b'M')) = rest.get(end) else { return Ok(None) };
        let wrong = |message: String| Err(FormatError { offset: start, message });
        let (Some(width), Some(precision)) = (width, precision) else {
            return wrong("how much memory is shown is a number in the format".to_owned());
        };
        if width > FORMAT_WIDTH_MAX as usize || precision > FORMAT_ARGUMENTS_MAX {
            return wrong(format!("more than {FORMAT_ARGUMENTS_MAX} bytes of memory, or too much room for them"));
        }
        let left = rest[..flags].contains(&b'-');
        let end = start + 1 + end + 1;
        Ok(Some(Self { end, hexadecimal: *letter == b'M', left, width, bytes: precision.max(1) }))
    }
}

/// The number at a byte, 0 where there is none, nothing where there is a `*`; and the byte behind it.
fn number(text: &[u8], start: usize) -> (Option<usize>, usize) {
    if text.get(start) == Some(&b'*') {
        return (None, start + 1);
    }
    let digits = text[start.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit());
    let (mut number, mut end) = (0usize, start);
    for digit in digits {
        number = number.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        end += 1;
    }
    (Some(number), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, arguments: &[Argument]) {
        let read = ScriptFormat::read(text.as_bytes()).expect("a format");
        assert_eq!((read.format.text().to_string().as_str(), read.arguments.as_slice()), (expected, arguments));
    }

    #[test]
    fn memory_is_shown_by_bytes() {
        use Argument::{Memory, Same};
        use ArgumentKind::{Long, String};
        check("a%%m %d %*s", "a%%m %d %*s", &[Same(Long), Same(Long), Same(String)]);
        check("%m|%.3M|%s", "%c|%02x%02x%02x|%s", &[Memory(1), Memory(3), Same(String)]);
        check("%4.2m|%-4.2M|", "  %c%c|%02x%02x  |", &[Memory(2), Memory(2)]);
    }

    #[test]
    fn what_is_wrong_is_found_where_it_stands() {
        let offset = |text: &str| ScriptFormat::read(text.as_bytes()).map(|_| ()).map_err(|error| error.offset);
        assert_eq!(offset("%.2M %q"), Err(6));
        assert_eq!([offset("ab%.*M"), offset("%.99m"), offset("%")], [Err(2), Err(0), Err(0)]);
        assert_eq!(offset("%.32M %d"), Err(0));
    }
}
