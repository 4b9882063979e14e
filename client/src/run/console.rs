//! What a session says: the script's output, run-time errors, warnings. Standard error shows things after everything that
//! was printed before them.

use std::fmt::Display;
use std::io::Write as _;

use bstr::{BStr, BString};
use shared::abi::value::Datum;
use shared::ir::{FormatId, Ir, Location, MAXACTION_EXCEEDED, MAXNESTING_EXCEEDED};

use crate::attach::Firing;
use crate::interpret::Message;
use crate::output::Output;

/// The session's mouth.
pub(super) struct Console<'a> {
    ir: &'a Ir,
    pub(super) output: Output,
    /// Run-time errors so far.
    pub(super) errors: u64,
}

impl<'a> Console<'a> {
    pub(super) fn new(ir: &'a Ir, output: Output) -> Self {
        Self { ir, output, errors: 0 }
    }

    /// Prints by one of the script's formats.
    pub(super) fn print(&mut self, format: FormatId, arguments: &[Datum]) {
        if let Some(declared) = self.ir.formats.get(usize::from(format.0)) {
            self.output.print(&declared.format, arguments);
        }
    }

    /// Says a line on standard error.
    pub(super) fn say(&mut self, line: impl Display) {
        self.output.flush();
        // There is nobody left to tell that nobody listens.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Counts a run-time error, and says it unless the session ends already because of others.
    pub(super) fn raise(&mut self, firing: Firing, location: Location, message: &Message) {
        if !self.has_too_many_errors() {
            self.say(error_text(self.ir, firing, location, message));
        }
        self.errors += 1;
    }

    /// Whether there were more run-time errors than a session survives.
    pub(super) fn has_too_many_errors(&self) -> bool {
        self.errors > u64::from(self.ir.limits.errors_max)
    }
}

/// A run-time error as SystemTap words it, and the probe point below.
#[must_use]
pub fn error_text(ir: &Ir, firing: Firing, location: Location, message: &Message) -> BString {
    let mut text = b"ERROR: ".to_vec();
    match message {
        Message::Format { format, arguments } => {
            if let Some(declared) = ir.formats.get(usize::from(format.0)) {
                declared.format.render(arguments, &mut text);
                if !declared.near.is_empty() {
                    text.extend(format!(" near {}", declared.near).into_bytes());
                }
            }
        }
        Message::StepsExceeded => text.extend(MAXACTION_EXCEEDED.as_bytes()),
        Message::DepthExceeded => text.extend(MAXNESTING_EXCEEDED.as_bytes()),
    }
    if location.line > 0 {
        let source = ir.sources.get(usize::from(location.source)).map_or("<input>", String::as_str);
        text.extend(format!(" at {source}:{}:{}", location.line, location.column).into_bytes());
    }
    let point = ir.handlers.get(firing.handler).and_then(|handler| handler.points.get(firing.point));
    if let Some(point) = point {
        text.extend(format!("\n  in probe {}", BStr::new(&point.name)).into_bytes());
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_place_in_the_script_and_its_probe_point() {
        let ir = shared::ir::read::read(
            r#"source s0 "<input>"
format f0 "%s by 0" (string(8)) near "operator '/'"
function u0 "f"
b0():
  return
handler h0 u0
  at "begin" "" begin 0
  at "begin(1)" "" begin 1
"#,
        )
        .expect("an IR");
        let firing = Firing { handler: 0, point: 1 };
        let location = Location { source: 0, line: 1, column: 20 };
        let message = Message::Format { format: FormatId(0), arguments: vec![Datum::String("division".into())] };
        assert_eq!(
            error_text(&ir, firing, location, &message),
            "ERROR: division by 0 near operator '/' at <input>:1:20\n  in probe begin(1)"
        );
        let nowhere = Firing { handler: 7, point: 0 };
        assert_eq!(error_text(&ir, nowhere, Location::default(), &Message::StepsExceeded), "ERROR: MAXACTION exceeded");
    }
}
