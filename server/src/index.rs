//! The indexes of debug files: kept in a cache, made by a worker once a debug file was first used, so that nobody waits for
//! one. It must not know what is in them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use compiler::debuginfo::index::Index;
use mmap_guard::map_file;
use shared::target::BuildId;
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::config;
use crate::error::ServerError;
use crate::job::assignment::DebuginfoFiles;
use crate::job::workers::{WorkerFailure, Workers};

/// Makes and finds indexes.
pub struct Indexes {
    cache: Cache,
    states: Mutex<BTreeMap<String, State>>,
    /// One is made at a time: it uses all processors.
    turn: Semaphore,
}

/// What is known of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was found whole.
    Whole,
    /// A worker makes it, or is about to.
    InTheMaking,
    /// It cannot be made.
    Impossible,
}

/// What an index is made of, and since when.
struct Wanted {
    build_id: BuildId,
    file: PathBuf,
    began: Instant,
}

/// Bytes of a debug file from which on an index is worth while. To search less takes as long as to start a process.
const FILE_BYTES_MIN: u64 = 4 << 20;

impl Indexes {
    /// Opens the cache below the server's cache directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(cache: &Path, config: &config::Debuginfo) -> Result<Self, ServerError> {
        let cache = Cache::open(cache.join("index"), "index", config.index_bytes_max)?;
        Ok(Self { cache, states: Mutex::default(), turn: Semaphore::new(1) })
    }

    /// A debug file, with its index if that was made already. Reads the disk.
    #[must_use]
    pub fn with_index(&self, build_id: &BuildId, file: PathBuf) -> DebuginfoFiles {
        let index = key(build_id, &file).and_then(|key| self.whole(&key));
        DebuginfoFiles { file, index }
    }

    /// Has an index made in the background, unless it is there, or was tried already.
    pub fn make(self: &Arc<Self>, build_id: BuildId, file: PathBuf, workers: &Arc<Workers>) {
        let Some(key) = key(&build_id, &file) else { return };
        if self.states().contains_key(&key) {
            return;
        }
        self.states().insert(key.clone(), State::InTheMaking);
        let (this, workers) = (Arc::clone(self), Arc::clone(workers));
        tokio::spawn(async move {
            let turn = this.turn.acquire().await;
            let began = Instant::now();
            let made = workers.index(file.clone()).await;
            drop(turn);
            let keep = move || this.keep(&key, &Wanted { build_id, file, began }, made);
            // What panicked said so itself.
            let _ = tokio::task::spawn_blocking(keep).await;
        });
    }

    fn keep(&self, key: &str, wanted: &Wanted, made: Result<Result<Vec<u8>, String>, WorkerFailure>) {
        let Wanted { build_id, file, began } = wanted;
        let written = match made {
            Ok(Ok(index)) => self.write(key, &index).map_err(|error| error.to_string()),
            Ok(Err(why)) => Err(why),
            Err(failure) => Err(format!("{failure:?}")),
        };
        let state = match written {
            Ok(bytes) => {
                let duration_ms = began.elapsed().as_millis();
                tracing::info!(%build_id, bytes, duration_ms, "debuginfo indexed");
                State::Whole
            }
            Err(why) => {
                tracing::warn!("{} cannot be indexed, so that scripts take longer: {why}", file.display());
                State::Impossible
            }
        };
        self.states().insert(key.to_owned(), state);
    }

    fn write(&self, key: &str, index: &[u8]) -> std::io::Result<usize> {
        let mut file = self.cache.begin()?;
        file.write_all(index)?;
        self.cache.finish(key, file)?;
        Ok(index.len())
    }

    /// The file of an index that is whole.
    fn whole(&self, key: &str) -> Option<PathBuf> {
        let path = self.cache.path(key);
        let state = self.states().get(key).copied();
        match state {
            Some(State::Whole) if path.exists() => Some(path),
            // It was evicted.
            Some(State::Whole) => {
                self.states().remove(key);
                None
            }
            Some(State::InTheMaking | State::Impossible) => None,
            None => self.is_whole(&path).then(|| {
                self.states().insert(key.to_owned(), State::Whole);
                path
            }),
        }
    }

    /// Looks an index of an earlier run over, once.
    fn is_whole(&self, path: &Path) -> bool {
        let Ok(bytes) = map_file(path) else { return false };
        let damage = match Index::open(&bytes) {
            Ok(index) if index.is_intact() => return true,
            Ok(_) => "it is damaged".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!("{} is made anew: {damage}", path.display());
        // If it cannot be deleted it is replaced.
        let _ = std::fs::remove_file(path);
        false
    }

    fn states(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What names an index; nothing where the file is so small that there is to be none. Files of one build id may differ: one
/// has the program's code, the other not.
fn key(build_id: &BuildId, file: &Path) -> Option<String> {
    let bytes = std::fs::metadata(file).ok()?.len();
    (bytes >= FILE_BYTES_MIN).then(|| format!("{build_id}-{bytes}"))
}
