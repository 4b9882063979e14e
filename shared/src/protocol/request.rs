//! What a client asks.

use serde::{Deserialize, Serialize};

use super::error::PeerMisbehaved;
use crate::limits::{ARGUMENTS_MAX, LimitExceeded, SCRIPT_BYTES_MAX};
use crate::target::{Fact, Target};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Compile a script.
    Compile(CompileRequest),
}

/// A script, and the host it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileRequest {
    /// What a person calls it: a path, or `<input>`.
    pub script_name: String,
    /// Its text.
    pub script: String,
    /// `$1`, `@1` and so on.
    pub arguments: Vec<String>,
    /// What the compile shall end in.
    pub output: Output,
    /// `-g`
    pub guru: bool,
    /// The host.
    pub target: Target,
    /// Answers to what the server asked for in an earlier round.
    pub facts: Vec<Fact>,
}

/// What a compile ends in: the pass it stops after, and the form of what it made there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output {
    /// `-p1`: the tree, as a script.
    Parsed,
    /// `-p2`: the resolved program, as text.
    Elaborated,
    /// `-p3`: the IR, as text.
    Translated,
    /// `-p4 --emit=bpf`: the generated code, as text.
    Disassembled,
    /// `-p4`, `-p5`: the signed artifact.
    Artifact,
}

impl Request {
    /// Checks the request against the limits.
    ///
    /// # Errors
    /// At the first limit exceeded.
    pub fn check(&self) -> Result<(), PeerMisbehaved> {
        let Self::Compile(compile) = self;
        LimitExceeded::check("script size in bytes", compile.script.len() as u64, SCRIPT_BYTES_MAX as u64)?;
        LimitExceeded::check("number of script arguments", compile.arguments.len() as u64, ARGUMENTS_MAX as u64)?;
        Ok(())
    }
}
