//! The language as documented: every example of the manual in `language/` is a test, and so is that of every page of
//! `tapwire --explain`. `BLESS=1` rewrites what the manual says they come to.
//!
//! `language/README.md` says how an example is written. It runs without a kernel, without privileges and without a server:
//! [`host`] is what it is compiled for, [`session`] runs its handlers.

#[path = "language/explained.rs"]
mod explained;
#[path = "language/host.rs"]
mod host;
#[path = "language/page.rs"]
mod page;
#[path = "language/session.rs"]
mod session;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use client::cli::{self, Command, Goal, Invocation, ScriptSource};
use client::render::{self, Look};
use compiler::Compilation;
use harness::workspace;
use libtest_mimic::{Arguments, Trial};
use page::{Block, Outcome, Page};
use shared::diagnostic::Report;

/// What keeps an example from being checked, or what it does instead.
type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Options of examples name files beside the page.
    std::env::set_current_dir(workspace::root().join("tests/language")).expect("the manual");
    let paths = manual();
    let rules = [
        Trial::test("the_index_has_every_page", || Ok(the_index_has_every_page()?)),
        Trial::test("a_page_that_cannot_fail_is_refused", || Ok(page::test()?)),
    ];
    let pages = paths.into_iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(format!("manual::{name}"), move || Ok(check(&path)?))
    });
    libtest_mimic::run(&arguments, rules.into_iter().chain(pages).chain(explained::trials()).collect()).exit_code()
}

/// The pages of the manual, by their names.
fn manual() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace::root().join("tests/language")).expect("the manual");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.sort();
    pages
}

fn the_index_has_every_page() -> Result<()> {
    let pages = manual();
    let names = pages.iter().filter_map(|path| path.file_name()?.to_str()).filter(|name| *name != "README.md");
    let index = read(&workspace::root().join("tests/language/README.md"))?;
    let missing: Vec<&str> = names.filter(|name| !index.contains(&format!("]({name})"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("README.md has no link to {}", missing.join(", "))) }
}

/// Checks each example of a page, or rewrites the page.
fn check(path: &Path) -> Result<()> {
    let text = read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let page = Page::parse(&text).map_err(|error| format!("{name}:{error}"))?;
    if std::env::var_os("BLESS").is_some() {
        let blessed = page.blessed(happens).map_err(|error| format!("{name}:{error}"))?;
        return std::fs::write(path, blessed).map_err(|error| error.to_string());
    }
    let mut wrong = String::new();
    for example in page.examples() {
        let checked =
            happens(example.script).and_then(Outcome::that_shows_something).and_then(|outcome| example.check(&outcome));
        if let Err(error) = checked {
            let _ = writeln!(wrong, "\n{name}:{}: {error}", example.script.line);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What comes of a script.
fn happens(script: &Block) -> Result<Outcome> {
    let invocation = invocation(script)?;
    let mut outcome = Outcome { runs: matches!(invocation.goal, Goal::Run(_)), ..Outcome::default() };
    let look = Look { colors: None, hide_warnings: invocation.hide_warnings };
    let said = |report: &Report| render::report(report, look);
    match host::compile(&invocation, &script.body)? {
        Compilation::Refused(report) => outcome.error = said(&report),
        Compilation::Text(text, report) => (outcome.output, outcome.error) = (text, said(&report)),
        Compilation::Object(object, report) => {
            outcome.error = said(&report);
            if let Goal::Run(options) = &invocation.goal {
                let session = session::run(&object.claims.ir, options)?;
                outcome.output = session.output;
                outcome.error.push_str(&session.errors);
            }
        }
        other => return Err(format!("the host has an answer to everything, but there is {other:?}")),
    }
    Ok(outcome)
}

/// The options of an example, as `tapwire` has them.
fn invocation(script: &Block) -> Result<Invocation> {
    let options = script.info.split_whitespace().skip(1);
    let words = ["tapwire", "-e", &script.body].into_iter().chain(options).map(Into::into);
    match cli::parse_from(words) {
        Ok(Command::Script(invocation)) if matches!(invocation.script, ScriptSource::Text(_)) => Ok(*invocation),
        Ok(_) => Err("an example is a script".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
