//! A job: one request, from admission to outcome.
//!
//! It reads as a request travels: admit, look up, compile (in a worker process, again with each debuginfo that was fetched),
//! permit, sign. It must not know how a request came or where an outcome goes.

pub mod assignment;

pub mod workers;

pub mod worker;

mod fence;

mod index;

mod kept;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::limits::FACT_ROUNDS_MAX;
use shared::protocol::request::CompileRequest;
use shared::protocol::response::{Failure, Outcome, Progress, Timing};
use shared::target::BuildId;
use shared::trust::Privilege;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::debuginfod::{Debuginfod, Wanted};
use crate::error::ServerError;
use crate::index::Indexes;
use crate::policy::{self, Refusal};
use crate::signer::Signer;
use crate::store::{Compiled, Ending, Found, Store};
use assignment::{Answer, Assignment, Debuginfo, DebuginfoFiles, End, Need};
use kept::Kept;
use workers::{WorkerFailure, Workers};

/// Everything that jobs need.
pub struct Jobs {
    store: Store,
    debuginfod: Arc<Debuginfod>,
    indexes: Arc<Indexes>,
    workers: Arc<Workers>,
    signer: Signer,
    kept: Kept,
}

impl Jobs {
    /// Opens caches and key, and starts the first worker.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(config: &Config) -> Result<Self, ServerError> {
        let signer = Signer::open(&config.directory, config.artifact_life_s)?;
        Ok(Self {
            signer,
            store: Store::open(&config.cache, &config.store)?,
            debuginfod: Arc::new(Debuginfod::open(&config.cache, &config.debuginfo)?),
            indexes: Arc::new(Indexes::open(&config.cache, &config.debuginfo)?),
            workers: Arc::new(Workers::new(&config.job)),
            kept: Kept::open(&config.cache)?,
        })
    }

    /// Answers a request of a client at the level `granted`. What goes on meanwhile is told to `progress`, as far as somebody
    /// listens. Dropping the future ends the compile.
    pub async fn answer(
        &self,
        request: &CompileRequest,
        granted: Privilege,
        progress: &mpsc::Sender<Progress>,
    ) -> Outcome {
        self.try_answer(request, granted, progress).await.unwrap_or_else(Outcome::Failed)
    }

    async fn try_answer(
        &self,
        request: &CompileRequest,
        granted: Privilege,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<Outcome, Failure> {
        policy::admit(request, granted)?;
        let mut clock = Stopwatch::new();
        let Found { compiled, is_new } =
            self.store.get_or_compile(self.store.key(request), self.compile(request, progress)).await?;
        let looked_up = clock.lap("lookup");
        let stages = if is_new && !compiled.timings.is_empty() { compiled.timings.clone() } else { vec![looked_up] };
        Ok(match &compiled.ending {
            Ending::Object { claims, elf, report } => {
                let permitted =
                    policy::permit(request, granted, claims, elf).map_err(|refusal| self.refuse(request, refusal))?;
                let artifact = self.signer.sign(permitted, certs::identity::now_s())?;
                let timings = [stages, vec![clock.lap("sign")]].concat();
                Outcome::Artifact { artifact, report: report.clone(), timings }
            }
            Ending::Text { text, report } => {
                Outcome::Text { text: text.clone(), report: report.clone(), timings: stages }
            }
            Ending::Refused(report) => Outcome::Refused(report.clone()),
            Ending::NeedFacts(queries) => Outcome::NeedFacts(queries.clone()),
        })
    }

    /// Compiles, and again whenever the compile turns out to need debuginfo that first had to be found.
    async fn compile(&self, request: &CompileRequest, progress: &mpsc::Sender<Progress>) -> Result<Compiled, Failure> {
        let mut debuginfo = self.at_hand(request).await;
        let mut found = Duration::ZERO;
        for _ in 0..FACT_ROUNDS_MAX {
            let began = Instant::now();
            let assignment = Assignment { request: request.clone(), debuginfo: debuginfo.clone() };
            let Answer { end, timings, .. } =
                self.workers.run(&assignment).await.map_err(|failure| self.worker_failed(&assignment, failure))?;
            match end {
                End::Ending(ending) => {
                    let whole = timing("worker", began.elapsed());
                    let timings = [vec![timing("debuginfo", found)], timings, vec![whole]].concat();
                    let is_repeatable = debuginfo.values().all(Option::is_some);
                    self.index_all(debuginfo);
                    return Ok(Compiled { ending, timings, is_repeatable });
                }
                End::NeedDebuginfo(needs) => {
                    let began = Instant::now();
                    self.find_all(request, needs, &mut debuginfo, progress).await;
                    found += began.elapsed();
                }
                End::DebuginfoMissing(Need { object, build_id }) => {
                    let tried = self.debuginfod.why_missing(&build_id);
                    return Err(Failure::DebuginfoNotFound { object, build_id, tried });
                }
                End::Internal { stage, message } => return Err(self.kept.internal(&assignment, stage, message)),
            }
        }
        let assignment = Assignment { request: request.clone(), debuginfo };
        let message = format!("it needed more debuginfo {FACT_ROUNDS_MAX} times without coming to an end");
        Err(self.kept.internal(&assignment, "debuginfo".to_owned(), message))
    }

    /// What is on this host already, of everything the request names.
    async fn at_hand(&self, request: &CompileRequest) -> Debuginfo {
        let wanted = wanted(request);
        let (debuginfod, indexes) = (Arc::clone(&self.debuginfod), Arc::clone(&self.indexes));
        let look = move || {
            let here = |wanted: Wanted| {
                let files = indexes.with_index(&wanted.build_id, debuginfod.here(&wanted)?);
                Some((wanted.build_id, Some(files)))
            };
            wanted.into_iter().filter_map(here).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Has the indexes made that were missing, so that the next script is answered faster.
    fn index_all(&self, debuginfo: Debuginfo) {
        for (build_id, files) in debuginfo {
            if let Some(DebuginfoFiles { file, index: None }) = files {
                self.indexes.make(build_id, file, &self.workers);
            }
        }
    }

    async fn find_all(
        &self,
        request: &CompileRequest,
        needs: Vec<Need>,
        debuginfo: &mut Debuginfo,
        progress: &mpsc::Sender<Progress>,
    ) {
        for need in needs {
            let wanted = Wanted::new(request, need.object, need.build_id);
            let file = self.debuginfod.find(&wanted, progress).await;
            let (indexes, build_id) = (Arc::clone(&self.indexes), wanted.build_id.clone());
            let look = move || file.map(|file| indexes.with_index(&build_id, file));
            let files = tokio::task::spawn_blocking(look).await.unwrap_or_default();
            debuginfo.insert(wanted.build_id, files);
        }
    }

    fn worker_failed(&self, assignment: &Assignment, failure: WorkerFailure) -> Failure {
        match failure {
            WorkerFailure::Deadline { deadline_ms } => Failure::Deadline(deadline_ms),
            WorkerFailure::Limit(exceeded) => Failure::Limit(exceeded),
            WorkerFailure::Died { stage, message } => {
                let stage = stage.map_or_else(|| "start".to_owned(), |stage| stage.to_string());
                self.kept.internal(assignment, stage, message)
            }
            WorkerFailure::Start(error) => {
                self.kept.internal(assignment, "start".to_owned(), format!("cannot run a worker: {error}"))
            }
        }
    }

    fn refuse(&self, request: &CompileRequest, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::Client(failure) => failure,
            bug @ (Refusal::Unasked(_) | Refusal::Ir(_)) => {
                let assignment = Assignment { request: request.clone(), debuginfo: Debuginfo::new() };
                self.kept.internal(&assignment, "sign".to_owned(), bug.to_string())
            }
        }
    }
}

/// Files whose debuginfo is looked for before anything is compiled. What lies beyond is found when the compile asks for it.
const OBJECTS_AT_HAND_MAX: usize = 64;

/// The debuginfo that a request names before anything is compiled: the kernel's, and that of each file in its facts.
fn wanted(request: &CompileRequest) -> Vec<Wanted> {
    use shared::target::Fact;
    let elf = |fact: &Fact| match fact {
        Fact::Elf { found: Ok(elf), .. } => Some((elf.path.clone(), elf.build_id.clone())),
        Fact::Elf { found: Err(_), .. } | Fact::Tracepoints { .. } | Fact::KernelConfig { .. } => None,
    };
    let kernel: (String, BuildId) = ("the kernel".to_owned(), request.target.kernel.clone());
    let objects = [kernel].into_iter().chain(request.facts.iter().filter_map(elf));
    objects.take(OBJECTS_AT_HAND_MAX).map(|(object, build_id)| Wanted::new(request, object, build_id)).collect()
}

fn timing(stage: &str, duration: Duration) -> Timing {
    Timing { stage: stage.to_owned(), duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) }
}

struct Stopwatch(Instant);

impl Stopwatch {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, stage: &str) -> Timing {
        let lap = timing(stage, self.0.elapsed());
        self.0 = Instant::now();
        lap
    }
}
