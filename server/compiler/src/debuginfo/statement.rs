//! Places within functions: statements by their line, labels, and any address.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gimli::constants as dw;
use shared::limits::{DEBUGINFO_CHAIN_MAX, LimitExceeded, PROBE_POINTS_MAX};
use shared::target::{glob_matches, is_glob};

use super::search::is_path;
use super::unit::{Die, Dwarf};
use super::{
    DebuginfoError, Function, Functions, Label, Lines, Moment, Place, PlaceAt, Refusal, SourceLine, Statement,
};

impl<'i> Dwarf<'i> {
    /// The functions that match and that a file declares.
    pub(super) fn functions_in(&self, pattern: &str, file: &str) -> Result<Functions, DebuginfoError> {
        let Functions { mut found, mut refused } = self.functions(pattern)?;
        // By address, so that each unit is read once.
        found.sort_by_key(|function| function.address);
        refused.sort_by_key(|(function, _)| function.address);
        let mut functions = Functions::default();
        for function in found {
            if self.is_declared_in(&function, file)? {
                functions.found.push(function);
            }
        }
        for (function, refusal) in refused {
            if self.is_declared_in(&function, file)? {
                functions.refused.push((function, refusal));
            }
        }
        functions.found.sort();
        functions.refused.sort();
        Ok(functions)
    }

    fn is_declared_in(&self, function: &Function, file: &str) -> Result<bool, DebuginfoError> {
        let described = self.described_at(function.address)?;
        Ok(described.and_then(|described| described.declaration).is_some_and(|line| is_path(&line.file, file)))
    }

    /// The statements of a function on some lines: of each line the one with the lowest address.
    pub(super) fn statements(&self, function: &Function, lines: &Lines) -> Result<Vec<Statement>, DebuginfoError> {
        let Some(subprogram) = self.subprogram_at(function.address)? else { return Ok(Vec::new()) };
        let Some(SourceLine { file, line: first }) = self.declaration(&subprogram)? else { return Ok(Vec::new()) };
        let is_meant = |line: u64| match lines {
            Lines::All => true,
            Lines::Absolute(lines) => lines.contains(&line),
            Lines::Relative(lines) => line.checked_sub(first).is_some_and(|distance| lines.contains(&distance)),
        };
        let ranges = self.ranges(&subprogram)?;
        let (mut lowest, mut files) = (BTreeMap::new(), BTreeMap::new());
        self.rows(&subprogram.unit, |row| {
            let is_here = ranges.iter().any(|&(start, end)| (start..end).contains(&row.address));
            if row.is_stmt && !row.end_sequence && row.line != 0 && is_here && is_meant(row.line) {
                let address: &mut u64 = lowest.entry((row.file, row.line)).or_insert(row.address);
                *address = row.address.min(*address);
            }
        })?;
        let mut statements = Vec::new();
        for ((number, line), pc) in lowest {
            let is_declaring = match files.entry(number) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(self.file(&subprogram.unit, number)?.as_ref() == Some(&file)),
            };
            // What was inlined from other files has lines of its own.
            if is_declaring {
                LimitExceeded::check("statements that match", statements.len() as u64, PROBE_POINTS_MAX as u64)?;
                statements.push(Statement { line, place: self.inner_place(function, &subprogram, pc)? });
            }
        }
        statements.sort_by_key(|statement| statement.place.pc);
        Ok(statements)
    }

    /// The labels of a function that match, where they still have code.
    pub(super) fn labels(&self, function: &Function, pattern: &str) -> Result<Vec<Label>, DebuginfoError> {
        let Some(subprogram) = self.subprogram_at(function.address)? else { return Ok(Vec::new()) };
        let mut labels = Vec::new();
        self.collect_labels(&subprogram, 0, &mut |name, pc| {
            if if is_glob(pattern) { glob_matches(pattern, &name) } else { pattern == name } {
                labels.push(Label { name, place: self.inner_place(function, &subprogram, pc)? });
            }
            Ok(())
        })?;
        labels.sort_by(|a, b| (&a.name, a.place.pc).cmp(&(&b.name, b.place.pc)));
        Ok(labels)
    }

    fn collect_labels(
        &self,
        block: &Die<'i>,
        depth: usize,
        found: &mut dyn FnMut(String, u64) -> Result<(), DebuginfoError>,
    ) -> Result<(), DebuginfoError> {
        LimitExceeded::check("depth of nested blocks", depth as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        let mut children = self.children(block)?;
        while let Some(child) = children.next_of(|tag| matches!(tag, dw::DW_TAG_lexical_block | dw::DW_TAG_label))? {
            if child.tag() == dw::DW_TAG_lexical_block {
                self.collect_labels(&child, depth + 1, found)?;
            } else if let (Some(name), Some(pc)) = (self.name(&child)?, self.low_pc(&child)?) {
                found(name, pc)?;
            }
        }
        Ok(())
    }

    /// The place at an address, and why it cannot be probed; nothing where no function has it.
    pub(super) fn place_at(&self, pc: u64) -> Result<Option<PlaceAt>, DebuginfoError> {
        let Some(symbol) = self.function_around(pc)? else { return Ok(None) };
        let function = symbol.to_function();
        let place = match self.subprogram_at(pc)? {
            Some(subprogram) => self.inner_place(&function, &subprogram, pc)?,
            None => Place { pc, offset: self.place_offset(pc)?, ..self.place(&function, Moment::Return)? },
        };
        let refusal: Option<Refusal> = symbol.refusal;
        Ok(Some(PlaceAt { place: Place { moment: Moment::Entry, ..place }, refusal }))
    }

    fn inner_place(&self, function: &Function, subprogram: &Die<'i>, pc: u64) -> Result<Place, DebuginfoError> {
        Ok(Place {
            function: function.clone(),
            inlined: None,
            moment: Moment::Entry,
            declaration: self.declaration(subprogram)?,
            pc,
            offset: self.place_offset(pc)?,
            subprogram: Some(subprogram.offset()),
            scope: None,
        })
    }
}
