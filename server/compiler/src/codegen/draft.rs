//! A program before its registers are allocated: BPF instructions over virtual registers, in blocks.
//!
//! Each instruction says which registers it reads, writes and destroys; [`super::allocate`] finds places for them and
//! [`super::emit`] writes the result down. Strings and other things too large for a register lie in slots of the frame.

use regalloc2::{Block, Operand, OperandConstraint, OperandKind, OperandPos, PReg, PRegSet, RegClass, VReg};
use shared::ir::Location;

use crate::bpf::Symbol;
use crate::bpf::code::{Alu, Helper, Jump, Size};

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) blocks: Vec<DraftBlock>,
    pub(super) slots: Vec<SlotDef>,
    pub(super) register_count: usize,
    pub(super) placement: Placement,
    /// Whether there are slots that cannot lie on the stack.
    pub(super) needs_scratch: bool,
    /// Bytes of scratch memory that slots take.
    pub(super) scratch_size: usize,
    /// Slots that only the operation at hand needs, and those that earlier operations needed.
    transient: Vec<Slot>,
    free: Vec<Slot>,
}

/// A straight piece of code. The last instruction ends it; none before does.
#[derive(Debug, Default)]
pub(super) struct DraftBlock {
    pub(super) parameters: Vec<VReg>,
    pub(super) insts: Vec<(Inst, Location)>,
}

/// Which slots lie on the stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Placement {
    /// All of them.
    #[default]
    Stack,
    /// Those below so many bytes; others lie in scratch memory.
    Below(usize),
}

/// A piece of the frame, or of scratch memory, aligned to eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) usize);

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotDef {
    pub(super) size: usize,
    /// Where it lies in scratch memory, if it does.
    pub(super) scratch: Option<usize>,
}

/// What an address is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Register(VReg),
    Slot(Slot),
}

/// A register or a number of 32 signed bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Register(VReg),
    Immediate(i32),
}

/// An instruction over virtual registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inst {
    /// The context, as the program gets it.
    Context { result: VReg },
    /// A number.
    Immediate { result: VReg, value: i64 },
    /// The address of a symbol, displaced.
    Address { result: VReg, symbol: Symbol, offset: i32 },
    /// The address of a slot.
    Frame { result: VReg, slot: Slot },
    /// The low 32 bits, widened by zeros.
    Low32 { result: VReg, source: VReg },
    /// The eight bytes in big-endian order, so that comparing numbers compares strings.
    BigEndian { result: VReg, source: VReg },
    /// `left op right`
    Alu { op: Alu, result: VReg, left: VReg, right: Source },
    /// Signed division, or the remainder of it; by zero gives 0.
    Divide { remainder: bool, result: VReg, left: VReg, right: VReg, sign: VReg, divisor: VReg },
    /// 1 where the relation holds, else 0.
    Set { relation: Jump, result: VReg, left: VReg, right: Source },
    /// Reads memory, widening by zeros.
    Load { size: Size, result: VReg, base: Base, offset: i32 },
    /// Writes memory.
    Store { size: Size, base: Base, offset: i32, source: Source },
    /// Adds to eight bytes of memory in one step, perhaps giving what was there.
    AtomicAdd { base: VReg, offset: i32, addend: VReg, before: Option<VReg> },
    /// Puts a number into eight bytes of memory in one step, and gives what was there.
    AtomicExchange { base: VReg, offset: i32, value: VReg, before: VReg },
    /// Calls a helper.
    Call { helper: Helper, arguments: Vec<VReg>, result: Option<VReg> },
    /// Goes on elsewhere.
    Jump { target: Block, arguments: Vec<VReg> },
    /// Goes on in one of two places, neither of which takes arguments or has another predecessor.
    Branch { relation: Jump, left: VReg, right: Source, targets: [Block; 2] },
    /// Goes on in the first place once that was done some millions of times, else in the second; likewise. It bounds loops.
    MayGoto { targets: [Block; 2] },
    /// Ends the program with 0.
    Exit,
}

/// The number of a call's result register, and of its first argument's.
const R0: usize = 0;
const R1: usize = 1;

pub(super) fn register(number: usize) -> PReg {
    PReg::new(number, RegClass::Int)
}

impl Draft {
    pub(super) fn new(placement: Placement) -> Self {
        // The first word of scratch memory says who has it.
        let scratch_size = if placement == Placement::Stack { 0 } else { 8 };
        Self { placement, scratch_size, ..Self::default() }
    }

    pub(super) fn new_register(&mut self) -> VReg {
        self.register_count += 1;
        VReg::new(self.register_count - 1, RegClass::Int)
    }

    pub(super) fn new_block(&mut self) -> Block {
        self.blocks.push(DraftBlock::default());
        Block::new(self.blocks.len() - 1)
    }

    /// The same with its blocks laid out in this order.
    pub(super) fn reordered(mut self, layout: &[Block]) -> Self {
        let mut numbers = vec![Block::new(0); self.blocks.len()];
        for (index, block) in layout.iter().enumerate() {
            numbers[block.index()] = Block::new(index);
        }
        let mut blocks = Vec::with_capacity(layout.len());
        for block in layout {
            let mut block = std::mem::take(&mut self.blocks[block.index()]);
            match block.insts.last_mut() {
                Some((Inst::Jump { target, .. }, _)) => *target = numbers[target.index()],
                Some((Inst::Branch { targets, .. } | Inst::MayGoto { targets }, _)) => {
                    *targets = targets.map(|target| numbers[target.index()])
                }
                _ => {}
            }
            blocks.push(block);
        }
        self.blocks = blocks;
        self
    }

