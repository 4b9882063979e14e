//! The stap language to eBPF: text in, ELF out.
//!
//! This crate must not do I/O, read a clock or the environment, use threads, randomness or `unsafe`: a compile is a
//! function. What it needs from outside it asks of a [`world::World`].
#![forbid(unsafe_code)]

// The ground that every stage stands on.
pub mod source;
pub mod world;

// The nouns.
pub mod ast;

// The verbs.
pub mod parse;

use shared::artifact::manifest::Claims;
use shared::diagnostic::Report;
pub use shared::protocol::request::Output;
use shared::target::{BuildId, Fact, FactQuery, Target};

use crate::world::World;

/// What is to be compiled, and for which host.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What a person calls the script: a path, or `<input>`.
    pub script_name: &'a str,
    /// Its text.
    pub script: &'a str,
    /// `$1`, `@1` and so on.
    pub arguments: &'a [String],
    /// What the compile shall end in.
    pub output: Output,
    /// `-g`
    pub guru: bool,
    /// The host.
    pub target: &'a Target,
    /// What the host has answered so far.
    pub facts: &'a [Fact],
}

/// How a compile ends. What is wrong with the script is in a [`Report`]; what is wrong with us is an [`InternalError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compilation {
    /// A program and everything to be signed with it.
    Object(Box<Object>, Report),
    /// The text form of an earlier stage.
    Text(String, Report),
    /// The script is at fault.
    Refused(Report),
    /// Only the host knows.
    NeedFacts(Vec<FactQuery>),
    /// The world answered [`world::DebuginfoFile::NotHere`] for these.
    NeedDebuginfo(Vec<DebuginfoNeed>),
    /// The world answered [`world::DebuginfoFile::Missing`], and the script cannot be compiled without.
    DebuginfoMissing(DebuginfoNeed),
}

/// A program and everything to be signed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub claims: Claims,
    /// The ELF object.
    pub elf: Vec<u8>,
}

/// Whose debuginfo.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DebuginfoNeed {
    /// For people: `the kernel`, or a path.
    pub object: String,
    /// For machines.
    pub build_id: BuildId,
}

/// A stage, as pass timings and bug reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Text to tree.
    Parse,
    /// Tree to resolved program.
    Elaborate,
    /// Program to IR.
    Translate,
    /// IR to better IR.
    Optimize,
    /// IR to BPF.
    Codegen,
    /// BPF to ELF.
    Object,
}

/// A stage handed on something that its own checks refuse: a bug of ours, never of the script's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bug in {stage}: {message}")]
pub struct InternalError {
    /// Where.
    pub stage: Stage,
    /// What.
    pub message: String,
}

/// Takes a script as far as the request says.
///
/// # Errors
/// When a stage breaks its own rules.
pub fn compile(_request: &Request<'_>, world: &dyn World) -> Result<Compilation, InternalError> {
    world.entered(Stage::Parse);
    Err(InternalError { stage: Stage::Parse, message: "not built yet".to_owned() })
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parse => "parse",
            Self::Elaborate => "elaborate",
            Self::Translate => "translate",
            Self::Optimize => "optimize",
            Self::Codegen => "codegen",
            Self::Object => "object",
        })
    }
}
