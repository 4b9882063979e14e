//! Pass 3: a resolved program becomes IR. Strings get their bounds, variables become values, what can fail gets its branch.
//!
//! It must not know the tree, debuginfo or BPF.

mod body;
mod bounds;
mod ssa;

use std::collections::BTreeMap;

use shared::abi::format::Format;
use shared::abi::value::Datum;
use shared::ir::{self, FormatDecl, FormatId, Ir, Type};
use shared::limits::LimitExceeded;

use crate::program::{self, Program, Storage};
use crate::source::Sources;
use bounds::Bounds;

/// Translates a program.
///
/// # Errors
/// When it needs more formats than an event record can name.
pub fn translate(program: &Program, sources: &Sources) -> Result<Ir, LimitExceeded> {
    let bounds = Bounds::infer(program);
    let mut unit = Unit { program, sources, bounds: &bounds, formats: Formats::default() };
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
    let formats = unit.formats.list;
    LimitExceeded::check("number of different formats", formats.len() as u64, u64::from(u16::MAX))?;
    let globals =
        program.globals.iter().enumerate().map(|(index, global)| self::global(global, &bounds, index)).collect();
    let sources = sources.all().iter().map(|source| source.name.clone()).collect();
    Ok(Ir { sources, limits: ir::Limits::default(), globals, formats, functions, handlers })
}

fn global(global: &program::Global, bounds: &Bounds, index: usize) -> ir::Global {
    let bounds = &bounds.globals[index];
    let storage = match &global.storage {
        Storage::Scalar(initial) => {
            let ty = match initial {
                Datum::Long(_) => Type::Long,
                Datum::String(_) => Type::String(bounds.value),
            };
            ir::Storage::Scalar { ty, initial: initial.clone() }
        }
        Storage::Array { keys, value, entries_max } => ir::Storage::Array {
            keys: keys.iter().zip(&bounds.keys).map(|(&key, &bound)| ir_type(key, bound)).collect(),
            value: ir_type(*value, bounds.value),
            entries_max: *entries_max,
        },
    };
    ir::Global { name: global.name.clone(), storage }
}

/// The IR's type for a type of the program, with the bound that was inferred where it is a string.
fn ir_type(ty: program::Type, bound: u16) -> Type {
    match ty {
        program::Type::Long | program::Type::Void => Type::Long,
        program::Type::String => Type::String(bound),
    }
}

/// What the translation of one body shares with the others.
struct Unit<'a> {
    program: &'a Program,
    sources: &'a Sources,
    bounds: &'a Bounds,
    formats: Formats,
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
