//! `kernel.function("f")`: functions of the kernel, by its debuginfo.

use shared::ir::Space;
use shared::probe::{KernelBase, Place};

use super::{Form, Log, Point, Resolved, Resolver, functions};
use crate::debuginfo::PlaceOffset;

pub(super) const FORMS: &[Form] = &[
    Form { components: &["kernel", "function()"], resolve },
    Form { components: &["kernel", "function()", "call"], resolve },
    Form { components: &["kernel", "function()", "return"], resolve },
];

fn resolve(resolver: &mut Resolver<'_>, point: &Point<'_>, log: &mut Log) -> Resolved {
    let (pattern, span) = point.string(1)?;
    let build_id = resolver.environment.target.kernel.clone();
    let file = resolver.open("the kernel", &build_id, span, log)?;
    let what = functions::Wanted { point, file, pattern: &pattern, span, space: Space::Kernel, prefix: "kernel" };
    functions::resolve(resolver, &what, |place, on_return| match place.offset {
        PlaceOffset::FromStext(offset) => Some(Place::Kprobe { base: KernelBase::Stext, offset, on_return }),
        PlaceOffset::InFile(_) | PlaceOffset::OnlyInProgram => None,
    })
}
