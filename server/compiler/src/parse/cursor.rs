//! What all of the parser shares: the tokens and the place among them, what was said about them, and how to go on after an
//! error. The grammar is in the files beside this one.

use shared::diagnostic::{Diagnostic, Span};
use shared::limits::{DIAGNOSTICS_MAX, SCRIPT_NESTING_MAX};

use super::preprocess::Preprocessed;
use super::token::{Keyword, Symbol, Token, TokenKind};
use super::{Environment, Macros, is_built_in, literal, shortened, too_many_errors, unknown_operator};
use crate::ast::{Literal, LiteralValue, Name};
use crate::source::Sources;

/// What is parsed; or nothing, which has then been reported.
pub(super) type Parsed<T> = Result<T, Unparsed>;

/// The error of [`Parsed`].
#[derive(Debug)]
pub(super) struct Unparsed;

/// A reader of tokens.
pub(super) struct Parser<'a> {
    pub(super) sources: &'a Sources,
    pub(super) environment: &'a Environment<'a>,
    /// The file's own macros.
    pub(super) macros: Macros,
    tokens: Vec<Token>,
    at: usize,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The token of the last error: what follows from it is not told again.
    blamed: Option<usize>,
    /// Levels of the tree above the node that is being read.
    depth: usize,
    /// Levels of the tree down to the lowest node that was read, see [`Parser::nested`].
    deepest: usize,
    pub(super) context: Context,
    /// What brace expansion has made so far.
    pub(super) brace_bytes: usize,
    /// The braces of every block of the declaration that have met, the inner before the outer.
    pub(super) blocks: Vec<(Token, Token)>,
}

/// What a statement stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// A function, where `return` makes sense.
    pub(super) function: bool,
    /// A loop, where `break` makes sense.
    pub(super) in_loop: bool,
    /// Where `*` may stand for a key.
    pub(super) slice: bool,
    /// Where a whole histogram may stand, to be printed.
    pub(super) histogram: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn new(sources: &'a Sources, environment: &'a Environment<'a>, preprocessed: Preprocessed) -> Self {
        let Preprocessed { tokens, macros, diagnostics, cut } = preprocessed;
        // What is missing because the rest of the file was swallowed is not told again.
        let blamed = cut.then(|| tokens.len().saturating_sub(1));
        Self {
            sources,
            environment,
            macros,
            tokens,
            at: 0,
            diagnostics,
            blamed,
            depth: 0,
            deepest: 0,
            context: Context::default(),
            brace_bytes: 0,
            blocks: Vec::new(),
        }
    }

    /// Which token is next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Token {
        self.peek_ahead(0)
    }

    /// The token after so many others; the end is the last.
    pub(super) fn peek_ahead(&self, ahead: usize) -> Token {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens[(self.at + ahead).min(last)]
    }

    pub(super) fn is(&self, symbol: Symbol) -> bool {
        self.peek().kind == TokenKind::Symbol(symbol)
    }

    pub(super) fn is_keyword(&self, keyword: Keyword) -> bool {
        self.peek().kind == TokenKind::Keyword(keyword)
    }

    pub(super) fn is_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Whether nothing stands between the last token and the next.
    pub(super) fn is_glued(&self) -> bool {
        let next = self.peek().span;
        self.at > 0 && {
            let last = self.tokens[self.at - 1].span;
            last.source == next.source && last.end == next.start
        }
    }

    /// Takes the next token; the end is never taken.
    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        token
    }

    pub(super) fn eat(&mut self, symbol: Symbol) -> bool {
        let is = self.is(symbol);
        if is {
            self.advance();
        }
        is
    }

    pub(super) fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let is = self.is_keyword(keyword);
        if is {
            self.advance();
        }
        is
    }

    pub(super) fn expect(&mut self, symbol: Symbol) -> Parsed<Token> {
        if self.is(symbol) { Ok(self.advance()) } else { self.expected(&format!("`{}`", symbol.text())) }
    }

    /// The bracket that closes `open`.
    pub(super) fn expect_close(&mut self, open: Token) -> Parsed<Token> {
        let Some(symbol) = open.kind.closer() else { return self.expected("a bracket") };
        if self.is(symbol) {
            return Ok(self.advance());
        }
        let label = format!("to close this `{}`", self.text(open));
        let diagnostic = self.unexpected(&format!("`{}`", symbol.text())).also(open.span, label);
        self.fail(diagnostic)
    }

    /// A name that a script may give. `what` it is to name, for people.
    pub(super) fn expect_name(&mut self, what: &str) -> Parsed<Name> {
        let token = self.peek();
        match token.kind {
            TokenKind::Name if self.text(token).starts_with('$') => {
                let message = format!("{what} cannot start with `$`");
                let diagnostic = Diagnostic::error("parse/target-as-name", token.span, message);
                self.fail(diagnostic.note("`$name` is a variable of the program that is probed"))
            }
            TokenKind::Name => {
                self.advance();
                Ok(self.name(token))
            }
            TokenKind::Keyword(keyword) => {
                let text = keyword.text();
                let diagnostic = self.unexpected(what);
                self.fail(diagnostic.help(format!("`{text}` is a keyword; choose another name")))
            }
            _ => self.expected(what),
        }
    }

    /// The text of a token.
    pub(super) fn text(&self, token: Token) -> &'a str {
        self.sources.text(token.span)
    }

    pub(super) fn name(&self, token: Token) -> Name {
        Name { text: self.text(token).to_owned(), span: token.span }
    }

    /// From the token at `start` to the last that was taken.
    pub(super) fn since(&self, start: usize) -> Span {
        let last = self.at.saturating_sub(1).max(start);
        let first = self.tokens[start.min(self.tokens.len() - 1)].span;
        self.sources.cover(first, self.tokens[last.min(self.tokens.len() - 1)].span)
    }

    /// Reads something one level further down. The tree's height is bounded, so whoever walks it may recurse.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.deepest = self.deepest.max(self.depth + 1);
        self.check_depth()?;
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// What was read of a row becomes the left operand of something: it sinks by one level.
    pub(super) fn sink(&mut self) -> Parsed<()> {
        self.deepest += 1;
        self.check_depth()
    }

    /// Begins a row of operators: [`Parser::sink`] does not count what was read before. After an error the row need not be
    /// closed.
    pub(super) fn open_row(&mut self) -> usize {
        std::mem::replace(&mut self.deepest, self.depth)
    }

    /// Ends a row of operators.
    pub(super) fn close_row(&mut self, before: usize) {
        self.deepest = self.deepest.max(before);
    }

    fn check_depth(&mut self) -> Parsed<()> {
        if self.deepest <= SCRIPT_NESTING_MAX {
            return Ok(());
        }
        self.deepest = self.depth;
        let message = format!("this is nested more than {SCRIPT_NESTING_MAX} levels deep");
        let diagnostic = Diagnostic::error("parse/too-deep", self.peek().span, message);
        self.fail(diagnostic.help("divide it: into several statements, or by a function"))
    }
}

