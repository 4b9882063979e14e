//! Probe points: components with wildcards, parameters, braces and what follows them.

use shared::diagnostic::Diagnostic;
use shared::limits::BRACE_BYTES_MAX;

use super::cursor::{Parsed, Parser};
use super::token::{Keyword, Symbol, TokenKind};
use crate::ast::{Component, Expression, LiteralValue, Name, ProbePoint};

/// A probe point that is being read: one of several where there were braces.
#[derive(Clone, Default)]
struct Draft {
    components: Vec<Component>,
    suffix: Suffix,
}

/// What follows the components.
#[derive(Clone, Default)]
struct Suffix {
    optional: bool,
    sufficient: bool,
    condition: Option<Expression>,
    /// How long the condition is.
    condition_tokens: usize,
}

impl Suffix {
    fn is_empty(&self) -> bool {
        !self.optional && self.condition.is_none()
    }

    /// Bytes of memory that a copy takes, about: a condition has at the most a node for each token.
    fn bytes(&self) -> usize {
        self.condition_tokens * size_of::<Expression>()
    }
}

impl Draft {
    /// Bytes of memory that a copy takes, about.
    fn bytes(&self) -> usize {
        let component = |component: &Component| {
            let argument = match component.argument.as_ref().map(|argument| &argument.value) {
                Some(LiteralValue::String(text)) => text.len(),
                Some(LiteralValue::Number(_)) | None => 0,
            };
            size_of::<Component>() + component.name.text.len() + argument
        };
        size_of::<Self>() + self.suffix.bytes() + self.components.iter().map(component).sum::<usize>()
    }
}

impl Parser<'_> {
    /// One point as it is written: `syscall.{open,close}.return ? if (on)`, which is several where it has braces.
    pub(super) fn points(&mut self) -> Parsed<Vec<ProbePoint>> {
        let start = self.at();
        let drafts = self.drafts()?;
        let span = self.since(start);
        let point = |draft: Draft| {
            let Suffix { optional, sufficient, condition, .. } = draft.suffix;
            ProbePoint { components: draft.components, optional, sufficient, condition, span }
        };
        Ok(drafts.into_iter().map(point).collect())
    }

    fn drafts(&mut self) -> Parsed<Vec<Draft>> {
        let mut heads = vec![Draft::default()];
        loop {
            let tails = match self.is(Symbol::BraceOpen) {
                true => self.nested(Self::alternatives)?,
                false => vec![Draft { components: vec![self.component()?], suffix: Suffix::default() }],
            };
            heads = self.product(heads, tails)?;
            if !self.is(Symbol::Dot) {
                break;
            }
            if heads.iter().any(|head| !head.suffix.is_empty()) {
                let diagnostic = self.unexpected("the end of the probe point");
                return self
                    .fail(diagnostic.note("`?`, `!` and `if` stand at the end of a probe point, not inside it"));
            }
            self.advance();
        }
        let suffix = self.suffix()?;
        if !suffix.is_empty() {
            self.apply(&suffix, &mut heads)?;
        }
        Ok(heads)
    }

    /// `{a,b.c}`
    fn alternatives(&mut self) -> Parsed<Vec<Draft>> {
        let open = self.advance();
        let mut drafts = self.drafts()?;
        while self.eat(Symbol::Comma) {
            drafts.extend(self.drafts()?);
        }
        self.expect_close(open)?;
        Ok(drafts)
    }

    /// Every head with every tail, in the order of a shell's braces.
    fn product(&mut self, mut heads: Vec<Draft>, tails: Vec<Draft>) -> Parsed<Vec<Draft>> {
        let bytes = |drafts: &[Draft]| drafts.iter().map(Draft::bytes).fold(0, usize::saturating_add);
        if heads.len() > 1 {
            self.charge(bytes(&tails).saturating_mul(heads.len()))?;
        }
        if let [tail] = &tails[..] {
            for head in &mut heads {
                head.components.extend_from_slice(&tail.components);
                head.suffix = tail.suffix.clone();
            }
            return Ok(heads);
        }
        self.charge(bytes(&heads).saturating_mul(tails.len()))?;
        let mut drafts = Vec::with_capacity(heads.len() * tails.len());
        for head in &heads {
            drafts.extend(tails.iter().map(|tail| {
                let components = [&head.components[..], &tail.components[..]].concat();
                Draft { components, suffix: tail.suffix.clone() }
            }));
        }
        Ok(drafts)
    }

    fn apply(&mut self, suffix: &Suffix, drafts: &mut [Draft]) -> Parsed<()> {
        if drafts.iter().any(|draft| draft.suffix.optional && suffix.optional) {
            return self.twice("`?` or `!`");
        }
        if drafts.iter().any(|draft| draft.suffix.condition.is_some() && suffix.condition.is_some()) {
            return self.twice("a condition");
        }
        if drafts.len() > 1 {
            self.charge(drafts.len().saturating_mul(suffix.bytes()))?;
        }
        for draft in drafts {
            draft.suffix.optional |= suffix.optional;
            draft.suffix.sufficient |= suffix.sufficient;
            if suffix.condition.is_some() {
                draft.suffix.condition = suffix.condition.clone();
                draft.suffix.condition_tokens = suffix.condition_tokens;
            }
        }
        Ok(())
    }

    fn twice<T>(&mut self, what: &str) -> Parsed<T> {
        let diagnostic =
            Diagnostic::error("parse/suffix-twice", self.peek().span, format!("a probe point has {what} only once"));
        self.fail(diagnostic.note("what stands inside braces and what follows them is for the same points"))
    }

    fn charge(&mut self, bytes: usize) -> Parsed<()> {
        self.brace_bytes = self.brace_bytes.saturating_add(bytes);
        if self.brace_bytes <= BRACE_BYTES_MAX {
            return Ok(());
        }
        let message = format!("the braces of this script make more than {BRACE_BYTES_MAX} bytes of probe points");
        self.fail(Diagnostic::error("parse/too-many-points", self.peek().span, message))
    }

    /// `?`, `!`, `if (e)`
    fn suffix(&mut self) -> Parsed<Suffix> {
        let sufficient = self.eat(Symbol::Not);
        let optional = sufficient || self.eat(Symbol::Question);
        let mut suffix = Suffix { optional, sufficient, ..Suffix::default() };
        if self.eat_keyword(Keyword::If) {
            let start = self.at();
            let open = self.expect(Symbol::ParenOpen)?;
            suffix.condition = Some(self.expression()?);
            self.expect_close(open)?;
            suffix.condition_tokens = self.at() - start;
        }
        Ok(suffix)
    }

    /// `function("f")`
    fn component(&mut self) -> Parsed<Component> {
        let start = self.at();
        let mut text = String::new();
        loop {
            let token = self.peek();
            let part = match token.kind {
                TokenKind::Name | TokenKind::Keyword(_) => self.text(token),
                // As in `usb*2`; a component does not start with one.
                TokenKind::Number if !text.is_empty() => self.text(token),
                TokenKind::Symbol(Symbol::Star) => "*",
                _ => break,
            };
            if !text.is_empty() && !self.is_glued() {
                break;
            }
            text.push_str(part);
            self.advance();
        }
        if text.is_empty() {
            return self.expected("a probe point");
        }
        let name = Name { text, span: self.since(start) };
        if !self.is(Symbol::ParenOpen) {
            return Ok(Component { name, argument: None });
        }
        let open = self.advance();
        let argument = Some(self.expect_literal()?);
        self.expect_close(open)?;
        Ok(Component { name, argument })
    }
}
