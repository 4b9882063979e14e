//! ELF files on the host: their build ids, and where their code lies; and the build id of the running kernel. Both halves of
//! the client read them here.
//!
//! Files are hostile: of each only headers and notes are read, bounded, and nothing but a regular file is opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use object::pod;
use object::read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, elf};
use shared::limits::ELF_NOTES_BYTES_MAX;
use shared::target::BuildId;

type Header = elf::FileHeader64<Endianness>;
type Segment = elf::ProgramHeader64<Endianness>;
type Section = elf::SectionHeader64<Endianness>;

/// The notes of the running kernel.
const KERNEL_NOTES: &str = "/sys/kernel/notes";

/// The build id of the running kernel.
///
/// # Errors
/// When it has none or does not show it.
pub fn kernel_build_id() -> io::Result<BuildId> {
    let mut notes = Vec::new();
    File::open(KERNEL_NOTES)?.take(ELF_NOTES_BYTES_MAX).read_to_end(&mut notes)?;
    // The kernel's linker script aligns its notes to 4 bytes (include/asm-generic/vmlinux.lds.h, NOTES).
    in_notes(&notes, 4).ok_or_else(|| io::Error::other(format!("no build id in {KERNEL_NOTES}")))
}

/// What an ELF file on the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Its identity.
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
    /// Opens and reads the file at a path, symbolic links followed.
    ///
    /// # Errors
    /// When the file cannot be read, is no 64-bit ELF file or has no build id.
    pub fn open(path: &Path) -> io::Result<(File, Self)> {
        // Opening a device can have effects, opening a pipe can block: what is there is asked first, and not waited for.
        let regular = |metadata: std::fs::Metadata| {
            if metadata.is_file() { Ok(()) } else { Err(io::Error::other("not a regular file")) }
        };
        regular(std::fs::metadata(path)?)?;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        regular(file.metadata()?)?;
        let elf = Self::read(&file)?;
        Ok((file, elf))
    }

    /// Looks through the notes of a file: by program headers, which every loadable file has, then by section headers, which
    /// object files such as kernel modules have.
    fn read(file: &File) -> io::Result<Self> {
        let not_elf = |_| io::Error::other("not a 64-bit ELF file");
        let head = read(file, 0, size_of::<Header>() as u64)?;
        let header = Header::parse(head.as_slice()).map_err(not_elf)?;
        let endian = header.endian().map_err(not_elf)?;
        let segments =
            table::<Segment>(file, header.e_phoff(endian), header.e_phnum(endian), header.e_phentsize(endian))?;
        let sections =
            table::<Section>(file, header.e_shoff(endian), header.e_shnum(endian), header.e_shentsize(endian))?;

        let noted = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_NOTE);
        let noted = noted.map(|it| (it.p_offset(endian), it.p_filesz(endian), it.p_align(endian)));
        let in_sections = sections.iter().filter(|section| section.sh_type(endian) == elf::SHT_NOTE);
        let in_sections = in_sections.map(|it| (it.sh_offset(endian), it.sh_size(endian), it.sh_addralign(endian)));
        let build_id = build_id(file, noted.chain(in_sections))?.ok_or_else(|| io::Error::other("no build id"))?;

        let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        let load =
            |it: &Segment| Load { address: it.p_vaddr(endian), offset: it.p_offset(endian), size: it.p_filesz(endian) };
        Ok(Self { build_id, loads: loaded.map(load).collect() })
    }

    /// Where in the file the byte with a link-time address lies; nothing where no part that is loaded holds it.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let holds = |load: &&Load| address.checked_sub(load.address).is_some_and(|into| into < load.size);
        self.loads.iter().find(holds).map(|load| load.offset.wrapping_add(address - load.address))
    }
}

/// The first build id in notes at these offsets, of these sizes and alignments.
fn build_id(file: &File, places: impl Iterator<Item = (u64, u64, u64)>) -> io::Result<Option<BuildId>> {
    let mut bytes_left = ELF_NOTES_BYTES_MAX;
    for (offset, size, align) in places {
        let notes = read(file, offset, size.min(bytes_left))?;
        bytes_left -= notes.len() as u64;
        if let Some(build_id) = in_notes(&notes, align) {
            return Ok(Some(build_id));
        }
    }
    Ok(None)
}

/// A table of headers, or nothing where its entries are of another size than the specification's.
fn table<T: pod::Pod + Clone>(file: &File, offset: u64, count: u16, entry_bytes: u16) -> io::Result<Vec<T>> {
    if usize::from(entry_bytes) != size_of::<T>() {
        return Ok(Vec::new());
    }
    let bytes = read(file, offset, u64::from(count) * u64::from(entry_bytes))?;
    Ok(pod::slice_from_all_bytes(&bytes).map(<[T]>::to_vec).unwrap_or_default())
}

/// So many bytes, or fewer where the file ends.
fn read(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    At { file, offset }.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file from a place on, whatever its cursor says.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // An offset beyond what off_t holds is beyond every file.
        if i64::try_from(self.offset).is_err() {
            return Ok(0);
        }
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}

