//! Loops: which blocks are their heads, what is carried from round to round, and how the kernel's verifier sees their ends.
//!
//! Every loop counts its statements ([`shared::ir::Op::Spend`]). Where the kernel has `may_goto` (kernel/bpf/verifier.c,
//! `is_may_goto_insn`), the count starts at a number that the verifier does not know, and one look at the body is enough for
//! it. Elsewhere it starts at a number it knows, so that the verifier, which walks through every round, sees it grow to its
//! end: its work is bounded by `MAXACTION`, as that of the handler is.

use regalloc2::{Block, VReg};
use shared::abi::map::session;
use shared::ir::{BlockId, Function, Op, Type, Value};
use shared::target::Feature;

use super::{Home, Refusal, Result, Selector};
use crate::bpf::code::{Alu, Jump, Size};
use crate::codegen::draft::{Base, Inst, Slot, Source};

/// The blocks of a function in an order in which each comes after those that dominate it.
pub(super) struct Order {
    /// By their indices.
    pub(super) blocks: Vec<usize>,
    /// Which blocks are the heads of loops, by index.
    pub(super) headers: Vec<bool>,
}

impl Order {
    /// Finds the order.
    ///
    /// # Errors
    /// At a loop that does not count its statements at its head.
    pub(super) fn of(function: &Function) -> Result<Self> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; function.blocks.len()];
        let mut headers = vec![false; function.blocks.len()];
        let mut postorder = Vec::new();
        let mut stack = vec![(0, 0)];
        while let Some((block, visited)) = stack.pop() {
            marks[block] = Mark::Open;
            // The second target first, so that the first comes to lie behind the branch.
            let jumps: Vec<_> = function.blocks[block].end.jumps().collect();
            let Some(jump) = jumps.iter().rev().nth(visited) else {
                marks[block] = Mark::Done;
                postorder.push(block);
                continue;
            };
            stack.push((block, visited + 1));
            let BlockId(next) = jump.block;
            let next = next as usize;
            match marks[next] {
                Mark::New => stack.push((next, 0)),
                Mark::Open if counts(function, next) => headers[next] = true,
                Mark::Open => {
                    let location = function.blocks[block].end_location;
                    return Err((location, Refusal::NotInKernel("a loop that does not count its statements")));
                }
                Mark::Done => {}
            }
        }
        postorder.reverse();
        Ok(Self { blocks: postorder, headers })
    }
}

fn counts(function: &Function, block: usize) -> bool {
    function.blocks[block].instructions.iter().any(|instruction| matches!(instruction.op, Op::Spend(_)))
}

impl Selector<'_> {
    /// Sets the count of statements to 0, where they are counted.
    pub(super) fn start_counting(&mut self) {
        if !(0..self.function.blocks.len()).any(|block| counts(self.function, block)) {
            return;
        }
        let slot = self.draft.new_stack_slot(8);
        self.spent = Some(slot);
        let zero = if self.has_may_goto() { self.zero_word() } else { self.immediate(0) };
        self.store(Base::Slot(slot), 0, Source::Register(zero));
    }

    pub(super) fn has_may_goto(&self) -> bool {
        self.target.features.contains(&Feature::MayGoto)
    }

    /// A 0 that the verifier does not know.
    fn zero_word(&mut self) -> VReg {
        self.load(Size::Dw, Base::Register(self.globals), session::ZERO as i32)
    }

    /// A long of which the verifier knows nothing: with a number that it knows, it would walk through every round after all.
    pub(super) fn forgotten(&mut self, value: Value) -> VReg {
        let zero = self.zero_word();
        let source = self.source(value);
        self.alu(Alu::Add, zero, source)
    }

    pub(super) fn spend(&mut self, statements: u32, result: Value) {
        let Some(slot) = self.spent else { return };
        let before = self.load(Size::Dw, Base::Slot(slot), 0);
        let statements = i32::try_from(statements).unwrap_or(i32::MAX);
        let after = self.alu(Alu::Add, before, Source::Immediate(statements));
        self.store(Base::Slot(slot), 0, Source::Register(after));
        let limit = Source::Immediate(i32::try_from(self.ir.limits.actions_max).unwrap_or(i32::MAX));
        if self.wanted_exactly(result) {
            let register = self.set(Jump::Gt, after, limit);
            self.define(result, register);
        } else {
            self.homes[result.0 as usize] = Some(Home::Condition(Jump::Gt, after, limit));
        }
    }

    /// Runs `body` for each number from 0 on, up to `count` times; gives the block where that is done.
    pub(super) fn for_each_index(&mut self, count: usize, body: impl FnOnce(&mut Self, VReg)) -> Block {
        let (head, index) = self.join(1);
        let start = if self.has_may_goto() { self.zero_word() } else { self.immediate(0) };
        self.jump(head, &[start]);
        self.switch_to(head);
        let (done, round) = self.branch(Jump::Ge, index[0], Source::Immediate(count as i32));
        self.switch_to(round);
        body(self, index[0]);
        let next = self.alu(Alu::Add, index[0], Source::Immediate(1));
        self.before_round();
        self.jump(head, &[next]);
        done
    }

    /// What the verifier wants to see on the way to a loop's head.
    pub(super) fn before_round(&mut self) {
        if self.has_may_goto() {
            let targets = [self.draft.new_block(), self.draft.new_block()];
            self.inst(Inst::MayGoto { targets });
            // Taken after some millions of rounds: statements run out long before.
            self.switch_to(targets[0]);
            self.leave();
            self.switch_to(targets[1]);
        }
    }

    /// Copies the strings of a jump to a loop's head to where they lie there, all at once: one may come from another's place.
    pub(super) fn pass_strings(&mut self, jump: &shared::ir::Jump) {
        let parameters = &self.function.blocks[jump.block.0 as usize].parameters;
        let pairs = jump.arguments.iter().copied().zip(parameters.iter().copied());
        let strings: Vec<(Value, Value, u16)> = pairs
            .filter_map(|(argument, parameter)| match self.function.ty(parameter) {
                Type::String(bound) if argument != parameter => Some((argument, parameter, bound)),
                _ => None,
            })
            .collect();
        let is_alone = strings.len() == 1;
        let mut copies: Vec<(Slot, super::Text, u16)> = Vec::new();
        for (argument, parameter, bound) in strings {
            let slot = self.header_slot(parameter, bound);
            let text = self.text(argument);
            let text = if is_alone || text.is_literal() { text } else { self.copied(&text, bound) };
            copies.push((slot, text, bound));
        }
        for (slot, text, bound) in copies {
            self.write_text(&text, Base::Slot(slot), 0, bound);
        }
    }
}
