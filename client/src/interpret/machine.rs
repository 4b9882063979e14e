//! The interpreter proper: values of one function at a time, and one step after the other.

use bstr::ByteSlice as _;
use shared::abi::value::{Datum, Type};
use shared::ir::{
    Block, BlockId, Content, End, FormatId, Function, FunctionId, GlobalId, Instruction, Ir, Jump, Location, Op, Order,
    SortBy, Statistic, Storage, Value,
};

use shared::ir::{MAXACTION_EXCEEDED, MAXNESTING_EXCEEDED};
use shared::limits::CALL_DEPTH_MAX;

use super::walk::Walk;
use super::{Bounds, Entry, InterpretError, Message, Result, Room, World};

/// Steps between two questions whether to go on.
const STEPS_BETWEEN_INTERRUPTS: u64 = 1 << 12;

pub(super) struct Machine<'a> {
    ir: &'a Ir,
    world: &'a mut dyn World,
    bounds: Bounds,
    steps: u64,
    /// Statements that were counted.
    actions: u64,
    /// The functions that run, outermost first.
    running: Vec<FunctionId>,
    /// The run-time error that is on its way to where it is caught.
    pending: Option<(Location, Message)>,
}

/// How a function ended.
enum Returned {
    Value(Option<Datum>),
    Raised,
}

/// Why the handler as a whole ends in the middle.
enum Stop {
    /// It was reported, or nobody needs to know.
    Ended,
    Broken(InterpretError),
}

impl From<InterpretError> for Stop {
    fn from(error: InterpretError) -> Self {
        Self::Broken(error)
    }
}

type Step<T = ()> = std::result::Result<T, Stop>;

/// What a value holds at run time.
#[derive(Clone)]
enum Cell {
    Undefined,
    Datum(Datum),
    Walk(Walk),
}

