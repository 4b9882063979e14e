//! How an index lies in its file: a header, then tables of rows of fixed size, all numbers little-endian, nothing aligned.
//! Must not know what the rows mean.

use std::marker::PhantomData;

use shared::artifact::manifest::Digest;
use shared::limits::INDEX_BYTES_MAX;

/// The first bytes of the file.
const MAGIC: [u8; 8] = *b"tapwidx\n";

/// Of the layout and of what builds it: another one is not read, and the index built anew.
const VERSION: u32 = 1;

/// Bytes of the header in front of the tables' places.
const FIXED_BYTES: usize = 8 + 4 + 4 + 8 + 32 + 32;

/// Bytes of a table's place: its offset and size.
const PLACE_BYTES: usize = 16;

/// A row of a table.
pub(super) trait Row: Sized {
    /// Its bytes.
    const SIZE: usize;
    /// Reads one of that many bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Appends it.
    fn write(&self, bytes: &mut Vec<u8>);
}

/// Declares a row of numbers.
macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $number:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name { $($(#[$field_doc])* pub(super) $field: $number),* }

        impl $crate::debuginfo::index::layout::Row for $name {
            const SIZE: usize = 0 $(+ size_of::<$number>())*;

            fn read(bytes: &[u8]) -> Option<Self> {
                $(let ($field, bytes) = bytes.split_first_chunk()?;)*
                bytes.is_empty().then(|| Self { $($field: <$number>::from_le_bytes(*$field)),* })
            }

            fn write(&self, bytes: &mut Vec<u8>) {
                $(bytes.extend_from_slice(&self.$field.to_le_bytes());)*
            }
        }
    };
}
pub(super) use row;

/// A table of an index.
pub(super) struct Table<'a, R> {
    bytes: &'a [u8],
    row: PhantomData<R>,
}

impl<'a, R: Row> Table<'a, R> {
    /// `None`: these are no whole rows.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(R::SIZE).then_some(Self { bytes, row: PhantomData })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / R::SIZE
    }

    pub(super) fn get(&self, index: usize) -> Option<R> {
        let start = index.checked_mul(R::SIZE)?;
        R::read(self.bytes.get(start..start.checked_add(R::SIZE)?)?)
    }

    /// Rows from one on, as far as there are any.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = R> + use<'a, R> {
        let start = index.saturating_mul(R::SIZE);
        self.bytes.get(start..).unwrap_or_default().chunks_exact(R::SIZE).map_while(R::read)
    }

    /// The first row for which that does not hold, where it holds for all rows before.
    pub(super) fn partition_point(&self, holds: impl Fn(&R) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|row| holds(&row)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// A file taken apart. What it says of whose index it is, and its tables, are still to be looked at.
pub(super) struct Parts<'a, const TABLES: usize> {
    /// How long the debug file is.
    pub(super) file_bytes: u64,
    /// Of the debug file's build id.
    pub(super) build_id: Digest,
    pub(super) tables: [&'a [u8]; TABLES],
    /// What the header says the tables' digest is.
    digest: Digest,
    body: &'a [u8],
}

impl<'a, const TABLES: usize> Parts<'a, TABLES> {
    /// Reads the header and finds the tables.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        if bytes.len() > INDEX_BYTES_MAX {
            return Err("it is too large");
        }
        let truncated = || "it is truncated";
        let (header, body) = bytes.split_at_checked(header_bytes(TABLES)).ok_or_else(truncated)?;
        let (header, checksum) = header.split_last_chunk::<32>().ok_or_else(truncated)?;
        let (magic, rest) = header.split_first_chunk::<8>().ok_or_else(truncated)?;
        if *magic != MAGIC {
            return Err("it does not begin as one");
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err("it is of another version");
        }
        if Digest::of(header).0 != *checksum {
            return Err("its header is damaged");
        }
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let (file_bytes, rest) = rest.split_first_chunk::<8>().ok_or_else(truncated)?;
        let (build_id, rest) = rest.split_first_chunk::<32>().ok_or_else(truncated)?;
        let (digest, places) = rest.split_first_chunk::<32>().ok_or_else(truncated)?;
        if u32::from_le_bytes(*count) as usize != TABLES {
            return Err("it has another number of tables");
        }
        let mut tables = [&[][..]; TABLES];
        for (table, place) in tables.iter_mut().zip(places.as_chunks::<PLACE_BYTES>().0) {
            *table = table_at(body, place).ok_or("a table lies outside of it")?;
        }
        let (build_id, digest) = (Digest(*build_id), Digest(*digest));
        Ok(Self { file_bytes: u64::from_le_bytes(*file_bytes), build_id, tables, digest, body })
    }

    /// Whether nothing changed since it was written. Reads all of it.
    pub(super) fn is_intact(&self) -> bool {
        Digest::of(self.body) == self.digest
    }

    /// A file of these tables.
    pub(super) fn write(file_bytes: u64, build_id: &Digest, tables: &[Vec<u8>; TABLES]) -> Vec<u8> {
        let body = tables.concat();
        let mut bytes = Vec::with_capacity(header_bytes(TABLES) + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(TABLES as u32).to_le_bytes());
        bytes.extend_from_slice(&file_bytes.to_le_bytes());
        bytes.extend_from_slice(&build_id.0);
        bytes.extend_from_slice(&Digest::of(&body).0);
        let mut offset = 0;
        for table in tables {
            bytes.extend_from_slice(&(offset as u64).to_le_bytes());
            bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
            offset += table.len();
        }
        let checksum = Digest::of(&bytes);
        bytes.extend_from_slice(&checksum.0);
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// The header ends with its own digest.
const fn header_bytes(tables: usize) -> usize {
    FIXED_BYTES + tables * PLACE_BYTES + 32
}

fn table_at<'a>(body: &'a [u8], place: &[u8; PLACE_BYTES]) -> Option<&'a [u8]> {
    let (offset, size) = place.split_first_chunk::<8>()?;
    let start = usize::try_from(u64::from_le_bytes(*offset)).ok()?;
    let size = usize::try_from(u64::from_le_bytes(*size.first_chunk()?)).ok()?;
    body.get(start..start.checked_add(size)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    row! {
        /// For this test.
        Pair { a: u16, b: u64 }
    }

    #[test]
    fn what_is_written_is_read_back_and_damage_is_noticed() {
        let mut rows = Vec::new();
        Pair { a: 1, b: 2 }.write(&mut rows);
        Pair { a: 3, b: u64::MAX }.write(&mut rows);
        let bytes = Parts::<2>::write(7, &Digest::of(b"id"), &[b"text".to_vec(), rows]);
        let parts = Parts::<2>::read(&bytes).expect("an index");
        assert!(parts.is_intact());
        assert_eq!((parts.file_bytes, parts.build_id, parts.tables[0]), (7, Digest::of(b"id"), &b"text"[..]));
        let table = Table::<Pair>::new(parts.tables[1]).expect("whole rows");
        assert_eq!((table.len(), table.get(1), table.get(2)), (2, Some(Pair { a: 3, b: u64::MAX }), None));
        assert_eq!(table.partition_point(|pair| pair.a < 2), 1);
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x40;
            let is_intact = |bytes| Parts::<2>::read(bytes).is_ok_and(|parts| parts.is_intact());
            assert!(!is_intact(&damaged) && !is_intact(&bytes[..position]), "byte {position}");
        }
    }
}
