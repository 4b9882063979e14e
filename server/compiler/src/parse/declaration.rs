//! Declarations: probes, aliases, globals and functions. What cannot be read is left out of the tree.

use std::collections::BTreeMap;

use shared::diagnostic::{Diagnostic, Span, similar};

use super::cursor::{Context, Parsed, Parser};
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::ast::{
    Block, Component, FunctionDecl, GlobalDecl, Item, Literal, LiteralValue, Name, Parameter, Placement, Probe,
    ProbeAlias, ProbePoint, Stapfile, TypeName,
};

impl Parser<'_> {
    /// The whole file.
    pub(super) fn file(mut self) -> (Stapfile, Vec<Diagnostic>) {
        let mut file = Stapfile::default();
        while !self.is_end() {
            let start = self.at();
            self.blocks.clear();
            if self.declaration(&mut file.items).is_err() {
                if self.at() == start {
                    self.advance();
                }
                self.skip_declaration();
            }
        }
        (file, self.diagnostics)
    }

    fn declaration(&mut self, items: &mut Vec<Item>) -> Parsed<()> {
        let start = self.at();
        let token = self.peek();
        match token.kind {
            TokenKind::Keyword(Keyword::Probe) => {
                self.advance();
                items.push(self.probe(start)?);
            }
            TokenKind::Keyword(Keyword::Global) => {
                self.advance();
                self.globals(false, items)?;
            }
            TokenKind::Keyword(Keyword::Function) => {
                self.advance();
                items.push(self.function(false)?);
            }
            TokenKind::Keyword(Keyword::Private) => {
                self.advance();
                match self.peek().kind {
                    TokenKind::Keyword(Keyword::Function) => {
                        self.advance();
                        items.push(self.function(true)?);
                    }
                    TokenKind::Keyword(Keyword::Global) => {
                        self.advance();
                        self.globals(true, items)?;
                    }
                    TokenKind::Name => self.globals(true, items)?,
                    _ => return self.expected("`function`, `global` or a name after `private`"),
                }
            }
            TokenKind::Embedded => {
                self.advance();
                self.refuse_embedded(token);
            }
            TokenKind::Reported => {
                self.advance();
            }
            _ => return self.no_declaration(token),
        }
        Ok(())
    }

    fn no_declaration(&mut self, token: Token) -> Parsed<()> {
        let diagnostic = self.unexpected("`probe`, `global`, `private` or `function`");
        let words = ["probe", "global", "private", "function"];
        let near = if token.kind == TokenKind::Name { similar(self.text(token), words) } else { Vec::new() };
        let diagnostic = match (token.kind, near.as_slice()) {
            (_, [near, ..]) => diagnostic.help(format!("did you mean `{near}`?")),
            (TokenKind::Symbol(Symbol::BraceClose), _) => {
                diagnostic.help("this `}` closes nothing; is there one too many before it?")
            }
            (TokenKind::Symbol(Symbol::Semicolon), _) => diagnostic.help("no `;` stands between declarations"),
            (TokenKind::Keyword(_) | TokenKind::Name, _) => {
                diagnostic.help("statements stand in a probe: `probe begin { … }` runs at the start")
            }
            _ => diagnostic,
        };
        let failed = self.fail(diagnostic);
        match token.kind {
            TokenKind::Symbol(Symbol::BraceClose | Symbol::Semicolon) => {
                self.advance();
                Ok(())
            }
            _ => failed,
        }
    }
}

/// Probes and aliases.
impl Parser<'_> {
    /// What follows `probe`.
    fn probe(&mut self, start: usize) -> Parsed<Item> {
        let mut names = Vec::new();
        let mut equal: Option<(Placement, Token)> = None;
        let points = loop {
            let points = match self.point_list() {
                Ok(points) => points,
                Err(unparsed) => {
                    self.skip_to_body();
                    return Err(unparsed);
                }
            };
            let token = self.peek();
            let placement = match token.kind {
                TokenKind::Symbol(Symbol::Equal) => Placement::Prologue,
                TokenKind::Symbol(Symbol::PlusEqual) => Placement::Epilogue,
                _ => break points,
            };
            names.push(self.alias_name(points)?);
            self.advance();
            // One `+=` makes the body an epilogue, for all of the names.
            equal = equal.filter(|(placement, _)| *placement == Placement::Epilogue).or(Some((placement, token)));
        };
        let span = self.since(start);
        let body = self.body(Context::default(), "`,`, `=`, `+=` or the `{` of the handler after a probe point")?;
        let Some((placement, equal)) = equal else { return Ok(Item::Probe(Probe { points, body, span })) };
        let epilogue = match self.is(Symbol::Comma) {
            true => Some(self.epilogue(placement, equal)?),
            false => None,
        };
        Ok(Item::Alias(ProbeAlias { names, points, placement, body, epilogue, span }))
    }

    fn point_list(&mut self) -> Parsed<Vec<ProbePoint>> {
        let mut points = self.points()?;
        while self.eat(Symbol::Comma) {
            points.extend(self.points()?);
        }
        Ok(points)
    }

    /// After an error among the points: what is wrong in the handler can be said still.
    fn skip_to_body(&mut self) {
        while !self.is_end() && !self.is_declaration() && !self.is_handler() {
            self.advance();
        }
        if self.is_handler() {
            // The tree has no place for it.
            let _: Parsed<Block> = self.body(Context::default(), "a block");
        }
    }

    /// Whether a handler begins here, and not the braces of a probe point.
    fn is_handler(&self) -> bool {
        use Symbol::{BraceOpen, Comma, Dot, Equal, PlusEqual};
        self.is(BraceOpen)
            && !matches!(
                self.last(),
                Some(
                    TokenKind::Symbol(BraceOpen | Comma | Dot | Equal | PlusEqual) | TokenKind::Keyword(Keyword::Probe)
                )
            )
    }

    /// A probe point before `=`.
    fn alias_name(&mut self, points: Vec<ProbePoint>) -> Parsed<Vec<Component>> {
        let Ok([point]) = <[ProbePoint; 1]>::try_from(points) else {
            let diagnostic = self.unexpected("one name for the alias");
            return self.fail(diagnostic.help("several names for the same are written `probe a = b = …`"));
        };
        if point.optional || point.condition.is_some() {
            let message = "the name of an alias has no `?`, `!` or `if`";
            self.report(Diagnostic::error("parse/alias-suffix", point.span, message));
        }
        Ok(point.components)
    }

    /// `, { … }` after an alias's body.
    fn epilogue(&mut self, placement: Placement, equal: Token) -> Parsed<Block> {
        if placement == Placement::Epilogue {
            let diagnostic =
                self.unexpected("the end of the alias").also(equal.span, "this makes the block an epilogue already");
            return self.fail(diagnostic.help("a prologue and an epilogue are written `probe a = b { … }, { … }`"));
        }
        self.advance();
        self.body(Context::default(), "the `{` of the epilogue")
    }

    fn body(&mut self, context: Context, expected: &str) -> Parsed<Block> {
        if self.is(Symbol::BraceOpen) {
            return self.within(context, Self::block);
        }
        let token = self.peek();
        if token.kind == TokenKind::Embedded {
            self.advance();
            self.refuse_embedded(token);
            return Ok(Block { statements: Vec::new(), span: token.span });
        }
        self.expected(expected)
    }
}

