//! Tokens to tokens: conditionals decided, macros expanded, script arguments pasted. It knows nothing of the grammar.
//!
//! Tokens are pulled from a stack of frames: the file at the bottom, on it whatever is being expanded. What stands in the
//! branch of a conditional that is not taken is skipped before anything is made of it, as upstream does: it may hold wrong
//! tokens, unknown macros, and definitions that then do not exist.

use std::collections::BTreeMap;
use std::rc::Rc;

use shared::diagnostic::{Diagnostic, SourceId, Span};
use shared::limits::{DIAGNOSTICS_MAX, SCRIPT_TOKENS_MAX};

use self::argument::Paste;
use self::conditional::OpenConditional;
use self::macros::Scope;
use super::lex::lex;
use super::token::{Junk, Token, TokenKind};
use super::{Environment, Macros, shortened, too_many_errors};
use crate::source::Sources;

mod conditional;

pub(super) mod comparison;

mod macros;

mod argument;

/// A macro, by whoever defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Macro {
    /// Where its name stands in its definition.
    span: Span,
    parameters: Vec<String>,
    body: Rc<[Token]>,
}

/// What a file comes to.
pub(super) struct Preprocessed {
    /// With [`TokenKind::End`] at the end.
    pub(super) tokens: Vec<Token>,
    /// Its own macros.
    pub(super) macros: Macros,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Something without an end has swallowed the rest of the file, which is reported.
    pub(super) cut: bool,
}

/// Reads a file of script.
pub(super) fn preprocess(sources: &mut Sources, id: SourceId, environment: &Environment<'_>) -> Preprocessed {
    let mut preprocessor = Preprocessor::new(sources, environment, Macros::default());
    preprocessor.file(id);
    if environment.user_script {
        preprocessor.warn_of_unused_arguments();
    }
    let Preprocessor { out, macros, diagnostics, cut, .. } = preprocessor;
    Preprocessed { tokens: out, macros, diagnostics, cut }
}

/// Reads a file of macro definitions into `macros`.
pub(super) fn define_library(
    sources: &mut Sources,
    id: SourceId,
    environment: &Environment<'_>,
    macros: &mut Macros,
) -> Vec<Diagnostic> {
    let mut preprocessor = Preprocessor::new(sources, environment, std::mem::take(macros));
    preprocessor.file(id);
    if let [token, _, ..] = preprocessor.out[..] {
        let message = "a macro library holds nothing but `@define`";
        preprocessor.report(Diagnostic::error("parse/not-a-definition", token.span, message));
    }
    *macros = preprocessor.macros;
    preprocessor.diagnostics
}

struct Preprocessor<'a> {
    sources: &'a mut Sources,
    environment: &'a Environment<'a>,
    macros: Macros,
    frames: Vec<Frame>,
    open: Vec<OpenConditional>,
    pastes: BTreeMap<String, Paste>,
    out: Vec<Token>,
    diagnostics: Vec<Diagnostic>,
    steps: usize,
    /// The script is longer than we read: nothing more is read or said.
    exhausted: bool,
    cut: bool,
}

/// Tokens that are being read.
struct Frame {
    tokens: Rc<[Token]>,
    next: usize,
    /// The expansion that they stand in, where it is not what their spans say.
    located: Option<SourceId>,
    /// The macro in whose text they stand.
    scope: Option<Rc<Scope>>,
}

impl<'a> Preprocessor<'a> {
    fn new(sources: &'a mut Sources, environment: &'a Environment<'a>, macros: Macros) -> Self {
        Self {
            sources,
            environment,
            macros,
            frames: Vec::new(),
            open: Vec::new(),
            pastes: BTreeMap::new(),
            out: Vec::new(),
            diagnostics: Vec::new(),
            steps: 0,
            exhausted: false,
            cut: false,
        }
    }

    fn file(&mut self, id: SourceId) {
        let text = &self.sources.get(id).text;
        let end = Span { source: id, start: text.len() as u32, end: text.len() as u32 };
        let tokens = lex(text, id, self.environment.private_is_keyword());
        self.frames.push(Frame { tokens: tokens.into(), next: 0, located: None, scope: None });
        while let Some(token) = self.pull() {
            self.token(token);
        }
        self.out.push(Token { kind: TokenKind::End, span: end });
    }

    fn token(&mut self, token: Token) {
        match token.kind {
            TokenKind::At if self.sources.text(token.span) == "@define" => self.define(token),
            TokenKind::At if !self.expand(token) => self.out.push(token),
            TokenKind::At => {}
            TokenKind::Paste => self.paste(token),
            TokenKind::Quote => {
                let token = self.quote(token);
                self.out.push(token);
            }
            TokenKind::ConditionOpen => self.conditional(token),
            TokenKind::ConditionThen | TokenKind::ConditionElse | TokenKind::ConditionClose => self.mark(token),
            TokenKind::Junk(junk) => self.junk(token, junk),
            _ => self.out.push(token),
        }
    }

