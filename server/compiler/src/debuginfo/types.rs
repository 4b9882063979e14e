//! Types as C has them.

/// A type of an opened file. Means nothing without the [`super::Debuginfo`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId {
    /// The offset of a type's DIE in `.debug_info`; 0, where no DIE can be, is void.
    die: u64,
    /// Dimensions of the array type that were indexed away.
    dimensions: u8,
    /// How many times a pointer to it.
    pointers: u8,
}

/// One level of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `void`, and C++'s unspecified types.
    Void,
    /// An integer, character or truth value.
    Integer {
        /// `long unsigned int`
        name: String,
        /// In bytes: 1 to 16.
        size: u8,
        /// How its bits are meant.
        encoding: Encoding,
    },
    /// A floating point number.
    Float {
        /// `double`
        name: String,
        /// In bytes.
        size: u8,
    },
    /// An enumeration; its enumerators: [`super::Debuginfo::enumerators`].
    Enum {
        /// Its tag.
        name: Option<String>,
        /// In bytes.
        size: u8,
        /// Whether the highest bit is a sign.
        signed: bool,
    },
    /// A pointer of 8 bytes, and C++'s references.
    Pointer {
        /// What to.
        to: TypeId,
    },
    /// A struct, union or class; its members: [`super::Debuginfo::members`].
    Struct {
        /// Which of them.
        kind: StructKind,
        /// Its tag.
        name: Option<String>,
        /// In bytes; `None` where nobody defines it.
        size: Option<u64>,
    },
    /// An array; of several dimensions, the outermost.
    Array {
        /// Of what.
        element: TypeId,
        /// How many; `None` where the source does not say (`[]`).
        count: Option<u64>,
    },
    /// A function.
    Function {
        /// What it returns.
        returns: TypeId,
        /// What it takes.
        parameters: Vec<TypeId>,
    },
    /// A name for a type.
    Typedef {
        /// The name.
        name: String,
        /// The type.
        to: TypeId,
    },
    /// A type with a qualifier.
    Qualified {
        /// Which.
        qualifier: Qualifier,
        /// The type.
        to: TypeId,
    },
}

/// How an integer's bits are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two's complement.
    Signed,
    /// No sign.
    Unsigned,
    /// A character, signed.
    SignedChar,
    /// A character, unsigned (also UTF-8, UTF-16, UTF-32).
    UnsignedChar,
    /// 0 or 1.
    Bool,
}

/// Struct, union or class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
    /// `class`
    Class,
}

/// A qualifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `const`
    Const,
    /// `volatile`
    Volatile,
    /// `restrict`
    Restrict,
    /// `_Atomic`
    Atomic,
}

/// A member of a struct or union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `None`: an unnamed struct or union, whose members count as members of the outer one.
    pub name: Option<String>,
    /// Its type.
    pub type_id: TypeId,
    /// In bytes from the start; of a bit field, of its storage.
    pub offset: u64,
    /// Which bits, where it is a bit field.
    pub bits: Option<super::Bits>,
}

/// A name of an enum's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumerator {
    /// The name.
    pub name: String,
    /// The value, widened by its sign.
    pub value: i64,
}
