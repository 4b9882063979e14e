//! Makes an index: parts of it from some units each, which is what takes time, then the whole of the parts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use gimli::constants as dw;
use gimli::{AttributeValue, DebugStrOffset};
use shared::limits::{INDEX_BYTES_MAX, LimitExceeded};

use super::layout::{Parts, Row};
use super::{
    Datum, Entry, InlinedRow, Mark, NO_FILE, Named, SubprogramRow, Symbol, Text, UnitRange, UnitRow, digest_of, hash,
    refusal_number,
};
use crate::debuginfo::search::is_definition;
use crate::debuginfo::symbol::FunctionSymbol;
use crate::debuginfo::unit::{Die, Dwarf, Unit, unsupported};
use crate::debuginfo::{DebuginfoError, SourceLine, address};

/// What some units say.
#[derive(Debug, Default)]
pub struct Part {
    /// The number of the first unit.
    first: usize,
    units: Vec<UnitPart>,
    /// First definitions, by kind and name.
    types: BTreeMap<(u16, String), u64>,
    variables: Vec<(u32, u64)>,
    /// First declarations, by name.
    declarations: BTreeMap<String, u64>,
    /// First enumerations, by the name of an enumerator.
    enumerations: BTreeMap<String, u64>,
    /// Calls that were inlined, by the name of the function.
    inlined: BTreeMap<String, Vec<u64>>,
}

#[derive(Debug)]
struct UnitPart {
    offset: usize,
    subprograms: Vec<SubprogramPart>,
}

#[derive(Debug)]
struct SubprogramPart {
    start: u64,
    end: u64,
    die: u64,
    declaration: Option<SourceLine>,
}

/// What was seen before under the same string of `.debug_str`, so that it need not be read: most headers are part of most
/// units.
#[derive(Default)]
struct Seen {
    strings: BTreeSet<(u16, usize)>,
}

impl<'i> Dwarf<'i> {
    /// The part of the index that some units make, by their numbers.
    pub(in crate::debuginfo) fn index_part(&self, numbers: Range<usize>) -> Result<Part, DebuginfoError> {
        let mut part = Part { first: numbers.start, ..Part::default() };
        let mut seen = Seen::default();
        let offsets = self.unit_offsets()?.get(numbers).unwrap_or_default().to_vec();
        for offset in offsets {
            let unit = self.unit(offset)?;
            part.add_names(self, &unit, &mut seen)?;
            part.add_inlined(self, &unit)?;
            part.add_subprograms(self, &unit)?;
        }
        Ok(part)
    }

    /// The index that parts make which together have all units.
    pub(in crate::debuginfo) fn index_file(&self, mut parts: Vec<Part>) -> Result<Vec<u8>, DebuginfoError> {
        parts.sort_by_key(|part| part.first);
        let mut whole = Part::default();
        for part in parts {
            if part.first != whole.units.len() {
                return Err(unsupported("the parts of an index do not make a whole"));
            }
            whole.append(part);
        }
        if whole.units.len() != self.unit_offsets()?.len() {
            return Err(unsupported("the parts of an index do not make a whole"));
        }
        Writer::default().write(self, &whole)
    }
}

