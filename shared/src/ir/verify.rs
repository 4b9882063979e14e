//! What may be relied on of an [`Ir`]: checked after every pass, and again by `taprun`, to whom it comes from outside.
//!
//! 1. Every index points at something, and every count is within `limits.rs`.
//! 2. Every value is defined once, and its definition dominates every use.
//! 3. Operands, results, arguments and parameters agree in number and type. A string may go where a string of another
//!    bound is expected: it is cut there.
//! 4. Nothing jumps to the entry block, and every block can be reached.
//! 5. A handler takes nothing, returns nothing, and all its probe points are of one kind and moment: one program serves them.
//! 6. A handler that `taprun` runs reads no registers. (A function it calls may: that fails where it runs.)
//! 7. An iterator goes nowhere but into `next`, `key` and `entry`.
//! 8. A call is the last instruction of its block, and the branch behind it is the only one to ask whether it raised. Where it
//!    did, that branch leads to a block that starts with `caught`, or to one that does nothing but `reraise`. No other way
//!    leads to these, except that `raise … catch` leads to one with `caught`.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{
    Block, BlockId, Content, End, FormatId, Function, FunctionId, GlobalId, Handler, Histogram, Ir, Jump, Op, Order,
    SortBy, Statistic, Storage, Type, Value,
};
use crate::abi::format::ArgumentKind;
use crate::limits::{
    ARRAY_KEY_BYTES_MAX, ARRAY_KEYS_MAX, BLOCKS_MAX, FUNCTIONS_MAX, GLOBALS_MAX, LimitExceeded, MAP_ENTRIES_MAX,
    PROBE_POINTS_MAX, STATISTIC_WORDS_MAX, STRING_BYTES_MAX, VALUES_MAX,
};
use crate::probe::Executor;

/// A rule that an IR breaks, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct VerifyError {
    /// `function u0 block b1 instruction 3`
    pub place: String,
    /// What is wrong.
    pub rule: String,
}

type Result<T = ()> = std::result::Result<T, VerifyError>;

/// Checks every rule.
///
/// # Errors
/// At the first rule broken.
pub fn verify(ir: &Ir) -> Result {
    for (limit, count, max) in [
        ("number of globals", ir.globals.len(), GLOBALS_MAX),
        ("number of formats", ir.formats.len(), usize::from(u16::MAX)),
        ("number of functions", ir.functions.len(), FUNCTIONS_MAX),
        ("number of handlers", ir.handlers.len(), usize::from(u16::MAX)),
        ("number of probe points", ir.handlers.iter().map(|handler| handler.points.len()).sum(), PROBE_POINTS_MAX),
    ] {
        check_limit("the whole", limit, count, max)?;
    }
    for (index, global) in ir.globals.iter().enumerate() {
        verify_storage(&format!("global g{index}"), &global.storage)?;
    }
    for (index, format) in ir.formats.iter().enumerate() {
        let place = format!("format f{index}");
        let kinds = format.format.arguments();
        let agree = kinds.len() == format.arguments.len()
            && kinds.iter().zip(&format.arguments).all(|(kind, ty)| match kind {
                ArgumentKind::Long => *ty == Type::Long,
                ArgumentKind::String => matches!(ty, Type::String(_)),
            });
        require(agree, &place, "the arguments are not those of the conversions")?;
        format.arguments.iter().try_for_each(|&ty| verify_type(&place, ty))?;
    }
    for (index, function) in ir.functions.iter().enumerate() {
        FunctionVerifier { ir, function, place: format!("function u{index}"), raised: raised(function) }.verify()?;
    }
    ir.handlers.iter().enumerate().try_for_each(|(index, handler)| verify_handler(ir, index, handler))
}

fn require(holds: bool, place: &str, rule: impl Display) -> Result {
    if holds { Ok(()) } else { Err(VerifyError { place: place.to_owned(), rule: rule.to_string() }) }
}

