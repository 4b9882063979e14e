//! From a function's address to its entry, and to the place where it is probed.

use std::rc::Rc;

use gimli::UnitOffset;
use gimli::constants as dw;
use gimli::{AttributeValue, DwTag};
use shared::limits::{DEBUGINFO_CHAIN_MAX, DEBUGINFO_RANGES_MAX, LimitExceeded};

use super::unit::{Die, Dwarf, Unit, keep};
use super::{DebuginfoError, Function, Moment, ObjectKind, Place, PlaceOffset, SourceLine};

/// Code of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubprogramRange {
    start: u64,
    end: u64,
    entry: UnitOffset,
}

impl<'i> Dwarf<'i> {
    pub(super) fn place(&self, function: &Function, moment: Moment) -> Result<Place, DebuginfoError> {
        let subprogram = self.subprogram_at(function.address)?;
        let (mut pc, mut declaration) = (function.address, None);
        if let Some(subprogram) = &subprogram {
            declaration = self.declaration(subprogram)?;
            if moment == Moment::Entry && self.parameters_need_prologue(subprogram)? {
                let end = function.address.saturating_add(function.size);
                pc = self.prologue_end(&subprogram.unit, function.address, end)?.unwrap_or(pc);
            }
        }
        let offset = match self.image.object.kind {
            ObjectKind::Kernel => PlaceOffset::FromStext(self.symbols()?.offset_from_stext(pc)?),
            _ => self.image.file_offset(pc)?,
        };
        let subprogram = subprogram.map(|die| die.offset());
        Ok(Place { function: function.clone(), moment, declaration, pc, offset, subprogram })
    }

    /// The subprogram whose code holds `address`.
    fn subprogram_at(&self, address: u64) -> Result<Option<Die<'i>>, DebuginfoError> {
        let Some(unit) = self.unit_at(address)? else { return Ok(None) };
        let ranges = self.subprograms(&unit)?;
        let after = ranges.partition_point(|range| range.start <= address);
        match after.checked_sub(1).and_then(|index| ranges.get(index)) {
            Some(range) if address < range.end => self.die(&unit, range.entry).map(Some),
            _ => Ok(None),
        }
    }

    fn declaration(&self, subprogram: &Die<'i>) -> Result<Option<SourceLine>, DebuginfoError> {
        let Some(file) = self.declaration_file(subprogram)? else { return Ok(None) };
        let line = self.inherited(subprogram, dw::DW_AT_decl_line)?.and_then(|(_, line)| line.udata_value());
        Ok(line.map(|line| SourceLine { file, line }))
    }

    /// Whether the prologue puts parameters where the debuginfo says that they always are. Only unoptimised code does
    /// that: for optimised code, compilers list where a parameter is from the first instruction on.
    fn parameters_need_prologue(&self, subprogram: &Die<'i>) -> Result<bool, DebuginfoError> {
        if self.image.object.kind == ObjectKind::Kernel || self.is_optimised(&subprogram.unit)? {
            return Ok(false);
        }
        let mut needed = false;
        let mut children = self.children(subprogram)?;
        while let Some(child) =
            children.next_of(|tag| matches!(tag, dw::DW_TAG_formal_parameter | dw::DW_TAG_variable))?
        {
            match child.value(dw::DW_AT_location) {
                Some(AttributeValue::Exprloc(_)) => needed |= child.tag() == dw::DW_TAG_formal_parameter,
                Some(_) => return Ok(false),
                None => {}
            }
        }
        Ok(needed)
    }

    /// Whether the compiler says that it optimised: GCC records its options.
    fn is_optimised(&self, unit: &Rc<Unit<'i>>) -> Result<bool, DebuginfoError> {
        let Some(producer) = self.root(unit)?.value(dw::DW_AT_producer) else { return Ok(false) };
        let producer = self.string(unit, producer)?;
        Ok(producer.split(' ').any(|option| option.strip_prefix("-O").is_some_and(|level| level != "0")))
    }

    /// The code of all functions of a unit, sorted.
    fn subprograms<'u>(&self, unit: &'u Rc<Unit<'i>>) -> Result<&'u [SubprogramRange], DebuginfoError> {
        let read = || {
            let mut ranges = Vec::new();
            self.collect_subprograms(&self.root(unit)?, 0, &mut ranges)?;
            ranges.sort_unstable();
            Ok(ranges)
        };
        keep(&unit.subprograms, read).map(Vec::as_slice)
    }

    fn collect_subprograms(
        &self,
        parent: &Die<'i>,
        depth: usize,
        ranges: &mut Vec<SubprogramRange>,
    ) -> Result<(), DebuginfoError> {
        LimitExceeded::check("depth of nested entries", depth as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        // C has no namespaces; in languages that do, functions also stand in types.
        let wanted = |tag: DwTag| match tag {
            dw::DW_TAG_subprogram | dw::DW_TAG_namespace => true,
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type => depth > 0,
            _ => false,
        };
        let mut children = self.children(parent)?;
        while let Some(child) = children.next_of(wanted)? {
            if child.tag() != dw::DW_TAG_subprogram {
                self.collect_subprograms(&child, depth + 1, ranges)?;
                continue;
            }
            let entry = child.entry.offset();
            ranges.extend(self.ranges(&child)?.into_iter().map(|(start, end)| SubprogramRange { start, end, entry }));
            LimitExceeded::check("address ranges of functions", ranges.len() as u64, DEBUGINFO_RANGES_MAX)?;
        }
        Ok(())
    }
}
