//! Expressions in the script's notation, with every operator in parentheses.

use bstr::BStr;
use shared::abi::format::Format;
use shared::ir::{BinaryOp, PointField, Relation, UnaryOp};
use shared::probe::KernelBase;

use super::Printer;
use crate::program::{Base, Expression, ExpressionKind, FunctionId, UpdateOp};

impl Printer<'_> {
    pub(super) fn expression(&self, expression: &Expression) -> String {
        let e = |expression: &Expression| self.expression(expression);
        match &expression.kind {
            ExpressionKind::Long(long) => long.to_string(),
            ExpressionKind::String(string) => format!("{:?}", BStr::new(string)),
            ExpressionKind::Read(place) => self.place(place),
            ExpressionKind::Contains(array, keys) => {
                format!("([{}] in {})", self.selectors(keys), self.program.globals[array.0].name)
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
            ExpressionKind::Accumulate(place, value) => format!("({} <<< {})", self.place(place), e(value)),
            ExpressionKind::Aggregate(aggregate, place) => format!("{}({})", aggregate.name(), self.place(place)),
            ExpressionKind::Bucket(of, bucket) => format!("{}[{}]", self.histogram(of), e(bucket)),
            ExpressionKind::Match(subject, pattern) => format!("({} =~ {pattern})", e(subject)),
            ExpressionKind::Matched(group) => format!("matched({})", e(group)),
            ExpressionKind::GroupCount => "ngroups()".to_owned(),
            ExpressionKind::Call(functions, arguments) => self.call(functions, arguments),
            ExpressionKind::Format(format, arguments) => self.print("sprintf", format, arguments),
            ExpressionKind::Print(format, arguments) => self.print("printf", format, arguments),
            ExpressionKind::PrintHistogram(of) => format!("print({})", self.histogram(of)),
            ExpressionKind::Catch(a, b) => format!("({} catch {})", e(a), e(b)),
            ExpressionKind::Raise(message) => format!("error({})", e(message)),
            ExpressionKind::Exit => "exit()".to_owned(),
            ExpressionKind::Task(field) => format!("{}()", field.name()),
            ExpressionKind::Cpu => "cpu()".to_owned(),
            ExpressionKind::Clock(clock) => format!("clock_{}()", clock.name()),
            ExpressionKind::Target => "target()".to_owned(),
            ExpressionKind::Point(PointField::Name) => "pp()".to_owned(),
            ExpressionKind::Point(PointField::Function) => "ppfunc()".to_owned(),
            ExpressionKind::Register(number) => format!("@kregister({number})"),
            ExpressionKind::UserRegister(number) => format!("@uregister({number})"),
            ExpressionKind::Address(base, offset) => address(base, *offset),
            ExpressionKind::Load(space, width, address) => format!("@{}_{width}({})", space.name(), e(address)),
            ExpressionKind::StringFunction(function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|argument| self.expression(argument)).collect();
                format!("{}({})", function.name(), arguments.join(", "))
            }
            ExpressionKind::Tokenize(string, delimiters) => {
                format!("tokenize({}, {})", self.expression(string), self.expression(delimiters))
            }
            ExpressionKind::LoadString(space, address, length) => {
                let length = length.as_ref().map_or(String::new(), |length| format!(", {}", e(length)));
                format!("@{}_string({}{length})", space.name(), e(address))
            }
            ExpressionKind::Entry(value) => format!("@entry({})", e(value)),
            ExpressionKind::Double(value) => format!("@double({})", e(value)),
            ExpressionKind::EnumName(value, names) => {
                let names: Vec<String> = names.iter().map(|(value, name)| format!("{value}: {name}")).collect();
                format!("@enumname({}, {{{}}})", e(value), names.join(", "))
            }
            ExpressionKind::Perf(counter) => format!("@perf({counter:?})"),
        }
    }

    /// A call names the functions of a chain by their numbers, since they have one name.
    fn call(&self, functions: &[FunctionId], arguments: &[Expression]) -> String {
        let name = |function: &FunctionId| self.program.functions[function.0].name.as_str();
        let names: Vec<String> = match functions {
            [function] => vec![name(function).to_owned()],
            chain => chain.iter().map(|function| format!("{}#{}", name(function), function.0)).collect(),
        };
        format!("{}({})", names.join("|"), self.list(arguments))
    }

    fn print(&self, function: &str, format: &Format, arguments: &[Expression]) -> String {
        let comma = if arguments.is_empty() { "" } else { ", " };
        format!("{function}({:?}{comma}{})", format.text(), self.list(arguments))
    }
}

fn address(base: &Base, offset: u64) -> String {
    match base {
        Base::Kernel(KernelBase::Stext) => format!("@address(\"kernel\", {offset:#x})"),
        Base::Object { path, .. } => format!("@address({path:?}, {offset:#x})"),
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
