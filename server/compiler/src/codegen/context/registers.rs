//! Where `struct pt_regs` holds each register.

use shared::target::Architecture;

/// The offset of a register, by its DWARF number.
pub(super) fn offset(architecture: Architecture, number: u8) -> Option<i32> {
    match architecture {
        Architecture::X86_64 => X86_64.get(usize::from(number)).copied(),
    }
}

/// DWARF numbers of the System V ABI, AMD64 supplement, figure 3.36; offsets of `struct pt_regs`,
/// arch/x86/include/asm/ptrace.h.
const X86_64: [i32; 17] = [
    80,  // rax
    96,  // rdx
    88,  // rcx
    40,  // rbx
    104, // rsi
    112, // rdi
    32,  // rbp
    152, // rsp
    72,  // r8
    64,  // r9
    56,  // r10
    48,  // r11
    24,  // r12
    16,  // r13
    8,   // r14
    0,   // r15
    128, // the return address: rip
];
