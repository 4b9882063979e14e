//! Debug files made on the spot: DWARF by `gimli::write`, ELF by `object::write`. Code is never looked at, so there is
//! none.

use std::collections::BTreeMap;

use gimli::write::{
    Address, AttributeValue, Dwarf, EndianVec, Expression, LineProgram, LineString, Sections, Unit, UnitEntryId,
};
use gimli::{DwAt, DwTag, Encoding, Format, LineEncoding, LittleEndian, constants as dw};
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Writer};

/// Where the code of every synthetic file begins.
pub(crate) const TEXT: u64 = 0xffff_ffff_8100_0000;
/// How much there is.
pub(crate) const TEXT_SIZE: u64 = 0x10000;
/// Where `.text` lies in the file.
pub(crate) const TEXT_FILE_OFFSET: u64 = 0x1000;
/// Where the data of every synthetic file begins.
pub(crate) const DATA: u64 = TEXT + 0x0100_0000;
/// Where the kernel's initialisation code begins.
pub(crate) const INIT_TEXT: u64 = TEXT + 0x0200_0000;

/// An ELF file in the making.
pub(crate) struct Elf {
    e_type: u16,
    machine: u16,
    symbols: Vec<Symbol>,
    sections: Vec<Section>,
}

struct Symbol {
    name: String,
    section: &'static str,
    address: u64,
    size: u64,
    info: u8,
}

struct Section {
    name: String,
    kind: u32,
    flags: u64,
    address: u64,
    size: u64,
    data: Vec<u8>,
}

/// DWARF of one unit in the making.
pub(crate) struct Code {
    pub(crate) dwarf: Dwarf,
    pub(crate) unit: gimli::write::UnitId,
    pub(crate) version: u16,
}

