//! Random programs: every operation that a kernel handler can do, on values of every kind, with branches and joins.

use bstr::BString;
use shared::abi::format::Format;
use shared::abi::map::Parameter;
use shared::ir::{
    Aggregate, BinaryOp, Block, BlockId, Content, Datum, End, FormatDecl, FormatId, Function, FunctionId, Global,
    GlobalId, Handler, Histogram, Instruction, Ir, Jump, Limits, Location, Op, PointField, Relation, Space, Statistic,
    Storage, StringFunction, TaskField, Type, UnaryOp, Value, Width,
};
use shared::probe::{Place, ProbePoint};

use super::native::BUFFER_BYTES;

/// The program of a seed. It may read memory at `buffer`.
pub(crate) fn program(seed: u64, buffer: u64) -> Ir {
    let mut random = fastrand::Rng::with_seed(seed);
    let globals = globals(&mut random);
    let limits = Limits {
        actions_max: random.u32(1..40),
        nesting_max: random.u32(1..4),
        errors_max: random.u32(0..2),
        ..Limits::default()
    };
    let place = Place::Tracepoint { name: "sys_enter".to_owned() };
    let name = "kernel.trace(\"sys_enter\")".to_owned();
    let point = ProbePoint { name, function: "somewhere".to_owned(), place };
    let handlers = vec![Handler { function: FunctionId(0), points: vec![point] }];
    let ir = Ir { sources: vec!["<random>".to_owned()], limits, globals, handlers, ..Ir::default() };
    let mut generator = Generator {
        random,
        buffer,
        ir,
        signatures: Vec::new(),
        function: Function::default(),
        longs: Vec::new(),
        strings: Vec::new(),
        current: 0,
        catch: None,
    };
    generator.functions();
    generator.ir
}

fn globals(random: &mut fastrand::Rng) -> Vec<Global> {
    let ty = |random: &mut fastrand::Rng| if random.bool() { Type::Long } else { Type::String(random.u16(0..20)) };
    (0..random.usize(1..6))
        .map(|index| {
            let storage = if random.u8(0..4) == 0 {
                Storage::Statistic(statistic(random))
            } else if random.bool() {
                let ty = ty(random);
                let initial = match ty {
                    Type::String(bound) => Datum::String(bytes(random, usize::from(bound))),
                    Type::Long | Type::Iterator => Datum::Long(long(random)),
                };
                Storage::Scalar { ty, initial }
            } else {
                let keys = (0..random.usize(1..4)).map(|_| ty(random)).collect();
                let content = if random.u8(0..3) == 0 {
                    Content::Statistic(statistic(random))
                } else {
                    Content::Value(ty(random))
                };
                Storage::Array { keys, content, entries_max: random.u32(1..5), wrap: false }
            };
            Global { name: format!("global{index}"), storage }
        })
        .collect()
}

fn statistic(random: &mut fastrand::Rng) -> Statistic {
    use Aggregate::{Average, Count, Max, Min, Sum, Variance};
    let mut aggregates = [Count, Sum, Min, Max, Average, Variance].to_vec();
    aggregates.retain(|_| random.bool());
    let linear = Histogram::Linear { low: random.i64(-9..3), high: random.i64(3..70), step: random.i64(1..9) };
    let mut histograms = [Histogram::Log, linear].to_vec();
    histograms.retain(|_| random.u8(0..3) == 0);
    let (aggregates, histograms) = (aggregates.into_iter().collect(), histograms.into_iter().collect());
    Statistic { aggregates, histograms, variance_shift: random.u8(0..3) * 5 }
}

/// Mostly small numbers, sometimes the edges of the range.
fn long(random: &mut fastrand::Rng) -> i64 {
    match random.u8(0..8) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => random.i64(..),
        3 => i64::from(random.i32(..)),
        4 => random.i64(60..70),
        _ => random.i64(-4..5),
    }
}

