//! What a worker does to make an index: several threads, each behind the fence, take units of the debug file until all are
//! done.

use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use compiler::debuginfo::index::Part;
use compiler::debuginfo::{Debuginfo, DebuginfoError};
use mmap_guard::map_file;

use super::fence::OpenFence;

/// Units that a thread takes at a time: so few that all threads end at about the same time.
const UNITS_AT_A_TIME: usize = 64;

/// How much the making of an index gives way to compiles.
const NICENESS: i32 = 10;

/// The bytes of a debug file's index, or why there can be none.
pub(super) fn make(file: &Path, threads: usize, fence: &OpenFence) -> Result<Vec<u8>, String> {
    // Being slower than one could be is no reason to fail.
    let _ = rustix::process::nice(NICENESS);
    let bytes = map_file(file).map_err(|error| error.to_string())?;
    let next = AtomicUsize::new(0);
    let parts = || parts(&bytes, &next).map_err(|error| error.to_string());
    let gate = RwLock::new(());
    thread::scope(|scope| {
        // The fence allows no new thread, so that none passes the gate before all have started.
        let closed = gate.write();
        let behind_fence = || {
            drop(gate.read());
            let _ = fence.clone().close();
            parts()
        };
        let others: Vec<_> =
            (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, behind_fence).ok()).collect();
        drop(closed);
        let _ = fence.clone().close();
        let mut all = parts()?;
        for other in others {
            all.extend(other.join().map_err(|_| "a thread panicked")??);
        }
        let debuginfo = Debuginfo::open(&bytes).map_err(|error| error.to_string())?;
        debuginfo.index_file(all).map_err(|error| error.to_string())
    })
}

/// The parts that this thread came to make.
fn parts(bytes: &[u8], next: &AtomicUsize) -> Result<Vec<Part>, DebuginfoError> {
    let debuginfo = Debuginfo::open(bytes)?;
    let count = debuginfo.unit_count()?;
    let mut parts = Vec::new();
    loop {
        let first = next.fetch_add(UNITS_AT_A_TIME, Ordering::Relaxed);
        if first >= count {
            return Ok(parts);
        }
        parts.push(debuginfo.index_part(first..count.min(first + UNITS_AT_A_TIME))?);
    }
}
