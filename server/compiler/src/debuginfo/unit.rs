//! Units and their entries (DIEs): how DWARF is walked. Everything above asks here for entries, attributes and
//! references, so that bounds are checked in one place. Must not know what the entries mean.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use gimli::constants as dw;
use gimli::{
    Abbreviation, AttributeValue, DebugInfoOffset, DebugLineOffset, DwAt, DwTag, EntriesRaw, Reader as _, Section as _,
    UnitHeader, UnitOffset, UnitType,
};
use shared::limits::{
    DEBUGINFO_ATTRIBUTES_MAX, DEBUGINFO_CHAIN_MAX, DEBUGINFO_NAME_BYTES_MAX, DEBUGINFO_UNITS_KEPT_MAX,
    DEBUGINFO_UNITS_MAX, LimitExceeded,
};

use super::address::UnitAddresses;
use super::elf::{Bytes, Image};
use super::index::Index;
use super::line::LineHeader;
use super::subprogram::SubprogramRange;
use super::symbol::Symbols;
use super::work::Work;
use super::{DebuginfoError, File, TypeId};

/// The value of an attribute.
pub(super) type Value<'i> = AttributeValue<Bytes<'i>>;

type Entry<'i> = gimli::DebuggingInformationEntry<Bytes<'i>>;

/// The DWARF of a file, and what was read of it so far.
pub(super) struct Dwarf<'i> {
    pub(super) image: &'i Image<'i>,
    /// What answers questions that search the whole file, where there is one.
    pub(super) index: Option<&'i Index<'i>>,
    pub(super) sections: gimli::Dwarf<Bytes<'i>>,
    pub(super) work: Work,
    pub(super) symbols: OnceCell<Symbols<'i>>,
    pub(super) data: OnceCell<Vec<(&'i str, u64)>>,
    pub(super) addresses: UnitAddresses,
    /// Types that were looked for by kind and name.
    pub(super) types: RefCell<BTreeMap<(u16, String), Option<TypeId>>>,
    units: RefCell<BTreeMap<usize, Rc<Unit<'i>>>>,
    unit_offsets: OnceCell<Vec<usize>>,
}

/// One unit: a source file with all that it includes.
pub(super) struct Unit<'i> {
    /// Without its line program, which is read when it is asked for.
    pub(super) dwarf: gimli::Unit<Bytes<'i>>,
    pub(super) line_program: Option<DebugLineOffset>,
    pub(super) line_header: OnceCell<LineHeader<'i>>,
    pub(super) subprograms: OnceCell<Vec<SubprogramRange>>,
}

/// An entry and the unit that it belongs to.
#[derive(Clone)]
pub(super) struct Die<'i> {
    pub(super) unit: Rc<Unit<'i>>,
    pub(super) entry: Entry<'i>,
}

/// The children of an entry, in order.
pub(super) struct Children<'d, 'i> {
    dwarf: &'d Dwarf<'i>,
    unit: Rc<Unit<'i>>,
    next: Next,
}

impl<'i> Dwarf<'i> {
    pub(super) fn new(file: &'i File<'_>) -> Self {
        let image = &file.image;
        let load = |id: gimli::SectionId| Ok::<_, std::convert::Infallible>(image.data(id.name()));
        let Ok(sections) = gimli::Dwarf::load(load);
        Self {
            image,
            index: file.index.as_ref(),
            sections,
            work: Work::new(),
            symbols: OnceCell::new(),
            data: OnceCell::new(),
            addresses: UnitAddresses::default(),
            types: RefCell::default(),
            units: RefCell::new(BTreeMap::new()),
            unit_offsets: OnceCell::new(),
        }
    }

