//! A script after pass 2: every name, type and probe point resolved. The noun between elaborate and translate.
//!
//! Nothing is optional any more: a variable has a type and a number, a call a callee, a target variable has become reads of
//! registers and memory, a probe point a place. The text form, `-p2`, is [`print`].

use std::collections::BTreeMap;

use bstr::BString;
use shared::abi::format::Format;
use shared::diagnostic::Span;
use shared::ir::{
    BinaryOp, Clock, Datum, Limits, PointField, Relation, Space, StringFunction, TaskField, UnaryOp, Width,
};
use shared::probe::{KernelBase, ProbePoint};
use shared::target::BuildId;

pub use pattern::{Bytes, Pattern, PatternNode};
pub use statistic::{Aggregate, Histogram, HistogramOf, Statistic};

mod pattern;
mod statistic;

mod print;

/// A whole script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// How much its handlers may do.
    pub limits: Limits,
    /// Script variables that outlive a handler.
    pub globals: Vec<Global>,
    /// The functions that some handler reaches.
    pub functions: Vec<Function>,
    /// The handlers, in the order of the script.
    pub probes: Vec<DerivedProbe>,
}

/// Index into [`Program::globals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlobalId(pub usize);

/// Index into [`Program::functions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub usize);

/// Index into [`Body::locals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub usize);

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// A signed 64-bit integer.
    Long,
    /// A string.
    String,
    /// A statistic. No expression gives one: it is accumulated into, and asked for aggregates.
    Statistic,
    /// Nothing.
    Void,
}

/// A script variable that outlives a handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// What it holds.
    pub storage: Storage,
}

/// What a global holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// One long or string, and what it starts as.
    Scalar(Datum),
    /// One statistic.
    Statistic(Statistic),
    /// An associative array.
    Array {
        /// The types of its keys: longs and strings.
        keys: Vec<Type>,
        /// What is at each key.
        content: Content,
        /// How many entries it can hold.
        entries_max: u32,
        /// `%`: where it is full, the oldest entry gives way to a new one; else that is a run-time error.
        wrap: bool,
    },
}

/// What an array holds at each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A long or a string.
    Value(Type),
    /// A statistic.
    Statistic(Statistic),
}

/// A script function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// How many of the body's first locals are its parameters.
    pub parameter_count: usize,
    /// What it returns.
    pub result: Type,
    /// What it does.
    pub body: Body,
}

/// A handler and the places it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedProbe {
    /// Where; never empty, and all of one kind.
    pub points: Vec<ProbePoint>,
    /// What is done there.
    pub body: Body,
}

/// What a function or a handler does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body {
    /// Its variables.
    pub locals: Vec<Local>,
    /// In order.
    pub statements: Vec<Statement>,
}

/// A variable of a body. It starts as 0 or the empty string.
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Long or string; a statistic where a `foreach` binds an array's entries to it.
    pub ty: Type,
}

/// A statement and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What.
    pub kind: StatementKind,
    /// Where.
    pub span: Span,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// An expression for its effect.
    Expression(Expression),
    /// One of two.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// Again and again while the condition holds.
    Loop {
        /// Before each round.
        condition: Expression,
        /// The round.
        body: Vec<Statement>,
        /// After each round, also after `continue`.
        step: Vec<Statement>,
    },
    /// Over the entries of an array.
    Foreach(Foreach),
    /// Over the buckets of a histogram.
    ForeachBucket(ForeachBucket),
    /// Out of the loop.
    Break,
    /// On to the loop's next round.
    Continue,
    /// Out of the function or handler.
    Return(Option<Expression>),
    /// Out of a function that does not want to answer: the call goes on to the next of its functions. Where there is none, it
    /// is a run-time error.
    Next,
    /// Removes the entries that fit, one selector for each key.
    Delete(GlobalId, Vec<Selector>),
    /// Removes every entry of an array, or everything that a statistic has accumulated.
    Clear(GlobalId),
    /// What is done on a run-time error in something else.
    Try {
        /// What may fail.
        body: Vec<Statement>,
        /// What takes the error's message, a string.
        message: Option<LocalId>,
        /// What is done then.
        handler: Vec<Statement>,
    },
}

/// What a key must be to be meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    /// This.
    Is(Expression),
    /// `*`: anything.
    Any,
}

/// A walk over the entries of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// The array.
    pub array: GlobalId,
    /// What takes the keys.
    pub keys: Vec<LocalId>,
    /// What takes the value; of an array of statistics, what stands for the entry's statistic.
    pub value: Option<LocalId>,
    /// Which entries, one selector for each key; empty where all are meant.
    pub selection: Vec<Selector>,
    /// In which order.
    pub order: Order,
    /// At most so many entries.
    pub limit: Option<Expression>,
    /// For each entry.
    pub body: Vec<Statement>,
}

/// In which order a walk visits the entries of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In any.
    Any,
    /// By something about each entry.
    By {
        /// What.
        by: SortBy,
        /// Largest first.
        descending: bool,
    },
}

/// What a walk sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// A key, by its index.
    Key(u8),
    /// The value.
    Value,
    /// An aggregate of the entry's statistic.
    Aggregate(Aggregate),
}

/// A walk over the buckets of a histogram, the empty ones too, by their numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeachBucket {
    /// The histogram.
    pub of: HistogramOf,
    /// What takes the bucket's number.
    pub bucket: LocalId,
    /// What takes how many values are in it.
    pub count: Option<LocalId>,
    /// Highest number first.
    pub descending: bool,
    /// At most so many buckets.
    pub limit: Option<Expression>,
    /// For each bucket.
    pub body: Vec<Statement>,
}