/// Few different ones, so that keys meet and comparisons are sometimes equal.
fn bytes(random: &mut fastrand::Rng, bytes_max: usize) -> BString {
    let alphabet: &[u8] = if random.u8(0..4) == 0 { &[1, 0x7f, 0x80, 0xff] } else { b"ab" };
    let size = random.usize(0..=bytes_max.min(24));
    (0..size).map(|_| alphabet[random.usize(..alphabet.len())]).collect::<Vec<u8>>().into()
}

/// A jump that brings nothing along.
fn jump(block: usize) -> Jump {
    Jump { block: BlockId(block as u32), arguments: Vec::new() }
}

struct Generator {
    random: fastrand::Rng,
    buffer: u64,
    ir: Ir,
    function: Function,
    /// Values that are defined wherever the current block can come from.
    longs: Vec<Value>,
    strings: Vec<Value>,
    current: usize,
    /// What each function takes and gives. The first is the handler's.
    signatures: Vec<(Vec<Type>, Option<Type>)>,
    /// Where errors are caught.
    catch: Option<usize>,
}

impl Generator {
    fn functions(&mut self) {
        self.signatures.push((Vec::new(), None));
        for _ in 0..self.random.usize(0..3) {
            let parameters = (0..self.random.usize(0..3)).map(|_| self.ty()).collect();
            let result = if self.random.bool() { Some(self.ty()) } else { None };
            self.signatures.push((parameters, result));
        }
        for (index, (parameters, result)) in self.signatures.clone().into_iter().enumerate() {
            self.function = Function { name: format!("function_{index}"), result, ..Function::default() };
            (self.longs, self.strings, self.catch) = (Vec::new(), Vec::new(), None);
            self.current = self.new_block();
            for ty in parameters {
                self.parameter(self.current, ty);
            }
            self.statements(if index == 0 { 3 } else { 1 });
            if index == 0 {
                self.print_everything();
            }
            let value = result.map(|ty| self.value(ty));
            self.end(End::Return(value));
            self.ir.functions.push(std::mem::take(&mut self.function));
        }
    }

    /// A further parameter of a block.
    fn parameter(&mut self, block: usize, ty: Type) -> Value {
        let parameter = self.function.new_value(ty);
        self.function.blocks[block].parameters.push(parameter);
        match ty {
            Type::String(_) => self.strings.push(parameter),
            Type::Long | Type::Iterator => self.longs.push(parameter),
        }
        parameter
    }

    fn new_block(&mut self) -> usize {
        let (end, end_location) = (End::Return(None), Location { source: 0, line: 7, column: 1 });
        self.function.blocks.push(Block { parameters: Vec::new(), instructions: Vec::new(), end, end_location });
        self.function.blocks.len() - 1
    }

    fn end(&mut self, end: End) {
        self.function.blocks[self.current].end = end;
    }

    fn push(&mut self, op: Op, results: &[Type]) -> Vec<Value> {
        let results: Vec<Value> = results.iter().map(|&ty| self.function.new_value(ty)).collect();
        let location = Location { source: 0, line: self.random.u32(1..9), column: 1 };
        let instruction = Instruction { results: results.clone(), op, location };
        self.function.blocks[self.current].instructions.push(instruction);
        for &value in &results {
            match self.function.ty(value) {
                Type::String(_) => self.strings.push(value),
                Type::Long | Type::Iterator => self.longs.push(value),
            }
        }
        results
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..self.random.usize(1..10) {
            match self.random.u8(0..12) {
                0 | 1 if depth > 0 => self.branch(depth),
                2 if self.random.u8(0..4) == 0 => self.raise_sometimes(),
                3 if depth > 0 && self.random.bool() => self.round_and_round(depth),
                4 if depth > 0 && self.random.bool() => self.try_(depth),
                5 if self.signatures.len() > 1 && self.random.bool() => self.call(),
                _ => self.operation(),
            }
        }
    }

