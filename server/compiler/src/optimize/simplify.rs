//! What can be known at compile time is computed there; what nobody uses is dropped; blocks that only pass on are joined.
//!
//! The steps repeat until nothing changes; each is one walk over the function.

use std::collections::BTreeMap;

use shared::ir::{BinaryOp, End, Function, Jump, Op, Relation, Type, Value};

/// Simplifies one function.
pub(super) fn simplify(function: &mut Function) {
    loop {
        let mut changed = fold(function);
        changed |= remove_constant_parameters(function);
        changed |= join_blocks(function);
        changed |= remove_unused(function);
        if !changed {
            return;
        }
    }
}

// Folding

/// Computes what is constant and replaces what equals something simpler.
fn fold(function: &mut Function) -> bool {
    let mut known = Known::default();
    let mut replaced = Replaced::default();
    let mut changed = false;
    for index in 0..function.blocks.len() {
        let mut block = std::mem::replace(&mut function.blocks[index], empty_block());
        for instruction in &mut block.instructions {
            instruction.op.operands_mut(|value| *value = replaced.by(*value));
            match known.simpler(&instruction.op, function) {
                Some(Simpler::Op(op)) => {
                    instruction.op = op;
                    changed = true;
                }
                Some(Simpler::Value(value)) => {
                    if let &[result] = instruction.results.as_slice()
                        && fits(function.ty(value), function.ty(result))
                    {
                        changed |= replaced.insert(result, value);
                    }
                }
                None => {}
            }
            known.learn(&instruction.op, &instruction.results);
        }
        block.end.operands_mut(|value| *value = replaced.by(*value));
        if let Some(end) = known.simpler_end(&block.end) {
            block.end = end;
            changed = true;
        }
        function.blocks[index] = block;
    }
    replaced.apply(function);
    if changed {
        function.remove_unreachable();
    }
    changed
}

fn empty_block() -> shared::ir::Block {
    let (end, end_location) = (End::Return(None), shared::ir::Location::default());
    shared::ir::Block { parameters: Vec::new(), instructions: Vec::new(), end, end_location }
}

/// What is known of values: what defines them, where that is a pure operation on known things.
#[derive(Default)]
struct Known {
    definitions: BTreeMap<Value, Op>,
}

enum Simpler {
    Op(Op),
    Value(Value),
}

impl Known {
    fn learn(&mut self, op: &Op, results: &[Value]) {
        if let (&[result], Op::Long(_) | Op::String(_) | Op::Compare(..) | Op::CompareStrings(..)) = (results, op) {
            self.definitions.insert(result, op.clone());
        }
    }

    fn long(&self, value: Value) -> Option<i64> {
        match self.definitions.get(&value) {
            Some(Op::Long(long)) => Some(*long),
            _ => None,
        }
    }

    /// A string, cut to what its type has room for.
    fn string(&self, value: Value, function: &Function) -> Option<&[u8]> {
        match (self.definitions.get(&value), function.ty(value)) {
            (Some(Op::String(string)), Type::String(bound)) => Some(&string[..string.len().min(usize::from(bound))]),
            _ => None,
        }
    }

    fn simpler(&self, op: &Op, function: &Function) -> Option<Simpler> {
        match *op {
            Op::Unary(op, a) => Some(Simpler::Op(Op::Long(op.apply(self.long(a)?)))),
            Op::Binary(op, a, b) => self.simpler_binary(op, a, b),
            Op::Compare(relation, a, b) => match (self.long(a), self.long(b)) {
                (Some(a), Some(b)) => Some(Simpler::Op(Op::Long(i64::from(relation.holds(&a, &b))))),
                (None, Some(0)) => self.simpler_truth(relation, a),
                _ => None,
            },
            Op::CompareStrings(relation, a, b) => {
                let holds = relation.holds(self.string(a, function)?, self.string(b, function)?);
                Some(Simpler::Op(Op::Long(i64::from(holds))))
            }
            Op::Concat(a, b) => match (self.string(a, function), self.string(b, function)) {
                (Some(a), Some(b)) => Some(Simpler::Op(Op::String([a, b].concat().into()))),
                (Some(b""), None) => Some(Simpler::Value(b)),
                (None, Some(b"")) => Some(Simpler::Value(a)),
                _ => None,
            },
            _ => None,
        }
    }

