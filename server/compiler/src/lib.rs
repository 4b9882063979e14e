//! The stap language to eBPF: text in, ELF out.
//!
//! This crate must not do I/O, read a clock or the environment, use threads, randomness or `unsafe`: a compile is a
//! function. What it needs from outside it asks of a [`world::World`].
#![forbid(unsafe_code)]

// The ground that every stage stands on.
pub mod debuginfo;
pub mod library;
pub mod options;
pub mod source;
pub mod world;

// The nouns.
pub mod ast;
pub mod bpf;
pub mod program;

// The verbs, in the order a script meets them.
pub mod parse;

mod reader;

pub mod elaborate;

pub mod translate;

pub mod optimize;

pub mod codegen;

pub mod object;

use std::collections::{BTreeMap, BTreeSet};

use shared::artifact::manifest::{Claims, Digest, KernelClaim};
use shared::diagnostic::{Diagnostic, Label, Note, Report, Severity};
use shared::ir::Ir;
use shared::probe::ProbeKind;
pub use shared::protocol::request::{Define, Options, Output, Text};
use shared::target::{Architecture, BuildId, Fact, FactQuery, Target};
use shared::trust::Privilege;

use crate::library::{Libraries, Library, LibraryFile};
use crate::reader::Texts;
use crate::source::Sources;
use crate::world::World;

/// What is to be compiled, and for which host.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What a person calls the script: a path, or `<input>`.
    pub script_name: &'a str,
    /// Its text.
    pub script: &'a str,
    /// `-E`: scripts that belong to it.
    pub additions: &'a [Text],
    /// `-I`: files of the user's own libraries, those of the first directory first.
    pub library: &'a [Text],
    /// `$1`, `@1` and so on.
    pub arguments: &'a [String],
    /// What the compile shall end in.
    pub output: Output,
    /// `-g`
    pub guru: bool,
    /// `--compatible` and what else changes the meaning of a script.
    pub options: &'a Options,
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
pub fn compile(request: &Request<'_>, world: &dyn World) -> Result<Compilation, InternalError> {
    world.entered(Stage::Parse);
    let own = Library::new(request.library.iter().map(library_file).collect());
    let libraries = Libraries { own: &own, tapset: world.tapset() };
    let config = kernel_config(request.facts);
    let mut texts = Texts::new(parse_environment(request, &config), libraries, request.options.check_version);
    let (tunables, said) = options::settle(request.options);
    texts.diagnostics.extend(said);
    let scripts = user_scripts(request, &mut texts);
    let asked = config_asked(&texts.sources, &texts.diagnostics, request.facts);
    if !asked.is_empty() {
        return Ok(Compilation::NeedFacts(asked));
    }
    take_seriously(request.options, &mut texts.diagnostics);
    if request.output == Output::Parsed || has_errors(&texts.diagnostics) {
        let text = scripts.iter().map(|script| script.file.to_string()).collect();
        return Ok(ended(texts.sources, texts.diagnostics, text));
    }

    world.entered(Stage::Elaborate);
    let Request { target, facts, guru, options, .. } = *request;
    let environment = elaborate::Environment { world, target, facts, guru, options, tunables, libraries };
    let elaboration = elaborate::elaborate(scripts, &environment, &mut texts);
    let asked = config_asked(&texts.sources, &texts.diagnostics, facts);
    if !asked.is_empty() {
        return Ok(Compilation::NeedFacts(asked));
    }
    let Texts { sources, mut diagnostics, .. } = texts;
    diagnostics.extend(elaboration.diagnostics);
    take_seriously(options, &mut diagnostics);
    if has_errors(&diagnostics) {
        return Ok(Compilation::Refused(sources.report(diagnostics)));
    }
    if let Some(missing) = elaboration.debuginfo_missing {
        return Ok(Compilation::DebuginfoMissing(missing));
    }
    if !elaboration.facts_needed.is_empty() {
        return Ok(Compilation::NeedFacts(elaboration.facts_needed.into_iter().collect()));
    }
    if !elaboration.debuginfo_needed.is_empty() {
        return Ok(Compilation::NeedDebuginfo(elaboration.debuginfo_needed.into_iter().collect()));
    }
    let program = elaboration.program;
    if request.output == Output::Elaborated {
        return Ok(ended(sources, diagnostics, program.to_string()));
    }

    world.entered(Stage::Translate);
    let mut ir = match translate::translate(&program, &sources) {
        Ok(ir) => ir,
        Err(refused) => {
            diagnostics.extend(refused);
            return Ok(Compilation::Refused(sources.report(diagnostics)));
        }
    };
    verify(&ir, Stage::Translate)?;
    world.entered(Stage::Optimize);
    optimize::optimize(&mut ir);
    verify(&ir, Stage::Optimize)?;
    if request.output == Output::Translated {
        return Ok(Compilation::Text(ir.to_string(), sources.report(diagnostics)));
    }

    world.entered(Stage::Codegen);
    let missing = codegen::missing_features(&ir, &target.features);
    if let Some(feature) = missing.first() {
        return Ok(refuse(&sources, diagnostics, "codegen/feature", format!("the host's kernel has no {feature}")));
    }
    let bpf = match codegen::generate(&ir, target) {
        Ok(bpf) => bpf,
        Err(unsupported) => {
            diagnostics.extend(unsupported.iter().map(|unsupported| self::unsupported(unsupported, &sources)));
            return Ok(Compilation::Refused(sources.report(diagnostics)));
        }
    };
    if request.output == Output::Disassembled {
        return Ok(Compilation::Text(bpf.to_string(), sources.report(diagnostics)));
    }

    world.entered(Stage::Object);
    let elf = object::write(&bpf).map_err(|message| InternalError { stage: Stage::Object, message })?;
    let object = Object { claims: claims(request, &elf, ir), elf };
    Ok(Compilation::Object(Box::new(object), sources.report(diagnostics)))
}