    /// `if` with both sides, which then join and bring some values along.
    fn branch(&mut self, depth: usize) {
        let condition = self.long();
        let (then, otherwise, after) = (self.new_block(), self.new_block(), self.new_block());
        self.end(End::Branch { condition, then: jump(then), otherwise: jump(otherwise) });
        let types: Vec<Type> = (0..self.random.usize(0..3)).map(|_| self.ty()).collect();
        let known = (self.longs.len(), self.strings.len());
        for side in [then, otherwise] {
            self.current = side;
            self.statements(depth - 1);
            let arguments = types.iter().map(|&ty| self.value(ty)).collect();
            self.end(End::Jump(Jump { block: BlockId(after as u32), arguments }));
            self.longs.truncate(known.0);
            self.strings.truncate(known.1);
        }
        self.current = after;
        for ty in types {
            self.parameter(after, ty);
        }
    }

    /// A loop that carries some values along, and ends after some rounds, at once, or when the statements run out.
    fn round_and_round(&mut self, depth: usize) {
        let types: Vec<Type> = (0..self.random.usize(0..3)).map(|_| self.ty()).collect();
        let mut arguments: Vec<Value> = types.iter().map(|&ty| self.value(ty)).collect();
        let rounds = self.random.i64(0..12);
        arguments.push(self.push(Op::Long(rounds), &[Type::Long])[0]);
        let [head, enough, test, body, after] = std::array::from_fn(|_| self.new_block());
        self.end(End::Jump(Jump { block: BlockId(head as u32), arguments }));
        self.current = head;
        types.iter().for_each(|&ty| {
            self.parameter(head, ty);
        });
        let left = self.parameter(head, Type::Long);
        let statements = self.random.u32(1..5);
        let exceeded = self.push(Op::Spend(statements), &[Type::Long])[0];
        self.end(End::Branch { condition: exceeded, then: jump(enough), otherwise: jump(test) });
        self.current = enough;
        self.raise("enough", &[]);
        self.current = test;
        let known = (self.longs.len(), self.strings.len());
        let condition = if self.random.u8(0..4) == 0 { self.long() } else { left };
        self.end(End::Branch { condition, then: jump(body), otherwise: jump(after) });
        self.current = body;
        self.statements(depth - 1);
        let one = self.push(Op::Long(1), &[Type::Long])[0];
        let fewer = self.push(Op::Binary(BinaryOp::Subtract, left, one), &[Type::Long])[0];
        let mut arguments: Vec<Value> = types.iter().map(|&ty| self.value(ty)).collect();
        arguments.push(fewer);
        self.end(End::Jump(Jump { block: BlockId(head as u32), arguments }));
        self.longs.truncate(known.0);
        self.strings.truncate(known.1);
        self.current = after;
    }

    /// Statements whose errors are caught, perhaps inside others.
    fn try_(&mut self, depth: usize) {
        let (catch, after) = (self.new_block(), self.new_block());
        let outer = self.catch.replace(catch);
        let known = (self.longs.len(), self.strings.len());
        self.statements(depth - 1);
        self.raise_sometimes();
        self.end(End::Jump(jump(after)));
        self.catch = outer;
        self.longs.truncate(known.0);
        self.strings.truncate(known.1);
        self.current = catch;
        let ty = self.string_type();
        self.push(Op::Caught, &[ty]);
        self.statements(depth - 1);
        self.end(End::Jump(jump(after)));
        self.longs.truncate(known.0);
        self.strings.truncate(known.1);
        self.current = after;
    }

    /// A call of a function, perhaps of the one that it stands in.
    fn call(&mut self) {
        let callee = self.random.usize(1..self.signatures.len());
        let (parameters, result) = self.signatures[callee].clone();
        let arguments: Vec<Value> = parameters.iter().map(|&ty| self.value(ty)).collect();
        let results: Vec<Value> =
            result.into_iter().chain([Type::Long]).map(|ty| self.function.new_value(ty)).collect();
        let op = Op::Call(FunctionId(callee as u32), arguments);
        let location = Location { source: 0, line: self.random.u32(1..9), column: 1 };
        let instruction = Instruction { results: results.clone(), op, location };
        self.function.blocks[self.current].instructions.push(instruction);
        let raised = self.catch.unwrap_or_else(|| {
            let block = self.new_block();
            self.function.blocks[block].end = End::Reraise;
            block
        });
        let after = self.new_block();
        let condition = results[results.len() - 1];
        self.end(End::Branch { condition, then: jump(raised), otherwise: jump(after) });
        self.current = after;
        match result {
            Some(Type::String(_)) => self.strings.push(results[0]),
            Some(_) => self.longs.push(results[0]),
            None => {}
        }
    }