    pub(super) fn symbols(&self) -> Result<&Symbols<'i>, DebuginfoError> {
        keep(&self.symbols, || Symbols::read(self.image, &self.work))
    }

    /// The unit whose header is at this offset of `.debug_info`.
    pub(super) fn unit(&self, offset: usize) -> Result<Rc<Unit<'i>>, DebuginfoError> {
        if let Some(unit) = self.units.borrow().get(&offset) {
            return Ok(Rc::clone(unit));
        }
        let unit = Rc::new(self.read_unit(offset)?);
        let mut units = self.units.borrow_mut();
        if units.len() >= DEBUGINFO_UNITS_KEPT_MAX {
            units.clear();
        }
        units.insert(offset, Rc::clone(&unit));
        Ok(unit)
    }

    /// Where units begin, in order.
    pub(super) fn unit_offsets(&self) -> Result<&[usize], DebuginfoError> {
        let read = || {
            let mut offsets = Vec::new();
            let mut headers = self.sections.units();
            while let Some(header) = headers.next()? {
                self.work.charge(1)?;
                LimitExceeded::check("units of debuginfo", offsets.len() as u64 + 1, DEBUGINFO_UNITS_MAX)?;
                offsets.extend(header.debug_info_offset().map(|offset| offset.0));
            }
            Ok(offsets)
        };
        keep(&self.unit_offsets, read).map(Vec::as_slice)
    }

    /// The entry at an offset of `.debug_info`.
    pub(super) fn die_at(&self, offset: u64) -> Result<Die<'i>, DebuginfoError> {
        let outside = || damaged(&format!("a reference to {offset:#x} leads outside of all units"));
        let offset = usize::try_from(offset).map_err(|_| outside())?;
        let unit = self.unit_around(offset)?.ok_or_else(outside)?;
        let local = unit.local_offset(offset).ok_or_else(outside)?;
        self.die(&unit, local)
    }

    /// The unit that an offset of `.debug_info` lies in.
    pub(super) fn unit_around(&self, offset: usize) -> Result<Option<Rc<Unit<'i>>>, DebuginfoError> {
        let kept = self.units.borrow().range(..=offset).next_back().map(|(_, unit)| Rc::clone(unit));
        if let Some(unit) = kept.filter(|unit| offset < unit.end()) {
            return Ok(Some(unit));
        }
        let offsets = self.unit_offsets()?;
        let before = offsets.partition_point(|&start| start <= offset).checked_sub(1);
        let Some(&start) = before.and_then(|index| offsets.get(index)) else { return Ok(None) };
        self.unit(start).map(|unit| Some(unit).filter(|unit| offset < unit.end()))
    }

    /// Where the first unit begins after an offset of `.debug_info`; the section's end where none does.
    pub(super) fn unit_after(&self, offset: usize) -> Result<usize, DebuginfoError> {
        let offsets = self.unit_offsets()?;
        let after = offsets.partition_point(|&start| start <= offset);
        Ok(offsets.get(after).copied().unwrap_or_else(|| self.sections.debug_info.reader().len()))
    }

    pub(super) fn die(&self, unit: &Rc<Unit<'i>>, offset: UnitOffset) -> Result<Die<'i>, DebuginfoError> {
        Ok(Die { unit: Rc::clone(unit), entry: self.entry(&unit.dwarf, offset)? })
    }

    pub(super) fn root(&self, unit: &Rc<Unit<'i>>) -> Result<Die<'i>, DebuginfoError> {
        self.die(unit, unit.dwarf.header.root_offset())
    }

    /// Visits all entries of a unit that have a tag, in order, however deep they lie.
    pub(super) fn each_entry(
        &self,
        unit: &Rc<Unit<'i>>,
        tag: DwTag,
        visit: &mut dyn FnMut(Die<'i>) -> Result<(), DebuginfoError>,
    ) -> Result<(), DebuginfoError> {
        let mut raw = unit.dwarf.entries_raw(None)?;
        while !raw.is_empty() {
            let offset = raw.next_offset();
            let Some(abbreviation) = self.abbreviation(&mut raw)? else { continue };
            if abbreviation.tag() != tag {
                raw.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let mut attributes = Vec::new();
            raw.read_attributes(abbreviation.attributes(), &mut attributes)?;
            let entry = Entry::new(abbreviation.tag(), abbreviation.has_children(), attributes, offset);
            visit(Die { unit: Rc::clone(unit), entry })?;
        }
        Ok(())
    }

    pub(super) fn children<'d>(&'d self, die: &Die<'i>) -> Result<Children<'d, 'i>, DebuginfoError> {
        let mut next = Next::Nowhere;
        if die.entry.has_children() {
            let mut raw = die.unit.dwarf.entries_raw(Some(die.entry.offset()))?;
            if let Some(abbreviation) = self.abbreviation(&mut raw)? {
                raw.skip_attributes(abbreviation.attributes())?;
            }
            next = Next::At(raw.next_offset());
        }
        Ok(Children { dwarf: self, unit: Rc::clone(&die.unit), next })
    }

    /// The entry that this one completes: its abstract origin, or its specification.
    pub(super) fn origin(&self, die: &Die<'i>) -> Result<Option<Die<'i>>, DebuginfoError> {
        let reference = die.value(dw::DW_AT_abstract_origin).or_else(|| die.value(dw::DW_AT_specification));
        reference.map(|reference| self.referent(die, &reference)).transpose()
    }

    /// What a reference among the attributes of `die` leads to.
    pub(super) fn referent(&self, die: &Die<'i>, reference: &Value<'i>) -> Result<Die<'i>, DebuginfoError> {
        match *reference {
            AttributeValue::UnitRef(offset) => self.die(&die.unit, offset),
            AttributeValue::DebugInfoRef(DebugInfoOffset(offset)) => self.die_at(offset as u64),
            AttributeValue::DebugTypesRef(_) => {
                Err(unsupported("types in units of their own (-fdebug-types-section) are not supported"))
            }
            AttributeValue::DebugInfoRefSup(_) => Err(unsupported(
                "the debuginfo refers to a second file (.gnu_debugaltlink, made by dwz -m), which is not supported",
            )),
            _ => Err(damaged("a reference has the form of something else")),
        }
    }

    /// An attribute of an entry, or of what it completes; with the entry that has it.
    pub(super) fn inherited(&self, die: &Die<'i>, name: DwAt) -> Result<Option<(Die<'i>, Value<'i>)>, DebuginfoError> {
        let mut die = die.clone();
        for _ in 0..DEBUGINFO_CHAIN_MAX {
            if let Some(value) = die.value(name) {
                return Ok(Some((die, value)));
            }
            match self.origin(&die)? {
                Some(origin) => die = origin,
                None => return Ok(None),
            }
        }
        Err(damaged("entries complete one another in a circle"))
    }

    pub(super) fn name(&self, die: &Die<'i>) -> Result<Option<String>, DebuginfoError> {
        match self.inherited(die, dw::DW_AT_name)? {
            Some((die, value)) => self.string(&die.unit, value).map(Some),
            None => Ok(None),
        }
    }

    /// The name that an entry itself has.
    pub(super) fn own_name(&self, die: &Die<'i>) -> Result<Option<String>, DebuginfoError> {
        die.value(dw::DW_AT_name).map(|value| self.string(&die.unit, value)).transpose()
    }

    pub(super) fn string(&self, unit: &Unit<'i>, value: Value<'i>) -> Result<String, DebuginfoError> {
        let string = self.sections.attr_string(&unit.dwarf, value)?;
        LimitExceeded::check("bytes of a name in debuginfo", string.len() as u64, DEBUGINFO_NAME_BYTES_MAX as u64)?;
        self.work.charge(1 + string.len() / 16)?;
        Ok(string.to_string_lossy().into_owned())
    }

    fn entry(&self, unit: &gimli::Unit<Bytes<'i>>, offset: UnitOffset) -> Result<Entry<'i>, DebuginfoError> {
        let mut raw = unit.entries_raw(Some(offset))?;
        let abbreviation = self.abbreviation(&mut raw)?.ok_or_else(|| damaged("a reference leads to no entry"))?;
        let mut attributes = Vec::new();
        raw.read_attributes(abbreviation.attributes(), &mut attributes)?;
        Ok(Entry::new(abbreviation.tag(), abbreviation.has_children(), attributes, offset))
    }

    /// Reads the number that an entry begins with; `None` ends a list of children.
    fn abbreviation<'u>(
        &self,
        raw: &mut EntriesRaw<'u, Bytes<'i>>,
    ) -> Result<Option<&'u Abbreviation>, DebuginfoError> {
        let abbreviation = raw.read_abbreviation()?;
        let count = abbreviation.map_or(0, |abbreviation| abbreviation.attributes().len());
        LimitExceeded::check("attributes of an entry", count as u64, DEBUGINFO_ATTRIBUTES_MAX as u64)?;
        self.work.charge(1 + count)?;
        Ok(abbreviation)
    }

    fn read_unit(&self, offset: usize) -> Result<Unit<'i>, DebuginfoError> {
        let header = self.sections.unit_header(DebugInfoOffset(offset))?;
        check_header(&header)?;
        self.work.charge(self.abbreviations_size(&header))?;
        let abbreviations = self.sections.abbreviations(&header)?;
        let (encoding, file_type) = (header.encoding(), self.sections.file_type);
        let mut dwarf = gimli::Unit {
            header,
            abbreviations,
            name: None,
            comp_dir: None,
            low_pc: 0,
            str_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(encoding, file_type),
            addr_base: gimli::DebugAddrBase(0),
            loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(encoding, file_type),
            rnglists_base: gimli::DebugRngListsBase::default_for_encoding_and_file(encoding, file_type),
            line_program: None,
            dwo_id: None,
        };
        let root = self.entry(&dwarf, dwarf.header.root_offset())?;
        let line_program = take_bases(&mut dwarf, &root)?;
        // Strings and addresses may be given by their number in a table whose place only `take_bases` knows.
        dwarf.name = root.attr_value(dw::DW_AT_name).and_then(|value| self.sections.attr_string(&dwarf, value).ok());
        dwarf.comp_dir =
            root.attr_value(dw::DW_AT_comp_dir).and_then(|value| self.sections.attr_string(&dwarf, value).ok());
        if let Some(low_pc) = root.attr_value(dw::DW_AT_low_pc) {
            dwarf.low_pc = self.sections.attr_address(&dwarf, low_pc)?.unwrap_or(0);
        }
        Ok(Unit { dwarf, line_program, line_header: OnceCell::new(), subprograms: OnceCell::new() })
    }

    /// How many bytes the abbreviations of a unit take, so that reading them can be counted. What is wrong with them,
    /// the reading says.
    fn abbreviations_size(&self, header: &UnitHeader<Bytes<'i>>) -> usize {
        let mut bytes = *self.sections.debug_abbrev.reader();
        if bytes.skip(header.debug_abbrev_offset().0).is_err() {
            return 0;
        }
        let size = bytes.len();
        let _end = skip_abbreviations(&mut bytes);
        size - bytes.len()
    }
}

