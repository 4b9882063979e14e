//! Whose an ELF file is: its build id (`NT_GNU_BUILD_ID`), read from a file that may be anything at all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use object::Object as _;
use object::read::ReadCache;
use shared::target::BuildId;

/// The first bytes of every ELF file.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";

/// Bytes that are read to find a build id: headers, section names and notes. A file that would need more is refused.
const BYTES_READ_MAX: u64 = 16 << 20;

/// The build id of a file, or what is wrong with it.
pub(super) fn build_id(file: &File) -> Result<BuildId, String> {
    let mut start = [0; 64];
    let mut reader = file;
    let read =
        reader.seek(SeekFrom::Start(0)).and_then(|_| reader.read(&mut start)).map_err(|error| error.to_string())?;
    check_magic(&start[..read])?;
    let cache = ReadCache::new(Frugal { file, left: BYTES_READ_MAX });
    let wrong = |error: object::Error| format!("the ELF headers cannot be read ({error})");
    let elf = object::File::parse(&cache).map_err(wrong)?;
    let build_id = elf.build_id().map_err(wrong)?.ok_or("it has no build id")?;
    BuildId::new(build_id).map_err(|error| error.to_string())
}

/// Whether these can be the first bytes of an ELF file; says what they are where not.
pub(super) fn check_magic(start: &[u8]) -> Result<(), String> {
    if start.starts_with(&MAGIC) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&start[..start.len().min(24)]);
    Err(format!("no ELF file: it starts with {:?}", shown.trim_end()))
}

/// A file of which only so much can be read.
struct Frugal<'a> {
    file: &'a File,
    left: u64,
}

impl Read for Frugal<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::QuotaExceeded)?;
        Ok(read)
    }
}

impl Seek for Frugal<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
