//! Regular expressions, read: POSIX extended ones without back-references, over bytes. Must not know how they are matched.

use std::fmt::{self, Display, Write};

use bstr::{BStr, BString};

/// A regular expression. Of several matches the leftmost counts, and of those the longest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// As it is written.
    pub text: BString,
    /// What it means.
    pub root: PatternNode,
    /// How many groups it has; they are numbered from 1 by their opening parentheses.
    pub groups: u32,
}

/// A part of a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternNode {
    /// Nothing, which is always there.
    Empty,
    /// One byte.
    One(Bytes),
    /// `^`
    Start,
    /// `$`
    End,
    /// `(…)` and its number.
    Group(u32, Box<PatternNode>),
    /// One after the other; at least two.
    Sequence(Vec<PatternNode>),
    /// Any of them; at least two.
    Alternatives(Vec<PatternNode>),
    /// `*`, `+`, `?`, `{m,n}`
    Repeat {
        /// What.
        node: Box<PatternNode>,
        /// At least so often.
        min: u32,
        /// At most so often; as often as there is, where nothing is given.
        max: Option<u32>,
    },
}

/// A set of bytes. NUL is never in it: no string has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes([u64; 4]);

impl Bytes {
    /// Every byte.
    #[must_use]
    pub fn any() -> Self {
        let mut bytes = Self::default();
        bytes.insert_range(1, u8::MAX);
        bytes
    }

    /// One byte.
    #[must_use]
    pub fn one(byte: u8) -> Self {
        let mut bytes = Self::default();
        bytes.insert_range(byte, byte);
        bytes
    }

    /// Adds all bytes from `first` to `last`.
    pub fn insert_range(&mut self, first: u8, last: u8) {
        for byte in first.max(1)..=last {
            self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
    }

    /// Every byte that is not in this set.
    #[must_use]
    pub fn complement(self) -> Self {
        let Self(any) = Self::any();
        Self(std::array::from_fn(|word| any[word] & !self.0[word]))
    }

    /// Whether a byte is in it.
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", BStr::new(&self.text))
    }
}

impl Display for PatternNode {
    /// In full parentheses: `(?:…)` where the script has none, `(…)` where it has a group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("()"),
            Self::One(bytes) => write!(f, "{bytes}"),
            Self::Start => f.write_str("^"),
            Self::End => f.write_str("$"),
            Self::Group(_, node) => write!(f, "({node})"),
            Self::Sequence(nodes) => nodes.iter().try_for_each(|node| write!(f, "{node}")),
            Self::Alternatives(nodes) => {
                f.write_str("(?:")?;
                for (index, node) in nodes.iter().enumerate() {
                    write!(f, "{}{node}", if index == 0 { "" } else { "|" })?;
                }
                f.write_str(")")
            }
            Self::Repeat { node, min, max } => {
                write!(f, "(?:{node}){{{min},")?;
                max.iter().try_for_each(|max| write!(f, "{max}"))?;
                f.write_str("}")
            }
        }
    }
}

impl Display for Bytes {
    /// One byte as itself, more as a bracket expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = (0..=u8::MAX).filter(|&byte| self.contains(byte)).collect();
        if let &[byte] = bytes.as_slice() {
            return write!(f, "{}", byte.escape_ascii());
        }
        f.write_char('[')?;
        for run in bytes.chunk_by(|before, after| before + 1 == *after) {
            match *run {
                [first, _, .., last] => write!(f, "{}-{}", first.escape_ascii(), last.escape_ascii())?,
                _ => run.iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))?,
            }
        }
        f.write_char(']')
    }
}
