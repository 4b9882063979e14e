//! What a client asks.

use serde::{Deserialize, Serialize};

use super::error::PeerMisbehaved;
use crate::limits::{
    ARGUMENTS_MAX, DEFINES_MAX, LIBRARY_BYTES_MAX, LIBRARY_FILES_MAX, LimitExceeded, SCRIPT_BYTES_MAX, SCRIPTS_MAX,
};
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
    /// `-E`: scripts that belong to it.
    pub additions: Vec<Text>,
    /// `-I`: files of the user's own libraries (`.stp`, `.stpm`), those of the first directory first.
    pub library: Vec<Text>,
    /// `$1`, `@1` and so on.
    pub arguments: Vec<String>,
    /// What the compile shall end in.
    pub output: Output,
    /// `-g`
    pub guru: bool,
    /// What else changes the meaning of the script, or what is said of it.
    pub options: Options,
    /// The host.
    pub target: Target,
    /// Answers to what the server asked for in an earlier round.
    pub facts: Vec<Fact>,
}

/// A text and what a person calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// A path, or `<input>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Options of stap(1) that change what a script means, or what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// `--compatible`: the version of SystemTap whose rules are followed, where it is not the newest.
    pub compatible: Option<String>,
    /// `--check-version`: warn of what means something else in another version of SystemTap.
    pub check_version: bool,
    /// `-W`: warnings count as errors.
    pub warnings_are_errors: bool,
    /// `--skip-badvars`: a target variable that cannot be read is 0, with a warning.
    pub skip_badvars: bool,
    /// `--semantic-keep-going`: report every error, however many there are.
    pub keep_going: bool,
    /// `--suppress-handler-errors`: a run-time error skips the rest of the handler, and ends nothing.
    pub suppress_handler_errors: bool,
    /// `--suppress-time-limits`: handlers may run for as long as they like.
    pub suppress_time_limits: bool,
    /// `-D`, in the order given: the last of a name counts.
    pub defines: Vec<Define>,
}

/// `-D NAME=VALUE`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Define {
    /// `MAXMAPENTRIES`
    pub name: String,
    /// What stands behind the `=`, if there is one.
    pub value: Option<String>,
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
        LimitExceeded::check("number of scripts", compile.additions.len() as u64 + 1, SCRIPTS_MAX as u64)?;
        for addition in &compile.additions {
            LimitExceeded::check("script size in bytes", addition.text.len() as u64, SCRIPT_BYTES_MAX as u64)?;
        }
        check_library(&compile.library)?;
        LimitExceeded::check("number of definitions (-D)", compile.options.defines.len() as u64, DEFINES_MAX as u64)?;
        Ok(())
    }
}

/// Checks the files of the user's own libraries against the limits.
///
/// # Errors
/// At the first limit exceeded.
pub fn check_library(files: &[Text]) -> Result<(), LimitExceeded> {
    LimitExceeded::check("number of library files (-I)", files.len() as u64, LIBRARY_FILES_MAX as u64)?;
    let bytes = files.iter().map(|file| file.name.len() + file.text.len()).sum::<usize>() as u64;
    LimitExceeded::check("size of library files (-I) in bytes", bytes, LIBRARY_BYTES_MAX as u64)
}
