//! The text form of a [`Program`]: what `-p2` prints. The listing is SystemTap's (globals, functions, probes with their
//! locals and types); the bodies follow in the script's own notation, with target variables shown as what they became.

use std::fmt::{self, Display};

use super::{
    Body, Content, DerivedProbe, Expression, Foreach, ForeachBucket, Function, Global, Histogram, HistogramOf, Limits,
    Local, LocalId, Order, Place, Program, Selector, SortBy, Statement, StatementKind, Statistic, Storage,
};

mod expression;

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.limits != Limits::default() {
            let Limits { actions_max, nesting_max, errors_max, skipped_max } = self.limits;
            writeln!(f, "# limits\nMAXACTION {actions_max} MAXNESTING {nesting_max}")?;
            writeln!(f, "MAXERRORS {errors_max} MAXSKIPPED {skipped_max}")?;
        }
        if !self.globals.is_empty() {
            writeln!(f, "# globals")?;
            self.globals.iter().try_for_each(|global| writeln!(f, "{global}"))?;
        }
        if !self.functions.is_empty() {
            writeln!(f, "# functions")?;
            self.functions.iter().try_for_each(|function| self.print_function(function, f))?;
        }
        if !self.probes.is_empty() {
            writeln!(f, "# probes")?;
        }
        self.probes.iter().try_for_each(|probe| self.print_probe(probe, f))
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.storage {
            Storage::Scalar(initial @ shared::ir::Datum::Long(_)) => write!(f, "{}:long = {initial}", self.name),
            Storage::Scalar(initial) => write!(f, "{}:string = {initial}", self.name),
            Storage::Statistic(statistic) => write!(f, "{}:stats{statistic}", self.name),
            Storage::Array { keys, content, entries_max, wrap } => {
                let keys: Vec<&str> = keys.iter().map(|key| key.name()).collect();
                let wrap = if *wrap { "%" } else { "" };
                match content {
                    Content::Value(value) => write!(f, "{}:{}", self.name, value.name())?,
                    Content::Statistic(_) => write!(f, "{}:stats", self.name)?,
                }
                write!(f, " [{}] {entries_max}{wrap}", keys.join(", "))?;
                match content {
                    Content::Value(_) => Ok(()),
                    Content::Statistic(statistic) => write!(f, "{statistic}"),
                }
            }
        }
    }
}

impl Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.aggregates.iter().try_for_each(|aggregate| write!(f, " {}", aggregate.name()))?;
        if self.variance_shift != 0 {
            write!(f, " shift {}", self.variance_shift)?;
        }
        self.histograms.iter().try_for_each(|histogram| match histogram {
            Histogram::Log => write!(f, " @hist_log"),
            Histogram::Linear { low, high, step } => write!(f, " @hist_linear({low}, {high}, {step})"),
        })
    }
}

impl Program {
    fn print_function(&self, function: &Function, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = function.body.locals[..function.parameter_count].iter().map(typed).collect();
        writeln!(f, "{}:{} ({})", function.name, function.result.name(), parameters.join(", "))?;
        self.print_body(&function.body, function.parameter_count, f)
    }

    fn print_probe(&self, probe: &DerivedProbe, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for point in &probe.points {
            writeln!(f, "{} /* {} */", point.name, point.place)?;
        }
        self.print_body(&probe.body, 0, f)
    }

    fn print_body(&self, body: &Body, parameter_count: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locals = &body.locals[parameter_count..];
        if !locals.is_empty() {
            writeln!(f, "  # locals")?;
            locals.iter().try_for_each(|local| writeln!(f, "  {}", typed(local)))?;
        }
        Printer { program: self, body }.statements(&body.statements, 1, f)
    }
}

fn typed(local: &Local) -> String {
    format!("{}:{}", local.name, local.ty.name())
}

struct Printer<'a> {
    program: &'a Program,
    body: &'a Body,
}

