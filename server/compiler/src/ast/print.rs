//! The text form of a tree: a script that parses back to it.
//!
//! What parsing has resolved stays resolved: macros and conditionals are gone, braces expanded, literals glued. Parentheses
//! stand only where the tree needs them.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Aggregate, Assign, Binary, Block, Component, Expression, ExpressionKind, Foreach, FunctionDecl, GlobalDecl,
    Histogram, Item, Literal, LiteralValue, Name, Parameter, Placement, Print, PrintForm, Probe, ProbeAlias,
    ProbePoint, SortBy, Stapfile, Statement, StatementKind, TypeName, Unary,
};

impl Display for Stapfile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            let blank = index > 0 && !matches!((&self.items[index - 1], item), (Item::Global(_), Item::Global(_)));
            writeln!(f, "{}{item}", if blank { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(probe) => probe.fmt(f),
            Self::Alias(alias) => alias.fmt(f),
            Self::Global(global) => global.fmt(f),
            Self::Function(function) => function.fmt(f),
        }
    }
}

impl Display for Probe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "probe {} {}", list(&self.points), self.body)
    }
}

impl Display for ProbeAlias {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("probe ")?;
        for (index, name) in self.names.iter().enumerate() {
            let last = index + 1 == self.names.len();
            let equal = if last && self.placement == Placement::Epilogue { "+=" } else { "=" };
            write!(f, "{} {equal} ", joined(name, "."))?;
        }
        write!(f, "{} {}", list(&self.points), self.body)?;
        match &self.epilogue {
            Some(epilogue) => write!(f, ", {epilogue}"),
            None => Ok(()),
        }
    }
}

impl Display for ProbePoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(&self.components, ".").fmt(f)?;
        match (self.sufficient, self.optional) {
            (true, _) => f.write_str(" !")?,
            (false, true) => f.write_str(" ?")?,
            (false, false) => {}
        }
        match &self.condition {
            Some(condition) => write!(f, " if ({condition})"),
            None => Ok(()),
        }
    }
}

impl Display for Component {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}({argument})", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Display for LiteralValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(text) => string(text, f),
        }
    }
}

/// A literal where a minus would be an operator: a negative number was written as one above the largest long.
struct Unsigned<'a>(&'a Literal);

impl Display for Unsigned<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        unsigned(&self.0.value, f)
    }
}

fn unsigned(value: &LiteralValue, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        LiteralValue::Number(number @ ..0) => write!(f, "{number:#x}"),
        value => value.fmt(f),
    }
}

/// Octal escapes have all their digits, so that a digit after them is not taken for one of theirs.
fn string(text: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..='\x1f' | '\x7f' => write!(f, "\\{:03o}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\{byte:03o}")?;
        }
    }
    f.write_char('"')
}

impl Display for GlobalDecl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let private = if self.private { "private " } else { "" };
        let wrap = if self.wrap { "%" } else { "" };
        write!(f, "{private}global {}{wrap}", self.name)?;
        if let Some(size) = &self.size {
            write!(f, "[{size}]")?;
        }
        match &self.initial {
            Some(initial) => write!(f, " = {initial}"),
            None => Ok(()),
        }
    }
}

impl Display for FunctionDecl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let private = if self.private { "private " } else { "" };
        write!(f, "{private}function {}", self.name)?;
        if let Some(result) = self.result {
            write!(f, ":{result}")?;
        }
        write!(f, "({})", list(&self.parameters))?;
        if let Some(priority) = self.priority {
            write!(f, ":{priority}")?;
        }
        write!(f, " {}", self.body)
    }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.ty {
            Some(ty) => write!(f, "{}:{ty}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "long",
            Self::String => "string",
        })
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        block(self, 0, f)
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        statement(self, 0, f)
    }
}

/// A block whose first line is indented already.
fn block(block: &Block, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("{\n")?;
    for inner in &block.statements {
        indent(depth + 1, f)?;
        statement(inner, depth + 1, f)?;
        f.write_char('\n')?;
    }
    indent(depth, f)?;
    f.write_char('}')
}

fn indent(depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    (0..depth).try_for_each(|_| f.write_str("  "))
}