    fn raise_sometimes(&mut self) {
        let condition = self.long();
        let (raise, after) = (self.new_block(), self.new_block());
        self.end(End::Branch { condition, then: jump(raise), otherwise: jump(after) });
        self.current = raise;
        let known = (self.longs.len(), self.strings.len());
        let arguments = [self.long(), self.string()];
        self.longs.truncate(known.0);
        self.strings.truncate(known.1);
        self.raise("wrong: %d %s", &arguments);
        self.current = after;
    }

    fn raise(&mut self, text: &str, arguments: &[Value]) {
        let format = self.format(text, arguments);
        self.end(End::Raise { format, arguments: arguments.to_vec(), catch: self.catch.map(jump) });
    }

    // Values

    fn ty(&mut self) -> Type {
        if self.random.bool() { Type::Long } else { self.string_type() }
    }

    fn string_type(&mut self) -> Type {
        match self.random.u8(0..16) {
            0 => Type::String(self.random.u16(120..600)),
            _ => Type::String(self.random.u16(0..26)),
        }
    }

    fn value(&mut self, ty: Type) -> Value {
        match ty {
            Type::String(_) => self.string(),
            Type::Long | Type::Iterator => self.long(),
        }
    }

    fn long(&mut self) -> Value {
        if self.longs.is_empty() || self.random.u8(0..4) == 0 {
            let long = long(&mut self.random);
            return self.push(Op::Long(long), &[Type::Long])[0];
        }
        self.longs[self.random.usize(..self.longs.len())]
    }

    fn string(&mut self) -> Value {
        if self.strings.is_empty() || self.random.u8(0..4) == 0 {
            let (text, ty) = (bytes(&mut self.random, 24), self.string_type());
            return self.push(Op::String(text), &[ty])[0];
        }
        self.strings[self.random.usize(..self.strings.len())]
    }

