//! The directory where downloaded and derived things wait for the next run.
//!
//! Whatever appears in it under its final name is complete: it is made under another name and then renamed. The
//! directory may be deleted at any time at which nothing runs.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The cache directory: `$TAPWIRE_TESTBED`, else `$XDG_CACHE_HOME/tapwire/testbed`, else `~/.cache/tapwire/testbed`.
///
/// # Errors
/// When there is no home either, or the directory cannot be made.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("TAPWIRE_TESTBED")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("tapwire/testbed")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/tapwire/testbed")))
        .context("no place for the test bed's cache: set TAPWIRE_TESTBED to a directory")?;
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory.canonicalize()?)
}

/// Holds the cache for one writer until it is dropped. Readers need no lock.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what releases the lock")] File);

/// Waits until no other run writes to the cache.
///
/// # Errors
/// When the cache directory cannot be written.
pub fn lock() -> Result<Lock> {
    let path = directory()?.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another run that prepares the test bed");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    Ok(Lock(file))
}
