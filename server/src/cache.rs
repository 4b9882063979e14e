//! A directory of files that may be deleted at any time: `DIR/xx/yyyy.EXT`, by the two halves of a hexadecimal key.
//!
//! A file is written under another name, made read-only and renamed, so that whoever opens it has all of it, for good.
//! It must not know what the files hold.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::error::ServerError;

/// A directory bounded in bytes.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    extension: &'static str,
    bytes_max: u64,
    /// What came since all was counted last.
    bytes_new: Arc<AtomicU64>,
}

/// Counting a large cache takes time: it is done when so much of the bound came anew.
const NEW_PART: u64 = 64;

/// What a file takes on disk at the least.
const BLOCK_BYTES: u64 = 4096;

/// How old a file must be that was begun and never finished before it counts as left behind by a process that died.
const UNFINISHED_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

impl Cache {
    /// Opens the directory, making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it: what is in it goes into signed artifacts.
    pub fn open(dir: PathBuf, extension: &'static str, bytes_max: u64) -> Result<Self, ServerError> {
        make_private_dir(&dir)?;
        // The first file that comes has all counted.
        Ok(Self { dir, extension, bytes_max, bytes_new: Arc::new(AtomicU64::new(bytes_max)) })
    }

    /// Where the file of a key is, or would be.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        let (head, tail) = key.split_at(key.len().min(2));
        self.dir.join(head).join(format!("{tail}.{}", self.extension))
    }

    /// An empty file that becomes an entry by [`Self::finish`], and otherwise vanishes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn begin(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(".unfinished-").tempfile_in(&self.dir)
    }

    /// Makes a file the entry of a key, then deletes what was not used for longest until all fit the bound again.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(&self, key: &str, file: NamedTempFile) -> io::Result<PathBuf> {
        file.as_file().set_permissions(Permissions::from_mode(0o444))?;
        let path = self.path(key);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        let bytes = size(&file.persist(&path)?.metadata()?);
        if self.bytes_new.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= self.bytes_max / NEW_PART {
            self.bytes_new.store(0, Ordering::Relaxed);
            self.sweep(&path)?;
        }
        Ok(path)
    }

    /// Deletes what was not used for longest, except `new`, until all fits the bound.
    fn sweep(&self, new: &Path) -> io::Result<()> {
        let mut files = self.files()?;
        let mut bytes: u64 = files.iter().map(|(_, metadata)| size(metadata)).sum();
        if bytes <= self.bytes_max {
            return Ok(());
        }
        files.sort_by_key(|(_, metadata)| metadata.atime().max(metadata.mtime()));
        for (path, metadata) in files.iter().filter(|(path, _)| path != new) {
            if bytes <= self.bytes_max {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= size(metadata),
            }
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, Metadata)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                for file in fs::read_dir(entry.path())? {
                    let file = file?;
                    files.extend(file.metadata().ok().map(|metadata| (file.path(), metadata)));
                }
            } else if is_left_behind(&entry.metadata()?) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(files)
    }
}

/// Makes a directory that only its owner may write to and read, or checks that an existing one is such.
///
/// # Errors
/// When it cannot be made, or others may write to it.
pub fn make_private_dir(dir: &Path) -> Result<(), ServerError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(ServerError::io(dir))?;
    let metadata = fs::metadata(dir).map_err(ServerError::io(dir))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(ServerError::NotPrivate(dir.to_owned()));
    }
    Ok(())
}

fn size(metadata: &Metadata) -> u64 {
    metadata.len().next_multiple_of(BLOCK_BYTES)
}

fn is_left_behind(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > UNFINISHED_AGE_MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn insert(cache: &Cache, key: &str, bytes: usize, used_at_s: u64) -> PathBuf {
        let mut file = cache.begin().expect("a file");
        file.write_all(&vec![0; bytes]).expect("written");
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(used_at_s);
        file.as_file().set_times(fs::FileTimes::new().set_accessed(used).set_modified(used)).expect("times");
        cache.finish(key, file).expect("an entry")
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(dir.path().join("cache"), "bin", 2 * BLOCK_BYTES).expect("a cache");
        let old = insert(&cache, "aa11", 100, 1);
        let older = insert(&cache, "aa22", 100, 0);
        let new = insert(&cache, "bb33", 100, 2);
        assert!(old.exists() && new.exists() && !older.exists());
        assert_eq!(new, dir.path().join("cache/bb/33.bin"));
        assert_eq!(fs::metadata(new).expect("a file").permissions().mode() & 0o777, 0o444);
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("a mode");
        assert!(matches!(Cache::open(dir.path().to_owned(), "bin", 1), Err(ServerError::NotPrivate(_))));
    }
}