    fn simpler_binary(&self, op: BinaryOp, a: Value, b: Value) -> Option<Simpler> {
        let (known_a, known_b) = (self.long(a), self.long(b));
        if let (Some(a), Some(b)) = (known_a, known_b) {
            return Some(Simpler::Op(Op::Long(op.apply(a, b))));
        }
        match (op, known_a, known_b) {
            (BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor, Some(0), _) | (BinaryOp::Multiply, Some(1), _) => {
                Some(Simpler::Value(b))
            }
            (
                BinaryOp::Add
                | BinaryOp::Subtract
                | BinaryOp::Or
                | BinaryOp::Xor
                | BinaryOp::ShiftLeft
                | BinaryOp::ShiftRight
                | BinaryOp::ShiftRightLogical,
                _,
                Some(0),
            )
            | (BinaryOp::Multiply | BinaryOp::Divide, _, Some(1)) => Some(Simpler::Value(a)),
            (BinaryOp::And | BinaryOp::Multiply, Some(0), _) | (BinaryOp::And | BinaryOp::Multiply, _, Some(0)) => {
                Some(Simpler::Op(Op::Long(0)))
            }
            _ => None,
        }
    }

    /// `a != 0` and `a == 0` where `a` is itself a comparison.
    fn simpler_truth(&self, relation: Relation, a: Value) -> Option<Simpler> {
        let negated = match relation {
            Relation::NotEqual => return self.is_truth(a).then_some(Simpler::Value(a)),
            Relation::Equal => true,
            _ => false,
        };
        match self.definitions.get(&a) {
            Some(&Op::Compare(relation, x, y)) if negated => Some(Simpler::Op(Op::Compare(opposite(relation), x, y))),
            Some(&Op::CompareStrings(relation, x, y)) if negated => {
                Some(Simpler::Op(Op::CompareStrings(opposite(relation), x, y)))
            }
            _ => None,
        }
    }

    /// Whether a value can only be 0 or 1.
    fn is_truth(&self, value: Value) -> bool {
        matches!(self.definitions.get(&value), Some(Op::Compare(..) | Op::CompareStrings(..) | Op::Long(0 | 1)))
    }

    fn simpler_end(&self, end: &End) -> Option<End> {
        let End::Branch { condition, then, otherwise } = end else { return None };
        if then == otherwise {
            return Some(End::Jump(then.clone()));
        }
        let taken = if self.long(*condition)? != 0 { then } else { otherwise };
        Some(End::Jump(taken.clone()))
    }
}

fn opposite(relation: Relation) -> Relation {
    match relation {
        Relation::Equal => Relation::NotEqual,
        Relation::NotEqual => Relation::Equal,
        Relation::Less => Relation::GreaterEqual,
        Relation::LessEqual => Relation::Greater,
        Relation::Greater => Relation::LessEqual,
        Relation::GreaterEqual => Relation::Less,
    }
}

/// Values that stand for others.
#[derive(Default)]
struct Replaced {
    by: BTreeMap<Value, Value>,
}

impl Replaced {
    /// Whether it was not yet.
    fn insert(&mut self, value: Value, by: Value) -> bool {
        let by = self.by(by);
        by != value && self.by.insert(value, by) != Some(by)
    }

    fn by(&self, mut value: Value) -> Value {
        while let Some(&by) = self.by.get(&value) {
            value = by;
        }
        value
    }

    fn apply(&self, function: &mut Function) {
        if self.by.is_empty() {
            return;
        }
        for block in &mut function.blocks {
            for instruction in &mut block.instructions {
                instruction.op.operands_mut(|value| *value = self.by(*value));
            }
            block.end.operands_mut(|value| *value = self.by(*value));
        }
    }
}

// Block parameters

/// Replaces parameters that every jump passes the same value for.
fn remove_constant_parameters(function: &mut Function) -> bool {
    let mut passed: Vec<Vec<Passed>> =
        function.blocks.iter().map(|block| vec![Passed::Nothing; block.parameters.len()]).collect();
    for block in &function.blocks {
        for jump in block.end.jumps() {
            let target = jump.block.0 as usize;
            for (index, &argument) in jump.arguments.iter().enumerate() {
                let parameter = function.blocks[target].parameters[index];
                passed[target][index].add(argument, parameter);
            }
        }
    }
    let mut replaced = Replaced::default();
    let mut removed: Vec<Vec<bool>> = passed.iter().map(|passed| vec![false; passed.len()]).collect();
    for (target, passed) in passed.iter().enumerate() {
        for (index, passed) in passed.iter().enumerate() {
            let parameter = function.blocks[target].parameters[index];
            if let Passed::One(value) = *passed
                && fits(function.ty(value), function.ty(parameter))
                && replaced.by(value) != parameter
            {
                replaced.insert(parameter, value);
                removed[target][index] = true;
            }
        }
    }
    if replaced.by.is_empty() {
        return false;
    }
    for (block, removed) in function.blocks.iter_mut().zip(&removed) {
        let mut removed = removed.iter();
        block.parameters.retain(|_| removed.next() == Some(&false));
    }
    for block in &mut function.blocks {
        block.end.jumps_mut(|jump| {
            let mut removed = removed[jump.block.0 as usize].iter();
            jump.arguments.retain(|_| removed.next() == Some(&false));
        });
    }
    replaced.apply(function);
    true
}