/// A function that runs.
struct Frame<'a> {
    function: &'a Function,
    cells: Vec<Cell>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(ir: &'a Ir, world: &'a mut dyn World, bounds: Bounds) -> Self {
        Self { ir, world, bounds, steps: 0, actions: 0, running: Vec::new(), pending: None }
    }

    pub(super) fn run(mut self, function: FunctionId) -> Result {
        match self.call(function, Vec::new()) {
            Ok(_) | Err(Stop::Ended) => {
                self.pending.map_or(Ok(()), |(location, message)| self.world.raise(location, message))
            }
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    fn call(&mut self, id: FunctionId, arguments: Vec<Datum>) -> Step<Returned> {
        self.running.push(id);
        let returned = self.run_body(id, arguments);
        self.running.pop();
        returned
    }

    fn run_body(&mut self, id: FunctionId, arguments: Vec<Datum>) -> Step<Returned> {
        let function = self.ir.functions.get(id.0 as usize);
        let function = function.ok_or_else(|| internal("a function that does not exist"))?;
        let mut frame = Frame { function, cells: vec![Cell::Undefined; function.values.len()] };
        let mut block = function.blocks.first().ok_or_else(|| internal("a function without blocks"))?;
        for (&parameter, argument) in block.parameters.iter().zip(arguments) {
            frame.define(parameter, argument)?;
        }
        loop {
            for instruction in &block.instructions {
                self.spend(1, instruction.location)?;
                self.step(&mut frame, instruction)?;
            }
            self.spend(1, block.end_location)?;
            let jump = match &block.end {
                End::Jump(jump) => jump,
                End::Branch { condition, then, otherwise } => {
                    if frame.long(*condition)? != 0 {
                        then
                    } else {
                        otherwise
                    }
                }
                End::Return(None) => return Ok(Returned::Value(None)),
                End::Return(Some(value)) => return Ok(Returned::Value(Some(frame.datum(*value)?.clone()))),
                End::Raise { format, arguments, catch } => {
                    let arguments = self.format_arguments(&frame, *format, arguments)?;
                    self.pending = Some((block.end_location, Message::Format { format: *format, arguments }));
                    let Some(catch) = catch else { return Ok(Returned::Raised) };
                    catch
                }
                End::Reraise => return Ok(Returned::Raised),
            };
            block = frame.jump(jump)?;
        }
    }

    /// Counts steps, and stops a handler that takes too many or is no longer wanted.
    fn spend(&mut self, steps: u64, location: Location) -> Step {
        let before = self.steps / STEPS_BETWEEN_INTERRUPTS;
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.bounds.steps_max {
            self.world.raise(location, Message::StepsExceeded)?;
            return Err(Stop::Ended);
        }
        let is_time_to_ask = self.steps / STEPS_BETWEEN_INTERRUPTS != before;
        if is_time_to_ask && self.world.is_interrupted() { Err(Stop::Ended) } else { Ok(()) }
    }

    fn step(&mut self, frame: &mut Frame<'_>, instruction: &Instruction) -> Step {
        let Instruction { results, op, location } = instruction;
        let result = match op {
            Op::Long(long) => Datum::Long(*long),
            Op::String(string) => Datum::String(string.clone()),
            Op::Unary(op, a) => Datum::Long(op.apply(frame.long(*a)?)),
            Op::Binary(op, a, b) => Datum::Long(op.apply(frame.long(*a)?, frame.long(*b)?)),
            Op::Compare(relation, a, b) => truth(relation.holds(&frame.long(*a)?, &frame.long(*b)?)),
            Op::CompareStrings(relation, a, b) => truth(relation.holds(frame.bytes(*a)?, frame.bytes(*b)?)),
            Op::Concat(a, b) => Datum::String([frame.bytes(*a)?, frame.bytes(*b)?].concat().into()),
            Op::Format(format, arguments) => {
                let arguments = self.format_arguments(frame, *format, arguments)?;
                let mut text = Vec::new();
                self.ir.formats[usize::from(format.0)].format.render(&arguments, &mut text);
                // `%c` and `%b` may render a NUL, where a string ends.
                text.truncate(text.find_byte(0).unwrap_or(text.len()));
                Datum::String(text.into())
            }
            Op::Print(format, arguments) => {
                let arguments = self.format_arguments(frame, *format, arguments)?;
                return Ok(self.world.print(*format, arguments)?);
            }
            Op::Exit => {
                self.world.exit();
                return Ok(());
            }
            Op::Spend(statements) => {
                self.actions = self.actions.saturating_add(u64::from(*statements));
                truth(self.actions > self.bounds.actions_max)
            }
            Op::Caught => Datum::String(self.caught().into()),
            Op::Load { space, width, address } => {
                let loaded = self.world.load(*space, *width, frame.long(*address)? as u64)?;
                let long = Datum::Long(loaded.map_or(0, |raw| width.widen(raw)));
                return frame.define_all(results, [long, truth(loaded.is_none())]);
            }
            Op::LoadString { space, address, bytes_max } => {
                let bound = results.first().map_or(0, |&result| string_bound(frame.function.ty(result)));
                let wanted = bytes_max.map(|bytes_max| frame.long(bytes_max)).transpose()?;
                let bytes_max = wanted.map_or(bound, |wanted| usize::try_from(wanted).unwrap_or(0).min(bound));
                let loaded = self.world.load_string(*space, frame.long(*address)? as u64, bytes_max)?;
                let faulted = truth(loaded.is_none());
                return frame.define_all(results, [Datum::String(loaded.unwrap_or_default()), faulted]);
            }
            Op::StringFunction(function, arguments) => {
                let arguments: Vec<Datum> =
                    arguments.iter().map(|&value| frame.datum(value).cloned()).collect::<Step<_>>()?;
                let given = function.apply(&arguments);
                return results.iter().zip(given).try_for_each(|(&result, datum)| frame.define(result, datum));
            }
            Op::Register(number) => Datum::Long(self.world.register(*number)?),
            Op::Task(field) => self.world.task(*field)?,
            Op::Cpu => Datum::Long(self.world.cpu()),
            Op::Clock(clock) => Datum::Long(self.world.clock(*clock)),
            Op::Parameter(parameter) => Datum::Long(self.world.parameter(*parameter)),
            Op::Point(field) => Datum::String(self.world.point(*field)),
            Op::Get(global) => self.world.get(*global)?,
            Op::Set(global, value) => {
                let value = cut(self.scalar(*global)?, frame.datum(*value)?.clone());
                return Ok(self.world.set(*global, value)?);
            }
            Op::Add(global, value) => Datum::Long(self.world.add(*global, frame.long(*value)?)?),
            Op::Call(function, arguments) => return self.step_call(frame, *function, arguments, instruction),
            Op::Iterate { array, order, limit } => {
                let limit = limit.map(|limit| frame.long(limit)).transpose()?;
                let entries = self.entries(*array, *order)?;
                self.spend(entries.len() as u64, *location)?;
                return frame.store(results, Cell::Walk(Walk::open(entries, *order, limit)));
            }
            Op::Next(iterator) => truth(frame.walk(*iterator)?.next()),
            Op::Key(iterator, index) => frame.walk(*iterator)?.key(*index)?,
            Op::Entry(iterator) => frame.walk(*iterator)?.value()?,
            Op::ArrayGet(..)
            | Op::ArraySet(..)
            | Op::ArrayAdd(..)
            | Op::ArrayHas(..)
            | Op::ArrayDelete(..)
            | Op::ArrayClear(_) => return self.step_array(frame, op, results),
            Op::Accumulate(..) | Op::Aggregate(..) | Op::Bucket(..) | Op::Draw(..) => {
                return self.step_statistic(frame, op, results);
            }
        };
        frame.define_all(results, [result])
    }

    fn step_array(&mut self, frame: &mut Frame<'_>, op: &Op, results: &[Value]) -> Step {
        let full = |room| truth(room == Room::Full);
        match op {
            Op::ArrayGet(array, keys) => {
                let (keys, value_type) = self.keys(frame, *array, keys)?;
                let found = self.world.array_get(*array, &keys)?;
                frame.define_all(results, [found.unwrap_or_else(|| value_type.zero())])
            }
            Op::ArrayHas(array, keys) => {
                let (keys, _) = self.keys(frame, *array, keys)?;
                frame.define_all(results, [truth(self.world.array_has(*array, &keys)?)])
            }
            Op::ArraySet(array, keys, value) => {
                let (keys, value_type) = self.keys(frame, *array, keys)?;
                let value = cut(value_type, frame.datum(*value)?.clone());
                frame.define_all(results, [full(self.world.array_set(*array, &keys, value)?)])
            }
            Op::ArrayAdd(array, keys, value) => {
                let (keys, _) = self.keys(frame, *array, keys)?;
                let (sum, room) = self.world.array_add(*array, &keys, frame.long(*value)?)?;
                frame.define_all(results, [Datum::Long(sum), full(room)])
            }
            Op::ArrayDelete(array, keys) => {
                let (keys, _) = self.keys(frame, *array, keys)?;
                Ok(self.world.array_delete(*array, &keys)?)
            }
            Op::ArrayClear(array) => Ok(self.world.array_clear(*array)?),
            _ => Err(internal("no operation of an array").into()),
        }
    }

    fn step_statistic(&mut self, frame: &mut Frame<'_>, op: &Op, results: &[Value]) -> Step {
        let (Op::Accumulate(global, keys, _)
        | Op::Aggregate(_, global, keys)
        | Op::Bucket(global, keys, ..)
        | Op::Draw(global, keys, _)) = op
        else {
            return Err(internal("no operation of a statistic").into());
        };
        let statistic = self.statistic(*global)?;
        let (keys, _) = self.keys(frame, *global, keys)?;
        if let Op::Accumulate(_, _, value) = op {
            let room = self.world.accumulate(*global, &keys, frame.long(*value)?)?;
            return frame.define_all(results, [truth(room == Room::Full)]);
        }
        let cell = self.world.cell(*global, &keys)?;
        let buckets = |index: u8| {
            let histogram = *statistic.histograms.iter().nth(usize::from(index))?;
            Some((histogram, statistic.buckets(histogram, &cell)?))
        };
        match op {
            Op::Aggregate(aggregate, ..) => {
                let value = statistic.aggregate(*aggregate, &cell);
                frame.define_all(results, [Datum::Long(value.unwrap_or(0)), truth(value.is_none())])
            }
            Op::Bucket(_, _, index, bucket) => {
                let (_, buckets) = buckets(*index).ok_or_else(|| internal("no such histogram"))?;
                let count = usize::try_from(frame.long(*bucket)?).ok().and_then(|bucket| buckets.get(bucket));
                frame.define_all(results, [Datum::Long(count.copied().unwrap_or(0))])
            }
            Op::Draw(_, _, index) => {
                let (histogram, buckets) = buckets(*index).ok_or_else(|| internal("no such histogram"))?;
                let text = histogram.draw(buckets);
                self.world.write(&text)?;
                frame.define_all(results, [truth(text.is_empty())])
            }
            _ => Ok(()),
        }
    }

    fn statistic(&self, global: GlobalId) -> Step<&'a Statistic> {
        match self.storage(global) {
            Some(Storage::Statistic(statistic) | Storage::Array { content: Content::Statistic(statistic), .. }) => {
                Ok(statistic)
            }
            _ => Err(internal("no such statistic").into()),
        }
    }

    /// The entries that a walk is to visit. Of statistics the value is what they are sorted by.
    fn entries(&mut self, array: GlobalId, order: Order) -> Step<Vec<Entry>> {
        let Some(Storage::Array { content: Content::Statistic(statistic), .. }) = self.storage(array) else {
            return Ok(self.world.array_entries(array)?);
        };
        let value = |cell: Vec<i64>| match order {
            Order::By { by: SortBy::Aggregate(aggregate), .. } => statistic.aggregate(aggregate, &cell).unwrap_or(0),
            _ => 0,
        };
        let cells = self.world.cells(array)?.into_iter();
        Ok(cells.map(|(keys, cell)| Entry { keys, value: Datum::Long(value(cell)) }).collect())
    }

    fn step_call(
        &mut self,
        frame: &mut Frame<'_>,
        function: FunctionId,
        arguments: &[Value],
        call: &Instruction,
    ) -> Step {
        let arguments = arguments.iter().map(|&value| frame.datum(value).cloned()).collect::<Step<_>>()?;
        let activations = self.running.iter().filter(|&&running| running == function).count();
        let returned = if activations >= self.bounds.nesting_max || self.running.len() > CALL_DEPTH_MAX {
            self.pending = Some((call.location, Message::DepthExceeded));
            Returned::Raised
        } else {
            self.call(function, arguments)?
        };
        match (returned, call.results.as_slice()) {
            (Returned::Value(None), [raised]) => frame.define(*raised, truth(false)),
            (Returned::Value(Some(value)), [result, raised]) => {
                frame.define(*result, value)?;
                frame.define(*raised, truth(false))
            }
            (Returned::Raised, [result @ .., raised]) => {
                result.iter().try_for_each(|&result| frame.define(result, frame.function.ty(result).zero()))?;
                frame.define(*raised, truth(true))
            }
            _ => Err(internal("a call whose results are not those of the function").into()),
        }
    }

    /// The text of the pending error, which is pending no more.
    fn caught(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        match self.pending.take() {
            Some((_, Message::Format { format, arguments })) => {
                self.ir.formats[usize::from(format.0)].format.render(&arguments, &mut text);
                text.truncate(text.find_byte(0).unwrap_or(text.len()));
            }
            Some((_, Message::StepsExceeded)) => text.extend(MAXACTION_EXCEEDED.as_bytes()),
            Some((_, Message::DepthExceeded)) => text.extend(MAXNESTING_EXCEEDED.as_bytes()),
            None => {}
        }
        text
    }

    /// Arguments of a format, cut to the types that the format is declared with, as they are in an event record.
    fn format_arguments(&self, frame: &Frame<'_>, format: FormatId, arguments: &[Value]) -> Step<Vec<Datum>> {
        let declared = self.ir.formats.get(usize::from(format.0)).ok_or_else(|| internal("no such format"))?;
        let arguments = declared.arguments.iter().zip(arguments);
        arguments.map(|(&ty, &value)| Ok(cut(ty, frame.datum(value)?.clone()))).collect()
    }

    /// Keys of an array, cut to its types, and the type of its values.
    fn keys(&self, frame: &Frame<'_>, array: GlobalId, keys: &[Value]) -> Step<(Vec<Datum>, Type)> {
        let (types, value): (&[Type], Type) = match self.storage(array) {
            Some(Storage::Array { keys, content: Content::Value(value), .. }) => (keys, *value),
            Some(Storage::Array { keys, content: Content::Statistic(_), .. }) => (keys, Type::Long),
            Some(Storage::Statistic(_)) => (&[], Type::Long),
            _ => return Err(internal("no such array").into()),
        };
        let keys = types.iter().zip(keys).map(|(&ty, &key)| Ok(cut(ty, frame.datum(key)?.clone())));
        Ok((keys.collect::<Step<_>>()?, value))
    }

    fn scalar(&self, global: GlobalId) -> Step<Type> {
        match self.storage(global) {
            Some(Storage::Scalar { ty, .. }) => Ok(*ty),
            _ => Err(internal("no such scalar").into()),
        }
    }

    fn storage(&self, global: GlobalId) -> Option<&'a Storage> {
        self.ir.globals.get(usize::from(global.0)).map(|global| &global.storage)
    }
}