/// A statement whose first line is indented already.
fn statement(statement: &Statement, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match &statement.kind {
        StatementKind::Empty => f.write_str(";"),
        StatementKind::Block(inner) => block(inner, depth, f),
        StatementKind::Expression(expression) => write!(f, "{expression};"),
        StatementKind::If { condition, then, otherwise } => {
            write!(f, "if ({condition})")?;
            let Some(otherwise) = otherwise else { return body(then, depth, f) };
            if dangles(then) {
                // Without braces the `else` would belong to the inner `if`.
                f.write_str(" {")?;
                body(then, depth, f)?;
                f.write_str("\n")?;
                indent(depth, f)?;
                f.write_str("}")?;
            } else {
                body(then, depth, f)?;
            }
            f.write_char('\n')?;
            indent(depth, f)?;
            f.write_str("else")?;
            match otherwise.kind {
                StatementKind::If { .. } => {
                    f.write_char(' ')?;
                    self::statement(otherwise, depth, f)
                }
                _ => body(otherwise, depth, f),
            }
        }
        StatementKind::While { condition, body: inner } => {
            write!(f, "while ({condition})")?;
            body(inner, depth, f)
        }
        StatementKind::For { init, condition, step, body: inner } => {
            let part = |part: &Option<Box<Expression>>| part.as_ref().map_or(String::new(), ToString::to_string);
            write!(f, "for ({}; {}; {})", part(init), part(condition), part(step))?;
            body(inner, depth, f)
        }
        StatementKind::Foreach(foreach) => {
            write!(f, "foreach ({})", Header(foreach))?;
            body(&foreach.body, depth, f)
        }
        StatementKind::Break => f.write_str("break;"),
        StatementKind::Continue => f.write_str("continue;"),
        StatementKind::Return(Some(value)) => write!(f, "return {value};"),
        StatementKind::Return(None) => f.write_str("return;"),
        StatementKind::Next => f.write_str("next;"),
        StatementKind::Delete(target) => write!(f, "delete {target};"),
        StatementKind::Try { body, message, handler } => {
            f.write_str("try ")?;
            block(body, depth, f)?;
            match message {
                Some(message) => write!(f, " catch ({message}) ")?,
                None => f.write_str(" catch ")?,
            }
            block(handler, depth, f)
        }
    }
}

/// What hangs on an `if` or a loop: a block on the same line, anything else on the next.
fn body(body: &Statement, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match &body.kind {
        StatementKind::Block(inner) => {
            f.write_char(' ')?;
            block(inner, depth, f)
        }
        _ => {
            f.write_char('\n')?;
            indent(depth + 1, f)?;
            statement(body, depth + 1, f)
        }
    }
}

/// Whether an `else` behind a statement would become a part of it.
fn dangles(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::If { otherwise: None, .. } => true,
        StatementKind::If { otherwise: Some(inner), .. } => dangles(inner),
        StatementKind::While { body, .. } | StatementKind::For { body, .. } => dangles(body),
        StatementKind::Foreach(foreach) => dangles(&foreach.body),
        _ => false,
    }
}

/// What stands in the parentheses of a `foreach`.
struct Header<'a>(&'a Foreach);

impl Display for Header<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Foreach { value, keys, over, slice, sort, limit, body: _ } = self.0;
        let sign = sort.map_or("", |sort| if sort.descending { "-" } else { "+" });
        if let Some(value) = value {
            write!(f, "{value} = ")?;
        }
        f.write_char('[')?;
        for (index, key) in keys.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let sign = if sort.is_some_and(|sort| sort.by == SortBy::Key(index)) { sign } else { "" };
            write!(f, "{comma}{key}{sign}")?;
        }
        write!(f, "] in {over}")?;
        if !slice.is_empty() {
            write!(f, "[{}]", Keys(slice))?;
        }
        match sort.map(|sort| sort.by) {
            Some(SortBy::Value) => f.write_str(sign)?,
            Some(SortBy::Aggregate(aggregate)) => write!(f, " {aggregate}{sign}")?,
            Some(SortBy::Key(_)) | None => {}
        }
        match limit {
            Some(limit) => write!(f, " limit {limit}"),
            None => Ok(()),
        }
    }
}

/// Keys between brackets; `None` is `*`.
struct Keys<'a>(&'a [Option<Expression>]);

impl Display for Keys<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            match key {
                Some(key) => key.fmt(f)?,
                None => f.write_char('*')?,
            }
        }
        Ok(())
    }
}

/// How tight an expression holds together: what is looser than its place allows stands in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tightness {
    Assign,
    Ternary,
    LogicalOr,
    LogicalAnd,
    Or,
    Xor,
    And,
    In,
    Comparison,
    Shift,
    Concat,
    Additive,
    Multiplicative,
    Unary,
    Step,
    AddressOf,
    Primary,
}

impl Tightness {
    fn of(expression: &Expression) -> Self {
        match &expression.kind {
            ExpressionKind::Assign { .. } => Self::Assign,
            ExpressionKind::Ternary(..) => Self::Ternary,
            ExpressionKind::Binary(binary, ..) => Self::of_binary(*binary),
            ExpressionKind::In { .. } => Self::In,
            ExpressionKind::Match { .. } => Self::Comparison,
            ExpressionKind::Unary(..) => Self::Unary,
            ExpressionKind::Step { .. } => Self::Step,
            ExpressionKind::AddressOf(_) => Self::AddressOf,
            _ => Self::Primary,
        }
    }