/// What the jumps to a block pass for a parameter.
#[derive(Clone, Copy)]
enum Passed {
    Nothing,
    One(Value),
    Several,
}

impl Passed {
    fn add(&mut self, argument: Value, parameter: Value) {
        *self = match *self {
            other if argument == parameter => other,
            Self::Nothing => Self::One(argument),
            Self::One(value) if value == argument => Self::One(value),
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

/// Whether a value loses nothing when it becomes one of type `to`.
fn fits(from: Type, to: Type) -> bool {
    match (from, to) {
        (Type::String(from), Type::String(to)) => from <= to,
        _ => from == to,
    }
}

// Blocks

/// Joins blocks with their only successors where these have no other predecessor, and skips blocks that only jump on.
fn join_blocks(function: &mut Function) -> bool {
    let mut changed = false;
    for index in 0..function.blocks.len() {
        let mut end = function.blocks[index].end.clone();
        end.jumps_mut(|jump| changed |= skip_empty(function, index, jump));
        function.blocks[index].end = end;
    }
    if changed {
        function.remove_unreachable();
    }
    let mut counts = vec![0u32; function.blocks.len()];
    for block in &function.blocks {
        block.end.jumps().for_each(|jump| counts[jump.block.0 as usize] += 1);
    }
    let mut replaced = Replaced::default();
    let mut joined = false;
    for index in 0..function.blocks.len() {
        while let End::Jump(jump) = &function.blocks[index].end {
            let target = jump.block.0 as usize;
            let parameters = &function.blocks[target].parameters;
            let fit = parameters.iter().zip(&jump.arguments).all(|(&p, &a)| fits(function.ty(a), function.ty(p)));
            if counts[target] != 1 || target == index || target == 0 || !fit {
                break;
            }
            let (parameters, arguments) = (parameters.clone(), jump.arguments.clone());
            for (&parameter, argument) in parameters.iter().zip(arguments) {
                replaced.insert(parameter, argument);
            }
            let next = std::mem::replace(&mut function.blocks[target], empty_block());
            function.blocks[target].parameters = Vec::new();
            let block = &mut function.blocks[index];
            block.instructions.extend(next.instructions);
            (block.end, block.end_location) = (next.end, next.end_location);
            joined = true;
        }
    }
    replaced.apply(function);
    if joined {
        function.remove_unreachable();
    }
    changed | joined
}

/// Lets a jump go where its target would only send it on to.
fn skip_empty(function: &Function, from: usize, jump: &mut Jump) -> bool {
    let target = &function.blocks[jump.block.0 as usize];
    let End::Jump(next) = &target.end else { return false };
    // A block with parameters may be needed to tell two jumps of one branch apart.
    let skips = target.instructions.is_empty()
        && target.parameters.is_empty()
        && next.arguments.is_empty()
        && next.block != jump.block
        && next.block.0 as usize != from;
    if skips {
        jump.block = next.block;
    }
    skips
}

// Unused values

/// Drops operations that only give results nobody uses.
fn remove_unused(function: &mut Function) -> bool {
    let mut uses = vec![0u32; function.values.len()];
    for block in &function.blocks {
        for instruction in &block.instructions {
            instruction.op.operands(|value| uses[value.0 as usize] += 1);
        }
        block.end.operands(|value| uses[value.0 as usize] += 1);
    }
    let mut changed = false;
    // Backwards, so that what only a dropped operation used goes in the same walk where it stands before it.
    for block in function.blocks.iter_mut().rev() {
        for instruction in block.instructions.iter_mut().rev() {
            let unused = instruction.results.iter().all(|result| uses[result.0 as usize] == 0);
            if unused && instruction.op.is_pure() {
                instruction.op.operands(|value| uses[value.0 as usize] -= 1);
                // Marked by having no results; no pure operation is without.
                instruction.results.clear();
                changed = true;
            }
        }
        block.instructions.retain(|instruction| !(instruction.op.is_pure() && instruction.results.is_empty()));
    }
    changed
}
