//! The intermediate representation: a script after pass 3, and the last form that both executors understand. Handlers of
//! kernel events are compiled from it to BPF; `taprun` interprets the others from it.
//!
//! An [`Ir`] is a list of globals, formats, functions and handlers. A function is a graph of blocks in static single
//! assignment form: each value is defined once, by an instruction or as a block parameter, and jumps pass arguments.
//! Values are longs and bounded strings; strings are values like any other, and where they lie in memory is codegen's
//! business. Nothing here knows BPF, DWARF or the stap language.
//!
//! **Invariant: the interpreter is the reference semantics.** Every operation means the same in both executors. What can
//! fail gives a second result instead of failing, and the block branches on it, so that there is one meaning to agree on.
//!
//! The text form is written by `Display` and read by [`read`]; [`verify`] holds what may be relied on.

use std::collections::BTreeSet;

use bstr::BString;
use serde::{Deserialize, Serialize};

use crate::abi::format::Format;
use crate::abi::map::Parameter;
pub use crate::abi::statistic::{Aggregate, Histogram, Statistic};
pub use crate::abi::value::{Datum, Type};
use crate::limits::{ACTIONS_DEFAULT, ERRORS_DEFAULT, NESTING_DEFAULT, SKIPPED_DEFAULT};
use crate::probe::ProbePoint;

pub use strings::StringFunction;

pub mod verify;

mod names;
mod print;
pub mod read;
mod strings;

/// The operands of an operation, by reference or by mutable reference as the operation is: one list for both.
macro_rules! for_each_operand {
    ($op:expr, $visit:ident) => {
        match $op {
            Op::Long(_)
            | Op::String(_)
            | Op::Register(_)
            | Op::Task(_)
            | Op::Cpu
            | Op::Clock(_)
            | Op::Parameter(_)
            | Op::Point(_)
            | Op::Get(_)
            | Op::ArrayClear(_)
            | Op::Spend(_)
            | Op::Caught
            | Op::Exit => {}
            Op::Unary(_, a)
            | Op::Load { address: a, .. }
            | Op::Set(_, a)
            | Op::Add(_, a)
            | Op::Next(a)
            | Op::Key(a, _)
            | Op::Entry(a) => $visit(a),
            Op::Binary(_, a, b) | Op::Compare(_, a, b) | Op::CompareStrings(_, a, b) | Op::Concat(a, b) => {
                $visit(a);
                $visit(b);
            }
            Op::Format(_, values)
            | Op::ArrayGet(_, values)
            | Op::ArrayHas(_, values)
            | Op::ArrayDelete(_, values)
            | Op::Call(_, values)
            | Op::Print(_, values) => values.into_iter().for_each($visit),
            Op::Aggregate(_, _, values) | Op::Draw(_, values, _) => values.into_iter().for_each($visit),
            Op::ArraySet(_, values, a)
            | Op::ArrayAdd(_, values, a)
            | Op::Accumulate(_, values, a)
            | Op::Bucket(_, values, _, a) => {
                values.into_iter().for_each(&mut $visit);
                $visit(a);
            }
            Op::Iterate { limit, .. } => limit.into_iter().for_each($visit),
            Op::LoadString { address, bytes_max, .. } => {
                $visit(address);
                bytes_max.into_iter().for_each($visit);
            }
            Op::StringFunction(_, values) => values.into_iter().for_each($visit),
        }
    };
}

/// The operands of a block's end, likewise.
macro_rules! for_each_operand_of_end {
    ($end:expr, $visit:ident) => {
        match $end {
            End::Jump(Jump { arguments: values, .. }) => values.into_iter().for_each($visit),
            End::Raise { arguments: values, catch, .. } => {
                values.into_iter().for_each(&mut $visit);
                if let Some(Jump { arguments: values, .. }) = catch {
                    values.into_iter().for_each($visit);
                }
            }
            End::Branch { condition, then, otherwise } => {
                $visit(condition);
                let Jump { arguments: then, .. } = then;
                then.into_iter().for_each(&mut $visit);
                let Jump { arguments: otherwise, .. } = otherwise;
                otherwise.into_iter().for_each($visit);
            }
            End::Return(value) => value.into_iter().for_each($visit),
            End::Reraise => {}
        }
    };
}