impl Part {
    /// Adds what has a name at the top level of a unit.
    fn add_names<'i>(&mut self, dwarf: &Dwarf<'i>, unit: &Rc<Unit<'i>>, seen: &mut Seen) -> Result<(), DebuginfoError> {
        let mut children = dwarf.children(&dwarf.root(unit)?)?;
        let is_named = |tag| {
            matches!(
                tag,
                dw::DW_TAG_typedef
                    | dw::DW_TAG_base_type
                    | dw::DW_TAG_structure_type
                    | dw::DW_TAG_union_type
                    | dw::DW_TAG_class_type
                    | dw::DW_TAG_enumeration_type
                    | dw::DW_TAG_variable
            )
        };
        while let Some(child) = children.next_of(is_named)? {
            if child.tag() == dw::DW_TAG_variable {
                self.add_variable(dwarf, &child, seen)?;
                continue;
            }
            if child.tag() == dw::DW_TAG_enumeration_type {
                self.add_enumerators(dwarf, &child, seen)?;
            }
            if !child.has(dw::DW_AT_declaration)
                && seen.is_new(&child)
                && let Some(name) = dwarf.own_name(&child)?
            {
                self.types.entry((child.tag().0, name)).or_insert(child.offset());
            }
        }
        Ok(())
    }

    fn add_variable<'i>(&mut self, dwarf: &Dwarf<'i>, die: &Die<'i>, seen: &mut Seen) -> Result<(), DebuginfoError> {
        if is_definition(die) {
            self.variables.extend(dwarf.name(die)?.map(|name| (hash(&name), die.offset())));
        } else if seen.is_new(die)
            && let Some(name) = dwarf.name(die)?
        {
            self.declarations.entry(name).or_insert(die.offset());
        }
        Ok(())
    }

    fn add_enumerators<'i>(&mut self, dwarf: &Dwarf<'i>, die: &Die<'i>, seen: &mut Seen) -> Result<(), DebuginfoError> {
        let mut children = dwarf.children(die)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_enumerator)? {
            if seen.is_new(&child)
                && let Some(name) = dwarf.name(&child)?
            {
                self.enumerations.entry(name).or_insert(die.offset());
            }
        }
        Ok(())
    }

    fn add_inlined<'i>(&mut self, dwarf: &Dwarf<'i>, unit: &Rc<Unit<'i>>) -> Result<(), DebuginfoError> {
        dwarf.each_inlined(unit, &mut |offset, name| {
            match self.inlined.get_mut(name) {
                Some(calls) => calls.push(offset),
                None => drop(self.inlined.insert(name.to_owned(), vec![offset])),
            }
            Ok(())
        })
    }

    fn add_subprograms<'i>(&mut self, dwarf: &Dwarf<'i>, unit: &Rc<Unit<'i>>) -> Result<(), DebuginfoError> {
        let mut subprograms = Vec::new();
        for range in dwarf.subprograms(unit)? {
            let die = dwarf.die(unit, range.entry)?;
            let declaration = dwarf.declaration(&die)?;
            subprograms.push(SubprogramPart { start: range.start, end: range.end, die: die.offset(), declaration });
        }
        self.units.push(UnitPart { offset: unit.offset(), subprograms });
        Ok(())
    }

    /// Adds a part of later units.
    fn append(&mut self, later: Self) {
        self.units.extend(later.units);
        self.variables.extend(later.variables);
        for (key, offset) in later.types {
            self.types.entry(key).or_insert(offset);
        }
        for (name, offset) in later.declarations {
            self.declarations.entry(name).or_insert(offset);
        }
        for (name, offset) in later.enumerations {
            self.enumerations.entry(name).or_insert(offset);
        }
        for (name, calls) in later.inlined {
            self.inlined.entry(name).or_default().extend(calls);
        }
    }
}

impl Seen {
    /// Whether no entry of that kind had that name in the same place of `.debug_str`. A name elsewhere counts as new.
    fn is_new(&mut self, die: &Die<'_>) -> bool {
        match die.value(dw::DW_AT_name) {
            Some(AttributeValue::DebugStrRef(DebugStrOffset(offset))) => self.strings.insert((die.tag().0, offset)),
            _ => true,
        }
    }
}

/// Tables in the making.
#[derive(Default)]
struct Writer {
    strings: Vec<u8>,
    /// The files of declarations by their numbers.
    files: BTreeMap<String, u32>,
}

impl Writer {
    fn write(mut self, dwarf: &Dwarf<'_>, whole: &Part) -> Result<Vec<u8>, DebuginfoError> {
        let symbols = dwarf.symbols()?;
        let marks: Vec<Mark> = symbols.stext().map(|stext| Mark { stext }).into_iter().collect();
        let (symbol_rows, symbol_names) = self.symbols(dwarf)?;
        let data = self.data(dwarf)?;
        let (units, subprograms) = self.units(whole)?;
        let [listed, unlisted] = unit_ranges(dwarf, whole)?;
        let (inlined, calls) = self.inlined(whole)?;
        let types = whole.types.iter().map(|((_, name), &offset)| (hash(name), offset));
        let declarations = whole.declarations.iter().map(|(name, &offset)| (hash(name), offset));
        let enumerations = whole.enumerations.iter().map(|(name, &offset)| (hash(name), offset));
        let (types, variables) = (named(types)?, named(whole.variables.iter().copied())?);
        let (declarations, enumerations) = (named(declarations)?, named(enumerations)?);
        let files = self.file_texts()?;
        let tables = [
            self.strings,
            table(&files),
            table(&marks),
            table(&symbol_rows),
            table(&symbol_names),
            table(&data),
            table(&units),
            table(&listed),
            table(&unlisted),
            table(&subprograms),
            table(&types),
            table(&variables),
            table(&declarations),
            table(&enumerations),
            table(&inlined),
            table(&calls),
        ];
        let bytes = Parts::write(dwarf.image.bytes(), &digest_of(dwarf.image), &tables);
        LimitExceeded::check("bytes of an index", bytes.len() as u64, INDEX_BYTES_MAX as u64)?;
        Ok(bytes)
    }

    fn symbols(&mut self, dwarf: &Dwarf<'_>) -> Result<(Vec<Symbol>, Vec<Named>), DebuginfoError> {
        let (mut rows, mut names) = (Vec::new(), Vec::new());
        let mut functions: Vec<FunctionSymbol<'_>> = dwarf.symbols()?.functions(|_| true).collect();
        functions.sort_by_key(FunctionSymbol::precedence);
        for function in functions {
            let Text { start, bytes } = self.text(function.symbol)?;
            let name_bytes = u16::try_from(bytes).map_err(|_| too_large())?;
            let number = rows.len() as u64;
            names.push((hash(function.symbol), number));
            if function.name() != function.symbol {
                names.push((hash(function.name()), number));
            }
            rows.push(Symbol {
                name_start: start,
                name_bytes,
                binding: function.binding,
                refusal: refusal_number(function.refusal),
                address: function.address,
                size: function.size,
            });
        }
        Ok((rows, named(names.into_iter())?))
    }

