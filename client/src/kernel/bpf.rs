//! The system call `bpf(2)`, and what the kernel says about a map.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_info, bpf_prog_type};

/// All zeros, as the kernel wants every field that a command does not use.
pub(super) fn zeroed_attr() -> bpf_attr {
    // SAFETY: bpf_attr is a union of structs of integers, for which zeros are valid.
    unsafe { std::mem::zeroed() }
}

/// Calls the kernel.
///
/// # Safety
/// Every address in `attr` that `cmd` reads or writes must be good for as many bytes as the kernel will touch there.
pub(super) unsafe fn bpf(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: attr is a live bpf_attr of the size given; for the addresses in it the caller vouches.
    let result = unsafe { libc::syscall(libc::SYS_bpf, cmd, &raw mut *attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A map's type, sizes and flags, in the kernel's own words.
pub(super) fn map_info(map: BorrowedFd<'_>) -> io::Result<bpf_map_info> {
    // SAFETY: bpf_map_info is a struct of integers, for which zeros are valid.
    let mut info: bpf_map_info = unsafe { std::mem::zeroed() };
    let mut attr = zeroed_attr();
    attr.info.bpf_fd = map.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_map_info>() as u32;
    attr.info.info = &raw mut info as u64;
    // SAFETY: the kernel writes at most info_len bytes to info, which lives on.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    Ok(info)
}

/// Whether the kernel's verifier accepts a program of these instructions, as a raw tracepoint's.
pub(super) fn verifies(insns: &[u64]) -> bool {
    let mut attr = zeroed_attr();
    let license = c"GPL";
    // SAFETY: this member of the union is a struct of integers, and the whole union is initialised.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    load.insns = insns.as_ptr() as u64;
    load.insn_cnt = insns.len() as u32;
    load.license = license.as_ptr() as u64;
    // SAFETY: the kernel reads insn_cnt instructions of eight bytes and a string, which all live through the call.
    let Ok(fd) = (unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attr) }) else { return false };
    // SAFETY: the kernel has just given us the descriptor of the program, which nobody else owns.
    drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    true
}
