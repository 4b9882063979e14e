//! The house rules that a machine can check: who may depend on whom, who may touch the outside world, what a file looks
//! like, and under which licences others' code comes in.
//!
//! The tables stand first. A rule that must give way somewhere gives way here, in a table, with the reason beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use harness::{kernels, process, workspace};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde::Deserialize;

/// Every crate of the workspace, what it may depend on, and what its tests may depend on besides. Arrows point down:
/// none may depend on the tests. Their own library depends on no product crate, so that `cargo xtask` is built in seconds.
const ARROWS: [(&str, &[&str], &[&str]); 6] = [
    ("tapwire-shared", &[], &[]),
    ("tapwire-compiler", &["tapwire-shared"], &[]),
    ("tapwire-certs", &["tapwire-shared"], &[]),
    ("tapwire-server", &["tapwire-certs", "tapwire-compiler", "tapwire-shared"], &[]),
    ("tapwire-client", &["tapwire-shared"], &[]),
    (
        "tapwire-tests",
        &[],
        &["tapwire-shared", "tapwire-compiler", "tapwire-server", "tapwire-client", "tapwire-certs"],
    ),
];

/// The compiler's stages. Each imports nouns and the ground, and never another; `lib.rs` alone puts them in a row.
const VERBS: [&str; 6] = ["parse", "elaborate", "translate", "optimize", "codegen", "object"];

/// Where the compiler lives.
const COMPILER: &str = "server/compiler/src/";

/// The one place where gimli's types are known.
const DEBUGINFO: &str = "server/compiler/src/debuginfo/";

/// The crates that are functions: what they know of the outside world, they are told. `clippy.toml` beside each says so
/// as well, with what to do instead.
const PURE: [&str; 2] = ["server/compiler/src/", "shared/src/"];

/// The modules of `std` that reach outside.
const OUTSIDE: [&str; 5] = ["fs", "env", "net", "process", "time"];

/// The one place of `unsafe`: calls into the kernel that no library makes for us.
const UNSAFE: &str = "client/src/kernel/";

/// The roots of crates and programs that forbid `unsafe`. The client cannot: forbid allows no exception.
const FORBID_UNSAFE: [&str; 8] = [
    "certs/src/lib.rs",
    "certs/src/main.rs",
    "server/compiler/src/lib.rs",
    "server/src/lib.rs",
    "server/src/main.rs",
    "shared/src/lib.rs",
    "tests/src/bin/xtask/main.rs",
    "tests/src/lib.rs",
];

/// Lines of a file, beyond which it is to be split.
const LINES_MAX: usize = 1_500;

/// Files that may be longer, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// What no tracked file may name: places of one machine, and hosts of registries, which cargo and apt know. They are
/// spelled in two parts so that this file does not name them.
const UNNAMED: [&str; 9] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("arti", "factory"),
];

/// Files that may name one of them all the same, each with the reason.
const NAMING_FILES: [(&str, &str); 0] = [];