impl<'a> Frame<'a> {
    fn datum(&self, value: Value) -> Step<&Datum> {
        match self.cells.get(value.0 as usize) {
            Some(Cell::Datum(datum)) => Ok(datum),
            _ => Err(internal("a value that is not defined").into()),
        }
    }

    fn long(&self, value: Value) -> Step<i64> {
        match self.datum(value)? {
            Datum::Long(long) => Ok(*long),
            Datum::String(_) => Err(internal("a string where a long is expected").into()),
        }
    }

    fn bytes(&self, value: Value) -> Step<&[u8]> {
        match self.datum(value)? {
            Datum::String(string) => Ok(string),
            Datum::Long(_) => Err(internal("a long where a string is expected").into()),
        }
    }

    fn walk(&mut self, value: Value) -> Step<&mut Walk> {
        match self.cells.get_mut(value.0 as usize) {
            Some(Cell::Walk(walk)) => Ok(walk),
            _ => Err(internal("a walk that is not open").into()),
        }
    }

    fn define(&mut self, value: Value, datum: Datum) -> Step {
        let datum = cut(self.function.ty(value), datum);
        self.store(&[value], Cell::Datum(datum))
    }

    fn define_all<const N: usize>(&mut self, values: &[Value], data: [Datum; N]) -> Step {
        if values.len() != N {
            return Err(internal("results of another number").into());
        }
        values.iter().zip(data).try_for_each(|(&value, datum)| self.define(value, datum))
    }

