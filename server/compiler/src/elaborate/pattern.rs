//! Reads regular expressions: POSIX extended ones (IEEE 1003.1, XBD 9.4) without back-references, over bytes, as the scripts
//! of SystemTap have them. In addition, `\` before a byte that is no letter or digit takes its meaning away everywhere outside
//! of brackets, and before `a b t n v f r` stands for a control character.

use shared::limits::{PATTERN_BYTES_MAX, PATTERN_NESTING_MAX, PATTERN_REPEAT_MAX};

use crate::program::{Bytes, Pattern, PatternNode};

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternError {
    /// The byte of the pattern.
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

type Result<T> = std::result::Result<T, PatternError>;

/// Reads a pattern.
pub(super) fn read(text: &[u8]) -> Result<Pattern> {
    let mut reader = Reader { text, at: 0, groups: 0, depth: 0 };
    if text.len() > PATTERN_BYTES_MAX {
        return Err(reader.error(format!("a regular expression of more than {PATTERN_BYTES_MAX} bytes")));
    }
    let root = reader.alternatives()?;
    match reader.peek() {
        None => Ok(Pattern { text: text.into(), root, groups: reader.groups }),
        Some(_) => Err(reader.error("this `)` closes nothing").help("write `\\\\)` for the parenthesis itself")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    groups: u32,
    depth: usize,
}

impl PatternError {
    fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> PatternError {
        PatternError { offset: self.at, message: message.into(), help: None }
    }

    fn error_at(&self, offset: usize, message: impl Into<String>) -> PatternError {
        PatternError { offset, message: message.into(), help: None }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Result<PatternNode> {
        let mut branches = vec![self.sequence()?];
        while self.eat(b'|') {
            branches.push(self.sequence()?);
        }
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => PatternNode::Alternatives(branches),
        })
    }

    fn sequence(&mut self) -> Result<PatternNode> {
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek() {
            if matches!(byte, b'|' | b')') {
                break;
            }
            let atom = self.atom()?;
            nodes.push(self.repeated(atom)?);
        }
        Ok(match nodes.len() {
            0 => PatternNode::Empty,
            1 => nodes.remove(0),
            _ => PatternNode::Sequence(nodes),
        })
    }

    fn atom(&mut self) -> Result<PatternNode> {
        let start = self.at;
        let Some(byte) = self.peek() else { return Ok(PatternNode::Empty) };
        self.at += 1;
        Ok(match byte {
            b'^' => PatternNode::Start,
            b'$' => PatternNode::End,
            b'.' => PatternNode::One(Bytes::any()),
            b'(' => {
                self.groups += 1;
                let number = self.groups;
                self.depth += 1;
                if self.depth > PATTERN_NESTING_MAX {
                    return Err(self.error_at(start, format!("more than {PATTERN_NESTING_MAX} groups in one another")));
                }
                let inner = self.alternatives()?;
                self.depth -= 1;
                if !self.eat(b')') {
                    return Err(self.error_at(start, "this `(` is not closed"));
                }
                PatternNode::Group(number, Box::new(inner))
            }
            b'[' => PatternNode::One(self.bracket(start)?),
            b'\\' => PatternNode::One(Bytes::one(self.escaped(start)?)),
            b'*' | b'+' | b'?' | b'{' => {
                let message = format!("there is nothing in front of `{}` to be repeated", char::from(byte));
                return Err(self.error_at(start, message).help("write `\\\\` in front of it for the character itself"));
            }
            byte => PatternNode::One(Bytes::one(byte)),
        })
    }

    fn escaped(&mut self, start: usize) -> Result<u8> {
        let Some(byte) = self.peek() else {
            return Err(self.error_at(start, "there is nothing behind this `\\`"));
        };
        self.at += 1;
        Ok(match byte {
            b'1'..=b'9' => {
                let message = "a regular expression cannot refer back to a group (`\\1`)";
                return Err(self.error_at(start, message).help("take the groups with `matched(1)` and compare them"));
            }
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            byte if byte.is_ascii_alphanumeric() => {
                let message = format!("`\\{}` means nothing in a regular expression", char::from(byte));
                return Err(self.error_at(start, message).help("classes are written `[[:digit:]]`"));
            }
            byte => byte,
        })
    }

    /// `*`, `+`, `?`, `{m,n}`, perhaps several.
    fn repeated(&mut self, mut node: PatternNode) -> Result<PatternNode> {
        let mut levels = 0;
        while let Some(byte) = self.peek() {
            let start = self.at;
            let (min, max) = match byte {
                b'*' => (0, None),
                b'+' => (1, None),
                b'?' => (0, Some(1)),
                b'{' => self.interval(start)?,
                _ => break,
            };
            if byte != b'{' {
                self.at += 1;
            }
            levels += 1;
            if matches!(node, PatternNode::Start | PatternNode::End) || levels > PATTERN_NESTING_MAX {
                return Err(self.error_at(start, "what stands in front of this cannot be repeated"));
            }
            node = PatternNode::Repeat { node: Box::new(node), min, max };
        }
        Ok(node)
    }

    fn interval(&mut self, start: usize) -> Result<(u32, Option<u32>)> {
        self.at += 1;
        let min = self.number()?;
        let max = if self.eat(b',') { self.number()? } else { min };
        if !self.eat(b'}') || (min.is_none() && max.is_none()) {
            return Err(self.error_at(start, "this is no interval").help("write `{2}`, `{2,}`, `{2,5}`, or `\\\\{`"));
        }
        let min = min.unwrap_or(0);
        if max.is_some_and(|max| max < min) {
            return Err(self.error_at(start, "this interval ends before it begins"));
        }
        Ok((min, max))
    }

    fn number(&mut self) -> Result<Option<u32>> {
        let start = self.at;
        let mut number: u32 = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            self.at += 1;
        }
        if number > PATTERN_REPEAT_MAX {
            return Err(self.error_at(start, format!("more than {PATTERN_REPEAT_MAX} repetitions")));
        }
        Ok((self.at > start).then_some(number))
    }

    /// `[…]`, from behind the bracket.
    fn bracket(&mut self, start: usize) -> Result<Bytes> {
        let negated = self.eat(b'^');
        let mut bytes = Bytes::default();
        let mut first = true;
        loop {
            let at = self.at;
            let Some(byte) = self.peek() else { return Err(self.error_at(start, "this `[` is not closed")) };
            if byte == b']' && !first {
                self.at += 1;
                return Ok(if negated { bytes.complement() } else { bytes });
            }
            first = false;
            if self.text[at..].starts_with(b"[:") {
                self.class(&mut bytes)?;
                continue;
            }
            if self.text[at..].starts_with(b"[.") || self.text[at..].starts_with(b"[=") {
                return Err(self.error("collating elements and equivalence classes are not supported"));
            }
            self.at += 1;
            let is_range = self.peek() == Some(b'-') && self.text.get(self.at + 1).is_some_and(|&next| next != b']');
            if !is_range {
                bytes.insert_range(byte, byte);
                continue;
            }
            let last = self.text[self.at + 1];
            self.at += 2;
            if last < byte {
                return Err(self.error_at(at, "this range ends before it begins"));
            }
            bytes.insert_range(byte, last);
        }
    }

    /// `[:alpha:]`
    fn class(&mut self, bytes: &mut Bytes) -> Result<()> {
        let start = self.at;
        let rest = &self.text[start + 2..];
        let length = rest.iter().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(rest.len());
        let (name, end) = rest.split_at(length);
        let ranges: &[(u8, u8)] = match name {
            b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
            b"digit" => &[(b'0', b'9')],
            b"alnum" => &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')],
            b"upper" => &[(b'A', b'Z')],
            b"lower" => &[(b'a', b'z')],
            b"space" => &[(b'\t', b'\r'), (b' ', b' ')],
            b"blank" => &[(b'\t', b'\t'), (b' ', b' ')],
            b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
            b"print" => &[(b' ', b'~')],
            b"graph" => &[(b'!', b'~')],
            b"cntrl" => &[(1, 31), (127, 127)],
            b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
            _ => &[],
        };
        if ranges.is_empty() || !end.starts_with(b":]") {
            let help = "alpha, digit, alnum, upper, lower, space, blank, punct, print, graph, cntrl, xdigit";
            return Err(self.error_at(start, "there is no such class of characters").help(help));
        }
        ranges.iter().for_each(|&(first, last)| bytes.insert_range(first, last));
        self.at = start + 2 + length + 2;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        let read = read(pattern.as_bytes());
        assert_eq!(read.map(|pattern| pattern.root.to_string()), Ok(expected.to_owned()));
    }

    #[track_caller]
    fn refuse(pattern: &str, offset: usize, message: &str) {
        let wrong = read(pattern.as_bytes()).map_err(|wrong| (wrong.offset, wrong.message));
        assert_eq!(wrong, Err((offset, message.to_owned())));
    }

    #[test]
    fn what_can_be_written() {
        check("abc", "abc");
        check("a|bc|", "(?:a|bc|())");
        check("^(a|b)*c$", "^(?:((?:a|b))){0,}c$");
        check("a+b?c{2}d{2,}e{2,5}f{,3}", "(?:a){1,}(?:b){0,1}(?:c){2,2}(?:d){2,}(?:e){2,5}(?:f){0,3}");
        check("[]a-c-]", "[-]a-c]");
        check("[^a]", "[\\x01-`b-\\xff]");
        check("[[:digit:]x]\\.\\n", "[0-9x].\\n");
    }

    #[test]
    fn groups_are_counted() {
        assert_eq!(read(b"(a(b))(c)").map(|pattern| pattern.groups), Ok(3));
    }

    #[test]
    fn what_cannot_is_refused_where_it_stands() {
        refuse("a(b", 1, "this `(` is not closed");
        refuse("ab)c", 2, "this `)` closes nothing");
        refuse("x[a", 1, "this `[` is not closed");
        refuse("*a", 0, "there is nothing in front of `*` to be repeated");
        refuse("(a)\\1", 3, "a regular expression cannot refer back to a group (`\\1`)");
        refuse("a\\d", 1, "`\\d` means nothing in a regular expression");
        refuse("a{3,2}", 1, "this interval ends before it begins");
        refuse("a{x}", 1, "this is no interval");
        refuse("[z-a]", 1, "this range ends before it begins");
        refuse("[[:vowel:]]", 1, "there is no such class of characters");
        refuse("ab\\", 2, "there is nothing behind this `\\`");
    }
}
