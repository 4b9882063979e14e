//! Expressions, from the loosest operator down to names and literals.

use shared::diagnostic::{Diagnostic, Span};

use super::cursor::{Parsed, Parser};
use super::operator::print_family;
use super::token::{Keyword, Symbol, Token, TokenKind};
use crate::ast::{Assign, Binary, Expression, ExpressionKind, LiteralValue, Name, Unary};

/// How tight `||` binds; everything else binds tighter.
const LOOSEST: u8 = 1;

/// How tight `in` binds.
const IN: u8 = 6;

/// How tight `==`, `<`, `=~` and the like bind.
const COMPARISON: u8 = 7;

/// An operator between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Binary(Binary),
    In,
    Match { negated: bool },
}

/// How tight the operators bind, the langref's table from the bottom up; all but `in` and the matches group to the left.
fn infix(kind: TokenKind) -> Option<(u8, Infix)> {
    let TokenKind::Symbol(symbol) = kind else {
        return (kind == TokenKind::Keyword(Keyword::In)).then_some((IN, Infix::In));
    };
    let (tightness, binary) = match symbol {
        Symbol::OrOr => (LOOSEST, Binary::LogicalOr),
        Symbol::AndAnd => (2, Binary::LogicalAnd),
        Symbol::Or => (3, Binary::Or),
        Symbol::Caret => (4, Binary::Xor),
        Symbol::And => (5, Binary::And),
        Symbol::Less => (COMPARISON, Binary::Less),
        Symbol::LessEqual => (COMPARISON, Binary::LessEqual),
        Symbol::Greater => (COMPARISON, Binary::Greater),
        Symbol::GreaterEqual => (COMPARISON, Binary::GreaterEqual),
        Symbol::EqualEqual => (COMPARISON, Binary::Equal),
        Symbol::NotEqual => (COMPARISON, Binary::NotEqual),
        Symbol::Match => return Some((COMPARISON, Infix::Match { negated: false })),
        Symbol::NotMatch => return Some((COMPARISON, Infix::Match { negated: true })),
        Symbol::ShiftLeft => (8, Binary::ShiftLeft),
        Symbol::ShiftRight => (8, Binary::ShiftRight),
        Symbol::ShiftRightLogical => (8, Binary::ShiftRightLogical),
        Symbol::Dot => (9, Binary::Concat),
        Symbol::Plus => (10, Binary::Add),
        Symbol::Minus => (10, Binary::Subtract),
        Symbol::Star => (11, Binary::Multiply),
        Symbol::Slash => (11, Binary::Divide),
        Symbol::Percent => (11, Binary::Modulo),
        _ => return None,
    };
    Some((tightness, Infix::Binary(binary)))
}

fn assignment(kind: TokenKind) -> Option<Assign> {
    let TokenKind::Symbol(symbol) = kind else { return None };
    Some(match symbol {
        Symbol::Equal => Assign::Set,
        Symbol::Accumulate => Assign::Accumulate,
        Symbol::PlusEqual => Assign::With(Binary::Add),
        Symbol::MinusEqual => Assign::With(Binary::Subtract),
        Symbol::StarEqual => Assign::With(Binary::Multiply),
        Symbol::SlashEqual => Assign::With(Binary::Divide),
        Symbol::PercentEqual => Assign::With(Binary::Modulo),
        Symbol::AndEqual => Assign::With(Binary::And),
        Symbol::OrEqual => Assign::With(Binary::Or),
        Symbol::CaretEqual => Assign::With(Binary::Xor),
        Symbol::DotEqual => Assign::With(Binary::Concat),
        Symbol::ShiftLeftEqual => Assign::With(Binary::ShiftLeft),
        Symbol::ShiftRightEqual => Assign::With(Binary::ShiftRight),
        _ => return None,
    })
}