    fn of_binary(binary: Binary) -> Self {
        match binary {
            Binary::LogicalOr => Self::LogicalOr,
            Binary::LogicalAnd => Self::LogicalAnd,
            Binary::Or => Self::Or,
            Binary::Xor => Self::Xor,
            Binary::And => Self::And,
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessEqual
            | Binary::Greater
            | Binary::GreaterEqual => Self::Comparison,
            Binary::ShiftLeft | Binary::ShiftRight | Binary::ShiftRightLogical => Self::Shift,
            Binary::Concat => Self::Concat,
            Binary::Add | Binary::Subtract => Self::Additive,
            Binary::Multiply | Binary::Divide | Binary::Modulo => Self::Multiplicative,
        }
    }

    /// The next tighter.
    fn next(self) -> Self {
        match self {
            Self::Assign => Self::Ternary,
            Self::Ternary => Self::LogicalOr,
            Self::LogicalOr => Self::LogicalAnd,
            Self::LogicalAnd => Self::Or,
            Self::Or => Self::Xor,
            Self::Xor => Self::And,
            Self::And => Self::In,
            Self::In => Self::Comparison,
            Self::Comparison => Self::Shift,
            Self::Shift => Self::Concat,
            Self::Concat => Self::Additive,
            Self::Additive => Self::Multiplicative,
            Self::Multiplicative => Self::Unary,
            Self::Unary => Self::Step,
            Self::Step => Self::AddressOf,
            Self::AddressOf | Self::Primary => Self::Primary,
        }
    }
}

/// An expression in a place that allows nothing looser than `at_least`.
struct At<'a>(Tightness, &'a Expression);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if Tightness::of(self.1) < self.0 { write!(f, "({})", self.1) } else { self.1.fmt(f) }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExpressionKind::Literal(value) => unsigned(value, f),
            ExpressionKind::Name(name) | ExpressionKind::Target(name) => f.write_str(name),
            ExpressionKind::Index { base, keys } => write!(f, "{base}[{}]", Keys(keys)),
            ExpressionKind::Call { function, arguments } => write!(f, "{function}({})", list(arguments)),
            ExpressionKind::In { keys, array } => write!(f, "[{}] in {array}", Keys(keys)),
            ExpressionKind::Print(print) => print.fmt(f),
            ExpressionKind::Aggregate { aggregate, statistic, shift } => {
                write!(f, "{aggregate}({statistic}{})", optional(shift.as_ref()))
            }
            ExpressionKind::Histogram { histogram: Histogram::Log, statistic } => write!(f, "@hist_log({statistic})"),
            ExpressionKind::Histogram { histogram: Histogram::Linear { low, high, step }, statistic } => {
                write!(f, "@hist_linear({statistic}, {low}, {high}, {step})")
            }
            ExpressionKind::Unary(..)
            | ExpressionKind::Step { .. }
            | ExpressionKind::Binary(..)
            | ExpressionKind::Ternary(..)
            | ExpressionKind::Assign { .. }
            | ExpressionKind::Match { .. } => operation(&self.kind, f),
            _ => target(&self.kind, f),
        }
    }
}

/// Operators that are signs.
fn operation(kind: &ExpressionKind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        ExpressionKind::Unary(unary, operand) => {
            // `- -x` is not `--x`.
            let space =
                if matches!(operand.kind, ExpressionKind::Unary(..) | ExpressionKind::Step { .. }) { " " } else { "" };
            write!(f, "{unary}{space}{}", At(Tightness::Unary, operand))
        }
        ExpressionKind::Step { increment, postfix, target } => {
            let sign = if *increment { "++" } else { "--" };
            let target = At(Tightness::AddressOf, target);
            if *postfix { write!(f, "{target}{sign}") } else { write!(f, "{sign}{target}") }
        }
        ExpressionKind::Binary(binary, left, right) => {
            let tightness = Tightness::of_binary(*binary);
            // What was matched is not compared any further without parentheses.
            let matched = matches!(left.kind, ExpressionKind::Match { .. });
            let left = At(if matched { tightness.next() } else { tightness }, left);
            write!(f, "{left} {binary} {}", At(tightness.next(), right))
        }
        ExpressionKind::Ternary(condition, then, otherwise) => {
            let otherwise = At(Tightness::Ternary, otherwise);
            write!(f, "{} ? {then} : {otherwise}", At(Tightness::LogicalOr, condition))
        }
        ExpressionKind::Assign { op, target, value } => write!(f, "{} {op} {value}", At(Tightness::Ternary, target)),
        ExpressionKind::Match { negated, subject, pattern } => {
            let sign = if *negated { "!~" } else { "=~" };
            write!(f, "{} {sign} {pattern}", At(Tightness::Shift, subject))
        }
        _ => Ok(()),
    }
}

