//! The host that scripts are compiled for: one with Debian's 6.1 kernel, its tracepoints, and no programs. It answers as a
//! client would, and the same each time.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use compiler::library::Library;
use compiler::parse::{self, invariants};
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, Options, Output, Request, Stage};
use harness::packages::Unpacked;
use mmap_guard::FileData;
use object::{Object as _, ObjectSymbol as _};
use shared::diagnostic::{Diagnostic, Report, Severity};
use shared::limits::FACT_ROUNDS_MAX;
use shared::target::{Architecture, BuildId, Fact, FactQuery, Feature, Target, glob_matches};
use shared::trust::Privilege;

use crate::ledger::{Entry, STAGES};
use crate::scripts::Script;

/// The host.
pub(crate) struct Host {
    target: Target,
    /// The kernel with its debuginfo, where it is here.
    vmlinux: Option<FileData>,
    tracepoints: Vec<String>,
}

impl Host {
    pub(crate) fn new(kernel: Option<&Unpacked>) -> Result<Self> {
        let mut target = Target {
            architecture: Architecture::X86_64,
            release: "6.1.0-cloud-amd64".to_owned(),
            kernel: BuildId::new(&[0; 20])?,
            features: BTreeSet::from(Feature::ALL),
        };
        let Some(kernel) = kernel else { return Ok(Self { target, vmlinux: None, tracepoints: Vec::new() }) };
        let bytes = mmap_guard::map_file(kernel.vmlinux())?;
        let vmlinux = object::File::parse(&*bytes)?;
        target.kernel = BuildId::new(vmlinux.build_id()?.context("the kernel has a build id")?)?;
        target.release.clone_from(&kernel.release);
        let symbols = vmlinux.symbols().filter_map(|symbol| Some(symbol.name().ok()?.to_owned()));
        let tracepoints: BTreeSet<String> =
            symbols.filter_map(|name| Some(name.strip_prefix("__tracepoint_")?.to_owned())).collect();
        Ok(Self { target, vmlinux: Some(bytes), tracepoints: tracepoints.into_iter().collect() })
    }

    /// Whether there is a kernel to elaborate for.
    pub(crate) fn elaborates(&self) -> bool {
        self.vmlinux.is_some()
    }

    /// Checks that a script prints as one that parses to the same tree. Panics where it does not by itself; what it is with
    /// the macros of the tapset is compared as text.
    pub(crate) fn check_print(&self, script: &Script) -> Result<()> {
        let environment = parse::Environment {
            kernel_release: &self.target.release,
            architecture: "x86_64",
            config: parse::CONFIG_NONE,
            runtime: "kernel",
            privilege: Privilege::Stapdev,
            guru: script.guru,
            compatible: parse::SYSTEMTAP_VERSION,
            arguments: &script.arguments,
            macros: &parse::Macros::default(),
            user_script: true,
        };
        invariants::parser_in(&script.text, &environment);
        let print =
            |text: &str| match self.ask(&Script { text: text.to_owned(), ..script.clone() }, Output::Parsed, &[])? {
                (Compilation::Text(printed, _), _) => Ok(Some(printed)),
                _ => anyhow::Ok(None),
            };
        if let Some(printed) = print(&script.text)? {
            ensure!(print(&printed)?.as_ref() == Some(&printed), "this does not print as it is:\n{printed}");
        }
        Ok(())
    }

    /// How far a script gets.
    pub(crate) fn compile(&self, script: &Script) -> Result<Entry> {
        let output = if self.elaborates() { Output::Elaborated } else { Output::Parsed };
        let mut facts = BTreeMap::new();
        for _ in 0..=FACT_ROUNDS_MAX {
            let given: Vec<Fact> = facts.values().cloned().collect();
            let (compilation, entered) = self.ask(script, output, &given)?;
            // The stage that was entered last is not passed, unless its noun came out.
            return Ok(match compilation {
                Compilation::NeedFacts(queries) => {
                    facts.extend(queries.into_iter().map(|query| (query.clone(), self.answer(query))));
                    continue;
                }
                Compilation::Text(..) | Compilation::Object(..) => entry(entered, Vec::new()),
                Compilation::Refused(report) => entry(entered - 1, lacks(&report)),
                Compilation::DebuginfoMissing(need) => {
                    entry(entered - 1, vec![format!("debuginfo of {}", need.object)])
                }
                Compilation::NeedDebuginfo(needs) => bail!("the world has it or has it not: {needs:?}"),
            });
        }
        bail!("it asks and asks")
    }

    /// Compiles once; also says how many stages were entered.
    fn ask(&self, script: &Script, output: Output, facts: &[Fact]) -> Result<(Compilation, usize)> {
        let asked = Asked { host: self, entered: Cell::new(0) };
        let request = Request {
            script_name: &script.name,
            script: &script.text,
            additions: &[],
            library: &script.library,
            arguments: &script.arguments,
            output,
            guru: script.guru,
            options: &Options::default(),
            target: &self.target,
            facts,
        };
        Ok((compiler::compile(&request, &asked)?, asked.entered.get()))
    }

    fn answer(&self, query: FactQuery) -> Fact {
        match query {
            FactQuery::Elf { path } => Fact::Elf { path, found: Err("no such file".to_owned()) },
            FactQuery::KernelConfig { name } => Fact::KernelConfig { name, value: Err("no such file".to_owned()) },
            FactQuery::Tracepoints { pattern } => {
                let names = self.tracepoints.iter().filter(|name| glob_matches(&pattern, name)).cloned().collect();
                Fact::Tracepoints { pattern, names }
            }
        }
    }
}

/// One question, and how many stages were entered to answer it.
struct Asked<'a> {
    host: &'a Host,
    entered: Cell<usize>,
}

impl World for Asked<'_> {
    fn debuginfo(&self, build_id: &BuildId) -> DebuginfoFile<'_> {
        match &self.host.vmlinux {
            Some(bytes) if *build_id == self.host.target.kernel => DebuginfoFile::Bytes(bytes),
            _ => DebuginfoFile::Missing,
        }
    }

    fn tapset(&self) -> &Library<'_> {
        server::tapset::library()
    }

    fn entered(&self, _: Stage) {
        self.entered.set(self.entered.get() + 1);
    }
}

fn entry(passed: usize, lacks: Vec<String>) -> Entry {
    Entry { reaches: STAGES[passed].to_owned(), lacks }
}

/// What errors are about: their codes, each with the words of the script, which differ least when messages are reworded.
fn lacks(report: &Report) -> Vec<String> {
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let lacks: BTreeSet<String> = errors.map(|error| lack(report, error)).collect();
    lacks.into_iter().collect()
}

fn lack(report: &Report, error: &Diagnostic) -> String {
    const WORDS_CHARS_MAX: usize = 60;
    let place = error.labels.first().map(|label| label.span);
    let words = place.and_then(|span| {
        let text = &report.sources.get(span.source.0 as usize)?.text;
        text.get(span.start as usize..span.end as usize)
    });
    let words: String = words.unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(WORDS_CHARS_MAX).collect();
    format!("{} {words}", error.code).trim_end().to_owned()
}
