//! Records in the ring buffer: ids and values; the text they belong to is in the manifest.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | the [`RecordKind`] |
//! | 2..4 | the format's index ([`crate::ir::FormatId`]); 0 where there is none |
//! | 4..8 | the probe point's index in its handler, in the lower half; the handler's index in the upper |
//! | 8..16 | only of [`RecordKind::Raise`]: the [`Location`] |
//! | then | the format's arguments, one after the other as [`crate::abi::value`] lays them out |

use crate::abi::value::{Datum, Type, decode_all, offsets};
use crate::ir::{FormatId, Ir, Location};

/// Bytes before the arguments of a [`RecordKind::Print`].
pub const HEADER_SIZE: usize = 8;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum RecordKind {
    /// Print the arguments by the format.
    Print = 0,
    /// A handler ended in a run-time error; the format and its arguments are the message.
    Raise = 1,
    /// `exit()` was called.
    Exit = 2,
}

/// A record, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Print the arguments by the format.
    Print {
        /// Which format.
        format: FormatId,
        /// Its arguments.
        arguments: Vec<Datum>,
    },
    /// A handler ended in a run-time error.
    Raise {
        /// Which handler, by its index in the IR.
        handler: usize,
        /// At which of its probe points.
        point: usize,
        /// Where in the script.
        location: Location,
        /// The message's format.
        format: FormatId,
        /// Its arguments.
        arguments: Vec<Datum>,
    },
    /// `exit()` was called.
    Exit,
}

/// Why bytes from the ring buffer are not a record of this session. It can only be a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the record's kind and format ask for.
    #[error("a record of {0} bytes is too short")]
    Short(usize),
    /// A kind that does not exist.
    #[error("no record is of kind {0}")]
    Kind(u16),
    /// A format that does not exist.
    #[error("no format has index {0}")]
    Format(u16),
}

/// Where a record's arguments lie and how many bytes it has.
#[must_use]
pub fn layout(kind: RecordKind, arguments: &[Type]) -> (Vec<usize>, usize) {
    let start = arguments_offset(kind);
    let (offsets, size) = offsets(arguments);
    (offsets.into_iter().map(|offset| start + offset).collect(), start + size)
}

/// Bytes before the arguments.
#[must_use]
pub fn arguments_offset(kind: RecordKind) -> usize {
    match kind {
        RecordKind::Print | RecordKind::Exit => HEADER_SIZE,
        RecordKind::Raise => HEADER_SIZE + 8,
    }
}

/// The first eight bytes of a record.
#[must_use]
pub fn header(kind: RecordKind, format: FormatId, handler: u16, point: u16) -> u64 {
    kind as u64 | u64::from(format.0) << 16 | u64::from(point) << 32 | u64::from(handler) << 48
}

/// Reads a record.
///
/// # Errors
/// When the bytes are none of this session's.
pub fn decode(ir: &Ir, bytes: &[u8]) -> Result<Record, RecordError> {
    let short = || RecordError::Short(bytes.len());
    let word =
        |offset: usize| -> Option<u64> { Some(u64::from_ne_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?)) };
    let header = word(0).ok_or_else(short)?;
    let kind = match header as u16 {
        0 => RecordKind::Print,
        1 => RecordKind::Raise,
        2 => return Ok(Record::Exit),
        other => return Err(RecordError::Kind(other)),
    };
    let format = FormatId((header >> 16) as u16);
    let declared = ir.formats.get(usize::from(format.0)).ok_or(RecordError::Format(format.0))?;
    let arguments = bytes
        .get(arguments_offset(kind)..)
        .and_then(|bytes| decode_all(&declared.arguments, bytes))
        .ok_or_else(short)?;
    Ok(match kind {
        RecordKind::Raise => Record::Raise {
            handler: usize::from((header >> 48) as u16),
            point: usize::from((header >> 32) as u16),
            location: Location::from_word(word(HEADER_SIZE).ok_or_else(short)?),
            format,
            arguments,
        },
        RecordKind::Print | RecordKind::Exit => Record::Print { format, arguments },
    })
}
