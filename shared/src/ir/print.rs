//! The text form of an [`Ir`]: the `-p3` dump, and what tests are written in. [`super::read`] reads it back.

use std::fmt::{self, Display};

use bstr::BStr;

use super::{
    Block, Content, Datum, End, FormatDecl, Function, Global, Handler, Histogram, Instruction, Ir, Jump, Limits,
    Location, Op, Order, SortBy, Statistic, Storage, Value, Width,
};

impl Display for Ir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, source) in self.sources.iter().enumerate() {
            writeln!(f, "source s{index} {source:?}")?;
        }
        if self.limits != Limits::default() {
            writeln!(f, "{}", self.limits)?;
        }
        for (index, global) in self.globals.iter().enumerate() {
            writeln!(f, "global g{index} {global}")?;
        }
        for (index, format) in self.formats.iter().enumerate() {
            writeln!(f, "format f{index} {format}")?;
        }
        for (index, handler) in self.handlers.iter().enumerate() {
            write!(f, "handler h{index} {handler}")?;
        }
        for (index, function) in self.functions.iter().enumerate() {
            write!(f, "function u{index} {function}")?;
        }
        Ok(())
    }
}

impl Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { actions_max, nesting_max, errors_max, skipped_max } = self;
        write!(f, "limits actions {actions_max} nesting {nesting_max} errors {errors_max} skipped {skipped_max}")
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.name)?;
        match &self.storage {
            Storage::Scalar { ty, initial } => write!(f, "{ty} = {initial}"),
            Storage::Statistic(statistic) => statistic.fmt(f),
            Storage::Array { keys, content, entries_max, wrap } => {
                write!(f, "[{}] ", List(keys))?;
                match content {
                    Content::Value(value) => value.fmt(f)?,
                    Content::Statistic(statistic) => statistic.fmt(f)?,
                }
                write!(f, " {entries_max}{}", if *wrap { " wrap" } else { "" })
            }
        }
    }
}

impl Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aggregates: Vec<&str> = self.aggregates.iter().map(|aggregate| aggregate.name()).collect();
        let histograms: Vec<Histogram> = self.histograms.iter().copied().collect();
        write!(f, "statistic({}; {}; {})", List(&aggregates), List(&histograms), self.variance_shift)
    }
}

impl Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Linear { low, high, step } => write!(f, "linear {low} {high} {step}"),
        }
    }
}

impl Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(long) => write!(f, "{long}"),
            Self::String(string) => write!(f, "{:?}", BStr::new(string)),
        }
    }
}

impl Display for FormatDecl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.format.text(), List(&self.arguments))?;
        if self.near.is_empty() { Ok(()) } else { write!(f, " near {:?}", self.near) }
    }
}

impl Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "u{}", self.function.0)?;
        for point in &self.points {
            writeln!(f, "  at {:?} {:?} {}", point.name, point.function, point.place)?;
        }
        Ok(())
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if let Some(result) = self.result {
            write!(f, " {result}")?;
        }
        writeln!(f)?;
        for (index, block) in self.blocks.iter().enumerate() {
            self.print_block(index, block, f)?;
        }
        Ok(())
    }
}

