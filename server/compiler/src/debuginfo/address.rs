//! Which unit the code at an address belongs to: `.debug_aranges` says so, and for units that it leaves out, their root
//! entries. No other entry is looked at.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use gimli::constants as dw;
use gimli::{Reader as _, Section as _};

use shared::limits::{DEBUGINFO_RANGES_MAX, LimitExceeded};

use super::DebuginfoError;
use super::elf::Bytes;
use super::unit::{Die, Dwarf, Unit, damaged, keep};

/// What is known of the addresses of units. Read when first asked for.
#[derive(Default)]
pub(super) struct UnitAddresses {
    listed: OnceCell<Listed>,
    unlisted: OnceCell<Unlisted>,
}

/// What the root entries of the units say that `.debug_aranges` leaves out.
#[derive(Default)]
struct Unlisted {
    ranges: Vec<UnitRange>,
    /// Why a unit could not be read: it may be the one that an address belongs to that no other has.
    unsupported: Option<DebuginfoError>,
}

/// What `.debug_aranges` says.
#[derive(Default)]
struct Listed {
    ranges: Vec<UnitRange>,
    units: BTreeSet<usize>,
}

/// Code of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnitRange {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where the unit begins in `.debug_info`.
    pub(super) unit: usize,
}

impl<'i> Dwarf<'i> {
    /// The unit that the code at `address` belongs to.
    pub(super) fn unit_at(&self, address: u64) -> Result<Option<Rc<Unit<'i>>>, DebuginfoError> {
        if let Some(index) = self.index {
            return index.unit_at(address).map(|unit| self.unit(unit)).transpose();
        }
        let listed = self.listed()?;
        if let Some(unit) = unit_of(&listed.ranges, address) {
            return self.unit(unit).map(Some);
        }
        let unlisted = self.unlisted(&listed.units)?;
        match (unit_of(&unlisted.ranges, address), &unlisted.unsupported) {
            (Some(unit), _) => self.unit(unit).map(Some),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    }

    /// The first address of an entry that has all its code in one range, or is a label.
    pub(super) fn low_pc(&self, die: &Die<'i>) -> Result<Option<u64>, DebuginfoError> {
        let Some(low) = die.value(dw::DW_AT_low_pc) else { return Ok(None) };
        let low = self.sections.attr_address(&die.unit.dwarf, low)?;
        low.map(Some).ok_or_else(|| damaged("an address of an unknown form"))
    }

    /// The code of all units, for an index: what is listed, and what is not.
    pub(super) fn unit_ranges(&self) -> Result<[&[UnitRange]; 2], DebuginfoError> {
        let listed = self.listed()?;
        let unlisted = self.unlisted(&listed.units)?;
        if let Some(error) = &unlisted.unsupported {
            return Err(error.clone());
        }
        Ok([&listed.ranges, &unlisted.ranges])
    }

    /// Whether the code at `address` belongs to an entry.
    pub(super) fn covers(&self, die: &Die<'i>, address: u64) -> Result<bool, DebuginfoError> {
        Ok(self.ranges(die)?.iter().any(|&(start, end)| (start..end).contains(&address)))
    }

    /// The code of an entry, as pairs of the first address and the one after the last (DWARF 5, section 2.17).
    pub(super) fn ranges(&self, die: &Die<'i>) -> Result<Vec<(u64, u64)>, DebuginfoError> {
        let unit = &die.unit.dwarf;
        if let Some(list) = die.value(dw::DW_AT_ranges) {
            let mut ranges = Vec::new();
            let mut list =
                self.sections.attr_ranges(unit, list)?.ok_or_else(|| damaged("ranges of an unknown form"))?;
            while let Some(range) = list.next()? {
                self.work.charge(1)?;
                ranges.push((range.begin, range.end));
            }
            return Ok(ranges);
        }
        let Some(low) = self.low_pc(die)? else { return Ok(Vec::new()) };
        let high = match (die.unsigned(dw::DW_AT_high_pc), die.value(dw::DW_AT_high_pc)) {
            (Some(size), _) => low.checked_add(size).ok_or_else(|| damaged("code ends beyond the last address"))?,
            (None, Some(high)) => self.sections.attr_address(unit, high)?.unwrap_or(low),
            (None, None) => return Ok(Vec::new()),
        };
        Ok(vec![(low, high)])
    }

    fn listed(&self) -> Result<&Listed, DebuginfoError> {
        keep(&self.addresses.listed, || {
            let mut listed = Listed::default();
            let mut sets = *self.sections.debug_aranges.reader();
            while !sets.is_empty() {
                self.work.charge(1)?;
                self.read_set(&mut sets, &mut listed)?;
            }
            listed.ranges.sort_unstable();
            Ok(listed)
        })
    }

    /// Reads the ranges of one unit (DWARF 5, section 6.1.2).
    fn read_set(&self, sets: &mut Bytes<'i>, listed: &mut Listed) -> Result<(), DebuginfoError> {
        let (length, format) = sets.read_initial_length()?;
        let mut set = sets.split(length)?;
        let _version = set.read_u16()?;
        let unit = set.read_offset(format)?;
        let (address_size, segment_size) = (set.read_u8()?, set.read_u8()?);
        if address_size != 8 || segment_size != 0 {
            return Err(damaged("address ranges of units have addresses of another size than 8 bytes"));
        }
        // The header has 12 or 24 bytes; pairs of two addresses begin at a multiple of their size.
        set.skip(usize::from(format.word_size()))?;
        listed.units.insert(unit);
        while set.len() >= 16 {
            self.work.charge(1)?;
            let (start, size) = (set.read_u64()?, set.read_u64()?);
            if size != 0
                && let Some(end) = start.checked_add(size)
            {
                listed.ranges.push(UnitRange { start, end, unit });
            }
        }
        Ok(())
    }

    fn unlisted(&self, listed: &BTreeSet<usize>) -> Result<&Unlisted, DebuginfoError> {
        keep(&self.addresses.unlisted, || {
            let mut unlisted = Unlisted::default();
            for &unit in self.unit_offsets()?.iter().filter(|unit| !listed.contains(unit)) {
                let root = match self.unit(unit).and_then(|unit| self.root(&unit)) {
                    Ok(root) => root,
                    Err(error @ DebuginfoError::Unsupported(_)) => {
                        unlisted.unsupported = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let ranges = self.ranges(&root)?.into_iter().map(|(start, end)| UnitRange { start, end, unit });
                unlisted.ranges.extend(ranges);
                LimitExceeded::check("address ranges of units", unlisted.ranges.len() as u64, DEBUGINFO_RANGES_MAX)?;
            }
            unlisted.ranges.sort_unstable();
            Ok(unlisted)
        })
    }
}

/// Of the ranges, which are sorted, the last that begins before `address`, where it holds it. Ranges of dropped code,
/// which linkers leave at address 0, overlap others and begin earlier.
fn unit_of(ranges: &[UnitRange], address: u64) -> Option<usize> {
    let after = ranges.partition_point(|range| range.start <= address);
    let range = ranges.get(after.checked_sub(1)?)?;
    (address < range.end).then_some(range.unit)
}
