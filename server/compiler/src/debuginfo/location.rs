//! Where a variable's value lies: our own noun over registers, constants and memory reads.

use super::TypeId;

/// A typed thing that a script can read: a variable, or what steps from one lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its type.
    pub type_id: TypeId,
    /// Where it is.
    pub location: Location,
    /// Which bits of it, where it is a bit field.
    pub bits: Option<Bits>,
}

/// A bit field within the bytes at its location: read `storage_size` bytes as a little-endian number, shift it right by
/// `offset`, keep `size` bits, and widen by the sign of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// Bytes to read: 1, 2, 4 or 8.
    pub storage_size: u8,
    /// The lowest bit.
    pub offset: u8,
    /// How many bits, at least 1.
    pub size: u8,
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In memory, at this address.
    Memory(Expr),
    /// In no memory: it is the low bytes of this number, as many as the type has. Of a bit field: before shifting.
    Value(Expr),
    /// In no memory: it is these bytes, more than a number holds.
    Bytes(Vec<u8>),
    /// In parts, one after the other, lowest address first.
    Pieces(Vec<Piece>),
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its size in bytes.
    pub size: u64,
    /// Where it is; `None` where it was optimised out.
    pub location: Option<Location>,
}

/// How a 64-bit number is had. Arithmetic wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Constant(u64),
    /// A link-time address of the object: what it is at run time depends on where the object is loaded.
    Address(u64),
    /// A general register by its DWARF number (System V psABI, AMD64, figure 3.36: 0 is rax, 7 rsp, 16 the return address),
    /// as of the moment the probe fired.
    Register(u8),
    /// A number that whoever asked supplies: an index, the operand of `@cast`.
    Given(u32),
    /// A little-endian number of 1, 2, 4 or 8 bytes in memory, widened with zeros.
    Load {
        /// From where.
        address: Box<Expr>,
        /// How many bytes.
        size: u8,
    },
    /// Two numbers and an operation.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
}

/// Operations of [`Expr`]. Comparisons are signed and give 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`; the right side is a constant below 64.
    Shl,
    /// `>>`, filling with zeros; the right side is a constant below 64.
    Shr,
    /// `>>`, filling with the sign; the right side is a constant below 64.
    Sar,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}
