//! Puts the bodies of called functions in the place of the calls, those of functions that call themselves as often as
//! `MAXNESTING` allows. Afterwards there is no call left, and every error goes straight to where it is caught or reported.
//!
//! Recursion unrolled this way grows with its depth, and where a function calls itself twice doubles each time: what grows
//! beyond [`INLINED_VALUES_MAX`] is left a call, which codegen refuses.

use shared::abi::format::Format;
use shared::ir::{
    Block, BlockId, End, FormatDecl, FormatId, Function, FunctionId, Instruction, Ir, Jump, Location,
    MAXNESTING_EXCEEDED, Op, Value,
};
use shared::limits::{CALL_DEPTH_MAX, INLINED_VALUES_MAX};

/// Inlines every call in `function`, and every call that this brings in.
pub(super) fn inline(ir: &mut Ir, function: FunctionId) {
    let mut inliner = Inliner { ir, too_deep: None };
    let mut caller = inliner.ir.functions[function.0 as usize].clone();
    // Each call with the calls it lies in, outermost first.
    let mut pending = calls(&caller, 0, &[function]);
    while let Some(call) = pending.pop() {
        if caller.values.len() > INLINED_VALUES_MAX {
            break;
        }
        let first_new = caller.blocks.len();
        if inliner.is_too_deep(&call) {
            inliner.replace_by_error(&mut caller, &call);
        } else {
            let body = inliner.ir.functions[call.callee.0 as usize].clone();
            replace(&mut caller, &call, &body);
            let chain = [call.chain, vec![call.callee]].concat();
            pending.extend(calls(&caller, first_new, &chain));
        }
    }
    caller.remove_unreachable();
    inliner.ir.functions[function.0 as usize] = caller;
}

/// A call: the last instruction of a block.
struct Call {
    block: usize,
    callee: FunctionId,
    /// The functions it lies in.
    chain: Vec<FunctionId>,
}

/// The calls in the blocks from `first` on.
fn calls(function: &Function, first: usize, chain: &[FunctionId]) -> Vec<Call> {
    let blocks = function.blocks.iter().enumerate().skip(first);
    let calls = blocks.filter_map(|(block, contents)| match contents.instructions.last()?.op {
        Op::Call(callee, _) => Some(Call { block, callee, chain: chain.to_vec() }),
        _ => None,
    });
    calls.collect()
}

struct Inliner<'a> {
    ir: &'a mut Ir,
    /// The message of the error that a call nested too deeply is, where there is one already.
    too_deep: Option<FormatId>,
}

impl Inliner<'_> {
    fn is_too_deep(&self, call: &Call) -> bool {
        let activations = call.chain.iter().filter(|&&function| function == call.callee).count();
        activations >= self.ir.limits.nesting_max as usize || call.chain.len() > CALL_DEPTH_MAX
    }

    fn replace_by_error(&mut self, caller: &mut Function, call: &Call) {
        let formats = &mut self.ir.formats;
        let format = *self.too_deep.get_or_insert_with(|| {
            let format = Format::parse(MAXNESTING_EXCEEDED.as_bytes()).unwrap_or_default();
            formats.push(FormatDecl { format, arguments: Vec::new(), near: String::new() });
            FormatId((formats.len() - 1) as u16)
        });
        let Some(Asked { raised, location, .. }) = take_call(caller, call.block) else { return };
        let block = &mut caller.blocks[call.block];
        block.end = End::Raise { format, arguments: Vec::new(), catch: raised };
        block.end_location = location;
    }
}

/// A call that was taken out, and the ways on from it.
struct Asked {
    arguments: Vec<Value>,
    /// What it returns, if anything.
    result: Option<Value>,
    /// Where to go on where it raised; nothing where the error leaves the function.
    raised: Option<Jump>,
    returned: Jump,
    returned_location: Location,
    location: Location,
}

/// Takes the call at the end of a block out, as `ir::verify` knows it to be written.
fn take_call(caller: &mut Function, block: usize) -> Option<Asked> {
    let End::Branch { then, otherwise, .. } = caller.blocks[block].end.clone() else { return None };
    let returned_location = caller.blocks[block].end_location;
    let Instruction { results, op: Op::Call(_, arguments), location } = caller.blocks[block].instructions.pop()? else {
        return None;
    };
    let reraises = caller.blocks[then.block.0 as usize].end == End::Reraise;
    let result = (results.len() > 1).then(|| results[0]);
    let raised = (!reraises).then_some(then);
    Some(Asked { arguments, result, raised, returned: otherwise, returned_location, location })
}

/// Replaces a call by `body`.
fn replace(caller: &mut Function, call: &Call, body: &Function) {
    let Some(asked) = take_call(caller, call.block) else { return };
    let first = caller.blocks.len() as u32;
    let after = BlockId(first + body.blocks.len() as u32);
    let end = End::Jump(Jump { block: BlockId(first), arguments: asked.arguments });
    caller.blocks[call.block].end = end;
    caller.blocks[call.block].end_location = asked.location;
    let first_value = caller.values.len() as u32;
    caller.values.extend(&body.values);
    for inlined in &body.blocks {
        let mut inlined = renumbered(inlined, first_value, first);
        match &mut inlined.end {
            End::Return(value) => {
                let arguments = value.iter().copied().collect();
                inlined.end = End::Jump(Jump { block: after, arguments });
            }
            End::Raise { catch: catch @ None, .. } => catch.clone_from(&asked.raised),
            // Of a call in the body: what leaves the body is caught where the body's own errors are.
            End::Branch { then, .. } => {
                let leaves =
                    then.block.0.checked_sub(first).is_some_and(|at| body.blocks[at as usize].end == End::Reraise);
                if let (true, Some(raised)) = (leaves, &asked.raised) {
                    then.clone_from(raised);
                }
            }
            _ => {}
        }
        caller.blocks.push(inlined);
    }
    let after = Block {
        parameters: asked.result.into_iter().collect(),
        instructions: Vec::new(),
        end: End::Jump(asked.returned),
        end_location: asked.returned_location,
    };
    caller.blocks.push(after);
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