/// A whole script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ir {
    /// Names of the sources that [`Location`]s point into.
    pub sources: Vec<String>,
    /// How much its handlers may do.
    pub limits: Limits,
    /// Script variables that outlive a handler.
    pub globals: Vec<Global>,
    /// What `printf`, `sprintf` and run-time errors say.
    pub formats: Vec<FormatDecl>,
    /// Script functions and handler bodies.
    pub functions: Vec<Function>,
    /// Which function runs at which probe points.
    pub handlers: Vec<Handler>,
}

/// How much handlers may do before they, or the session, are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `MAXACTION`: statements that one run of a handler in the kernel may take.
    pub actions_max: u32,
    /// `MAXNESTING`: activations of one function inside one another.
    pub nesting_max: u32,
    /// `MAXERRORS`: run-time errors that the session survives.
    pub errors_max: u32,
    /// `MAXSKIPPED`: handlers that may be skipped for want of memory before the session ends.
    pub skipped_max: u32,
}

/// Index into [`Ir::globals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalId(pub u16);

/// Index into [`Ir::formats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FormatId(pub u16);

/// Index into [`Ir::functions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionId(pub u32);

/// Index into [`Function::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(pub u32);

/// Index into [`Function::blocks`]. The first block is the entry; its parameters are the function's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId(pub u32);

/// A script variable that outlives a handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// Its name in the script.
    pub name: String,
    /// What it holds.
    pub storage: Storage,
}

/// What a global holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// One value.
    Scalar {
        /// Of this type,
        ty: Type,
        /// which starts as this.
        initial: Datum,
    },
    /// An associative array.
    Array {
        /// The types of its keys, one to nine.
        keys: Vec<Type>,
        /// What is at each key.
        content: Content,
        /// How many entries it can hold.
        entries_max: u32,
        /// Where it is full, an old entry gives way to a new one.
        wrap: bool,
    },
    /// A statistic.
    Statistic(Statistic),
}

/// What an array holds at each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A value of this type.
    Value(Type),
    /// A statistic.
    Statistic(Statistic),
}

/// A format and the types of the arguments it is used with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FormatDecl {
    /// The format string.
    pub format: Format,
    /// The types of its arguments, widths and precisions included.
    pub arguments: Vec<Type>,
    /// Of a run-time error's message: what in the script it happened near, such as `operator '/'`. It is printed behind the
    /// message, and is no part of what `catch` sees. Empty otherwise.
    pub near: String,
}

/// A handler and the probe points it is attached to. All points are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handler {
    /// What runs. It takes no parameters and returns nothing.
    pub function: FunctionId,
    /// Where. Never empty.
    pub points: Vec<ProbePoint>,
}

/// A function in static single assignment form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name in the script; for handlers, what codegen names the program.
    pub name: String,
    /// What `return` gives.
    pub result: Option<Type>,
    /// The type of every value.
    pub values: Vec<Type>,
    /// The first is the entry.
    pub blocks: Vec<Block>,
}

/// A straight piece of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Values that the jumps here bring along.
    pub parameters: Vec<Value>,
    /// In order.
    pub instructions: Vec<Instruction>,
    /// How it ends.
    pub end: End,
    /// Where in the script it ends.
    pub end_location: Location,
}

/// An operation and the values it defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// As many as [`Op::results`] says.
    pub results: Vec<Value>,
    /// What is done.
    pub op: Op,
    /// Where in the script it comes from.
    pub location: Location,
}

/// A place in the script: for run-time errors and the verifier's complaints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Index into [`Ir::sources`].
    pub source: u16,
    /// From 1; 0 where there is no place.
    pub line: u32,
    /// From 1.
    pub column: u16,
}

