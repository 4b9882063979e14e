//! Location lists (DWARF 5, section 2.6.2): which expression holds at a place. Must not know what expressions mean.

use gimli::constants as dw;
use gimli::{Expression, RawLocListEntry};

use super::DebuginfoError;
use super::elf::Bytes;
use super::expression::Scene;
use super::unit::{Die, Dwarf, Unit, Value, unsupported};

/// An entry of a list, its addresses computed.
struct Listed<'i> {
    start: u64,
    end: u64,
    expression: Expression<Bytes<'i>>,
}

impl<'i> Dwarf<'i> {
    /// The expression that says where `die` is at the scene's pc, from the list that `owner` (`die` or its origin) has;
    /// `None` where none does.
    ///
    /// A range of no instructions holds for a parameter at the function's first instruction: it says where the caller
    /// put it, and what follows where statements that took no instruction left it.
    pub(super) fn listed_expression(
        &self,
        die: &Die<'i>,
        owner: &Die<'i>,
        list: Value<'i>,
        scene: Scene<'_, 'i>,
    ) -> Result<Option<Expression<Bytes<'i>>>, DebuginfoError> {
        let unit = &owner.unit;
        let offset = self.sections.attr_locations_offset(&unit.dwarf, list)?;
        let offset = offset.ok_or_else(|| unsupported("its location has an unknown form"))?;
        let mut entries = self.sections.raw_locations(&unit.dwarf, offset)?;
        let at_entry = scene.pc == scene.entry_pc && die.tag() == dw::DW_TAG_formal_parameter;
        let mut base = unit.dwarf.low_pc;
        let mut default = None;
        while let Some(entry) = entries.next()? {
            self.work.charge(1)?;
            if let RawLocListEntry::DefaultLocation { data } = entry {
                default = Some(data);
            } else if let Some(Listed { start, end, expression }) = self.resolve(unit, entry, &mut base)?
                && ((start..end).contains(&scene.pc) || (at_entry && start == scene.pc && end == scene.pc))
            {
                return Ok(Some(expression));
            }
        }
        Ok(default)
    }

    /// Computes the addresses of an entry; nothing where it only sets the base that others count from.
    fn resolve(
        &self,
        unit: &Unit<'i>,
        entry: RawLocListEntry<Bytes<'i>>,
        base: &mut u64,
    ) -> Result<Option<Listed<'i>>, DebuginfoError> {
        let address = |index| self.sections.address(&unit.dwarf, index);
        let (start, end, expression) = match entry {
            RawLocListEntry::BaseAddress { addr } => {
                *base = addr;
                return Ok(None);
            }
            RawLocListEntry::BaseAddressx { addr } => {
                *base = address(addr)?;
                return Ok(None);
            }
            RawLocListEntry::DefaultLocation { .. } => return Ok(None),
            RawLocListEntry::AddressOrOffsetPair { begin, end, data }
            | RawLocListEntry::OffsetPair { begin, end, data } => {
                (base.wrapping_add(begin), base.wrapping_add(end), data)
            }
            RawLocListEntry::StartEnd { begin, end, data } => (begin, end, data),
            RawLocListEntry::StartLength { begin, length, data } => (begin, begin.wrapping_add(length), data),
            RawLocListEntry::StartxEndx { begin, end, data } => (address(begin)?, address(end)?, data),
            RawLocListEntry::StartxLength { begin, length, data } => {
                let start = address(begin)?;
                (start, start.wrapping_add(length), data)
            }
        };
        Ok(Some(Listed { start, end, expression }))
    }
}
