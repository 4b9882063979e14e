//! What is called like a function but is part of the language: the operators that start with `@`, and the print family.

use shared::diagnostic::Diagnostic;

use super::cursor::{Context, Parsed, Parser};
use super::is_built_in;
use super::token::{Symbol, Token, TokenKind};
use crate::ast::{Aggregate, Expression, ExpressionKind, Histogram, Literal, Name, Print, PrintForm};

/// The members of the print family, without the `s` that makes a string of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrintFamily {
    Format,
    Plain { delimiter: bool, newline: bool },
    Character,
}

/// Whether a name is of the print family: whether it makes a string, and which it is.
pub(super) fn print_family(name: &str) -> Option<(bool, PrintFamily)> {
    let (to_string, rest) = match name.strip_prefix("sprint") {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix("print")?),
    };
    let family = match rest {
        "" => PrintFamily::Plain { delimiter: false, newline: false },
        "ln" => PrintFamily::Plain { delimiter: false, newline: true },
        "d" => PrintFamily::Plain { delimiter: true, newline: false },
        "dln" => PrintFamily::Plain { delimiter: true, newline: true },
        "f" => PrintFamily::Format,
        "_char" => PrintFamily::Character,
        _ => return None,
    };
    Some((to_string, family))
}

/// The aggregate that an operator reads.
pub(super) fn aggregate(operator: &str) -> Option<Aggregate> {
    match operator {
        "@count" => Some(Aggregate::Count),
        "@sum" => Some(Aggregate::Sum),
        "@min" => Some(Aggregate::Min),
        "@max" => Some(Aggregate::Max),
        "@avg" => Some(Aggregate::Average),
        "@variance" => Some(Aggregate::Variance),
        _ => None,
    }
}

