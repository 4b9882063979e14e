//! Scratch memory, for what does not fit the stack: taken when a handler starts, given back when it ends.
//!
//! Handlers interrupt one another and, where they may be preempted, end in any order: memory of the processor is not memory
//! of the handler. So each piece has a word that says whether somebody has it, and is taken in one step. Where all pieces of
//! a processor are taken, the handler is skipped and counted.

use shared::abi::map::{SCRATCH_LEVELS, session};

use super::Selector;
use crate::bpf::code::{Helper, Jump, Size};
use crate::bpf::{Map, Symbol};
use crate::codegen::draft::{Base, Inst, Placement, Source};

impl Selector<'_> {
    /// Takes a piece of scratch memory, where the handler needs one.
    pub(super) fn take_scratch(&mut self) {
        if self.draft.placement == Placement::Stack {
            return;
        }
        let (taken, pieces) = self.join(1);
        let key = self.draft.new_stack_slot(8);
        for level in 0..SCRATCH_LEVELS {
            let source = Source::Immediate(level as i32);
            self.inst(Inst::Store { size: Size::W, base: Base::Slot(key), offset: 0, source });
            let (map, key) = (self.address(Symbol::Map(Map::Scratch), 0), self.frame(key));
            let piece = self.call(Helper::MapLookupElem, &[map, key]);
            self.exit_if(Jump::Eq, piece, Source::Immediate(0));
            let (value, before) = (self.immediate(1), self.draft.new_register());
            self.inst(Inst::AtomicExchange { base: piece, offset: 0, value, before });
            let (free, occupied) = self.branch(Jump::Eq, before, Source::Immediate(0));
            self.switch_to(free);
            self.jump(taken, &[piece]);
            self.switch_to(occupied);
        }
        self.skip();
        self.switch_to(taken);
        self.scratch = Some(pieces[0]);
    }

    /// Counts the handler as skipped, and leaves.
    fn skip(&mut self) {
        let (one, before) = (self.immediate(1), self.draft.new_register());
        let offset = session::SKIPPED as i32;
        self.inst(Inst::AtomicAdd { base: self.globals, offset, addend: one, before: Some(before) });
        let limit = i32::try_from(self.ir.limits.skipped_max).unwrap_or(i32::MAX);
        self.stop_if(Jump::Ge, before, Source::Immediate(limit));
        self.leave();
    }

    /// Gives the scratch memory back and ends the program.
    pub(super) fn leave(&mut self) {
        if let Some(scratch) = self.scratch {
            self.store(Base::Register(scratch), 0, Source::Immediate(0));
        }
        self.inst(Inst::Exit);
    }
}
