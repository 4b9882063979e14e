//! Makes of `raise … catch` a jump that brings the message along: once no call is left, it is known where each error is caught.

use shared::ir::{End, Function, Instruction, Jump, Op, Value};

/// Rewrites every error that is caught in a function without calls.
pub(super) fn resolve(function: &mut Function) {
    let calls = function.blocks.iter().flat_map(|block| &block.instructions);
    if calls.into_iter().any(|instruction| matches!(instruction.op, Op::Call(..))) {
        return;
    }
    for block in 0..function.blocks.len() {
        if let End::Raise { catch: Some(catch), .. } = &function.blocks[block].end {
            let message = function.blocks[catch.block.0 as usize].instructions.first();
            let message = message.filter(|first| first.op == Op::Caught).and_then(|caught| caught.results.first());
            if let Some(&message) = message {
                bring_along(function, block, message);
            }
        }
    }
    for block in &mut function.blocks {
        if let Some(Instruction { op: Op::Caught, results, .. }) = block.instructions.first() {
            block.parameters.extend(results);
            block.instructions.remove(0);
        }
    }
}

/// Renders the message where it is raised, and jumps with it to where it becomes `message`.
fn bring_along(function: &mut Function, block: usize, message: Value) {
    let ty = function.ty(message);
    let rendered = function.new_value(ty);
    let raising = &mut function.blocks[block];
    let end = std::mem::replace(&mut raising.end, End::Reraise);
    let End::Raise { format, arguments, catch: Some(Jump { block, arguments: mut passed }) } = end else { return };
    let op = Op::Format(format, arguments);
    raising.instructions.push(Instruction { results: vec![rendered], op, location: raising.end_location });
    passed.push(rendered);
    raising.end = End::Jump(Jump { block, arguments: passed });
}
