//! The read-only data of all programs: the parameters, then each literal once.

use std::collections::BTreeMap;

use shared::abi::map::Parameter;

/// Read-only data in the making.
pub(super) struct Rodata {
    bytes: Vec<u8>,
    known: BTreeMap<Vec<u8>, i32>,
}

impl Rodata {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; Parameter::ALL.len() * 8], known: BTreeMap::new() }
    }

    /// The offset of these bytes, aligned to eight.
    pub(super) fn offset(&mut self, bytes: Vec<u8>) -> i32 {
        let end = &mut self.bytes;
        *self.known.entry(bytes).or_insert_with_key(|bytes| {
            let offset = end.len().next_multiple_of(8);
            end.resize(offset, 0);
            end.extend_from_slice(bytes);
            offset as i32
        })
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
