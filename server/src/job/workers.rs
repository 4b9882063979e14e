//! Worker processes, from the server's side: started ahead, given one assignment, watched, ended.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use compiler::Stage;
use serde::de::DeserializeOwned;
use shared::limits::{INDEX_BYTES_MAX, LimitExceeded};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::assignment::{Answer, Assignment, Fence, Task, take_apart};
use crate::config;

/// The workers of a server.
pub struct Workers {
    command: Vec<OsString>,
    deadline: Duration,
    memory_bytes_max: u64,
    slots: Semaphore,
    waiting: Semaphore,
    waiting_max: usize,
    /// One that has started and waits for work, so that nobody waits for it to start.
    warm: Arc<Mutex<Option<Child>>>,
}

/// Why a worker did not answer.
#[derive(Debug)]
pub enum WorkerFailure {
    /// It took too long.
    Deadline {
        /// Milliseconds it had.
        deadline_ms: u64,
    },
    /// It needed too much, or too many wait.
    Limit(LimitExceeded),
    /// It died.
    Died {
        /// The last stage it entered.
        stage: Option<Stage>,
        /// What is known of its end.
        message: String,
    },
    /// It could not be started.
    Start(io::Error),
}

/// Bytes of a worker's output: an ELF object, its IR and the timings, or an index.
const OUTPUT_BYTES_MAX: u64 = (INDEX_BYTES_MAX as u64) + (1 << 20);

/// How long the making of an index may take. That of a kernel takes seconds, that of a browser a minute.
const INDEX_DEADLINE: Duration = Duration::from_secs(600);

/// Bytes of what a worker says on its standard error that are kept: its last words.
const LAST_WORDS_BYTES_MAX: u64 = 4096;

impl Workers {
    /// Starts the first worker.
    #[must_use]
    pub fn new(config: &config::Job) -> Self {
        let workers = Self {
            command: config.worker.clone(),
            deadline: Duration::from_millis(config.deadline_ms),
            memory_bytes_max: config.memory_bytes_max,
            slots: Semaphore::new(config.jobs_max),
            waiting: Semaphore::new(config.jobs_waiting_max),
            waiting_max: config.jobs_waiting_max,
            warm: Arc::default(),
        };
        workers.warm_up();
        workers
    }

    /// Has a worker compile. Dropping the future ends the worker.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn run(&self, assignment: &Assignment) -> Result<Answer, WorkerFailure> {
        let _slot = self.slot().await?;
        let input = encode(&Task::Compile(Box::new(assignment.clone())));
        let watch = async {
            let mut child = self.take_warm().map_or_else(|| self.start(), Ok).map_err(WorkerFailure::Start)?;
            if !hand_over(&mut child, &input).await {
                // It died while it waited; another one does it.
                child = self.start().map_err(WorkerFailure::Start)?;
                hand_over(&mut child, &input).await;
            }
            self.warm_up();
            self.attend(child).await
        };
        let answer: Answer = within(self.deadline, watch).await?;
        warn_of_gaps(&answer.fence);
        Ok(answer)
    }

    /// Has a worker make the index of a debug file, or say why there can be none. It takes no slot from compiles.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn index(&self, file: PathBuf) -> Result<Result<Vec<u8>, String>, WorkerFailure> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let input = encode(&Task::Index { file, threads });
        let watch = async {
            let mut child = self.start().map_err(WorkerFailure::Start)?;
            hand_over(&mut child, &input).await;
            self.attend(child).await
        };
        within(INDEX_DEADLINE, watch).await
    }

    async fn slot(&self) -> Result<tokio::sync::SemaphorePermit<'_>, WorkerFailure> {
        let max = self.waiting_max as u64;
        let crowd =
            |_| WorkerFailure::Limit(LimitExceeded { limit: "number of waiting requests".into(), value: max + 1, max });
        let _waiting = self.waiting.try_acquire().map_err(crowd)?;
        let closed = |_| WorkerFailure::Start(io::Error::other("the server is shutting down"));
        self.slots.acquire().await.map_err(closed)
    }

    /// Reads what the worker says until it ends.
    async fn attend<A: DeserializeOwned>(&self, mut child: Child) -> Result<A, WorkerFailure> {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (output, last_words) = tokio::join!(read(stdout, OUTPUT_BYTES_MAX), read(stderr, LAST_WORDS_BYTES_MAX));
        let status = child.wait().await.map_err(WorkerFailure::Start)?;
        let (stage, answer) = take_apart(&output);
        match answer.map(postcard::from_bytes) {
            Some(Ok(answer)) if status.success() => Ok(answer),
            _ => Err(self.died(stage, status, &String::from_utf8_lossy(&last_words))),
        }
    }

    fn died(&self, stage: Option<Stage>, status: ExitStatus, last_words: &str) -> WorkerFailure {
        // The allocator's last words (std::alloc::handle_alloc_error).
        if let Some(rest) = last_words.split_once("memory allocation of ").map(|(_, rest)| rest) {
            let wanted: u64 = rest.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let max = self.memory_bytes_max;
            let value = max.saturating_add(wanted);
            return WorkerFailure::Limit(LimitExceeded { limit: "memory of a compile in bytes".into(), value, max });
        }
        let last_words = last_words.trim();
        let colon = if last_words.is_empty() { "" } else { ": " };
        WorkerFailure::Died { stage, message: format!("the worker ended by {status}{colon}{last_words}") }
    }

    /// Puts a worker aside for the next assignment, if none is there.
    fn warm_up(&self) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.is_none() {
            match self.start() {
                Ok(child) => *warm = Some(child),
                Err(error) => tracing::error!("cannot start a worker: {error}"),
            }
        }
    }

    fn take_warm(&self) -> Option<Child> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn start(&self) -> io::Result<Child> {
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Command::new(program)
            .args(arguments)
            .arg(self.memory_bytes_max.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// postcard fails only on sequences of unknown length, which a task has none of.
fn encode(task: &Task) -> Vec<u8> {
    postcard::to_stdvec(task).unwrap_or_default()
}

async fn within<A>(
    deadline: Duration,
    watch: impl Future<Output = Result<A, WorkerFailure>>,
) -> Result<A, WorkerFailure> {
    let late = |_| WorkerFailure::Deadline { deadline_ms: deadline.as_millis() as u64 };
    tokio::time::timeout(deadline, watch).await.map_err(late)?
}

/// Gives a worker its task; says whether it took it.
async fn hand_over(child: &mut Child, input: &[u8]) -> bool {
    match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(input).await.is_ok(),
        None => false,
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What cannot be read is missing from the answer, which is then none.
        let _ = from.take(bytes_max).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Says once what the kernel does not offer.
fn warn_of_gaps(fence: &Fence) {
    static LANDLOCK: Once = Once::new();
    static SECCOMP: Once = Once::new();
    for (once, name, closed) in [(&LANDLOCK, "Landlock", &fence.landlock), (&SECCOMP, "seccomp", &fence.seccomp)] {
        if let Err(error) = closed {
            once.call_once(|| tracing::warn!("workers run without {name}: {error}"));
        }
    }
}