fn check_limit(place: &str, limit: &str, count: usize, max: usize) -> Result {
    LimitExceeded::check(limit, count as u64, max as u64)
        .map_err(|error| VerifyError { place: place.to_owned(), rule: error.to_string() })
}

fn verify_type(place: &str, ty: Type) -> Result {
    match ty {
        Type::Long => Ok(()),
        Type::String(bytes_max) => {
            check_limit(place, "bytes of a string", usize::from(bytes_max) + 1, usize::from(STRING_BYTES_MAX))
        }
        Type::Iterator => require(false, place, "an iterator cannot be stored, passed on or returned"),
    }
}

fn verify_storage(place: &str, storage: &Storage) -> Result {
    match storage {
        Storage::Scalar { ty, initial } => {
            verify_type(place, *ty)?;
            let agree = matches!((ty, initial), (Type::Long, super::Datum::Long(_)))
                || matches!((ty, initial), (Type::String(max), super::Datum::String(s)) if s.len() <= usize::from(*max));
            require(agree, place, "the initial value is not of the global's type")
        }
        Storage::Statistic(statistic) => verify_statistic(place, statistic),
        Storage::Array { keys, content, entries_max, .. } => {
            keys.iter().try_for_each(|&ty| verify_type(place, ty))?;
            match content {
                Content::Value(value) => verify_type(place, *value)?,
                Content::Statistic(statistic) => verify_statistic(place, statistic)?,
            }
            require(!keys.is_empty(), place, "an array without keys")?;
            check_limit(place, "number of keys", keys.len(), ARRAY_KEYS_MAX)?;
            check_limit(place, "bytes of the keys", crate::abi::map::key_size(keys), ARRAY_KEY_BYTES_MAX)?;
            require(*entries_max > 0, place, "an array without room")?;
            check_limit(place, "number of entries", *entries_max as usize, MAP_ENTRIES_MAX as usize)
        }
    }
}

fn verify_statistic(place: &str, statistic: &Statistic) -> Result {
    for histogram in &statistic.histograms {
        let is_right = !matches!(histogram, Histogram::Linear { low, high, step } if *step < 1 || high < low);
        require(is_right, place, "a histogram from high to low, or without steps")?;
    }
    check_limit(place, "words of a statistic", statistic.words().total, STATISTIC_WORDS_MAX)?;
    check_limit(place, "bits of a shift", usize::from(statistic.variance_shift), 62)
}

fn verify_handler(ir: &Ir, index: usize, handler: &Handler) -> Result {
    let place = format!("handler h{index}");
    let Some(function) = ir.functions.get(handler.function.0 as usize) else {
        return require(false, &place, format_args!("no function u{}", handler.function.0));
    };
    require(
        function.parameters().is_empty() && function.result.is_none(),
        &place,
        "a handler's function takes nothing and returns nothing",
    )?;
    let mut kinds = handler.points.iter().map(|point| (point.place.kind(), point.place.on_return()));
    let Some(first) = kinds.next() else { return require(false, &place, "a handler without probe points") };
    require(kinds.all(|kind| kind == first), &place, "the probe points are of several kinds")?;
    let mut ops = function.blocks.iter().flat_map(|block| &block.instructions).map(|instruction| &instruction.op);
    let reads_registers = first.0.executor() == Executor::User && ops.any(|op| matches!(op, Op::Register(_)));
    require(!reads_registers, &place, "a handler without registers reads one")
}

struct FunctionVerifier<'a> {
    ir: &'a Ir,
    function: &'a Function,
    place: String,
    /// The values that say whether a call raised.
    raised: BTreeSet<Value>,
}

fn raised(function: &Function) -> BTreeSet<Value> {
    let instructions = function.blocks.iter().flat_map(|block| &block.instructions);
    let calls = instructions.filter(|instruction| matches!(instruction.op, Op::Call(..)));
    calls.filter_map(|call| call.results.last().copied()).collect()
}

