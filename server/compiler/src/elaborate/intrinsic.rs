//! Functions of the tapset that are built in: what each takes and gives, by the names of stapfuncs(3stap).

use shared::ir::{Clock, PointField, Space, StringFunction, TaskField};

use crate::program::Type;

/// A built-in function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intrinsic {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Type],
    pub(super) result: Type,
    pub(super) meaning: Meaning,
}

/// What a built-in function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Task(TaskField),
    Cpu,
    /// A clock, in units of so many nanoseconds.
    Clock(Clock, i64),
    Target,
    Point(PointField),
    Exit,
    /// A run-time error.
    Raise,
    /// A group of the last match.
    Matched,
    /// How many groups the last match had.
    GroupCount,
    /// A string in memory, and what stands for one that cannot be read, where that is no run-time error.
    LoadString(Space, Option<&'static str>),
    /// The same with the number of its bytes.
    LoadStringOf(Space),
    /// A function of strings.
    StringFunction(StringFunction),
    /// Whether a string is part of another.
    IsPart,
    /// The next part of a string between delimiters.
    Tokenize,
}

/// The one of that name.
pub(super) fn find(name: &str) -> Option<&'static Intrinsic> {
    INTRINSICS.iter().find(|intrinsic| intrinsic.name == name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    INTRINSICS.iter().map(|intrinsic| intrinsic.name)
}

const fn long(name: &'static str, meaning: Meaning) -> Intrinsic {
    Intrinsic { name, parameters: &[], result: Type::Long, meaning }
}

const fn string(name: &'static str, meaning: Meaning) -> Intrinsic {
    Intrinsic { name, parameters: &[], result: Type::String, meaning }
}

const fn of_strings(
    name: &'static str,
    parameters: &'static [Type],
    result: Type,
    function: StringFunction,
) -> Intrinsic {
    Intrinsic { name, parameters, result, meaning: Meaning::StringFunction(function) }
}

const fn from_memory(name: &'static str, meaning: Meaning) -> Intrinsic {
    Intrinsic { name, parameters: &[Type::Long], result: Type::String, meaning }
}

static INTRINSICS: &[Intrinsic] = &[
    string("execname", Meaning::Task(TaskField::Execname)),
    long("pid", Meaning::Task(TaskField::Pid)),
    long("tid", Meaning::Task(TaskField::Tid)),
    long("uid", Meaning::Task(TaskField::Uid)),
    long("gid", Meaning::Task(TaskField::Gid)),
    long("cpu", Meaning::Cpu),
    long("target", Meaning::Target),
    string("pp", Meaning::Point(PointField::Name)),
    string("ppfunc", Meaning::Point(PointField::Function)),
    long("gettimeofday_ns", Meaning::Clock(Clock::Realtime, 1)),
    long("gettimeofday_us", Meaning::Clock(Clock::Realtime, 1_000)),
    long("gettimeofday_ms", Meaning::Clock(Clock::Realtime, 1_000_000)),
    long("gettimeofday_s", Meaning::Clock(Clock::Realtime, 1_000_000_000)),
    Intrinsic { name: "exit", parameters: &[], result: Type::Void, meaning: Meaning::Exit },
    Intrinsic { name: "error", parameters: &[Type::String], result: Type::Void, meaning: Meaning::Raise },
    Intrinsic { name: "matched", parameters: &[Type::Long], result: Type::String, meaning: Meaning::Matched },
    long("ngroups", Meaning::GroupCount),
    from_memory("kernel_string", Meaning::LoadString(Space::Kernel, None)),
    from_memory("user_string", Meaning::LoadString(Space::User, Some("<unknown>"))),
    Intrinsic {
        name: "kernel_string_n",
        parameters: &[Type::Long, Type::Long],
        result: Type::String,
        meaning: Meaning::LoadStringOf(Space::Kernel),
    },
    of_strings("strlen", &[Type::String], Type::Long, StringFunction::Length),
    of_strings("stringat", &[Type::String, Type::Long], Type::Long, StringFunction::Byte),
    of_strings("substr", &[Type::String, Type::Long, Type::Long], Type::String, StringFunction::Substring),
    of_strings("strpos", &[Type::String, Type::String], Type::Long, StringFunction::Find),
    of_strings("strtol", &[Type::String, Type::Long], Type::Long, StringFunction::Number),
    of_strings("str_replace", &[Type::String; 3], Type::String, StringFunction::Replace),
    of_strings("text_str", &[Type::String], Type::String, StringFunction::Escape),
    of_strings("string_quoted", &[Type::String], Type::String, StringFunction::Quote),
    Intrinsic {
        name: "isinstr",
        parameters: &[Type::String, Type::String],
        result: Type::Long,
        meaning: Meaning::IsPart,
    },
    Intrinsic {
        name: "tokenize",
        parameters: &[Type::String, Type::String],
        result: Type::String,
        meaning: Meaning::Tokenize,
    },
];