    fn store(&mut self, values: &[Value], cell: Cell) -> Step {
        match values {
            [value] if (value.0 as usize) < self.cells.len() => {
                self.cells[value.0 as usize] = cell;
                Ok(())
            }
            _ => Err(internal("a result that has no place").into()),
        }
    }

    /// All arguments are read before the first parameter is set: they change places at once.
    fn jump(&mut self, jump: &Jump) -> Step<&'a Block> {
        let BlockId(index) = jump.block;
        let block = self.function.blocks.get(index as usize).ok_or_else(|| internal("a jump to nowhere"))?;
        let arguments: Vec<Datum> =
            jump.arguments.iter().map(|&value| self.datum(value).cloned()).collect::<Step<_>>()?;
        for (&parameter, argument) in block.parameters.iter().zip(arguments) {
            self.define(parameter, argument)?;
        }
        Ok(block)
    }
}

/// A string cut to a type's bound.
fn cut(ty: Type, datum: Datum) -> Datum {
    match (ty, datum) {
        (Type::String(bytes_max), Datum::String(mut string)) => {
            string.truncate(usize::from(bytes_max));
            Datum::String(string)
        }
        (_, datum) => datum,
    }
}

fn string_bound(ty: Type) -> usize {
    match ty {
        Type::String(bytes_max) => usize::from(bytes_max),
        Type::Long | Type::Iterator => 0,
    }
}

fn truth(holds: bool) -> Datum {
    Datum::Long(i64::from(holds))
}

pub(super) fn internal(what: &str) -> InterpretError {
    InterpretError::Internal(what.to_owned())
}
