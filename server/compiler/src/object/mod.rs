//! Pass 4: BPF becomes an ELF object that aya reads. [`shared::artifact::section`] says what is called what.
//!
//! It must not know how the programs came about.

use ::object::write::{Object, Relocation, SectionId, Symbol as ElfSymbol, SymbolId, SymbolSection};
use ::object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use shared::abi::map::{PARAMETERS, Parameter, RODATA};
use shared::artifact::section::LICENSE;

use crate::bpf::{Bpf, MapDef, Program, Symbol};

/// `R_BPF_64_64`, the relocation of a two-slot instruction (Documentation/bpf/llvm_reloc.rst).
const R_BPF_64_64: u32 = 1;

/// Writes an object.
///
/// # Errors
/// When the `object` crate refuses what it is given: a bug.
pub fn write(bpf: &Bpf) -> Result<Vec<u8>, String> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, &[LICENSE.as_bytes(), b"\0"].concat(), 1);
    let rodata = add_rodata(&mut object, &bpf.rodata);
    let maps = add_maps(&mut object, &bpf.maps);
    for program in &bpf.programs {
        add_program(&mut object, program, |symbol| match symbol {
            Symbol::Rodata => Some(rodata),
            Symbol::Map(map) => maps.iter().zip(&bpf.maps).find(|(_, def)| def.map == map).map(|(symbol, _)| *symbol),
        })?;
    }
    object.write().map_err(|error| error.to_string())
}

/// The read-only data, and the symbol of the parameters at its start.
fn add_rodata(object: &mut Object<'_>, bytes: &[u8]) -> SymbolId {
    let section = object.add_section(Vec::new(), RODATA.as_bytes().to_vec(), SectionKind::ReadOnlyData);
    object.append_section_data(section, bytes, 8);
    let size = (Parameter::ALL.len() * 8) as u64;
    add_symbol(object, PARAMETERS, section, 0, size, SymbolKind::Data)
}

/// The map definitions: seven words each, as aya reads its `bpf_map_def`.
fn add_maps(object: &mut Object<'_>, maps: &[MapDef]) -> Vec<SymbolId> {
    let section = object.add_section(Vec::new(), b"maps".to_vec(), SectionKind::Data);
    let mut symbols = Vec::new();
    for def in maps {
        let words = [def.ty, def.key_size, def.value_size, def.entries_max, def.flags, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let offset = object.append_section_data(section, &bytes, 4);
        symbols.push(add_symbol(object, &def.map.name(), section, offset, bytes.len() as u64, SymbolKind::Data));
    }
    symbols
}

fn add_program(
    object: &mut Object<'_>,
    program: &Program,
    symbol_of: impl Fn(Symbol) -> Option<SymbolId>,
) -> Result<(), String> {
    let section = object.add_section(Vec::new(), program.section.as_bytes().to_vec(), SectionKind::Text);
    let code: Vec<u8> = program.insns.iter().flat_map(|insn| insn.bytes()).collect();
    object.append_section_data(section, &code, 8);
    add_symbol(object, &program.name, section, 0, code.len() as u64, SymbolKind::Text);
    for relocation in &program.relocations {
        let symbol = symbol_of(relocation.symbol).ok_or_else(|| format!("no symbol for {}", relocation.symbol))?;
        let offset = relocation.insn as u64 * 8;
        let flags = RelocationFlags::Elf { r_type: R_BPF_64_64 };
        object
            .add_relocation(section, Relocation { offset, symbol, addend: 0, flags })
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn add_symbol(
    object: &mut Object<'_>,
    name: &str,
    section: SectionId,
    value: u64,
    size: u64,
    kind: SymbolKind,
) -> SymbolId {
    object.add_symbol(ElfSymbol {
        name: name.as_bytes().to_vec(),
        value,
        size,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}
