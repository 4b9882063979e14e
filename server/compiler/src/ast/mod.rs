//! The tree of a script as it was written, after macros and conditionals: the noun between parse and elaborate.
//!
//! Names are not resolved and types not known. Every node carries its place. The words are SystemTap's (langref, stap(1)).
//! The text form, `-p1`, is what `Display` writes (`print`): a script again, which parses back to the same tree. A tree is
//! no higher than `SCRIPT_NESTING_MAX`, so whoever walks it may recurse.

use bstr::BString;
use shared::diagnostic::Span;

mod print;

/// One file: the user's script, or a file of the tapset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stapfile {
    /// In the order they are written.
    pub items: Vec<Item>,
}

/// A declaration at the top level.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `probe P { … }`
    Probe(Probe),
    /// `probe A = P { … }`
    Alias(ProbeAlias),
    /// `global g`
    Global(GlobalDecl),
    /// `function f() { … }`
    Function(FunctionDecl),
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The text.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// `probe P1, P2 { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Braces are already expanded: `a.{b,c}` is two points.
    pub points: Vec<ProbePoint>,
    /// The handler.
    pub body: Block,
    /// From `probe` to the end of the points.
    pub span: Span,
}

/// `kernel.function("f").return ?`
#[derive(Debug, Clone, PartialEq)]
pub struct ProbePoint {
    /// Never empty.
    pub components: Vec<Component>,
    /// `?`, also set by `!`: it may match nothing.
    pub optional: bool,
    /// `!`: where it matches, the points after it are dropped.
    pub sufficient: bool,
    /// `if (…)`
    pub condition: Option<Expression>,
    /// The whole.
    pub span: Span,
}

/// `function("f")`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name, perhaps with wildcards.
    pub name: Name,
    /// The argument.
    pub argument: Option<Literal>,
}

/// A literal and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// What.
    pub value: LiteralValue,
    /// Where.
    pub span: Span,
}

/// A number or a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiteralValue {
    /// A number, wrapped to 64 signed bits.
    Number(i64),
    /// A string, its escapes resolved and its neighbours glued on.
    String(BString),
}

/// `probe A = B = P1, P2 { … }, { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeAlias {
    /// The names being defined, each a list of components.
    pub names: Vec<Vec<Component>>,
    /// What they stand for.
    pub points: Vec<ProbePoint>,
    /// Whether the first block runs before the handler (`=`) or after it (`+=`).
    pub placement: Placement,
    /// The first block.
    pub body: Block,
    /// The second block of `= … { … }, { … }`, which runs after the handler.
    pub epilogue: Option<Block>,
    /// From `probe` to the end of the points.
    pub span: Span,
}

/// Where an alias's body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// `=`
    Prologue,
    /// `+=`
    Epilogue,
}

/// `private global a[100]%, b = 1`: one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalDecl {
    /// Its name.
    pub name: Name,
    /// Visible only in its file.
    pub private: bool,
    /// `%`: a full array drops its oldest entry.
    pub wrap: bool,
    /// `[N]`
    pub size: Option<Literal>,
    /// `= literal`
    pub initial: Option<Literal>,
}

/// `function f:long (a:string, b) :priority { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDecl {
    /// Its name.
    pub name: Name,
    /// Visible only in its file.
    pub private: bool,
    /// In order.
    pub parameters: Vec<Parameter>,
    /// The annotated result type.
    pub result: Option<TypeName>,
    /// The annotated priority; smaller first.
    pub priority: Option<i64>,
    /// The body.
    pub body: Block,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// The annotated type.
    pub ty: Option<TypeName>,
}

/// `long` or `string`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeName {
    /// `long`
    Long,
    /// `string`
    String,
}

