//! The index of a debug file: a compact file, made once per build id, that answers what otherwise means to search the whole
//! debug file. It only says where to look: names, types and places are read from the debug file itself, so an answer is
//! the same with and without.
//!
//! Whoever has threads makes it: [`Debuginfo::index_part`] for some units each, then [`Debuginfo::index_file`] of all parts. It is
//! mapped into memory, and its bytes are hostile until [`Index::open`] has found its header whole and its tables inside; a
//! row that leads nowhere is passed over.
//!
//! [`Debuginfo::index_part`]: super::Debuginfo::index_part
//! [`Debuginfo::index_file`]: super::Debuginfo::index_file

use shared::artifact::manifest::Digest;
use shared::target::{glob_matches, is_glob};

use self::layout::{Parts, Table, row};
use super::elf::Image;
use super::symbol::FunctionSymbol;
use super::{Refusal, SourceLine};

mod build;
mod layout;

pub use build::Part;

/// An index that was opened.
pub struct Index<'a> {
    parts: Parts<'a, TABLES>,
    strings: &'a [u8],
    files: Table<'a, Text>,
    marks: Table<'a, Mark>,
    symbols: Table<'a, Symbol>,
    symbol_names: Table<'a, Named>,
    data: Table<'a, Datum>,
    units: Table<'a, UnitRow>,
    listed: Table<'a, UnitRange>,
    unlisted: Table<'a, UnitRange>,
    subprograms: Table<'a, SubprogramRow>,
    types: Table<'a, Named>,
    variables: Table<'a, Named>,
    declarations: Table<'a, Named>,
    enumerations: Table<'a, Named>,
    inlined: Table<'a, InlinedRow>,
    calls: Table<'a, Entry>,
}

const TABLES: usize = 16;

/// Why bytes are no index that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable index: {0}")]
pub struct IndexError(&'static str);

row! {
    /// A text among the strings.
    Text { start: u32, bytes: u32 }
}

row! {
    /// Where the kernel begins.
    Mark { stext: u64 }
}

row! {
    /// A function's symbol. Sorted by address, of one address by precedence.
    Symbol { name_start: u32, name_bytes: u16, binding: u8, refusal: u8, address: u64, size: u64 }
}

row! {
    /// What has a name: the entry's offset, or the number of a symbol. Sorted by the name's hash, then by that.
    Named { hash: u32, entry: u32 }
}

row! {
    /// A global variable's symbol. Sorted by the name's hash.
    Datum { hash: u32, name_start: u32, name_bytes: u32, address: u64 }
}

row! {
    /// A unit, and its rows among the subprograms.
    UnitRow { offset: u32, first: u32, count: u32 }
}

row! {
    /// Code of a unit, by the unit's number. Sorted.
    UnitRange { start: u64, end: u64, unit: u32 }
}

row! {
    /// Code of a function: its entry, and where it is declared (a number among the files). Of each unit sorted by address.
    SubprogramRow { start: u64, end: u64, entry: u32, file: u32, line: u32 }
}

row! {
    /// A function that was inlined, and its rows among the calls. Sorted by name.
    InlinedRow { name_start: u32, name_bytes: u32, first: u32, count: u32 }
}

row! {
    /// The offset of an entry.
    Entry { entry: u32 }
}

/// What no file has as its number.
const NO_FILE: u32 = u32::MAX;

/// Code of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subprogram {
    /// Its entry's offset in `.debug_info`.
    pub(super) die: u64,
    file: u32,
    line: u32,
}