/// An expression, what it gives, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What.
    pub kind: ExpressionKind,
    /// What it gives.
    pub ty: Type,
    /// Where.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A long.
    Long(i64),
    /// A string.
    String(BString),
    /// A variable's value.
    Read(Place),
    /// Whether there is an entry that fits, one selector for each key.
    Contains(GlobalId, Vec<Selector>),
    /// Arithmetic on one long.
    Unary(UnaryOp, Box<Expression>),
    /// Arithmetic on two longs. Division and modulo by zero are run-time errors.
    Binary(BinaryOp, Box<Expression>, Box<Expression>),
    /// Two longs or two strings compared.
    Compare(Relation, Box<Expression>, Box<Expression>),
    /// `!e`
    Not(Box<Expression>),
    /// `a && b`
    And(Box<Expression>, Box<Expression>),
    /// `a || b`
    Or(Box<Expression>, Box<Expression>),
    /// `c ? a : b`
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// Two strings, one after the other.
    Concat(Box<Expression>, Box<Expression>),
    /// `p = e`: gives the value.
    Assign(Place, Box<Expression>),
    /// `p += e`, `p++`
    Update {
        /// The variable.
        place: Place,
        /// What is done with it.
        op: UpdateOp,
        /// The other operand.
        operand: Box<Expression>,
        /// Whether it gives the value from before.
        postfix: bool,
    },
    /// `p <<< e`: gives the value.
    Accumulate(Place, Box<Expression>),
    /// What a statistic comes to. Where it is empty, `@count` and `@sum` are 0 and the others are run-time errors.
    Aggregate(Aggregate, Place),
    /// How many values are in a bucket of a histogram, by its number.
    Bucket(HistogramOf, Box<Expression>),
    /// `s =~ "…"`: whether the string has a part that matches. Where it has, [`ExpressionKind::Matched`] speaks of it.
    Match(Box<Expression>, Pattern),
    /// `matched(n)`: what a group of the last match matched, 0 being the whole.
    Matched(Box<Expression>),
    /// `ngroups()`: how many groups the last match had, the whole counted.
    GroupCount,
    /// A call of script functions of one name: of the first, and as long as one leaves by [`StatementKind::Next`], of the one
    /// after it. Never empty.
    Call(Vec<FunctionId>, Vec<Expression>),
    /// `sprintf` and its family.
    Format(Format, Vec<Expression>),
    /// `printf` and its family.
    Print(Format, Vec<Expression>),
    /// `print(@hist_log(s))`: draws a histogram.
    PrintHistogram(HistogramOf),
    /// The first; where that raises a run-time error, the second.
    Catch(Box<Expression>, Box<Expression>),
    /// `error(s)`: a run-time error with this message.
    Raise(Box<Expression>),
    /// `exit()`
    Exit,
    /// Something about the running task.
    Task(TaskField),
    /// The processor's number.
    Cpu,
    /// Nanoseconds.
    Clock(Clock),
    /// `target()`
    Target,
    /// Something about the probe point.
    Point(PointField),
    /// A register of the probed context, by its DWARF number.
    Register(u8),
    /// A register of the task's user space, as of when it entered the kernel.
    UserRegister(u8),
    /// An address that depends on where something is loaded: so many bytes from its base.
    Address(Base, u64),
    /// An integer in memory; a fault is a run-time error.
    Load(Space, Width, Box<Expression>),
    /// A string in memory, up to its NUL or to so many bytes, where that is given; a fault is a run-time error.
    LoadString(Space, Box<Expression>, Option<Box<Expression>>),
    /// A function of strings with one result. A byte that is not there is a run-time error.
    StringFunction(StringFunction, Vec<Expression>),
    /// `tokenize(s, d)`: the next part, between delimiters, of the string that was given last and is not empty.
    Tokenize(Box<Expression>, Box<Expression>),
    /// In a probe of a return, and in functions that it calls: what the expression gave when the probed function was
    /// entered. Registers in it are those of the entry.
    Entry(Box<Expression>),
    /// The bits of the double that is the float with these bits.
    Double(Box<Expression>),
    /// `@enumname(e)`: the name of a value, else its digits.
    EnumName(Box<Expression>, BTreeMap<i64, BString>),
    /// `@perf("c")`: the counter of that name, as of this probe.
    Perf(String),
}

/// Where something is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// The kernel.
    Kernel(KernelBase),
    /// A program or library in the current process; the offset is a link-time address.
    Object {
        /// The file on the host.
        path: String,
        /// What its build id must be.
        build_id: BuildId,
    },
}

/// Something that can be read and assigned to.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// A variable of the body.
    Local(LocalId),
    /// A scalar global.
    Global(GlobalId),
    /// An array's entry.
    Element(GlobalId, Vec<Expression>),
    /// An integer in memory, to be written to (guru mode); a fault is a run-time error.
    Memory {
        /// Whose memory.
        space: Space,
        /// How many bytes there are.
        width: Width,
        /// Where. It is evaluated once.
        address: Box<Expression>,
        /// Which bits of it are meant, where not all are.
        bits: Option<Bits>,
    },
    /// The low bytes of a register of the probed context, by its DWARF number, to be written to (guru mode).
    Register(u8, Width),
}

/// Some bits of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// The lowest.
    pub offset: u8,
    /// How many.
    pub size: u8,
    /// Whether the highest is a sign.
    pub signed: bool,
}

/// What an assignment with an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOp {
    /// Arithmetic on longs.
    Binary(BinaryOp),
    /// `.=`
    Concat,
}

impl Type {
    /// The word for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::String => "string",
            Self::Statistic => "stats",
            Self::Void => "void",
        }
    }
}