    /// A slot in scratch memory, whatever its size: words can be read at each of its bytes, on the stack only at multiples of
    /// eight.
    pub(super) fn new_scratch_slot(&mut self, size: usize) -> Slot {
        self.needs_scratch = true;
        let size = size.next_multiple_of(8);
        self.slots.push(SlotDef { size, scratch: Some(self.scratch_size) });
        self.scratch_size += size;
        Slot(self.slots.len() - 1)
    }

    /// A slot on the stack, whatever its size: what the verifier is to keep track of.
    pub(super) fn new_stack_slot(&mut self, size: usize) -> Slot {
        self.slots.push(SlotDef { size: size.next_multiple_of(8), scratch: None });
        Slot(self.slots.len() - 1)
    }

    /// A slot for the operation at hand: after [`Draft::release`] others may use it.
    pub(super) fn new_transient_slot(&mut self, size: usize) -> Slot {
        let fitting = self.free.iter().enumerate().filter(|(_, slot)| self.slots[slot.0].size >= size);
        let best = fitting.min_by_key(|(_, slot)| self.slots[slot.0].size).map(|(index, _)| index);
        let slot = match best {
            Some(index) => self.free.swap_remove(index),
            None => self.new_slot(size),
        };
        self.transient.push(slot);
        slot
    }

    /// Gives the slots of the operation at hand back.
    pub(super) fn release(&mut self) {
        self.free.append(&mut self.transient);
    }

    pub(super) fn new_slot(&mut self, size: usize) -> Slot {
        let size = size.next_multiple_of(8);
        let in_scratch = matches!(self.placement, Placement::Below(bytes) if size >= bytes);
        let scratch = in_scratch.then_some(self.scratch_size);
        self.scratch_size += if in_scratch { size } else { 0 };
        self.slots.push(SlotDef { size, scratch });
        Slot(self.slots.len() - 1)
    }
}

impl Inst {
    /// What is read and written, in an order that [`super::emit`] shares.
    pub(super) fn operands(&self) -> Vec<Operand> {
        let read = Operand::reg_use;
        let write = Operand::reg_def;
        // A result that is written while operands are still to be read.
        let write_early =
            |register| Operand::new(register, OperandConstraint::Reg, OperandKind::Def, OperandPos::Early);
        match self {
            Self::Context { result } => vec![Operand::reg_fixed_def(*result, register(R1))],
            Self::Immediate { result, .. } | Self::Address { result, .. } | Self::Frame { result, .. } => {
                vec![write(*result)]
            }
            Self::Low32 { result, source } => vec![write(*result), read(*source)],
            Self::BigEndian { result, source } => vec![Operand::reg_reuse_def(*result, 1), read(*source)],
            Self::Alu { result, left, right, .. } => {
                let mut operands = vec![Operand::reg_reuse_def(*result, 1), read(*left)];
                operands.extend(right.register().map(read));
                operands
            }
            Self::Divide { result, left, right, sign, divisor, .. } => {
                vec![write_early(*result), read(*left), read(*right), write_early(*sign), write_early(*divisor)]
            }
            Self::Set { result, left, right, .. } => {
                let mut operands = vec![write_early(*result), read(*left)];
                operands.extend(right.register().map(read));
                operands
            }
            Self::Load { result, base, .. } => {
                let mut operands = vec![write(*result)];
                operands.extend(base.register().map(read));
                operands
            }
            Self::Store { base, source, .. } => {
                base.register().into_iter().chain(source.register()).map(read).collect()
            }
            Self::AtomicAdd { base, addend, before, .. } => match before {
                Some(before) => vec![Operand::reg_reuse_def(*before, 2), read(*base), read(*addend)],
                None => vec![read(*base), read(*addend)],
            },
            Self::AtomicExchange { base, value, before, .. } => {
                vec![Operand::reg_reuse_def(*before, 2), read(*base), read(*value)]
            }
            Self::Call { arguments, result, .. } => {
                let fixed = |(index, &argument)| Operand::reg_fixed_use(argument, register(R1 + index));
                let mut operands: Vec<Operand> = arguments.iter().enumerate().map(fixed).collect();
                operands.extend(result.map(|result| Operand::reg_fixed_def(result, register(R0))));
                operands
            }
            Self::Branch { left, right, .. } => {
                let mut operands = vec![read(*left)];
                operands.extend(right.register().map(read));
                operands
            }
            Self::Jump { .. } | Self::MayGoto { .. } | Self::Exit => Vec::new(),
        }
    }

    /// Registers that hold nothing any more afterwards: a call destroys r0 to r5.
    pub(super) fn clobbers(&self) -> PRegSet {
        let Self::Call { result, .. } = self else { return PRegSet::empty() };
        let mut clobbers = PRegSet::empty();
        let first = if result.is_some() { R1 } else { R0 };
        (first..=5).for_each(|number| clobbers.add(register(number)));
        clobbers
    }

    /// Where it may go on.
    pub(super) fn targets(&self) -> &[Block] {
        match self {
            Self::Jump { target, .. } => std::slice::from_ref(target),
            Self::Branch { targets, .. } | Self::MayGoto { targets } => targets,
            _ => &[],
        }
    }
}

impl Source {
    pub(super) fn register(self) -> Option<VReg> {
        match self {
            Self::Register(register) => Some(register),
            Self::Immediate(_) => None,
        }
    }
}

impl Base {
    pub(super) fn register(self) -> Option<VReg> {
        match self {
            Self::Register(register) => Some(register),
            Self::Slot(_) => None,
        }
    }
}
