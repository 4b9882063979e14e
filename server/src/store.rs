//! What was compiled already: a compile is a function, so its end can be looked up by its input.
//!
//! Kept are ends without signature: signing takes microseconds, and so nothing here ever expires, and each client's answer
//! passes the policy anew.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use moka::future::Cache as Memory;
use serde::{Deserialize, Serialize};
use shared::artifact::manifest::{Claims, Digest};
use shared::diagnostic::Report;
use shared::protocol::request::CompileRequest;
use shared::protocol::response::{Failure, Timing};
use shared::target::FactQuery;

use crate::cache::Cache;
use crate::config;
use crate::error::ServerError;

/// How a compile ended that ends the same whenever it is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// A program.
    Object {
        /// What it is.
        claims: Box<Claims>,
        /// The ELF object.
        elf: Vec<u8>,
        /// Warnings.
        report: Report,
    },
    /// The text of an earlier pass.
    Text {
        /// What was asked for.
        text: String,
        /// Warnings.
        report: Report,
    },
    /// The script is at fault.
    Refused(Report),
    /// Only the host knows.
    NeedFacts(Vec<FactQuery>),
}

/// An [`Ending`], and what it took.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The end.
    pub ending: Ending,
    /// Stage by stage.
    pub timings: Vec<Timing>,
    /// Whether the same input gives the same end next time. Not where debuginfo was missing: it may be there then.
    pub is_repeatable: bool,
}

/// A [`Compiled`] from [`Store::get_or_compile`].
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is.
    pub compiled: Arc<Compiled>,
    /// Whether it was not in memory.
    pub is_new: bool,
}

/// The ends of earlier compiles.
pub struct Store {
    memory: Memory<Digest, Kept>,
    disk: Cache,
    compiler: Digest,
}

#[derive(Clone)]
struct Kept {
    compiled: Arc<Compiled>,
    bytes: u32,
}

/// Why nothing was kept.
#[derive(Debug, Clone)]
enum Unkept {
    Failure(Box<Failure>),
    Unrepeatable(Arc<Compiled>),
}

/// Bytes that an ending takes in memory, by those of its encoding: small integers are encoded in one byte, not eight.
const MEMORY_PER_ENCODED: u32 = 4;

impl Store {
    /// Opens the store below the server's cache directory.
    ///
    /// # Errors
    /// When its directory cannot be made, or this program's own file not be read.
    pub fn open(cache: &Path, config: &config::Store) -> Result<Self, ServerError> {
        let memory = Memory::builder()
            .max_capacity(config.memory_bytes_max)
            .weigher(|_, kept: &Kept| kept.bytes.saturating_mul(MEMORY_PER_ENCODED))
            .build();
        let disk = Cache::open(cache.join("compiled"), "ending", config.disk_bytes_max)?;
        Ok(Self { memory, disk, compiler: own_digest()? })
    }

    /// What names a compile: a digest of all that goes into it, the compiler included. Debuginfo is named by the build ids
    /// in target and facts.
    #[must_use]
    pub fn key(&self, request: &CompileRequest) -> Digest {
        // postcard fails only on sequences of unknown length, which a request has none of.
        Digest::of(&postcard::to_stdvec(&(self.compiler, request)).unwrap_or_default())
    }

    /// The end of a compile: from memory, from disk, or else by `compile`, which runs once however many ask at once.
    ///
    /// # Errors
    /// When `compile` fails.
    pub async fn get_or_compile(
        &self,
        key: Digest,
        compile: impl Future<Output = Result<Compiled, Failure>>,
    ) -> Result<Found, Failure> {
        let init = async {
            if let Some(kept) = self.load(key).await {
                return Ok(kept);
            }
            let compiled = compile.await.map_err(|failure| Unkept::Failure(Box::new(failure)))?;
            if !compiled.is_repeatable {
                return Err(Unkept::Unrepeatable(Arc::new(compiled)));
            }
            let encoded = postcard::to_stdvec(&compiled.ending).unwrap_or_default();
            let bytes = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
            self.save(key, encoded);
            Ok(Kept { compiled: Arc::new(compiled), bytes })
        };
        match self.memory.entry(key).or_try_insert_with(init).await {
            Ok(entry) => Ok(Found { is_new: entry.is_fresh(), compiled: entry.into_value().compiled }),
            Err(unkept) => match &*unkept {
                Unkept::Failure(failure) => Err((**failure).clone()),
                Unkept::Unrepeatable(compiled) => Ok(Found { is_new: true, compiled: Arc::clone(compiled) }),
            },
        }
    }

    async fn load(&self, key: Digest) -> Option<Kept> {
        let path = self.disk.path(&key.to_string());
        let read = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(&path).ok()?;
            let ending = decode(&bytes);
            if ending.is_none() {
                tracing::warn!("{} is damaged: the script is compiled again", path.display());
                // If it cannot be deleted it is overwritten in a moment.
                let _ = std::fs::remove_file(&path);
            }
            Some((ending?, bytes.len()))
        });
        let (ending, bytes) = read.await.ok()??;
        let compiled = Arc::new(Compiled { ending, timings: Vec::new(), is_repeatable: true });
        Some(Kept { compiled, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) })
    }

    /// Writes behind the answer's back: a full disk costs nobody an answer.
    fn save(&self, key: Digest, encoded: Vec<u8>) {
        let disk = self.disk.clone();
        tokio::task::spawn_blocking(move || {
            let written = disk.begin().and_then(|mut file| {
                file.write_all(&Digest::of(&encoded).0)?;
                file.write_all(&encoded)?;
                disk.finish(&key.to_string(), file)
            });
            if let Err(error) = written {
                tracing::warn!("a compiled script could not be kept: {error}");
            }
        });
    }
}

/// A file is the digest of what follows, so that damage is noticed, and the ending.
fn decode(bytes: &[u8]) -> Option<Ending> {
    let (digest, encoded) = bytes.split_first_chunk()?;
    if Digest::of(encoded) != Digest(*digest) {
        return None;
    }
    postcard::from_bytes(encoded).ok()
}

/// Of this program's file: another compiler may compile otherwise.
fn own_digest() -> Result<Digest, ServerError> {
    let path = Path::new("/proc/self/exe");
    Ok(Digest::of(&std::fs::read(path).map_err(ServerError::io(path))?))
}
