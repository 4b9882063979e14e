//! `process("path").function("f")`: functions of a program, by its debuginfo.

use shared::diagnostic::Diagnostic;
use shared::ir::Space;
use shared::probe::Place;
use shared::target::{Fact, FactQuery};

use super::{Form, Log, Point, Resolved, Resolver, Unresolved, functions};

pub(super) const FORMS: &[Form] = &[
    Form { components: &["process()", "function()"], resolve },
    Form { components: &["process()", "function()", "call"], resolve },
    Form { components: &["process()", "function()", "return"], resolve },
];

fn resolve(resolver: &mut Resolver<'_>, point: &Point<'_>, log: &mut Log) -> Resolved {
    let (asked, path_span) = point.string(0)?;
    let (pattern, span) = point.string(1)?;
    let (path, build_id) = match resolver.fact(FactQuery::Elf { path: asked.clone() }, log)? {
        Fact::Elf { found: Ok(elf), .. } => (elf.path.clone(), elf.build_id.clone()),
        Fact::Elf { found: Err(why), .. } => {
            let message = format!("{asked} cannot be probed: {why}");
            return Err(Unresolved::Wrong(Box::new(Diagnostic::error("elaborate/no-program", path_span, message))));
        }
        Fact::Tracepoints { .. } => return Err(Unresolved::Waiting),
    };
    let file = resolver.open(&path, &build_id, path_span, log)?;
    let prefix = format!("process({path:?})");
    let what = functions::Wanted { point, file, pattern: &pattern, span, space: Space::User, prefix: &prefix };
    functions::resolve(resolver, &what, |place, on_return| {
        Some(Place::Uprobe { path: path.clone(), build_id: build_id.clone(), address: place.pc, on_return })
    })
}
