//! Writes an allocated draft down as instructions: physical registers, frame offsets, resolved jumps.

use regalloc2::{Allocation, AllocationKind, Block, Edit, InstOrEdit, Output};
use shared::ir::Location;

use super::Refusal;
use super::allocate::Flat;
use super::draft::{Base, Draft, Inst, Slot, Source};
use crate::bpf::code::{Alu, EXCHANGE, FETCH, Jump, SOURCE_REGISTER, Size, class, mode};
use crate::bpf::{Insn, Line, Relocation};

/// Bytes of a program's stack (`MAX_BPF_STACK`, include/linux/filter.h), less those that `may_goto` takes of it.
const STACK_BYTES_MAX: usize = 512 - 16;

/// The frame pointer.
const FP: u8 = 10;

/// What a program is made of.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    pub(super) insns: Vec<Insn>,
    pub(super) relocations: Vec<Relocation>,
    pub(super) lines: Vec<Line>,
}

/// Emits a draft.
///
/// # Errors
/// When it needs more stack than a program has, or a jump is too far.
pub(super) fn emit(draft: &Draft, flat: &Flat<'_>, output: &Output) -> Result<Emitted, Refusal> {
    let frame = Frame::lay_out(draft, output.num_spillslots)?;
    let mut emitter = Emitter { frame, emitted: Emitted::default(), starts: Vec::new(), jumps: Vec::new() };
    let mut location = None;
    for (index, block) in draft.blocks.iter().enumerate() {
        emitter.starts.push(emitter.emitted.insns.len());
        let mut locations = block.insts.iter().map(|(_, location)| *location);
        for step in output.block_insts_and_edits(flat, Block::new(index)) {
            match step {
                InstOrEdit::Edit(Edit::Move { from, to }) => emitter.move_(*from, *to),
                InstOrEdit::Inst(inst) => {
                    let here = locations.next();
                    if here != location {
                        location = here;
                        let insn = emitter.emitted.insns.len();
                        emitter.emitted.lines.extend(here.map(|location| Line { insn, location }));
                    }
                    emitter.inst(flat.insts[inst.index()], output.inst_allocs(inst), index);
                }
            }
        }
    }
    emitter.resolve_jumps()?;
    emitter.emitted.lines.retain(|line| line.location != Location::default());
    Ok(emitter.emitted)
}

/// Where the slots lie, as offsets from the frame pointer.
struct Frame {
    slots: Vec<i32>,
    spills: i32,
}

impl Frame {
    fn lay_out(draft: &Draft, spill_count: usize) -> Result<Self, Refusal> {
        let mut end = 0;
        let mut slots = Vec::new();
        for slot in &draft.slots {
            end += if slot.scratch.is_some() { 0 } else { slot.size };
            slots.push(-(end as i32));
        }
        let total = end + spill_count * 8;
        if total > STACK_BYTES_MAX {
            return Err(Refusal::StackTooLarge { bytes: total + draft.scratch_size, bytes_max: STACK_BYTES_MAX });
        }
        Ok(Self { slots, spills: -(end as i32) })
    }

    fn slot(&self, slot: Slot) -> i32 {
        self.slots[slot.0]
    }

    fn spill(&self, index: usize) -> i32 {
        self.spills - (index as i32 + 1) * 8
    }
}

struct Emitter {
    frame: Frame,
    emitted: Emitted,
    starts: Vec<usize>,
    /// Jumps whose distance is not known yet.
    jumps: Vec<(usize, Block)>,
}

impl Emitter {
    fn push(&mut self, code: u8, dst: u8, src: u8, offset: i32, immediate: i32) {
        // Offsets within the frame, a record, a key or a context are far below 32 KiB.
        self.emitted.insns.push(Insn { code, dst, src, offset: offset as i16, immediate });
    }

    fn alu(&mut self, op: Alu, dst: u8, source: Operand) {
        match source {
            Operand::Register(src) => self.push(class::ALU64 | op as u8 | SOURCE_REGISTER, dst, src, 0, 0),
            Operand::Immediate(immediate) => self.push(class::ALU64 | op as u8, dst, 0, 0, immediate),
        }
    }

