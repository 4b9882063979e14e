//! Where a function's frame lies: the frame base that compilers name, and the canonical frame address (CFA) that call
//! frame information computes (DWARF 5, section 6.4).

use gimli::constants as dw;
use gimli::{AttributeValue, BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, UnwindContext, UnwindSection};

use super::elf::Bytes;
use super::expression::{NoLocation, Scene, general_register};
use super::unit::Dwarf;
use super::{Expr, Location};

/// `rsp` by its DWARF number.
const STACK_POINTER: u8 = 7;

impl<'i> Dwarf<'i> {
    /// The frame base of the function (DW_AT_frame_base), which locations of the stack count from.
    pub(super) fn frame_base(&self, scene: Scene<'_, 'i>) -> Result<Expr, NoLocation> {
        let missing = || NoLocation::Unsupported("its function has no frame base".to_owned());
        let subprogram = scene.subprogram.ok_or_else(missing)?;
        let (die, value) = self.inherited(subprogram, dw::DW_AT_frame_base)?.ok_or_else(missing)?;
        let scene = Scene { die: &die, nesting: scene.nesting + 1, ..scene };
        let expression = match value {
            AttributeValue::Exprloc(expression) => expression,
            list => self.listed_expression(&die, &die, list, scene)?.ok_or(NoLocation::OptimisedOut)?,
        };
        match self.evaluate(expression, scene, None)? {
            // A register that is named is a frame base that it holds.
            Location::Memory(base) | Location::Value(base) => Ok(base),
            _ => Err(NoLocation::Unsupported("its frame is in several places".to_owned())),
        }
    }

    /// The CFA at the scene's pc.
    pub(super) fn call_frame_address(&self, scene: Scene<'_, 'i>) -> Result<Expr, NoLocation> {
        if scene.pc == scene.entry_pc {
            // The call has just pushed the return address, below which the frame begins (psABI, AMD64, section 3.2.2).
            return Ok(Expr::Register(STACK_POINTER).plus(8));
        }
        let bases = self.base_addresses();
        let mut debug_frame: DebugFrame<Bytes<'i>> = self.image.data(".debug_frame").into();
        debug_frame.set_address_size(8);
        if let Some(address) = self.find_frame_address(&debug_frame, &bases, scene)? {
            return Ok(address);
        }
        let mut eh_frame: EhFrame<Bytes<'i>> = self.image.data(".eh_frame").into();
        eh_frame.set_address_size(8);
        self.find_frame_address(&eh_frame, &bases, scene)?.ok_or_else(|| {
            NoLocation::Unsupported("it is on the stack, and no call frame information says where that is".to_owned())
        })
    }

    fn base_addresses(&self) -> BaseAddresses {
        let address = |name| self.image.section(name).map_or(0, |section| section.address);
        BaseAddresses::default()
            .set_eh_frame(address(".eh_frame"))
            .set_eh_frame_hdr(address(".eh_frame_hdr"))
            .set_text(address(".text"))
            .set_got(address(".got"))
    }

    fn find_frame_address<S>(
        &self,
        section: &S,
        bases: &BaseAddresses,
        scene: Scene<'_, 'i>,
    ) -> Result<Option<Expr>, NoLocation>
    where
        S: UnwindSection<Bytes<'i>>,
    {
        let mut entries = section.entries(bases);
        while let Some(entry) = entries.next()? {
            self.work.charge(1)?;
            let CieOrFde::Fde(fde) = entry else { continue };
            let fde = fde.parse(S::cie_from_offset)?;
            if !fde.contains(scene.pc) {
                continue;
            }
            self.work.charge(fde.entry_len())?;
            let mut context = UnwindContext::new();
            let row = fde.unwind_info_for_address(section, bases, &mut context, scene.pc)?;
            return match row.cfa() {
                CfaRule::RegisterAndOffset { register, offset } => {
                    Ok(Some(general_register(*register)?.plus(offset.cast_unsigned())))
                }
                CfaRule::Expression(expression) => {
                    let scene = Scene { nesting: scene.nesting + 1, ..scene };
                    match self.evaluate(expression.get(section)?, scene, None)? {
                        Location::Memory(address) | Location::Value(address) => Ok(Some(address)),
                        _ => Err(NoLocation::Unsupported("its frame is in several places".to_owned())),
                    }
                }
            };
        }
        Ok(None)
    }
}
