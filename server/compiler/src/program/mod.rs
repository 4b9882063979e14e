//! A script after pass 2: every name, type and probe point resolved. The noun between elaborate and translate.
//!
//! Nothing is optional any more: a variable has a type and a number, a call a callee, a target variable has become reads of
//! registers and memory, a probe point a place. The text form, `-p2`, is [`print`].

use bstr::BString;
use shared::abi::format::Format;
use shared::diagnostic::Span;
use shared::ir::{BinaryOp, Clock, Datum, PointField, Relation, Space, TaskField, UnaryOp, Width};
use shared::probe::ProbePoint;

mod print;

/// A whole script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
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
    /// Nothing.
    Void,
}

/// A script variable that outlives a handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub storage: Storage,
}

/// What a global holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// One long or string, and what it starts as.
    Scalar(Datum),
    /// An associative array.
    Array {
        /// The types of its keys.
        keys: Vec<Type>,
        /// The type of its values.
        value: Type,
        /// How many entries it can hold.
        entries_max: u32,
    },
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
    /// Long or string.
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
    /// Out of the loop.
    Break,
    /// On to the loop's next round.
    Continue,
    /// Out of the function or handler.
    Return(Option<Expression>),
    /// Removes an entry.
    Delete(GlobalId, Vec<Expression>),
    /// Removes every entry.
    Clear(GlobalId),
}

/// A walk over the entries of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// The array.
    pub array: GlobalId,
    /// What takes the keys.
    pub keys: Vec<LocalId>,
    /// What takes the value.
    pub value: Option<LocalId>,
    /// In which order.
    pub order: shared::ir::Order,
    /// At most so many entries.
    pub limit: Option<Expression>,
    /// For each entry.
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
    /// Whether there is an entry.
    Contains(GlobalId, Vec<Expression>),
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
    /// A call of a script function.
    Call(FunctionId, Vec<Expression>),
    /// `sprintf` and its family.
    Format(Format, Vec<Expression>),
    /// `printf` and its family.
    Print(Format, Vec<Expression>),
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
    /// An integer in memory; a fault is a run-time error.
    Load(Space, Width, Box<Expression>),
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
            Self::Void => "void",
        }
    }
}
