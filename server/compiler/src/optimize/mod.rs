//! Pass 3 still: IR becomes IR that means the same and costs less. [`shared::ir::verify`] holds after each pass.
//!
//! It must not know the program the IR came from, nor what BPF is; only that a handler of a kernel event has no calls to
//! afford.

mod errors;
mod inline;
mod simplify;

use shared::ir::{FunctionId, Ir};
use shared::probe::Executor;

/// Improves a whole script.
pub fn optimize(ir: &mut Ir) {
    for index in 0..ir.handlers.len() {
        let handler = &ir.handlers[index];
        let in_kernel = handler.points.iter().any(|point| point.place.kind().executor() == Executor::Kernel);
        if in_kernel {
            let FunctionId(function) = handler.function;
            inline::inline(ir, FunctionId(function));
            errors::resolve(&mut ir.functions[function as usize]);
        }
    }
    ir.functions.iter_mut().for_each(simplify::simplify);
}
