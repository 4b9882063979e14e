//! How the text form spells each enumerator: one table for printing and for reading.

use super::{Aggregate, BinaryOp, Clock, PointField, Relation, Space, StringFunction, TaskField, UnaryOp};

macro_rules! names {
    ($($ty:ident { $($variant:ident $name:literal),+ $(,)? })+) => {
        $(impl $ty {
            /// Its name in the text form.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        })+
    };
}

names! {
    UnaryOp { Negate "negate", Not "not" }
    BinaryOp {
        Add "add", Subtract "subtract", Multiply "multiply", Divide "divide", Modulo "modulo", And "and", Or "or", Xor "xor",
        ShiftLeft "shift_left", ShiftRight "shift_right", ShiftRightLogical "shift_right_logical",
    }
    Relation {
        Equal "eq", NotEqual "ne", Less "lt", LessEqual "le", Greater "gt", GreaterEqual "ge",
    }
    Aggregate { Count "@count", Sum "@sum", Min "@min", Max "@max", Average "@avg", Variance "@variance" }
    StringFunction {
        Length "strlen", Byte "stringat", Substring "substr", Find "strpos", Number "strtol", Replace "str_replace",
        Token "token", Escape "text_str", Quote "string_quoted",
    }
    Space { Kernel "kernel", User "user" }
    TaskField { Pid "pid", Tid "tid", Uid "uid", Gid "gid", Execname "execname" }
    Clock { Realtime "realtime" }
    PointField { Name "name", Function "function" }
}
