//! ELF files on the host: their build ids, where their code lies; and the build id of the running kernel.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use object::read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _};
use object::{Endianness, elf};
use shared::target::BuildId;

/// The notes of the running kernel.
const KERNEL_NOTES: &str = "/sys/kernel/notes";

/// Bytes of a file's headers or notes at the most: real ones take a few hundred.
const NOTES_BYTES_MAX: u64 = 1 << 20;

/// The build id of the running kernel.
///
/// # Errors
/// When it has none or does not show it.
pub fn kernel_build_id() -> io::Result<BuildId> {
    let mut notes = Vec::new();
    File::open(KERNEL_NOTES)?.take(NOTES_BYTES_MAX).read_to_end(&mut notes)?;
    // The kernel's notes are padded to 4 bytes.
    in_notes(&notes, 4).ok_or_else(|| io::Error::other(format!("no build id in {KERNEL_NOTES}")))
}

/// What an ELF file on the host is: its identity, and where its code lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Its build id.
    pub build_id: BuildId,
    loads: Vec<Load>,
}

/// A part of the file that is loaded (`PT_LOAD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    address: u64,
    offset: u64,
    size: u64,
}

impl Elf {
    /// Reads a file's program headers: section headers may be stripped away.
    ///
    /// # Errors
    /// When the file cannot be read, is no 64-bit ELF or has no build id.
    pub fn read(file: &mut File) -> io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut head = vec![0; size_of::<elf::FileHeader64<Endianness>>()];
        file.read_exact(&mut head)?;
        let not_elf = |_| io::Error::other("not a 64-bit ELF file");
        let header = elf::FileHeader64::<Endianness>::parse(head.as_slice()).map_err(not_elf)?;
        let endian = header.endian().map_err(not_elf)?;
        let count = u64::from(header.e_phnum.get(endian));
        let end = header.e_phoff.get(endian).saturating_add(count * u64::from(header.e_phentsize.get(endian)));
        if end > NOTES_BYTES_MAX {
            return Err(io::Error::other("no program headers near the start of the file"));
        }
        file.seek(SeekFrom::Start(0))?;
        head.clear();
        file.by_ref().take(end).read_to_end(&mut head)?;
        let header = elf::FileHeader64::<Endianness>::parse(head.as_slice()).map_err(not_elf)?;
        let segments = header.program_headers(endian, head.as_slice()).map_err(not_elf)?;
        let (mut build_id, mut loads) = (None, Vec::new());
        for segment in segments {
            let (offset, size) = (segment.p_offset(endian), segment.p_filesz(endian));
            match segment.p_type(endian) {
                elf::PT_LOAD => loads.push(Load { address: segment.p_vaddr(endian), offset, size }),
                elf::PT_NOTE if build_id.is_none() => {
                    let mut notes = Vec::new();
                    file.seek(SeekFrom::Start(offset))?;
                    file.by_ref().take(size.min(NOTES_BYTES_MAX)).read_to_end(&mut notes)?;
                    build_id = in_notes(&notes, segment.p_align(endian));
                }
                _ => {}
            }
        }
        let build_id = build_id.ok_or_else(|| io::Error::other("no build id"))?;
        Ok(Self { build_id, loads })
    }

    /// Where in the file the byte with a link-time address lies; nothing where no part that is loaded holds it.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let holds = |load: &&Load| address.checked_sub(load.address).is_some_and(|into| into < load.size);
        self.loads.iter().find(holds).map(|load| load.offset.wrapping_add(address - load.address))
    }
}

fn in_notes(notes: &[u8], align: u64) -> Option<BuildId> {
    let mut notes = NoteIterator::<elf::FileHeader64<Endianness>>::new(Endianness::default(), align, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(Endianness::default()) == elf::NT_GNU_BUILD_ID {
            return BuildId::new(note.desc()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_behind_others() {
        let note = |name: &[u8; 4], ty: u32, desc: &[u8; 4]| {
            let head = [4u32, 4, ty].map(u32::to_le_bytes).concat();
            [head.as_slice(), name, desc].concat()
        };
        let notes = [note(b"Xen\0", 3, b"nope"), note(b"GNU\0", 1, b"abi."), note(b"GNU\0", 3, b"\x00\xff\x10\xaa")];
        assert_eq!(in_notes(&notes.concat(), 4).map(|id| id.to_string()), Some("00ff10aa".to_owned()));
        assert_eq!(in_notes(&notes[..2].concat(), 4), None);
        assert_eq!(in_notes(b"\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\0\0GNU\0", 4), None);
    }

    #[test]
    fn an_address_is_found_in_the_part_that_holds_it() {
        let loads =
            vec![Load { address: 0, offset: 0, size: 0x100 }, Load { address: 0x2000, offset: 0x1000, size: 0x10 }];
        let elf = Elf { build_id: "00".parse().expect("a build id"), loads };
        assert_eq!(elf.file_offset(0xff), Some(0xff));
        assert_eq!(elf.file_offset(0x200f), Some(0x100f));
        assert_eq!(elf.file_offset(0x2010), None);
        assert_eq!(elf.file_offset(0x100), None);
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused() {
        for path in ["/etc/passwd", "/dev", "/dev/zero"] {
            let mut file = File::open(path).expect("a file");
            assert!(Elf::read(&mut file).is_err(), "{path} is no ELF file");
        }
    }
}
