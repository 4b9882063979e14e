//! Finds a register or a spill slot for each virtual register, with the `regalloc2` crate.

use regalloc2::{
    Algorithm, Block, Function, Inst as InstIndex, InstRange, MachineEnv, Operand, Output, PRegSet, RegAllocError,
    RegClass, RegallocOptions, VReg,
};

use super::draft::{Draft, Inst, register};

/// Allocates registers for a draft.
///
/// # Errors
/// When the draft breaks regalloc2's rules: a bug of instruction selection.
pub(super) fn allocate(draft: &Draft) -> Result<(Output, Flat<'_>), RegAllocError> {
    let flat = Flat::new(draft);
    let options =
        RegallocOptions { verbose_log: false, validate_ssa: cfg!(debug_assertions), algorithm: Algorithm::Ion };
    let output = regalloc2::run(&flat, &environment(), &options)?;
    Ok((output, flat))
}

/// r1 to r5 and r0 for what no call outlives, r6 to r9 for the rest. r10 is the frame pointer.
fn environment() -> MachineEnv {
    let set = |numbers: &[usize]| {
        let mut set = PRegSet::empty();
        numbers.iter().for_each(|&number| set.add(register(number)));
        set
    };
    let none = PRegSet::empty();
    MachineEnv {
        preferred_regs_by_class: [set(&[0, 1, 2, 3, 4, 5]), none, none],
        non_preferred_regs_by_class: [set(&[6, 7, 8, 9]), none, none],
        scratch_by_class: [None, None, None],
        fixed_stack_slots: Vec::new(),
    }
}

/// A draft with its instructions numbered through, as regalloc2 wants to see it.
pub(super) struct Flat<'a> {
    draft: &'a Draft,
    pub(super) insts: Vec<&'a Inst>,
    ranges: Vec<InstRange>,
    predecessors: Vec<Vec<Block>>,
    operands: Vec<Vec<Operand>>,
}

impl<'a> Flat<'a> {
    fn new(draft: &'a Draft) -> Self {
        let mut insts = Vec::new();
        let mut ranges = Vec::new();
        let mut predecessors = vec![Vec::new(); draft.blocks.len()];
        for (index, block) in draft.blocks.iter().enumerate() {
            let first = InstIndex::new(insts.len());
            insts.extend(block.insts.iter().map(|(inst, _)| inst));
            ranges.push(InstRange::new(first, InstIndex::new(insts.len())));
            if let Some((last, _)) = block.insts.last() {
                last.targets().iter().for_each(|target| predecessors[target.index()].push(Block::new(index)));
            }
        }
        let operands = insts.iter().map(|inst| inst.operands()).collect();
        Self { draft, insts, ranges, predecessors, operands }
    }
}

impl Function for Flat<'_> {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.draft.blocks.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        self.ranges[block.index()]
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        self.draft.blocks[block.index()].insts.last().map_or(&[], |(last, _)| last.targets())
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.predecessors[block.index()]
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.draft.blocks[block.index()].parameters
    }

    fn is_ret(&self, inst: InstIndex) -> bool {
        *self.insts[inst.index()] == Inst::Exit
    }

    fn is_branch(&self, inst: InstIndex) -> bool {
        matches!(self.insts[inst.index()], Inst::Jump { .. } | Inst::Branch { .. } | Inst::MayGoto { .. })
    }

    fn branch_blockparams(&self, _block: Block, inst: InstIndex, _successor: usize) -> &[VReg] {
        match self.insts[inst.index()] {
            Inst::Jump { arguments, .. } => arguments,
            _ => &[],
        }
    }

    fn inst_operands(&self, inst: InstIndex) -> &[Operand] {
        &self.operands[inst.index()]
    }

    fn inst_clobbers(&self, inst: InstIndex) -> PRegSet {
        self.insts[inst.index()].clobbers()
    }

    fn num_vregs(&self) -> usize {
        self.draft.register_count
    }

    fn spillslot_size(&self, _class: RegClass) -> usize {
        1
    }
}
