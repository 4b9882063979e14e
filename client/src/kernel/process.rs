//! A child process that is held before it starts: its process id is known while it has done nothing yet.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::process::{Pid, getgid, getuid};

/// A shell that waits to be released. Dropped, or left by a parent that dies, it ends without having run anything.
#[derive(Debug)]
pub struct Held {
    pid: Pid,
    release: OwnedFd,
}

impl Held {
    /// Forks a child that will run `/bin/sh -c command` as the real user and group.
    ///
    /// The process must have one thread and no signal handlers yet: the child inherits what is there.
    ///
    /// # Errors
    /// When the command has a NUL in it, or no process can be made.
    pub fn fork(command: &str) -> io::Result<Self> {
        let command = CString::new(command)?;
        let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), command.as_ptr(), std::ptr::null()];
        let (hold, release) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        let (hold_fd, release_fd) = (hold.as_raw_fd(), release.as_raw_fd());
        // SAFETY: what the child does before exec is async-signal-safe (signal-safety(7)) and allocates nothing, so it
        // would be sound even if other threads existed.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: in the child; the descriptors and strings made above are its own copies now.
            unsafe { wait_and_exec(hold_fd, release_fd, uid, gid, &arguments) }
        }
        let pid = if pid < 0 { None } else { Pid::from_raw(pid) };
        Ok(Self { pid: pid.ok_or_else(io::Error::last_os_error)?, release })
    }

    /// Its process id, which it keeps.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets it run.
    ///
    /// # Errors
    /// When it is gone.
    pub fn release(self) -> io::Result<()> {
        rustix::io::write(&self.release, b"!").map(|_| ()).map_err(io::Error::from)
    }
}

/// The child's part.
///
/// # Safety
/// Only in a process that was just forked; `arguments` are C strings with a null at the end.
unsafe fn wait_and_exec(hold: i32, release: i32, uid: u32, gid: u32, arguments: &[*const libc::c_char; 4]) -> ! {
    // SAFETY: system calls on this process alone, with addresses of live locals and of the caller's strings.
    unsafe {
        // Without this copy the pipe ends when the parent does.
        libc::close(release);
        // The Rust run-time ignores SIGPIPE, which exec would hand on.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut byte = 0u8;
        if libc::read(hold, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(0);
        }
        if libc::setresgid(gid, gid, gid) != 0 || libc::setresuid(uid, uid, uid) != 0 {
            libc::_exit(126);
        }
        libc::execv(c"/bin/sh".as_ptr(), arguments.as_ptr());
        libc::_exit(127)
    }
}
