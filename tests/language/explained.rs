//! `tapwire --explain`: every code of the compiler has a page, the first example of a page is told that code and nothing else,
//! and the others, which mend it, are told nothing.

use std::collections::BTreeSet;

use compiler::Compilation;
use harness::workspace;
use libtest_mimic::Trial;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use shared::diagnostic::explain::{self, pages};
use shared::limits::SCRIPT_TOKENS_MAX;
use shared::limits::{
    ALIAS_NESTING_MAX, BRACE_BYTES_MAX, DIAGNOSTICS_MAX, MACRO_NESTING_MAX, PROBE_POINTS_MAX, SCRIPT_BYTES_MAX,
    SCRIPT_NESTING_MAX,
};

use super::page::{Block, Page};
use super::{Result, host, invocation};

/// The stages that codes begin with.
const STAGES: [&str; 6] = ["parse/", "elaborate/", "translate/", "optimize/", "codegen/", "object/"];

/// A code, and a script that is told it.
type Large = (&'static str, fn() -> String);

/// Scripts that nobody wants to read on a page.
const LARGE: [Large; 12] = [
    ("elaborate/alias-too-deep", || aliases(ALIAS_NESTING_MAX + 1, "", |n| format!("a{}", n + 1))),
    ("elaborate/functions-too-deep", || {
        let function = |n| format!("function f{n}() {{ return f{}() }}\n", n + 1);
        let functions: String = (0..=SCRIPT_NESTING_MAX).map(function).collect();
        let last = format!("function f{}() {{ return $count }}", SCRIPT_NESTING_MAX + 1);
        format!("{functions}{last}\nprobe kernel.function(\"vfs_read\") {{ println(f0()) }}")
    }),
    ("elaborate/too-large", || aliases(7, &"n++ ".repeat(4_000), |n| format!("a{0}, a{0}", n + 1))),
    ("elaborate/too-many-errors", || {
        let calls: String = (0..=DIAGNOSTICS_MAX).map(|n| format!("nobody_{n}() ")).collect();
        format!("probe begin {{ {calls} }}")
    }),
    ("elaborate/too-many-points", || aliases(PROBE_POINTS_MAX.ilog2() as usize, "", |n| format!("a{0}, a{0}", n + 1))),
    ("parse/macro-too-deep", || {
        let define = |n| format!("@define m{n} %( @m{} %)\n", n + 1);
        let defines: String = (0..=MACRO_NESTING_MAX).map(define).collect();
        format!("{defines}@define m{} %( 1 %)\nprobe begin {{ println(@m0) }}", MACRO_NESTING_MAX + 1)
    }),
    ("parse/too-deep", || format!("probe begin {{ println({}1) }}", "!".repeat(SCRIPT_NESTING_MAX + 1))),
    ("parse/too-large", || " ".repeat(SCRIPT_BYTES_MAX + 1)),
    ("parse/too-many-errors", || format!("probe begin {{ {} }}", "println(08) ".repeat(DIAGNOSTICS_MAX + 1))),
    ("parse/too-many-points", || format!("probe a{} {{}}", ".{b,c}".repeat(BRACE_BYTES_MAX.ilog2() as usize))),
    ("parse/too-many-tokens", || ";".repeat(SCRIPT_TOKENS_MAX + 1)),
    ("translate/limit", || {
        let prints: String = (0..=u16::MAX).map(|n| format!("printf(\"{n}\")\n")).collect();
        format!("probe begin {{ {prints} }}")
    }),
];

/// A chain of aliases, `a0` to `begin`, each with a body and standing for what `points` says.
fn aliases(count: usize, body: &str, points: impl Fn(usize) -> String) -> String {
    let aliases: String = (0..count).map(|n| format!("probe a{n} = {} {{ {body} }}\n", points(n))).collect();
    format!("{aliases}probe a{count} = begin {{ }}\nprobe a0 {{ println(1) }}\n")
}

/// Codes that nobody can be told today, each with the reason.
const UNSEEN: [(&str, &str); 2] =
    [("elaborate/not-an-array", "the parser refuses it"), ("elaborate/not-assignable", "the parser refuses it")];

/// The tests.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let every = Trial::test("every_code_has_a_page", || Ok(every_code_has_a_page()?));
    let pages = pages().map(|page| Trial::test(format!("explain::{}", page.code), move || Ok(check(page)?)));
    std::iter::once(every).chain(pages)
}

