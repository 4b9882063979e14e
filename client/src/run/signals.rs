//! Signals that ask a session to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The last signal that came.
#[derive(Debug, Default)]
pub(super) struct Signals {
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches SIGINT, SIGTERM, and SIGHUP where it is not ignored (nohup(1)): the first of them is noted, the second has the
    /// effect it would have without us, in case the end takes too long for somebody.
    pub(super) fn catch() -> io::Result<Self> {
        let signals = Self::default();
        let is_second = Arc::new(AtomicBool::new(false));
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP && ignored & 1 << (SIGHUP - 1) != 0 {
                continue;
            }
            flag::register_conditional_default(signal, Arc::clone(&is_second))?;
            flag::register(signal, Arc::clone(&is_second))?;
            flag::register_usize(signal, Arc::clone(&signals.last), signal as usize)?;
        }
        Ok(signals)
    }

    /// Waits for the next as if none had come.
    pub(super) fn forget(&self) {
        self.last.store(0, Ordering::SeqCst);
    }

    /// The signal that came, if any.
    pub(super) fn received(&self) -> Option<i32> {
        match self.last.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}

/// The mask of ignored signals, signal 1 in the lowest bit (proc(5), `SigIgn`).
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
