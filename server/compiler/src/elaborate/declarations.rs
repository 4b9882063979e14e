//! What a script declares: globals, functions, probes. Functions that no probe reaches are left out.

use std::collections::BTreeMap;

use shared::diagnostic::{Diagnostic, Span, similar};

use super::{Log, intrinsic, uses};
use crate::ast::{Block, FunctionDecl, GlobalDecl, Item, Name, Probe, Stapfile};

/// The declarations of a script.
pub(super) struct Declarations<'a> {
    pub(super) globals: Vec<GlobalInfo<'a>>,
    /// The functions that some probe reaches, callers before callees.
    pub(super) functions: Vec<&'a FunctionDecl>,
    pub(super) probes: Vec<&'a Probe>,
    global_indices: BTreeMap<&'a str, usize>,
    /// By name and number of parameters.
    function_indices: BTreeMap<&'a str, BTreeMap<usize, Vec<usize>>>,
}

/// A global and what its uses say of it.
pub(super) struct GlobalInfo<'a> {
    pub(super) declaration: &'a GlobalDecl,
    /// The number of its keys; 0 for a scalar.
    pub(super) key_count: usize,
}

/// What a call calls.
#[derive(Clone, Copy)]
pub(super) enum Callee<'d> {
    /// Functions of the script, by their indices in [`Declarations::functions`], never none: the first is called, and `next`
    /// in one calls the one after it.
    Functions(&'d [usize]),
    /// A function of the tapset that is built in.
    Intrinsic(&'static intrinsic::Intrinsic),
}

impl<'a> Declarations<'a> {
    pub(super) fn collect(script: &'a Stapfile, log: &mut Log) -> Self {
        let mut this = Self {
            globals: Vec::new(),
            functions: Vec::new(),
            probes: Vec::new(),
            global_indices: BTreeMap::new(),
            function_indices: BTreeMap::new(),
        };
        let mut functions: BTreeMap<(&str, usize), &FunctionDecl> = BTreeMap::new();
        for item in &script.items {
            match item {
                Item::Probe(probe) => this.probes.push(probe),
                Item::Global(global) => this.add_global(global, log),
                Item::Function(function) => {
                    let key = (function.name.text.as_str(), function.parameters.len());
                    if let Some(first) = functions.get(&key) {
                        log.report(duplicate("function", &function.name, first.name.span));
                    } else {
                        functions.insert(key, function);
                    }
                }
                Item::Alias(alias) => {
                    let message = "probe aliases are not supported by this version";
                    log.report(Diagnostic::error("elaborate/not-supported", alias.span, message));
                }
            }
        }
        this.reach(&functions, log);
        this.find_arrays(log);
        this
    }

    fn add_global(&mut self, global: &'a GlobalDecl, log: &mut Log) {
        if let Some(&first) = self.global_indices.get(global.name.text.as_str()) {
            log.report(duplicate("global", &global.name, self.globals[first].declaration.name.span));
            return;
        }
        self.global_indices.insert(&global.name.text, self.globals.len());
        self.globals.push(GlobalInfo { declaration: global, key_count: 0 });
    }

    /// Finds the functions that the probes reach.
    fn reach(&mut self, functions: &BTreeMap<(&'a str, usize), &'a FunctionDecl>, log: &mut Log) {
        let mut bodies: Vec<&'a Block> = self.probes.iter().rev().map(|probe| &probe.body).collect();
        while let Some(body) = bodies.pop() {
            for (name, argument_count) in uses::calls(body) {
                let key = (name.text.as_str(), argument_count);
                let known = self.function_indices.entry(&name.text).or_default();
                if known.contains_key(&argument_count) {
                    continue;
                }
                if let Some(&function) = functions.get(&key) {
                    known.insert(argument_count, vec![self.functions.len()]);
                    self.functions.push(function);
                    bodies.push(&function.body);
                } else if intrinsic::find(&name.text).is_none_or(|found| found.parameters.len() != argument_count) {
                    log.report(unknown_function(name, argument_count, functions));
                }
            }
        }
    }

    /// Finds out from its uses whether a global is an array, and with how many keys.
    fn find_arrays(&mut self, log: &mut Log) {
        let bodies =
            self.probes.iter().map(|probe| &probe.body).chain(self.functions.iter().map(|function| &function.body));
        let mut first_uses: BTreeMap<usize, (usize, Span)> = BTreeMap::new();
        for body in bodies {
            for (name, key_count, span) in uses::indexed(body) {
                let Some(&global) = self.global_indices.get(name) else { continue };
                let (first_count, first_span) = *first_uses.entry(global).or_insert((key_count, span));
                if first_count != key_count {
                    let message = format!("array `{name}` is used with {key_count} keys and with {first_count}");
                    let diagnostic = Diagnostic::error("elaborate/key-count", span, message)
                        .saying(keys(key_count))
                        .also(first_span, format!("{} here", keys(first_count)));
                    log.report(diagnostic);
                }
            }
        }
        for (global, (key_count, _)) in first_uses {
            self.globals[global].key_count = key_count;
        }
    }

    /// The index of a global.
    pub(super) fn global(&self, name: &str) -> Option<usize> {
        self.global_indices.get(name).copied()
    }

    /// What a call calls; nothing where that was reported as unknown.
    pub(super) fn callee(&self, name: &str, argument_count: usize) -> Option<Callee<'_>> {
        if let Some(overloads) = self.function_indices.get(name).and_then(|by_count| by_count.get(&argument_count)) {
            return Some(Callee::Functions(overloads));
        }
        intrinsic::find(name).filter(|found| found.parameters.len() == argument_count).map(Callee::Intrinsic)
    }
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn duplicate(what: &str, name: &Name, first: Span) -> Diagnostic {
    let message = format!("{what} `{}` is declared twice", name.text);
    Diagnostic::error(&format!("elaborate/duplicate-{what}"), name.span, message)
        .saying("again here")
        .also(first, "first here")
}

fn unknown_function(
    name: &Name,
    argument_count: usize,
    functions: &BTreeMap<(&str, usize), &FunctionDecl>,
) -> Diagnostic {
    let mut counts: Vec<usize> =
        functions.keys().filter(|(known, _)| *known == name.text).map(|&(_, count)| count).collect();
    counts.extend(intrinsic::find(&name.text).map(|found| found.parameters.len()));
    if let Some(expected) = counts.first() {
        let message = format!("function `{}` takes {}, not {argument_count}", name.text, arguments(*expected));
        return Diagnostic::error("elaborate/argument-count", name.span, message);
    }
    let mut known: Vec<&str> = functions.keys().map(|&(known, _)| known).collect();
    known.extend(intrinsic::names().map(|name| -> &str { name }));
    let similar = similar(&name.text, known);
    let diagnostic =
        Diagnostic::error("elaborate/unknown-function", name.span, format!("unknown function `{}`", name.text));
    match similar.as_slice() {
        [] => diagnostic,
        [nearest, ..] => {
            diagnostic.saying(format!("did you mean `{nearest}`?")).note(format!("similar: {}", similar.join(", ")))
        }
    }
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    }
}
