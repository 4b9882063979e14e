//! Makes ELF files with a build id, so that no binary is in the repository.

use object::write::{Object, StandardSegment};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use shared::target::BuildId;

/// An ELF file with that build id and some bytes more.
pub(crate) fn with_build_id(build_id: &BuildId, padding_bytes: usize) -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let segment = file.segment_name(StandardSegment::Data).to_vec();
    let note = file.add_section(segment.clone(), b".note.gnu.build-id".to_vec(), SectionKind::Note);
    let size = (build_id.bytes().len() as u32).to_le_bytes();
    let header = [4u32.to_le_bytes(), size, 3u32.to_le_bytes(), *b"GNU\0"].concat();
    file.append_section_data(note, &[header, build_id.bytes().to_vec()].concat(), 4);
    let padding = file.add_section(segment, b".debug_info".to_vec(), SectionKind::Debug);
    file.append_section_data(padding, &vec![0x5a; padding_bytes], 1);
    file.write().expect("an ELF file")
}