fn every_code_has_a_page() -> Result<()> {
    let mut said = BTreeSet::new();
    let root = workspace::root();
    collect_codes(&root.join("server/compiler/src"), &mut said)?;
    let have: BTreeSet<String> = pages().map(|page| page.code.to_owned()).collect();
    let unseen: BTreeSet<String> = UNSEEN.iter().map(|(code, _)| (*code).to_owned()).collect();
    let mut wrong = Vec::new();
    for code in said.difference(&have).filter(|code| !unseen.contains(*code)) {
        wrong.push(format!("{code} has no page: write a section of a file in shared/src/diagnostic/explain/"));
    }
    wrong.extend(have.difference(&said).map(|code| format!("{code} has a page, and is nowhere in the compiler")));
    wrong.extend(unseen.difference(&said).map(|code| format!("{code} is nowhere in the compiler")));
    if wrong.is_empty() { Ok(()) } else { Err(format!("\n{}", wrong.join("\n"))) }
}

fn check(page: explain::Page) -> Result<()> {
    let parsed = Page::parse(page.text)?;
    let mut examples = parsed.examples().map(|example| example.script);
    let large = LARGE.iter().find(|(code, _)| *code == page.code);
    if let Some((_, script)) = large {
        let script = Block { info: "stap -p4".to_owned(), body: script(), line: 0 };
        let codes = codes(&script)?;
        if !codes.contains(page.code) {
            return Err(format!("its script is told {codes:?}"));
        }
    } else {
        let wrong = examples.next().ok_or("the page has no example")?;
        let codes = codes(wrong)?;
        if codes != BTreeSet::from([page.code.to_owned()]) {
            return Err(format!("its example is told {codes:?}"));
        }
    }
    for mended in examples {
        let codes = codes(mended)?;
        if !codes.is_empty() {
            return Err(format!("what mends it is told {codes:?}:\n{}", mended.body));
        }
    }
    Ok(())
}

/// Which codes a script is told.
fn codes(script: &Block) -> Result<BTreeSet<String>> {
    let report = match host::compile(&invocation(script)?, &script.body)? {
        Compilation::Refused(report) | Compilation::Text(_, report) | Compilation::Object(_, report) => report,
        other => return Err(format!("neither taken nor refused: {other:?}")),
    };
    Ok(report.diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect())
}

/// The literals in Rust files that look like a code.
fn collect_codes(directory: &std::path::Path, codes: &mut BTreeSet<String>) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect_codes(&path, codes)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let tokens = super::read(&path)?.parse().map_err(|error| format!("{}: {error}", path.display()))?;
            collect_literals(tokens, codes);
        }
    }
    Ok(())
}

fn collect_literals(tokens: TokenStream, codes: &mut BTreeSet<String>) {
    let mut in_tests = false;
    for token in tokens {
        match token {
            // `#[cfg(test)]` is for all up to the next block.
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                in_tests |= group.stream().to_string().replace(' ', "") == "cfg(test)";
            }
            TokenTree::Group(group) if in_tests && group.delimiter() == Delimiter::Brace => in_tests = false,
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_tests = false,
            TokenTree::Group(group) => collect_literals(group.stream(), codes),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let text = text.trim_matches('"');
                let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-{}".contains(c);
                let mut rest = STAGES.iter().filter_map(|stage| text.strip_prefix(stage));
                if rest.any(|rest| rest.chars().all(kebab)) {
                    codes.insert(text.to_owned());
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}