impl FunctionVerifier<'_> {
    fn verify(&self) -> Result {
        check_limit(&self.place, "number of values", self.function.values.len(), VALUES_MAX)?;
        check_limit(&self.place, "number of blocks", self.function.blocks.len(), BLOCKS_MAX)?;
        require(!self.function.blocks.is_empty(), &self.place, "a function without blocks")?;
        let definitions = self.definitions()?;
        let dominators = self.dominators()?;
        for (index, block) in self.function.blocks.iter().enumerate() {
            let dominated = |value: Value, at: usize| match definitions.get(value.0 as usize) {
                Some(&Some((block, position))) if block == index => position <= at,
                Some(&Some((block, _))) => dominates(&dominators, block, index),
                _ => false,
            };
            self.verify_block(index, block, dominated)?;
        }
        Ok(())
    }

    /// Where each value is defined: the block, and the number of instructions after which it is there.
    fn definitions(&self) -> Result<Vec<Option<(usize, usize)>>> {
        let mut definitions = vec![None; self.function.values.len()];
        for (block_index, block) in self.function.blocks.iter().enumerate() {
            let parameters = block.parameters.iter().map(|&value| (value, 0));
            let results = block.instructions.iter().enumerate();
            let results =
                results.flat_map(|(at, instruction)| instruction.results.iter().map(move |&value| (value, at + 1)));
            for (value, position) in parameters.chain(results) {
                let Some(definition) = definitions.get_mut(value.0 as usize) else {
                    return require(false, &self.place, format_args!("{value} has no type")).map(|()| definitions);
                };
                require(definition.is_none(), &self.place, format_args!("{value} is defined twice"))?;
                *definition = Some((block_index, position));
            }
        }
        Ok(definitions)
    }

    /// The immediate dominator of each block (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm).
    fn dominators(&self) -> Result<Vec<usize>> {
        let blocks = &self.function.blocks;
        let order = self.reverse_postorder()?;
        let mut rank = vec![usize::MAX; blocks.len()];
        for (position, &block) in order.iter().enumerate() {
            rank[block] = position;
        }
        for (block, rank) in rank.iter().enumerate() {
            require(*rank != usize::MAX, &self.place, format_args!("b{block} cannot be reached"))?;
        }
        let mut predecessors = vec![Vec::new(); blocks.len()];
        for (index, block) in blocks.iter().enumerate() {
            block.end.jumps().for_each(|jump| predecessors[jump.block.0 as usize].push(index));
        }
        let mut dominators = vec![usize::MAX; blocks.len()];
        dominators[0] = 0;
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &block in order.iter().skip(1) {
                let known =
                    predecessors[block].iter().copied().filter(|&predecessor| dominators[predecessor] != usize::MAX);
                let dominator = known.reduce(|mut a, mut b| {
                    while a != b {
                        if rank[a] > rank[b] { a = dominators[a] } else { b = dominators[b] }
                    }
                    a
                });
                let dominator = dominator.unwrap_or(usize::MAX);
                changed |= dominators[block] != dominator;
                dominators[block] = dominator;
            }
        }
        Ok(dominators)
    }

    fn reverse_postorder(&self) -> Result<Vec<usize>> {
        let blocks = &self.function.blocks;
        let mut seen = vec![false; blocks.len()];
        let mut postorder = Vec::with_capacity(blocks.len());
        let mut stack = vec![(0, 0)];
        seen[0] = true;
        while let Some((block, visited)) = stack.pop() {
            let Some(jump) = blocks[block].end.jumps().nth(visited) else {
                postorder.push(block);
                continue;
            };
            stack.push((block, visited + 1));
            let BlockId(next) = jump.block;
            let next = next as usize;
            require(next != 0, &self.place, "a jump to the entry block")?;
            require(next < blocks.len(), &self.place, format_args!("no block b{next}"))?;
            if !std::mem::replace(&mut seen[next], true) {
                stack.push((next, 0));
            }
        }
        postorder.reverse();
        Ok(postorder)
    }

    fn verify_block(&self, index: usize, block: &Block, dominated: impl Fn(Value, usize) -> bool) -> Result {
        let place = format!("{} block b{index}", self.place);
        block.parameters.iter().try_for_each(|&value| verify_type(&place, self.function.ty(value)))?;
        let used_before_defined = |value: Value| format!("{value} is used where it is not defined");
        for (at, instruction) in block.instructions.iter().enumerate() {
            let place = format!("{place} instruction {at}");
            let mut undefined = None;
            instruction.op.operands(|&value| undefined = undefined.or((!dominated(value, at)).then_some(value)));
            undefined.map_or(Ok(()), |value| require(false, &place, used_before_defined(value)))?;
            self.verify_raising(&place, block, at)?;
            self.verify_op(&place, &instruction.op, &instruction.results)?;
        }
        let mut undefined = None;
        let count = block.instructions.len();
        block.end.operands(|&value| undefined = undefined.or((!dominated(value, count)).then_some(value)));
        undefined.map_or(Ok(()), |value| require(false, &place, used_before_defined(value)))?;
        self.verify_ways(&place, block)?;
        self.verify_end(&place, &block.end)
    }

    /// Rule 8, for one instruction.
    fn verify_raising(&self, place: &str, block: &Block, at: usize) -> Result {
        let instruction = &block.instructions[at];
        let mut asks = false;
        instruction.op.operands(|value| asks |= self.raised.contains(value));
        require(!asks, place, "only a branch may ask whether a call raised")?;
        require(instruction.op != Op::Caught || at == 0, place, "`caught` stands first in a block")?;
        if let (Op::Call(..), Some(raised)) = (&instruction.op, instruction.results.last()) {
            let is_asked = matches!(&block.end, End::Branch { condition, .. } if condition == raised);
            let is_last = at + 1 == block.instructions.len();
            require(is_last && is_asked, place, "a branch right behind a call asks whether it raised")?;
        }
        Ok(())
    }

    /// Rule 8, for the end of a block.
    fn verify_ways(&self, place: &str, block: &Block) -> Result {
        let is_call = matches!(block.instructions.last(), Some(last) if matches!(last.op, Op::Call(..)));
        let (raising, others): (Option<&Jump>, Vec<&Jump>) = match &block.end {
            End::Branch { then, otherwise, .. } if is_call => (Some(then), vec![otherwise]),
            End::Raise { catch, .. } => (catch.as_ref(), Vec::new()),
            end => (None, end.jumps().collect()),
        };
        let first = |jump: &Jump| self.function.blocks[jump.block.0 as usize].instructions.first();
        let catches = |jump: &Jump| matches!(first(jump), Some(first) if first.op == Op::Caught);
        let reraises = |jump: &Jump| self.function.blocks[jump.block.0 as usize].end == End::Reraise;
        let leads_on = |jump: &&Jump| catches(jump) || reraises(jump);
        require(!others.iter().any(leads_on), place, "nothing raised on the way to an error's handling")?;
        let is_handled = raising.is_none_or(|jump| catches(jump) || (is_call && reraises(jump)));
        require(is_handled, place, "an error leads to where it is neither caught nor raised again")?;
        let mut asked = 0;
        block.end.operands(|value| asked += usize::from(self.raised.contains(value)));
        require(asked <= usize::from(is_call), place, "only the branch behind a call may ask whether it raised")?;
        let is_bare = block.end != End::Reraise || block.instructions.is_empty();
        require(is_bare, place, "`reraise` stands alone in its block")
    }

    fn verify_end(&self, place: &str, end: &End) -> Result {
        for Jump { block, arguments } in end.jumps() {
            let parameters = &self.function.blocks[block.0 as usize].parameters;
            let types: Vec<Type> = parameters.iter().map(|&value| self.function.ty(value)).collect();
            self.expect(place, arguments, &types)?;
        }
        match end {
            End::Jump(_) | End::Reraise => Ok(()),
            End::Branch { condition, .. } => self.expect(place, &[*condition], &[Type::Long]),
            End::Return(value) => {
                let values: Vec<Value> = value.iter().copied().collect();
                let result: Vec<Type> = self.function.result.iter().copied().collect();
                self.expect(place, &values, &result)
            }
            End::Raise { format, arguments, .. } => {
                let types = self.format(place, *format)?.to_vec();
                self.expect(place, arguments, &types)
            }
        }
    }

    /// Checks that values are of these types, strings of any bound.
    fn expect(&self, place: &str, values: &[Value], types: &[Type]) -> Result {
        require(
            values.len() == types.len(),
            place,
            format_args!("{} operands where {} are expected", values.len(), types.len()),
        )?;
        values.iter().zip(types).try_for_each(|(&value, ty)| {
            let agree = std::mem::discriminant(&self.function.ty(value)) == std::mem::discriminant(ty);
            require(agree, place, format_args!("{value} is a {}, expected a {ty}", self.function.ty(value)))
        })
    }

    fn format(&self, place: &str, format: FormatId) -> Result<&[Type]> {
        match self.ir.formats.get(usize::from(format.0)) {
            Some(declared) => Ok(&declared.arguments),
            None => Err(VerifyError { place: place.to_owned(), rule: format!("no format f{}", format.0) }),
        }
    }

    fn scalar(&self, place: &str, global: GlobalId) -> Result<Type> {
        match self.ir.globals.get(usize::from(global.0)).map(|global| &global.storage) {
            Some(Storage::Scalar { ty, .. }) => Ok(*ty),
            _ => Err(VerifyError { place: place.to_owned(), rule: format!("no scalar global g{}", global.0) }),
        }
    }

    /// Keys and values of an array of values.
    fn array(&self, place: &str, global: GlobalId) -> Result<(&[Type], Type)> {
        match self.entries(place, global)? {
            (keys, Content::Value(value)) => Ok((keys, *value)),
            _ => Err(VerifyError { place: place.to_owned(), rule: format!("g{} has no values", global.0) }),
        }
    }

    /// Keys and content of any array.
    fn entries(&self, place: &str, global: GlobalId) -> Result<(&[Type], &Content)> {
        match self.ir.globals.get(usize::from(global.0)).map(|global| &global.storage) {
            Some(Storage::Array { keys, content, .. }) => Ok((keys, content)),
            _ => Err(VerifyError { place: place.to_owned(), rule: format!("no array g{}", global.0) }),
        }
    }

    /// Keys of an array of statistics, or none of a single one, and what is kept.
    fn statistic(&self, place: &str, global: GlobalId) -> Result<(&[Type], &Statistic)> {
        match self.ir.globals.get(usize::from(global.0)).map(|global| &global.storage) {
            Some(Storage::Array { keys, content: Content::Statistic(statistic), .. }) => Ok((keys, statistic)),
            Some(Storage::Statistic(statistic)) => Ok((&[], statistic)),
            _ => Err(VerifyError { place: place.to_owned(), rule: format!("no statistic g{}", global.0) }),
        }
    }

    fn callee(&self, place: &str, function: FunctionId) -> Result<&Function> {
        self.ir
            .functions
            .get(function.0 as usize)
            .ok_or_else(|| VerifyError { place: place.to_owned(), rule: format!("no function u{}", function.0) })
    }

    fn verify_op(&self, place: &str, op: &Op, results: &[Value]) -> Result {
        let string = Type::String(0);
        let results_are = |types: &[Type]| self.expect(place, results, types);
        match op {
            Op::Long(_) | Op::Register(_) | Op::Cpu | Op::Clock(_) | Op::Parameter(_) => results_are(&[Type::Long]),
            Op::String(text) => {
                results_are(&[string])?;
                require(!text.contains(&0), place, "a string with a NUL in it")
            }
            Op::Unary(_, a) => self.expect(place, &[*a], &[Type::Long]).and_then(|()| results_are(&[Type::Long])),
            Op::Binary(_, a, b) | Op::Compare(_, a, b) => {
                self.expect(place, &[*a, *b], &[Type::Long; 2])?;
                results_are(&[Type::Long])
            }
            Op::CompareStrings(_, a, b) => {
                self.expect(place, &[*a, *b], &[string; 2])?;
                results_are(&[Type::Long])
            }
            Op::Concat(a, b) => {
                self.expect(place, &[*a, *b], &[string; 2])?;
                results_are(&[string])
            }
            Op::Format(format, arguments) => {
                self.expect(place, arguments, self.format(place, *format)?)?;
                results_are(&[string])
            }
            Op::Print(format, arguments) => {
                self.expect(place, arguments, self.format(place, *format)?)?;
                results_are(&[])
            }
            Op::Load { width, address, .. } => {
                require(matches!(width.bytes, 1 | 2 | 4 | 8), place, "a load of 1, 2, 4 or 8 bytes is expected")?;
                self.expect(place, &[*address], &[Type::Long])?;
                results_are(&[Type::Long; 2])
            }
            Op::LoadString { address, bytes_max, .. } => {
                self.expect(place, &[*address], &[Type::Long])?;
                bytes_max.iter().try_for_each(|bytes_max| self.expect(place, &[*bytes_max], &[Type::Long]))?;
                results_are(&[string, Type::Long])
            }
            Op::StringFunction(function, arguments) => {
                self.expect(place, arguments, function.parameters())?;
                results_are(function.results())
            }
            Op::Task(field) => results_are(&[field.ty()]),
            Op::Point(_) => results_are(&[string]),
            Op::Get(global) => results_are(&[self.scalar(place, *global)?]),
            Op::Set(global, value) => {
                self.expect(place, &[*value], &[self.scalar(place, *global)?])?;
                results_are(&[])
            }
            Op::Add(global, value) => {
                require(self.scalar(place, *global)? == Type::Long, place, "only to a long can be added")?;
                self.expect(place, &[*value], &[Type::Long])?;
                results_are(&[Type::Long])
            }
            Op::Call(function, arguments) => {
                let callee = self.callee(place, *function)?;
                let parameters: Vec<Type> = callee.parameters().iter().map(|&value| callee.ty(value)).collect();
                self.expect(place, arguments, &parameters)?;
                results_are(&callee.result.into_iter().chain([Type::Long]).collect::<Vec<_>>())
            }
            Op::Spend(_) => results_are(&[Type::Long]),
            Op::Caught => results_are(&[string]),
            Op::Exit => results_are(&[]),
            _ => self.verify_array_op(place, op, results),
        }
    }

    fn verify_array_op(&self, place: &str, op: &Op, results: &[Value]) -> Result {
        let results_are = |types: &[Type]| self.expect(place, results, types);
        match op {
            Op::ArrayGet(array, keys) => {
                let (key_types, value_type) = self.array(place, *array)?;
                self.expect(place, keys, key_types)?;
                results_are(&[value_type])
            }
            Op::ArraySet(array, keys, value) => {
                let (key_types, value_type) = self.array(place, *array)?;
                self.expect(place, keys, key_types)?;
                self.expect(place, &[*value], &[value_type])?;
                results_are(&[Type::Long])
            }
            Op::ArrayAdd(array, keys, value) => {
                let (key_types, value_type) = self.array(place, *array)?;
                require(value_type == Type::Long, place, "only to a long can be added")?;
                self.expect(place, keys, key_types)?;
                self.expect(place, &[*value], &[Type::Long])?;
                results_are(&[Type::Long; 2])
            }
            Op::ArrayHas(array, keys) => {
                self.expect(place, keys, self.entries(place, *array)?.0)?;
                results_are(&[Type::Long])
            }
            Op::ArrayDelete(array, keys) => {
                self.expect(place, keys, self.entries(place, *array)?.0)?;
                results_are(&[])
            }
            Op::ArrayClear(array) => {
                let is_right = self.entries(place, *array).is_ok() || self.statistic(place, *array).is_ok();
                require(is_right, place, format_args!("nothing to clear in g{}", array.0))?;
                results_are(&[])
            }
            Op::Accumulate(global, keys, value) => {
                self.expect(place, keys, self.statistic(place, *global)?.0)?;
                self.expect(place, &[*value], &[Type::Long])?;
                results_are(&[Type::Long])
            }
            Op::Aggregate(aggregate, global, keys) => {
                let (key_types, statistic) = self.statistic(place, *global)?;
                self.expect(place, keys, key_types)?;
                require(statistic.aggregates.contains(aggregate), place, "an aggregate that is not kept")?;
                results_are(&[Type::Long; 2])
            }
            Op::Bucket(global, keys, histogram, bucket) => {
                self.verify_histogram(place, *global, keys, *histogram)?;
                self.expect(place, &[*bucket], &[Type::Long])?;
                results_are(&[Type::Long])
            }
            Op::Draw(global, keys, histogram) => {
                self.verify_histogram(place, *global, keys, *histogram)?;
                results_are(&[Type::Long])
            }
            Op::Iterate { array, order, limit } => {
                let (key_types, content) = self.entries(place, *array)?;
                let is_there = match (order, content) {
                    (Order::Any, _) | (Order::By { by: SortBy::Value, .. }, Content::Value(_)) => true,
                    (Order::By { by: SortBy::Key(key), .. }, _) => usize::from(*key) < key_types.len(),
                    (Order::By { by: SortBy::Aggregate(aggregate), .. }, Content::Statistic(statistic)) => {
                        statistic.aggregates.contains(aggregate)
                    }
                    _ => false,
                };
                require(is_there, place, "nothing like that to sort by")?;
                limit.iter().try_for_each(|limit| self.expect(place, &[*limit], &[Type::Long]))?;
                results_are(&[Type::Iterator])
            }
            Op::Next(iterator) => {
                self.expect(place, &[*iterator], &[Type::Iterator])?;
                results_are(&[Type::Long])
            }
            Op::Key(iterator, index) => {
                let (key_types, _) = self.entries(place, self.iterated(place, *iterator)?)?;
                let ty = key_types.get(usize::from(*index)).copied();
                require(ty.is_some(), place, format_args!("no key {index}"))?;
                results_are(&ty.into_iter().collect::<Vec<_>>())
            }
            Op::Entry(iterator) => results_are(&[self.array(place, self.iterated(place, *iterator)?)?.1]),
            _ => Ok(()),
        }
    }

    fn verify_histogram(&self, place: &str, global: GlobalId, keys: &[Value], histogram: u8) -> Result {
        let (key_types, statistic) = self.statistic(place, global)?;
        require(usize::from(histogram) < statistic.histograms.len(), place, "a histogram that is not kept")?;
        self.expect(place, keys, key_types)
    }

    /// The array that an iterator walks over.
    fn iterated(&self, place: &str, iterator: Value) -> Result<GlobalId> {
        self.expect(place, &[iterator], &[Type::Iterator])?;
        let instructions = self.function.blocks.iter().flat_map(|block| &block.instructions);
        let array = instructions.into_iter().find_map(|instruction| match instruction.op {
            Op::Iterate { array, .. } if instruction.results.contains(&iterator) => Some(array),
            _ => None,
        });
        match array {
            Some(array) => Ok(array),
            None => Err(VerifyError { place: place.to_owned(), rule: format!("{iterator} walks over no array") }),
        }
    }
}

fn dominates(dominators: &[usize], dominator: usize, mut block: usize) -> bool {
    while block != dominator && block != 0 {
        block = dominators[block];
    }
    block == dominator
}
