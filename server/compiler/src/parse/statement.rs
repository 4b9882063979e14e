//! Blocks and statements. A statement that cannot be read becomes an empty one, so that those around it are read still.

use shared::diagnostic::Diagnostic;

use super::cursor::{Context, Parsed, Parser};
use super::operator::aggregate;
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::ast::{
    Aggregate, Block, Expression, ExpressionKind, Foreach, LiteralValue, Name, Sort, SortBy, Statement, StatementKind,
};

impl Parser<'_> {
    /// `{ … }`. Once it is opened, there is always a block; where its end is missing, it ends before what cannot be in it.
    pub(super) fn block(&mut self) -> Parsed<Block> {
        let start = self.at();
        let open = self.expect(Symbol::BraceOpen)?;
        let mut statements = Vec::new();
        while !self.is(Symbol::BraceClose) {
            if !self.is_end() && !self.is_declaration() {
                statements.push(self.statement());
            } else if !self.skip_misplaced_global() {
                self.report_unclosed(open);
                return Ok(Block { statements, span: self.since(start) });
            }
        }
        let close = self.advance();
        self.blocks.push((open, close));
        Ok(Block { statements, span: self.since(start) })
    }

    fn report_unclosed(&mut self, open: Token) {
        let mut diagnostic = self.unexpected("`}`").also(open.span, "this `{` is not closed");
        if let Some((open, close)) = self.misindented() {
            diagnostic = diagnostic.also(open.span, "or it is this one that is not closed…");
            diagnostic = diagnostic.also(close.span, "…and this `}`, which stands elsewhere, belongs to another");
        }
        // Blocks around this one miss their ends at the same place: once is enough.
        let _: Parsed<()> = self.fail(diagnostic);
    }

    /// `global x` inside a block: a mistake of its own, where it does not start a line as declarations do.
    fn skip_misplaced_global(&mut self) -> bool {
        let token = self.peek();
        let misplaced = self.is_keyword(Keyword::Global) && self.sources.line_column(token.span).column > 1;
        if misplaced {
            let message = "a global is declared outside of probes and functions";
            self.report(Diagnostic::error("parse/misplaced-global", token.span, message));
            self.advance();
            self.skip_statement(self.at());
        }
        misplaced
    }

    /// One statement with its `;`.
    pub(super) fn statement(&mut self) -> Statement {
        let start = self.at();
        let kind = match self.nested(Self::statement_kind) {
            Ok(kind) => kind,
            Err(_) => {
                self.skip_statement(start);
                if self.at() == start && !self.is(Symbol::BraceClose) && !self.is_declaration() {
                    self.advance();
                }
                StatementKind::Empty
            }
        };
        Statement { kind, span: self.since(start) }
    }

    fn statement_kind(&mut self) -> Parsed<StatementKind> {
        let token = self.peek();
        match token.kind {
            TokenKind::Symbol(Symbol::Semicolon) => {
                self.advance();
                Ok(StatementKind::Empty)
            }
            TokenKind::Symbol(Symbol::BraceOpen) => Ok(StatementKind::Block(self.block()?)),
            TokenKind::Keyword(keyword) => self.keyword_statement(token, keyword),
            _ => {
                let expression = self.expression()?;
                self.eat(Symbol::Semicolon);
                Ok(StatementKind::Expression(expression))
            }
        }
    }

    fn keyword_statement(&mut self, token: Token, keyword: Keyword) -> Parsed<StatementKind> {
        self.advance();
        match keyword {
            Keyword::If => self.if_statement(),
            Keyword::While => {
                let condition = self.condition()?;
                Ok(StatementKind::While { condition, body: self.loop_body() })
            }
            Keyword::For => self.for_statement(),
            Keyword::Foreach => self.foreach_statement(),
            Keyword::Try => self.try_statement(),
            Keyword::Break | Keyword::Continue => self.jump(token, keyword),
            Keyword::Return => self.return_statement(token),
            Keyword::Next => {
                self.eat(Symbol::Semicolon);
                Ok(StatementKind::Next)
            }
            Keyword::Delete => self.delete_statement(),
            _ => self.misplaced_keyword(token, keyword),
        }
    }

    fn misplaced_keyword(&mut self, token: Token, keyword: Keyword) -> Parsed<StatementKind> {
        let text = keyword.text();
        let diagnostic = match keyword {
            Keyword::Else => {
                let diagnostic = Diagnostic::error("parse/else-without-if", token.span, "this `else` has no `if`");
                diagnostic.help("a `;` or a second statement before it ends the `if`; braces hold statements together")
            }
            Keyword::Catch => {
                let message = "this `catch` has no `try`";
                Diagnostic::error("parse/catch-without-try", token.span, message)
            }
            Keyword::Long | Keyword::String => {
                let message = format!("a variable is not declared as `{text}`");
                let diagnostic = Diagnostic::error("parse/declared-type", token.span, message);
                diagnostic.help("leave the type out: it follows from how the variable is used")
            }
            _ => {
                let message = format!("expected a statement, found `{text}`");
                let diagnostic = Diagnostic::error("parse/unexpected-token", token.span, message);
                diagnostic.help(format!("`{text}` is a keyword; choose another name"))
            }
        };
        self.fail(diagnostic)
    }

    /// `(e)` after `if` or `while`.
    fn condition(&mut self) -> Parsed<Expression> {
        self.header(Self::expression).map(|read| read.unwrap_or_else(|| self.missing()))
    }

    /// Reads what stands in the parentheses behind a keyword. Where that fails, what follows them is read still.
    fn header<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<Option<T>> {
        let open = self.expect(Symbol::ParenOpen)?;
        let start = self.at();
        let read = read(self).and_then(|read| self.expect_close(open).map(|_| read));
        if read.is_err() {
            self.skip_parentheses(start);
        }
        Ok(read.ok())
    }

    /// In place of an expression that could not be read.
    fn missing(&self) -> Expression {
        Expression { kind: ExpressionKind::Literal(LiteralValue::Number(0)), span: self.peek().span }
    }

    /// A statement as a part of another.
    fn boxed_statement(&mut self) -> Box<Statement> {
        Box::new(self.statement())
    }

    fn loop_body(&mut self) -> Box<Statement> {
        let context = Context { in_loop: true, ..self.context };
        self.within(context, Self::boxed_statement)
    }

    /// Reads something in another context.
    pub(super) fn within<T>(&mut self, context: Context, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.context, context);
        let read = read(self);
        self.context = before;
        read
    }

    fn if_statement(&mut self) -> Parsed<StatementKind> {
        let condition = self.condition()?;
        let then = self.boxed_statement();
        let otherwise = self.eat_keyword(Keyword::Else).then(|| self.boxed_statement());
        Ok(StatementKind::If { condition, then, otherwise })
    }

    fn for_statement(&mut self) -> Parsed<StatementKind> {
        let header = self.header(|parser| {
            let init = parser.expression_before(Symbol::Semicolon)?;
            parser.expect(Symbol::Semicolon)?;
            let condition = parser.expression_before(Symbol::Semicolon)?;
            parser.expect(Symbol::Semicolon)?;
            Ok((init, condition, parser.expression_before(Symbol::ParenClose)?))
        })?;
        let (init, condition, step) = header.unwrap_or_default();
        Ok(StatementKind::For { init, condition, step, body: self.loop_body() })
    }

    fn expression_before(&mut self, end: Symbol) -> Parsed<Option<Box<Expression>>> {
        if self.is(end) { Ok(None) } else { self.expression().map(|expression| Some(Box::new(expression))) }
    }

    fn try_statement(&mut self) -> Parsed<StatementKind> {
        let body = self.block()?;
        if !self.eat_keyword(Keyword::Catch) {
            let diagnostic = self.unexpected("`catch` after the block of `try`");
            return self.fail(diagnostic);
        }
        let message = match self.is(Symbol::ParenOpen) {
            true => self.header(|parser| parser.expect_name("the variable for the error message"))?,
            false => None,
        };
        Ok(StatementKind::Try { body, message, handler: self.block()? })
    }

    fn jump(&mut self, token: Token, keyword: Keyword) -> Parsed<StatementKind> {
        if !self.context.in_loop {
            let message = format!("`{}` outside of a loop", keyword.text());
            let diagnostic = Diagnostic::error("parse/jump-outside-loop", token.span, message);
            self.report(diagnostic.help("`next` ends a probe's handler, `return` a function"));
        }
        self.eat(Symbol::Semicolon);
        Ok(if keyword == Keyword::Break { StatementKind::Break } else { StatementKind::Continue })
    }

    fn return_statement(&mut self, token: Token) -> Parsed<StatementKind> {
        if !self.context.function {
            let diagnostic =
                Diagnostic::error("parse/return-outside-function", token.span, "`return` outside of a function");
            self.report(diagnostic.help("`next` ends a probe's handler"));
        }
        let bare = self.is(Symbol::Semicolon) || self.is(Symbol::BraceClose) || self.is_end();
        let value = if bare { None } else { Some(self.expression()?) };
        self.eat(Symbol::Semicolon);
        Ok(StatementKind::Return(value))
    }

    fn delete_statement(&mut self) -> Parsed<StatementKind> {
        let context = Context { slice: true, ..self.context };
        let target = self.within(context, Self::expression)?;
        if !matches!(target.kind, ExpressionKind::Name(_) | ExpressionKind::Index { .. }) {
            let message = "only a variable or an element of an array can be deleted";
            self.report(Diagnostic::error("parse/not-deletable", target.span, message));
        }
        self.eat(Symbol::Semicolon);
        Ok(StatementKind::Delete(target))
    }
}