fn verify(ir: &Ir, stage: Stage) -> Result<(), InternalError> {
    shared::ir::verify::verify(ir).map_err(|error| InternalError { stage, message: error.to_string() })
}

/// The scripts of the user, parsed.
fn user_scripts<'a>(request: &Request<'a>, texts: &mut Texts<'_>) -> Vec<elaborate::Script<'a>> {
    let first = [(request.script_name, request.script)];
    let others = request.additions.iter().map(|text| (text.name.as_str(), text.text.as_str()));
    let mut scripts = Vec::new();
    for (name, text) in first.into_iter().chain(others) {
        let (source, file) = texts.script(name, text);
        scripts.push(elaborate::Script { name, source, file });
    }
    texts.keep_what_all_say("parse/argument-unused", scripts.len());
    scripts
}

fn library_file(text: &Text) -> LibraryFile<'_> {
    LibraryFile { name: &text.name, text: &text.text }
}

/// The end of a compile whose result is a text.
fn ended(sources: Sources, diagnostics: Vec<Diagnostic>, text: String) -> Compilation {
    match has_errors(&diagnostics) {
        true => Compilation::Refused(sources.report(diagnostics)),
        false => Compilation::Text(text, sources.report(diagnostics)),
    }
}

/// `-W`
fn take_seriously(options: &Options, diagnostics: &mut [Diagnostic]) {
    if options.warnings_are_errors {
        diagnostics.iter_mut().for_each(|diagnostic| diagnostic.severity = Severity::Error);
    }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Refuses for a reason that no single place in the script has.
fn refuse(sources: &Sources, mut diagnostics: Vec<Diagnostic>, code: &str, message: String) -> Compilation {
    let (code, severity) = (code.to_owned(), Severity::Error);
    diagnostics.push(Diagnostic { code, severity, message, labels: Vec::new(), notes: Vec::new() });
    Compilation::Refused(sources.report(diagnostics))
}

fn unsupported(unsupported: &codegen::Unsupported, sources: &Sources) -> Diagnostic {
    let codegen::Unsupported { location, point, refusal } = unsupported;
    let mut diagnostic = Diagnostic {
        code: "codegen/unsupported".to_owned(),
        severity: Severity::Error,
        message: refusal.to_string(),
        labels: Vec::new(),
        notes: vec![Note::Note(format!("the handler is that of {point}"))],
    };
    if let codegen::Refusal::NotInKernel(_) = refusal {
        let help = "handlers of `begin`, `end` and timers run outside the kernel, where it is possible";
        diagnostic.notes.push(Note::Help(help.to_owned()));
    }
    diagnostic.labels.extend(sources.span_of(*location).map(|span| Label { span, text: String::new() }));
    diagnostic
}

/// What the server signs.
fn claims(request: &Request<'_>, elf: &[u8], ir: Ir) -> Claims {
    let Target { architecture, release, kernel, .. } = request.target;
    let kinds = ir.handlers.iter().flat_map(|handler| &handler.points).map(|point| point.place.kind());
    let others = request.additions.iter().chain(request.library).map(|text| text.text.as_str());
    let privilege = kinds.map(ProbeKind::privilege).max().unwrap_or_default();
    Claims {
        script_name: request.script_name.to_owned(),
        script_digest: Digest::of_script(request.script, others),
        elf_digest: Digest::of(elf),
        kernel: KernelClaim { architecture: *architecture, release: release.clone(), build_id: kernel.clone() },
        privilege: if request.guru { Privilege::Stapdev } else { privilege },
        guru: request.guru,
        parameters: ir.parameters(),
        ir,
    }
}

/// What the host has said of its kernel's configuration.
fn kernel_config(facts: &[Fact]) -> BTreeMap<String, Option<String>> {
    let known = facts.iter().filter_map(|fact| match fact {
        Fact::KernelConfig { name, value: Ok(value) } => Some((name.clone(), value.clone())),
        _ => None,
    });
    known.collect()
}

/// The options of the kernel's configuration that some text asks for and the host has not been asked about.
fn config_asked(sources: &Sources, diagnostics: &[Diagnostic], facts: &[Fact]) -> Vec<FactQuery> {
    let unknown = diagnostics.iter().filter(|diagnostic| diagnostic.code == parse::CONFIG_UNKNOWN);
    let names = unknown.filter_map(|diagnostic| Some(sources.text(diagnostic.labels.first()?.span)));
    let queries: BTreeSet<_> = names.map(|name| FactQuery::KernelConfig { name: name.to_owned() }).collect();
    queries.into_iter().filter(|query| facts.iter().all(|fact| fact.query() != *query)).collect()
}

/// What conditionals and arguments of the script are answered from.
fn parse_environment<'a>(
    request: &Request<'a>,
    config: &'a BTreeMap<String, Option<String>>,
) -> parse::Environment<'a> {
    const NONE: &parse::Macros = &parse::Macros::NONE;
    parse::Environment {
        kernel_release: &request.target.release,
        architecture: match request.target.architecture {
            Architecture::X86_64 => "x86_64",
        },
        config,
        runtime: "kernel",
        privilege: Privilege::Stapdev,
        guru: request.guru,
        compatible: request.options.compatible.as_deref().unwrap_or(parse::SYSTEMTAP_VERSION),
        arguments: request.arguments,
        macros: NONE,
        user_script: true,
    }
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
