//! Hostile scripts: whatever is too much is told and ends, without a stack or a memory being spent.

use shared::limits::{DIAGNOSTICS_MAX, SCRIPT_BYTES_MAX, SCRIPT_NESTING_MAX};

use super::*;

/// Runs a test on the stack that a process starts with; those of test threads are smaller.
fn on_a_main_stack(test: fn()) {
    #[expect(clippy::disallowed_types, reason = "it gives the parser the stack that a process has")]
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The codes of what is said about a text, each once.
fn codes(input: &str) -> Vec<String> {
    let (_, _, diagnostics) = parse_text(&ENVIRONMENT, input);
    let mut codes: Vec<String> = diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect();
    codes.dedup();
    codes.truncate(4);
    codes
}

#[test]
fn trees_are_not_too_high() {
    on_a_main_stack(too_high);
}

fn too_high() {
    let count = 20_000;
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("- ", "1", ""),
        ("!", "1", ""),
        ("a[", "1", "]"),
        ("f(", "1", ")"),
        ("x = ", "1", ""),
        ("1 ? ", "1", " : 1"),
        ("1 ? 1 : ", "1", ""),
        ("[[", "1", "] in a] in a"),
        ("@count(", "1", ")"),
        ("@cast(", "1", ", \"t\")"),
        ("print(", "1", ")"),
        ("{", "1", "}"),
        ("if (1) ", "1", ""),
        ("if (1) 1; else ", "1", ""),
        ("while (1) ", "1", ""),
        ("foreach (k in a) ", "1", ""),
        ("try { ", "1", " } catch { }"),
        ("", "1", " + 1"),
        ("", "1", " . 1"),
        ("", "a", "->b"),
        ("", "a", "[1]"),
        ("", "a", " && a in b"),
        ("", "&a", "->b"),
        ("1 || ", "1", ""),
    ] {
        let body = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
        let script = format!("probe p {{ {body} }}");
        assert_eq!(codes(&script)[0], "parse/too-deep", "{open}{middle}{close}");
        let open_only = format!("probe p {{ {} ", open.repeat(count));
        codes(&open_only);
    }
    let braces = format!("probe {}a{} {{}}", "{".repeat(count), "}".repeat(count));
    assert_eq!(codes(&braces)[0], "parse/too-deep");
}

#[test]
fn trees_may_be_quite_high() {
    on_a_main_stack(quite_high);
}

fn quite_high() {
    let high = SCRIPT_NESTING_MAX - 10;
    for body in [
        format!("x = {}1{}", "(".repeat(high), ")".repeat(high)),
        format!("x = 1{}", " + 1".repeat(high)),
        format!("x = a{}", "->b".repeat(high)),
        format!("x = {}1", "- ".repeat(high)),
        format!("{}1{}", "if (1) {".repeat(high / 2), "}".repeat(high / 2)),
    ] {
        assert_eq!(codes(&format!("probe p {{ {body} }}")), [""; 0], "{body}");
    }
}

#[test]
fn macros_do_not_explode() {
    let mut bomb = String::from("@define m0 %( %)");
    for level in 1..60 {
        bomb.push_str(&format!("@define m{level} %( @m{0} @m{0} %)", level - 1));
    }
    assert_eq!(codes(&format!("{bomb} probe p {{ @m59 }}")), ["parse/too-many-tokens"]);
    let mut arguments = "1".to_owned();
    for _ in 0..60 {
        arguments = format!("@twice({arguments})");
    }
    let twice = format!("@define twice(x) %( @x + @x %) probe p {{ {arguments} }}");
    assert_eq!(codes(&twice)[0], "parse/too-many-tokens");
    let nested = format!("@define id(x) %( @x %) probe p {{ {}1{} }}", "@id(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(codes(&nested)[0], "parse/too-many-tokens");
}

#[test]
fn macros_do_not_nest_without_end() {
    let mut chain = String::from("@define m0 %( 1 %)");
    for level in 1..10_000 {
        chain.push_str(&format!("@define m{level} %( @m{} %)", level - 1));
    }
    assert_eq!(codes(&format!("{chain} probe p {{ x = @m9999 }}")), ["parse/macro-too-deep"]);
}

#[test]
fn macros_have_few_parameters() {
    let parameters = (0..1000).map(|index| format!("p{index}")).collect::<Vec<_>>().join(", ");
    assert_eq!(codes(&format!("@define m({parameters}) %( 1 %) probe p {{ }}"))[0], "parse/macro-definition");
}

#[test]
fn arguments_do_not_explode() {
    let argument = vec!["1 ".repeat(100_000)];
    let environment = Environment { arguments: &argument, ..ENVIRONMENT };
    let (_, _, diagnostics) = parse_text(&environment, &format!("probe p {{ {} }}", "$1 ".repeat(1000)));
    assert_eq!(diagnostics[0].code, "parse/too-many-tokens");
    let glued: String = (0..1000).map(|index| format!("$1x{index} ")).collect();
    let (_, _, diagnostics) = parse_text(&environment, &format!("probe p {{ {glued} }}"));
    assert_eq!(diagnostics[0].code, "parse/too-many-tokens");
}

#[test]
fn braces_do_not_explode() {
    assert_eq!(codes(&format!("probe {}a {{}}", "{a,b}.".repeat(40))), ["parse/too-many-points"]);
    let large = format!("probe {{a,b}}.f(\"{}\").{}a {{}}", "x".repeat(100_000), "{a,b}.".repeat(12));
    assert_eq!(codes(&large), ["parse/too-many-points"]);
    let condition = format!("probe {}a if (a{}) {{}}", "{a,b}.".repeat(10), " + f(1, 2)".repeat(200));
    assert_eq!(codes(&condition), ["parse/too-many-points"]);
}

#[test]
fn errors_end() {
    let (_, _, diagnostics) = parse_text(&ENVIRONMENT, &"probe p { x = ; }\n".repeat(1000));
    assert_eq!(diagnostics.len(), DIAGNOSTICS_MAX + 1);
    assert_eq!(diagnostics[DIAGNOSTICS_MAX].code, "parse/too-many-errors");
    codes(&"` ".repeat(100_000));
    codes(&"probe p { 1 1 1 ) ".repeat(10_000));
}

#[test]
fn long_names_are_not_quoted_at_length() {
    let name = "x".repeat(100_000);
    let script = format!("@define {name}(a) %( %) probe p {{ {} @{name}y; 0{name} }}", format!("@{name} ").repeat(20));
    let (_, _, diagnostics) = parse_text(&ENVIRONMENT, &script);
    assert_eq!(diagnostics.len(), 22);
    let longest = diagnostics.iter().map(|diagnostic| format!("{diagnostic:?}").len()).max();
    assert!(longest < Some(2000), "{longest:?}");
}

#[test]
fn texts_end() {
    assert_eq!(codes(&" ".repeat(SCRIPT_BYTES_MAX + 1)), ["parse/too-large"]);
    assert_eq!(codes(&" ".repeat(SCRIPT_BYTES_MAX)), [""; 0]);
}