impl Parser<'_> {
    /// `@name(…)`
    pub(super) fn operator(&mut self, start: usize, token: Token) -> Parsed<Expression> {
        let name = self.text(token);
        if let Some(aggregate) = aggregate(name) {
            self.advance();
            return self.aggregate(start, aggregate);
        }
        if matches!(name, "@hist_log" | "@hist_linear") {
            return self.histogram_value(start);
        }
        if !is_built_in(name) {
            return self.expected("an expression");
        }
        if matches!(name, "@const" | "@kderef" | "@kregister") {
            self.check_guru(token, name);
        }
        self.advance();
        let open = self.expect(Symbol::ParenOpen)?;
        let kind = self.operands(name)?;
        self.expect_close(open)?;
        Ok(self.node(start, kind))
    }

    /// What stands in the parentheses of an operator.
    fn operands(&mut self, name: &str) -> Parsed<ExpressionKind> {
        match name {
            "@cast" => self.cast(),
            "@defined" => Ok(ExpressionKind::Defined(self.operand()?)),
            "@entry" => Ok(ExpressionKind::Entry(self.operand()?)),
            "@kderef" | "@uderef" => self.deref(name == "@uderef"),
            "@enumname" => self.enum_name(),
            _ => self.constant_operands(name),
        }
    }

    /// The same for the operators that nothing can be nested in.
    fn constant_operands(&mut self, name: &str) -> Parsed<ExpressionKind> {
        Ok(match name {
            "@var" => ExpressionKind::AtVar { name: self.expect_quoted()?, module: self.optional_quoted()? },
            "@probewrite" => ExpressionKind::ProbeWrite(self.expect_variable()?),
            "@perf" => ExpressionKind::Perf(self.expect_quoted()?),
            "@const" => ExpressionKind::Const(self.expect_quoted()?),
            "@enum" => ExpressionKind::Enum(self.expect_quoted()?, self.optional_quoted()?),
            "@kregister" | "@uregister" => {
                ExpressionKind::Register { user: name == "@uregister", number: self.expect_number()? }
            }
            _ => return self.expected("an operator"),
        })
    }

    fn operand(&mut self) -> Parsed<Box<Expression>> {
        self.inner_expression().map(Box::new)
    }

    /// `p, "type"`, `p, "type", "module"`
    fn cast(&mut self) -> Parsed<ExpressionKind> {
        let operand = self.operand()?;
        self.expect(Symbol::Comma)?;
        Ok(ExpressionKind::Cast { operand, ty: self.expect_quoted()?, module: self.optional_quoted()? })
    }

    /// `size, address`
    fn deref(&mut self, user: bool) -> Parsed<ExpressionKind> {
        let size = self.expect_number()?;
        self.expect(Symbol::Comma)?;
        Ok(ExpressionKind::Deref { user, size, address: self.operand()? })
    }

    /// `v`, `v, "type"`, `v, "type", "module"`
    fn enum_name(&mut self) -> Parsed<ExpressionKind> {
        let value = self.operand()?;
        let ty = self.optional_quoted()?;
        let module = if ty.is_some() { self.optional_quoted()? } else { None };
        Ok(ExpressionKind::EnumName(value, ty, module))
    }

    /// A variable of the script or of the target.
    fn expect_variable(&mut self) -> Parsed<Name> {
        let token = self.peek();
        if token.kind != TokenKind::Name {
            return self.expected("a variable");
        }
        self.advance();
        Ok(self.name(token))
    }

    fn expect_quoted(&mut self) -> Parsed<Literal> {
        self.expect_string("a string in quotes")
    }

    /// `, "…"`
    fn optional_quoted(&mut self) -> Parsed<Option<Literal>> {
        if self.eat(Symbol::Comma) { self.expect_quoted().map(Some) } else { Ok(None) }
    }

    /// A user's script may look at what it is shown; to reach anywhere it needs guru mode.
    fn check_guru(&mut self, token: Token, name: &str) {
        if self.environment.user_script && !self.environment.guru {
            let diagnostic = Diagnostic::error("parse/guru-needed", token.span, format!("`{name}` needs guru mode"));
            self.report(diagnostic.help("run it with `-g`"));
        }
    }

    /// `(s)`, `(s, shift)`
    fn aggregate(&mut self, start: usize, aggregate: Aggregate) -> Parsed<Expression> {
        let open = self.expect(Symbol::ParenOpen)?;
        let statistic = self.operand()?;
        let shift = match aggregate == Aggregate::Variance && self.eat(Symbol::Comma) {
            true => Some(self.expect_signed()?.0),
            false => None,
        };
        self.expect_close(open)?;
        Ok(self.node(start, ExpressionKind::Aggregate { aggregate, statistic, shift }))
    }

    /// A histogram where a value is expected: one of its buckets, or, to be printed, the whole.
    fn histogram_value(&mut self, start: usize) -> Parsed<Expression> {
        let printed = self.context.histogram;
        let histogram = self.histogram()?;
        if self.is(Symbol::BracketOpen) {
            let keys = self.keys(false)?;
            return Ok(self.node(start, ExpressionKind::Index { base: Box::new(histogram), keys }));
        }
        if printed && self.is(Symbol::ParenClose) {
            return Ok(histogram);
        }
        let diagnostic = Diagnostic::error("parse/histogram-as-value", histogram.span, "a histogram is no value");
        self.fail(diagnostic.help(
            "print it alone (`print(@hist_log(s))`), read a bucket (`@hist_log(s)[i]`), or walk over it with `foreach`",
        ))
    }

    /// `@hist_log(s)`, `@hist_linear(s, low, high, step)`
    fn histogram(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let token = self.advance();
        let linear = self.text(token) == "@hist_linear";
        let open = self.expect(Symbol::ParenOpen)?;
        let statistic = self.operand()?;
        let histogram = match linear {
            true => {
                let mut bound = || {
                    self.expect(Symbol::Comma)?;
                    Ok(self.expect_signed()?.0)
                };
                Histogram::Linear { low: bound()?, high: bound()?, step: bound()? }
            }
            false => Histogram::Log,
        };
        self.expect_close(open)?;
        Ok(self.node(start, ExpressionKind::Histogram { histogram, statistic }))
    }

    /// What a `foreach` walks over: a name, or a histogram.
    pub(super) fn indexable(&mut self) -> Parsed<Expression> {
        let start = self.at();
        let token = self.peek();
        if token.kind == TokenKind::At && matches!(self.text(token), "@hist_log" | "@hist_linear") {
            return self.histogram();
        }
        let name = self.expect_name("the name of an array")?;
        Ok(self.node(start, ExpressionKind::Name(name.text)))
    }

    /// `printf("…", a)` and its family.
    pub(super) fn print(&mut self, start: usize, to_string: bool, family: PrintFamily) -> Parsed<Expression> {
        let token = self.advance();
        let name = self.text(token);
        if !self.is(Symbol::ParenOpen) {
            let diagnostic = self.unexpected(&format!("`(` after `{name}`"));
            return self.fail(diagnostic.help(format!("`{name}` is a function of the language: `{name}(…)`")));
        }
        let open = self.advance();
        let form = self.print_form(family)?;
        let has_first = matches!(form, PrintForm::Format(_) | PrintForm::Plain { delimiter: Some(_), .. });
        let more = if has_first { self.eat(Symbol::Comma) } else { !self.is(Symbol::ParenClose) };
        let arguments = if more { self.printed(has_first)? } else { Vec::new() };
        self.expect_close(open)?;
        let (arguments_min, values) = match &form {
            PrintForm::Format(_) | PrintForm::Plain { delimiter: None, newline: true } => (0, ""),
            PrintForm::Character | PrintForm::Plain { delimiter: None, newline: false } => (1, "a value"),
            PrintForm::Plain { delimiter: Some(_), .. } => (2, "two values"),
        };
        if arguments.len() < arguments_min {
            let message = format!("`{name}` needs at least {values} to print");
            self.report(Diagnostic::error("parse/nothing-to-print", self.since(start), message));
        }
        Ok(self.node(start, ExpressionKind::Print(Print { to_string, form, arguments })))
    }

    fn print_form(&mut self, family: PrintFamily) -> Parsed<PrintForm> {
        Ok(match family {
            PrintFamily::Format => PrintForm::Format(self.expect_string("a format in quotes")?),
            PrintFamily::Character => PrintForm::Character,
            PrintFamily::Plain { delimiter: true, newline } => {
                PrintForm::Plain { delimiter: Some(self.expect_string("a delimiter in quotes")?), newline }
            }
            PrintFamily::Plain { delimiter: false, newline } => PrintForm::Plain { delimiter: None, newline },
        })
    }

    /// The values that are printed. A histogram is printed alone, without a format or a delimiter before it.
    fn printed(&mut self, has_first: bool) -> Parsed<Vec<Expression>> {
        let context = self.context;
        let mut arguments = Vec::new();
        loop {
            self.context = Context { slice: false, histogram: !has_first && arguments.is_empty(), ..context };
            let argument = self.expression();
            self.context = context;
            arguments.push(argument?);
            if !self.eat(Symbol::Comma) {
                return Ok(arguments);
            }
        }
    }
}