/// A jump's destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Where to.
    pub block: BlockId,
    /// What becomes its parameters.
    pub arguments: Vec<Value>,
}

/// How a block ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Go on there.
    Jump(Jump),
    /// Go on in one of two places.
    Branch {
        /// A long.
        condition: Value,
        /// Where it is not 0.
        then: Jump,
        /// Where it is 0.
        otherwise: Jump,
    },
    /// Leave the function.
    Return(Option<Value>),
    /// A run-time error with this message.
    Raise {
        /// The message.
        format: FormatId,
        /// Its arguments.
        arguments: Vec<Value>,
        /// Where it is caught; where nothing catches it, it leaves the function, and where no caller catches it, it ends the
        /// handler and is reported.
        catch: Option<Jump>,
    },
    /// Leave the function because a called one has raised.
    Reraise,
}

/// An operation. Operands and results are longs unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A long.
    Long(i64),
    /// A string.
    String(BString),
    /// Arithmetic on one long.
    Unary(UnaryOp, Value),
    /// Arithmetic on two longs.
    Binary(BinaryOp, Value, Value),
    /// 1 where the relation holds between two longs, signed, else 0.
    Compare(Relation, Value, Value),
    /// 1 where the relation holds between two strings, by unsigned bytes, else 0.
    CompareStrings(Relation, Value, Value),
    /// Two strings, one after the other, cut to the result's bound.
    Concat(Value, Value),
    /// `sprintf`: the format with its arguments filled in, cut to the result's bound.
    Format(FormatId, Vec<Value>),
    /// Reads an integer from memory. Results: the long, widened by sign or zero (0 on a fault); whether it faulted.
    Load {
        /// Whose memory.
        space: Space,
        /// How many bytes, and whether the highest bit is a sign.
        width: Width,
        /// From where.
        address: Value,
    },
    /// Reads a string from memory, up to a NUL, cut to the result's bound. Results: the string, empty on a fault; whether it
    /// faulted.
    LoadString {
        /// Whose memory.
        space: Space,
        /// From where.
        address: Value,
        /// No more than so many bytes, where it is given; 0 or less gives none.
        bytes_max: Option<Value>,
    },
    /// A function of strings. Results: as [`StringFunction::results`] says, strings cut to their bounds.
    StringFunction(StringFunction, Vec<Value>),
    /// A register of the probed context, by its DWARF number (System V ABI, AMD64 supplement, figure 3.36), as of the moment
    /// the probe fired.
    Register(u8),
    /// Something about the running task: a long, or for `execname` a string.
    Task(TaskField),
    /// The number of the processor.
    Cpu,
    /// A clock in nanoseconds.
    Clock(Clock),
    /// What was set at load.
    Parameter(Parameter),
    /// Something about the probe point that fired, as a string.
    Point(PointField),
    /// A scalar global's value.
    Get(GlobalId),
    /// Sets a scalar global.
    Set(GlobalId, Value),
    /// Adds to a scalar long in one indivisible step. Result: the new value.
    Add(GlobalId, Value),
    /// The value at a key; 0 or the empty string where there is none.
    ArrayGet(GlobalId, Vec<Value>),
    /// Sets the value at a key. Result: whether the array was full.
    ArraySet(GlobalId, Vec<Value>, Value),
    /// Adds to the long at a key, in one indivisible step where the entry exists. Results: the new value; whether the array
    /// was full.
    ArrayAdd(GlobalId, Vec<Value>, Value),
    /// Whether there is an entry at a key.
    ArrayHas(GlobalId, Vec<Value>),
    /// Removes the entry at a key, if there is one.
    ArrayDelete(GlobalId, Vec<Value>),
    /// Removes every entry, or everything that a statistic has taken in.
    ArrayClear(GlobalId),
    /// Takes a long into a statistic; of an array, into that at a key. Result: whether the array was full.
    Accumulate(GlobalId, Vec<Value>, Value),
    /// What a statistic comes to. Results: the long, 0 where it is empty; whether it is, and the aggregate has no meaning then.
    Aggregate(Aggregate, GlobalId, Vec<Value>),
    /// How many values are in a bucket of a statistic's histogram, by the index of each: 0 where there is no such bucket.
    Bucket(GlobalId, Vec<Value>, u8, Value),
    /// Prints a histogram of a statistic, by its index. Result: whether it is empty, and nothing was printed.
    Draw(GlobalId, Vec<Value>, u8),
    /// Opens a walk over the entries as they are now. Result: an iterator.
    Iterate {
        /// The array.
        array: GlobalId,
        /// In which order.
        order: Order,
        /// At most so many entries, where it is given; 0 or less gives none.
        limit: Option<Value>,
    },
    /// Steps to the next entry. Result: whether there is one.
    Next(Value),
    /// The key of the entry an iterator stands on, by its index.
    Key(Value, u8),
    /// The value of the entry an iterator stands on, as of when the walk was opened.
    Entry(Value),
    /// Calls a function. Results: what it returns, if it returns anything; whether it raised. The branch right behind asks the
    /// latter, and goes where the error is caught or leaves the function.
    Call(FunctionId, Vec<Value>),
    /// `printf`: sends the arguments to be printed by the format.
    Print(FormatId, Vec<Value>),
    /// Counts so many statements of the handler against [`Limits::actions_max`]. Result: whether that was too many.
    Spend(u32),
    /// Takes the run-time error that led here. Result: its message, as a string. It stands first in a block that only raises
    /// and calls that raised lead to.
    Caught,
    /// `exit()`: no further handler starts; this one goes on.
    Exit,
}

