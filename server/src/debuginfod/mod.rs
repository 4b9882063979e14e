//! Finds the file with the debuginfo of a build id: on this host, else at a debuginfod server.
//!
//! However many ask for a build id at once, it is fetched once, and goes on being fetched when they leave: the next one
//! will ask. What nobody has is remembered for a while. Nothing that arrives is believed before `elf` has looked at it.

mod elf;

mod local;

mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache as Memory;
use shared::protocol::request::CompileRequest;
use shared::protocol::response::Progress;
use shared::target::BuildId;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::cache::Cache;
use crate::config;
use crate::error::ServerError;
use local::Known;
use server::{Answered, Server};

/// The debuginfo of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For people: `the kernel`, or a path.
    pub object: String,
    /// For machines.
    pub build_id: BuildId,
    /// Of the kernel: its release, by which distributions name its file.
    pub release: Option<String>,
}

impl Wanted {
    /// Of an object that a request speaks of.
    #[must_use]
    pub fn new(request: &CompileRequest, object: String, build_id: BuildId) -> Self {
        let is_kernel = build_id == request.target.kernel;
        Self { object, build_id, release: is_kernel.then(|| request.target.release.clone()) }
    }
}

/// Finds debuginfo.
pub struct Debuginfod {
    directories: Vec<PathBuf>,
    cache: Cache,
    servers: Vec<Server>,
    fetches: Semaphore,
    /// What was looked at already.
    known: Memory<BuildId, Known>,
    missing: Memory<BuildId, Arc<Missing>>,
    flights: Mutex<BTreeMap<BuildId, watch::Receiver<Flight>>>,
    missing_life: Duration,
    failed_life: Duration,
}

/// That nobody has it, and who was asked: a line each.
struct Missing {
    tried: Vec<String>,
    forget_at: Instant,
}

/// A fetch that is under way.
#[derive(Debug, Clone)]
enum Flight {
    /// It waits for its turn, or looks on this host.
    Waiting,
    /// A server was asked, and some of the file came.
    Fetching { done: u64, total: Option<u64>, from: String },
    /// It is over.
    Landed(Option<PathBuf>),
}

/// Build ids remembered, found or missing.
const REMEMBERED_MAX: u64 = 10_000;

impl Debuginfod {
    /// Opens the cache below the server's cache directory.
    ///
    /// # Errors
    /// When it cannot be made, or an address is none.
    pub fn open(cache: &Path, config: &config::Debuginfo) -> Result<Self, ServerError> {
        Ok(Self {
            directories: config.directories.clone(),
            cache: Cache::open(cache.join("debuginfo"), "debug", config.cache_bytes_max)?,
            servers: server::all(config)?,
            fetches: Semaphore::new(config.fetches_max),
            known: Memory::new(REMEMBERED_MAX),
            missing: Memory::new(REMEMBERED_MAX),
            flights: Mutex::default(),
            missing_life: Duration::from_secs(config.missing_s),
            failed_life: Duration::from_secs(config.failed_s),
        })
    }

    /// The file on this host, if there is one with that build id in it. Reads the disk.
    #[must_use]
    pub fn here(&self, wanted: &Wanted) -> Option<PathBuf> {
        if let Some(known) = self.known.get(&wanted.build_id).filter(Known::is_unchanged) {
            return Some(known.path);
        }
        self.look(wanted).ok()
    }

    /// The file, fetched where it has to be, or nothing where nobody has it.
    pub async fn find(self: &Arc<Self>, wanted: &Wanted, progress: &mpsc::Sender<Progress>) -> Option<PathBuf> {
        if self.remembered_missing(&wanted.build_id).is_some() {
            return None;
        }
        let mut flight = self.join_or_start(wanted);
        loop {
            let state = flight.borrow_and_update().clone();
            let of_what = format!("debuginfo of {} ({})", wanted.object, wanted.build_id);
            let (activity, bytes_done, bytes_total) = match state {
                Flight::Waiting => (format!("looking for {of_what}"), 0, None),
                Flight::Fetching { done, total, from } => (format!("fetching {of_what} from {from}"), done, total),
                Flight::Landed(path) => return path,
            };
            // A client that reads slowly misses some.
            let _ = progress.try_send(Progress { activity, bytes_done, bytes_total });
            if flight.changed().await.is_err() {
                tracing::error!("fetching debuginfo of {} ended without an end", wanted.build_id);
                return None;
            }
        }
    }

