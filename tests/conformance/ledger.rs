//! The ledger: how far each script gets, and what it lacks to get further. It knows nothing of how that is found out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// What a script can reach, from nothing on: the names of the compiler's stages.
pub(crate) const STAGES: [&str; 3] = ["nothing", "parse", "elaborate"];

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    /// The version of the package whose scripts these are.
    pub(crate) package: String,
    /// How many scripts reach a stage. These may only rise.
    pub(crate) reached: BTreeMap<String, usize>,
    /// What `$1`, `$2` and so on stand for in scripts of which upstream does not say how they are called.
    pub(crate) arguments: BTreeMap<String, Vec<String>>,
    /// Scripts that are not meant to parse, each with the reason.
    pub(crate) never: BTreeMap<String, String>,
    /// By name.
    pub(crate) scripts: BTreeMap<String, Entry>,
}

/// What becomes of a script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// One of [`STAGES`].
    pub(crate) reaches: String,
    /// Why it gets no further: codes of errors, each with the words of the script that it is about. Sorted.
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
}

impl Default for Entry {
    fn default() -> Self {
        Self { reaches: STAGES[0].to_owned(), lacks: Vec::new() }
    }
}

impl Entry {
    /// How far that is.
    pub(crate) fn rank(&self) -> usize {
        STAGES.iter().position(|stage| *stage == self.reaches).unwrap_or(0)
    }

    /// The same for a host on which nothing is elaborated: what comes after parsing is as `found`.
    pub(crate) fn only_parsed(&self, found: &Self) -> Self {
        if self.rank() == 0 { self.clone() } else { Self { reaches: STAGES[1].to_owned(), ..found.clone() } }
    }
}

impl Ledger {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let ledger: Self = toml::from_str(&text).with_context(|| format!("{} is no ledger", path.display()))?;
        for (name, entry) in &ledger.scripts {
            ensure!(STAGES.contains(&entry.reaches.as_str()), "{name} reaches `{}`: no such stage", entry.reaches);
        }
        Ok(ledger)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let Self { package, reached, arguments, never, scripts } = self;
        let mut text = format!("{HEAD}\npackage = {package:?}\n\n[reached]\n");
        for (stage, count) in reached {
            writeln!(text, "{stage} = {count}")?;
        }
        text.push_str("\n[arguments]\n");
        for (name, arguments) in arguments {
            writeln!(text, "{name:?} = {arguments:?}")?;
        }
        text.push_str("\n[never]\n");
        for (name, reason) in never {
            writeln!(text, "{name:?} = {reason:?}")?;
        }
        text.push_str("\n[scripts]\n");
        for (name, Entry { reaches, lacks }) in scripts {
            let quoted = |word: &String| toml::Value::String(word.clone()).to_string();
            match &lacks.iter().map(quoted).collect::<Vec<_>>()[..] {
                [] => writeln!(text, "{name:?} = {{ reaches = {reaches:?} }}")?,
                lacks => writeln!(text, "{name:?} = {{ reaches = {reaches:?}, lacks = [{}] }}", lacks.join(", "))?,
            }
        }
        Ok(std::fs::write(path, text)?)
    }

    /// The ledger with what was found, unless a script gets less far than before.
    pub(crate) fn risen(self, found: BTreeMap<String, Entry>) -> Result<Self> {
        for (name, entry) in &found {
            let before = self.scripts.get(name).map_or(0, Entry::rank);
            ensure!(
                entry.rank() >= before,
                "{name} reached `{}`, and now only `{}`: that is nothing to be blessed; it lacks {:#?}",
                STAGES[before],
                entry.reaches,
                entry.lacks
            );
        }
        Ok(Self { reached: counts(&found), scripts: found, ..self })
    }

    /// Every script has an entry, and no entry is of a script that is not there.
    pub(crate) fn check_names(&self, installed: &[&str]) -> Result<()> {
        let missing: Vec<&&str> = installed.iter().filter(|name| !self.scripts.contains_key(**name)).collect();
        ensure!(missing.is_empty(), "the ledger does not have {missing:?}; {}", super::BLESS);
        let gone: Vec<&String> = self.scripts.keys().filter(|name| !installed.contains(&name.as_str())).collect();
        ensure!(gone.is_empty(), "the ledger has {gone:?}, which are not installed");
        Ok(())
    }

    /// The counts are those of the entries, and what is not meant to parse does not.
    pub(crate) fn check_counts(&self) -> Result<()> {
        for name in self.never.keys() {
            let entry = self.scripts.get(name).with_context(|| format!("there is no script {name}"))?;
            ensure!(entry.rank() == 0, "{name} is not meant to parse, and does");
        }
        let counts = counts(&self.scripts);
        ensure!(self.reached == counts, "the ledger counts {:?}, and has {counts:?}", self.reached);
        Ok(())
    }
}

const HEAD: &str = "\
# How far the scripts of Debian's systemtap-doc get, and what they lack to get further. `BLESS=1` writes this file; it
# refuses to write that a script gets less far than before. What is lacked most often:
#
#     grep -oE '\"(parse|elaborate)/[^\"]*\"' tests/conformance/ledger.toml | sort | uniq -c | sort -rn
";

/// How many scripts reach each stage.
fn counts(scripts: &BTreeMap<String, Entry>) -> BTreeMap<String, usize> {
    let count = |rank: usize| scripts.values().filter(|entry| entry.rank() >= rank).count();
    STAGES.iter().enumerate().skip(1).map(|(rank, stage)| ((*stage).to_owned(), count(rank))).collect()
}
