//! Frames: a length as four bytes, little-endian, then that many bytes of postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::PeerMisbehaved;
use crate::limits::{FRAME_BYTES_MAX, LimitExceeded};

/// Bytes before the contents.
pub const HEADER_BYTES: usize = 4;

/// A message as a frame.
///
/// # Errors
/// When it exceeds [`FRAME_BYTES_MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, LimitExceeded> {
    // postcard fails only on sequences of unknown length, which no message has.
    let contents = postcard::to_stdvec(message).unwrap_or_default();
    LimitExceeded::check("size of a message in bytes", contents.len() as u64, FRAME_BYTES_MAX as u64)?;
    Ok([&(contents.len() as u32).to_le_bytes(), contents.as_slice()].concat())
}

/// How many bytes follow a header.
///
/// # Errors
/// When they exceed [`FRAME_BYTES_MAX`].
pub fn contents_bytes(header: [u8; HEADER_BYTES]) -> Result<usize, PeerMisbehaved> {
    let size = u32::from_le_bytes(header) as usize;
    LimitExceeded::check("size of a message in bytes", size as u64, FRAME_BYTES_MAX as u64)?;
    Ok(size)
}

/// The message in a frame's contents.
///
/// # Errors
/// When the contents are none, or something follows it.
pub fn decode<T: DeserializeOwned>(contents: &[u8]) -> Result<T, PeerMisbehaved> {
    match postcard::take_from_bytes(contents) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(PeerMisbehaved::TrailingBytes),
        Err(_) => Err(PeerMisbehaved::UndecodableMessage),
    }
}
