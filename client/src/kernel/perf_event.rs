//! Probe events of `perf_event_open(2)`, and linking programs to them with a cookie.
//!
//! aya attaches kprobes by name alone, and neither kind with a cookie of its own for each point.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use aya_obj::generated::{PERF_FLAG_FD_CLOEXEC, bpf_attach_type, bpf_cmd, perf_event_attr};

use super::bpf::{bpf, zeroed_attr};

/// Where the kernel describes its sources of events.
const EVENT_SOURCES: &str = "/sys/bus/event_source/devices";

/// A source of probe events: `kprobe` or `uprobe`.
#[derive(Debug, Clone, Copy)]
pub struct Pmu {
    ty: u32,
    retprobe_bit: u32,
}

/// Whose hits count.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Every process's, on every processor.
    Everybody,
    /// The calling process's.
    Ourselves,
}

/// A program on a probe event. It is detached when this is dropped.
#[derive(Debug)]
pub struct PerfLink {
    _link: OwnedFd,
}

impl Pmu {
    /// The source of that name.
    ///
    /// # Errors
    /// When the kernel has none: it was built without CONFIG_KPROBE_EVENTS or CONFIG_UPROBE_EVENTS.
    pub fn named(name: &str) -> io::Result<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("{EVENT_SOURCES}/{name}/{file}"));
        let number = |text: &str| text.trim().parse().map_err(|_| io::Error::other(format!("cannot read {text:?}")));
        let ty = number(&read("type")?)?;
        let format = read("format/retprobe")?;
        let retprobe_bit: u32 = number(format.trim().trim_start_matches("config:"))?;
        if retprobe_bit > 63 {
            return Err(io::Error::other(format!("cannot read {format:?}")));
        }
        Ok(Self { ty, retprobe_bit })
    }

    /// A kprobe at a kernel address.
    ///
    /// # Errors
    /// When nothing can be probed there.
    pub fn open_kprobe(self, address: u64, on_return: bool) -> io::Result<OwnedFd> {
        let mut attr = self.attr(on_return);
        // kprobe_func stays 0: the address alone says where.
        attr.__bindgen_anon_4.kprobe_addr = address;
        // SAFETY: attr holds no address of ours.
        unsafe { open(&mut attr, Scope::Everybody) }
    }

    /// A uprobe at an offset into a file.
    ///
    /// # Errors
    /// When nothing can be probed there.
    pub fn open_uprobe(self, path: &Path, file_offset: u64, on_return: bool, scope: Scope) -> io::Result<OwnedFd> {
        let path = CString::new(path.as_os_str().as_encoded_bytes())?;
        let mut attr = self.attr(on_return);
        attr.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
        attr.__bindgen_anon_4.probe_offset = file_offset;
        // SAFETY: the only address of ours in attr is that of path, which lives on.
        unsafe { open(&mut attr, scope) }
    }

    fn attr(self, on_return: bool) -> perf_event_attr {
        // SAFETY: perf_event_attr is a struct of integers, for which zeros are valid.
        let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
        attr.size = size_of::<perf_event_attr>() as u32;
        attr.type_ = self.ty;
        attr.config = u64::from(on_return) << self.retprobe_bit;
        attr
    }
}

/// # Safety
/// A `uprobe_path` in `attr` must be the address of a C string.
unsafe fn open(attr: &mut perf_event_attr, scope: Scope) -> io::Result<OwnedFd> {
    // An event of everybody's belongs to one processor, but a program on it runs on all
    // (kernel/trace/trace_kprobe.c, kprobe_perf_func).
    let (pid, cpu) = match scope {
        Scope::Everybody => (-1, 0),
        Scope::Ourselves => (0, -1),
    };
    let (group, flags) = (-1, PERF_FLAG_FD_CLOEXEC);
    // SAFETY: attr is a live perf_event_attr that says its own size; for an address in it the caller vouches.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw mut *attr, pid, cpu, group, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new file descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

impl PerfLink {
    /// Runs `program` whenever `event` happens; there `bpf_get_attach_cookie` gives `cookie`.
    ///
    /// # Errors
    /// When the kernel refuses; before 5.15 always.
    pub fn new(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<Self> {
        let mut attr = zeroed_attr();
        attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
        attr.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
        attr.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
        attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
        // SAFETY: no field of this command is an address.
        let fd = unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attr) }?;
        // SAFETY: a new file descriptor, which nobody else knows. The link holds the event, whose own descriptor may go.
        Ok(Self { _link: unsafe { OwnedFd::from_raw_fd(fd as i32) } })
    }
}