impl<'i> Unit<'i> {
    /// Where the unit begins in `.debug_info`.
    pub(super) fn offset(&self) -> usize {
        self.dwarf.header.debug_info_offset().map_or(0, |offset| offset.0)
    }

    /// Where the next unit begins.
    pub(super) fn end(&self) -> usize {
        self.offset() + self.dwarf.header.length_including_self()
    }

    fn local_offset(&self, offset: usize) -> Option<UnitOffset> {
        DebugInfoOffset(offset).to_unit_offset(&self.dwarf.header)
    }
}

impl<'i> Die<'i> {
    pub(super) fn tag(&self) -> DwTag {
        self.entry.tag()
    }

    /// The entry's offset in `.debug_info`.
    pub(super) fn offset(&self) -> u64 {
        (self.unit.offset() + self.entry.offset().0) as u64
    }

    pub(super) fn value(&self, name: DwAt) -> Option<Value<'i>> {
        self.entry.attr_value(name)
    }

    pub(super) fn has(&self, name: DwAt) -> bool {
        self.entry.has_attr(name)
    }

    /// An attribute that is a number and not negative.
    pub(super) fn unsigned(&self, name: DwAt) -> Option<u64> {
        self.entry.attr(name)?.udata_value()
    }
}

impl<'i> Children<'_, 'i> {
    /// The next child of a wanted kind. What others say is not read.
    pub(super) fn next_of(&mut self, wanted: impl Fn(DwTag) -> bool) -> Result<Option<Die<'i>>, DebuginfoError> {
        while let Some(offset) = self.next.resolve(self.dwarf, &self.unit.dwarf)? {
            self.next = Next::Nowhere;
            let mut raw = self.unit.dwarf.entries_raw(Some(offset))?;
            let Some(abbreviation) = self.dwarf.abbreviation(&mut raw)? else { break };
            if wanted(abbreviation.tag()) {
                let mut attributes = Vec::new();
                raw.read_attributes(abbreviation.attributes(), &mut attributes)?;
                let sibling = attributes.iter().find_map(sibling);
                self.next = Next::after(abbreviation, sibling, raw.next_offset());
                let entry = Entry::new(abbreviation.tag(), abbreviation.has_children(), attributes, offset);
                return Ok(Some(Die { unit: Rc::clone(&self.unit), entry }));
            }
            let named_sibling = abbreviation.has_children() && abbreviation.attributes().iter().any(names_sibling);
            let mut found = None;
            if named_sibling {
                for specification in abbreviation.attributes() {
                    found = found.or(sibling(&raw.read_attribute(*specification)?));
                }
            } else {
                raw.skip_attributes(abbreviation.attributes())?;
            }
            self.next = Next::after(abbreviation, found, raw.next_offset());
        }
        Ok(None)
    }
}

