//! What function probes of the kernel and of programs have in common.

use shared::diagnostic::{Diagnostic, Span, similar};
use shared::ir::Space;
use shared::probe::{Place, ProbePoint};
use shared::target::is_glob;

use super::{Derivation, FunctionScope, Point, Resolved, Resolver, Scope, Unresolved};
use crate::debuginfo::{self, Debuginfo, DebuginfoError, Function, Moment, Refusal};

/// Which functions are meant.
pub(super) struct Wanted<'w> {
    pub(super) point: &'w Point<'w>,
    /// The debug file, by its index.
    pub(super) file: usize,
    /// A name or a glob.
    pub(super) pattern: &'w str,
    pub(super) span: Span,
    pub(super) space: Space,
    /// `kernel` or `process("…")`.
    pub(super) prefix: &'w str,
}

/// Finds the functions, and for each the place that `place` makes of it.
pub(super) fn resolve(
    resolver: &Resolver<'_>,
    wanted: &Wanted<'_>,
    place: impl Fn(&debuginfo::Place, bool) -> Option<Place>,
) -> Resolved {
    let &Wanted { point, pattern, span, .. } = wanted;
    let (name, file) = match pattern.split_once('@') {
        Some((_, place)) if place.contains([':', '+']) => {
            let message = "a line after `@` is not supported by this version";
            return Err(Unresolved::wrong("elaborate/not-supported", span, message));
        }
        Some((name, file)) => (name, Some(file)),
        None => (pattern, None),
    };
    let on_return = point.has("return");
    let moment = if on_return { Moment::Return } else { Moment::Entry };
    let suffix = match () {
        () if on_return => ".return",
        () if point.has("call") => ".call",
        () => "",
    };
    let debuginfo = resolver.file(wanted.file);
    let damaged = |error: DebuginfoError| Unresolved::wrong("elaborate/debuginfo", span, error.to_string());
    let functions = match file {
        Some(file) => debuginfo.functions_in(name, file),
        None => debuginfo.functions(name),
    };
    let functions = functions.map_err(damaged)?;
    if functions.found.is_empty() {
        return Err(Unresolved::Wrong(Box::new(none_found(debuginfo, wanted, &functions.refused).map_err(damaged)?)));
    }
    let mut derivations = Vec::new();
    for function in functions.found {
        let found = debuginfo.place(&function, moment).map_err(damaged)?;
        let Some(place) = place(&found, on_return) else { continue };
        let declaration = found.declaration.as_ref().map_or(String::new(), |line| format!("@{line}"));
        let name = format!("{}.function(\"{}{declaration}\"){suffix}", wanted.prefix, function.name);
        let scope = FunctionScope { file: wanted.file, place: found, space: wanted.space };
        let point = ProbePoint { name, function: function.name, place };
        derivations.push(Derivation { point, scope: Scope::Function(scope) });
    }
    Ok(derivations)
}

fn none_found(
    debuginfo: &Debuginfo<'_>,
    wanted: &Wanted<'_>,
    refused: &[(Function, Refusal)],
) -> Result<Diagnostic, DebuginfoError> {
    let &Wanted { pattern, span, .. } = wanted;
    if let Some((function, refusal)) = refused.first() {
        let why = match refusal {
            Refusal::Blocklisted => "the kernel does not allow probes in it",
            Refusal::NotTraced => "the kernel does not allow tracing it",
            Refusal::Init => "its memory is freed after boot",
            Refusal::Part => "only a part of it is left, the rest was inlined; name the part's symbol to probe that",
        };
        let message = format!("function `{}` cannot be probed: {why}", function.name);
        return Ok(Diagnostic::error("elaborate/unprobeable-function", span, message));
    }
    let (name, file) = pattern.split_once('@').map_or((pattern, None), |(name, file)| (name, Some(file)));
    let elsewhere = if file.is_some() { debuginfo.functions(name)?.found } else { Vec::new() };
    let message = match file {
        Some(file) if !elsewhere.is_empty() => format!("no function that matches `{name}` is in a file `{file}`"),
        _ if is_glob(name) => format!("no function matches `{name}`"),
        _ => format!("unknown function `{name}`"),
    };
    let mut diagnostic = Diagnostic::error("elaborate/unknown-probed-function", span, message);
    if !is_glob(name) && elsewhere.is_empty() {
        let all = debuginfo.functions("*")?;
        let similar = similar(name, all.found.iter().map(|function| function.name.as_str()));
        if let Some(nearest) = similar.first() {
            diagnostic = diagnostic.saying(format!("did you mean `{nearest}`?"));
        }
        if similar.len() > 1 {
            diagnostic = diagnostic.note(format!("similar: {}", similar.join(", ")));
        }
    }
    Ok(diagnostic)
}
