//! Calls that were inlined (DW_TAG_inlined_subroutine): of which function they are, and where a probe of one lies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use gimli::AttributeValue;
use gimli::constants as dw;
use shared::limits::{LimitExceeded, PROBE_POINTS_MAX};

use super::unit::{Die, Dwarf, Unit};
use super::{DebuginfoError, Function, InlinedCalls, Moment, ObjectKind, Place, Refusal};

impl<'i> Dwarf<'i> {
    /// The places where functions whose name matches were inlined.
    pub(super) fn inlined_calls(&self, pattern: &str) -> Result<InlinedCalls, DebuginfoError> {
        let offsets = self.find_inlined(pattern)?;
        LimitExceeded::check("inlined calls that match", offsets.len() as u64, PROBE_POINTS_MAX as u64)?;
        let mut calls = InlinedCalls::default();
        for offset in offsets {
            let die = self.die_at(offset)?;
            let Some(name) = self.name(&die)? else { continue };
            let Some(pc) = self.entry_pc(&die)? else { continue };
            // Code that the linker dropped belongs to no unit any more.
            let Some(outer) = self.subprogram_at(pc)? else { continue };
            let (function, refusal) = self.outer_function(&outer, pc)?;
            match refusal {
                None => calls.found.push(self.inlined_place(&die, name, pc, function, &outer)?),
                Some(refusal) => calls.refused.push((function, refusal)),
            }
        }
        calls.found.sort_by(|a, b| (&a.inlined, a.pc).cmp(&(&b.inlined, b.pc)));
        calls.refused.sort();
        calls.refused.dedup();
        Ok(calls)
    }

    fn inlined_place(
        &self,
        die: &Die<'i>,
        name: String,
        pc: u64,
        function: Function,
        outer: &Die<'i>,
    ) -> Result<Place, DebuginfoError> {
        Ok(Place {
            function,
            inlined: Some(name),
            moment: Moment::Entry,
            declaration: self.declaration(die)?,
            pc,
            offset: self.place_offset(pc)?,
            subprogram: Some(outer.offset()),
            scope: Some(die.offset()),
        })
    }

    /// The function whose code holds `pc`, and why it cannot be probed there.
    fn outer_function(&self, outer: &Die<'i>, pc: u64) -> Result<(Function, Option<Refusal>), DebuginfoError> {
        let address = self.entry_pc(outer)?.unwrap_or(pc);
        let kernel = self.image.object.kind == ObjectKind::Kernel;
        if let Some(symbol) = self.function_at(address)? {
            // ftrace has no location in what was cut off a function (`.cold`).
            let is_cut_off = pc.checked_sub(address).is_none_or(|distance| distance >= symbol.size);
            let refusal = symbol.refusal.or((kernel && is_cut_off).then_some(Refusal::NotTraced));
            return Ok((symbol.to_function(), refusal));
        }
        let name = self.name(outer)?.unwrap_or_default();
        let function = Function { symbol: name.clone(), name, address, size: 0, external: false };
        Ok((function, kernel.then_some(Refusal::NotTraced)))
    }

    /// The first instruction of an entry's code (DWARF 5, section 2.18).
    fn entry_pc(&self, die: &Die<'i>) -> Result<Option<u64>, DebuginfoError> {
        let unit = &die.unit.dwarf;
        let base = || Ok::<_, DebuginfoError>(self.ranges(die)?.first().map(|range| range.0));
        match die.value(dw::DW_AT_entry_pc) {
            Some(value) => match self.sections.attr_address(unit, value)? {
                Some(address) => Ok(Some(address)),
                None => Ok(base()?.zip(value.udata_value()).map(|(base, offset)| base.wrapping_add(offset))),
            },
            None => base(),
        }
    }

    /// Visits the inlined calls of a unit that have code, with the name of the function.
    pub(super) fn each_inlined(
        &self,
        unit: &Rc<Unit<'i>>,
        visit: &mut dyn FnMut(u64, &str) -> Result<(), DebuginfoError>,
    ) -> Result<(), DebuginfoError> {
        let mut names: BTreeMap<u64, Option<String>> = BTreeMap::new();
        self.each_entry(unit, dw::DW_TAG_inlined_subroutine, &mut |die| {
            let has_code = die.has(dw::DW_AT_low_pc) || die.has(dw::DW_AT_ranges) || die.has(dw::DW_AT_entry_pc);
            let Some(reference) = die.value(dw::DW_AT_abstract_origin).filter(|_| has_code) else { return Ok(()) };
            let origin = match reference {
                AttributeValue::UnitRef(offset) => (unit.offset() + offset.0) as u64,
                _ => self.referent(&die, &reference)?.offset(),
            };
            let name = match names.entry(origin) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.name(&self.referent(&die, &reference)?)?),
            };
            name.as_ref().map_or(Ok(()), |name| visit(die.offset(), name))
        })
    }

    /// Visits the functions that a unit describes, with their names.
    pub(super) fn each_subprogram(
        &self,
        unit: &Rc<Unit<'i>>,
        visit: &mut dyn FnMut(u64, &str) -> Result<(), DebuginfoError>,
    ) -> Result<(), DebuginfoError> {
        self.each_entry(unit, dw::DW_TAG_subprogram, &mut |die| match self.name(&die)? {
            Some(name) => visit(die.offset(), &name),
            None => Ok(()),
        })
    }
}
