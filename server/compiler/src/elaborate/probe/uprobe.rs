//! `process("path").function("f")`: functions of a program, by its debuginfo.

use shared::diagnostic::{Diagnostic, Span};
use shared::ir::Space;
use shared::probe::Place;
use shared::target::{BuildId, Fact, FactQuery};

use super::{Form, Log, Point, Resolved, Resolver, Unresolved, functions};

pub(super) const FORMS: &[Form] = &[
    Form { components: &["process()", "function()"], resolve },
    Form { components: &["process()", "function()", "call"], resolve },
    Form { components: &["process()", "function()", "return"], resolve },
];

fn resolve(resolver: &mut Resolver<'_>, point: &Point<'_>, log: &mut Log) -> Resolved {
    let (asked, path_span) = point.string(0)?;
    let (pattern, span) = point.string(1)?;
    let (path, build_id, file) = open(resolver, &asked, path_span, log)?;
    let prefix = format!("process({path:?})");
    let what = functions::Wanted { point, file, pattern: &pattern, span, space: Space::User, prefix: &prefix };
    functions::resolve(resolver, &what, |place, on_return| {
        Some(Place::Uprobe { path: path.clone(), build_id: build_id.clone(), address: place.pc, on_return })
    })
}

/// Opens the debug file of a program: its full path, its build id, and the file.
pub(super) fn open(
    resolver: &mut Resolver<'_>,
    asked: &str,
    span: Span,
    log: &mut Log,
) -> Result<(String, BuildId, usize), Unresolved> {
    let (path, build_id) = match resolver.fact(FactQuery::Elf { path: asked.to_owned() }, log)? {
        Fact::Elf { found: Ok(elf), .. } => (elf.path.clone(), elf.build_id.clone()),
        Fact::Elf { found: Err(why), .. } => {
            let message = format!("{asked} cannot be probed: {why}");
            return Err(Unresolved::Wrong(Box::new(Diagnostic::error("elaborate/no-program", span, message))));
        }
        Fact::Tracepoints { .. } | Fact::KernelConfig { .. } => return Err(Unresolved::Waiting),
    };
    let file = resolver.open(&path, &build_id, span, log)?;
    Ok((path, build_id, file))
}
