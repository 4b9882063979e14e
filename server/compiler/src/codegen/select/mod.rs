//! Chooses instructions for the operations of one handler.
//!
//! A long lives in a virtual register, a constant nowhere until it is used, a string in a slot of the frame, in the
//! read-only data, or behind a pointer. Strings are written once and never changed, as all values of the IR.

mod arrays;
mod loops;
mod output;
mod scratch;
mod statistics;
mod string_functions;
mod strings;

use std::collections::BTreeMap;

use regalloc2::{Block, VReg};
use shared::abi::map::{PARAMETERS, Parameter, SessionState, scalar_offsets, session};
use shared::ir::{
    BinaryOp, Clock, End, Function, Handler, Ir, Location, Op, Relation, Space, Storage, TaskField, Type, UnaryOp,
    Value, Width,
};
use shared::target::{Feature, Target};

use super::Refusal;
use super::context;
use super::draft::{Base, Draft, Inst, Placement, Slot, Source};
use super::rodata::Rodata;
use crate::bpf::code::{Alu, Helper, Jump, Size};
use crate::bpf::{Map, Symbol};
use loops::Order;
use strings::Text;

type Result<T = ()> = std::result::Result<T, (Location, Refusal)>;

/// Chooses instructions for a handler.
///
/// # Errors
/// At the first operation that a BPF program cannot do, with its place in the script.
pub(super) fn select(
    ir: &Ir,
    target: &Target,
    handler: usize,
    rodata: &mut Rodata,
    placement: Placement,
) -> Result<Draft> {
    let function = &ir.functions[ir.handlers[handler].function.0 as usize];
    let Order { blocks: order, headers } = Order::of(function)?;
    let mut draft = Draft::new(placement);
    let blocks = function.blocks.iter().map(|_| draft.new_block()).collect();
    let placeholder = draft.new_register();
    let mut selector = Selector {
        ir,
        target,
        rodata,
        index: handler,
        handler: &ir.handlers[handler],
        function,
        predecessor_counts: predecessor_counts(function),
        conditions: Conditions::of(function),
        headers,
        header_slots: BTreeMap::new(),
        spent: None,
        scalar_offsets: scalar_offsets(&ir.globals).0,
        blocks,
        homes: vec![None; function.values.len()],
        context: placeholder,
        globals: placeholder,
        scratch: None,
        current: Block::new(0),
        location: Location::default(),
        layout: Vec::new(),
        draft,
    };
    selector.run(&order)?;
    Ok(selector.draft.reordered(&selector.layout))
}

/// Where a value is.
#[derive(Debug, Clone)]
enum Home {
    Register(VReg),
    Constant(i64),
    /// 1 where the relation holds; only to be branched on.
    Condition(Jump, VReg, Source),
    String(Text),
}

struct Selector<'a> {
    ir: &'a Ir,
    target: &'a Target,
    rodata: &'a mut Rodata,
    index: usize,
    handler: &'a Handler,
    function: &'a Function,
    predecessor_counts: Vec<usize>,
    conditions: Conditions,
    /// Which blocks are the heads of loops,
    headers: Vec<bool>,
    /// and where the strings lie that change from round to round.
    header_slots: BTreeMap<Value, Slot>,
    /// Where statements are counted, if they are.
    spent: Option<Slot>,
    scalar_offsets: Vec<Option<usize>>,
    /// The draft's block for each block of the IR.
    blocks: Vec<Block>,
    homes: Vec<Option<Home>>,
    context: VReg,
    /// Points to the session's words and scalars.
    globals: VReg,
    /// Points to the scratch memory, where there is some.
    scratch: Option<VReg>,
    draft: Draft,
    current: Block,
    location: Location,
    /// The draft's blocks in the order they are to be laid out.
    layout: Vec<Block>,
}