// Whatever can be nested comes by here once for each level, so these functions are kept small: their frames are what a level
// costs of the stack.
impl Parser<'_> {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.nested(Self::assignment)
    }

    /// An expression inside another, where what the outer one allows is not allowed.
    pub(super) fn inner_expression(&mut self) -> Parsed<Expression> {
        let context = self.context;
        (self.context.slice, self.context.histogram) = (false, false);
        let expression = self.expression();
        self.context = context;
        expression
    }

    pub(super) fn node(&self, start: usize, kind: ExpressionKind) -> Expression {
        Expression { kind, span: self.since(start) }
    }

    fn assignment(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let target = self.ternary()?;
        match assignment(self.peek().kind) {
            Some(op) => self.assign(start, op, target),
            None => Ok(target),
        }
    }

    fn assign(&mut self, start: usize, op: Assign, target: Expression) -> Parsed<Expression> {
        self.check_assignable(&target, "assigned to");
        self.advance();
        let target = Box::new(target);
        let value = Box::new(self.inner_expression()?);
        Ok(self.node(start, ExpressionKind::Assign { op, target, value }))
    }

    fn check_assignable(&mut self, target: &Expression, done: &str) {
        use ExpressionKind::{AtVar, Cast, Element, Index, Member, Name, Target};
        if matches!(
            target.kind,
            Name(_) | Index { .. } | Target(_) | AtVar { .. } | Cast { .. } | Member { .. } | Element { .. }
        ) {
            return;
        }
        let diagnostic = Diagnostic::error("parse/not-assignable", target.span, format!("this cannot be {done}"));
        self.report(match target.kind {
            ExpressionKind::Ternary(..) => diagnostic
                .help("`a ? b : c = d` assigns to all that is before the `=`; put `(c = d)` in parentheses")
                .note("before SystemTap 4.0 the assignment was part of the last branch (`--compatible=3.3`)"),
            _ => diagnostic.help("only variables, elements of arrays and variables of the target hold a value"),
        });
    }

    fn ternary(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let condition = self.binary(LOOSEST)?;
        if self.is(Symbol::Question) { self.branches(start, condition) } else { Ok(condition) }
    }

    /// `? a : b`
    fn branches(&mut self, start: usize, condition: Expression) -> Parsed<Expression> {
        let condition = Box::new(condition);
        self.advance();
        let then = Box::new(self.inner_expression()?);
        self.expect(Symbol::Colon)?;
        // As in C since SystemTap 4.0; before, the last branch was a whole expression.
        let otherwise = match self.environment.follows("4.0") {
            true => self.nested(Self::ternary),
            false => self.inner_expression(),
        };
        Ok(self.node(start, ExpressionKind::Ternary(condition, then, Box::new(otherwise?))))
    }

    /// Operators that bind at least so tight, and their operands.
    fn binary(&mut self, tightness_min: u8) -> Parsed<Expression> {
        let start = self.at();
        let row = self.open_row();
        let bracketed = self.is(Symbol::BracketOpen) && tightness_min <= IN;
        let mut left = if bracketed { self.bracketed(start)? } else { self.unary()? };
        // What is looked up or matched is no operand of what binds tighter, nor of another lookup or match.
        let mut tightness_max = if bracketed { IN - 1 } else { u8::MAX };
        while let Some((tightness, infix)) = infix(self.peek().kind)
            && tightness >= tightness_min
        {
            if tightness > tightness_max {
                return self.not_an_operand();
            }
            left = self.infix(start, left, tightness, infix)?;
            if !matches!(infix, Infix::Binary(_)) {
                tightness_max = tightness - 1;
            }
        }
        self.close_row(row);
        Ok(left)
    }

    fn not_an_operand(&mut self) -> Parsed<Expression> {
        let diagnostic = self.unexpected("the end of the expression");
        self.fail(diagnostic.help("put what is before it in parentheses"))
    }

    /// An operator and its right operand.
    fn infix(&mut self, start: usize, left: Expression, tightness: u8, infix: Infix) -> Parsed<Expression> {
        self.advance();
        self.sink()?;
        match infix {
            Infix::Binary(binary) => self.right_operand(start, left, tightness, binary),
            Infix::In => self.in_array(start, vec![Some(left)]),
            Infix::Match { negated } => {
                let pattern = self.expect_string("a regular expression in quotes")?;
                Ok(self.node(start, ExpressionKind::Match { negated, subject: Box::new(left), pattern }))
            }
        }
    }

    fn right_operand(&mut self, start: usize, left: Expression, tightness: u8, op: Binary) -> Parsed<Expression> {
        let left = Box::new(left);
        let right = Box::new(self.nested(|parser| parser.binary(tightness + 1))?);
        Ok(self.node(start, ExpressionKind::Binary(op, left, right)))
    }

    /// `[a, *] in t`; also `[a]` alone, which is `a`.
    fn bracketed(&mut self, start: usize) -> Parsed<Expression> {
        let mut keys = self.nested(|parser| parser.keys(true))?;
        if self.eat_keyword(Keyword::In) {
            return self.in_array(start, keys);
        }
        match keys.pop() {
            Some(Some(key)) if keys.is_empty() => Ok(key),
            _ => self.expected("`in` after the keys"),
        }
    }

    /// What follows `in`.
    fn in_array(&mut self, start: usize, keys: Vec<Option<Expression>>) -> Parsed<Expression> {
        let array = self.expect_name("the name of an array")?;
        Ok(self.node(start, ExpressionKind::In { keys, array }))
    }

    /// `[a, *]`; whether `*` may be a key.
    pub(super) fn keys(&mut self, slice: bool) -> Parsed<Vec<Option<Expression>>> {
        let open = self.expect(Symbol::BracketOpen)?;
        let mut keys = Vec::new();
        loop {
            let star = self.peek();
            if self.is(Symbol::Star) && slice {
                self.advance();
                keys.push(None);
            } else if self.is(Symbol::Star) {
                let message = "`*` is a key only in `delete`, `in` and `foreach`";
                return self.fail(Diagnostic::error("parse/misplaced-star", star.span, message));
            } else {
                keys.push(Some(self.inner_expression()?));
            }
            if !self.eat(Symbol::Comma) {
                self.expect_close(open)?;
                return Ok(keys);
            }
        }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        match unary(self.peek().kind) {
            Some(op) => self.unary_operation(op),
            None => self.step(),
        }
    }

    fn unary_operation(&mut self, op: Unary) -> Parsed<Expression> {
        let start = self.at();
        self.advance();
        let operand = Box::new(self.nested(Self::unary)?);
        Ok(self.node(start, ExpressionKind::Unary(op, operand)))
    }

    /// `++x`, `x--`
    fn step(&mut self) -> Parsed<Expression> {
        let start = self.at();
        if let Some(increment) = step(self.peek().kind) {
            self.advance();
            let target = self.nested(Self::value)?;
            return Ok(self.stepped(start, increment, false, target));
        }
        let row = self.open_row();
        let mut value = self.value()?;
        if let Some(increment) = step(self.peek().kind) {
            self.advance();
            self.sink()?;
            value = self.stepped(start, increment, true, value);
        }
        self.close_row(row);
        Ok(value)
    }

    fn stepped(&mut self, start: usize, increment: bool, postfix: bool, target: Expression) -> Expression {
        self.check_assignable(&target, "stepped");
        self.node(start, ExpressionKind::Step { increment, postfix, target: Box::new(target) })
    }

    /// A value with all that hangs on it: `&x->y[1]$`
    fn value(&mut self) -> Parsed<Expression> {
        let start = self.at();
        if !self.eat(Symbol::And) {
            return self.chain();
        }
        let operand = Box::new(self.nested(Self::chain)?);
        Ok(self.node(start, ExpressionKind::AddressOf(operand)))
    }

    fn chain(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let row = self.open_row();
        let mut value = self.primary()?;
        while self.is(Symbol::Arrow) || self.is(Symbol::BracketOpen) || self.is_dollars() {
            self.sink()?;
            value = self.link(start, value)?;
        }
        self.close_row(row);
        Ok(value)
    }

    /// Whether a `$` or `$$` of its own is next: behind a value it is shown as text.
    fn is_dollars(&self) -> bool {
        self.peek().kind == TokenKind::Name && matches!(self.text(self.peek()), "$" | "$$")
    }

    /// `->member`, `[index]` or `$`
    fn link(&mut self, start: usize, base: Expression) -> Parsed<Expression> {
        let base = Box::new(base);
        let token = self.advance();
        match token.kind {
            TokenKind::Symbol(Symbol::Arrow) => self.member(start, base),
            TokenKind::Symbol(Symbol::BracketOpen) => {
                let index = Box::new(self.inner_expression()?);
                self.expect_close(token)?;
                Ok(self.node(start, ExpressionKind::Element { base, index }))
            }
            _ => self.pretty(start, token, base, self.text(token)),
        }
    }

    /// What follows `->`: any word, perhaps with the `$` of pretty printing glued on; `->$` shows the base itself.
    fn member(&mut self, start: usize, base: Box<Expression>) -> Parsed<Expression> {
        let token = self.peek();
        if !matches!(token.kind, TokenKind::Name | TokenKind::Keyword(_)) {
            return self.expected("the name of a member");
        }
        self.advance();
        let text = self.text(token);
        let word = text.trim_end_matches('$');
        if word.is_empty() {
            return self.pretty(start, token, base, text);
        }
        let span = Span { end: token.span.start + word.len() as u32, ..token.span };
        let member = Name { text: word.to_owned(), span };
        let value = self.node(start, ExpressionKind::Member { base, member });
        match &text[word.len()..] {
            "" => Ok(value),
            dollars => self.pretty(start, token, Box::new(value), dollars),
        }
    }

    /// A value that is shown as text, one or all levels deep.
    fn pretty(&mut self, start: usize, token: Token, base: Box<Expression>, dollars: &str) -> Parsed<Expression> {
        if dollars.len() > 2 {
            let message = "a value is shown by `$` or `$$`, not by more";
            self.report(Diagnostic::error("parse/too-many-dollars", token.span, message));
        }
        Ok(self.node(start, ExpressionKind::Pretty { base, deep: dollars.len() > 1 }))
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let token = self.peek();
        match token.kind {
            TokenKind::Symbol(Symbol::ParenOpen) => self.parenthesized(start),
            TokenKind::Name => self.named(start, token),
            TokenKind::At => self.operator(start, token),
            _ => self.literal(start, token),
        }
    }

    fn parenthesized(&mut self, start: usize) -> Parsed<Expression> {
        let open = self.advance();
        let mut expression = self.inner_expression()?;
        self.expect_close(open)?;
        expression.span = self.since(start);
        Ok(expression)
    }

    /// A literal, or what can only be a mistake.
    fn literal(&mut self, start: usize, token: Token) -> Parsed<Expression> {
        let value = match token.kind {
            TokenKind::Number => self.expect_number()?.value,
            TokenKind::String | TokenKind::Verbatim => self.expect_string("a string")?.value,
            TokenKind::Embedded => {
                self.advance();
                self.refuse_embedded(token);
                LiteralValue::Number(0)
            }
            TokenKind::Reported => {
                self.advance();
                LiteralValue::Number(0)
            }
            TokenKind::Keyword(keyword) => {
                let text = keyword.text();
                let diagnostic = self.unexpected("an expression");
                return self.fail(diagnostic.help(format!("`{text}` is a keyword and cannot name a variable")));
            }
            _ => return self.expected("an expression"),
        };
        Ok(self.node(start, ExpressionKind::Literal(value)))
    }

    /// A variable, an element of an array, a call, or a variable of the target.
    fn named(&mut self, start: usize, token: Token) -> Parsed<Expression> {
        let text = self.text(token);
        if text.starts_with('$') {
            return self.target(start, token, text);
        }
        if let Some((to_string, family)) = print_family(text) {
            return self.print(start, to_string, family);
        }
        self.advance();
        match self.peek().kind {
            TokenKind::Symbol(Symbol::ParenOpen) => self.call(start, token),
            TokenKind::Symbol(Symbol::BracketOpen) => self.index(start, text),
            _ => Ok(self.node(start, ExpressionKind::Name(text.to_owned()))),
        }
    }

    fn call(&mut self, start: usize, token: Token) -> Parsed<Expression> {
        let function = self.name(token);
        let arguments = self.arguments()?;
        Ok(self.node(start, ExpressionKind::Call { function, arguments }))
    }

    fn index(&mut self, start: usize, name: &str) -> Parsed<Expression> {
        let base = Box::new(self.node(start, ExpressionKind::Name(name.to_owned())));
        let keys = self.keys(self.context.slice)?;
        Ok(self.node(start, ExpressionKind::Index { base, keys }))
    }

    /// `$x`, `$$vars`, perhaps with the `$` of pretty printing glued on.
    fn target(&mut self, start: usize, token: Token, text: &str) -> Parsed<Expression> {
        self.advance();
        let name = text.trim_end_matches('$');
        let kind = ExpressionKind::Target(name.to_owned());
        let span = Span { end: token.span.start + name.len() as u32, ..token.span };
        let target = Expression { kind, span };
        if name.is_empty() {
            let message = format!("`{text}` names nothing");
            let diagnostic = Diagnostic::error("parse/target-without-name", token.span, message);
            self.report(diagnostic.help("a variable of the target is `$name`, all of them are `$$vars`"));
            return Ok(target);
        }
        match &text[name.len()..] {
            "" => Ok(target),
            dollars => self.pretty(start, token, Box::new(target), dollars),
        }
    }

    /// `(a, b)`
    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expression>> {
        let open = self.expect(Symbol::ParenOpen)?;
        let mut arguments = Vec::new();
        if self.eat(Symbol::ParenClose) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.inner_expression()?);
            if !self.eat(Symbol::Comma) {
                self.expect_close(open)?;
                return Ok(arguments);
            }
        }
    }
}

fn unary(kind: TokenKind) -> Option<Unary> {
    match kind {
        TokenKind::Symbol(Symbol::Minus) => Some(Unary::Negate),
        TokenKind::Symbol(Symbol::Plus) => Some(Unary::Plus),
        TokenKind::Symbol(Symbol::Not) => Some(Unary::LogicalNot),
        TokenKind::Symbol(Symbol::Tilde) => Some(Unary::Not),
        _ => None,
    }
}

/// Whether `++` or `--` is added or subtracted.
fn step(kind: TokenKind) -> Option<bool> {
    match kind {
        TokenKind::Symbol(Symbol::PlusPlus) => Some(true),
        TokenKind::Symbol(Symbol::MinusMinus) => Some(false),
        _ => None,
    }
}
