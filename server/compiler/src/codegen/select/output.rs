//! Event records: prints, run-time errors, `exit()`. Layouts are [`shared::abi::event`]'s.

use regalloc2::VReg;
use shared::abi::event::{RecordKind, header, layout};
use shared::abi::map::{SessionState, session};
use shared::ir::{FormatId, Value};
use shared::limits::RING_BYTES_DEFAULT;

use super::{Result, Selector};
use crate::bpf::code::{Alu, Helper, Jump, map};
use crate::bpf::{Map, Symbol};
use crate::codegen::draft::{Base, Inst, Source};

/// When a record wakes `taprun` up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakeup {
    /// At once.
    Always,
    /// Where the ring buffer fills up: `taprun` looks into it from time to time anyhow, and waking it for every record would
    /// cost more than everything else that a handler does.
    WhenFull,
}

/// How full the ring buffer is when `taprun` is woken up,
const WAKEUP_MARK: i32 = (RING_BYTES_DEFAULT / 4) as i32;

/// and beyond that for how many bytes each record does it: several processors may pass the mark at once.
const WAKEUP_BYTES: i32 = 64 << 10;

impl Selector<'_> {
    pub(super) fn print(&mut self, format: FormatId, arguments: &[Value]) {
        let header = header(RecordKind::Print, format, 0, 0);
        self.record(RecordKind::Print, format, arguments, Wakeup::WhenFull, |selector, record| {
            let header = selector.immediate(header as i64);
            selector.store(Base::Register(record), 0, Source::Register(header));
        });
    }

    /// Reports a run-time error, and ends the session where it is one too many.
    pub(super) fn raise(&mut self, format: FormatId, arguments: &[Value]) -> Result {
        let header = header(RecordKind::Raise, format, self.index as u16, 0);
        let location = self.location.to_word();
        let point = (self.handler.points.len() > 1).then(|| self.point_index());
        self.record(RecordKind::Raise, format, arguments, Wakeup::Always, |selector, record| {
            let mut header = selector.immediate(header as i64);
            if let Some(point) = point {
                let shifted = selector.alu(Alu::Lsh, point, Source::Immediate(32));
                header = selector.alu(Alu::Or, header, Source::Register(shifted));
            }
            selector.store(Base::Register(record), 0, Source::Register(header));
            let location = selector.immediate(location as i64);
            selector.store(Base::Register(record), 8, Source::Register(location));
        });
        self.count_error();
        Ok(())
    }

    pub(super) fn exit(&mut self) {
        self.stop();
        let header = header(RecordKind::Exit, FormatId(0), 0, 0);
        self.record(RecordKind::Exit, FormatId(0), &[], Wakeup::Always, |selector, record| {
            let header = selector.immediate(header as i64);
            selector.store(Base::Register(record), 0, Source::Register(header));
        });
    }

    fn count_error(&mut self) {
        let errors_max = self.ir.limits.errors_max;
        let one = self.immediate(1);
        let before = (errors_max > 0).then(|| self.draft.new_register());
        let offset = session::ERRORS as i32;
        self.inst(Inst::AtomicAdd { base: self.globals, offset, addend: one, before });
        let Some(before) = before else { return self.stop() };
        let limit = i32::try_from(errors_max).unwrap_or(i32::MAX);
        self.stop_if(Jump::Ge, before, Source::Immediate(limit));
    }

    /// Lets no further handler start where a relation holds.
    pub(super) fn stop_if(&mut self, relation: Jump, left: VReg, right: Source) {
        let (after, _) = self.join(0);
        let (stops, goes_on) = self.branch(relation, left, right);
        self.switch_to(stops);
        self.stop();
        self.jump(after, &[]);
        self.switch_to(goes_on);
        self.jump(after, &[]);
        self.switch_to(after);
    }

    /// Lets no further handler start.
    fn stop(&mut self) {
        let state = Source::Immediate(SessionState::Stopping as i32);
        self.store(Base::Register(self.globals), session::STATE as i32, state);
    }

    fn wakeup_flags(&mut self, wakeup: Wakeup) -> VReg {
        if wakeup == Wakeup::Always {
            return self.immediate(map::RB_FORCE_WAKEUP);
        }
        let (ring, what) = (self.address(Symbol::Map(Map::Events), 0), self.immediate(map::RB_AVAIL_DATA));
        let filled = self.call(Helper::RingbufQuery, &[ring, what]);
        let beyond = self.alu(Alu::Sub, filled, Source::Immediate(WAKEUP_MARK));
        let wakes = self.set(Jump::Lt, beyond, Source::Immediate(WAKEUP_BYTES));
        // BPF_RB_NO_WAKEUP is 1, BPF_RB_FORCE_WAKEUP 2.
        self.alu(Alu::Add, wakes, Source::Immediate(map::RB_NO_WAKEUP as i32))
    }

    /// Reserves a record, lets `head` write what comes before the arguments, writes these, and submits it; where there is no
    /// room, counts it as lost.
    fn record(
        &mut self,
        kind: RecordKind,
        format: FormatId,
        arguments: &[Value],
        wakeup: Wakeup,
        head: impl FnOnce(&mut Self, VReg),
    ) {
        let types = match kind {
            RecordKind::Exit => Vec::new(),
            RecordKind::Print | RecordKind::Raise => self.ir.formats[usize::from(format.0)].arguments.clone(),
        };
        let (offsets, size) = layout(kind, &types);
        let ring = self.address(Symbol::Map(Map::Events), 0);
        let (size, no_flags) = (self.immediate(size as i64), self.immediate(0));
        let record = self.call(Helper::RingbufReserve, &[ring, size, no_flags]);
        let (after, _) = self.join(0);
        let (lost, reserved) = self.branch(Jump::Eq, record, Source::Immediate(0));
        self.switch_to(reserved);
        head(self, record);
        for ((&argument, &ty), offset) in arguments.iter().zip(&types).zip(offsets) {
            self.write(argument, ty, Base::Register(record), offset as i32);
        }
        let flags = self.wakeup_flags(wakeup);
        self.call_for_effect(Helper::RingbufSubmit, &[record, flags]);
        self.jump(after, &[]);
        self.switch_to(lost);
        let one = self.immediate(1);
        let offset = session::LOST as i32;
        self.inst(Inst::AtomicAdd { base: self.globals, offset, addend: one, before: None });
        self.jump(after, &[]);
        self.switch_to(after);
    }
}
