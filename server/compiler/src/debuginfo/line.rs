//! The line table: which source line an instruction was made from, how files are called, and where a prologue ends.

use gimli::constants as dw;
use gimli::{AttributeValue, DebugLineOffset, FileEntry, IncompleteLineProgram, LineRow, Reader as _, Section as _};
use shared::limits::{LINE_HEADER_BYTES_MAX, LimitExceeded};

use super::elf::Bytes;
use super::unit::{Die, Dwarf, Unit, damaged, keep};
use super::{DebuginfoError, SourceLine};

/// The line program of a unit, its header read; nothing where it has none.
pub(super) type LineHeader<'i> = Option<IncompleteLineProgram<Bytes<'i>>>;

/// A row of the table, as far as it is of use here.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) address: u64,
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) is_stmt: bool,
    prologue_end: bool,
    pub(super) end_sequence: bool,
}

impl<'i> Dwarf<'i> {
    pub(super) fn line(&self, pc: u64) -> Result<Option<SourceLine>, DebuginfoError> {
        let Some(unit) = self.unit_at(pc)? else { return Ok(None) };
        let mut found = None;
        let mut last: Option<Row> = None;
        self.rows(&unit, |row| {
            if let Some(last) = last
                && !last.end_sequence
                && (last.address..row.address).contains(&pc)
            {
                found = Some(last);
            }
            last = Some(row);
        })?;
        match found {
            Some(row) if row.line != 0 => {
                Ok(self.file(&unit, row.file)?.map(|file| SourceLine { file, line: row.line }))
            }
            _ => Ok(None),
        }
    }

    /// Where the body of a function begins whose code is `start..end`: where the compiler marks it, else at the second
    /// row, as the first one stands for the prologue.
    pub(super) fn prologue_end(&self, unit: &Unit<'i>, start: u64, end: u64) -> Result<Option<u64>, DebuginfoError> {
        let (mut marked, mut second) = (None, None);
        self.rows(unit, |row| {
            let lowest = |found: Option<u64>| Some(found.map_or(row.address, |found| found.min(row.address)));
            if row.address > start && row.address < end && !row.end_sequence {
                second = lowest(second);
                if row.prologue_end {
                    marked = lowest(marked);
                }
            }
        })?;
        Ok(marked.or(second))
    }

    /// The file that declares an entry (DW_AT_decl_file, a number in the line table of the entry's unit).
    pub(super) fn declaration_file(&self, die: &Die<'i>) -> Result<Option<String>, DebuginfoError> {
        match self.inherited(die, dw::DW_AT_decl_file)? {
            Some((die, AttributeValue::FileIndex(index))) => self.file(&die.unit, index),
            _ => Ok(None),
        }
    }

    /// A file's path as the table has it: below its directory, which is the compilation directory or relative to it.
    pub(super) fn file(&self, unit: &Unit<'i>, index: u64) -> Result<Option<String>, DebuginfoError> {
        let Some(program) = self.line_program(unit)? else { return Ok(None) };
        let header = program.header();
        let Some(file) = header.file(index) else { return Ok(None) };
        let name = self.string(unit, FileEntry::path_name(file))?;
        let directory = match file.directory(header) {
            Some(directory) if !name.starts_with('/') => self.string(unit, directory)?,
            _ => String::new(),
        };
        Ok(Some(if directory.is_empty() { name } else { format!("{directory}/{name}") }))
    }

    pub(super) fn rows(&self, unit: &Unit<'i>, mut visit: impl FnMut(Row)) -> Result<(), DebuginfoError> {
        let Some(program) = self.line_program(unit)? else { return Ok(()) };
        let mut rows = program.clone().rows();
        while let Some((_, row)) = rows.next_row()? {
            self.work.charge(1)?;
            visit(Row::from(row));
        }
        Ok(())
    }

    fn line_program<'u>(
        &self,
        unit: &'u Unit<'i>,
    ) -> Result<Option<&'u IncompleteLineProgram<Bytes<'i>>>, DebuginfoError> {
        let read = || unit.line_program.map(|offset| self.read_line_program(unit, offset)).transpose();
        keep(&unit.line_header, read).map(Option::as_ref)
    }

    fn read_line_program(
        &self,
        unit: &Unit<'i>,
        offset: DebugLineOffset,
    ) -> Result<IncompleteLineProgram<Bytes<'i>>, DebuginfoError> {
        let mut start = *self.sections.debug_line.reader();
        start.skip(offset.0)?;
        let (_, format) = start.read_initial_length()?;
        if start.read_u16()? >= 5 {
            start.skip(2)?;
        }
        let length = start.read_length(format)? as u64;
        LimitExceeded::check("bytes of a line table's header", length, LINE_HEADER_BYTES_MAX)?;
        self.work.charge(usize::try_from(length).map_err(|_| damaged("a line table"))?)?;
        let (directory, name) = (unit.dwarf.comp_dir, unit.dwarf.name);
        Ok(self.sections.debug_line.program(offset, unit.dwarf.header.address_size(), directory, name)?)
    }
}

impl From<&LineRow> for Row {
    fn from(row: &LineRow) -> Self {
        Self {
            address: row.address(),
            file: row.file_index(),
            line: row.line().map_or(0, u64::from),
            is_stmt: row.is_stmt(),
            prologue_end: row.prologue_end(),
            end_sequence: row.end_sequence(),
        }
    }
}