impl Selector<'_> {
    fn run(&mut self, order: &[usize]) -> Result {
        for (position, &index) in order.iter().enumerate() {
            let block = &self.function.blocks[index];
            self.switch_to(self.blocks[index]);
            if position == 0 {
                self.prologue();
            }
            block.parameters.iter().for_each(|&parameter| self.parameter_home(parameter, self.headers[index]));
            for instruction in &block.instructions {
                self.location = instruction.location;
                self.op(&instruction.op, &instruction.results)?;
                self.draft.release();
            }
            self.location = block.end_location;
            self.block_end(&block.end)?;
        }
        Ok(())
    }

    /// Gives a block's parameter a place: a register, or the address of a string. A string that changes from round to round of
    /// a loop has a slot of its own: what it came from is overwritten in the next round.
    fn parameter_home(&mut self, parameter: Value, in_header: bool) {
        if let (Type::String(bound), true) = (self.function.ty(parameter), in_header) {
            let slot = self.header_slot(parameter, bound);
            return self.define_frame_text(parameter, slot, bound);
        }
        let register = self.draft.new_register();
        self.draft.blocks[self.current.index()].parameters.push(register);
        let home = match self.function.ty(parameter) {
            Type::String(bound) => Home::String(Text::pointer(register, bound)),
            Type::Long | Type::Iterator => Home::Register(register),
        };
        self.homes[parameter.0 as usize] = Some(home);
    }

    fn header_slot(&mut self, parameter: Value, bound: u16) -> Slot {
        if let Some(&slot) = self.header_slots.get(&parameter) {
            return slot;
        }
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.header_slots.insert(parameter, slot);
        slot
    }

    /// Finds the session's words, and leaves unless the session is running.
    fn prologue(&mut self) {
        self.context = self.draft.new_register();
        self.inst(Inst::Context { result: self.context });
        let key = self.draft.new_stack_slot(4);
        self.inst(Inst::Store { size: Size::W, base: Base::Slot(key), offset: 0, source: Source::Immediate(0) });
        let map = self.address(Symbol::Map(Map::Globals), 0);
        let key = self.frame(key);
        self.globals = self.call(Helper::MapLookupElem, &[map, key]);
        self.exit_if(Jump::Eq, self.globals, Source::Immediate(0));
        let state = self.load(Size::Dw, Base::Register(self.globals), session::STATE as i32);
        self.exit_if(Jump::Ne, state, Source::Immediate(SessionState::Running as i32));
        self.take_scratch();
        self.start_counting();
    }

    fn exit_if(&mut self, relation: Jump, left: VReg, right: Source) {
        let (exit, go_on) = self.branch(relation, left, right);
        self.switch_to(exit);
        self.leave();
        self.switch_to(go_on);
    }

    // Building blocks of drafts

    fn inst(&mut self, mut inst: Inst) {
        if let Inst::Load { base, offset, .. } | Inst::Store { base, offset, .. } = &mut inst
            && let Base::Slot(slot) = *base
            && let (Some(scratch), Some(start)) = (self.scratch, self.draft.slots[slot.0].scratch)
        {
            (*base, *offset) = (Base::Register(scratch), *offset + start as i32);
        }
        self.draft.blocks[self.current.index()].insts.push((inst, self.location));
    }

    fn switch_to(&mut self, block: Block) {
        self.current = block;
        self.layout.push(block);
    }

    /// Ends the block with a branch to two new ones.
    fn branch(&mut self, relation: Jump, left: VReg, right: Source) -> (Block, Block) {
        let targets = [self.draft.new_block(), self.draft.new_block()];
        self.inst(Inst::Branch { relation, left, right, targets });
        (targets[0], targets[1])
    }

    fn jump(&mut self, target: Block, arguments: &[VReg]) {
        self.inst(Inst::Jump { target, arguments: arguments.to_vec() });
    }

    /// A block that several others jump to with so many arguments.
    fn join(&mut self, parameter_count: usize) -> (Block, Vec<VReg>) {
        let block = self.draft.new_block();
        let parameters: Vec<VReg> = (0..parameter_count).map(|_| self.draft.new_register()).collect();
        self.draft.blocks[block.index()].parameters.clone_from(&parameters);
        (block, parameters)
    }

    fn immediate(&mut self, value: i64) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Immediate { result, value });
        result
    }

    fn address(&mut self, symbol: Symbol, offset: i32) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Address { result, symbol, offset });
        result
    }

    fn frame(&mut self, slot: Slot) -> VReg {
        if let (Some(scratch), Some(start)) = (self.scratch, self.draft.slots[slot.0].scratch) {
            return self.alu(Alu::Add, scratch, Source::Immediate(start as i32));
        }
        let result = self.draft.new_register();
        self.inst(Inst::Frame { result, slot });
        result
    }

    fn load(&mut self, size: Size, base: Base, offset: i32) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Load { size, result, base, offset });
        result
    }

    fn store(&mut self, base: Base, offset: i32, source: Source) {
        self.inst(Inst::Store { size: Size::Dw, base, offset, source });
    }

    fn alu(&mut self, op: Alu, left: VReg, right: Source) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Alu { op, result, left, right });
        result
    }

    fn set(&mut self, relation: Jump, left: VReg, right: Source) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Set { relation, result, left, right });
        result
    }

    fn call(&mut self, helper: Helper, arguments: &[VReg]) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Call { helper, arguments: arguments.to_vec(), result: Some(result) });
        result
    }

    fn call_for_effect(&mut self, helper: Helper, arguments: &[VReg]) {
        self.inst(Inst::Call { helper, arguments: arguments.to_vec(), result: None });
    }

    fn low32(&mut self, source: VReg) -> VReg {
        let result = self.draft.new_register();
        self.inst(Inst::Low32 { result, source });
        result
    }

    // Values

    fn define(&mut self, value: Value, register: VReg) {
        self.homes[value.0 as usize] = Some(Home::Register(register));
    }

    fn define_text(&mut self, value: Value, text: Text) {
        self.homes[value.0 as usize] = Some(Home::String(text));
    }

    /// A long in a register.
    fn long(&mut self, value: Value) -> VReg {
        match self.homes[value.0 as usize] {
            Some(Home::Register(register)) => register,
            Some(Home::Constant(constant)) => self.immediate(constant),
            // The IR's verifier excludes strings; a condition that is computed with is no condition.
            Some(Home::Condition(..) | Home::String(_)) | None => self.immediate(0),
        }
    }

    /// A long as the second operand of an instruction.
    fn source(&mut self, value: Value) -> Source {
        match self.homes[value.0 as usize] {
            Some(Home::Constant(constant)) if i32::try_from(constant).is_ok() => Source::Immediate(constant as i32),
            _ => Source::Register(self.long(value)),
        }
    }

    /// Whether the result of an operation is wanted as 0 or 1, and not only to branch on whether it is 0.
    fn wanted_exactly(&self, value: Value) -> bool {
        !self.conditions.only[value.0 as usize]
    }

    fn used(&self, value: Value) -> bool {
        self.conditions.used[value.0 as usize]
    }

    /// Defines a result that is 1 where a register is not 0.
    fn define_truth(&mut self, value: Value, register: VReg) {
        let register =
            if self.wanted_exactly(value) { self.set(Jump::Ne, register, Source::Immediate(0)) } else { register };
        self.define(value, register);
    }

    // Operations

    fn op(&mut self, op: &Op, results: &[Value]) -> Result {
        let result = results.first().copied().unwrap_or(Value(0));
        match op {
            Op::Long(long) => self.homes[result.0 as usize] = Some(Home::Constant(*long)),
            Op::Unary(op, a) => self.unary(*op, *a, result),
            Op::Binary(op, a, b) => self.binary(*op, *a, *b, result),
            Op::Compare(relation, a, b) => {
                // A comparison that is only branched on is part of the branch.
                if self.wanted_exactly(result) {
                    let (left, right) = (self.long(*a), self.source(*b));
                    let register = self.set(signed(*relation), left, right);
                    self.define(result, register);
                }
            }
            Op::Load { space, width, address } => {
                let address = self.long(*address);
                self.load_memory(*space, *width, address, results);
            }
            Op::LoadString { space, address, bytes_max } => self.load_string(*space, *address, *bytes_max, results),
            Op::StringFunction(function, arguments) => self.string_function(*function, arguments, results)?,
            Op::Register(number) => {
                let kind = self.handler.points[0].place.kind();
                let offset = context::register(kind, self.target.architecture, *number)
                    .ok_or((self.location, Refusal::NotInKernel("reading this register")))?;
                let register = self.load(Size::Dw, Base::Register(self.context), offset);
                self.define(result, register);
            }
            Op::Task(field) => self.task(*field, result),
            Op::Cpu => {
                let register = self.call(Helper::GetSmpProcessorId, &[]);
                self.define(result, register);
            }
            Op::Clock(Clock::Realtime) => self.realtime(result)?,
            Op::Parameter(parameter) => {
                let register = self.parameter(*parameter);
                self.define(result, register);
            }
            Op::Get(_) | Op::Set(..) | Op::Add(..) => self.scalar(op, result),
            Op::ArrayGet(..) | Op::ArraySet(..) | Op::ArrayAdd(..) | Op::ArrayHas(..) | Op::ArrayDelete(..) => {
                self.array(op, results);
            }
            Op::String(_) | Op::CompareStrings(..) | Op::Concat(..) | Op::Format(..) | Op::Point(_) => {
                self.string_op(op, result)?;
            }
            Op::Print(format, arguments) => self.print(*format, arguments),
            Op::Exit => self.exit(),
            Op::Spend(statements) => self.spend(*statements, result),
            Op::Caught => {
                return Err((self.location, Refusal::NotInKernel("`try` around a function that calls itself")));
            }
            Op::ArrayClear(global) => match self.ir.globals[usize::from(global.0)].storage {
                Storage::Statistic(_) => self.clear_statistic(*global)?,
                _ => return Err((self.location, Refusal::NotInKernel("deleting a whole array"))),
            },
            Op::Accumulate(..) | Op::Aggregate(..) | Op::Bucket(..) | Op::Draw(..) => self.statistic_op(op, results)?,
            Op::Iterate { .. } | Op::Next(_) | Op::Key(..) | Op::Entry(_) => {
                return Err((self.location, Refusal::NotInKernel("foreach")));
            }
            Op::Call(..) => return Err((self.location, Refusal::NotInKernel("recursion that grows so fast"))),
        }
        Ok(())
    }

    fn unary(&mut self, op: UnaryOp, a: Value, result: Value) {
        let a = self.long(a);
        let register = match op {
            UnaryOp::Negate => {
                let zero = self.immediate(0);
                self.alu(Alu::Sub, zero, Source::Register(a))
            }
            UnaryOp::Not => self.alu(Alu::Xor, a, Source::Immediate(-1)),
        };
        self.define(result, register);
    }

    fn binary(&mut self, op: BinaryOp, a: Value, b: Value, result: Value) {
        let alu = match op {
            BinaryOp::Add => Alu::Add,
            BinaryOp::Subtract => Alu::Sub,
            BinaryOp::Multiply => Alu::Mul,
            BinaryOp::And => Alu::And,
            BinaryOp::Or => Alu::Or,
            BinaryOp::Xor => Alu::Xor,
            BinaryOp::ShiftLeft => Alu::Lsh,
            BinaryOp::ShiftRight => Alu::Arsh,
            BinaryOp::ShiftRightLogical => Alu::Rsh,
            BinaryOp::Divide | BinaryOp::Modulo => return self.divide(op == BinaryOp::Modulo, a, b, result),
        };
        let left = self.long(a);
        let mut right = self.source(b);
        if matches!(alu, Alu::Lsh | Alu::Rsh | Alu::Arsh) {
            // The verifier refuses constant shifts of 64 and more, and knows nothing of others.
            right = match right {
                Source::Immediate(count) => Source::Immediate(count & 63),
                Source::Register(count) => Source::Register(self.alu(Alu::And, count, Source::Immediate(63))),
            };
        }
        let register = self.alu(alu, left, right);
        self.define(result, register);
    }

    fn divide(&mut self, remainder: bool, a: Value, b: Value, result: Value) {
        let (left, right) = (self.long(a), self.long(b));
        let [register, sign, divisor] = std::array::from_fn(|_| self.draft.new_register());
        self.inst(Inst::Divide { remainder, result: register, left, right, sign, divisor });
        self.define(result, register);
    }

    /// Reads memory that may not be there: a helper copies it to the frame, or zeros where it faults.
    fn load_memory(&mut self, space: Space, width: Width, address: VReg, results: &[Value]) {
        let helper = match space {
            Space::Kernel => Helper::ProbeReadKernel,
            Space::User => Helper::ProbeReadUser,
        };
        let slot = self.draft.new_transient_slot(8);
        let (destination, bytes) = (self.frame(slot), self.immediate(i64::from(width.bytes)));
        let fault = self.call(helper, &[destination, bytes, address]);
        let mut register = self.load(Size::of_bytes(width.bytes), Base::Slot(slot), 0);
        if width.signed && width.bytes < 8 {
            let unused = Source::Immediate(64 - i32::from(width.bytes) * 8);
            register = self.alu(Alu::Lsh, register, unused);
            register = self.alu(Alu::Arsh, register, unused);
        }
        if let &[value, faulted] = results {
            self.define(value, register);
            self.define_truth(faulted, fault);
        }
    }

    fn task(&mut self, field: TaskField, result: Value) {
        let helper = match field {
            TaskField::Pid | TaskField::Tid => Helper::GetCurrentPidTgid,
            TaskField::Uid | TaskField::Gid => Helper::GetCurrentUidGid,
            TaskField::Execname => return self.execname(result),
        };
        let both = self.call(helper, &[]);
        let register = match field {
            TaskField::Pid | TaskField::Gid => self.alu(Alu::Rsh, both, Source::Immediate(32)),
            _ => self.low32(both),
        };
        self.define(result, register);
    }

    fn realtime(&mut self, result: Value) -> Result {
        if !self.target.features.contains(&Feature::TaiClock) {
            return Err((self.location, Refusal::NoFeature("the time of day", Feature::TaiClock)));
        }
        let tai = self.call(Helper::KtimeGetTaiNs, &[]);
        let ahead = self.parameter(Parameter::TaiOffset);
        let register = self.alu(Alu::Sub, tai, Source::Register(ahead));
        self.define(result, register);
        Ok(())
    }

    fn parameter(&mut self, parameter: Parameter) -> VReg {
        debug_assert_eq!(PARAMETERS, "parameters");
        let address = self.address(Symbol::Rodata, parameter.offset() as i32);
        self.load(Size::Dw, Base::Register(address), 0)
    }

    fn scalar(&mut self, op: &Op, result: Value) {
        let (Op::Get(global) | Op::Set(global, _) | Op::Add(global, _)) = op else { return };
        let offset = self.scalar_offsets[usize::from(global.0)].unwrap_or(0) as i32;
        let base = Base::Register(self.globals);
        match op {
            Op::Get(_) => match self.function.ty(result) {
                Type::String(bound) => {
                    let text = self.copy_to_frame(base, offset, bound);
                    self.define_text(result, text);
                }
                Type::Long | Type::Iterator => {
                    let register = self.load(Size::Dw, base, offset);
                    self.define(result, register);
                }
            },
            Op::Set(global, value) => match self.ir.globals[usize::from(global.0)].storage {
                Storage::Scalar { ty: Type::String(bound), .. } => {
                    let text = self.text(*value);
                    self.write_text(&text, base, offset, bound);
                }
                _ => {
                    let source = self.source(*value);
                    self.store(base, offset, source);
                }
            },
            Op::Add(_, value) => {
                let addend = self.long(*value);
                let before = self.used(result).then(|| self.draft.new_register());
                self.inst(Inst::AtomicAdd { base: self.globals, offset, addend, before });
                if let Some(before) = before {
                    let register = self.alu(Alu::Add, before, Source::Register(addend));
                    self.define(result, register);
                }
            }
            _ => {}
        }
    }

    // Ends of blocks

    fn block_end(&mut self, end: &End) -> Result {
        match end {
            End::Jump(jump) => self.go(jump),
            End::Branch { condition, then, otherwise } => {
                let (relation, left, right) = self.condition(*condition);
                let targets = [then, otherwise].map(|jump| {
                    let only = self.predecessor_counts[jump.block.0 as usize] == 1;
                    let direct = only && jump.arguments.is_empty() && !self.headers[jump.block.0 as usize];
                    if direct { self.blocks[jump.block.0 as usize] } else { self.draft.new_block() }
                });
                self.inst(Inst::Branch { relation, left, right, targets });
                for (jump, target) in [then, otherwise].into_iter().zip(targets) {
                    if target != self.blocks[jump.block.0 as usize] {
                        self.switch_to(target);
                        self.go(jump);
                    }
                }
            }
            End::Return(_) | End::Reraise => self.leave(),
            // `optimize` has made jumps of those that are caught.
            End::Raise { format, arguments, .. } => {
                self.raise(*format, arguments)?;
                self.leave();
            }
        }
        Ok(())
    }

    /// Jumps to a block of the IR.
    fn go(&mut self, jump: &shared::ir::Jump) {
        let target = jump.block.0 as usize;
        if self.headers[target] {
            self.pass_strings(jump);
            self.before_round();
        }
        let arguments = self.arguments(jump);
        self.jump(self.blocks[target], &arguments);
    }

    fn arguments(&mut self, jump: &shared::ir::Jump) -> Vec<VReg> {
        let target = jump.block.0 as usize;
        let parameters = &self.function.blocks[target].parameters;
        let mut registers = Vec::new();
        for (&argument, &parameter) in jump.arguments.iter().zip(parameters) {
            registers.push(match self.function.ty(parameter) {
                Type::String(_) if self.headers[target] => continue,
                Type::String(bound) => {
                    let text = self.text(argument);
                    let text = self.fitted(text, bound);
                    self.text_pointer(&text)
                }
                Type::Long | Type::Iterator if self.headers[target] && self.has_may_goto() => self.forgotten(argument),
                Type::Long | Type::Iterator => self.long(argument),
            });
        }
        registers
    }

    /// What is to be branched on: a comparison, where the condition is one, or whether it is 0.
    fn condition(&mut self, condition: Value) -> (Jump, VReg, Source) {
        if let Some(Home::Condition(relation, left, right)) = self.homes[condition.0 as usize] {
            return (relation, left, right);
        }
        if let Some((relation, a, b)) = self.conditions.comparisons[condition.0 as usize]
            && !self.wanted_exactly(condition)
        {
            return (signed(relation), self.long(a), self.source(b));
        }
        (Jump::Ne, self.long(condition), Source::Immediate(0))
    }
}

