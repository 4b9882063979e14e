//! A kprobe's context is the kernel's `struct pt_regs` at the probed instruction, or at the return.

use shared::target::Architecture;

pub(super) fn register(architecture: Architecture, number: u8) -> Option<i32> {
    super::registers::offset(architecture, number)
}