    fn copy(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.alu(Alu::Mov, dst, Operand::Register(src));
        }
    }

    /// Jumps over so many instructions where the relation holds.
    fn skip(&mut self, relation: Jump, dst: u8, source: Operand, count: i32) {
        match source {
            Operand::Register(src) => self.push(class::JMP | relation as u8 | SOURCE_REGISTER, dst, src, count, 0),
            Operand::Immediate(immediate) => self.push(class::JMP | relation as u8, dst, 0, count, immediate),
        }
    }

    fn wide(&mut self, dst: u8, low: i32, high: i32) {
        self.push(class::LD | mode::IMM | Size::Dw as u8, dst, 0, 0, low);
        self.push(0, 0, 0, 0, high);
    }

    fn move_(&mut self, from: Allocation, to: Allocation) {
        let memory = |size: u8| mode::MEM | Size::Dw as u8 | size;
        match (from.kind(), to.kind()) {
            (AllocationKind::Reg, AllocationKind::Reg) => self.copy(number(to), number(from)),
            (AllocationKind::Reg, _) => {
                let offset = self.spill(to);
                self.push(memory(class::STX), FP, number(from), offset, 0);
            }
            // regalloc2 makes no moves from memory to memory: it inserts a register.
            (_, _) => {
                let offset = self.spill(from);
                self.push(memory(class::LDX), number(to), FP, offset, 0);
            }
        }
    }

    fn spill(&self, allocation: Allocation) -> i32 {
        self.frame.spill(allocation.as_stack().map_or(0, |slot| slot.index()))
    }

    fn inst(&mut self, inst: &Inst, allocations: &[Allocation], block: usize) {
        let mut registers = allocations.iter().map(|&allocation| number(allocation));
        let mut next = || registers.next().unwrap_or(0);
        match inst {
            Inst::Context { .. } => {}
            Inst::Immediate { value, .. } => {
                let dst = next();
                match i32::try_from(*value) {
                    Ok(immediate) => self.alu(Alu::Mov, dst, Operand::Immediate(immediate)),
                    Err(_) => self.wide(dst, *value as i32, (*value >> 32) as i32),
                }
            }
            Inst::Address { symbol, offset, .. } => {
                self.emitted.relocations.push(Relocation { insn: self.emitted.insns.len(), symbol: *symbol });
                self.wide(next(), *offset, 0);
            }
            Inst::Frame { slot, .. } => {
                let dst = next();
                self.copy(dst, FP);
                self.alu(Alu::Add, dst, Operand::Immediate(self.frame.slot(*slot)));
            }
            Inst::Low32 { .. } => {
                let (dst, src) = (next(), next());
                self.push(class::ALU | Alu::Mov as u8 | SOURCE_REGISTER, dst, src, 0, 0);
            }
            Inst::BigEndian { .. } => self.push(class::ALU | Alu::End as u8 | SOURCE_REGISTER, next(), 0, 0, 64),
            Inst::Alu { op, right, .. } => {
                let (dst, _left) = (next(), next());
                let operand = right.operand(&mut next);
                self.alu(*op, dst, operand);
            }
            Inst::Divide { remainder, .. } => {
                let registers = [next(), next(), next(), next(), next()];
                self.divide(*remainder, registers);
            }
            Inst::Set { relation, right, .. } => {
                let (dst, left) = (next(), next());
                let operand = right.operand(&mut next);
                self.alu(Alu::Mov, dst, Operand::Immediate(1));
                self.skip(*relation, left, operand, 1);
                self.alu(Alu::Mov, dst, Operand::Immediate(0));
            }
            Inst::Load { size, base, offset, .. } => {
                let dst = next();
                let (base, offset) = self.address(*base, *offset, &mut next);
                self.push(class::LDX | mode::MEM | *size as u8, dst, base, offset, 0);
            }
            Inst::Store { size, base, offset, source } => {
                let (base, offset) = self.address(*base, *offset, &mut next);
                match source.operand(&mut next) {
                    Operand::Register(src) => self.push(class::STX | mode::MEM | *size as u8, base, src, offset, 0),
                    Operand::Immediate(immediate) => {
                        self.push(class::ST | mode::MEM | *size as u8, base, 0, offset, immediate);
                    }
                }
            }
            Inst::AtomicAdd { offset, before, .. } => {
                if before.is_some() {
                    next();
                }
                let (base, addend) = (next(), next());
                let fetch = if before.is_some() { FETCH } else { 0 };
                self.push(class::STX | mode::ATOMIC | Size::Dw as u8, base, addend, *offset, fetch);
            }
            Inst::AtomicExchange { offset, .. } => {
                let (_, base, value) = (next(), next(), next());
                self.push(class::STX | mode::ATOMIC | Size::Dw as u8, base, value, *offset, EXCHANGE);
            }
            Inst::Call { helper, .. } => self.push(class::JMP | Jump::Call as u8, 0, 0, 0, *helper as i32),
            Inst::Jump { target, .. } => self.jump(*target, block),
            Inst::Branch { relation, right, targets: [then, otherwise], .. } => {
                let left = next();
                let operand = right.operand(&mut next);
                // One of the two is reached by falling through, where it is laid out next.
                let (relation, then, otherwise) = if then.index() == block + 1 {
                    (relation.opposite(), otherwise, then)
                } else {
                    (*relation, then, otherwise)
                };
                self.jumps.push((self.emitted.insns.len(), *then));
                self.skip(relation, left, operand, 0);
                self.jump(*otherwise, block);
            }
            Inst::MayGoto { targets: [exhausted, go_on] } => {
                self.jumps.push((self.emitted.insns.len(), *exhausted));
                self.push(class::JMP | Jump::May as u8, 0, 0, 0, 0);
                self.jump(*go_on, block);
            }
            Inst::Exit => {
                self.alu(Alu::Mov, 0, Operand::Immediate(0));
                self.push(class::JMP | Jump::Exit as u8, 0, 0, 0, 0);
            }
        }
    }

    /// Signed division on the unsigned division that every kernel has: divides the amounts, then sets the sign.
    fn divide(&mut self, remainder: bool, [result, left, right, sign, divisor]: [u8; 5]) {
        self.copy(result, left);
        self.copy(divisor, right);
        self.copy(sign, left);
        if !remainder {
            self.alu(Alu::Xor, sign, Operand::Register(right));
        }
        for amount in [result, divisor] {
            self.skip(Jump::Sge, amount, Operand::Immediate(0), 1);
            self.alu(Alu::Neg, amount, Operand::Immediate(0));
        }
        if remainder {
            // BPF leaves the dividend where the divisor is 0; the IR says 0.
            self.skip(Jump::Ne, divisor, Operand::Immediate(0), 1);
            self.alu(Alu::Mov, result, Operand::Immediate(0));
            self.alu(Alu::Mod, result, Operand::Register(divisor));
        } else {
            self.alu(Alu::Div, result, Operand::Register(divisor));
        }
        self.skip(Jump::Sge, sign, Operand::Immediate(0), 1);
        self.alu(Alu::Neg, result, Operand::Immediate(0));
    }

    fn address(&self, base: Base, offset: i32, next: &mut impl FnMut() -> u8) -> (u8, i32) {
        match base {
            Base::Register(_) => (next(), offset),
            Base::Slot(slot) => (FP, self.frame.slot(slot) + offset),
        }
    }

    fn jump(&mut self, target: Block, block: usize) {
        if target.index() != block + 1 {
            self.jumps.push((self.emitted.insns.len(), target));
            self.push(class::JMP | Jump::Always as u8, 0, 0, 0, 0);
        }
    }

    fn resolve_jumps(&mut self) -> Result<(), Refusal> {
        for &(insn, target) in &self.jumps {
            let distance = self.starts[target.index()] as i64 - insn as i64 - 1;
            self.emitted.insns[insn].offset = i16::try_from(distance).map_err(|_| Refusal::ProgramTooLarge)?;
        }
        Ok(())
    }
}

/// A physical register or a number.
#[derive(Clone, Copy)]
enum Operand {
    Register(u8),
    Immediate(i32),
}

impl Source {
    fn operand(self, next: &mut impl FnMut() -> u8) -> Operand {
        match self {
            Self::Register(_) => Operand::Register(next()),
            Self::Immediate(immediate) => Operand::Immediate(immediate),
        }
    }
}

fn number(allocation: Allocation) -> u8 {
    allocation.as_reg().map_or(0, |register| register.hw_enc() as u8)
}