fn in_notes(notes: &[u8], align: u64) -> Option<BuildId> {
    let endian = Endianness::default();
    let mut notes = NoteIterator::<Header>::new(endian, align, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
            return BuildId::new(note.desc()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], ty: u32, desc: &[u8]) -> Vec<u8> {
        let padded = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let head = [name.len() as u32, desc.len() as u32, ty].map(u32::to_le_bytes).concat();
        [head, padded(name), padded(desc)].concat()
    }

    #[test]
    fn a_build_id_is_found_behind_other_notes() {
        let notes = [note(b"Xen\0", 3, b"nope"), note(b"GNU\0", 1, b"abi"), note(b"GNU\0", 3, b"\x00\xff\x10\xaa")];
        assert_eq!(in_notes(&notes.concat(), 4).map(|id| id.to_string()), Some("00ff10aa".to_owned()));
        assert_eq!(in_notes(&notes[..2].concat(), 4), None);
    }

    #[test]
    fn hostile_notes_hold_none() {
        let good = note(b"GNU\0", 3, &[7; 20]);
        for length in 0..good.len() {
            assert_eq!(in_notes(&good[..length], 4), None, "cut to {length} bytes");
        }
        assert_eq!(in_notes(&note(b"GNU\0", 3, &[7; 65]), 4), None, "a descriptor that is too long");
        assert_eq!(in_notes(&note(b"GNU\0", 3, b""), 4), None, "an empty descriptor");
        for length in [u32::MAX, u32::MAX - 3, 1 << 31] {
            for at in [0, 4] {
                let mut lying = good.clone();
                lying[at..at + 4].copy_from_slice(&length.to_le_bytes());
                assert_eq!(in_notes(&lying, 4), None, "length {length} at {at}");
            }
        }
        assert_eq!(in_notes(&good, 16), None, "an alignment that is none");
    }

    #[test]
    fn both_kinds_of_headers_lead_to_the_notes() {
        let notes = note(b"GNU\0", 3, &[0xab; 20]);
        for by_segment in [true, false] {
            let file = elf_with(&notes, by_segment);
            let elf = Elf::read(&file).expect("an ELF file");
            assert_eq!(elf.build_id.bytes(), [0xab; 20]);
        }
    }

    #[test]
    fn hostile_headers_lead_nowhere() {
        let written = |bytes: &[u8]| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), bytes).expect("written");
            file
        };
        let good = elf_bytes(&note(b"GNU\0", 3, &[1; 8]), true);
        for length in 0..good.len() {
            let file = written(&good[..length]);
            assert!(Elf::open(file.path()).is_err(), "cut to {length} bytes");
        }
        // Every field of the headers, turned to the largest and to a huge value.
        for at in (24..64 + 56).step_by(2) {
            for value in [[0xff; 8], [0, 0, 0, 0, 0, 0, 0, 0x7f]] {
                let mut bytes = good.clone();
                bytes[at..at + 8].copy_from_slice(&value);
                // Whatever it says, it says it soon, and in little memory.
                let _ = Elf::open(written(&bytes).path());
            }
        }
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
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        for path in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/")] {
            let error = Elf::open(path).expect_err("it was read");
            assert_eq!(error.to_string(), "not a regular file", "{}", path.display());
        }
    }

    #[test]
    fn the_kernel_has_one_where_it_shows_its_notes() {
        if Path::new(KERNEL_NOTES).exists() {
            let build_id = kernel_build_id().expect("a build id");
            assert!(build_id.bytes().len() >= 8, "{build_id}");
        }
    }

    fn elf_with(notes: &[u8], by_segment: bool) -> File {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&elf_bytes(notes, by_segment)).expect("written");
        file
    }

    /// An ELF header, one header of a segment or section of notes, and the notes.
    fn elf_bytes(notes: &[u8], by_segment: bool) -> Vec<u8> {
        let u16s = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let u32s = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let u64s = |values: &[u64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let size = notes.len() as u64;
        let (phoff, phnum, shoff, shnum) = if by_segment { (64, 1, 0, 0) } else { (0, 0, 64, 1) };
        let mut bytes = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9]].concat();
        bytes.extend(u16s(&[2, 62]));
        bytes.extend(u32s(&[1]));
        bytes.extend(u64s(&[0, phoff, shoff]));
        bytes.extend(u32s(&[0]));
        bytes.extend(u16s(&[64, 56, phnum, 64, shnum, 0]));
        if by_segment {
            bytes.extend(u32s(&[4, 4]));
            bytes.extend(u64s(&[64 + 56, 0, 0, size, size, 4]));
        } else {
            bytes.extend(u32s(&[0, 7]));
            bytes.extend(u64s(&[0, 0, 64 + 64, size]));
            bytes.extend(u32s(&[0, 0]));
            bytes.extend(u64s(&[4, 0]));
        }
        bytes.extend_from_slice(notes);
        bytes
    }
}