/// Globals and functions.
impl Parser<'_> {
    /// What follows `global` or `private`.
    fn globals(&mut self, private: bool, items: &mut Vec<Item>) -> Parsed<()> {
        loop {
            items.push(Item::Global(self.global(private)?));
            if !self.eat(Symbol::Comma) {
                break;
            }
        }
        self.eat(Symbol::Semicolon);
        Ok(())
    }

    /// `a%[100]`, `a = 1`
    fn global(&mut self, private: bool) -> Parsed<GlobalDecl> {
        let name = self.expect_name("the name of a variable")?;
        let wrap = self.eat(Symbol::Percent);
        let mut size = None;
        if self.is(Symbol::BracketOpen) {
            let open = self.advance();
            let (number, span) = self.expect_signed()?;
            if number <= 0 {
                self.report(Diagnostic::error("parse/array-size", span, "an array holds at least one element"));
            }
            let value = LiteralValue::Number(number.max(1));
            size = Some(Literal { value, span });
            self.expect_close(open)?;
            if self.is(Symbol::Percent) {
                let diagnostic = self.unexpected("the end of the declaration");
                return self
                    .fail(diagnostic.help(format!("the `%` stands before the size: `{}%[{number}]`", name.text)));
            }
        }
        let mut initial = None;
        if self.is(Symbol::Equal) {
            let equal = self.advance();
            initial = Some(self.expect_literal()?);
            if size.is_some() || wrap {
                let message = "an array has no initial value";
                self.report(Diagnostic::error("parse/array-initialized", equal.span, message));
                initial = None;
            }
        }
        Ok(GlobalDecl { name, private, wrap, size, initial })
    }

    /// What follows `function`.
    fn function(&mut self, private: bool) -> Parsed<Item> {
        let name = self.expect_name("the name of a function")?;
        let result = if self.eat(Symbol::Colon) { Some(self.type_name()?) } else { None };
        let parameters = self.parameters()?;
        let priority = match self.eat(Symbol::Colon) {
            true => Some(self.priority()?),
            false => None,
        };
        let context = Context { function: true, ..Context::default() };
        let body = self.body(context, "the `{` of the function")?;
        Ok(Item::Function(FunctionDecl { name, private, parameters, result, priority, body }))
    }

    fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        let open = self.expect(Symbol::ParenOpen)?;
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut first: BTreeMap<String, Span> = BTreeMap::new();
        while !self.is(Symbol::ParenClose) {
            let name = self.expect_name("the name of a parameter")?;
            self.check_new(&name, &mut first);
            let ty = if self.eat(Symbol::Colon) { Some(self.type_name()?) } else { None };
            parameters.push(Parameter { name, ty });
            if !self.eat(Symbol::Comma) {
                break;
            }
        }
        self.expect_close(open)?;
        Ok(parameters)
    }

    fn check_new(&mut self, name: &Name, first: &mut BTreeMap<String, Span>) {
        if let Some(&span) = first.get(&name.text) {
            let message = format!("two parameters are called `{}`", name.text);
            self.report(Diagnostic::error("parse/duplicate-parameter", name.span, message).also(span, "the first"));
        } else {
            first.insert(name.text.clone(), name.span);
        }
    }

    fn type_name(&mut self) -> Parsed<TypeName> {
        if self.eat_keyword(Keyword::Long) {
            Ok(TypeName::Long)
        } else if self.eat_keyword(Keyword::String) {
            Ok(TypeName::String)
        } else {
            self.expected("`long` or `string`")
        }
    }

    fn priority(&mut self) -> Parsed<i64> {
        if matches!(self.peek().kind, TokenKind::Keyword(Keyword::Long | Keyword::String)) {
            let diagnostic = self.unexpected("a number, the priority of the function");
            return self
                .fail(diagnostic.help("the type of the result stands before the parameters: `function f:long(…)`"));
        }
        let (priority, span) = self.expect_signed()?;
        if priority <= 0 {
            self.report(Diagnostic::error("parse/priority", span, "a priority is at least 1"));
        }
        Ok(priority)
    }
}