impl<'a> Index<'a> {
    /// Reads the header, and looks whether the tables lie inside.
    ///
    /// # Errors
    /// When it is none, is of another version, or its header is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let parts: Parts<'a, TABLES> = Parts::read(bytes).map_err(IndexError)?;
        let uneven = || IndexError("a table ends within a row");
        let [
            strings,
            files,
            marks,
            symbols,
            symbol_names,
            data,
            units,
            listed,
            unlisted,
            subprograms,
            types,
            variables,
            declarations,
            enumerations,
            inlined,
            calls,
        ] = parts.tables;
        Ok(Self {
            parts,
            strings,
            files: Table::new(files).ok_or_else(uneven)?,
            marks: Table::new(marks).ok_or_else(uneven)?,
            symbols: Table::new(symbols).ok_or_else(uneven)?,
            symbol_names: Table::new(symbol_names).ok_or_else(uneven)?,
            data: Table::new(data).ok_or_else(uneven)?,
            units: Table::new(units).ok_or_else(uneven)?,
            listed: Table::new(listed).ok_or_else(uneven)?,
            unlisted: Table::new(unlisted).ok_or_else(uneven)?,
            subprograms: Table::new(subprograms).ok_or_else(uneven)?,
            types: Table::new(types).ok_or_else(uneven)?,
            variables: Table::new(variables).ok_or_else(uneven)?,
            declarations: Table::new(declarations).ok_or_else(uneven)?,
            enumerations: Table::new(enumerations).ok_or_else(uneven)?,
            inlined: Table::new(inlined).ok_or_else(uneven)?,
            calls: Table::new(calls).ok_or_else(uneven)?,
        })
    }

    /// Whether it is what was written: reads all of it and computes its digest. To be asked once, not for each answer.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.parts.is_intact()
    }

    /// Whether it was made of this file.
    pub(super) fn is_of(&self, image: &Image<'_>) -> bool {
        self.parts.file_bytes == image.bytes() && self.parts.build_id == digest_of(image)
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = FunctionSymbol<'a>> {
        self.symbols.from(0).filter_map(|symbol| self.symbol(symbol))
    }

    /// At least the functions whose symbol or name that is.
    pub(super) fn symbols_named(&self, name: &str) -> impl Iterator<Item = FunctionSymbol<'a>> {
        named(&self.symbol_names, name)
            .filter_map(|number| self.symbols.get(number as usize))
            .filter_map(|symbol| self.symbol(symbol))
    }

    pub(super) fn symbol_at(&self, address: u64) -> Option<FunctionSymbol<'a>> {
        let symbol = self.symbols.get(self.symbols.partition_point(|symbol| symbol.address < address))?;
        self.symbol(symbol).filter(|symbol| symbol.address == address)
    }

    /// The function that begins last of those that begin at or before an address.
    pub(super) fn symbol_before(&self, address: u64) -> Option<FunctionSymbol<'a>> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        self.symbol_at(self.symbols.get(after.checked_sub(1)?)?.address)
    }

    pub(super) fn stext(&self) -> Option<u64> {
        self.marks.get(0).map(|mark| mark.stext)
    }

    /// The addresses of global variables by their symbol.
    pub(super) fn data_named(&self, name: &str) -> impl Iterator<Item = u64> {
        let hash = hash(name);
        let first = self.data.partition_point(|datum| datum.hash < hash);
        let same = self.data.from(first).take_while(move |datum| datum.hash == hash);
        same.filter(move |datum| self.text(datum.name_start, datum.name_bytes) == Some(name)).map(|datum| datum.address)
    }

    /// Where the unit begins that the code at an address belongs to.
    pub(super) fn unit_at(&self, address: u64) -> Option<usize> {
        self.unit_row_at(address).map(|unit| unit.offset as usize)
    }

    /// The function whose code holds an address.
    pub(super) fn subprogram_at(&self, address: u64) -> Option<Subprogram> {
        let unit = self.unit_row_at(address)?;
        let (first, count) = (unit.first as usize, unit.count as usize);
        let (mut low, mut high) = (first, first.checked_add(count)?);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.subprograms.get(middle)?.start <= address { low = middle + 1 } else { high = middle }
        }
        let row = self.subprograms.get(low.checked_sub(1).filter(|&last| last >= first)?)?;
        (address < row.end).then_some(Subprogram { die: u64::from(row.entry), file: row.file, line: row.line })
    }

    /// Where a function is declared.
    pub(super) fn declaration(&self, subprogram: &Subprogram) -> Option<SourceLine> {
        let file = self.files.get(subprogram.file as usize)?;
        let file = self.text(file.start, file.bytes)?.to_owned();
        Some(SourceLine { file, line: u64::from(subprogram.line) })
    }

    /// The first definitions of types, of each kind, whose name that may be, in order.
    pub(super) fn types(&self, name: &str) -> impl Iterator<Item = u64> + use<'a> {
        named(&self.types, name)
    }

    /// The definitions of global variables whose name that may be, in order.
    pub(super) fn variables(&self, name: &str) -> impl Iterator<Item = u64> + use<'a> {
        named(&self.variables, name)
    }

    /// The first declarations of global variables whose name that may be.
    pub(super) fn declarations(&self, name: &str) -> impl Iterator<Item = u64> + use<'a> {
        named(&self.declarations, name)
    }

    /// The first enumerations that may have an enumerator of that name.
    pub(super) fn enumerations(&self, enumerator: &str) -> impl Iterator<Item = u64> + use<'a> {
        named(&self.enumerations, enumerator)
    }

    /// The inlined calls of functions whose name matches, in order.
    pub(super) fn inlined(&self, pattern: &str) -> Vec<u64> {
        let name = |row: &InlinedRow| self.text(row.name_start, row.name_bytes).unwrap_or_default();
        let rows: Vec<InlinedRow> = if is_glob(pattern) {
            self.inlined.from(0).filter(|row| glob_matches(pattern, name(row))).collect()
        } else {
            let first = self.inlined.partition_point(|row| name(row) < pattern);
            self.inlined.get(first).into_iter().filter(|row| name(row) == pattern).collect()
        };
        let calls = |row: &InlinedRow| self.calls.from(row.first as usize).take(row.count as usize);
        let mut found: Vec<u64> = rows.iter().flat_map(calls).map(|call| u64::from(call.entry)).collect();
        found.sort_unstable();
        found
    }

    fn unit_row_at(&self, address: u64) -> Option<UnitRow> {
        let unit = unit_of(&self.listed, address).or_else(|| unit_of(&self.unlisted, address))?;
        self.units.get(unit as usize)
    }

    fn symbol(&self, symbol: Symbol) -> Option<FunctionSymbol<'a>> {
        Some(FunctionSymbol {
            symbol: self.text(symbol.name_start, u32::from(symbol.name_bytes))?,
            address: symbol.address,
            size: symbol.size,
            binding: symbol.binding,
            refusal: refusal_of(symbol.refusal),
        })
    }

    fn text(&self, start: u32, bytes: u32) -> Option<&'a str> {
        let start = start as usize;
        str::from_utf8(self.strings.get(start..start.checked_add(bytes as usize)?)?).ok()
    }
}

