//! Reads the text form of an [`Ir`]: for tests, which start in the middle of the pipeline, and for bug reports.

use bstr::{BString, ByteVec};

use super::{
    Aggregate, BinaryOp, Block, BlockId, Clock, Content, Datum, End, FormatDecl, FormatId, Function, FunctionId,
    Global, GlobalId, Handler, Histogram, Instruction, Ir, Jump, Limits, Location, Op, Order, PointField, Relation,
    SortBy, Space, Statistic, Storage, StringFunction, TaskField, Type, UnaryOp, Value, Width,
};
use crate::abi::format::Format;
use crate::abi::map::Parameter;
use crate::limits::VALUES_MAX;
use crate::probe::{KernelBase, Place, ProbePoint};

/// Why a text is not an IR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected} at {found:?}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// What would have been right.
    pub expected: String,
    /// The rest of the line.
    pub found: String,
}

type Result<T> = std::result::Result<T, ReadError>;

/// Reads an IR. It is not verified: tests of [`super::verify`] want to read wrong ones, too.
///
/// # Errors
/// At the first line that is not of the text form.
pub fn read(text: &str) -> Result<Ir> {
    let mut ir = Ir::default();
    let mut lines = Lines { lines: text.lines().enumerate().peekable() };
    while let Some(mut line) = lines.next(|_| true) {
        match line.word()? {
            "source" => {
                line.index('s', ir.sources.len())?;
                ir.sources.push(line.string()?.to_string());
            }
            "limits" => ir.limits = line.limits()?,
            "global" => {
                line.index('g', ir.globals.len())?;
                ir.globals.push(line.global()?);
            }
            "format" => {
                line.index('f', ir.formats.len())?;
                ir.formats.push(line.format()?);
            }
            "handler" => {
                line.index('h', ir.handlers.len())?;
                let function = FunctionId(line.id('u')?);
                let mut points = Vec::new();
                while let Some(mut line) = lines.next(|rest| rest.starts_with("at ")) {
                    points.push(line.point()?);
                    line.end()?;
                }
                ir.handlers.push(Handler { function, points });
            }
            "function" => {
                line.index('u', ir.functions.len())?;
                ir.functions.push(function(&mut line, &mut lines)?);
            }
            _ => return line.expected("source, global, format, handler or function"),
        }
        line.end()?;
    }
    Ok(ir)
}

fn function(head: &mut Line<'_>, lines: &mut Lines<'_>) -> Result<Function> {
    let mut function = Function { name: head.string()?.to_string(), ..Function::default() };
    if !head.rest.is_empty() {
        function.result = Some(head.ty()?);
    }
    while let Some(mut line) = lines.next(|rest| rest.starts_with('b')) {
        line.index('b', function.blocks.len())?;
        line.token("(")?;
        let parameters = line.definitions(&mut function, ")")?;
        line.token(")")?;
        line.token(":")?;
        line.end()?;
        function.blocks.push(block(parameters, &mut function.values, lines)?);
    }
    Ok(function)
}

fn block(parameters: Vec<Value>, values: &mut Vec<Type>, lines: &mut Lines<'_>) -> Result<Block> {
    let mut instructions = Vec::new();
    while let Some(mut line) = lines.next(|_| true) {
        if let Some(end) = line.block_end()? {
            let end_location = line.location()?;
            line.end()?;
            return Ok(Block { parameters, instructions, end, end_location });
        }
        let mut results = Function { values: std::mem::take(values), ..Function::default() };
        let defined = if line.rest.starts_with('v') { line.definitions(&mut results, "=")? } else { Vec::new() };
        *values = results.values;
        if !defined.is_empty() {
            line.token("=")?;
        }
        let op = line.op()?;
        let location = line.location()?;
        line.end()?;
        instructions.push(Instruction { results: defined, op, location });
    }
    Err(ReadError { line: 0, expected: "the end of a block".to_owned(), found: "the end of the text".to_owned() })
}

struct Lines<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
}

impl<'a> Lines<'a> {
    /// The next line that is not blank, where it is `wanted`.
    fn next(&mut self, wanted: impl Fn(&str) -> bool) -> Option<Line<'a>> {
        while self.lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
        let (number, text) = self.lines.next_if(|(_, line)| wanted(line.trim()))?;
        Some(Line { number: number + 1, rest: text.trim() })
    }
}