/// `{ … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// In order.
    pub statements: Vec<Statement>,
    /// From brace to brace.
    pub span: Span,
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
    /// `;`
    Empty,
    /// `{ … }`
    Block(Block),
    /// An expression for its effect.
    Expression(Expression),
    /// `if (c) s else s`
    If {
        /// The condition.
        condition: Expression,
        /// Where it is not 0.
        then: Box<Statement>,
        /// Where it is 0.
        otherwise: Option<Box<Statement>>,
    },
    /// `while (c) s`
    While {
        /// The condition.
        condition: Expression,
        /// The body.
        body: Box<Statement>,
    },
    /// `for (i; c; s) s`
    For {
        /// Before the first round.
        init: Option<Box<Expression>>,
        /// Before each round.
        condition: Option<Box<Expression>>,
        /// After each round.
        step: Option<Box<Expression>>,
        /// The body.
        body: Box<Statement>,
    },
    /// `foreach (…) s`
    Foreach(Box<Foreach>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return e`
    Return(Option<Expression>),
    /// `next`
    Next,
    /// `delete e`
    Delete(Expression),
    /// `try { … } catch (m) { … }`
    Try {
        /// What is tried.
        body: Block,
        /// The variable that takes the message.
        message: Option<Name>,
        /// What is done on an error.
        handler: Block,
    },
}

/// `foreach (v = [a+, b] in t[x, *] @sum- limit n) s`
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// The variable that takes the value.
    pub value: Option<Name>,
    /// The variables that take the keys; for a histogram, one for the bucket.
    pub keys: Vec<Name>,
    /// What is walked over: a name, or a histogram.
    pub over: Expression,
    /// `[x, *]` after the name: `None` is `*`. Empty where nothing is selected.
    pub slice: Vec<Option<Expression>>,
    /// The order.
    pub sort: Option<Sort>,
    /// `limit n`
    pub limit: Option<Expression>,
    /// The body.
    pub body: Statement,
}

/// What a `foreach` sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// `-`
    pub descending: bool,
}

/// What a `foreach` sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// A key, by its index.
    Key(usize),
    /// The value; of a statistic, its count.
    Value,
    /// One aggregate of a statistic.
    Aggregate(Aggregate),
}

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What.
    pub kind: ExpressionKind,
    /// Where.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A literal.
    Literal(LiteralValue),
    /// A variable, or a function without arguments to some operators (`@defined(f)`).
    Name(String),
    /// `a[k1, k2]`; `None` is `*`, only in `delete` and `in`.
    Index {
        /// What is indexed: a name, or a histogram.
        base: Box<Expression>,
        /// The keys.
        keys: Vec<Option<Expression>>,
    },
    /// `f(a, b)`
    Call {
        /// The function.
        function: Name,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// `-e`, `+e`, `!e`, `~e`
    Unary(Unary, Box<Expression>),
    /// `++e`, `e--`
    Step {
        /// Whether 1 is added or subtracted.
        increment: bool,
        /// Whether the value is that before the change.
        postfix: bool,
        /// The variable.
        target: Box<Expression>,
    },
    /// `a + b`, comparisons, `a . b`, `a && b`
    Binary(Binary, Box<Expression>, Box<Expression>),
    /// `c ? a : b`
    Ternary(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `a = b`, `a += b`, `a <<< b`
    Assign {
        /// Which.
        op: Assign,
        /// What is assigned to.
        target: Box<Expression>,
        /// What is assigned.
        value: Box<Expression>,
    },
    /// `[a, *] in t`; `None` is `*`.
    In {
        /// The keys.
        keys: Vec<Option<Expression>>,
        /// The array.
        array: Name,
    },
    /// `s =~ "re"`, `s !~ "re"`
    Match {
        /// Whether it is `!~`.
        negated: bool,
        /// The string.
        subject: Box<Expression>,
        /// The regular expression.
        pattern: Literal,
    },
    /// `$x`, `$$vars`, `$return`, without what follows it. The text starts with `$`.
    Target(String),
    /// `@var("x@file.c", "module")`
    AtVar {
        /// `x` or `x@file.c`.
        name: Literal,
        /// Where to look.
        module: Option<Literal>,
    },
    /// `@cast(e, "type", "module")`
    Cast {
        /// The pointer.
        operand: Box<Expression>,
        /// The type's name.
        ty: Literal,
        /// Where to look, separated by colons.
        module: Option<Literal>,
    },
    /// `e->member`
    Member {
        /// The pointer or structure.
        base: Box<Expression>,
        /// The member.
        member: Name,
    },
    /// `e[i]` after `$x`, `@var`, `@cast` or `->`.
    Element {
        /// The array or pointer.
        base: Box<Expression>,
        /// The index.
        index: Box<Expression>,
    },
    /// `$x$`, `$x$$`: the value as text, one or all levels deep.
    Pretty {
        /// What is shown.
        base: Box<Expression>,
        /// `$$`
        deep: bool,
    },
    /// `&$x->y`
    AddressOf(Box<Expression>),
    /// `@defined(e)`
    Defined(Box<Expression>),
    /// `@entry(e)`
    Entry(Box<Expression>),
    /// `@probewrite(v)`
    ProbeWrite(Name),
    /// `@perf("counter")`
    Perf(Literal),
    /// `@const("C_NAME")`
    Const(Literal),
    /// `@enum("NAME")` or `@enum("NAME", "module")`
    Enum(Literal, Option<Literal>),
    /// `@enumname(v, "type", "module")`
    EnumName(Box<Expression>, Option<Literal>, Option<Literal>),
    /// `@kderef(size, address)`, `@uderef(size, address)`
    Deref {
        /// Whether it reads the user's memory.
        user: bool,
        /// Bytes.
        size: Literal,
        /// Where.
        address: Box<Expression>,
    },
    /// `@kregister(n)`, `@uregister(n)`
    Register {
        /// Whether it reads the user's registers.
        user: bool,
        /// The DWARF number.
        number: Literal,
    },
    /// `@count(s)`, `@variance(s, 3)`
    Aggregate {
        /// Which.
        aggregate: Aggregate,
        /// The statistic.
        statistic: Box<Expression>,
        /// The bit shift of a variance.
        shift: Option<i64>,
    },
    /// `@hist_log(s)`, `@hist_linear(s, lo, hi, step)`
    Histogram {
        /// Which.
        histogram: Histogram,
        /// The statistic.
        statistic: Box<Expression>,
    },
    /// `printf(…)`, `sprint(…)` and the rest of the family.
    Print(Print),
}

/// A histogram's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histogram {
    /// `@hist_log`
    Log,
    /// `@hist_linear`
    Linear {
        /// The lowest value.
        low: i64,
        /// The highest value.
        high: i64,
        /// Between two buckets.
        step: i64,
    },
}

/// `s?print(ln|f|d|dln)?`, `print_char`
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    /// Whether the text is the value (`sprint…`) or goes to the output.
    pub to_string: bool,
    /// What the arguments are put together by.
    pub form: PrintForm,
    /// What is printed.
    pub arguments: Vec<Expression>,
}

/// What the arguments of a print are put together by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrintForm {
    /// `printf`: a format.
    Format(Literal),
    /// `print`, `println`, `printd`, `printdln`
    Plain {
        /// Between two arguments.
        delimiter: Option<Literal>,
        /// A newline at the end.
        newline: bool,
    },
    /// `print_char`
    Character,
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `!`
    LogicalNot,
    /// `~`
    Not,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `>>>`
    ShiftRightLogical,
    /// `&&`
    LogicalAnd,
    /// `||`
    LogicalOr,
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
    /// `.`
    Concat,
}

/// Operators that assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assign {
    /// `=`
    Set,
    /// `+=`, `.=` and the like.
    With(Binary),
    /// `<<<`
    Accumulate,
}

/// What can be read from a statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// `@count`
    Count,
    /// `@sum`
    Sum,
    /// `@min`
    Min,
    /// `@max`
    Max,
    /// `@avg`
    Average,
    /// `@variance`
    Variance,
}
