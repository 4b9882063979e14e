//! What a server answers.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Report;
use crate::limits::LimitExceeded;
use crate::target::{BuildId, FactQuery};

/// One frame of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Something is going on. Any number of these come first.
    Progress(Progress),
    /// The end of the answer.
    Finished(Box<Outcome>),
}

/// What the server is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// In words: `fetching debuginfo of the kernel (4c094903…)`.
    pub activity: String,
    /// Bytes that have come.
    pub bytes_done: u64,
    /// Bytes that are to come altogether, where that is known.
    pub bytes_total: Option<u64>,
}

/// How a compile ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A signed artifact.
    Artifact {
        /// Its bytes: [`crate::artifact::UntrustedArtifact::parse`] reads them.
        artifact: Vec<u8>,
        /// Warnings.
        report: Report,
        /// Where the time went, a line a stage, for `-v`.
        timings: Vec<Timing>,
    },
    /// The text of an earlier pass.
    Text {
        /// What `-p1` to `-p3` print.
        text: String,
        /// Warnings.
        report: Report,
        /// Where the time went.
        timings: Vec<Timing>,
    },
    /// The script is at fault.
    Refused(Report),
    /// Only the host knows: ask again with the answers.
    NeedFacts(Vec<FactQuery>),
    /// The server is at fault, or something outside.
    Failed(Failure),
}

/// How long a stage took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// `parse`, `elaborate`, `debuginfo`, …
    pub stage: String,
    /// Microseconds.
    pub duration_us: u64,
}

/// Why there is no answer although the script may be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Failure {
    /// No source of debuginfo has this build id.
    #[error("no debuginfo for {object} (build id {build_id})")]
    DebuginfoNotFound {
        /// `the kernel`, or a path.
        object: String,
        /// What was looked for.
        build_id: BuildId,
        /// Where it was looked for, and what was found there: a line each.
        tried: Vec<String>,
    },
    /// The client is known, but not allowed this.
    #[error("this needs privilege {needed}, your certificate is authorised for {granted}")]
    NotAuthorised {
        /// What the request needs.
        needed: crate::trust::Privilege,
        /// What the client has.
        granted: crate::trust::Privilege,
    },
    /// A limit.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// The compile took too long.
    #[error("the compile took longer than {0} ms")]
    Deadline(u64),
    /// A bug.
    #[error("bug in {stage}: {message}; the request was kept as {kept:?}")]
    Internal {
        /// Where.
        stage: String,
        /// What.
        message: String,
        /// Where the server keeps the request for replay.
        kept: String,
    },
}
