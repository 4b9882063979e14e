//! A raw tracepoint's context is its arguments, eight bytes each (`struct bpf_raw_tracepoint_args`): no registers.

use shared::target::Architecture;

pub(super) fn register(_architecture: Architecture, _number: u8) -> Option<i32> {
    None
}