/// Where a list of children goes on.
enum Next {
    Nowhere,
    /// At this entry.
    At(UnitOffset),
    /// After the list of children that begins here.
    AfterList(UnitOffset),
}

impl Next {
    /// After an entry whose attributes end at `end`: at the sibling that it names, if that lies ahead.
    fn after(abbreviation: &Abbreviation, sibling: Option<UnitOffset>, end: UnitOffset) -> Self {
        match sibling {
            _ if !abbreviation.has_children() => Self::At(end),
            Some(sibling) if sibling > end => Self::At(sibling),
            _ => Self::AfterList(end),
        }
    }

    fn resolve<'i>(
        &self,
        dwarf: &Dwarf<'i>,
        unit: &gimli::Unit<Bytes<'i>>,
    ) -> Result<Option<UnitOffset>, DebuginfoError> {
        let start = match *self {
            Self::Nowhere => return Ok(None),
            Self::At(offset) => return Ok(Some(offset)),
            Self::AfterList(start) => start,
        };
        let mut raw = unit.entries_raw(Some(start))?;
        let mut depth = 1_u64;
        while depth > 0 {
            match dwarf.abbreviation(&mut raw)? {
                None => depth -= 1,
                Some(abbreviation) => {
                    raw.skip_attributes(abbreviation.attributes())?;
                    depth += u64::from(abbreviation.has_children());
                }
            }
        }
        Ok(Some(raw.next_offset()))
    }
}

