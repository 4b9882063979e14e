//! The text form of a [`Program`]: what `-p2` prints. The listing is SystemTap's (globals, functions, probes with their
//! locals and types); the bodies follow in the script's own notation, with target variables shown as what they became.

use std::fmt::{self, Display};

use bstr::BStr;
use shared::ir::{BinaryOp, Order, PointField, Relation, UnaryOp};

use super::{
    Body, DerivedProbe, Expression, ExpressionKind, Foreach, Function, Global, Local, Place, Program, Statement,
    StatementKind, Storage, UpdateOp,
};

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            Storage::Array { keys, value, entries_max } => {
                let keys: Vec<&str> = keys.iter().map(|key| key.name()).collect();
                write!(f, "{}:{} [{}] {entries_max}", self.name, value.name(), keys.join(", "))
            }
        }
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
                if !otherwise.is_empty() {
                    writeln!(f, "{indent}}} else {{")?;
                    self.statements(otherwise, depth + 1, f)?;
                }
                writeln!(f, "{indent}}}")
            }
            StatementKind::Loop { condition, body, step } => {
                writeln!(f, "{indent}for (; {};) {{", self.expression(condition))?;
                self.statements(body, depth + 1, f)?;
                if !step.is_empty() {
                    writeln!(f, "{indent}}} step {{")?;
                    self.statements(step, depth + 1, f)?;
                }
                writeln!(f, "{indent}}}")
            }
            StatementKind::Foreach(foreach) => {
                writeln!(f, "{indent}{} {{", self.foreach_head(foreach))?;
                self.statements(&foreach.body, depth + 1, f)?;
                writeln!(f, "{indent}}}")
            }
            StatementKind::Break => writeln!(f, "{indent}break"),
            StatementKind::Continue => writeln!(f, "{indent}continue"),
            StatementKind::Return(None) => writeln!(f, "{indent}return"),
            StatementKind::Return(Some(value)) => writeln!(f, "{indent}return {}", self.expression(value)),
            StatementKind::Delete(array, keys) => {
                writeln!(f, "{indent}delete {}[{}]", self.program.globals[array.0].name, self.list(keys))
            }
            StatementKind::Clear(array) => writeln!(f, "{indent}delete {}", self.program.globals[array.0].name),
        }
    }

    fn foreach_head(&self, foreach: &Foreach) -> String {
        let Foreach { array, keys, value, order, limit, .. } = foreach;
        let sign = |key: Option<u8>| match order {
            Order::By { key: by, descending } if *by == key => {
                if *descending {
                    "-"
                } else {
                    "+"
                }
            }
            _ => "",
        };
        let name = |local: super::LocalId| self.body.locals[local.0].name.as_str();
        let value = value.map_or(String::new(), |value| format!("{} = ", name(value)));
        let keys = keys.iter().enumerate().map(|(index, &key)| format!("{}{}", name(key), sign(Some(index as u8))));
        let keys: Vec<String> = keys.collect();
        let limit = limit.as_ref().map_or(String::new(), |limit| format!(" limit {}", self.expression(limit)));
        let array = &self.program.globals[array.0].name;
        format!("foreach ({value}[{}] in {array}{}{limit})", keys.join(", "), sign(None))
    }

    fn list(&self, expressions: &[Expression]) -> String {
        let expressions: Vec<String> = expressions.iter().map(|expression| self.expression(expression)).collect();
        expressions.join(", ")
    }

    fn place(&self, place: &Place) -> String {
        match place {
            Place::Local(local) => self.body.locals[local.0].name.clone(),
            Place::Global(global) => self.program.globals[global.0].name.clone(),
            Place::Element(array, keys) => format!("{}[{}]", self.program.globals[array.0].name, self.list(keys)),
        }
    }

    fn expression(&self, expression: &Expression) -> String {
        let e = |expression: &Expression| self.expression(expression);
        match &expression.kind {
            ExpressionKind::Long(long) => long.to_string(),
            ExpressionKind::String(string) => format!("{:?}", BStr::new(string)),
            ExpressionKind::Read(place) => self.place(place),
            ExpressionKind::Contains(array, keys) => {
                format!("([{}] in {})", self.list(keys), self.program.globals[array.0].name)
            }
            ExpressionKind::Unary(UnaryOp::Negate, a) => format!("-{}", e(a)),
            ExpressionKind::Unary(UnaryOp::Not, a) => format!("~{}", e(a)),
            ExpressionKind::Binary(op, a, b) => format!("({} {} {})", e(a), symbol(*op), e(b)),
            ExpressionKind::Compare(relation, a, b) => format!("({} {} {})", e(a), relation_symbol(*relation), e(b)),
            ExpressionKind::Not(a) => format!("!{}", e(a)),
            ExpressionKind::And(a, b) => format!("({} && {})", e(a), e(b)),
            ExpressionKind::Or(a, b) => format!("({} || {})", e(a), e(b)),
            ExpressionKind::Conditional(c, a, b) => format!("({} ? {} : {})", e(c), e(a), e(b)),
            ExpressionKind::Concat(a, b) => format!("({} . {})", e(a), e(b)),
            ExpressionKind::Assign(place, value) => format!("({} = {})", self.place(place), e(value)),
            ExpressionKind::Update { place, op, operand, postfix } => {
                let op = match op {
                    UpdateOp::Binary(op) => symbol(*op),
                    UpdateOp::Concat => ".",
                };
                let before = if *postfix { "@before" } else { "" };
                format!("({} {op}= {}){before}", self.place(place), e(operand))
            }
            ExpressionKind::Call(function, arguments) => {
                format!("{}({})", self.program.functions[function.0].name, self.list(arguments))
            }
            ExpressionKind::Format(format, arguments) => self.print("sprintf", format, arguments),
            ExpressionKind::Print(format, arguments) => self.print("printf", format, arguments),
            ExpressionKind::Exit => "exit()".to_owned(),
            ExpressionKind::Task(field) => format!("{}()", field.name()),
            ExpressionKind::Cpu => "cpu()".to_owned(),
            ExpressionKind::Clock(clock) => format!("clock_{}()", clock.name()),
            ExpressionKind::Target => "target()".to_owned(),
            ExpressionKind::Point(PointField::Name) => "pp()".to_owned(),
            ExpressionKind::Point(PointField::Function) => "ppfunc()".to_owned(),
            ExpressionKind::Register(number) => format!("@kregister({number})"),
            ExpressionKind::Load(space, width, address) => format!("@{}_{width}({})", space.name(), e(address)),
        }
    }

    fn print(&self, function: &str, format: &shared::abi::format::Format, arguments: &[Expression]) -> String {
        let comma = if arguments.is_empty() { "" } else { ", " };
        format!("{function}({:?}{comma}{})", format.text(), self.list(arguments))
    }
}

fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::And => "&",
        BinaryOp::Or => "|",
        BinaryOp::Xor => "^",
        BinaryOp::ShiftLeft => "<<",
        BinaryOp::ShiftRight => ">>",
        BinaryOp::ShiftRightLogical => ">>>",
    }
}

fn relation_symbol(relation: Relation) -> &'static str {
    match relation {
        Relation::Equal => "==",
        Relation::NotEqual => "!=",
        Relation::Less => "<",
        Relation::LessEqual => "<=",
        Relation::Greater => ">",
        Relation::GreaterEqual => ">=",
    }
}
