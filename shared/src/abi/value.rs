//! Values as they lie in memory: in map keys, map values and event records. One rule for all three places.
//!
//! A long takes eight bytes. A string of at most *n* bytes takes *n* + 1 rounded up to a multiple of eight and is padded
//! with zeros to the end, so that equal strings are equal bytes and can be compared and copied a word at a time.

use bstr::{BString, ByteSlice};
use serde::{Deserialize, Serialize};

/// The type of an IR value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Type {
    /// A signed 64-bit integer.
    Long,
    /// A string of at most so many bytes, the terminating NUL not counted.
    String(u16),
    /// A walk over the entries of an array, as `iterate` opens it. It can be neither stored nor passed on.
    Iterator,
}

/// A long or a string at run time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Datum {
    /// A signed 64-bit integer.
    Long(i64),
    /// Bytes without NUL.
    String(BString),
}

impl Type {
    /// Bytes that a value of this type takes in memory; a multiple of eight.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Long => 8,
            Self::String(bytes_max) => (bytes_max as usize + 1).next_multiple_of(8),
            Self::Iterator => 0,
        }
    }

    /// What an unset variable of this type holds.
    #[must_use]
    pub fn zero(self) -> Datum {
        match self {
            Self::Long | Self::Iterator => Datum::Long(0),
            Self::String(_) => Datum::String(BString::default()),
        }
    }

    /// Appends `datum` as it lies in memory, cut to the type's bound. A datum of the other sort counts as unset.
    pub fn encode(self, datum: &Datum, out: &mut Vec<u8>) {
        let end = out.len() + self.size();
        match (self, datum) {
            (Self::Long, Datum::Long(long)) => out.extend_from_slice(&long.to_ne_bytes()),
            (Self::String(bytes_max), Datum::String(string)) => {
                out.extend_from_slice(&string[..string.len().min(usize::from(bytes_max))]);
            }
            _ => {}
        }
        out.resize(end, 0);
    }

    /// Reads a value of this type from the first [`Type::size`] bytes; `None` where they are too few.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<Datum> {
        let bytes = bytes.get(..self.size())?;
        Some(match self {
            Self::Long => Datum::Long(i64::from_ne_bytes(bytes.try_into().ok()?)),
            Self::String(bytes_max) => {
                let bytes = &bytes[..usize::from(bytes_max)];
                Datum::String(bytes[..bytes.find_byte(0).unwrap_or(bytes.len())].into())
            }
            Self::Iterator => return None,
        })
    }
}

impl Datum {
    /// The long, or 0.
    #[must_use]
    pub fn long(&self) -> i64 {
        match self {
            Self::Long(long) => *long,
            Self::String(_) => 0,
        }
    }

    /// The string's bytes, or none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Long(_) => &[],
            Self::String(string) => string,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Long => f.write_str("long"),
            Self::String(bytes_max) => write!(f, "string({bytes_max})"),
            Self::Iterator => f.write_str("iterator"),
        }
    }
}

/// The offsets of values that lie one after the other, and their size together.
#[must_use]
pub fn offsets(types: &[Type]) -> (Vec<usize>, usize) {
    let mut end = 0;
    let offsets = types
        .iter()
        .map(|ty| {
            let offset = end;
            end += ty.size();
            offset
        })
        .collect();
    (offsets, end)
}

/// Reads values that lie one after the other; `None` where the bytes are too few.
#[must_use]
pub fn decode_all(types: &[Type], bytes: &[u8]) -> Option<Vec<Datum>> {
    let (offsets, _) = offsets(types);
    types.iter().zip(offsets).map(|(ty, offset)| ty.decode(bytes.get(offset..)?)).collect()
}

/// Values one after the other, as they lie in memory.
#[must_use]
pub fn encode_all(types: &[Type], data: &[Datum]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (ty, datum) in types.iter().zip(data) {
        ty.encode(datum, &mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_padded_cut_and_read_back() {
        let ty = Type::String(8);
        let mut bytes = Vec::new();
        ty.encode(&Datum::String("abc".into()), &mut bytes);
        assert_eq!(bytes, b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(ty.decode(&bytes), Some(Datum::String("abc".into())));
        bytes.clear();
        ty.encode(&Datum::String("123456789".into()), &mut bytes);
        assert_eq!(ty.decode(&bytes), Some(Datum::String("12345678".into())));
        assert_eq!(ty.decode(&bytes[..15]), None);
    }

    #[test]
    fn values_lie_one_after_the_other() {
        let types = [Type::Long, Type::String(15), Type::Long];
        let data = [Datum::Long(-1), Datum::String("sh".into()), Datum::Long(7)];
        assert_eq!(offsets(&types), (vec![0, 8, 24], 32));
        assert_eq!(decode_all(&types, &encode_all(&types, &data)), Some(data.to_vec()));
    }
}
