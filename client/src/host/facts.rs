//! The facts file: a host written down, so that a script can be compiled for it elsewhere.
//!
//! It is TOML, hostile, and refused when it holds a key that is not known:
//!
//! ```toml
//! tracepoints = ["sched_switch", "sched_wakeup"]
//!
//! [target]
//! architecture = "x86_64"
//! release = "6.1.0-56-cloud-amd64"
//! kernel = "4c094903…"                 # build id
//! features = ["kprobe", "ring_buffer"]
//!
//! [elf]
//! "/usr/bin/bash" = "2a6b…"            # build id
//!
//! [config]                             # what is set in the kernel's configuration; not there where it is not known
//! CONFIG_SMP = "y"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shared::limits::{FACTS_BYTES_MAX, LimitExceeded};
use shared::target::{Architecture, BuildId, ElfFile, Fact, FactQuery, Feature, Target, glob_matches};

use super::HostError;

/// What a facts file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel.
    pub target: Target,
    /// Its tracepoints, and those of the modules that were loaded.
    pub tracepoints: Vec<String>,
    /// Build ids of programs, by path.
    pub elf: BTreeMap<String, BuildId>,
    /// What is set in the kernel's configuration, where that is known.
    pub config: Option<BTreeMap<String, String>>,
}

/// The file's form, which stays as it is when [`Target`] changes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsFile {
    tracepoints: BTreeSet<String>,
    target: TargetTable,
    #[serde(default)]
    elf: BTreeMap<String, BuildId>,
    config: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetTable {
    architecture: Architecture,
    release: String,
    kernel: BuildId,
    features: BTreeSet<Feature>,
}

impl HostFacts {
    /// Reads a facts file.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or says something it should not.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| HostError::facts_file(path, error.to_string()))?;
        let read = file.take(FACTS_BYTES_MAX as u64 + 1).read_to_string(&mut text);
        read.map_err(|error| HostError::facts_file(path, error.to_string()))?;
        Self::from_toml(&text).map_err(|reason| HostError::facts_file(path, reason))
    }

    /// Recognises the text of a facts file.
    ///
    /// # Errors
    /// With the first thing wrong about it, on one line.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        LimitExceeded::check("size of a facts file in bytes", text.len() as u64, FACTS_BYTES_MAX as u64)
            .map_err(|error| error.to_string())?;
        let file: FactsFile = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        let TargetTable { architecture, release, kernel, features } = file.target;
        let target = Target { architecture, release, kernel, features };
        Ok(Self { target, tracepoints: file.tracepoints.into_iter().collect(), elf: file.elf, config: file.config })
    }

    /// The text of a facts file, the same for the same facts.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Target { architecture, release, kernel, features } = self.target.clone();
        let target = TargetTable { architecture, release, kernel, features };
        let tracepoints = self.tracepoints.iter().cloned().collect();
        let file = FactsFile { tracepoints, target, elf: self.elf.clone(), config: self.config.clone() };
        // The form has nothing that TOML cannot say.
        let text = toml::to_string_pretty(&file).unwrap_or_default();
        format!("# A host as `tapwire facts` found it; `tapwire --facts FILE -p4 SCRIPT` compiles for it.\n{text}")
    }

    /// Answers a question as the described host would.
    #[must_use]
    pub fn answer(&self, query: &FactQuery) -> Fact {
        match query {
            FactQuery::Elf { path } => {
                let found =
                    self.elf.get(path).map(|build_id| ElfFile { path: path.clone(), build_id: build_id.clone() });
                let missing = || "not in the facts file: write it with `tapwire facts --elf PATH`".to_owned();
                Fact::Elf { path: path.clone(), found: found.ok_or_else(missing) }
            }
            FactQuery::Tracepoints { pattern } => {
                let names = self.tracepoints.iter().filter(|name| glob_matches(pattern, name)).cloned().collect();
                Fact::Tracepoints { pattern: pattern.clone(), names }
            }
            FactQuery::KernelConfig { name } => {
                let value = self.config.as_ref().map(|config| config.get(name).cloned());
                let missing = || "the facts file does not say how the kernel is configured".to_owned();
                Fact::KernelConfig { name: name.clone(), value: value.ok_or_else(missing) }
            }
        }
    }
}

fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message: String = error.message().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let Some(span) = error.span() else { return message };
    let line = text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1;
    format!("line {line}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HostFacts {
        HostFacts {
            target: Target {
                architecture: Architecture::X86_64,
                release: "6.1.0-56-cloud-amd64".to_owned(),
                kernel: "4c0949".parse().expect("a build id"),
                features: [Feature::RingBuffer, Feature::Kprobe].into(),
            },
            tracepoints: ["sched_switch", "sched_wakeup", "sys_enter"].map(str::to_owned).to_vec(),
            elf: [("/usr/bin/\"odd\"\n".to_owned(), "2a6b".parse().expect("a build id"))].into(),
            config: Some([("CONFIG_SMP".to_owned(), "y".to_owned())].into()),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = sample().to_toml();
        assert_eq!(HostFacts::from_toml(&text), Ok(sample()), "{text}");
        let bare = HostFacts { elf: BTreeMap::new(), tracepoints: Vec::new(), config: None, ..sample() };
        assert_eq!(HostFacts::from_toml(&bare.to_toml()), Ok(bare));
    }

    #[test]
    fn questions_are_answered_from_the_file() {
        let query = FactQuery::Tracepoints { pattern: "sched_*".to_owned() };
        let Fact::Tracepoints { names, .. } = sample().answer(&query) else { panic!("another answer") };
        assert_eq!(names, ["sched_switch", "sched_wakeup"]);
        let query = FactQuery::Elf { path: "/usr/bin/\"odd\"\n".to_owned() };
        let Fact::Elf { found, .. } = sample().answer(&query) else { panic!("another answer") };
        assert_eq!(found.map(|elf| elf.build_id), Ok("2a6b".parse().expect("a build id")));
        let Fact::Elf { found, .. } = sample().answer(&FactQuery::Elf { path: "/x".to_owned() }) else {
            panic!("another answer")
        };
        assert!(found.expect_err("a build id").contains("--elf"));
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_reason() {
        let good = sample().to_toml();
        let wrong = |from: &str, to: &str| {
            let text = good.replace(from, to);
            assert_ne!(text, good, "the sample has no {from:?}");
            HostFacts::from_toml(&text).expect_err("it was taken")
        };
        assert!(wrong("[target]", "[target]\nsecret = 1").contains("unknown field `secret`"));
        assert!(wrong("[elf]", "[elfs]").contains("unknown field `elfs`"));
        assert!(wrong("\"kprobe\"", "\"kprobes\"").contains("unknown variant `kprobes`"));
        assert!(wrong("\"4c0949\"", "\"4C\"").contains("not a build id"));
        assert!(wrong("\"4c0949\"", "7").contains("line "));
        assert!(wrong("x86_64", "pdp11").contains("unknown variant `pdp11`"));
        assert!(wrong("release = ", "# ").contains("missing field `release`"));
        for hostile in ["", "\0", "[[[[", "[target]", &"[".repeat(100_000), &"a.".repeat(100_000)] {
            assert!(HostFacts::from_toml(hostile).is_err());
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let text = format!("[target]\n\"{}\\n\\u001b[31m\" = 1\n", "x".repeat(10_000));
        let reason = HostFacts::from_toml(&text).expect_err("it was taken");
        assert!(reason.len() < 300 && !reason.contains(char::is_control), "{reason:?}");
    }

    #[test]
    fn a_file_has_a_bound() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(FACTS_BYTES_MAX as u64 + 100).expect("a size");
        let error = HostFacts::open(file.path()).expect_err("it was taken").to_string();
        assert!(error.contains("size of a facts file"), "{error}");
        let error = HostFacts::open(Path::new("/nonexistent")).expect_err("it was taken").to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
