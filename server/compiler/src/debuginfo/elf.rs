//! The ELF file: its sections (expanded where they are compressed), segments and identity. Must not know DWARF.

use std::borrow::Cow;
use std::io::Read;

use gimli::LittleEndian as DwarfEndian;
use object::LittleEndian;
use object::elf;
use object::read::elf::{
    CompressionHeader as _, Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _, SymbolTable,
};
use object::read::{Object as _, ReadRef as _};
use shared::limits::{DEBUG_SECTIONS_EXPANDED_BYTES_MAX, LimitExceeded};
use shared::target::{Architecture, BuildId};

use super::{DebuginfoError, Object, ObjectKind, PlaceOffset};

/// What all of this module reads with.
pub(super) type Bytes<'i> = gimli::EndianSlice<'i, DwarfEndian>;

type Header = elf::FileHeader64<LittleEndian>;

/// An ELF file.
pub(super) struct Image<'a> {
    pub(super) object: Object,
    sections: Vec<Section<'a>>,
    segments: Vec<Segment>,
    elf: ElfFile64<'a, LittleEndian>,
}

/// One section. Addresses are link-time addresses.
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    pub(super) address: u64,
    pub(super) size: u64,
    allocated: bool,
    pub(super) executable: bool,
    /// Nothing where the file has only the section's size (SHT_NOBITS).
    pub(super) data: Option<Cow<'a, [u8]>>,
}

/// A part of the file that is loaded.
struct Segment {
    address: u64,
    memory_size: u64,
    file_offset: u64,
    file_size: u64,
}

impl<'a> Image<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DebuginfoError> {
        let elf = ElfFile64::<LittleEndian>::parse(bytes).map_err(wrong_elf)?;
        let header = elf.elf_header();
        if header.e_machine(LittleEndian) != elf::EM_X86_64 {
            return Err(DebuginfoError::Unsupported("the file is for another processor than x86-64".to_owned()));
        }
        let sections = read_sections(&elf)?;
        let kind = object_kind(&elf, &sections)?;
        let build_id = elf.build_id().map_err(wrong_elf)?.and_then(|descriptor| BuildId::new(descriptor).ok());
        let segments = elf.elf_program_headers().iter().filter_map(Segment::read).collect();
        let has_dwarf = sections
            .iter()
            .any(|section| section.name == ".debug_info" && section.data.as_ref().is_some_and(|data| !data.is_empty()));
        let object = Object { build_id, kind, architecture: Architecture::X86_64, has_dwarf };
        Ok(Self { object, sections, segments, elf })
    }

    /// How many bytes the file has.
    pub(super) fn bytes(&self) -> u64 {
        self.elf.data().len() as u64
    }

    /// The contents of a section; empty where the file has none.
    pub(super) fn data(&self, name: &str) -> Bytes<'_> {
        let data = self.section(name).and_then(|section| section.data.as_deref()).unwrap_or_default();
        Bytes::new(data, DwarfEndian)
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section that holds an address at run time.
    pub(super) fn section_at(&self, address: u64) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.allocated && section.contains(address))
    }

    /// A section by its number in the section table.
    pub(super) fn section_numbered(&self, index: usize) -> Option<&Section<'a>> {
        self.sections.get(index)
    }

    /// `.symtab`, or where that was stripped, `.dynsym`.
    pub(super) fn symbol_table(&self) -> &SymbolTable<'a, Header> {
        if self.elf.elf_symbol_table().is_empty() {
            self.elf.elf_dynamic_symbol_table()
        } else {
            self.elf.elf_symbol_table()
        }
    }

    /// Where in the program's file an address lies.
    pub(super) fn file_offset(&self, address: u64) -> Result<PlaceOffset, DebuginfoError> {
        let outside = || DebuginfoError::Damaged(format!("the address {address:#x} lies in no segment"));
        let segment = self.segments.iter().find(|segment| segment.contains(address)).ok_or_else(outside)?;
        let within = address - segment.address;
        let moved = self.section_at(address).is_some_and(|section| section.data.is_none())
            && segment.file_size < segment.memory_size;
        // `objcopy --only-keep-debug` moves the segments as it drops their contents; `eu-strip -f` leaves them.
        if moved || within >= segment.file_size {
            return Ok(PlaceOffset::OnlyInProgram);
        }
        segment.file_offset.checked_add(within).map(PlaceOffset::InFile).ok_or_else(outside)
    }
}

impl Section<'_> {
    pub(super) fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|within| within < self.size)
    }

    /// The bytes at an address, where the file has them.
    pub(super) fn bytes_at(&self, address: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.data.as_deref()?.get(start..end)
    }
}

impl Segment {
    fn read(header: &elf::ProgramHeader64<LittleEndian>) -> Option<Self> {
        (header.p_type(LittleEndian) == elf::PT_LOAD).then(|| Self {
            address: header.p_vaddr(LittleEndian),
            memory_size: header.p_memsz(LittleEndian),
            file_offset: header.p_offset(LittleEndian),
            file_size: header.p_filesz(LittleEndian),
        })
    }

    fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|within| within < self.memory_size)
    }
}

fn read_sections<'a>(elf: &ElfFile64<'a, LittleEndian>) -> Result<Vec<Section<'a>>, DebuginfoError> {
    let table = elf.elf_section_table();
    let mut budget = DEBUG_SECTIONS_EXPANDED_BYTES_MAX;
    let mut sections = Vec::with_capacity(table.len());
    for header in table.iter() {
        let name = table.section_name(LittleEndian, header).map_err(wrong_elf)?;
        let flags = header.sh_flags(LittleEndian);
        let data = match header.sh_type(LittleEndian) {
            elf::SHT_NULL | elf::SHT_NOBITS => None,
            _ if flags & u64::from(elf::SHF_COMPRESSED) != 0 => Some(expanded(header, elf.data(), &mut budget)?),
            _ => Some(Cow::Borrowed(header.data(LittleEndian, elf.data()).map_err(wrong_elf)?)),
        };
        sections.push(Section {
            name: str::from_utf8(name).map_err(|_| DebuginfoError::Elf("a section's name is no text".to_owned()))?,
            address: header.sh_addr(LittleEndian),
            size: header.sh_size(LittleEndian),
            allocated: flags & u64::from(elf::SHF_ALLOC) != 0,
            executable: flags & u64::from(elf::SHF_EXECINSTR) != 0,
            data,
        });
    }
    Ok(sections)
}

/// Expands a compressed section. What the header says of the size is only believed up to the limit, and no byte beyond
/// it is produced.
fn expanded<'a>(
    header: &elf::SectionHeader64<LittleEndian>,
    file: &'a [u8],
    budget: &mut u64,
) -> Result<Cow<'a, [u8]>, DebuginfoError> {
    let Some((compression, offset, size)) = header.compression(LittleEndian, file).map_err(wrong_elf)? else {
        return Ok(Cow::Borrowed(header.data(LittleEndian, file).map_err(wrong_elf)?));
    };
    let expanded_size = compression.ch_size(LittleEndian);
    LimitExceeded::check("size of compressed debug sections in bytes", expanded_size, *budget)?;
    *budget -= expanded_size;
    let input = file.read_bytes_at(offset, size).map_err(|()| wrong("a compressed section is truncated"))?;
    let mut output = Vec::new();
    let read = match compression.ch_type(LittleEndian) {
        elf::ELFCOMPRESS_ZLIB => flate2::read::ZlibDecoder::new(input).take(expanded_size).read_to_end(&mut output),
        elf::ELFCOMPRESS_ZSTD => ruzstd::decoding::StreamingDecoder::new(input)
            .map_err(|_| wrong("a section compressed with zstd is damaged"))?
            .take(expanded_size)
            .read_to_end(&mut output),
        other => {
            return Err(DebuginfoError::Unsupported(format!("sections are compressed in an unknown way ({other})")));
        }
    };
    if read.is_err() || output.len() as u64 != expanded_size {
        return Err(wrong("a compressed section is damaged"));
    }
    Ok(Cow::Owned(output))
}

fn object_kind(elf: &ElfFile64<'_, LittleEndian>, sections: &[Section<'_>]) -> Result<ObjectKind, DebuginfoError> {
    match elf.elf_header().e_type(LittleEndian) {
        elf::ET_EXEC if sections.iter().any(|section| section.name == "__ksymtab") => Ok(ObjectKind::Kernel),
        elf::ET_EXEC => Ok(ObjectKind::Executable),
        elf::ET_DYN if is_program(elf) => Ok(ObjectKind::PositionIndependentExecutable),
        elf::ET_DYN => Ok(ObjectKind::SharedObject),
        elf::ET_REL => Err(DebuginfoError::Unsupported(
            "kernel modules and object files (ET_REL) are not supported yet".to_owned(),
        )),
        _ => Err(wrong("it is neither a program nor a library")),
    }
}

/// Whether an ET_DYN file is a program: DF_1_PIE says so; where the dynamic section was stripped, an interpreter does.
fn is_program(elf: &ElfFile64<'_, LittleEndian>) -> bool {
    let dynamic = elf.elf_section_table().iter().find_map(|section| section.dynamic(LittleEndian, elf.data()).ok()?);
    match dynamic {
        Some((entries, _)) => entries.iter().any(|entry| {
            entry.d_tag(LittleEndian) == elf::DT_FLAGS_1 && entry.d_val(LittleEndian) & u64::from(elf::DF_1_PIE) != 0
        }),
        None => elf.elf_program_headers().iter().any(|header| header.p_type(LittleEndian) == elf::PT_INTERP),
    }
}

fn wrong_elf(error: object::read::Error) -> DebuginfoError {
    DebuginfoError::Elf(error.to_string())
}

fn wrong(what: &str) -> DebuginfoError {
    DebuginfoError::Elf(what.to_owned())
}