/// What stands in the parentheses of a `foreach`.
struct ForeachHeader {
    value: Option<Name>,
    keys: Vec<Name>,
    over: Expression,
    slice: Vec<Option<Expression>>,
    sort: Option<Sort>,
    limit: Option<Expression>,
}

impl Parser<'_> {
    fn foreach_statement(&mut self) -> Parsed<StatementKind> {
        let header = self.header(Self::foreach_header)?;
        let body = *self.loop_body();
        let missing = self.missing();
        let header = header.unwrap_or_else(|| ForeachHeader {
            value: None,
            keys: Vec::new(),
            over: missing,
            slice: Vec::new(),
            sort: None,
            limit: None,
        });
        let ForeachHeader { value, keys, over, slice, sort, limit } = header;
        Ok(StatementKind::Foreach(Box::new(Foreach { value, keys, over, slice, sort, limit, body })))
    }

    /// `v = [a+, b] in t[x, *] @sum- limit n`
    fn foreach_header(&mut self) -> Parsed<ForeachHeader> {
        let mut sort = None;
        let mut value = None;
        if !self.is(Symbol::BracketOpen) && self.is_foreach_value() {
            value = Some(self.expect_name("a variable for the values")?);
            self.sort(SortBy::Value, &mut sort)?;
            self.expect(Symbol::Equal)?;
        }
        let keys = self.foreach_keys(&mut sort)?;
        if !self.eat_keyword(Keyword::In) {
            return self.expected("`in`");
        }
        let over = self.indexable()?;
        let slice = match self.is(Symbol::BracketOpen) {
            true => self.keys(true)?,
            false => Vec::new(),
        };
        let aggregate = match self.peek().kind {
            TokenKind::At => Some(self.sort_aggregate()?),
            _ => None,
        };
        self.sort(aggregate.map_or(SortBy::Value, SortBy::Aggregate), &mut sort)?;
        let limit = match self.eat_keyword(Keyword::Limit) {
            true => Some(self.expression()?),
            false => None,
        };
        Ok(ForeachHeader { value, keys, over, slice, sort, limit })
    }

    /// Whether a name, perhaps with a `+` or `-`, stands before a `=`.
    fn is_foreach_value(&self) -> bool {
        let equal = |ahead| self.peek_ahead(ahead).kind == TokenKind::Symbol(Symbol::Equal);
        let sorted = matches!(self.peek_ahead(1).kind, TokenKind::Symbol(Symbol::Plus | Symbol::Minus));
        equal(1) || sorted && equal(2)
    }

    fn foreach_keys(&mut self, sort: &mut Option<Sort>) -> Parsed<Vec<Name>> {
        let mut keys = Vec::new();
        if !self.is(Symbol::BracketOpen) {
            keys.push(self.expect_name("a variable for the keys")?);
            self.sort(SortBy::Key(0), sort)?;
            return Ok(keys);
        }
        let open = self.advance();
        loop {
            keys.push(self.expect_name("a variable for a key")?);
            self.sort(SortBy::Key(keys.len() - 1), sort)?;
            if !self.eat(Symbol::Comma) {
                self.expect_close(open)?;
                return Ok(keys);
            }
        }
    }

    /// `+` or `-`, where there is one.
    fn sort(&mut self, by: SortBy, sort: &mut Option<Sort>) -> Parsed<()> {
        let sign = self.peek();
        let descending = match sign.kind {
            TokenKind::Symbol(Symbol::Plus) => false,
            TokenKind::Symbol(Symbol::Minus) => true,
            _ if matches!(by, SortBy::Aggregate(_)) => return self.expected("`+` or `-` to sort by this"),
            _ => return Ok(()),
        };
        if sort.is_some() {
            let diagnostic = Diagnostic::error("parse/sorted-twice", sign.span, "a `foreach` sorts by one thing only");
            return self.fail(diagnostic.help("keep one `+` or `-`: behind a key, or behind the array for its values"));
        }
        self.advance();
        *sort = Some(Sort { by, descending });
        Ok(())
    }

    fn sort_aggregate(&mut self) -> Parsed<Aggregate> {
        let token = self.peek();
        match aggregate(self.text(token)) {
            Some(aggregate) => {
                self.advance();
                Ok(aggregate)
            }
            None => self.expected("`@count`, `@sum`, `@min`, `@max`, `@avg` or `@variance`"),
        }
    }
}