/// Literals.
impl Parser<'_> {
    pub(super) fn is_string(&self) -> bool {
        matches!(self.peek().kind, TokenKind::String | TokenKind::Verbatim)
    }

    /// A string with its neighbours glued on; what is expected instead, for people.
    pub(super) fn expect_string(&mut self, what: &str) -> Parsed<Literal> {
        let start = self.at;
        let mut value = Vec::new();
        while self.is_string() {
            let token = self.advance();
            let text = self.text(token);
            if token.kind == TokenKind::Verbatim {
                value.extend_from_slice(text.as_bytes());
                continue;
            }
            let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
            let (part, errors) = literal::string(inside, self.environment.has_hex_escapes());
            value.extend_from_slice(&part);
            for error in errors {
                let offset = token.span.start + 1;
                let (start, end) = (offset + error.start as u32, offset + error.end as u32);
                let span = Span { start, end, ..token.span };
                self.report(Diagnostic::error("parse/invalid-escape", span, error.message));
            }
        }
        match self.at {
            at if at == start => self.expected(what),
            _ => Ok(Literal { value: LiteralValue::String(value.into()), span: self.since(start) }),
        }
    }

    /// A number without a sign, wrapped to 64 signed bits.
    pub(super) fn expect_number(&mut self) -> Parsed<Literal> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number => {
                self.advance();
                let value = LiteralValue::Number(self.magnitude(token) as i64);
                Ok(Literal { value, span: token.span })
            }
            _ => self.expected("a number"),
        }
    }

    /// A number that may have a minus in front.
    pub(super) fn expect_signed(&mut self) -> Parsed<(i64, Span)> {
        let start = self.at;
        if !self.eat(Symbol::Minus) {
            let number = self.expect_number()?;
            return Ok((number_of(&number), number.span));
        }
        let token = self.peek();
        let TokenKind::Number = token.kind else { return self.expected("a number") };
        self.advance();
        let magnitude = self.magnitude(token);
        let span = self.since(start);
        if magnitude > i64::MIN.unsigned_abs() {
            self.report(Diagnostic::error("parse/number-too-large", span, "this number does not fit into 64 bits"));
        }
        Ok(((magnitude as i64).wrapping_neg(), span))
    }

    /// A literal as a parameter of a probe point or an initial value.
    pub(super) fn expect_literal(&mut self) -> Parsed<Literal> {
        if self.is_string() {
            return self.expect_string("a string");
        }
        if !self.is(Symbol::Minus) && self.peek().kind != TokenKind::Number {
            let diagnostic = self.unexpected("a string or a number");
            return self.fail(match self.peek().kind {
                TokenKind::Name => {
                    diagnostic.help("only a literal can stand here: it must be known before the script runs")
                }
                _ => diagnostic,
            });
        }
        let (number, span) = self.expect_signed()?;
        Ok(Literal { value: LiteralValue::Number(number), span })
    }

    /// What a number token says; 0 where it says nothing, which is then reported.
    fn magnitude(&mut self, token: Token) -> u64 {
        let text = self.text(token);
        match literal::number(text) {
            Ok(number) => number,
            Err(literal::NumberError::TooLarge) => {
                let diagnostic =
                    Diagnostic::error("parse/number-too-large", token.span, "this number does not fit into 64 bits");
                self.report(diagnostic);
                0
            }
            Err(literal::NumberError::Malformed) => {
                let diagnostic =
                    Diagnostic::error("parse/invalid-number", token.span, format!("`{text}` is no number"));
                self.report(match text.as_bytes() {
                    [b'0', b'0'..=b'9', ..] => diagnostic.help("a number that starts with 0 is octal"),
                    _ => diagnostic,
                });
                0
            }
        }
    }
}

