//! Puts the bodies of called functions in the place of the calls, where no recursion forbids it.
//!
//! What raises in the called body still raises there: without `try` around it, a call that has raised does nothing but
//! raise again.

use std::collections::BTreeSet;

use shared::ir::{Block, BlockId, End, Function, FunctionId, Ir, Jump, Op, Type, Value};

/// Inlines every call in `function`, and every call that this brings in. A call inside its own callee stays a call.
pub(super) fn inline(ir: &mut Ir, function: FunctionId) {
    let mut callers = BTreeSet::from([function]);
    inline_into(ir, function, &mut callers);
}

fn inline_into(ir: &mut Ir, caller: FunctionId, callers: &mut BTreeSet<FunctionId>) {
    while let Some((block, position, callee)) = next_call(&ir.functions[caller.0 as usize], callers) {
        // The callee first, so that it is only done once however often it is called.
        callers.insert(callee);
        inline_into(ir, callee, callers);
        callers.remove(&callee);
        let body = ir.functions[callee.0 as usize].clone();
        replace(&mut ir.functions[caller.0 as usize], block, position, &body);
    }
}

/// The first call of a function that is not one of `callers`.
fn next_call(function: &Function, callers: &BTreeSet<FunctionId>) -> Option<(usize, usize, FunctionId)> {
    function.blocks.iter().enumerate().find_map(|(block, contents)| {
        contents.instructions.iter().enumerate().find_map(|(position, instruction)| match instruction.op {
            Op::Call(callee, _) if !callers.contains(&callee) => Some((block, position, callee)),
            _ => None,
        })
    })
}

/// Replaces the call at `position` of `block` by `body`.
fn replace(caller: &mut Function, block: usize, position: usize, body: &Function) {
    let mut rest = caller.blocks[block].instructions.split_off(position);
    let call = rest.remove(0);
    let Op::Call(_, arguments) = call.op else { return };
    let first = caller.blocks.len() as u32;
    let after = BlockId(first + body.blocks.len() as u32);
    let entry = End::Jump(Jump { block: BlockId(first), arguments });
    let end = std::mem::replace(&mut caller.blocks[block].end, entry);
    let end_location = std::mem::replace(&mut caller.blocks[block].end_location, call.location);
    let first_value = caller.values.len() as u32;
    caller.values.extend(&body.values);
    for inlined in &body.blocks {
        let mut inlined = renumbered(inlined, first_value, first);
        if let End::Return(value) = inlined.end {
            let raised = caller.new_value(Type::Long);
            let instruction =
                shared::ir::Instruction { results: vec![raised], op: Op::Long(0), location: inlined.end_location };
            inlined.instructions.push(instruction);
            let arguments = value.into_iter().chain([raised]).collect();
            inlined.end = End::Jump(Jump { block: after, arguments });
        }
        caller.blocks.push(inlined);
    }
    caller.blocks.push(Block { parameters: call.results, instructions: rest, end, end_location });
}

/// A block with its values counted from `first_value` and its jumps from `first_block`.
fn renumbered(block: &Block, first_value: u32, first_block: u32) -> Block {
    let mut block = block.clone();
    let shift = |value: &mut Value| value.0 += first_value;
    block.parameters.iter_mut().for_each(shift);
    for instruction in &mut block.instructions {
        instruction.results.iter_mut().for_each(shift);
        instruction.op.operands_mut(shift);
    }
    block.end.operands_mut(shift);
    block.end.jumps_mut(|jump| jump.block.0 += first_block);
    block
}