impl Function {
    fn print_block(&self, index: usize, block: &Block, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{index}(")?;
        self.print_definitions(&block.parameters, f)?;
        writeln!(f, "):")?;
        for Instruction { results, op, location } in &block.instructions {
            f.write_str("  ")?;
            self.print_definitions(results, f)?;
            if !results.is_empty() {
                f.write_str(" = ")?;
            }
            writeln!(f, "{op}{location}")?;
        }
        writeln!(f, "  {}{}", block.end, block.end_location)
    }

    fn print_definitions(&self, values: &[Value], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &value) in values.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{value}: {}", self.ty(value))?;
        }
        Ok(())
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() { Ok(()) } else { write!(f, " @{}:{}:{}", self.source, self.line, self.column) }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}({})", self.block.0, List(&self.arguments))
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(jump) => write!(f, "jump {jump}"),
            Self::Branch { condition, then, otherwise } => write!(f, "branch {condition} {then} {otherwise}"),
            Self::Return(None) => f.write_str("return"),
            Self::Return(Some(value)) => write!(f, "return {value}"),
            Self::Raise { format, arguments, catch } => {
                write!(f, "raise f{}({})", format.0, List(arguments))?;
                catch.as_ref().map_or(Ok(()), |catch| write!(f, " catch {catch}"))
            }
            Self::Reraise => f.write_str("reraise"),
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(long) => write!(f, "long {long}"),
            Self::String(string) => write!(f, "string {:?}", BStr::new(string)),
            Self::Unary(op, a) => write!(f, "{} {a}", op.name()),
            Self::Binary(op, a, b) => write!(f, "{} {a} {b}", op.name()),
            Self::Compare(relation, a, b) => write!(f, "compare {} {a} {b}", relation.name()),
            Self::CompareStrings(relation, a, b) => write!(f, "compare_strings {} {a} {b}", relation.name()),
            Self::Concat(a, b) => write!(f, "concat {a} {b}"),
            Self::Format(format, arguments) => write!(f, "format f{}({})", format.0, List(arguments)),
            Self::Load { space, width, address } => write!(f, "load {} {width} {address}", space.name()),
            Self::LoadString { space, address, bytes_max } => {
                write!(f, "load_string {} {address}", space.name())?;
                bytes_max.map_or(Ok(()), |bytes_max| write!(f, " {bytes_max}"))
            }
            Self::StringFunction(function, arguments) => write!(f, "{}({})", function.name(), List(arguments)),
            Self::Register(number) => write!(f, "register {number}"),
            Self::Task(field) => write!(f, "task {}", field.name()),
            Self::Cpu => f.write_str("cpu"),
            Self::Clock(clock) => write!(f, "clock {}", clock.name()),
            Self::Parameter(parameter) => write!(f, "parameter {}", parameter.name()),
            Self::Point(field) => write!(f, "point {}", field.name()),
            Self::Get(global) => write!(f, "get g{}", global.0),
            Self::Set(global, value) => write!(f, "set g{} {value}", global.0),
            Self::Add(global, value) => write!(f, "add_to g{} {value}", global.0),
            Self::ArrayGet(array, keys) => write!(f, "array_get g{}({})", array.0, List(keys)),
            Self::ArraySet(array, keys, value) => write!(f, "array_set g{}({}) {value}", array.0, List(keys)),
            Self::ArrayAdd(array, keys, value) => write!(f, "array_add g{}({}) {value}", array.0, List(keys)),
            Self::ArrayHas(array, keys) => write!(f, "array_has g{}({})", array.0, List(keys)),
            Self::ArrayDelete(array, keys) => write!(f, "array_delete g{}({})", array.0, List(keys)),
            Self::ArrayClear(array) => write!(f, "array_clear g{}", array.0),
            Self::Accumulate(global, keys, value) => write!(f, "accumulate g{}({}) {value}", global.0, List(keys)),
            Self::Aggregate(aggregate, global, keys) => {
                write!(f, "aggregate {} g{}({})", aggregate.name(), global.0, List(keys))
            }
            Self::Bucket(global, keys, histogram, bucket) => {
                write!(f, "bucket g{}({}) {histogram} {bucket}", global.0, List(keys))
            }
            Self::Draw(global, keys, histogram) => write!(f, "draw g{}({}) {histogram}", global.0, List(keys)),
            Self::Iterate { array, order, limit } => {
                write!(f, "iterate g{} {order}", array.0)?;
                limit.map_or(Ok(()), |limit| write!(f, " {limit}"))
            }
            Self::Next(iterator) => write!(f, "next {iterator}"),
            Self::Key(iterator, index) => write!(f, "key {iterator} {index}"),
            Self::Entry(iterator) => write!(f, "entry {iterator}"),
            Self::Call(function, arguments) => write!(f, "call u{}({})", function.0, List(arguments)),
            Self::Print(format, arguments) => write!(f, "print f{}({})", format.0, List(arguments)),
            Self::Spend(statements) => write!(f, "spend {statements}"),
            Self::Caught => f.write_str("caught"),
            Self::Exit => f.write_str("exit"),
        }
    }
}

impl Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.signed { 's' } else { 'u' }, u32::from(self.bytes) * 8)
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::By { by, descending } = self else { return f.write_str("any") };
        f.write_str(if *descending { "descending " } else { "ascending " })?;
        match by {
            SortBy::Key(key) => write!(f, "key {key}"),
            SortBy::Value => f.write_str("value"),
            SortBy::Aggregate(aggregate) => f.write_str(aggregate.name()),
        }
    }
}

/// Things with commas between them.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