/// The number of a literal; 0 for a string.
pub(super) fn number_of(literal: &Literal) -> i64 {
    match literal.value {
        LiteralValue::Number(number) => number,
        LiteralValue::String(_) => 0,
    }
}

/// What there is to say, and how to go on.
impl Parser<'_> {
    /// Says something and goes on.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(shortened(diagnostic));
            return;
        }
        if self.diagnostics.len() == DIAGNOSTICS_MAX {
            self.diagnostics.push(too_many_errors(self.peek().span));
        }
        self.at = self.tokens.len().saturating_sub(1);
        self.blamed = Some(self.at);
    }

    /// Says that something is wrong at the next token, unless it is known to be.
    pub(super) fn fail<T>(&mut self, diagnostic: Diagnostic) -> Parsed<T> {
        if self.blamed != Some(self.at) && self.peek().kind != TokenKind::Reported {
            self.blamed = Some(self.at);
            self.report(diagnostic);
        }
        Err(Unparsed)
    }

    /// Says that something else should be here.
    pub(super) fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let diagnostic = self.unexpected(what);
        self.fail(diagnostic)
    }

    /// What there is to say where something else should be. An `@name` that nobody defined could have been anything.
    pub(super) fn unexpected(&self, what: &str) -> Diagnostic {
        let token = self.peek();
        let name = self.text(token);
        if token.kind == TokenKind::At && !is_built_in(name) {
            return unknown_operator(token.span, name, [&self.macros, self.environment.macros]);
        }
        let message = format!("expected {what}, found {}", self.found());
        Diagnostic::error("parse/unexpected-token", token.span, message)
    }

    /// The next token as a message names it.
    fn found(&self) -> String {
        let token = self.peek();
        let text = self.text(token);
        let mut short: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        match token.kind {
            TokenKind::End => "the end of the script".to_owned(),
            TokenKind::String => format!("the string {short}"),
            TokenKind::Verbatim => format!("the string {short:?}"),
            TokenKind::Embedded => "embedded code".to_owned(),
            _ => format!("`{short}`"),
        }
    }

    /// The token before the next.
    pub(super) fn last(&self) -> Option<TokenKind> {
        self.at.checked_sub(1).map(|last| self.tokens[last].kind)
    }

    /// Whether the next token starts a declaration, which never stands in a block. Behind a dot the word is a component.
    pub(super) fn is_declaration(&self) -> bool {
        use Keyword::{Function, Global, Private, Probe};
        matches!(self.peek().kind, TokenKind::Keyword(Probe | Global | Private | Function))
            && !matches!(self.last(), Some(TokenKind::Symbol(Symbol::Dot | Symbol::Arrow)))
    }

    /// After an error in a declaration: to the next one.
    pub(super) fn skip_declaration(&mut self) {
        while !self.is_end() && !self.is_declaration() {
            self.advance();
        }
    }

    /// After an error in the statement that begins at `start`: behind its `;`, before the next one, which may begin a line,
    /// or before the `}` of the block.
    pub(super) fn skip_statement(&mut self, start: usize) {
        let error = self.at;
        let mut braces = 0_usize;
        let mut others = self.brackets_since(start);
        while !self.is_end() && !self.is_declaration() {
            let kind = self.peek().kind;
            let inside = braces > 0 || others > 0;
            match kind {
                TokenKind::Symbol(Symbol::BraceClose) if braces == 0 => return,
                TokenKind::Symbol(Symbol::BraceClose) => (braces, others) = (braces - 1, 0),
                TokenKind::Symbol(Symbol::BraceOpen) => braces += 1,
                TokenKind::Symbol(Symbol::Semicolon) if braces == 0 => {
                    self.advance();
                    return;
                }
                TokenKind::Keyword(keyword)
                    if starts_statement(keyword) && !inside && self.at > error && self.at > start =>
                {
                    return;
                }
                TokenKind::Name | TokenKind::At | TokenKind::Keyword(_)
                    if self.at > start && (!inside || self.at == error) && self.starts_line() =>
                {
                    return;
                }
                _ if kind.closer().is_some() => others += 1,
                _ if kind.closes() => others = others.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }

    /// Whether the next token stands on another line than the one before it.
    fn starts_line(&self) -> bool {
        let next = self.peek().span;
        let last = self.tokens[self.at.saturating_sub(1)].span;
        let between = Span { source: next.source, start: last.end, end: next.start };
        last.source == next.source && self.sources.text(between).contains('\n')
    }

    /// Two braces that met, but probably should not have: the closing one begins a line that is indented in another way than
    /// that of the opening one.
    pub(super) fn misindented(&self) -> Option<(Token, Token)> {
        const BLOCKS_MAX: usize = 1000;
        self.blocks.iter().take(BLOCKS_MAX).copied().find(|(open, close)| {
            let (open, _) = self.indentation(*open);
            let (close, first) = self.indentation(*close);
            first && open != close
        })
    }

    /// How far the line of a token is indented, and whether the token is the first of its line.
    fn indentation(&self, token: Token) -> (usize, bool) {
        const LINE_BYTES_MAX: usize = 200;
        let text = self.sources.get(token.span.source).text.as_bytes();
        let end = (token.span.start as usize).min(text.len());
        let near = &text[end.saturating_sub(LINE_BYTES_MAX)..end];
        let line = near.rsplit(|&byte| byte == b'\n').next().unwrap_or(near);
        let indentation = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        (indentation, indentation == line.len())
    }

    /// Brackets that were opened since a token and not closed.
    fn brackets_since(&self, start: usize) -> usize {
        let read = self.tokens[start.min(self.at)..self.at].iter().map(|token| token.kind);
        read.fold(0, |level, kind| match kind.closer() {
            Some(_) => level + 1,
            None => level.saturating_sub(usize::from(kind.closes())),
        })
    }

    /// After an error between parentheses whose first token was `start`: behind the `)`, or before what can only stand
    /// behind it.
    pub(super) fn skip_parentheses(&mut self, start: usize) {
        let error = self.at;
        let mut level = self.brackets_since(start);
        while !self.is_end() && !self.is_declaration() {
            let kind = self.peek().kind;
            match kind {
                TokenKind::Symbol(Symbol::BraceOpen | Symbol::BraceClose) => return,
                TokenKind::Keyword(keyword) if starts_statement(keyword) && self.at > error => return,
                TokenKind::Symbol(Symbol::ParenClose) if level == 0 => {
                    self.advance();
                    return;
                }
                _ if kind.closer().is_some() => level += 1,
                _ if kind.closes() => level = level.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }
}

/// Whether only a statement starts with this word.
fn starts_statement(keyword: Keyword) -> bool {
    use Keyword::{Break, Continue, Delete, For, Foreach, If, Next, Return, Try, While};
    matches!(keyword, If | For | Foreach | While | Return | Delete | Next | Break | Continue | Try)
}
