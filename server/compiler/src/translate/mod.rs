//! Pass 3: a resolved program becomes IR. Strings get their bounds, variables become values, what can fail gets its branch.
//!
//! It must not know the tree, debuginfo or BPF.

mod body;
mod bounds;
mod entries;
mod ssa;
mod strings;

use std::collections::BTreeMap;

use shared::abi::format::Format;
use shared::abi::value::Datum;
use shared::diagnostic::{Diagnostic, Severity, Span};
use shared::ir::{self, FormatDecl, FormatId, Ir, Type};

use crate::program::{self, Content, Program, Statistic, Storage};
use crate::source::Sources;
use bounds::Bounds;

/// Translates a program.
///
/// # Errors
/// When it needs what the IR cannot express yet, everything of it, or more formats than an event record can name.
pub fn translate(program: &Program, sources: &Sources) -> Result<Ir, Vec<Diagnostic>> {
    let bounds = Bounds::infer(program);
    let mut unit = Unit {
        program,
        sources,
        bounds: &bounds,
        formats: Formats::default(),
        uses_tokens: false,
        refused: Vec::new(),
    };
    let mut globals: Vec<ir::Global> =
        program.globals.iter().enumerate().map(|(index, global)| unit.global(global, index)).collect();
    let mut functions = Vec::new();
    for (index, function) in program.functions.iter().enumerate() {
        functions.push(body::function(&mut unit, index, function));
    }
    let mut handlers = Vec::new();
    for (index, probe) in program.probes.iter().enumerate() {
        let function = ir::FunctionId(functions.len() as u32);
        handlers.push(ir::Handler { function, points: probe.points.clone() });
        functions.push(body::handler(&mut unit, index, probe));
    }
    unit.check_format_count();
    globals.extend(unit.uses_tokens.then(strings::token_global));
    if !unit.refused.is_empty() {
        return Err(unit.refused);
    }
    let formats = unit.formats.list;
    let sources = sources.all().iter().map(|source| source.name.clone()).collect();
    Ok(Ir { sources, limits: program.limits, globals, formats, functions, handlers })
}

/// The IR's type for a type of the program, with the bound that was inferred where it is a string.
fn ir_type(ty: program::Type, bound: u16) -> Type {
    match ty {
        program::Type::Long | program::Type::Statistic | program::Type::Void => Type::Long,
        program::Type::String => Type::String(bound),
    }
}

fn ir_statistic(statistic: &Statistic) -> ir::Statistic {
    let Statistic { aggregates, histograms, variance_shift } = statistic.clone();
    ir::Statistic { aggregates, histograms, variance_shift }
}

/// What the translation of one body shares with the others.
struct Unit<'a> {
    program: &'a Program,
    sources: &'a Sources,
    bounds: &'a Bounds,
    formats: Formats,
    /// Whether something is kept between calls of `tokenize`.
    uses_tokens: bool,
    /// What cannot be expressed.
    refused: Vec<Diagnostic>,
}

impl Unit<'_> {
    /// Says that something is not supported; whoever asks goes on with something that is.
    fn refuse(&mut self, span: Span, what: &str) {
        let message = format!("{what} is not supported by this version");
        let diagnostic = Diagnostic::error("translate/not-supported", span, message);
        // A handler may be translated for several places.
        if !self.refused.contains(&diagnostic) {
            self.refused.push(diagnostic);
        }
    }

    /// The global behind those of the script.
    fn token_global(&mut self) -> ir::GlobalId {
        self.uses_tokens = true;
        ir::GlobalId(self.program.globals.len() as u16)
    }

    fn check_format_count(&mut self) {
        if self.formats.list.len() > usize::from(u16::MAX) {
            let message = format!("{} different formats, the limit is {}", self.formats.list.len(), u16::MAX);
            let (code, severity) = ("translate/limit".to_owned(), Severity::Error);
            self.refused.push(Diagnostic { code, severity, message, labels: Vec::new(), notes: Vec::new() });
        }
    }

    fn global(&mut self, global: &program::Global, index: usize) -> ir::Global {
        let bounds = &self.bounds.globals[index];
        let storage = match &global.storage {
            Storage::Scalar(initial) => {
                let ty = match initial {
                    Datum::Long(_) => Type::Long,
                    Datum::String(_) => Type::String(bounds.value),
                };
                ir::Storage::Scalar { ty, initial: initial.clone() }
            }
            Storage::Statistic(statistic) => ir::Storage::Statistic(ir_statistic(statistic)),
            Storage::Array { keys, content, entries_max, wrap } => {
                let content = match content {
                    Content::Value(value) => ir::Content::Value(ir_type(*value, bounds.value)),
                    Content::Statistic(statistic) => ir::Content::Statistic(ir_statistic(statistic)),
                };
                let keys = keys.iter().zip(&bounds.keys).map(|(&key, &bound)| ir_type(key, bound)).collect();
                ir::Storage::Array { keys, content, entries_max: *entries_max, wrap: *wrap }
            }
        };
        ir::Global { name: global.name.clone(), storage }
    }
}

/// The formats met so far, each once.
#[derive(Default)]
struct Formats {
    list: Vec<FormatDecl>,
    ids: BTreeMap<FormatDecl, FormatId>,
}

impl Formats {
    /// The id of a format; `near` is what an error's message is said near of.
    fn id(&mut self, format: Format, arguments: Vec<Type>, near: &str) -> FormatId {
        let declared = FormatDecl { format, arguments, near: near.to_owned() };
        *self.ids.entry(declared).or_insert_with_key(|declared| {
            self.list.push(declared.clone());
            FormatId((self.list.len() - 1) as u16)
        })
    }
}