/// Arithmetic on one long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    /// `-x`, wrapping.
    Negate,
    /// `~x`
    Not,
}

/// Arithmetic on two longs, wrapping at 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    /// `x + y`
    Add,
    /// `x - y`
    Subtract,
    /// `x * y`
    Multiply,
    /// `x / y`, signed, towards zero; 0 where y is 0 (translate asks first); `i64::MIN / -1` is `i64::MIN`.
    Divide,
    /// `x % y`, signed, with the sign of x; 0 where y is 0; `i64::MIN % -1` is 0.
    Modulo,
    /// `x & y`
    And,
    /// `x | y`
    Or,
    /// `x ^ y`
    Xor,
    /// `x << y`, of y the lowest six bits.
    ShiftLeft,
    /// `x >> y`, keeping the sign, of y the lowest six bits.
    ShiftRight,
    /// `x >>> y`, filling with zeros, of y the lowest six bits.
    ShiftRightLogical,
}

/// A relation between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// Whose memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Space {
    /// The kernel's.
    Kernel,
    /// The current process's.
    User,
}

/// An integer in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Width {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    /// Whether the highest bit is a sign.
    pub signed: bool,
}

/// Something about the running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskField {
    /// The process id (the kernel's tgid).
    Pid,
    /// The thread id (the kernel's pid).
    Tid,
    /// The real user id.
    Uid,
    /// The real group id.
    Gid,
    /// The command name, a string of at most 15 bytes (TASK_COMM_LEN).
    Execname,
}

/// A clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Clock {
    /// CLOCK_REALTIME: since 1970, in UTC.
    Realtime,
}

/// Something about the probe point that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PointField {
    /// [`ProbePoint::name`]
    Name,
    /// [`ProbePoint::function`]
    Function,
}

/// In which order a walk visits the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// As the hash has them.
    Any,
    /// By something about each; entries that are equal in it as the hash has them.
    By {
        /// By what.
        by: SortBy,
        /// Largest first.
        descending: bool,
    },
}

/// What a walk sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SortBy {
    /// A key, by its index.
    Key(u8),
    /// The value.
    Value,
    /// What the entry's statistic comes to.
    Aggregate(Aggregate),
}

