//! What the options of a request come to: limits (`-D`), and what there is to say of options that change nothing yet.

use std::ops::RangeInclusive;

use shared::diagnostic::{Diagnostic, Note, Severity, similar};
use shared::ir::Limits;
use shared::limits::{ACTIONS_MAX, COUNTED_MAX, MAP_ENTRIES_DEFAULT, MAP_ENTRIES_MAX, NESTING_MAX};
use shared::protocol::request::{Define, Options};

use crate::parse::SYSTEMTAP_VERSION;

/// Limits that a user may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunables {
    /// `MAXMAPENTRIES`: entries of an array whose declaration names no size.
    pub map_entries: u32,
    /// `MAXACTION` and its like.
    pub limits: Limits,
}

impl Default for Tunables {
    fn default() -> Self {
        Self { map_entries: MAP_ENTRIES_DEFAULT, limits: Limits::default() }
    }
}

/// What a definition of SystemTap's does here.
#[derive(Clone)]
enum Effect {
    /// It sets a limit, to a value within a range.
    Limit(fn(&mut Tunables) -> &mut u32, RangeInclusive<u32>),
    /// It will, in a later version.
    Later,
    /// There is nothing here that it could change; the words say why.
    Never(&'static str),
}

/// The definitions that stap(1) names.
const KNOWN: &[(&str, Effect)] = &[
    ("MAXMAPENTRIES", Effect::Limit(|tunables| &mut tunables.map_entries, 1..=MAP_ENTRIES_MAX)),
    ("MAXACTION", Effect::Limit(|tunables| &mut tunables.limits.actions_max, 1..=ACTIONS_MAX)),
    ("MAXERRORS", Effect::Limit(|tunables| &mut tunables.limits.errors_max, 0..=COUNTED_MAX)),
    ("MAXNESTING", Effect::Limit(|tunables| &mut tunables.limits.nesting_max, 1..=NESTING_MAX)),
    ("MAXSKIPPED", Effect::Limit(|tunables| &mut tunables.limits.skipped_max, 0..=COUNTED_MAX)),
    ("INTERRUPTIBLE", Effect::Never("handlers in the kernel do not disable interrupts")),
    ("MAPHASHBIAS", Effect::Never("the kernel sizes its hash tables")),
    ("MAXACTION_INTERRUPTIBLE", Effect::Later),
    ("MAXBACKTRACE", Effect::Later),
    ("MAXSTRINGLEN", Effect::Later),
    ("MAXTRYLOCK", Effect::Never("a handler does not wait for locks")),
    ("MAXUPROBES", Effect::Never("there is no pool of uprobes to run out of")),
    ("MINSTACKSPACE", Effect::Never("the kernel's verifier bounds the stack")),
    ("STP_ALIBI", Effect::Later),
    ("STP_MAXMEMORY", Effect::Later),
    ("STP_NO_BUILDID_CHECK", Effect::Never("a program for another build of the kernel cannot be loaded")),
    ("STP_NO_OVERLOAD", Effect::Later),
    ("STP_OVERLOAD_INTERVAL", Effect::Later),
    ("STP_OVERLOAD_THRESHOLD", Effect::Later),
    ("STP_PROCFS_BUFSIZE", Effect::Later),
    ("TRYLOCKDELAY", Effect::Never("a handler does not wait for locks")),
];

/// The limits that options set, and what there is to say of them.
#[must_use]
pub fn settle(options: &Options) -> (Tunables, Vec<Diagnostic>) {
    let mut tunables = Tunables::default();
    let mut diagnostics = Vec::new();
    for Define { name, value } in &options.defines {
        match KNOWN.iter().find(|(known, _)| known == name) {
            Some((_, Effect::Limit(of, range))) => match number(value.as_deref(), range) {
                Some(number) => *of(&mut tunables) = number,
                None => {
                    let message = format!("-D {name} needs a value between {} and {}", range.start(), range.end());
                    diagnostics.push(said("elaborate/define-value", Severity::Error, message, None));
                }
            },
            Some((_, Effect::Later)) => diagnostics.push(without_effect(&format!("-D {name}"))),
            Some((_, Effect::Never(why))) => {
                let message = format!("-D {name} has no effect");
                diagnostics.push(said("elaborate/no-effect", Severity::Warning, message, Some((*why).to_owned())));
            }
            None => {
                let known = KNOWN.iter().map(|(known, _)| *known);
                let nearest = similar(name, known).first().map(|nearest| format!("did you mean `{nearest}`?"));
                let message = format!("nothing is called {name}: -D {name} has no effect");
                diagnostics.push(said("elaborate/unknown-define", Severity::Warning, message, nearest));
            }
        }
    }
    if let Some(version) = &options.compatible
        && numbers(version) > numbers(SYSTEMTAP_VERSION)
    {
        let message = format!("--compatible {version} is newer than what is known here, SystemTap {SYSTEMTAP_VERSION}");
        diagnostics.push(said("parse/compatible-version", Severity::Error, message, None));
    }
    if options.suppress_handler_errors {
        (tunables.limits.errors_max, tunables.limits.skipped_max) = (COUNTED_MAX, COUNTED_MAX);
    }
    diagnostics.extend(options.suppress_time_limits.then(|| without_effect("--suppress-time-limits")));
    (tunables, diagnostics)
}

fn number(value: Option<&str>, range: &RangeInclusive<u32>) -> Option<u32> {
    value?.parse().ok().filter(|number| range.contains(number))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|number| number.parse().unwrap_or(u64::MAX)).collect()
}

fn without_effect(option: &str) -> Diagnostic {
    said("elaborate/no-effect", Severity::Warning, format!("{option} has no effect in this version"), None)
}

/// A diagnostic of an option, which no place in a script has.
fn said(code: &str, severity: Severity, message: String, note: Option<String>) -> Diagnostic {
    let notes = note.into_iter().map(Note::Note).collect();
    Diagnostic { code: code.to_owned(), severity, message, labels: Vec::new(), notes }
}