fn signed(relation: Relation) -> Jump {
    match relation {
        Relation::Equal => Jump::Eq,
        Relation::NotEqual => Jump::Ne,
        Relation::Less => Jump::Slt,
        Relation::LessEqual => Jump::Sle,
        Relation::Greater => Jump::Sgt,
        Relation::GreaterEqual => Jump::Sge,
    }
}

/// How values are used.
struct Conditions {
    /// Used at all.
    used: Vec<bool>,
    /// Used for nothing but to branch on.
    only: Vec<bool>,
    /// Defined by a comparison of longs.
    comparisons: Vec<Option<(Relation, Value, Value)>>,
}

impl Conditions {
    fn of(function: &Function) -> Self {
        let count = function.values.len();
        let mut this = Self { used: vec![false; count], only: vec![true; count], comparisons: vec![None; count] };
        for block in &function.blocks {
            for instruction in &block.instructions {
                instruction.op.operands(|value| this.use_exactly(*value));
                if let (Op::Compare(relation, a, b), &[result]) = (&instruction.op, instruction.results.as_slice()) {
                    this.comparisons[result.0 as usize] = Some((*relation, *a, *b));
                }
            }
            match &block.end {
                End::Branch { condition, then, otherwise } => {
                    this.used[condition.0 as usize] = true;
                    then.arguments.iter().chain(&otherwise.arguments).for_each(|value| this.use_exactly(*value));
                }
                end => end.operands(|value| this.use_exactly(*value)),
            }
        }
        this
    }

    fn use_exactly(&mut self, value: Value) {
        self.used[value.0 as usize] = true;
        self.only[value.0 as usize] = false;
    }
}

fn predecessor_counts(function: &Function) -> Vec<usize> {
    let mut counts = vec![0; function.blocks.len()];
    for block in &function.blocks {
        block.end.jumps().for_each(|jump| counts[jump.block.0 as usize] += 1);
    }
    counts
}