impl Elf {
    /// A program that is loaded where it was linked for.
    pub(crate) fn program() -> Self {
        let mut elf = Self { e_type: elf::ET_EXEC, machine: elf::EM_X86_64, symbols: Vec::new(), sections: Vec::new() };
        let flags = u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR);
        elf.push(".text", elf::SHT_PROGBITS, flags, TEXT, TEXT_SIZE, vec![0xc3; TEXT_SIZE as usize]);
        elf.push(".data", elf::SHT_PROGBITS, u64::from(elf::SHF_ALLOC), DATA, 0x1000, vec![0; 0x1000]);
        elf
    }

    /// A kernel.
    pub(crate) fn kernel() -> Self {
        let mut elf = Self::program();
        let flags = u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR);
        elf.push(".init.text", elf::SHT_PROGBITS, flags, INIT_TEXT, 0x1000, vec![0; 0x1000]);
        elf.push("__ksymtab", elf::SHT_PROGBITS, u64::from(elf::SHF_ALLOC), DATA + 0x1000, 0x10, vec![0; 0x10]);
        elf.push(".data..percpu", elf::SHT_PROGBITS, u64::from(elf::SHF_ALLOC), 0, 0x1000, vec![0; 0x1000]);
        elf.symbol("_stext", ".text", TEXT, 0, elf::STT_NOTYPE, elf::STB_GLOBAL);
        elf
    }

    pub(crate) fn of_type(mut self, e_type: u16) -> Self {
        self.e_type = e_type;
        self
    }

    pub(crate) fn for_machine(mut self, machine: u16) -> Self {
        self.machine = machine;
        self
    }

    /// Adds a global function of `.text`; its address counts from [`TEXT`].
    pub(crate) fn function(&mut self, name: &str, offset: u64, size: u64) -> &mut Self {
        self.symbol(name, ".text", TEXT + offset, size, elf::STT_FUNC, elf::STB_GLOBAL)
    }

    /// Adds a static function of `.text`.
    pub(crate) fn static_function(&mut self, name: &str, offset: u64, size: u64) -> &mut Self {
        self.symbol(name, ".text", TEXT + offset, size, elf::STT_FUNC, elf::STB_LOCAL)
    }

    pub(crate) fn symbol(
        &mut self,
        name: &str,
        section: &'static str,
        address: u64,
        size: u64,
        kind: u8,
        binding: u8,
    ) -> &mut Self {
        self.symbols.push(Symbol { name: name.to_owned(), section, address, size, info: binding << 4 | kind });
        self
    }

    /// Adds a section that is not loaded, or replaces one.
    pub(crate) fn raw(&mut self, name: &str, data: Vec<u8>) -> &mut Self {
        self.flagged(name, 0, data)
    }

    /// The same with flags.
    pub(crate) fn flagged(&mut self, name: &str, flags: u64, data: Vec<u8>) -> &mut Self {
        self.sections.retain(|section| section.name != name);
        self.push(name, elf::SHT_PROGBITS, flags, 0, data.len() as u64, data);
        self
    }

    /// Adds a section that is loaded.
    pub(crate) fn loaded(&mut self, name: &str, address: u64, data: Vec<u8>) -> &mut Self {
        self.sections.retain(|section| section.name != name);
        self.push(name, elf::SHT_PROGBITS, u64::from(elf::SHF_ALLOC), address, data.len() as u64, data);
        self
    }

    /// Adds notes.
    pub(crate) fn note(&mut self, data: Vec<u8>) -> &mut Self {
        self.push(".note.gnu.build-id", elf::SHT_NOTE, u64::from(elf::SHF_ALLOC), 0, data.len() as u64, data);
        self
    }

    /// Leaves of `.text` only its size, as in a debug file that was split off.
    pub(crate) fn without_code(&mut self) -> &mut Self {
        for section in self.sections.iter_mut().filter(|section| section.name == ".text") {
            section.kind = elf::SHT_NOBITS;
            section.data = Vec::new();
        }
        self
    }

    /// Adds the sections of DWARF.
    pub(crate) fn dwarf(&mut self, code: Code) -> &mut Self {
        for (name, data) in code.sections() {
            self.raw(name, data);
        }
        self
    }

    fn push(&mut self, name: &str, kind: u32, flags: u64, address: u64, size: u64, data: Vec<u8>) {
        self.sections.push(Section { name: name.to_owned(), kind, flags, address, size, data });
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);
        writer.reserve_file_header();
        writer.reserve_program_headers(1);
        writer.reserve_null_section_index();
        let section_name = |section| self.reserve_section(&mut writer, section);
        let names: Vec<StringId> = self.sections.iter().map(section_name).collect();
        writer.reserve_symtab_section_index();
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();
        writer.reserve_null_symbol_index();
        let mut symbols = Vec::new();
        for symbol in self.symbols_in_order() {
            symbols.push((symbol, writer.add_string(symbol.name.as_bytes())));
            writer.reserve_symbol_index(None);
        }
        let alignment = |section: &Section| if section.name == ".text" { TEXT_FILE_OFFSET as usize } else { 16 };
        let place = |section: &Section| writer.reserve(section.data.len(), alignment(section));
        let offsets: Vec<usize> = self.sections.iter().map(place).collect();
        writer.reserve_symtab();
        writer.reserve_strtab();
        writer.reserve_shstrtab();
        writer.reserve_section_headers();

        self.write_headers(&mut writer);
        for (section, &offset) in self.sections.iter().zip(&offsets) {
            writer.pad_until(offset);
            writer.write(&section.data);
        }
        writer.write_null_symbol();
        for (symbol, name) in symbols {
            self.write_symbol(&mut writer, symbol, name);
        }
        writer.write_strtab();
        writer.write_shstrtab();
        writer.write_null_section_header();
        for ((section, &offset), &name) in self.sections.iter().zip(&offsets).zip(&names) {
            section.write_header(&mut writer, name, offset);
        }
        writer.write_symtab_section_header(1 + self.symbols.iter().filter(|symbol| symbol.is_local()).count() as u32);
        writer.write_strtab_section_header();
        writer.write_shstrtab_section_header();
        bytes
    }

    fn reserve_section<'s>(&'s self, writer: &mut Writer<'s>, section: &'s Section) -> StringId {
        let name = writer.add_section_name(section.name.as_bytes());
        writer.reserve_section_index();
        name
    }

    /// ELF wants local symbols first.
    fn symbols_in_order(&self) -> impl Iterator<Item = &Symbol> {
        let locals = self.symbols.iter().filter(|symbol| symbol.is_local());
        locals.chain(self.symbols.iter().filter(|symbol| !symbol.is_local()))
    }

    fn write_headers(&self, writer: &mut Writer<'_>) {
        let header = FileHeader {
            os_abi: 0,
            abi_version: 0,
            e_type: self.e_type,
            e_machine: self.machine,
            e_entry: TEXT,
            e_flags: 0,
        };
        writer.write_file_header(&header).expect("a file header");
        writer.write_align_program_headers();
        let in_file = self.sections.iter().any(|section| section.name == ".text" && !section.data.is_empty());
        writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::PF_R | elf::PF_X,
            p_offset: if in_file { TEXT_FILE_OFFSET } else { 0 },
            p_vaddr: TEXT,
            p_paddr: TEXT,
            p_filesz: if in_file { TEXT_SIZE } else { 0 },
            p_memsz: TEXT_SIZE,
            p_align: 0x1000,
        });
    }

    fn write_symbol(&self, writer: &mut Writer<'_>, symbol: &Symbol, name: StringId) {
        let section = self.sections.iter().position(|section| section.name == symbol.section);
        writer.write_symbol(&Sym {
            name: Some(name),
            section: None,
            st_info: symbol.info,
            st_other: 0,
            st_shndx: section.map_or(elf::SHN_UNDEF, |index| index as u16 + 1),
            st_value: symbol.address,
            st_size: symbol.size,
        });
    }
}

