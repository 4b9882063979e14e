//! Functions of the tapset that are built in: what each takes and gives, by the names of stapfuncs(3stap).

use shared::ir::{Clock, PointField, Space, TaskField};

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
];