impl Printer<'_> {
    fn statements(&self, statements: &[Statement], depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        statements.iter().try_for_each(|statement| self.statement(statement, depth, f))
    }

    fn statement(&self, statement: &Statement, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = "  ".repeat(depth);
        match &statement.kind {
            StatementKind::Expression(expression) => writeln!(f, "{indent}{}", self.expression(expression)),
            StatementKind::If(condition, then, otherwise) => {
                writeln!(f, "{indent}if ({}) {{", self.expression(condition))?;
                self.statements(then, depth + 1, f)?;
                self.second_block("else", otherwise, depth, f)
            }
            StatementKind::Loop { condition, body, step } => {
                writeln!(f, "{indent}for (; {};) {{", self.expression(condition))?;
                self.statements(body, depth + 1, f)?;
                self.second_block("step", step, depth, f)
            }
            StatementKind::Foreach(Foreach { body, .. }) | StatementKind::ForeachBucket(ForeachBucket { body, .. }) => {
                writeln!(f, "{indent}{} {{", self.head(&statement.kind))?;
                self.statements(body, depth + 1, f)?;
                writeln!(f, "{indent}}}")
            }
            StatementKind::Try { body, message, handler } => {
                writeln!(f, "{indent}try {{")?;
                self.statements(body, depth + 1, f)?;
                let message = message.map_or(String::new(), |message| format!(" ({})", self.local(message)));
                writeln!(f, "{indent}}} catch{message} {{")?;
                self.statements(handler, depth + 1, f)?;
                writeln!(f, "{indent}}}")
            }
            StatementKind::Break => writeln!(f, "{indent}break"),
            StatementKind::Continue => writeln!(f, "{indent}continue"),
            StatementKind::Next => writeln!(f, "{indent}next"),
            StatementKind::Return(None) => writeln!(f, "{indent}return"),
            StatementKind::Return(Some(value)) => writeln!(f, "{indent}return {}", self.expression(value)),
            StatementKind::Delete(array, keys) => {
                writeln!(f, "{indent}delete {}[{}]", self.program.globals[array.0].name, self.selectors(keys))
            }
            StatementKind::Clear(array) => writeln!(f, "{indent}delete {}", self.program.globals[array.0].name),
        }
    }

    /// The block after another one, where there is anything in it.
    fn second_block(
        &self,
        word: &str,
        statements: &[Statement],
        depth: usize,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let indent = "  ".repeat(depth);
        if !statements.is_empty() {
            writeln!(f, "{indent}}} {word} {{")?;
            self.statements(statements, depth + 1, f)?;
        }
        writeln!(f, "{indent}}}")
    }

    /// What stands before the block of a `foreach`.
    fn head(&self, kind: &StatementKind) -> String {
        let limited = |limit: &Option<Expression>| {
            limit.as_ref().map_or(String::new(), |limit| format!(" limit {}", self.expression(limit)))
        };
        let bound = |value: &Option<LocalId>| value.map_or(String::new(), |value| format!("{} = ", self.local(value)));
        match kind {
            StatementKind::Foreach(foreach) => {
                let Foreach { array, keys, value, selection, order, limit, .. } = foreach;
                let names = keys.iter().enumerate().map(|(index, &key)| {
                    let sign = sign(*order, SortBy::Key(index as u8));
                    format!("{}{sign}", self.local(key))
                });
                let names: Vec<String> = names.collect();
                let selected =
                    if selection.is_empty() { String::new() } else { format!("[{}]", self.selectors(selection)) };
                let order = match *order {
                    Order::By { by: by @ SortBy::Aggregate(aggregate), .. } => {
                        format!(" {}{}", aggregate.name(), sign(*order, by))
                    }
                    order => sign(order, SortBy::Value).to_owned(),
                };
                let array = &self.program.globals[array.0].name;
                let (value, limit) = (bound(value), limited(limit));
                format!("foreach ({value}[{}] in {array}{selected}{order}{limit})", names.join(", "))
            }
            StatementKind::ForeachBucket(foreach) => {
                let ForeachBucket { of, bucket, count, descending, limit, .. } = foreach;
                let sign = if *descending { "-" } else { "" };
                let (count, limit) = (bound(count), limited(limit));
                format!("foreach ({count}{}{sign} in {}{limit})", self.local(*bucket), self.histogram(of))
            }
            _ => String::new(),
        }
    }

    fn local(&self, local: LocalId) -> &str {
        &self.body.locals[local.0].name
    }

    fn list(&self, expressions: &[Expression]) -> String {
        let expressions: Vec<String> = expressions.iter().map(|expression| self.expression(expression)).collect();
        expressions.join(", ")
    }

    fn selectors(&self, selectors: &[Selector]) -> String {
        let each = |selector: &Selector| match selector {
            Selector::Is(key) => self.expression(key),
            Selector::Any => "*".to_owned(),
        };
        selectors.iter().map(each).collect::<Vec<String>>().join(", ")
    }

    fn place(&self, place: &Place) -> String {
        match place {
            Place::Local(local) => self.local(*local).to_owned(),
            Place::Global(global) => self.program.globals[global.0].name.clone(),
            Place::Element(array, keys) => format!("{}[{}]", self.program.globals[array.0].name, self.list(keys)),
            Place::Memory { space, width, address, bits } => {
                let address = self.expression(address);
                let bits = bits.map_or(String::new(), |bits| format!(":{}:{}", bits.offset, bits.size));
                format!("@{}_{width}({address}){bits}", space.name())
            }
            Place::Register(number, width) => format!("@kregister({number})_{width}"),
        }
    }

    fn histogram(&self, of: &HistogramOf) -> String {
        let statistic = self.place(&of.statistic);
        match of.histogram {
            Histogram::Log => format!("@hist_log({statistic})"),
            Histogram::Linear { low, high, step } => format!("@hist_linear({statistic}, {low}, {high}, {step})"),
        }
    }
}

/// The sign of what a `foreach` sorts by; nothing of everything else.
fn sign(order: Order, this: SortBy) -> &'static str {
    match order {
        Order::By { by, descending } if by == this => {
            if descending {
                "-"
            } else {
                "+"
            }
        }
        _ => "",
    }
}