/// The message of the run-time error that ends a handler after too many statements,
pub const MAXACTION_EXCEEDED: &str = "MAXACTION exceeded";

/// and after too many activations of one function.
pub const MAXNESTING_EXCEEDED: &str = "MAXNESTING exceeded";

/// The bound of `execname()`: TASK_COMM_LEN of include/linux/sched.h, less the NUL.
pub const EXECNAME_BYTES_MAX: u16 = 15;

impl Ir {
    /// The parameters that some function reads, in their order.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let blocks = self.functions.iter().flat_map(|function| &function.blocks);
        let ops = blocks.flat_map(|block| &block.instructions).map(|instruction| &instruction.op);
        let read: BTreeSet<Parameter> = ops
            .filter_map(|op| match op {
                Op::Parameter(parameter) => Some(*parameter),
                // In the kernel the time of day is counted from CLOCK_TAI.
                Op::Clock(Clock::Realtime) => Some(Parameter::TaiOffset),
                _ => None,
            })
            .collect();
        read.into_iter().collect()
    }
}

impl Content {
    /// Bytes that it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Value(value) => value.size(),
            Self::Statistic(statistic) => statistic.words().total * 8,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            actions_max: ACTIONS_DEFAULT,
            nesting_max: NESTING_DEFAULT,
            errors_max: ERRORS_DEFAULT,
            skipped_max: SKIPPED_DEFAULT,
        }
    }
}

impl Location {
    /// The place as one word of an event record.
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.source) | u64::from(self.column) << 16 | u64::from(self.line) << 32
    }

    /// Reads what [`Location::to_word`] wrote.
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self { source: word as u16, column: (word >> 16) as u16, line: (word >> 32) as u32 }
    }
}

impl Function {
    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &[Value] {
        self.blocks.first().map_or(&[], |entry| &entry.parameters)
    }

    /// The type of a value. A value that does not exist counts as a long; [`verify`] excludes it.
    #[must_use]
    pub fn ty(&self, value: Value) -> Type {
        self.values.get(value.0 as usize).copied().unwrap_or(Type::Long)
    }

    /// Drops blocks that nothing reaches, and renumbers the rest.
    pub fn remove_unreachable(&mut self) {
        let mut reached = vec![false; self.blocks.len()];
        let mut stack = vec![BlockId(0)];
        while let Some(BlockId(block)) = stack.pop() {
            if !std::mem::replace(&mut reached[block as usize], true) {
                stack.extend(self.blocks[block as usize].end.jumps().map(|jump| jump.block));
            }
        }
        let mut numbers = Vec::with_capacity(reached.len());
        let mut count = 0;
        for &reached in &reached {
            numbers.push(BlockId(count));
            count += u32::from(reached);
        }
        let mut keep = reached.iter();
        self.blocks.retain(|_| keep.next() == Some(&true));
        for block in &mut self.blocks {
            block.end.jumps_mut(|jump| jump.block = numbers[jump.block.0 as usize]);
        }
    }

    /// A new value of type `ty`.
    pub fn new_value(&mut self, ty: Type) -> Value {
        self.values.push(ty);
        Value(self.values.len() as u32 - 1)
    }
}