impl Symbol {
    fn is_local(&self) -> bool {
        self.info >> 4 == elf::STB_LOCAL
    }
}

impl Section {
    fn write_header(&self, writer: &mut Writer<'_>, name: StringId, offset: usize) {
        writer.write_section_header(&SectionHeader {
            name: Some(name),
            sh_type: self.kind,
            sh_flags: self.flags,
            sh_addr: self.address,
            sh_offset: offset as u64,
            sh_size: self.size,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 1,
            sh_entsize: 0,
        });
    }
}

impl Code {
    /// One unit of C whose code is all of `.text`.
    pub(crate) fn new(version: u16) -> Self {
        let mut dwarf = Dwarf::new();
        let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
        let unit = dwarf.units.add(Unit::new(encoding, LineProgram::none()));
        let mut code = Self { dwarf, unit, version };
        let root = code.root();
        code.set(root, dw::DW_AT_name, text("a.c"))
            .set(root, dw::DW_AT_comp_dir, text("/src"))
            .set(root, dw::DW_AT_low_pc, address(0))
            .set(root, dw::DW_AT_high_pc, AttributeValue::Udata(TEXT_SIZE));
        code
    }

    /// Another unit of the same file; what follows goes there.
    pub(crate) fn next_unit(&mut self) -> UnitEntryId {
        let encoding = Encoding { format: Format::Dwarf32, version: self.version, address_size: 8 };
        self.unit = self.dwarf.units.add(Unit::new(encoding, LineProgram::none()));
        self.root()
    }

    pub(crate) fn root(&self) -> UnitEntryId {
        self.dwarf.units.get(self.unit).root()
    }

    pub(crate) fn unit(&mut self) -> &mut Unit {
        self.dwarf.units.get_mut(self.unit)
    }

    pub(crate) fn add(&mut self, parent: UnitEntryId, tag: DwTag) -> UnitEntryId {
        self.unit().add(parent, tag)
    }

    pub(crate) fn set(&mut self, entry: UnitEntryId, name: DwAt, value: AttributeValue) -> &mut Self {
        self.unit().get_mut(entry).set(name, value);
        self
    }

    /// An entry with a name.
    pub(crate) fn named(&mut self, parent: UnitEntryId, tag: DwTag, name: &str) -> UnitEntryId {
        let entry = self.add(parent, tag);
        self.set(entry, dw::DW_AT_name, text(name));
        entry
    }

    /// A base type.
    pub(crate) fn base_type(&mut self, name: &str, size: u64, encoding: dw::DwAte) -> UnitEntryId {
        let root = self.root();
        let entry = self.named(root, dw::DW_TAG_base_type, name);
        self.set(entry, dw::DW_AT_byte_size, AttributeValue::Udata(size));
        self.set(entry, dw::DW_AT_encoding, AttributeValue::Encoding(encoding));
        entry
    }

    pub(crate) fn long(&mut self) -> UnitEntryId {
        self.base_type("long int", 8, dw::DW_ATE_signed)
    }

