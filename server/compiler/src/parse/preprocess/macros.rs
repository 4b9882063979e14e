//! `@define name(parameters) %( body %)`, and what becomes of `@name(arguments)`.

use std::rc::Rc;

use shared::diagnostic::{Diagnostic, Span};
use shared::limits::{MACRO_NESTING_MAX, MACRO_PARAMETERS_MAX};

use super::conditional::Skip;
use super::{Frame, Macro, Preprocessor};
use crate::parse::OPERATORS;
use crate::parse::token::{Symbol, Token, TokenKind};

/// A macro that is being expanded: what `@parameter` means in its body.
pub(super) struct Scope {
    pub(super) definition: Rc<Macro>,
    pub(super) name: String,
    pub(super) arguments: Vec<Rc<[Token]>>,
    /// Where its call stands; the arguments stand there too.
    pub(super) caller: Option<Rc<Scope>>,
    pub(super) depth: usize,
}

impl Preprocessor<'_> {
    /// `@define name(parameters) %( body %)`
    pub(super) fn define(&mut self, define: Token) {
        if self.frames.last().is_some_and(|frame| frame.scope.is_some()) {
            let message = "a macro cannot define another";
            self.report(Diagnostic::error("parse/macro-definition", define.span, message));
            return self.skip_definition();
        }
        let name = match self.pull_here() {
            Some(token) if token.kind == TokenKind::Name => token,
            other => return self.report_definition(other.unwrap_or(define), "expected the name of the macro"),
        };
        let Some(parameters) = self.parameters(name) else { return };
        let Some(body) = self.body(name) else { return };
        let text = self.sources.text(name.span).to_owned();
        if OPERATORS.contains(&text.as_str()) {
            let message = format!("the macro `@{text}` hides the operator of the same name");
            self.report(Diagnostic::warning("parse/macro-hides-operator", name.span, message));
        }
        if let Some(earlier) = self.macros.by_name.get(&text) {
            let first = earlier.span;
            let diagnostic =
                Diagnostic::error("parse/macro-redefined", name.span, format!("`@{text}` is defined twice"));
            return self.report(diagnostic.also(first, "first defined here"));
        }
        self.macros.by_name.insert(text, Rc::new(Macro { span: name.span, parameters, body: body.into() }));
    }

    fn parameters(&mut self, name: Token) -> Option<Vec<String>> {
        let mut parameters = Vec::new();
        if self.peek_here().is_none_or(|token| token.kind != TokenKind::Symbol(Symbol::ParenOpen)) {
            return Some(parameters);
        }
        self.pull_here();
        loop {
            match self.pull_here() {
                Some(token) if parameters.len() == MACRO_PARAMETERS_MAX => {
                    self.report_definition(token, &format!("a macro has at most {MACRO_PARAMETERS_MAX} parameters"));
                    return None;
                }
                Some(token) if token.kind == TokenKind::Name => {
                    parameters.push(self.sources.text(token.span).to_owned());
                }
                other => {
                    self.report_definition(other.unwrap_or(name), "expected the name of a parameter");
                    return None;
                }
            }
            match self.pull_here() {
                Some(Token { kind: TokenKind::Symbol(Symbol::Comma), .. }) => {}
                Some(Token { kind: TokenKind::Symbol(Symbol::ParenClose), .. }) => return Some(parameters),
                other => {
                    self.report_definition(other.unwrap_or(name), "expected `,` or `)` after the parameter");
                    return None;
                }
            }
        }
    }

    fn body(&mut self, name: Token) -> Option<Vec<Token>> {
        match self.pull_here() {
            Some(Token { kind: TokenKind::ConditionOpen, .. }) => {}
            other => {
                self.report_definition(other.unwrap_or(name), "expected `%(` before the body of the macro");
                return None;
            }
        }
        let mut level = 0_usize;
        let mut body = Vec::new();
        while let Some(token) = self.pull_here() {
            match token.kind {
                TokenKind::ConditionOpen => level += 1,
                TokenKind::ConditionClose if level == 0 => return Some(body),
                TokenKind::ConditionClose => level -= 1,
                _ => {}
            }
            body.push(token);
        }
        self.cut = true;
        self.report_definition(name, "the body of this macro has no `%)`");
        None
    }

    fn report_definition(&mut self, token: Token, message: &str) {
        let diagnostic = Diagnostic::error("parse/macro-definition", token.span, message);
        self.report(
            diagnostic.help("a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`"),
        );
        self.skip_definition();
    }

    /// Skips the body of what is no definition, where it seems to have one.
    fn skip_definition(&mut self) {
        const PARAMETERS_TOKENS_MAX: usize = 16;
        let Some(frame) = self.frames.last_mut() else { return };
        let rest = frame.tokens[frame.next..].iter().take(PARAMETERS_TOKENS_MAX);
        if let Some(open) = rest.map(|token| token.kind).position(|kind| kind == TokenKind::ConditionOpen) {
            frame.next += open + 1;
            self.cut |= self.skip(Skip::All).is_none();
        }
    }

    /// Expands `@name` where it is a parameter or a macro, and says whether it is.
    pub(super) fn expand(&mut self, call: Token) -> bool {
        let name = self.sources.text(call.span).get(1..).unwrap_or("").to_owned();
        let scope = self.frames.last().and_then(|frame| frame.scope.clone());
        if let Some(scope) = &scope
            && let Some(index) = scope.definition.parameters.iter().rposition(|parameter| *parameter == name)
        {
            let tokens = scope.arguments.get(index).cloned().unwrap_or_default();
            let scope = scope.caller.clone();
            self.push(Frame { tokens, next: 0, located: None, scope });
            return true;
        }
        let library = &self.environment.macros.by_name;
        let Some(definition) = self.macros.by_name.get(&name).or_else(|| library.get(&name)).cloned() else {
            return false;
        };
        match self.call(call, &name, definition, scope) {
            Some(frame) => self.push(frame),
            None => self.out.push(Token { kind: TokenKind::Reported, ..call }),
        }
        true
    }

    /// Reads the arguments of a call; gives what is to be read in its stead.
    fn call(&mut self, call: Token, name: &str, definition: Rc<Macro>, caller: Option<Rc<Scope>>) -> Option<Frame> {
        let arguments = match definition.parameters.len() {
            0 => Vec::new(),
            count => self.arguments(call, name, &definition, count)?,
        };
        let mut outer = caller.as_deref();
        while let Some(scope) = outer {
            if Rc::ptr_eq(&scope.definition, &definition) {
                let diagnostic =
                    Diagnostic::error("parse/macro-recursion", call.span, format!("`@{name}` expands to itself"));
                self.report(diagnostic.also(definition.span, format!("`@{}` is defined here", scope.name)));
                return None;
            }
            outer = scope.caller.as_deref();
        }
        let depth = caller.as_ref().map_or(0, |scope| scope.depth) + 1;
        if depth > MACRO_NESTING_MAX {
            let message = format!("more than {MACRO_NESTING_MAX} macros expand inside one another");
            self.report(Diagnostic::error("parse/macro-too-deep", call.span, message));
            return None;
        }
        let located = Some(self.sources.expand(definition.span.source, call.span));
        let tokens = Rc::clone(&definition.body);
        let scope = Some(Rc::new(Scope { definition, name: name.to_owned(), arguments, caller, depth }));
        Some(Frame { tokens, next: 0, located, scope })
    }

    /// Reads `(a, b)`. The arguments are expanded where the body uses them, but mean what they mean here.
    fn arguments(&mut self, call: Token, name: &str, definition: &Macro, count: usize) -> Option<Vec<Rc<[Token]>>> {
        let Some(open) = self.peek_here().filter(|token| token.kind == TokenKind::Symbol(Symbol::ParenOpen)) else {
            self.report_arguments(call.span, name, definition, format!("the macro `@{name}` needs arguments"));
            return None;
        };
        self.pull_here();
        let mut arguments = Vec::new();
        let mut argument = Vec::new();
        let mut level = 0_usize;
        let close = loop {
            let Some(token) = self.pull_here() else {
                self.cut = true;
                self.report_arguments(open.span, name, definition, format!("the arguments of `@{name}` have no `)`"));
                return None;
            };
            match token.kind {
                TokenKind::Symbol(Symbol::ParenClose) if level == 0 => break token,
                TokenKind::Symbol(Symbol::Comma) if level == 0 => {
                    arguments.push(Rc::from(std::mem::take(&mut argument)));
                    continue;
                }
                TokenKind::Symbol(Symbol::ParenOpen | Symbol::BracketOpen) => level += 1,
                TokenKind::Symbol(Symbol::ParenClose | Symbol::BracketClose) => level = level.saturating_sub(1),
                _ => {}
            }
            argument.push(token);
        };
        arguments.push(Rc::from(argument));
        if arguments.len() == count {
            return Some(arguments);
        }
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("the macro `@{name}` takes {count} argument{plural}, not {}", arguments.len());
        self.report_arguments(self.sources.cover(call.span, close.span), name, definition, message);
        None
    }

    fn report_arguments(&mut self, span: Span, name: &str, definition: &Macro, message: String) {
        let usage = format!("it is called as `@{name}({})`", definition.parameters.join(", "));
        let diagnostic = Diagnostic::error("parse/macro-arguments", span, message);
        self.report(diagnostic.also(definition.span, "defined here").help(usage));
    }
}