    fn data(&mut self, dwarf: &Dwarf<'_>) -> Result<Vec<Datum>, DebuginfoError> {
        let mut rows = Vec::new();
        for &(name, address) in dwarf.data()? {
            let Text { start, bytes } = self.text(name)?;
            rows.push(Datum { hash: hash(name), name_start: start, name_bytes: bytes, address });
        }
        rows.sort_by_key(|row| (row.hash, row.address));
        Ok(rows)
    }

    fn units(&mut self, whole: &Part) -> Result<(Vec<UnitRow>, Vec<SubprogramRow>), DebuginfoError> {
        let (mut units, mut subprograms) = (Vec::new(), Vec::new());
        for unit in &whole.units {
            let (first, count) = (number(subprograms.len())?, number(unit.subprograms.len())?);
            units.push(UnitRow { offset: number(unit.offset)?, first, count });
            for &SubprogramPart { start, end, die, ref declaration } in &unit.subprograms {
                let (file, line) = match declaration {
                    Some(SourceLine { file, line }) => {
                        (self.file(file)?, u32::try_from(*line).map_err(|_| too_large())?)
                    }
                    None => (NO_FILE, 0),
                };
                subprograms.push(SubprogramRow { start, end, entry: entry(die)?, file, line });
            }
        }
        Ok((units, subprograms))
    }

    fn inlined(&mut self, whole: &Part) -> Result<(Vec<InlinedRow>, Vec<Entry>), DebuginfoError> {
        let (mut rows, mut calls) = (Vec::new(), Vec::new());
        for (name, offsets) in &whole.inlined {
            let Text { start, bytes } = self.text(name)?;
            let (first, count) = (number(calls.len())?, number(offsets.len())?);
            rows.push(InlinedRow { name_start: start, name_bytes: bytes, first, count });
            for &offset in offsets {
                calls.push(Entry { entry: entry(offset)? });
            }
        }
        Ok((rows, calls))
    }

    fn file(&mut self, file: &str) -> Result<u32, DebuginfoError> {
        if let Some(&number) = self.files.get(file) {
            return Ok(number);
        }
        let number = number(self.files.len())?;
        self.files.insert(file.to_owned(), number);
        Ok(number)
    }

    /// The files in the order of their numbers.
    fn file_texts(&mut self) -> Result<Vec<Text>, DebuginfoError> {
        let mut files: Vec<(u32, String)> =
            std::mem::take(&mut self.files).into_iter().map(|(file, number)| (number, file)).collect();
        files.sort_unstable();
        files.iter().map(|(_, file)| self.text(file)).collect()
    }

    fn text(&mut self, text: &str) -> Result<Text, DebuginfoError> {
        let place = Text { start: number(self.strings.len())?, bytes: number(text.len())? };
        self.strings.extend_from_slice(text.as_bytes());
        Ok(place)
    }
}

/// The code of units: what `.debug_aranges` lists, and what it leaves out.
fn unit_ranges(dwarf: &Dwarf<'_>, whole: &Part) -> Result<[Vec<UnitRange>; 2], DebuginfoError> {
    let numbers: BTreeMap<usize, u32> = whole.units.iter().map(|unit| unit.offset).zip(0..).collect();
    let row = |range: &address::UnitRange| {
        let unit = numbers.get(&range.unit).copied();
        let row = unit.map(|unit| UnitRange { start: range.start, end: range.end, unit });
        row.ok_or_else(|| unsupported("a range of code belongs to no unit"))
    };
    let [listed, unlisted] = dwarf.unit_ranges()?;
    Ok([listed.iter().map(row).collect::<Result<_, _>>()?, unlisted.iter().map(row).collect::<Result<_, _>>()?])
}

fn named(entries: impl Iterator<Item = (u32, u64)>) -> Result<Vec<Named>, DebuginfoError> {
    let row = |(hash, offset)| Ok(Named { hash, entry: entry(offset)? });
    let mut rows = entries.map(row).collect::<Result<Vec<Named>, DebuginfoError>>()?;
    rows.sort_by_key(|row| (row.hash, row.entry));
    Ok(rows)
}

fn table<R: Row>(rows: &[R]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * R::SIZE);
    rows.iter().for_each(|row| row.write(&mut bytes));
    bytes
}

fn entry(offset: u64) -> Result<u32, DebuginfoError> {
    u32::try_from(offset).map_err(|_| too_large())
}

fn number(number: usize) -> Result<u32, DebuginfoError> {
    u32::try_from(number).map_err(|_| too_large())
}

fn too_large() -> DebuginfoError {
    unsupported("the debuginfo is too large for an index")
}
