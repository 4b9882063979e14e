//! `%( condition %? tokens %: tokens %)`: which branch is read. What its comparisons mean is `comparison`'s to say.

use shared::diagnostic::{Diagnostic, Span};

use super::Preprocessor;
use super::comparison::{self, Operand, Part};
use crate::parse::token::{Symbol, Token, TokenKind};
use crate::parse::{CONFIG_UNKNOWN, is_built_in, literal, unknown_operator};

/// A conditional one of whose branches is being read.
pub(super) struct OpenConditional {
    /// `%(`
    pub(super) span: Span,
    /// How many frames there were.
    pub(super) frames: usize,
    /// `%:`, in the second branch.
    pub(super) otherwise: Option<Span>,
}

/// Which branches of a conditional are skipped.
#[derive(Clone, Copy)]
pub(super) enum Skip {
    /// The first.
    Then,
    /// The second, with its `%:`.
    Else(Span),
    /// What is left of it.
    All,
}

/// What could not be read is reported already.
struct Unread {
    /// Whether the `%)` of the conditional was met.
    closed: bool,
}

impl Preprocessor<'_> {
    pub(super) fn conditional(&mut self, token: Token) {
        let otherwise = match self.condition(token) {
            Ok(true) => None,
            Ok(false) => match self.skip(Skip::Then) {
                Some(Token { kind: TokenKind::ConditionElse, span }) => Some(span),
                Some(_) => return,
                None => return self.report_unclosed(token.span),
            },
            Err(Unread { closed: true }) => return,
            Err(Unread { closed: false }) => {
                self.cut |= self.skip(Skip::All).is_none();
                return;
            }
        };
        self.open.push(OpenConditional { span: token.span, frames: self.frames.len(), otherwise });
    }

    /// Skips to the `%)` of this level, or to the `%:` behind the first branch; `None` where the text ends before.
    pub(super) fn skip(&mut self, what: Skip) -> Option<Token> {
        let mut level = 0_usize;
        loop {
            let token = self.pull_here()?;
            match (token.kind, what) {
                (TokenKind::ConditionOpen, _) => level += 1,
                (TokenKind::ConditionElse, Skip::Then) if level == 0 => return Some(token),
                (TokenKind::ConditionElse, Skip::Else(first)) if level == 0 => self.report_second(token, first),
                (TokenKind::ConditionClose, _) if level == 0 => return Some(token),
                (TokenKind::ConditionClose, _) => level -= 1,
                _ => {}
            }
        }
    }

    /// `%?`, `%:` or `%)` outside of a condition.
    pub(super) fn mark(&mut self, token: Token) {
        let frames = self.frames.len();
        let Some(open) = self.open.last().filter(|open| open.frames == frames) else {
            let message = format!("this `{}` has no `%(`", self.sources.text(token.span));
            return self.report(Diagnostic::error("parse/stray-conditional", token.span, message));
        };
        let (span, otherwise) = (open.span, open.otherwise);
        match (token.kind, otherwise) {
            (TokenKind::ConditionClose, _) => {
                self.open.pop();
            }
            (TokenKind::ConditionElse, None) => {
                self.open.pop();
                if self.skip(Skip::Else(token.span)).is_none() {
                    self.report_unclosed(span);
                }
            }
            (_, otherwise) => self.report_second(token, otherwise.unwrap_or(span)),
        }
    }

    fn report_second(&mut self, token: Token, first: Span) {
        let message = format!("a second `{}` in one conditional", self.sources.text(token.span));
        let diagnostic = Diagnostic::error("parse/stray-conditional", token.span, message);
        self.report(diagnostic.also(first, "it belongs to this one"));
    }

    pub(super) fn report_unclosed(&mut self, open: Span) {
        self.cut = true;
        let diagnostic = Diagnostic::error("parse/unclosed-conditional", open, "this `%(` has no `%)`");
        self.report(diagnostic.help("a conditional is written `%( condition %? tokens %: tokens %)`"));
    }

    /// Reads a condition and its `%?`: comparisons with `&&` and `||`, of which the former binds tighter.
    fn condition(&mut self, open: Token) -> Result<bool, Unread> {
        let mut any = false;
        let mut all = true;
        loop {
            all &= self.comparison(open)?;
            let token = self.operand_token(open)?;
            match token.kind {
                TokenKind::Symbol(Symbol::AndAnd) => {}
                TokenKind::Symbol(Symbol::OrOr) => {
                    any |= all;
                    all = true;
                }
                TokenKind::ConditionThen => return Ok(any || all),
                _ => return Err(self.unexpected(token, "expected `%?`, `&&` or `||` after the comparison")),
            }
        }
    }

    fn comparison(&mut self, open: Token) -> Result<bool, Unread> {
        let (left_token, left) = self.operand(open)?;
        let token = self.operand_token(open)?;
        let operator = match token.kind {
            TokenKind::Symbol(operator) if comparison::is_relation(operator) => operator,
            _ => return Err(self.unexpected(token, "expected `<`, `<=`, `==`, `!=`, `>` or `>=`")),
        };
        let (right_token, right) = self.operand(open)?;
        for (operand, token) in [(&left, left_token), (&right, right_token)] {
            if let Operand::Name(name) = operand {
                self.warn_of_unknown_config(name, token);
            }
        }
        comparison::holds(&left, operator, &right, self.environment).map_err(|error| {
            let place = match error.part {
                Part::Left => left_token,
                Part::Operator => token,
                Part::Right => right_token,
            };
            let mut diagnostic = Diagnostic::error("parse/condition", place.span, error.message);
            if let Some(help) = error.help {
                diagnostic = diagnostic.help(help);
            }
            self.report(diagnostic);
            Unread { closed: false }
        })
    }

    fn operand(&mut self, open: Token) -> Result<(Token, Operand), Unread> {
        let token = self.operand_token(open)?;
        let negative = token.kind == TokenKind::Symbol(Symbol::Minus);
        let token = if negative { self.operand_token(open)? } else { token };
        let text = self.sources.text(token.span);
        let operand = match token.kind {
            TokenKind::Name if !negative => Operand::Name(text.to_owned()),
            TokenKind::Verbatim if !negative => Operand::String(text.as_bytes().to_vec()),
            TokenKind::String if !negative => {
                let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
                Operand::String(literal::string(inside, self.environment.has_hex_escapes()).0.into())
            }
            TokenKind::Number => match literal::number(text) {
                Ok(number) if negative => Operand::Number((number as i64).wrapping_neg()),
                Ok(number) => Operand::Number(number as i64),
                Err(_) => return Err(self.unexpected(token, "this is no number")),
            },
            _ => return Err(self.unexpected(token, "expected a name, a string or a number to compare")),
        };
        Ok((token, operand))
    }

    /// The next token of a condition, macros and script arguments expanded.
    fn operand_token(&mut self, open: Token) -> Result<Token, Unread> {
        loop {
            let Some(token) = self.pull() else {
                self.report_unclosed(open.span);
                return Err(Unread { closed: true });
            };
            match token.kind {
                TokenKind::At if self.expand(token) => {}
                TokenKind::Paste => self.paste(token),
                TokenKind::Quote => return Ok(self.quote(token)),
                _ => return Ok(token),
            }
        }
    }

    fn unexpected(&mut self, token: Token, message: &str) -> Unread {
        let name = self.sources.text(token.span);
        let diagnostic = match token.kind {
            TokenKind::At if !is_built_in(name) => {
                unknown_operator(token.span, name, [&self.macros, self.environment.macros])
            }
            _ => Diagnostic::error("parse/condition", token.span, message),
        };
        self.report(match token.kind {
            TokenKind::Symbol(Symbol::ParenOpen | Symbol::ParenClose) => diagnostic
                .help("a condition has no parentheses: `&&` binds tighter than `||`")
                .help("where no condition but a remainder is meant, write `% (` with a space"),
            _ => diagnostic,
        });
        Unread { closed: token.kind == TokenKind::ConditionClose }
    }

    fn warn_of_unknown_config(&mut self, name: &str, token: Token) {
        if name.starts_with("CONFIG_") && !self.environment.config.contains_key(name) {
            let message = format!("the host's kernel configuration is not known: `{name}` counts as not set");
            self.report(Diagnostic::warning(CONFIG_UNKNOWN, token.span, message));
        }
    }
}