fn names_sibling(specification: &gimli::AttributeSpecification) -> bool {
    specification.name() == dw::DW_AT_sibling
}

fn sibling(attribute: &gimli::Attribute<Bytes<'_>>) -> Option<UnitOffset> {
    match (attribute.name(), attribute.value()) {
        (dw::DW_AT_sibling, AttributeValue::UnitRef(offset)) => Some(offset),
        _ => None,
    }
}

fn check_header(header: &UnitHeader<Bytes<'_>>) -> Result<(), DebuginfoError> {
    match header.type_() {
        UnitType::Compilation | UnitType::Partial => {}
        UnitType::Skeleton(_) | UnitType::SplitCompilation(_) | UnitType::SplitType { .. } => return Err(split()),
        UnitType::Type { .. } => {
            return Err(unsupported("types in units of their own (-fdebug-types-section) are not supported"));
        }
    }
    if header.address_size() != 8 {
        return Err(damaged("a unit has addresses of another size than 8 bytes"));
    }
    Ok(())
}

/// Takes from a unit's root entry where its parts of the other sections are; gives where its line program is.
fn take_bases<'i>(
    unit: &mut gimli::Unit<Bytes<'i>>,
    root: &Entry<'i>,
) -> Result<Option<DebugLineOffset>, DebuginfoError> {
    let mut line_program = None;
    for attribute in root.attrs() {
        match (attribute.name(), attribute.value()) {
            (dw::DW_AT_stmt_list, AttributeValue::DebugLineRef(offset)) => line_program = Some(offset),
            (dw::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => unit.str_offsets_base = base,
            (dw::DW_AT_addr_base, AttributeValue::DebugAddrBase(base)) => unit.addr_base = base,
            (dw::DW_AT_loclists_base, AttributeValue::DebugLocListsBase(base)) => unit.loclists_base = base,
            (dw::DW_AT_rnglists_base, AttributeValue::DebugRngListsBase(base)) => unit.rnglists_base = base,
            (dw::DW_AT_GNU_dwo_name | dw::DW_AT_dwo_name, _) => return Err(split()),
            _ => {}
        }
    }
    Ok(line_program)
}

/// Steps over the abbreviations of one unit (DWARF 5, section 7.5.3).
fn skip_abbreviations(bytes: &mut Bytes<'_>) -> gimli::Result<()> {
    while bytes.read_uleb128()? != 0 {
        bytes.skip_leb128()?;
        bytes.skip(1)?;
        loop {
            let (name, form) = (bytes.read_uleb128()?, bytes.read_uleb128()?);
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                bytes.skip_leb128()?;
            }
            if name == 0 && form == 0 {
                break;
            }
        }
    }
    Ok(())
}

fn split() -> DebuginfoError {
    unsupported("the debuginfo is split into .dwo files (-gsplit-dwarf), which is not supported")
}

/// What is kept, made now if it was not before. An error is not kept.
pub(super) fn keep<T>(
    kept: &OnceCell<T>,
    make: impl FnOnce() -> Result<T, DebuginfoError>,
) -> Result<&T, DebuginfoError> {
    match kept.get() {
        Some(value) => Ok(value),
        None => {
            let value = make()?;
            Ok(kept.get_or_init(|| value))
        }
    }
}

pub(super) fn damaged(what: &str) -> DebuginfoError {
    DebuginfoError::Damaged(what.to_owned())
}

pub(super) fn unsupported(what: &str) -> DebuginfoError {
    DebuginfoError::Unsupported(what.to_owned())
}

impl From<gimli::Error> for DebuginfoError {
    fn from(error: gimli::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
