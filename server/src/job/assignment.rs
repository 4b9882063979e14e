//! What passes between the server and a worker process: an [`Assignment`] to its input, then from its output a byte for each
//! stage it enters, [`ANSWER`], and an [`Answer`]. Both ends are this very program, so there is no version.

use std::collections::BTreeMap;
use std::path::PathBuf;

use compiler::Stage;
use serde::{Deserialize, Serialize};
use shared::protocol::request::CompileRequest;
use shared::protocol::response::Timing;
use shared::target::BuildId;

use crate::store::Ending;

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Compile; its answer is an [`Answer`].
    Compile(Box<Assignment>),
    /// Make the index of a debug file; its answer is the index's bytes, or why there are none.
    Index {
        /// The debug file.
        file: PathBuf,
        /// How many threads may work at it.
        threads: usize,
    },
}

/// What a worker is to compile, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// What the client asked.
    pub request: CompileRequest,
    /// What is known of debuginfo.
    pub debuginfo: Debuginfo,
}

/// The files with the debuginfo of a build id, or that nobody has it. Where there is no entry, nobody was asked yet.
pub type Debuginfo = BTreeMap<BuildId, Option<DebuginfoFiles>>;

/// The files with the debuginfo of a build id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebuginfoFiles {
    /// The debug file.
    pub file: PathBuf,
    /// Its index, where there is one yet.
    pub index: Option<PathBuf>,
}

/// What a worker made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How the compile ended.
    pub end: End,
    /// Stage by stage.
    pub timings: Vec<Timing>,
    /// What kept the worker from doing harm.
    pub fence: Fence,
}

/// How a compile ended: [`compiler::Compilation`] as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// In a way that can be kept.
    Ending(Ending),
    /// These are to be fetched first.
    NeedDebuginfo(Vec<Need>),
    /// Nobody has this, and there is no going without.
    DebuginfoMissing(Need),
    /// A bug.
    Internal {
        /// In which stage.
        stage: String,
        /// What.
        message: String,
    },
}

/// Whose debuginfo: [`compiler::DebuginfoNeed`] as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// For people.
    pub object: String,
    /// For machines.
    pub build_id: BuildId,
}

/// What kept a worker from doing harm, beside its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Why Landlock did not close off the file system and the network, if it did not.
    pub landlock: Result<(), String>,
    /// Why seccomp did not close off the rest of the kernel, if it did not.
    pub seccomp: Result<(), String>,
}

/// The byte before an answer.
pub const ANSWER: u8 = 0xff;

/// The byte for a stage.
#[must_use]
pub fn stage_mark(stage: Stage) -> u8 {
    stage as u8
}

/// Takes a worker's output apart: the last stage it entered, and the bytes of its answer if it came that far.
#[must_use]
pub fn take_apart(output: &[u8]) -> (Option<Stage>, Option<&[u8]>) {
    let marks = output.iter().take_while(|&&byte| byte != ANSWER).count();
    let stage =
        marks.checked_sub(1).and_then(|last| STAGES.into_iter().find(|stage| stage_mark(*stage) == output[last]));
    (stage, output.get(marks + 1..))
}

const STAGES: [Stage; 6] =
    [Stage::Parse, Stage::Elaborate, Stage::Translate, Stage::Optimize, Stage::Codegen, Stage::Object];

impl From<compiler::DebuginfoNeed> for Need {
    fn from(need: compiler::DebuginfoNeed) -> Self {
        Self { object: need.object, build_id: need.build_id }
    }
}

impl From<Result<compiler::Compilation, compiler::InternalError>> for End {
    fn from(result: Result<compiler::Compilation, compiler::InternalError>) -> Self {
        use compiler::Compilation;
        match result {
            Ok(Compilation::Object(object, report)) => {
                Self::Ending(Ending::Object { claims: Box::new(object.claims), elf: object.elf, report })
            }
            Ok(Compilation::Text(text, report)) => Self::Ending(Ending::Text { text, report }),
            Ok(Compilation::Refused(report)) => Self::Ending(Ending::Refused(report)),
            Ok(Compilation::NeedFacts(queries)) => Self::Ending(Ending::NeedFacts(queries)),
            Ok(Compilation::NeedDebuginfo(needs)) => Self::NeedDebuginfo(needs.into_iter().map(Need::from).collect()),
            Ok(Compilation::DebuginfoMissing(need)) => Self::DebuginfoMissing(need.into()),
            Err(error) => Self::Internal { stage: error.stage.to_string(), message: error.message },
        }
    }
}
