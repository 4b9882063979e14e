//! The processes that a session depends on: the command of `-c`, the target of `-x`, the one that started us.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

use crate::kernel::process::Held;

/// Somebody else's process, whose end can be noticed.
#[derive(Debug)]
pub(super) struct Process {
    fd: OwnedFd,
}

impl Process {
    pub(super) fn open(pid: Pid) -> io::Result<Self> {
        Ok(Self { fd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Whether it has ended, after waiting for that for a while.
    pub(super) fn has_ended(&self, wait: Duration) -> bool {
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut fds, Some(&wait)).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The command of `-c`: held until every probe is there to see it.
pub(super) struct Command {
    pub(super) process: Process,
    pid: Pid,
    held: Option<Held>,
}

impl Command {
    pub(super) fn hold(command: &str) -> io::Result<Self> {
        let held = Held::fork(command)?;
        let pid = held.pid();
        Ok(Self { process: Process::open(pid)?, pid, held: Some(held) })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets it run.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.held.take().map_or(Ok(()), Held::release)
    }

    /// Whether it was released and so has a life of its own.
    pub(super) fn is_released(&self) -> bool {
        self.held.is_none()
    }

    /// How it ended: nothing where it has not, or ended well.
    pub(super) fn failure(&self) -> Option<String> {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::NOHANG).ok()??;
        failure(status)
    }
}

fn failure(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) | (None, None) => None,
        (Some(status), _) => Some(format!("Child process exited with status {status}")),
        (None, Some(signal)) => Some(format!("Child process exited with signal {signal}")),
    }
}