#[test]
fn arrows_between_crates_point_down() {
    let arrows: BTreeMap<_, _> = ARROWS.map(|(name, normal, tests)| (name, (normal, tests))).into();
    let packages = metadata(&["--no-deps"]).packages;
    let names: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, arrows.keys().copied().collect(), "the table has every crate");
    let mut wrong = Vec::new();
    for package in &packages {
        let (normal, tests) = arrows[package.name.as_str()];
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let name = dependency.name.as_str();
            let is_test = dependency.kind.as_deref() == Some("dev");
            if !(normal.contains(&name) || is_test && tests.contains(&name)) {
                wrong.push(format!("{} may not depend on {name}", package.name));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_stage_imports_no_other_stage() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with(COMPILER)) {
        let module = source.module(COMPILER);
        let Some(own) = module.first().filter(|first| VERBS.contains(&first.as_str())) else { continue };
        for path in &source.paths {
            let Some(first) = path.in_crate(&module) else { continue };
            if VERBS.contains(&first) && first != own {
                wrong.push(format!("{}:{}: {own} may not know {first}", source.path, path.line));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_type_of_gimli_leaves_debuginfo() {
    let outside = |source: &&Source| source.path.starts_with(COMPILER) && !source.path.starts_with(DEBUGINFO);
    let wrong = sources().iter().filter(outside).flat_map(|source| source.naming(&["gimli"])).collect::<Vec<_>>();
    assert_none(&wrong);
}

#[test]
fn the_compiler_and_what_is_shared_do_not_look_outside() {
    let pure = |source: &&Source| PURE.iter().any(|directory| source.path.starts_with(directory));
    let outside =
        |source: &Source| OUTSIDE.iter().flat_map(|module| source.naming(&["std", module])).collect::<Vec<_>>();
    let wrong = sources().iter().filter(pure).flat_map(outside).collect::<Vec<_>>();
    assert_none(&wrong);
}

#[test]
fn unsafe_is_in_one_place() {
    let elsewhere = |source: &&Source| !source.path.starts_with(UNSAFE);
    let mut wrong =
        sources().iter().filter(elsewhere).flat_map(|source| source.naming(&["unsafe"])).collect::<Vec<_>>();
    for root in FORBID_UNSAFE {
        let text = fs::read_to_string(workspace::root().join(root)).expect("a root of the table is a file");
        if !text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
            wrong.push(format!("{root}: lacks #![forbid(unsafe_code)]"));
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_test_is_ignored_or_expected_to_panic() {
    let mut wrong = Vec::new();
    for source in &sources() {
        for (number, line) in source.text.lines().enumerate() {
            if ["#[ignore", "#[should_panic"].iter().any(|attribute| line.trim_start().starts_with(attribute)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_file_says_first_what_it_is_and_does_not_grow_without_end() {
    let mut wrong = Vec::new();
    for source in &sources() {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{}:1: a file opens with //! and says what it is", source.path));
        }
        let lines_count = source.text.lines().count();
        if lines_count > LINES_MAX && !LONG_FILES.iter().any(|(path, _)| *path == source.path) {
            wrong.push(format!("{}: {lines_count} lines are more than {LINES_MAX}", source.path));
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_file_names_a_place_of_one_machine_or_a_registry() {
    let here = format!("{}/", workspace::root().display());
    let mut wrong = Vec::new();
    for path in tracked() {
        // What is no text names nothing.
        let Ok(text) = fs::read_to_string(workspace::root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = UNNAMED.into_iter().chain([here.as_str()]).find(|name| line.contains(name));
            if let Some(named) = named.filter(|_| !NAMING_FILES.iter().any(|(file, _)| *file == path)) {
                wrong.push(format!("{path}:{}: names {named}", number + 1));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_page_of_the_machines_has_every_kernel() {
    let page = fs::read_to_string(workspace::root().join("vagrant/README.md")).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let matrix = kernels::matrix().expect("the support matrix is well-formed");
    assert_eq!(rows.collect::<Vec<_>>(), matrix.iter().map(|kernel| kernel.name.as_str()).collect::<Vec<_>>());
}

/// The parts of `deny.toml` that are checked here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[test]
fn the_code_of_others_comes_under_terms_that_we_accept() {
    let text = fs::read_to_string(workspace::root().join("deny.toml")).expect("deny.toml is there");
    let deny: Deny = toml::from_str(&text).expect("deny.toml has the parts that are checked");
    let mut wrong = Vec::new();
    for package in dependencies() {
        let exceptions = deny.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        let accepted = exceptions.flat_map(|exception| &exception.allow).chain(&deny.licenses.allow);
        if !is_accepted(package.license.as_deref(), &accepted.map(String::as_str).collect::<Vec<_>>()) {
            wrong.push(format!("{}: deny.toml does not allow the licence {:?}", package.name, package.license));
        }
        if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
            wrong.push(format!("{}: banned by deny.toml: {}", package.name, ban.reason));
        }
        if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
            wrong.push(format!("{}: comes from {:?} instead of crates.io", package.name, package.source));
        }
    }
    assert_none(&wrong);
}

#[test]
fn licences_are_read_as_expressions() {
    let accepted = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    for license in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "Apache-2.0 WITH LLVM-exception AND MIT"] {
        assert!(is_accepted(Some(license), &accepted), "{license}");
    }
    for license in ["LGPL-2.1-or-later", "MIT AND GPL-3.0-only", "of my own"] {
        assert!(!is_accepted(Some(license), &accepted), "{license}");
    }
    assert!(!is_accepted(None, &accepted), "no licence at all");
}

#[test]
fn paths_are_read_from_tokens() {
    let source = Source::new(
        "server/compiler/src/parse/lexer.rs",
        r#"//! Prose about gimli::Reader and std::fs.
        use std::{io, net::{TcpStream, self}, collections::BTreeMap};
        fn f(x: gimli::Unit) -> u32 { println!("std::fs {}", std::env::args().count()); "unsafe" }
        use super::super::translate::Ir;
        mod tests { use crate::{ast, codegen::emit}; }
        "#,
    );
    assert_eq!(source.naming(&["std", "net"]).len(), 2, "{:?}", source.paths);
    assert_eq!(source.naming(&["std", "env"]), ["server/compiler/src/parse/lexer.rs:3: names std::env::args"]);
    assert_eq!(source.naming(&["gimli"]).len(), 1, "{:?}", source.paths);
    assert!(source.naming(&["std", "fs"]).is_empty(), "comments and strings are no code");
    assert!(source.naming(&["unsafe"]).is_empty(), "comments and strings are no code");
    let module = source.module(COMPILER);
    let named: BTreeSet<_> = source.paths.iter().filter_map(|path| path.in_crate(&module)).collect();
    assert_eq!(named, BTreeSet::from(["ast", "codegen", "translate"]));
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A Rust file of ours.
struct Source {
    path: String,
    text: String,
    paths: Vec<CodePath>,
}

/// `a::b::c` somewhere in code, imports spread out; a single word is a path as well.
#[derive(Debug)]
struct CodePath {
    line: usize,
    segments: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let tokens = text.parse::<TokenStream>().unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
        let mut paths = Vec::new();
        collect_paths(tokens, &[], &mut paths);
        Self { path: path.to_owned(), text: text.to_owned(), paths }
    }

    /// Where code names something that begins with `prefix`.
    fn naming(&self, prefix: &[&str]) -> Vec<String> {
        let begins =
            |path: &&CodePath| path.segments.iter().map(String::as_str).take(prefix.len()).eq(prefix.iter().copied());
        let found = self.paths.iter().filter(begins);
        found.map(|path| format!("{}:{}: names {}", self.path, path.line, path.segments.join("::"))).collect()
    }

    /// The module that the file is, below the crate whose sources are in `directory`: `["parse", "lexer"]`.
    fn module(&self, directory: &str) -> Vec<String> {
        let below = self.path.strip_prefix(directory).unwrap_or(&self.path).trim_end_matches(".rs");
        let words = below.split('/').filter(|word| !["mod", "lib"].contains(word));
        words.map(str::to_owned).collect()
    }
}

impl CodePath {
    /// The first name below the crate's root, for a path that begins with `crate` or climbs there from `module`.
    fn in_crate(&self, module: &[String]) -> Option<&str> {
        let climbs = self.segments.iter().take_while(|segment| *segment == "super").count();
        let starts_at_root = self.segments.first()? == "crate";
        // An inline module climbs once more than its file; who climbs past the root is at the root.
        (starts_at_root || climbs > 0 && climbs >= module.len())
            .then(|| self.segments.get(climbs + usize::from(starts_at_root)).map(String::as_str))?
    }
}

/// Reads paths from tokens, so that comments and strings do not count and the insides of macros do.
fn collect_paths(tokens: TokenStream, prefix: &[String], paths: &mut Vec<CodePath>) {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    let mut colons_count = 0;
    let end = |segments: &mut Vec<String>, line: usize, paths: &mut Vec<CodePath>| {
        if segments.len() > prefix.len() {
            paths.push(CodePath { line, segments: std::mem::replace(segments, prefix.to_vec()) });
        }
    };
    for token in tokens {
        match token {
            TokenTree::Ident(word) => {
                if colons_count != 2 {
                    end(&mut segments, line, paths);
                }
                line = word.span().start().line;
                segments.push(word.to_string());
                colons_count = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons_count += 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && colons_count == 2 => {
                collect_paths(group.stream(), &segments, paths);
                segments = prefix.to_vec();
                colons_count = 0;
            }
            other => {
                end(&mut segments, line, paths);
                colons_count = 0;
                if let TokenTree::Group(group) = other {
                    collect_paths(group.stream(), &[], paths);
                }
            }
        }
    }
    end(&mut segments, line, paths);
}

/// Every file of ours, whether committed yet or not.
fn tracked() -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(workspace::root());
    let listed = process::output(&mut git).expect("the workspace is a git work tree");
    let exists = |path: &&str| workspace::root().join(path).is_file();
    String::from_utf8(listed).expect("our paths are text").lines().filter(exists).map(str::to_owned).collect()
}

fn sources() -> Vec<Source> {
    let is_rust = |path: &String| path.ends_with(".rs");
    let read = |path: String| {
        let text = fs::read_to_string(workspace::root().join(&path)).expect("a listed file can be read");
        Source::new(&path, &text)
    };
    tracked().into_iter().filter(is_rust).map(read).collect()
}

/// What `cargo metadata` says.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// The system that we ship for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn metadata(arguments: &[&str]) -> Metadata {
    let mut cargo = workspace::cargo();
    cargo.args(["metadata", "--format-version", "1", "--locked"]).args(arguments);
    let described = process::output(&mut cargo).expect("cargo describes the workspace");
    serde_json::from_slice(&described).expect("cargo describes it in its own form")
}

/// The packages that are built for us on Linux. `Cargo.lock` has more: what other systems and features would need; and
/// so has the graph of `cargo metadata`, which unites the features of all systems.
fn dependencies() -> Vec<Package> {
    let mut cargo = workspace::cargo();
    cargo.args(["tree", "--locked", "--workspace", "--edges", "all", "--target", TARGET, "--prefix", "none"]);
    let built = process::output(&mut cargo).expect("cargo draws the tree of dependencies");
    let built = String::from_utf8(built).expect("cargo writes text");
    // `NAME vVERSION …`
    let built: BTreeSet<_> = built.lines().filter_map(|line| line.split_once(" v")).collect();
    let is_built = |package: &Package| {
        let version = |rest: &str| rest.split(' ').next() == Some(package.version.as_str());
        built.iter().any(|(name, rest)| *name == package.name && version(rest))
    };
    let packages: Vec<_> = metadata(&[]).packages.into_iter().filter(is_built).collect();
    assert!(packages.iter().any(|package| package.name == "rustls"), "the tree has our dependencies");
    packages
}

/// Whether `license`, an SPDX expression, can be met with the licences `accepted`. The slash of old manifests is an or.
fn is_accepted(license: Option<&str>, accepted: &[&str]) -> bool {
    let Some(Ok(expression)) = license.map(|it| spdx::Expression::parse_mode(it, spdx::ParseMode::LAX)) else {
        return false;
    };
    let accepted: Vec<_> = accepted
        .iter()
        .map(|it| spdx::Licensee::parse(it).expect("deny.toml names licences of the SPDX list"))
        .collect();
    expression.evaluate(|required| accepted.iter().any(|licensee| licensee.satisfies(required)))
}