/// What reads the target, and the operators that look like functions.
fn target(kind: &ExpressionKind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        ExpressionKind::AtVar { name, module } => write!(f, "@var({name}{})", optional(module.as_ref())),
        ExpressionKind::Cast { operand, ty, module } => {
            write!(f, "@cast({operand}, {ty}{})", optional(module.as_ref()))
        }
        ExpressionKind::Member { base, member } => write!(f, "{}->{member}", At(Tightness::Primary, base)),
        ExpressionKind::Element { base, index } => write!(f, "{}[{index}]", Base(base)),
        ExpressionKind::Pretty { base, deep } => write!(f, "{}{}", Base(base), if *deep { "$$" } else { "$" }),
        ExpressionKind::AddressOf(operand) => write!(f, "&{}", At(Tightness::Primary, operand)),
        ExpressionKind::Defined(operand) => write!(f, "@defined({operand})"),
        ExpressionKind::Entry(operand) => write!(f, "@entry({operand})"),
        ExpressionKind::ProbeWrite(variable) => write!(f, "@probewrite({variable})"),
        ExpressionKind::Perf(counter) => write!(f, "@perf({counter})"),
        ExpressionKind::Const(name) => write!(f, "@const({name})"),
        ExpressionKind::Enum(name, module) => write!(f, "@enum({name}{})", optional(module.as_ref())),
        ExpressionKind::EnumName(value, ty, module) => {
            write!(f, "@enumname({value}{}{})", optional(ty.as_ref()), optional(module.as_ref()))
        }
        ExpressionKind::Deref { user, size, address } => {
            write!(f, "{}({}, {address})", if *user { "@uderef" } else { "@kderef" }, Unsigned(size))
        }
        ExpressionKind::Register { user, number } => {
            write!(f, "{}({})", if *user { "@uregister" } else { "@kregister" }, Unsigned(number))
        }
        _ => Ok(()),
    }
}

/// What a `[` or a `$` hangs on. Behind a name they would mean an array or another name, behind a `$` a `$$`.
struct Base<'a>(&'a Expression);

impl Display for Base<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExpressionKind::Name(_) | ExpressionKind::Pretty { .. } => write!(f, "({})", self.0),
            _ => At(Tightness::Primary, self.0).fmt(f),
        }
    }
}

impl Display for Print {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let s = if self.to_string { "s" } else { "" };
        let (name, first) = match &self.form {
            PrintForm::Format(format) => ("printf", Some(format)),
            PrintForm::Character => ("print_char", None),
            PrintForm::Plain { delimiter: None, newline: false } => ("print", None),
            PrintForm::Plain { delimiter: None, newline: true } => ("println", None),
            PrintForm::Plain { delimiter, newline: false } => ("printd", delimiter.as_ref()),
            PrintForm::Plain { delimiter, newline: true } => ("printdln", delimiter.as_ref()),
        };
        write!(f, "{s}{name}(")?;
        if let Some(first) = first {
            let comma = if self.arguments.is_empty() { "" } else { ", " };
            write!(f, "{first}{comma}")?;
        }
        write!(f, "{})", list(&self.arguments))
    }
}

impl Display for Unary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negate => "-",
            Self::Plus => "+",
            Self::LogicalNot => "!",
            Self::Not => "~",
        })
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::ShiftRightLogical => ">>>",
            Self::LogicalAnd => "&&",
            Self::LogicalOr => "||",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Concat => ".",
        })
    }
}

impl Display for Assign {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("="),
            Self::With(binary) => write!(f, "{binary}="),
            Self::Accumulate => f.write_str("<<<"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "@count",
            Self::Sum => "@sum",
            Self::Min => "@min",
            Self::Max => "@max",
            Self::Average => "@avg",
            Self::Variance => "@variance",
        })
    }
}

/// The items with a comma between them.
fn list<T: Display>(items: &[T]) -> impl Display {
    joined(items, ", ")
}

fn joined<'a, T: Display>(items: &'a [T], between: &'a str) -> impl Display + 'a {
    fmt::from_fn(move |f| {
        for (index, item) in items.iter().enumerate() {
            f.write_str(if index > 0 { between } else { "" })?;
            item.fmt(f)?;
        }
        Ok(())
    })
}

/// A last parameter, where there is one.
fn optional<'a, T: Display>(item: Option<&'a T>) -> impl Display + 'a {
    fmt::from_fn(move |f| match item {
        Some(item) => write!(f, ", {item}"),
        None => Ok(()),
    })
}
