//! From a function's address to its entry, and to the place where it is probed.

use std::rc::Rc;

use gimli::UnitOffset;
use gimli::constants as dw;
use gimli::{AttributeValue, DwTag};
use shared::limits::{DEBUGINFO_CHAIN_MAX, DEBUGINFO_RANGES_MAX, LimitExceeded};

use super::unit::{Die, Dwarf, Unit, keep};
use super::{DebuginfoError, Function, Moment, ObjectKind, Place, PlaceOffset, SourceLine, index};

/// Code of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubprogramRange {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) entry: UnitOffset,
}

/// What DWARF says of a function.
pub(super) struct Described {
    /// Of its entry.
    offset: u64,
    pub(super) declaration: Option<SourceLine>,
}

impl<'i> Dwarf<'i> {
    pub(super) fn place(&self, function: &Function, moment: Moment) -> Result<Place, DebuginfoError> {
        let described = self.described_at(function.address)?;
        let (mut pc, mut declaration, mut subprogram) = (function.address, None, None);
        if let Some(described) = described {
            (declaration, subprogram) = (described.declaration, Some(described.offset));
            if moment == Moment::Entry && self.image.object.kind != ObjectKind::Kernel {
                pc = self.after_prologue(&self.die_at(described.offset)?, function)?;
            }
        }
        let offset = self.place_offset(pc)?;
        Ok(Place {
            function: function.clone(),
            inlined: None,
            moment,
            declaration,
            pc,
            offset,
            subprogram,
            scope: None,
        })
    }

    /// An address as whoever attaches needs it.
    pub(super) fn place_offset(&self, pc: u64) -> Result<PlaceOffset, DebuginfoError> {
        match self.image.object.kind {
            ObjectKind::Kernel => Ok(PlaceOffset::FromStext(self.offset_from_stext(pc)?)),
            _ => self.image.file_offset(pc),
        }
    }

    /// The subprogram whose code holds `address`.
    pub(super) fn subprogram_at(&self, address: u64) -> Result<Option<Die<'i>>, DebuginfoError> {
        self.subprogram_offset(address)?.map(|offset| self.die_at(offset)).transpose()
    }

    fn subprogram_offset(&self, address: u64) -> Result<Option<u64>, DebuginfoError> {
        if let Some(index) = self.index {
            return Ok(index.subprogram_at(address).map(|subprogram| subprogram.die));
        }
        let Some(unit) = self.unit_at(address)? else { return Ok(None) };
        let ranges = self.subprograms(&unit)?;
        let after = ranges.partition_point(|range| range.start <= address);
        let range = after.checked_sub(1).and_then(|index| ranges.get(index)).filter(|range| address < range.end);
        Ok(range.map(|range| (unit.offset() + range.entry.0) as u64))
    }

    pub(super) fn described_at(&self, address: u64) -> Result<Option<Described>, DebuginfoError> {
        if let Some(index) = self.index {
            let described = |subprogram: index::Subprogram| Described {
                offset: subprogram.die,
                declaration: index.declaration(&subprogram),
            };
            return Ok(index.subprogram_at(address).map(described));
        }
        let Some(subprogram) = self.subprogram_at(address)? else { return Ok(None) };
        Ok(Some(Described { offset: subprogram.offset(), declaration: self.declaration(&subprogram)? }))
    }

    /// Where the source declares what an entry describes.
    pub(super) fn declaration(&self, die: &Die<'i>) -> Result<Option<SourceLine>, DebuginfoError> {
        let Some(file) = self.declaration_file(die)? else { return Ok(None) };
        let line = self.inherited(die, dw::DW_AT_decl_line)?.and_then(|(_, line)| line.udata_value());
        Ok(line.map(|line| SourceLine { file, line }))
    }

    /// Where a function's parameters are in their places.
    fn after_prologue(&self, subprogram: &Die<'i>, function: &Function) -> Result<u64, DebuginfoError> {
        let start = function.address;
        if !self.parameters_need_prologue(subprogram)? {
            return Ok(start);
        }
        let end = start.saturating_add(function.size);
        Ok(self.prologue_end(&subprogram.unit, start, end)?.unwrap_or(start))
    }

    /// Whether the prologue puts parameters where the debuginfo says that they always are. Only unoptimised code does
    /// that: for optimised code, compilers list where a parameter is from the first instruction on.
    fn parameters_need_prologue(&self, subprogram: &Die<'i>) -> Result<bool, DebuginfoError> {
        if self.is_optimised(&subprogram.unit)? {
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
    pub(super) fn subprograms<'u>(&self, unit: &'u Rc<Unit<'i>>) -> Result<&'u [SubprogramRange], DebuginfoError> {
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