impl std::fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("units", &self.units.len()).finish_non_exhaustive()
    }
}

/// What has a name of that hash.
fn named<'a>(table: &Table<'a, Named>, name: &str) -> impl Iterator<Item = u64> + use<'a> {
    let hash = hash(name);
    let first = table.partition_point(|row| row.hash < hash);
    table.from(first).take_while(move |row| row.hash == hash).map(|row| u64::from(row.entry))
}

/// As the ranges of units are searched without an index.
fn unit_of(ranges: &Table<'_, UnitRange>, address: u64) -> Option<u32> {
    let after = ranges.partition_point(|range| range.start <= address);
    let range = ranges.get(after.checked_sub(1)?)?;
    (address < range.end).then_some(range.unit)
}

/// FNV-1a. Names of one hash are told apart by what they name.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn digest_of(image: &Image<'_>) -> Digest {
    Digest::of(image.object.build_id.as_ref().map(|build_id| build_id.to_string()).unwrap_or_default().as_bytes())
}

const REFUSALS: [Option<Refusal>; 5] =
    [None, Some(Refusal::Blocklisted), Some(Refusal::NotTraced), Some(Refusal::Init), Some(Refusal::Part)];

fn refusal_of(number: u8) -> Option<Refusal> {
    REFUSALS.get(usize::from(number)).copied().flatten()
}

fn refusal_number(refusal: Option<Refusal>) -> u8 {
    REFUSALS.iter().position(|known| *known == refusal).and_then(|number| u8::try_from(number).ok()).unwrap_or(0)
}
