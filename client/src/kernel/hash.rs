//! A BPF hash map whose keys and values have sizes that are known only at run time, or one that has a value for each
//! processor.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya_obj::generated::bpf_map_type::{
    self, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
    BPF_MAP_TYPE_PERCPU_HASH,
};
use aya_obj::generated::{bpf_attr, bpf_cmd};

use super::bpf::{bpf, map_info, zeroed_attr};

/// Entries that one batch call asks for at first.
const BATCH_ENTRIES: usize = 1024;

/// Types of maps that have a value for each processor.
const PER_CPU: [bpf_map_type; 3] = [BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY];

/// A map of values by keys, or by their number.
///
/// The sizes are the kernel's answer, not somebody's claim: the kernel writes as many bytes into our buffers.
#[derive(Debug)]
pub struct Hash {
    fd: OwnedFd,
    key_size: usize,
    value_size: usize,
    /// Values at each key: one, or one for each processor.
    copies: usize,
    entries_max: u32,
}

/// Keys and values of a map, one after the other.
#[derive(Debug, Default)]
pub struct Entries {
    keys: Vec<u8>,
    values: Vec<u8>,
    key_size: usize,
    value_size: usize,
}

impl Hash {
    /// Takes a map.
    ///
    /// # Errors
    /// When it is none of this type, or the kernel does not tell.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = map_info(fd.as_fd())?;
        // Per-CPU maps give a value for each processor that there may ever be.
        let copies = match info.type_ {
            ty if [BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH].iter().any(|&hash| hash as u32 == ty) => 1,
            ty if PER_CPU.iter().any(|&per_cpu| per_cpu as u32 == ty) => aya::util::nr_cpus()
                .map_err(|(what, error)| io::Error::new(error.kind(), format!("{what}: {error}")))?,
            ty => {
                let message = format!("a map of type {ty}, not a hash");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let (key_size, value_size) = (info.key_size as usize, info.value_size as usize);
        if copies > 1 && !value_size.is_multiple_of(8) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("values of {value_size} bytes")));
        }
        Ok(Self { fd, key_size, value_size, copies, entries_max: info.max_entries })
    }

    /// Bytes of a key.
    #[must_use]
    pub fn key_size(&self) -> usize {
        self.key_size
    }

    /// Bytes of a value.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.value_size
    }

    /// Bytes of all values at a key: of one, or of one for each processor.
    #[must_use]
    pub fn values_size(&self) -> usize {
        self.value_size * self.copies
    }

    /// How many entries it can hold.
    #[must_use]
    pub fn entries_max(&self) -> u32 {
        self.entries_max
    }

    /// Copies the values at `key` into `value`. Gives whether there is one.
    ///
    /// # Errors
    /// When a size is wrong, or the kernel refuses.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        let mut attr = self.element(key)?;
        check_size(value.len(), self.values_size())?;
        attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
        // SAFETY: the kernel reads key_size bytes of key and writes as many bytes as all values have to value; both were checked.
        match unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) } {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets the value at `key`. Gives whether there was room for it.
    ///
    /// # Errors
    /// When a size is wrong, or the kernel refuses for another reason.
    pub fn update(&self, key: &[u8], value: &[u8]) -> io::Result<bool> {
        let mut attr = self.element(key)?;
        check_size(value.len(), self.values_size())?;
        attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_ptr() as u64;
        // SAFETY: the kernel reads key_size bytes of key and as many bytes as all values have of value; both were checked.
        match unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) } {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the entry at `key`. Gives whether there was one.
    ///
    /// # Errors
    /// When the key's size is wrong, or the kernel refuses.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        let mut attr = self.element(key)?;
        // SAFETY: the kernel reads key_size bytes of key, which was checked.
        match unsafe { bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr) } {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Every entry, bucket by bucket. While probes write it is as true as such a walk can be: each bucket at its moment.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn entries(&self) -> io::Result<Entries> {
        self.batches(bpf_cmd::BPF_MAP_LOOKUP_BATCH)
    }

    /// Removes every entry that is there when its bucket's turn comes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn clear(&self) -> io::Result<()> {
        self.batches(bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_BATCH).map(|_| ())
    }

    fn element(&self, key: &[u8]) -> io::Result<bpf_attr> {
        check_size(key.len(), self.key_size)?;
        let mut attr = zeroed_attr();
        attr.__bindgen_anon_2.map_fd = self.fd.as_raw_fd() as u32;
        attr.__bindgen_anon_2.key = key.as_ptr() as u64;
        Ok(attr)
    }

    fn batches(&self, cmd: bpf_cmd) -> io::Result<Entries> {
        let mut entries = Entries { key_size: self.key_size, value_size: self.values_size(), ..Entries::default() };
        let mut capacity = BATCH_ENTRIES;
        // The kernel's cursor: the number of a bucket, or for other types of maps a key.
        let mut cursor = vec![0u8; self.key_size.max(8)];
        let mut started = false;
        loop {
            let (keys_end, values_end) = (entries.keys.len(), entries.values.len());
            entries.keys.resize(keys_end + capacity * self.key_size, 0);
            entries.values.resize(values_end + capacity * self.values_size(), 0);
            let mut attr = zeroed_attr();
            attr.batch.map_fd = self.fd.as_raw_fd() as u32;
            attr.batch.in_batch = if started { cursor.as_ptr() as u64 } else { 0 };
            attr.batch.out_batch = cursor.as_mut_ptr() as u64;
            attr.batch.keys = entries.keys[keys_end..].as_mut_ptr() as u64;
            attr.batch.values = entries.values[values_end..].as_mut_ptr() as u64;
            attr.batch.count = capacity as u32;
            // SAFETY: keys and values have room for `count` of each, cursor for a cursor; all live through the call.
            let result = unsafe { bpf(cmd, &mut attr) };
            let error = result.err().and_then(|error| error.raw_os_error());
            let filled = match error {
                // SAFETY: batch is the member that was set, and the kernel has written an integer to count.
                None | Some(libc::ENOENT) => unsafe { attr.batch.count as usize },
                Some(_) => 0,
            };
            entries.keys.truncate(keys_end + filled * self.key_size);
            entries.values.truncate(values_end + filled * self.values_size());
            match error {
                None => started = true,
                Some(libc::ENOENT) => return Ok(entries),
                // A bucket with more entries than there is room for.
                Some(libc::ENOSPC) if capacity <= self.entries_max as usize => capacity *= 4,
                Some(error) => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

impl Entries {
    /// Keys with their values, in the hash's order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.keys.chunks_exact(self.key_size.max(1)).zip(self.values.chunks_exact(self.value_size.max(1)))
    }
}

fn check_size(got: usize, expected: usize) -> io::Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{got} bytes where the map has {expected}")))
}

fn is_missing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}
