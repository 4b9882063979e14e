//! The host a script is for: what the compile server must know of it, and the answers to what it asks.
//!
//! A host is this one, measured [`live`], or another one, described by a [`facts`] file. Nothing here talks to a server.

use std::path::{Path, PathBuf};

use shared::target::{Fact, FactQuery, Target};

use self::facts::HostFacts;
use crate::sibling::SiblingMissing;

pub mod live;

mod config;

pub mod facts;

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// The one we run on.
    Live(Target),
    /// Another one.
    Described(HostFacts),
}

impl Host {
    /// What is sent with every script.
    #[must_use]
    pub fn target(&self) -> &Target {
        match self {
            Self::Live(target) => target,
            Self::Described(facts) => &facts.target,
        }
    }

    /// Answers a question of the server's.
    ///
    /// # Errors
    /// When this host cannot find out. That there is nothing at a path is an answer.
    pub fn answer(&self, query: &FactQuery) -> Result<Fact, HostError> {
        match self {
            Self::Live(_) => live::answer(query),
            Self::Described(facts) => Ok(facts.answer(query)),
        }
    }
}

/// Why a host cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The operating system does not tell.
    #[error("cannot find out {what}: {error}")]
    Io {
        /// `the kernel's build id`
        what: &'static str,
        /// What it said.
        error: std::io::Error,
    },
    /// No code is generated for this processor.
    #[error("tapwire does not know the processor architecture {0:?}")]
    Architecture(String),
    /// The privileged half is not installed.
    #[error(transparent)]
    NoTaprun(#[from] SiblingMissing),
    /// The kernel does not let us try what it can do.
    #[error("cannot find out what the kernel is able to do: `{} --features` failed{}", taprun.display(), said(.words))]
    Features {
        /// The program that tries.
        taprun: PathBuf,
        /// The first line it said, if any.
        words: String,
    },
    /// The two halves are of different versions.
    #[error("{} knows a kernel feature {name:?} that tapwire does not", taprun.display())]
    UnknownFeature {
        /// The program that tries.
        taprun: PathBuf,
        /// What it printed.
        name: String,
    },
    /// A facts file is unreadable, or says something it should not.
    #[error("facts file {}: {reason}", path.display())]
    FactsFile {
        /// The file.
        path: PathBuf,
        /// Why, on one line.
        reason: String,
    },
    /// `tapwire facts --elf` was given something without a build id.
    #[error("{}: {reason}", path.display())]
    Elf {
        /// The path.
        path: PathBuf,
        /// `no such file`, `no build id`, …
        reason: String,
    },
}

impl HostError {
    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::Features { .. } => &[
                "trying what a kernel can do takes privileges: run as root, or give taprun its capabilities \
                 (setcap cap_bpf,cap_perfmon,cap_syslog+ep taprun)",
                "to compile for another host, or without privileges, give its facts file: --facts FILE",
            ],
            Self::NoTaprun(_) => &[
                "install taprun, the privileged half of the client, beside tapwire",
                "to compile for another host, give its facts file: --facts FILE",
            ],
            Self::UnknownFeature { .. } => &["install tapwire and taprun of the same version"],
            Self::FactsFile { .. } => &["write it on the host it describes: `tapwire facts > FILE`"],
            Self::Elf { .. } => &["a program has a build id when it is linked with --build-id, as distributions do"],
            Self::Io { .. } | Self::Architecture(_) => &[],
        };
        hints.iter().map(|&hint| hint.to_owned()).collect()
    }

    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { what, error }
    }

    fn facts_file(path: &Path, reason: impl Into<String>) -> Self {
        Self::FactsFile { path: path.to_owned(), reason: reason.into() }
    }
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}