    fn relation(&mut self) -> Relation {
        use Relation::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual][self.random.usize(..6)]
    }

    fn format(&mut self, text: &str, arguments: &[Value]) -> FormatId {
        let format = Format::parse(text.as_bytes()).expect("a format");
        let arguments = arguments.iter().map(|&value| self.function.ty(value)).collect();
        self.ir.formats.push(FormatDecl { format, arguments, near: String::new() });
        FormatId(self.ir.formats.len() as u16 - 1)
    }

    // Operations

    fn operation(&mut self) {
        match self.random.u8(0..25) {
            0..=4 => self.arithmetic(),
            5 => {
                let op = Op::Compare(self.relation(), self.long(), self.long());
                self.push(op, &[Type::Long]);
            }
            6 => {
                let op = Op::CompareStrings(self.relation(), self.string(), self.string());
                self.push(op, &[Type::Long]);
            }
            7 => {
                let (op, ty) = (Op::Concat(self.string(), self.string()), self.string_type());
                self.push(op, &[ty]);
            }
            8 => self.sprintf(),
            9 => {
                use TaskField::{Execname, Gid, Pid, Tid, Uid};
                let field = [Pid, Tid, Uid, Gid, Execname][self.random.usize(..5)];
                self.push(Op::Task(field), &[field.ty()]);
            }
            10 => {
                let parameter = Parameter::ALL[self.random.usize(..Parameter::ALL.len())];
                self.push(Op::Parameter(parameter), &[Type::Long]);
            }
            11 => {
                let (field, ty) =
                    (if self.random.bool() { PointField::Name } else { PointField::Function }, self.string_type());
                self.push(Op::Point(field), &[ty]);
            }
            12 => self.load(),
            20..=23 => self.string_function(),
            24 => self.load_string(),
            13 => self.print(),
            14 if self.random.u8(0..4) == 0 => {
                self.push(Op::Exit, &[]);
            }
            _ => self.global(),
        }
    }

    fn arithmetic(&mut self) {
        use BinaryOp::{
            Add, And, Divide, Modulo, Multiply, Or, ShiftLeft, ShiftRight, ShiftRightLogical, Subtract, Xor,
        };
        if self.random.u8(0..6) == 0 {
            let op = if self.random.bool() { UnaryOp::Negate } else { UnaryOp::Not };
            let op = Op::Unary(op, self.long());
            self.push(op, &[Type::Long]);
            return;
        }
        let all = [Add, Subtract, Multiply, Divide, Modulo, And, Or, Xor, ShiftLeft, ShiftRight, ShiftRightLogical];
        let op = all[self.random.usize(..all.len())];
        let op = Op::Binary(op, self.long(), self.long());
        self.push(op, &[Type::Long]);
    }

    fn sprintf(&mut self) {
        let (text, kinds): (&str, &[Type]) = [
            ("%s=%d", &[Type::String(0), Type::Long] as &[Type]),
            ("[%5d|%-6x]", &[Type::Long, Type::Long]),
            ("%u%%%s", &[Type::Long, Type::String(0)]),
            ("%p %X %03d", &[Type::Long, Type::Long, Type::Long]),
            ("%8s|%-8s|", &[Type::String(0), Type::String(0)]),
        ][self.random.usize(..5)];
        let arguments: Vec<Value> = kinds.iter().map(|&ty| self.value(ty)).collect();
        let format = self.format(text, &arguments);
        let ty = Type::String(self.random.u16(0..60));
        self.push(Op::Format(format, arguments), &[ty]);
    }

    /// Reads our buffer, or where nothing is.
    fn load(&mut self) {
        let width = Width { bytes: [1, 2, 4, 8][self.random.usize(..4)], signed: self.random.bool() };
        let (space, address) = match self.random.u8(0..4) {
            0 => (Space::Kernel, 16),
            1 => (Space::User, 16),
            _ => (Space::User, self.buffer + self.random.u64(..BUFFER_BYTES as u64 - 8)),
        };
        let address = self.push(Op::Long(address as i64), &[Type::Long])[0];
        // The address differs from run to run: nothing is computed from it, and it is not printed.
        self.longs.pop();
        self.push(Op::Load { space, width, address }, &[Type::Long, Type::Long]);
    }

    /// Reads a string from our buffer, or from where nothing is.
    fn load_string(&mut self) {
        let offset = self.random.usize(..BUFFER_BYTES - 20);
        let (space, address) = match self.random.u8(0..4) {
            0 => (Space::Kernel, 16),
            _ => (Space::User, self.buffer + offset as u64),
        };
        let address = self.push(Op::Long(address as i64), &[Type::Long])[0];
        self.longs.pop();
        let bytes_max = self.random.bool().then(|| self.number(-2..20));
        let ty = Type::String(self.random.u16(0..20));
        self.push(Op::LoadString { space, address, bytes_max }, &[ty, Type::Long]);
    }

    fn string_function(&mut self) {
        use StringFunction::{Byte, Find, Length, Number, Substring};
        let function = [Byte, Find, Length, Number, Substring][self.random.usize(..5)];
        let mut arguments = vec![self.string()];
        match function {
            Byte => arguments.push(self.position()),
            Find => arguments.push(self.string()),
            Number => {
                let digits: Vec<u8> =
                    (0..self.random.usize(..9)).map(|_| b"0123789afxX-"[self.random.usize(..12)]).collect();
                if self.random.bool() {
                    arguments[0] = self.push(Op::String(digits.into()), &[Type::String(12)])[0];
                }
                let base = [0, 8, 10, 16][self.random.usize(..4)];
                arguments.push(self.push(Op::Long(base), &[Type::Long])[0]);
            }
            Substring => arguments.extend([self.position(), self.position()]),
            _ => {}
        }
        let ty = match function {
            Substring => self.string_type(),
            _ => Type::Long,
        };
        self.push(Op::StringFunction(function, arguments), &[ty]);
    }

    fn position(&mut self) -> Value {
        if self.random.bool() { self.number(-1..20) } else { self.long() }
    }

    fn print(&mut self) {
        let arguments: Vec<Value> = (0..self.random.usize(0..5))
            .map(|_| {
                let ty = self.ty();
                self.value(ty)
            })
            .collect();
        self.print_values(&arguments);
    }

    fn print_values(&mut self, arguments: &[Value]) {
        let verb = |ty: Type| if matches!(ty, Type::String(_)) { "%s" } else { "%d" };
        let verbs: Vec<&str> = arguments.iter().map(|&value| verb(self.function.ty(value))).collect();
        let format = self.format(&verbs.join(" "), arguments);
        self.push(Op::Print(format, arguments.to_vec()), &[]);
    }

    /// What was computed last shows that it was computed rightly.
    fn print_everything(&mut self) {
        let latest = |values: &[Value]| values.iter().rev().take(8).copied().collect::<Vec<_>>();
        let values = [latest(&self.longs), latest(&self.strings)].concat();
        self.print_values(&values);
    }

    fn global(&mut self) {
        let index = self.random.usize(..self.ir.globals.len());
        let id = GlobalId(index as u16);
        match self.ir.globals[index].storage.clone() {
            Storage::Scalar { ty, .. } => match self.random.u8(0..3) {
                0 => {
                    self.push(Op::Get(id), &[ty]);
                }
                1 if ty == Type::Long => {
                    let op = Op::Add(id, self.long());
                    self.push(op, &[ty]);
                }
                _ => {
                    let op = Op::Set(id, self.value(ty));
                    self.push(op, &[]);
                }
            },
            Storage::Statistic(statistic) => self.statistic(id, &[], &statistic),
            Storage::Array { keys, content: Content::Statistic(statistic), .. } => {
                self.statistic(id, &keys, &statistic)
            }
            Storage::Array { keys, content: Content::Value(value), .. } => {
                let keys: Vec<Value> = keys.iter().map(|&ty| self.value(ty)).collect();
                match self.random.u8(0..6) {
                    0 => self.push(Op::ArrayGet(id, keys), &[value]),
                    1 => self.push(Op::ArrayHas(id, keys), &[Type::Long]),
                    2 => self.push(Op::ArrayDelete(id, keys), &[]),
                    3 if value == Type::Long => {
                        let op = Op::ArrayAdd(id, keys, self.long());
                        self.push(op, &[Type::Long, Type::Long])
                    }
                    _ => {
                        let op = Op::ArraySet(id, keys, self.value(value));
                        self.push(op, &[Type::Long])
                    }
                };
            }
        }
    }

    fn statistic(&mut self, id: GlobalId, types: &[Type], statistic: &Statistic) {
        let keys: Vec<Value> = types.iter().map(|&ty| self.value(ty)).collect();
        let readable: Vec<Aggregate> =
            statistic.aggregates.iter().copied().filter(|&aggregate| aggregate != Aggregate::Variance).collect();
        match self.random.u8(0..10) {
            0 if types.is_empty() => self.push(Op::ArrayClear(id), &[]),
            0 => self.push(Op::ArrayDelete(id, keys), &[]),
            1 if !types.is_empty() => self.push(Op::ArrayHas(id, keys), &[Type::Long]),
            2 | 3 if !readable.is_empty() => {
                let aggregate = readable[self.random.usize(..readable.len())];
                self.push(Op::Aggregate(aggregate, id, keys), &[Type::Long, Type::Long])
            }
            4 if !statistic.histograms.is_empty() => {
                let histogram = self.random.usize(..statistic.histograms.len()) as u8;
                let bucket = if self.random.bool() { self.long() } else { self.number(60..70) };
                self.push(Op::Bucket(id, keys, histogram, bucket), &[Type::Long])
            }
            _ => {
                let op = Op::Accumulate(id, keys, self.long());
                self.push(op, &[Type::Long])
            }
        };
    }

    fn number(&mut self, range: std::ops::Range<i64>) -> Value {
        let number = self.random.i64(range);
        self.push(Op::Long(number), &[Type::Long])[0]
    }
}