struct Line<'a> {
    number: usize,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn expected<T>(&self, expected: &str) -> Result<T> {
        let found = self.rest.chars().take(40).collect();
        Err(ReadError { line: self.number, expected: expected.to_owned(), found })
    }

    /// Takes `token` if it comes next.
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn token(&mut self, token: &str) -> Result<()> {
        if self.accept(token) { Ok(()) } else { self.expected(&format!("`{token}`")) }
    }

    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { self.expected("the end of the line") }
    }

    fn word(&mut self) -> Result<&'a str> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        if end == 0 {
            return self.expected("a word");
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Ok(word)
    }

    fn named<T>(&mut self, what: &str, named: impl Fn(&str) -> Option<T>) -> Result<T> {
        let before = self.rest;
        match named(self.word()?) {
            Some(named) => Ok(named),
            None => {
                self.rest = before;
                self.expected(what)
            }
        }
    }

    fn integer<T: std::str::FromStr>(&mut self) -> Result<T> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest.len());
        let Ok(integer) = self.rest[..end].parse() else { return self.expected("an integer") };
        self.rest = self.rest[end..].trim_start();
        Ok(integer)
    }

    fn hex(&mut self) -> Result<u64> {
        self.token("0x")?;
        let end = self.rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(self.rest.len());
        let Ok(integer) = u64::from_str_radix(&self.rest[..end], 16) else { return self.expected("hex digits") };
        self.rest = self.rest[end..].trim_start();
        Ok(integer)
    }

    /// An index with its letter: `g3`.
    fn id<T: std::str::FromStr>(&mut self, letter: char) -> Result<T> {
        let Some(rest) = self.rest.strip_prefix(letter) else {
            return self.expected(&format!("`{letter}` and a number"));
        };
        self.rest = rest;
        self.integer()
    }

    /// The index that comes next in a list.
    fn index(&mut self, letter: char, next: usize) -> Result<()> {
        let before = self.rest;
        if self.id::<usize>(letter)? == next {
            return Ok(());
        }
        self.rest = before;
        self.expected(&format!("{letter}{next}"))
    }

    fn value(&mut self) -> Result<Value> {
        Ok(Value(self.id('v')?))
    }

    fn string(&mut self) -> Result<BString> {
        let Some(body) = self.rest.strip_prefix('"') else { return self.expected("a string") };
        let mut escaped = false;
        let end = body.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return self.expected("a closing quote") };
        self.rest = body[end + 1..].trim_start();
        match unescape(&body[..end]) {
            Some(string) => Ok(string.into()),
            None => self.expected("known escapes before this"),
        }
    }

    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.rest.starts_with(close) {
            if !items.is_empty() {
                self.token(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn values(&mut self) -> Result<Vec<Value>> {
        self.token("(")?;
        let values = self.list(")", Self::value)?;
        self.token(")")?;
        Ok(values)
    }

    fn ty(&mut self) -> Result<Type> {
        if self.accept("long") {
            return Ok(Type::Long);
        }
        if self.accept("iterator") {
            return Ok(Type::Iterator);
        }
        self.token("string(")?;
        let bytes_max = self.integer()?;
        self.token(")")?;
        Ok(Type::String(bytes_max))
    }

    fn datum(&mut self) -> Result<Datum> {
        if self.rest.starts_with('"') { Ok(Datum::String(self.string()?)) } else { Ok(Datum::Long(self.integer()?)) }
    }

    fn global(&mut self) -> Result<Global> {
        let name = self.string()?.to_string();
        let storage = if self.accept("[") {
            let keys = self.list("]", Self::ty)?;
            self.token("]")?;
            let content = if self.accept("statistic") {
                Content::Statistic(self.statistic()?)
            } else {
                Content::Value(self.ty()?)
            };
            Storage::Array { keys, content, entries_max: self.integer()?, wrap: self.accept("wrap") }
        } else if self.accept("statistic") {
            Storage::Statistic(self.statistic()?)
        } else {
            let ty = self.ty()?;
            self.token("=")?;
            Storage::Scalar { ty, initial: self.datum()? }
        };
        Ok(Global { name, storage })
    }

    fn aggregate(&mut self) -> Result<Aggregate> {
        self.token("@")?;
        self.named("an aggregate", |name| Aggregate::named(&format!("@{name}")))
    }

    /// `(@count, @max; log, linear 0 100 10; 0)`
    fn statistic(&mut self) -> Result<Statistic> {
        self.token("(")?;
        let aggregates = self.list(";", Self::aggregate)?;
        self.token(";")?;
        let histograms = self.list(";", |line| {
            if line.accept("log") {
                return Ok(Histogram::Log);
            }
            line.token("linear")?;
            Ok(Histogram::Linear { low: line.integer()?, high: line.integer()?, step: line.integer()? })
        })?;
        self.token(";")?;
        let variance_shift = self.integer()?;
        self.token(")")?;
        let (aggregates, histograms) = (aggregates.into_iter().collect(), histograms.into_iter().collect());
        Ok(Statistic { aggregates, histograms, variance_shift })
    }

    fn limits(&mut self) -> Result<Limits> {
        let mut limit = |name: &str| self.token(name).and_then(|()| self.integer());
        Ok(Limits {
            actions_max: limit("actions")?,
            nesting_max: limit("nesting")?,
            errors_max: limit("errors")?,
            skipped_max: limit("skipped")?,
        })
    }

    fn format(&mut self) -> Result<FormatDecl> {
        let before = self.rest;
        let Ok(format) = Format::parse(&self.string()?) else {
            self.rest = before;
            return self.expected("a format");
        };
        self.token("(")?;
        let arguments = self.list(")", Self::ty)?;
        self.token(")")?;
        let near = if self.accept("near") { self.string()?.to_string() } else { String::new() };
        Ok(FormatDecl { format, arguments, near })
    }

    fn point(&mut self) -> Result<ProbePoint> {
        self.token("at")?;
        Ok(ProbePoint { name: self.string()?.to_string(), function: self.string()?.to_string(), place: self.place()? })
    }

    fn place(&mut self) -> Result<Place> {
        let before = self.rest;
        Ok(match self.word()? {
            "begin" => Place::Begin { order: self.integer()? },
            "end" => Place::End { order: self.integer()? },
            "never" => Place::Never,
            "timer" => {
                let interval_ns = self.integer()?;
                self.token("ns")?;
                Place::Timer { interval_ns }
            }
            "kprobe" => {
                self.token("_stext+")?;
                Place::Kprobe { base: KernelBase::Stext, offset: self.hex()?, on_return: self.accept("return") }
            }
            "uprobe" => {
                let path = self.string()?.to_string();
                let Ok(build_id) = self.word()?.parse() else { return self.expected("a build id") };
                Place::Uprobe { path, build_id, address: self.hex()?, on_return: self.accept("return") }
            }
            "tracepoint" => Place::Tracepoint { name: self.word()?.to_owned() },
            _ => {
                self.rest = before;
                return self.expected("a place");
            }
        })
    }

    /// `v0: long, v1: long` up to `close`.
    fn definitions(&mut self, function: &mut Function, close: &str) -> Result<Vec<Value>> {
        self.list(close, |line| {
            let value = line.value()?;
            line.token(":")?;
            let ty = line.ty()?;
            let index = value.0 as usize;
            if index >= VALUES_MAX {
                return line.expected("a smaller value number before this");
            }
            if function.values.len() <= index {
                function.values.resize(index + 1, Type::Long);
            }
            function.values[index] = ty;
            Ok(value)
        })
    }

    fn location(&mut self) -> Result<Location> {
        if !self.accept("@") {
            return Ok(Location::default());
        }
        let source = self.integer()?;
        self.token(":")?;
        let line = self.integer()?;
        self.token(":")?;
        Ok(Location { source, line, column: self.integer()? })
    }

    fn jump(&mut self) -> Result<Jump> {
        Ok(Jump { block: BlockId(self.id('b')?), arguments: self.values()? })
    }

    /// A block's end, where the line is one.
    fn block_end(&mut self) -> Result<Option<End>> {
        let before = self.rest;
        if before.starts_with('v') {
            return Ok(None);
        }
        Ok(Some(match self.word()? {
            "jump" => End::Jump(self.jump()?),
            "branch" => End::Branch { condition: self.value()?, then: self.jump()?, otherwise: self.jump()? },
            "return" if self.rest.starts_with('v') => End::Return(Some(self.value()?)),
            "return" => End::Return(None),
            "raise" => {
                let (format, arguments) = (FormatId(self.id('f')?), self.values()?);
                let catch = if self.accept("catch") { Some(self.jump()?) } else { None };
                End::Raise { format, arguments, catch }
            }
            "reraise" => End::Reraise,
            _ => {
                self.rest = before;
                return Ok(None);
            }
        }))
    }

    fn array(&mut self) -> Result<(GlobalId, Vec<Value>)> {
        Ok((GlobalId(self.id('g')?), self.values()?))
    }

    fn op(&mut self) -> Result<Op> {
        let before = self.rest;
        let word = self.word()?;
        if let Some(op) = UnaryOp::named(word) {
            return Ok(Op::Unary(op, self.value()?));
        }
        if let Some(op) = BinaryOp::named(word) {
            return Ok(Op::Binary(op, self.value()?, self.value()?));
        }
        if let Some(function) = StringFunction::named(word) {
            return Ok(Op::StringFunction(function, self.values()?));
        }
        Ok(match word {
            "load_string" => {
                let space = self.named("a space", Space::named)?;
                let address = self.value()?;
                let bytes_max = if self.rest.starts_with('v') { Some(self.value()?) } else { None };
                Op::LoadString { space, address, bytes_max }
            }
            "long" => Op::Long(self.integer()?),
            "string" => Op::String(self.string()?),
            "compare" => Op::Compare(self.named("a relation", Relation::named)?, self.value()?, self.value()?),
            "compare_strings" => {
                Op::CompareStrings(self.named("a relation", Relation::named)?, self.value()?, self.value()?)
            }
            "concat" => Op::Concat(self.value()?, self.value()?),
            "format" => Op::Format(FormatId(self.id('f')?), self.values()?),
            "load" => Op::Load {
                space: self.named("a space", Space::named)?,
                width: self.named("a width", width)?,
                address: self.value()?,
            },
            "register" => Op::Register(self.integer()?),
            "task" => Op::Task(self.named("a field of the task", TaskField::named)?),
            "cpu" => Op::Cpu,
            "clock" => Op::Clock(self.named("a clock", Clock::named)?),
            "parameter" => {
                Op::Parameter(self.named("a parameter", |name| {
                    Parameter::ALL.into_iter().find(|parameter| parameter.name() == name)
                })?)
            }
            "point" => Op::Point(self.named("a field of the probe point", PointField::named)?),
            "get" => Op::Get(GlobalId(self.id('g')?)),
            "set" => Op::Set(GlobalId(self.id('g')?), self.value()?),
            "add_to" => Op::Add(GlobalId(self.id('g')?), self.value()?),
            "array_get" => self.array().map(|(array, keys)| Op::ArrayGet(array, keys))?,
            "array_has" => self.array().map(|(array, keys)| Op::ArrayHas(array, keys))?,
            "array_delete" => self.array().map(|(array, keys)| Op::ArrayDelete(array, keys))?,
            "array_set" => self.array().and_then(|(array, keys)| Ok(Op::ArraySet(array, keys, self.value()?)))?,
            "array_add" => self.array().and_then(|(array, keys)| Ok(Op::ArrayAdd(array, keys, self.value()?)))?,
            "array_clear" => Op::ArrayClear(GlobalId(self.id('g')?)),
            "accumulate" => self.array().and_then(|(array, keys)| Ok(Op::Accumulate(array, keys, self.value()?)))?,
            "aggregate" => {
                let aggregate = self.aggregate()?;
                self.array().map(|(array, keys)| Op::Aggregate(aggregate, array, keys))?
            }
            "bucket" => {
                let (array, keys) = self.array()?;
                Op::Bucket(array, keys, self.integer()?, self.value()?)
            }
            "draw" => self.array().and_then(|(array, keys)| Ok(Op::Draw(array, keys, self.integer()?)))?,
            "iterate" => {
                let array = GlobalId(self.id('g')?);
                let order = self.order()?;
                let limit = if self.rest.starts_with('v') { Some(self.value()?) } else { None };
                Op::Iterate { array, order, limit }
            }
            "next" => Op::Next(self.value()?),
            "key" => Op::Key(self.value()?, self.integer()?),
            "entry" => Op::Entry(self.value()?),
            "call" => Op::Call(FunctionId(self.id('u')?), self.values()?),
            "print" => Op::Print(FormatId(self.id('f')?), self.values()?),
            "spend" => Op::Spend(self.integer()?),
            "caught" => Op::Caught,
            "exit" => Op::Exit,
            _ => {
                self.rest = before;
                return self.expected("an operation");
            }
        })
    }

    fn order(&mut self) -> Result<Order> {
        if self.accept("any") {
            return Ok(Order::Any);
        }
        let descending = self.accept("descending");
        if !descending {
            self.token("ascending")?;
        }
        let by = if self.accept("value") {
            SortBy::Value
        } else if self.accept("key") {
            SortBy::Key(self.integer()?)
        } else {
            SortBy::Aggregate(self.aggregate()?)
        };
        Ok(Order::By { by, descending })
    }
}

/// The bytes that Rust's `Debug` of a string, and bstr's of bytes, stand for.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.push_char(c);
            continue;
        }
        match chars.next()? {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            'x' => {
                let digits = [chars.next()?, chars.next()?].map(|digit| digit.to_digit(16));
                bytes.push((digits[0]? * 16 + digits[1]?) as u8);
            }
            'u' => {
                let digits: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                bytes.push_char(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            other => bytes.push_char(other),
        }
    }
    Some(bytes)
}

fn width(name: &str) -> Option<Width> {
    let (sign, bits) = name.split_at_checked(1)?;
    let bytes = match bits {
        "8" => 1,
        "16" => 2,
        "32" => 4,
        "64" => 8,
        _ => return None,
    };
    matches!(sign, "s" | "u").then(|| Width { bytes, signed: sign == "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::verify::verify;

    /// One of everything.
    const TEXT: &str = r#"source s0 "<input>"
limits actions 99 nesting 3 errors 1 skipped 2
global g0 "n" long = -5
global g1 "who" string(15) = "a\"b"
global g2 "reads" [string(15), long] long 2048
global g3 "sizes" [long] statistic(@count, @max; log, linear -1 10 2; 3) 10 wrap
global g4 "times" statistic(; ; 0)
format f0 "%s %d\n" (string(15), long)
format f1 "division by 0" () near "operator '/'"
handler h0 u0
  at "kernel.function(\"vfs_read\")" "vfs_read" kprobe _stext+0x1234
  at "kernel.function(\"vfs_write\")" "vfs_write" kprobe _stext+0x5678
handler h1 u1
  at "timer.s(1)" "" timer 1000000000ns
handler h2 u1
  at "begin(-1)" "" begin -1
  at "end" "" end 0
  at "never" "" never
handler h3 u1
  at "process(\"/bin/a b\").function(\"main\")" "main" uprobe "/bin/a b" 00ff 0x10
handler h4 u1
  at "kernel.function(\"f\").return" "f" kprobe _stext+0x1 return
handler h5 u1
  at "kernel.trace(\"sched_switch\")" "" tracepoint sched_switch
function u0 "probe_0"
b0():
  v0: string(15) = task execname @0:1:7
  v1: long = register 1
  v2: long, v3: long = load kernel s32 v1
  branch v3 b1() b2(v2) @0:2:1
b1():
  raise f1() @0:2:9
b2(v4: long):
  v5: long = compare ge v2 v4
  v6: long = subtract v4 v5
  v7: long, v8: long = array_add g2(v0, v1) v6
  print f0(v0, v7)
  exit
  return
function u1 "report"
b0():
  v0: long = long 10
  v1: iterator = iterate g2 descending value v0
  jump b1()
b1():
  v2: long = next v1
  branch v2 b2() b3()
b2():
  v3: string(15) = key v1 0
  v4: long = entry v1
  v5: long = spend 2
  raise f1() catch b4(v4)
b3():
  v10: iterator = iterate g3 ascending @max
  v11: iterator = iterate g3 descending key 0
  v12: long = accumulate g3(v0) v0
  v13: long, v14: long = aggregate @max g3(v0)
  v15: long = bucket g3(v0) 1 v0
  v16: long = draw g3(v0) 0
  v17: long = accumulate g4() v0
  v18: string(9), v19: long = load_string user v0
  v20: string(9), v21: long = load_string kernel v0 v0
  v22: string(4) = substr(v18, v0, v0)
  v23: string(1), v24: string(2) = token(v18, v22)
  array_clear g4
  array_clear g2
  set g0 v0
  return
b4(v6: long):
  v7: string(20) = caught
  v8: long, v9: long = call u2(v6)
  branch v9 b5() b6()
b5():
  reraise
b6():
  print f0(v7, v8)
  jump b1()
function u2 "double" long
b0(v0: long):
  v1: long = add v0 v0
  return v1
"#;

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let ir = read(TEXT).expect("an IR");
        assert_eq!(verify(&ir), Ok(()));
        assert_eq!(ir.to_string(), TEXT);
    }

    #[test]
    fn postcard_keeps_everything() {
        let ir = read(TEXT).expect("an IR");
        let bytes = postcard::to_stdvec(&ir).expect("bytes");
        assert_eq!(postcard::from_bytes(&bytes), Ok(ir));
    }

    #[test]
    fn a_wrong_text_is_refused_at_its_line() {
        let error = read("source s0 \"x\"\nglobal g0 \"n\" lung = 5\n").expect_err("a wrong type");
        assert_eq!((error.line, error.found.as_str()), (2, "lung = 5"));
        assert!(read("function u0 \"f\"\nb0():\n").is_err());
    }

    #[track_caller]
    fn refused(change: (&str, &str), rule: &str) {
        let text = TEXT.replacen(change.0, change.1, 1);
        assert_ne!(text, TEXT);
        let error = verify(&read(&text).expect("an IR")).expect_err("a broken rule");
        assert_eq!(error.to_string(), rule);
    }

    #[test]
    fn the_verifier_names_the_place_and_the_rule() {
        refused(
            ("array_add g2(v0, v1)", "array_add g2(v0)"),
            "function u0 block b2 instruction 2: 1 operands where 2 are expected",
        );
        refused(
            ("print f0(v0, v7)", "print f0(v7, v7)"),
            "function u0 block b2 instruction 3: v7 is a long, expected a string(15)",
        );
        refused(("jump b1()\nb1", "jump b9()\nb1"), "function u1: no block b9");
        refused(("branch v2 b2() b3()", "jump b3()"), "function u1: b2 cannot be reached");
        refused(
            ("compare ge v2 v4", "compare ge v2 v6"),
            "function u0 block b2 instruction 0: v6 is used where it is not defined",
        );
        refused(("v1: long = register 1", "v0: long = register 1"), "function u0: v0 is defined twice");
        refused(("h1 u1", "h1 u2"), "handler h1: a handler's function takes nothing and returns nothing");
        refused(("h2 u1", "h2 u0"), "handler h2: a handler without registers reads one");
        refused(("@max g3(v0)", "@min g3(v0)"), "function u1 block b3 instruction 3: an aggregate that is not kept");
        refused(("g3(v0) 1 v0", "g3(v0) 2 v0"), "function u1 block b3 instruction 4: a histogram that is not kept");
        refused(("linear -1 10 2", "linear -1 10 0"), "global g3: a histogram from high to low, or without steps");
        refused(
            ("  v7: string(20) = caught", "  v7: string(20) = point name"),
            "function u1 block b2: an error leads to where it is neither caught nor raised again",
        );
        refused(
            ("print f0(v7, v8)\n  jump b1()", "print f0(v7, v8)\n  jump b5()"),
            "function u1 block b6: nothing raised on the way to an error's handling",
        );
        refused(
            ("branch v9 b5() b6()", "branch v8 b5() b6()"),
            "function u1 block b4 instruction 1: a branch right behind a call asks whether it raised",
        );
        refused(
            ("print f0(v7, v8)", "v30: long = add v9 v8"),
            "function u1 block b6 instruction 0: only a branch may ask whether a call raised",
        );
        refused(
            ("  reraise", "  print f0(v7, v8)\n  reraise"),
            "function u1 block b5: `reraise` stands alone in its block",
        );
        refused(
            ("v5: long = spend 2", "v5: string(2) = caught"),
            "function u1 block b2 instruction 2: `caught` stands first in a block",
        );
        refused(
            ("timer 1000000000ns", "timer 1ns\n  at \"x\" \"\" never"),
            "handler h1: the probe points are of several kinds",
        );
    }
}
