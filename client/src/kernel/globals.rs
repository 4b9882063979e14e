//! The value of a one-entry array map, mapped into memory and shared with the probes that run meanwhile.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use aya_obj::generated::{BPF_F_MMAPABLE, bpf_map_type};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::bpf::map_info;

/// The mapped value. Everything in it lies at multiples of eight bytes and is read and written a word at a time.
#[derive(Debug)]
pub struct Globals {
    words: NonNull<AtomicU64>,
    size: usize,
}

impl Globals {
    /// Maps the value of `map`.
    ///
    /// # Errors
    /// When it is no mappable array of one entry, or cannot be mapped.
    pub fn map(map: BorrowedFd<'_>) -> io::Result<Self> {
        let info = map_info(map)?;
        let is_array = info.type_ == bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
        if !is_array || info.max_entries != 1 || info.map_flags & BPF_F_MMAPABLE == 0 || info.value_size % 8 != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a mappable array of one entry"));
        }
        let size = info.value_size as usize;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, which disturbs nothing. The kernel has allocated
        // whole pages for the value (kernel/bpf/arraymap.c, array_map_alloc), so all `size` bytes are backed.
        let address = unsafe { mmap(std::ptr::null_mut(), size, access, MapFlags::SHARED, map, 0) }?;
        let words = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Self { words, size })
    }

    /// Bytes of the value.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The word at a byte offset; none where the offset is beyond the value or no multiple of eight.
    #[must_use]
    pub fn word(&self, offset: usize) -> Option<&AtomicU64> {
        if !offset.is_multiple_of(8) || offset.checked_add(8)? > self.size {
            return None;
        }
        // SAFETY: the word lies within the mapping, which lives as long as self, and mappings are page aligned. The
        // kernel's side writes it too, which is what atomics are for.
        Some(unsafe { self.words.add(offset / 8).as_ref() })
    }

    /// Copies bytes out, a word at a time: a string that a probe writes meanwhile may come out mixed.
    #[must_use]
    pub fn read(&self, offset: usize, size: usize) -> Option<Vec<u8>> {
        let words = (offset..offset.checked_add(size)?).step_by(8).map(|offset| self.word(offset));
        let words: Option<Vec<_>> = words.map(|word| Some(word?.load(Ordering::Relaxed).to_ne_bytes())).collect();
        Some(words?.concat())
    }

    /// Copies bytes in, a word at a time; `bytes` is a multiple of eight long. Gives whether they fit.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let (chunks, rest) = bytes.as_chunks();
        let fits = rest.is_empty() && offset.checked_add(bytes.len()).is_some_and(|end| end <= self.size);
        for (index, chunk) in chunks.iter().enumerate().take(if fits { chunks.len() } else { 0 }) {
            if let Some(word) = self.word(offset + index * 8) {
                word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
            }
        }
        fits
    }
}

impl Drop for Globals {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and no reference into it outlives self. An error leaves it mapped, which
        // harms nobody.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), self.size) };
    }
}
