//! Where a variable's value lies: our own noun over registers, constants and memory reads. Must not know DWARF.

use std::fmt;

use super::TypeId;
use super::expression::little_endian;

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
    /// A general register by its DWARF number (System V psABI, AMD64, figure 3.36: 0 is rax, 7 rsp, 16 the return
    /// address), as of the moment the probe fired.
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

impl Location {
    /// Bytes that lie nowhere.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        little_endian(bytes).map_or_else(|| Self::Bytes(bytes.to_vec()), |number| Self::Value(Expr::Constant(number)))
    }

    /// `size` bytes of this, from `offset` on; `None` where they do not lie together.
    pub(super) fn part(&self, offset: u64, size: u64) -> Option<Self> {
        match self {
            Self::Memory(address) => Some(Self::Memory(address.clone().plus(offset))),
            Self::Value(number) if offset == 0 => Some(Self::Value(number.clone())),
            Self::Value(number) if offset < 8 => {
                let shift = Expr::Constant(8 * offset);
                Some(Self::Value(Expr::binary(BinaryOp::Shr, number.clone(), shift)))
            }
            Self::Value(_) => None,
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).ok()?;
                let end = start.checked_add(usize::try_from(size).ok()?)?;
                bytes.get(start..end).map(Self::of_bytes)
            }
            Self::Pieces(pieces) => {
                let mut start: u64 = 0;
                for piece in pieces {
                    let end = start.checked_add(piece.size)?;
                    if offset >= start && offset < end {
                        let fits = offset.checked_add(size)? <= end;
                        return piece.location.as_ref().filter(|_| fits)?.part(offset - start, size);
                    }
                    start = end;
                }
                None
            }
        }
    }

    /// What is here as a number of `size` bytes, the bytes above being anything; `None` where it is no number.
    pub(super) fn number(&self, size: u64) -> Option<Expr> {
        match self.part(0, size)? {
            Self::Memory(address) => {
                let size = u8::try_from(size).ok().filter(|size| matches!(size, 1 | 2 | 4 | 8))?;
                Some(Expr::Load { address: Box::new(address), size })
            }
            Self::Value(number) if size <= 8 => Some(number),
            _ => None,
        }
    }
}

impl Expr {
    /// The sum of this and a constant. Chains of such sums become one.
    #[must_use]
    pub fn plus(self, constant: u64) -> Self {
        let (base, term) = match self {
            Self::Binary(BinaryOp::Add, base, term) => match *term {
                Self::Constant(term) => (*base, term),
                term => (Self::Binary(BinaryOp::Add, base, Box::new(term)), 0),
            },
            base => (base, 0),
        };
        match (base, term.wrapping_add(constant)) {
            (base, 0) => base,
            (Self::Constant(number), sum) => Self::Constant(number.wrapping_add(sum)),
            (Self::Address(address), sum) => Self::Address(address.wrapping_add(sum)),
            (base, sum) => Self::Binary(BinaryOp::Add, Box::new(base), Box::new(Self::Constant(sum))),
        }
    }

    /// Two numbers and an operation, computed where both are known.
    #[must_use]
    pub fn binary(op: BinaryOp, left: Self, right: Self) -> Self {
        match (op, left, right) {
            (op, Self::Constant(left), Self::Constant(right)) => Self::Constant(op.apply(left, right)),
            (BinaryOp::Add, left, Self::Constant(right)) => left.plus(right),
            (BinaryOp::Add, Self::Constant(left), right) => right.plus(left),
            (BinaryOp::Sub, left, Self::Constant(right)) => left.plus(right.wrapping_neg()),
            (op, left, right) => Self::Binary(op, Box::new(left), Box::new(right)),
        }
    }

    /// How many expressions it is made of, itself included.
    pub(super) fn nodes(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Address(_) | Self::Register(_) | Self::Given(_) => 1,
            Self::Load { address, .. } => 1 + address.nodes(),
            Self::Binary(_, left, right) => 1 + left.nodes() + right.nodes(),
        }
    }
}

impl BinaryOp {
    /// The result for two numbers: what both executors compute, too.
    #[must_use]
    pub fn apply(self, left: u64, right: u64) -> u64 {
        let (signed_left, signed_right) = (left.cast_signed(), right.cast_signed());
        let shift = u32::try_from(right).unwrap_or(u32::MAX);
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::Shl => left.checked_shl(shift).unwrap_or(0),
            Self::Shr => left.checked_shr(shift).unwrap_or(0),
            Self::Sar => (signed_left >> shift.min(63)).cast_unsigned(),
            Self::Eq => u64::from(left == right),
            Self::Ne => u64::from(left != right),
            Self::Lt => u64::from(signed_left < signed_right),
            Self::Le => u64::from(signed_left <= signed_right),
            Self::Gt => u64::from(signed_left > signed_right),
            Self::Ge => u64::from(signed_left >= signed_right),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(address) => write!(f, "memory at {address}"),
            Self::Value(number) => write!(f, "value {number}"),
            Self::Bytes(bytes) => write!(f, "bytes {bytes:02x?}"),
            Self::Pieces(pieces) => {
                for (index, piece) in pieces.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    match &piece.location {
                        Some(location) => write!(f, "{separator}{} bytes: {location}", piece.size)?,
                        None => write!(f, "{separator}{} bytes: nowhere", piece.size)?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(number) => write!(f, "{}", number.cast_signed()),
            Self::Address(address) => write!(f, "@{address:#x}"),
            Self::Register(register) => match REGISTER_NAMES.get(usize::from(*register)) {
                Some(name) => write!(f, "%{name}"),
                None => write!(f, "%{register}"),
            },
            Self::Given(index) => write!(f, "given{index}"),
            Self::Load { address, size } => write!(f, "u{}[{address}]", 8 * u32::from(*size)),
            Self::Binary(op, left, right) => write!(f, "({left} {} {right})", op.symbol()),
        }
    }
}

impl BinaryOp {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::Sar => ">>>",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// By their DWARF numbers (System V psABI, AMD64, figure 3.36).
const REGISTER_NAMES: [&str; 17] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
];