impl End {
    /// The jumps out of the block.
    pub fn jumps(&self) -> impl Iterator<Item = &Jump> {
        let (first, second) = match self {
            Self::Jump(jump) => (Some(jump), None),
            Self::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            Self::Raise { catch, .. } => (catch.as_ref(), None),
            Self::Return(_) | Self::Reraise => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Calls `visit` with every jump out of the block, to be changed.
    pub fn jumps_mut(&mut self, mut visit: impl FnMut(&mut Jump)) {
        match self {
            Self::Jump(jump) => visit(jump),
            Self::Branch { then, otherwise, .. } => {
                visit(then);
                visit(otherwise);
            }
            Self::Raise { catch, .. } => catch.iter_mut().for_each(visit),
            Self::Return(_) | Self::Reraise => {}
        }
    }

    /// Calls `visit` with every value that is used.
    pub fn operands(&self, mut visit: impl FnMut(&Value)) {
        for_each_operand_of_end!(self, visit);
    }

    /// Calls `visit` with every value that is used, to be replaced.
    pub fn operands_mut(&mut self, mut visit: impl FnMut(&mut Value)) {
        for_each_operand_of_end!(self, visit);
    }
}

impl Op {
    /// Calls `visit` with every value that is used.
    pub fn operands(&self, mut visit: impl FnMut(&Value)) {
        for_each_operand!(self, visit);
    }

    /// Calls `visit` with every value that is used, to be replaced.
    pub fn operands_mut(&mut self, mut visit: impl FnMut(&mut Value)) {
        for_each_operand!(self, visit);
    }

    /// Whether the operation does nothing but give its results: it may be dropped where nobody uses them.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        !matches!(
            self,
            Self::Set(..)
                | Self::Add(..)
                | Self::ArraySet(..)
                | Self::ArrayAdd(..)
                | Self::ArrayDelete(..)
                | Self::ArrayClear(_)
                | Self::Accumulate(..)
                | Self::Draw(..)
                | Self::Iterate { .. }
                | Self::Next(_)
                | Self::Call(..)
                | Self::Print(..)
                | Self::Spend(_)
                | Self::Caught
                | Self::Exit
        )
    }
}

impl BinaryOp {
    /// What the operation means; codegen must agree with it bit for bit.
    #[must_use]
    pub fn apply(self, x: i64, y: i64) -> i64 {
        match self {
            Self::Add => x.wrapping_add(y),
            Self::Subtract => x.wrapping_sub(y),
            Self::Multiply => x.wrapping_mul(y),
            Self::Divide => x.checked_div(y).unwrap_or(if y == 0 { 0 } else { i64::MIN }),
            Self::Modulo => x.checked_rem(y).unwrap_or(0),
            Self::And => x & y,
            Self::Or => x | y,
            Self::Xor => x ^ y,
            Self::ShiftLeft => x.wrapping_shl(y as u32 & 63),
            Self::ShiftRight => x.wrapping_shr(y as u32 & 63),
            Self::ShiftRightLogical => (x as u64).wrapping_shr(y as u32 & 63) as i64,
        }
    }
}

impl UnaryOp {
    /// What the operation means.
    #[must_use]
    pub fn apply(self, x: i64) -> i64 {
        match self {
            Self::Negate => x.wrapping_neg(),
            Self::Not => !x,
        }
    }
}

impl Relation {
    /// Whether the relation holds.
    #[must_use]
    pub fn holds<T: Ord + ?Sized>(self, x: &T, y: &T) -> bool {
        match self {
            Self::Equal => x == y,
            Self::NotEqual => x != y,
            Self::Less => x < y,
            Self::LessEqual => x <= y,
            Self::Greater => x > y,
            Self::GreaterEqual => x >= y,
        }
    }
}

impl Width {
    /// The low bytes of `raw`, widened.
    #[must_use]
    pub fn widen(self, raw: u64) -> i64 {
        let unused = 64 - u32::from(self.bytes) * 8;
        let high = (raw << unused) as i64;
        if self.signed { high >> unused } else { (high as u64 >> unused) as i64 }
    }
}

impl TaskField {
    /// The type of what it gives.
    #[must_use]
    pub fn ty(self) -> Type {
        match self {
            Self::Execname => Type::String(EXECNAME_BYTES_MAX),
            Self::Pid | Self::Tid | Self::Uid | Self::Gid => Type::Long,
        }
    }
}

impl PointField {
    /// The field of a probe point.
    #[must_use]
    pub fn of(self, point: &ProbePoint) -> &str {
        match self {
            Self::Name => &point.name,
            Self::Function => &point.function,
        }
    }
}
