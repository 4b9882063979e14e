//! What holds for every text, whatever it is: that each part of pass 1 ends, and that what it hands on is well-formed. The
//! property tests, the fuzz targets of `fuzz/` and the replay of their corpus ask for it here, so that all ask the same. A
//! function panics where its invariant does not hold; nothing of the compiler calls one.

use shared::diagnostic::{Diagnostic, Severity, SourceId, Span};
use shared::limits::SCRIPT_TOKENS_MAX;
use shared::trust::Privilege;

use super::lex::lex;
use super::preprocess::{Preprocessed, preprocess};
use super::token::{Token, TokenKind};
use super::{Environment, Macros, SYSTEMTAP_VERSION, parse};
use crate::ast::Stapfile;
use crate::source::Sources;

/// Every token is a text of its own, and between two stand only blanks and comments.
///
/// # Panics
/// When that is not so.
pub fn lexer(text: &str) {
    for private in [true, false] {
        let tokens = lex(text, SourceId(0), private);
        let mut end = 0;
        for token in &tokens {
            let (start, own) = (token.span.start as usize, slice(text, token.span));
            assert!(start >= end && !own.is_empty(), "{token:?} begins before {end} or is empty in {text:?}");
            assert_eq!(lex(&text[end..start], SourceId(0), private), [], "something was passed over in {text:?}");
            let alone = lex(own, SourceId(0), private);
            let kinds: Vec<TokenKind> = alone.iter().map(|token| token.kind).collect();
            assert_eq!(kinds, [token.kind], "{own:?} is something else alone than in {text:?}");
            end = token.span.end as usize;
        }
        assert_eq!(lex(&text[end..], SourceId(0), private), [], "something was passed over in {text:?}");
    }
}

/// What the preprocessor hands on has nothing left for it to do, and every place leads to the text.
///
/// # Panics
/// When that is not so.
pub fn preprocessor(text: &str) {
    let arguments = arguments();
    let environment = environment(&arguments, SYSTEMTAP_VERSION);
    let (sources, preprocessed) = preprocessed(text, &environment);
    let Preprocessed { tokens, diagnostics, .. } = preprocessed;
    let (end, read) = tokens.split_last().expect("there is an end");
    assert_eq!(end.kind, TokenKind::End, "{text:?}");
    assert!(read.len() <= SCRIPT_TOKENS_MAX, "{} tokens of {text:?}", read.len());
    for token in read {
        assert!(is_for_the_parser(token.kind), "{token:?} is left in {text:?}");
        leads_to_the_text(&sources, token.span);
    }
    if !has_errors(&diagnostics) {
        let (again_sources, again) = self::preprocessed(&spelled(&sources, read), &environment);
        let spelling = |sources: &Sources, tokens: &[Token]| spelled(sources, &tokens[..tokens.len() - 1]);
        assert_eq!(spelling(&again_sources, &again.tokens), spelling(&sources, &tokens), "{text:?}");
        assert!(!has_errors(&again.diagnostics), "{:?} for {text:?}", again.diagnostics);
    }
    speaks_of_texts(&sources, diagnostics);
}

/// Parsing ends, in the language of today and in older ones; see [`parser_in`].
///
/// # Panics
/// When that is not so.
pub fn parser(text: &str) {
    let arguments = arguments();
    for version in [SYSTEMTAP_VERSION, "2.0"] {
        parser_in(text, &environment(&arguments, version));
    }
}

/// Parsing ends; what is said speaks of places that are there; and a tree without errors, printed, parses to itself.
///
/// # Panics
/// When that is not so.
pub fn parser_in(text: &str, environment: &Environment<'_>) {
    let mut sources = Sources::default();
    let id = sources.add("script", text);
    let (tree, diagnostics) = parse(&mut sources, id, environment);
    if !has_errors(&diagnostics) {
        // Arguments and macros are in the tree already; what needs guru mode was allowed.
        let plain = Environment { guru: true, arguments: &[], ..*environment };
        let printed = tree.to_string();
        let id = sources.add("printed", printed.as_str());
        let (again, diagnostics) = parse(&mut sources, id, &plain);
        assert_eq!(diagnostics, [], "\n{printed}\nfor {text:?}");
        assert_eq!(without_places(&again), without_places(&tree), "\n{printed}\nfor {text:?}");
    }
    speaks_of_texts(&sources, diagnostics);
}

/// A tree as text, its places blanked.
pub(super) fn without_places(tree: &Stapfile) -> String {
    let text = format!("{tree:?}");
    let mut parts = text.split("Span { ");
    let mut blanked = parts.next().unwrap_or("").to_owned();
    for part in parts {
        blanked.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    blanked
}

/// What a text meets: arguments that are pasted, and one that is more than a token.
fn arguments() -> [String; 3] {
    ["5", "kernel.function(\"f\")", "x + @m(\"s\" %( 1 == 1 %? $1 %)"].map(str::to_owned)
}

fn environment<'a>(arguments: &'a [String], compatible: &'a str) -> Environment<'a> {
    const NO_MACROS: &Macros = &Macros { by_name: std::collections::BTreeMap::new() };
    Environment {
        kernel_release: "6.1.0-56-cloud-amd64",
        architecture: "x86_64",
        config: super::CONFIG_NONE,
        runtime: "kernel",
        privilege: Privilege::Stapdev,
        guru: true,
        compatible,
        arguments,
        macros: NO_MACROS,
        user_script: true,
    }
}

fn preprocessed(text: &str, environment: &Environment<'_>) -> (Sources, Preprocessed) {
    let mut sources = Sources::default();
    let id = sources.add("script", text);
    let preprocessed = preprocess(&mut sources, id, environment);
    (sources, preprocessed)
}

/// Whether the grammar knows such a token.
fn is_for_the_parser(kind: TokenKind) -> bool {
    use TokenKind::{At, Embedded, Keyword, Name, Number, Reported, String, Symbol, Verbatim};
    matches!(kind, Name | Keyword(_) | At | Number | String | Verbatim | Symbol(_) | Embedded | Reported)
}

/// Tokens as a text that has them all, one a line.
fn spelled(sources: &Sources, tokens: &[Token]) -> String {
    let quoted = |text: &str| crate::ast::LiteralValue::String(text.into()).to_string();
    let spelled = tokens.iter().map(|token| match token.kind {
        TokenKind::Verbatim => quoted(sources.text(token.span)),
        _ => sources.text(token.span).to_owned(),
    });
    spelled.collect::<Vec<_>>().join("\n")
}

/// Calls lead from a span to a text, none of them in a circle.
fn leads_to_the_text(sources: &Sources, span: Span) {
    slice(&sources.get(span.source).text, span);
    let mut source = span.source;
    for call in sources.calls(span) {
        assert!(call.source < source, "{call:?} of {span:?} was read after what it expands to");
        slice(&sources.get(call.source).text, call);
        source = call.source;
    }
    assert!(sources.expansion(source).is_none(), "{span:?} leads to no text");
}

/// Every place that a report shows is in the text that it comes with.
fn speaks_of_texts(sources: &Sources, diagnostics: Vec<Diagnostic>) {
    let report = sources.report(diagnostics);
    for label in report.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        slice(&report.sources[label.span.source.0 as usize].text, label.span);
    }
}

fn slice(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_else(|| panic!("{span:?} is no text in {text:?}"))
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