    /// The next token, located; `None` at the end of the file.
    fn pull(&mut self) -> Option<Token> {
        while !self.frames.is_empty() {
            if let Some(token) = self.pull_here() {
                return Some(token);
            }
            self.pop();
        }
        None
    }

    /// The next token of the uppermost frame.
    fn pull_here(&mut self) -> Option<Token> {
        self.charge(1);
        let token = self.peek_here()?;
        self.frames.last_mut()?.next += 1;
        Some(token)
    }

    fn peek_here(&self) -> Option<Token> {
        let frame = self.frames.last()?;
        let mut token = *frame.tokens.get(frame.next)?;
        token.span.source = frame.located.unwrap_or(token.span.source);
        Some(token)
    }

    /// Ends the uppermost frame; conditionals end with the text they begin in.
    fn pop(&mut self) {
        let frames = self.frames.len();
        while let Some(open) = self.open.pop_if(|open| open.frames >= frames) {
            self.report_unclosed(open.span);
        }
        self.frames.pop();
    }

    fn push(&mut self, frame: Frame) {
        // A frame that has given all it has would only make the stack grow.
        while self.frames.len() > 1 && self.peek_here().is_none() {
            self.pop();
        }
        self.frames.push(frame);
    }

    /// Counts work. When there was too much of it, nothing is left to be read.
    fn charge(&mut self, steps: usize) {
        self.steps = self.steps.saturating_add(steps);
        if self.steps <= SCRIPT_TOKENS_MAX || self.exhausted {
            return;
        }
        if let Some(token) = self.peek_here().or(self.out.last().copied()) {
            let message = format!("the script has more than {SCRIPT_TOKENS_MAX} tokens");
            let mut diagnostic = Diagnostic::error("parse/too-many-tokens", token.span, message);
            if self.sources.expansion(token.span.source).is_some() {
                diagnostic = diagnostic.note("what macros expand to is counted too");
            }
            self.report(diagnostic);
        }
        self.stop();
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.exhausted {
            return;
        }
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(shortened(diagnostic));
            return;
        }
        let place = diagnostic.labels.first().map(|label| label.span);
        self.diagnostics.extend(place.map(too_many_errors));
        self.stop();
    }

    /// Nothing more is read, nor said.
    fn stop(&mut self) {
        self.frames.clear();
        self.open.clear();
        (self.exhausted, self.cut) = (true, true);
    }

    fn junk(&mut self, token: Token, junk: Junk) {
        let text = self.sources.text(token.span);
        let at = |code, message: String| Diagnostic::error(code, token.span, message);
        let start = Span { end: token.span.start + 1, ..token.span };
        match junk {
            Junk::Stray => self.report(stray(text, token.span)),
            Junk::String => {
                let diagnostic =
                    Diagnostic::error("parse/unclosed-string", start, "this string does not end on its line");
                self.report(diagnostic.help("end it with `\"`; a line break inside is written `\\n`"));
                self.out.push(Token { kind: TokenKind::Reported, ..token });
            }
            Junk::Comment => {
                let open = Span { end: token.span.start + 2, ..token.span };
                let diagnostic = Diagnostic::error("parse/unclosed-comment", open, "this comment does not end");
                self.report(diagnostic.help("end it with `*/`"));
                self.cut = true;
            }
            Junk::Embedded => {
                let open = Span { end: token.span.start + 2, ..token.span };
                let diagnostic = Diagnostic::error("parse/unclosed-embedded", open, "this `%{` has no `%}`");
                self.report(match text.find("}%") {
                    Some(at) => {
                        let start = token.span.start + at as u32;
                        diagnostic.also(Span { start, end: start + 2, ..token.span }, "is this meant to be `%}`?")
                    }
                    None => diagnostic,
                });
                self.cut = true;
            }
            Junk::EmbeddedEnd => self.report(at("parse/stray-character", "this `%}` has no `%{`".to_owned())),
            Junk::Nested => {
                self.report(at("parse/nested-argument", format!("`{text}` inside a script argument is not replaced")));
                self.out.push(Token { kind: TokenKind::Reported, ..token });
            }
        }
    }
}

/// What there is to say of a character that means nothing. Some come with text that was copied from a page.
fn stray(text: &str, span: Span) -> Diagnostic {
    let character = text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
    let is_hidden = character.is_control() || character.is_whitespace() || matches!(character, '\u{200b}' | '\u{feff}');
    let shown = if is_hidden { format!("U+{:04X}", u32::from(character)) } else { text.to_owned() };
    let diagnostic = Diagnostic::error("parse/stray-character", span, format!("`{shown}` means nothing here"));
    match character {
        '\'' | '\u{2018}' | '\u{2019}' => diagnostic.help("strings are written in double quotes"),
        '\u{201c}' | '\u{201d}' => diagnostic.help("strings are written in straight double quotes"),
        '\u{2013}' | '\u{2014}' | '\u{2212}' => diagnostic.help("a minus is written `-`"),
        '@' => diagnostic.help("an operator such as `@count` is one word, and a macro is `@name`"),
        _ if is_hidden => diagnostic.help("it cannot be seen, and may have come with a copied text: delete it"),
        _ => diagnostic,
    }
}