    /// A type made of another.
    pub(crate) fn derived(&mut self, tag: DwTag, of: UnitEntryId) -> UnitEntryId {
        let root = self.root();
        let entry = self.add(root, tag);
        self.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(of));
        entry
    }

    /// A struct or union.
    pub(crate) fn structure(&mut self, tag: DwTag, name: &str, size: u64) -> UnitEntryId {
        let root = self.root();
        let entry = self.add(root, tag);
        if !name.is_empty() {
            self.set(entry, dw::DW_AT_name, text(name));
        }
        self.set(entry, dw::DW_AT_byte_size, AttributeValue::Udata(size));
        entry
    }

    /// A member; unnamed where the name is empty.
    pub(crate) fn member(&mut self, of: UnitEntryId, name: &str, kind: UnitEntryId, offset: u64) -> UnitEntryId {
        let entry = self.add(of, dw::DW_TAG_member);
        if !name.is_empty() {
            self.set(entry, dw::DW_AT_name, text(name));
        }
        self.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(kind));
        self.set(entry, dw::DW_AT_data_member_location, AttributeValue::Udata(offset));
        entry
    }

    /// A function with its frame base in the canonical frame address.
    pub(crate) fn function(&mut self, name: &str, offset: u64, size: u64) -> UnitEntryId {
        let root = self.root();
        let entry = self.named(root, dw::DW_TAG_subprogram, name);
        self.place(entry, offset, size);
        self.set(entry, dw::DW_AT_frame_base, expression(&[dw::DW_OP_call_frame_cfa.0]));
        entry
    }

    /// Gives an entry code.
    pub(crate) fn place(&mut self, entry: UnitEntryId, offset: u64, size: u64) {
        self.set(entry, dw::DW_AT_low_pc, address(offset));
        self.set(entry, dw::DW_AT_high_pc, AttributeValue::Udata(size));
    }

    /// A parameter or variable.
    pub(crate) fn variable(&mut self, parent: UnitEntryId, tag: DwTag, name: &str, kind: UnitEntryId) -> UnitEntryId {
        let entry = self.named(parent, tag, name);
        self.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(kind));
        entry
    }

    /// A parameter that is always where an expression says.
    pub(crate) fn parameter(&mut self, parent: UnitEntryId, name: &str, kind: UnitEntryId, code: &[u8]) -> UnitEntryId {
        let entry = self.variable(parent, dw::DW_TAG_formal_parameter, name, kind);
        self.set(entry, dw::DW_AT_location, expression(code));
        entry
    }

    /// A line table with rows of line 1 at these addresses, which count from [`TEXT`].
    pub(crate) fn rows(&mut self, addresses: &[u64]) {
        let encoding = Encoding { format: Format::Dwarf32, version: self.version, address_size: 8 };
        let mut string = |text: &str| LineString::new(text, encoding, &mut self.dwarf.line_strings);
        let (directory, name) = (string("/src"), string("a.c"));
        let mut program = LineProgram::new(encoding, LineEncoding::default(), directory, None, name.clone(), None);
        let file = program.add_file(name, program.default_directory(), None);
        program.begin_sequence(Some(Address::Constant(TEXT)));
        for &address in addresses {
            let row = program.row();
            (row.address_offset, row.file, row.line) = (address, file, 1);
            program.generate_row();
        }
        program.end_sequence(TEXT_SIZE);
        self.unit().line_program = program;
        let root = self.root();
        self.set(root, dw::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    }

    /// The sections, by name.
    pub(crate) fn sections(mut self) -> BTreeMap<&'static str, Vec<u8>> {
        let mut sections = Sections::new(EndianVec::new(LittleEndian));
        self.dwarf.write(&mut sections).expect("DWARF");
        let mut found = BTreeMap::new();
        let keep = |id: gimli::SectionId, data: &EndianVec<LittleEndian>| {
            if !data.slice().is_empty() {
                found.insert(id.name(), data.slice().to_vec());
            }
            Ok::<_, gimli::write::Error>(())
        };
        sections.for_each(keep).expect("sections");
        found
    }
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.as_bytes().to_vec())
}

/// An address that counts from [`TEXT`].
pub(crate) fn address(offset: u64) -> AttributeValue {
    AttributeValue::Address(Address::Constant(TEXT + offset))
}

pub(crate) fn expression(code: &[u8]) -> AttributeValue {
    AttributeValue::Exprloc(Expression::raw(code.to_vec()))
}
