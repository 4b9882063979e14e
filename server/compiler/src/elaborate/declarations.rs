//! What a script declares, once all that it reaches is known: globals, functions, probes, by the names by which bodies call
//! them.

use std::collections::BTreeMap;

use shared::diagnostic::{Diagnostic, Span};

use super::derive::Derived;
use super::private::as_written;
use super::reach::Reach;
use super::{Log, intrinsic, uses};
use crate::ast::{FunctionDecl, GlobalDecl};
use crate::options::Tunables;

/// The declarations of a script.
pub(super) struct Declarations<'a> {
    pub(super) globals: Vec<GlobalInfo<'a>>,
    /// The functions that some probe reaches, callers before callees.
    pub(super) functions: Vec<&'a FunctionDecl>,
    /// The probes, with their aliases expanded and their places found.
    pub(super) probes: Vec<&'a Derived>,
    /// The sizes of what names none.
    pub(super) tunables: Tunables,
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
    pub(super) fn collect(reach: &'a Reach<'_>, probes: &'a [Derived], tunables: Tunables, log: &mut Log) -> Self {
        let mut this = Self {
            globals: Vec::new(),
            functions: Vec::new(),
            probes: probes.iter().collect(),
            tunables,
            global_indices: BTreeMap::new(),
            function_indices: BTreeMap::new(),
        };
        for declaration in &reach.globals {
            this.global_indices.insert(&declaration.name.text, this.globals.len());
            this.globals.push(GlobalInfo { declaration, key_count: 0 });
        }
        this.add_functions(reach);
        this.find_arrays(log);
        this
    }

    fn add_functions(&mut self, reach: &'a Reach<'_>) {
        let mut indices = BTreeMap::new();
        let in_turn: Vec<_> = reach.called().map(|(name, count)| (name, count, reach.overloads(name, count))).collect();
        let mut has_turn = vec![false; reach.functions.len()];
        in_turn.iter().flat_map(|(.., overloads)| overloads).for_each(|&index| has_turn[index] = true);
        for &index in reach.reached().iter().filter(|&&index| has_turn[index]) {
            indices.insert(index, self.functions.len());
            self.functions.push(&reach.functions[index].declaration);
        }
        for (name, count, overloads) in in_turn {
            let overloads: Vec<usize> = overloads.iter().filter_map(|index| indices.get(index).copied()).collect();
            if !overloads.is_empty() {
                self.function_indices.entry(name).or_default().insert(count, overloads);
            }
        }
    }

    /// Finds out from its uses whether a global is an array, and with how many keys.
    fn find_arrays(&mut self, log: &mut Log) {
        let probes = self.probes.iter().map(|probe| &probe.body);
        let bodies = probes.chain(self.functions.iter().map(|function| &function.body));
        let mut first_uses: BTreeMap<usize, (usize, Span)> = BTreeMap::new();
        for body in bodies {
            for (name, key_count, span) in uses::indexed(body) {
                let Some(&global) = self.global_indices.get(name) else { continue };
                let (first_count, first_span) = *first_uses.entry(global).or_insert((key_count, span));
                if first_count != key_count {
                    let name = as_written(name);
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