    /// Where a build id that [`Self::find`] did not find was looked for, and what was there: a line each.
    #[must_use]
    pub fn why_missing(&self, build_id: &BuildId) -> Vec<String> {
        self.missing.get(build_id).map(|missing| missing.tried.clone()).unwrap_or_default()
    }

    fn remembered_missing(&self, build_id: &BuildId) -> Option<Arc<Missing>> {
        self.missing.get(build_id).filter(|missing| Instant::now() < missing.forget_at)
    }

    fn join_or_start(self: &Arc<Self>, wanted: &Wanted) -> watch::Receiver<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&wanted.build_id) {
            return flight.clone();
        }
        let (sender, flight) = watch::channel(Flight::Waiting);
        flights.insert(wanted.build_id.clone(), flight.clone());
        tokio::spawn(Arc::clone(self).fly(wanted.clone(), sender));
        flight
    }

    async fn fly(self: Arc<Self>, wanted: Wanted, sender: watch::Sender<Flight>) {
        let _turn = self.fetches.acquire().await;
        let this = Arc::clone(&self);
        let (build_id, flight) = (wanted.build_id.clone(), sender.clone());
        let path = tokio::task::spawn_blocking(move || this.fetch(&wanted, &flight)).await.unwrap_or(None);
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&build_id);
        sender.send_replace(Flight::Landed(path));
    }

    /// Looks everywhere; blocks for as long as that takes.
    fn fetch(&self, wanted: &Wanted, flight: &watch::Sender<Flight>) -> Option<PathBuf> {
        if self.remembered_missing(&wanted.build_id).is_some() {
            return None; // Another fetch ended just before this one began.
        }
        let mut tried = match self.look(wanted) {
            Ok(path) => return Some(path),
            Err(tried) => tried,
        };
        let mut all_answered = true;
        for server in &self.servers {
            let tell = |done, total| {
                flight.send_replace(Flight::Fetching { done, total, from: server.url().to_owned() });
            };
            tell(0, None);
            match server.fetch(&wanted.build_id, &self.cache, &tell) {
                Answered::File(path) => {
                    tracing::info!(build_id = %wanted.build_id, object = wanted.object, from = server.url(), "debuginfo fetched");
                    return Some(path);
                }
                Answered::NotFound => tried.push(format!("{}: not found", server.url())),
                Answered::Failed(why) => {
                    all_answered = false;
                    tried.push(format!("{}: {why}", server.url()));
                }
            }
        }
        if self.servers.is_empty() {
            tried.push(
                "no debuginfod server: set DEBUGINFOD_URLS, or debuginfo.urls in the server's configuration".to_owned(),
            );
        }
        tracing::warn!(build_id = %wanted.build_id, object = wanted.object, tried = tried.join("; "), "debuginfo not found");
        let life = if all_answered { self.missing_life } else { self.failed_life };
        self.missing.insert(wanted.build_id.clone(), Arc::new(Missing { tried, forget_at: Instant::now() + life }));
        None
    }

    /// Looks on this host only.
    fn look(&self, wanted: &Wanted) -> Result<PathBuf, Vec<String>> {
        let cached = self.cache.path(&wanted.build_id.to_string());
        let trees = self.directories.iter().flat_map(|tree| local::places(tree, wanted));
        let mut tried = Vec::new();
        for place in [cached].into_iter().chain(trees) {
            match Known::look(&place, &wanted.build_id) {
                Ok(known) => {
                    self.known.insert(wanted.build_id.clone(), known);
                    return Ok(place);
                }
                Err(why) => tried.push(format!("{}: {why}", place.display())),
            }
        }
        Err(tried)
    }
}
