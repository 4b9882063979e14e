//! The system call `bpf(2)`, and what the kernel says about a map.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_info};

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
