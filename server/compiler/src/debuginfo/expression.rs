//! DWARF expressions (DWARF 5, section 2.5) → [`Location`]s. The stack machine is run with expressions of ours in place
//! of numbers, so that what registers and memory hold may be unknown. Must not know which variable it is for.

use gimli::constants as dw;
use gimli::{AttributeValue, Expression, Operation, Reader as _, UnitOffset};
use shared::limits::{LOCATION_NODES_MAX, LOCATION_OPERATIONS_MAX, LOCATION_STACK_MAX, LimitExceeded};

use super::elf::Bytes;
use super::unit::{Die, Dwarf, damaged};
use super::{BinaryOp, DebuginfoError, Expr, Location, ObjectKind, Piece};

/// The last general register (16 is the return address), in DWARF's numbers.
const GENERAL_REGISTER_MAX: u16 = 16;

/// How deep expressions may contain one another: a location uses the frame base, which uses the canonical frame
/// address.
const NESTING_MAX: usize = 4;

/// What an expression is evaluated for.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s, 'i> {
    /// The entry that has the expression; its unit gives types and addresses meaning.
    pub(super) die: &'s Die<'i>,
    /// The function that the place lies in.
    pub(super) subprogram: Option<&'s Die<'i>>,
    /// The place.
    pub(super) pc: u64,
    /// The function's first instruction.
    pub(super) entry_pc: u64,
    /// Expressions around this one.
    pub(super) nesting: usize,
}

/// Why there is no location.
#[derive(Debug)]
pub(super) enum NoLocation {
    /// The compiler kept no value.
    OptimisedOut,
    /// It is not understood; why.
    Unsupported(String),
    /// The file is at fault.
    Debuginfo(DebuginfoError),
}

struct Machine<'d, 's, 'i> {
    dwarf: &'d Dwarf<'i>,
    scene: Scene<'s, 'i>,
    /// The whole expression, and what is left of it.
    code: Bytes<'i>,
    rest: Bytes<'i>,
    stack: Vec<Expr>,
    /// A location that was named and may yet turn out to be that of a piece.
    named: Option<Location>,
    pieces: Vec<Piece>,
}

impl<'i> Dwarf<'i> {
    /// Evaluates an expression that says where something is; `initial` is on the stack at its beginning.
    pub(super) fn evaluate(
        &self,
        expression: Expression<Bytes<'i>>,
        scene: Scene<'_, 'i>,
        initial: Option<Expr>,
    ) -> Result<Location, NoLocation> {
        if scene.nesting > NESTING_MAX {
            return Err(damaged("the expressions of a location contain one another").into());
        }
        let (code, stack) = (expression.0, Vec::from_iter(initial));
        let mut machine = Machine { dwarf: self, scene, code, rest: code, stack, named: None, pieces: Vec::new() };
        for _ in 0..LOCATION_OPERATIONS_MAX {
            if machine.rest.is_empty() {
                return machine.location();
            }
            self.work.charge(1)?;
            let operation = Operation::parse(&mut machine.rest, scene.die.unit.dwarf.encoding())?;
            machine.step(operation)?;
        }
        let count = LOCATION_OPERATIONS_MAX as u64;
        LimitExceeded::check("operations of a location", count + 1, count)?;
        Err(NoLocation::OptimisedOut)
    }
}

impl<'i> Machine<'_, '_, 'i> {
    fn step(&mut self, operation: Operation<Bytes<'i>>) -> Result<(), NoLocation> {
        match operation {
            Operation::Nop | Operation::Uninitialized => Ok(()),
            Operation::Drop => self.pop().map(drop),
            Operation::Pick { index } => {
                let index = self.stack.len().checked_sub(1 + usize::from(index));
                let picked = index.and_then(|index| self.stack.get(index)).cloned().ok_or_else(underflow)?;
                self.push(picked)
            }
            Operation::Swap => self.rotate(2),
            Operation::Rot => self.rotate(3),
            Operation::Bra { target } => match self.pop()? {
                Expr::Constant(0) => Ok(()),
                Expr::Constant(_) => self.jump(target),
                _ => Err(unsupported("it depends on a condition")),
            },
            Operation::Skip { target } => self.jump(target),
            Operation::Register { .. }
            | Operation::ImplicitValue { .. }
            | Operation::StackValue
            | Operation::ImplicitPointer { .. }
            | Operation::Piece { .. } => self.name(operation),
            Operation::Deref { base_type, size, space } => {
                let address = Box::new(self.pop()?);
                if space || !matches!(size, 1 | 2 | 4 | 8) {
                    return Err(unsupported("it reads memory in an unusual way"));
                }
                self.push_typed(Expr::Load { address, size }, base_type)
            }
            Operation::Convert { base_type } | Operation::Reinterpret { base_type } => {
                let value = self.pop()?;
                self.push_typed(value, base_type)
            }
            Operation::TypedLiteral { base_type, value } => {
                let value = little_endian(value.slice()).ok_or_else(|| unsupported("it holds a wide constant"))?;
                self.push_typed(Expr::Constant(value), base_type)
            }
            Operation::And
            | Operation::Or
            | Operation::Xor
            | Operation::Plus
            | Operation::PlusConstant { .. }
            | Operation::Minus
            | Operation::Mul
            | Operation::Div
            | Operation::Mod
            | Operation::Neg
            | Operation::Not
            | Operation::Abs
            | Operation::Shl
            | Operation::Shr
            | Operation::Shra
            | Operation::Eq
            | Operation::Ne
            | Operation::Lt
            | Operation::Le
            | Operation::Gt
            | Operation::Ge => self.compute(operation),
            _ => self.fetch(operation),
        }
    }

    /// Operations that push what they find somewhere.
    fn fetch(&mut self, operation: Operation<Bytes<'i>>) -> Result<(), NoLocation> {
        match operation {
            Operation::UnsignedConstant { value } => self.push(Expr::Constant(value)),
            Operation::SignedConstant { value } => self.push(Expr::Constant(value.cast_unsigned())),
            Operation::RegisterOffset { register, offset, base_type } => {
                let value = Expr::binary(BinaryOp::Add, general_register(register)?, constant(offset));
                self.push_typed(value, base_type)
            }
            Operation::FrameOffset { offset } => {
                let base = self.dwarf.frame_base(self.scene)?;
                self.push(Expr::binary(BinaryOp::Add, base, constant(offset)))
            }
            Operation::CallFrameCFA => {
                let address = self.dwarf.call_frame_address(self.scene)?;
                self.push(address)
            }
            Operation::Address { address } => self.push_address(address),
            Operation::AddressIndex { index } => {
                let address = self.dwarf.sections.address(&self.scene.die.unit.dwarf, index)?;
                self.push_address(address)
            }
            Operation::ConstantIndex { index } => {
                let value = self.dwarf.sections.address(&self.scene.die.unit.dwarf, index)?;
                self.push(Expr::Constant(value))
            }
            Operation::EntryValue { expression } => self.entry_value(expression),
            Operation::TLS => Err(unsupported("it is a variable of the thread, which is not supported yet")),
            // A parameter that this copy of the function no longer has; only callers could tell its value.
            Operation::ParameterRef { .. } => Err(NoLocation::OptimisedOut),
            Operation::VariableValue { .. } | Operation::Call { .. } => {
                Err(unsupported("its location refers to that of another variable"))
            }
            _ => Err(unsupported("its location is computed in an unusual way")),
        }
    }

    /// The value that something had when the function was called. There it is the value that it has.
    fn entry_value(&mut self, code: Bytes<'i>) -> Result<(), NoLocation> {
        if self.scene.pc != self.scene.entry_pc {
            return Err(unsupported("it was in a register when the function was called, which is not kept"));
        }
        let scene = Scene { nesting: self.scene.nesting + 1, ..self.scene };
        match self.dwarf.evaluate(Expression(code), scene, None)? {
            Location::Value(value) | Location::Memory(value) => self.push(value),
            _ => Err(unsupported("its value at the call is in several parts")),
        }
    }

    /// Operations that say where the thing is, instead of computing (DWARF 5, section 2.6.1.1).
    fn name(&mut self, operation: Operation<Bytes<'i>>) -> Result<(), NoLocation> {
        match operation {
            Operation::Register { register } => self.named = Some(Location::Value(general_register(register)?)),
            Operation::StackValue => self.named = Some(Location::Value(self.pop()?)),
            Operation::ImplicitValue { data } => self.named = Some(Location::of_bytes(data.slice())),
            Operation::Piece { size_in_bits, bit_offset } => return self.piece(size_in_bits, bit_offset.unwrap_or(0)),
            _ => return Err(unsupported("it points to a variable that was optimised out")),
        }
        Ok(())
    }

    fn piece(&mut self, size_bits: u64, offset_bits: u64) -> Result<(), NoLocation> {
        if !size_bits.is_multiple_of(8) || !offset_bits.is_multiple_of(8) {
            return Err(unsupported("it lies in several places that are no whole bytes"));
        }
        let named = self.named.take().or_else(|| self.stack.pop().map(Location::Memory));
        let location = match named {
            Some(location) => Some(location.part(offset_bits / 8, size_bits / 8).ok_or_else(|| unsupported("a part"))?),
            None => None,
        };
        self.pieces.push(Piece { size: size_bits / 8, location });
        Ok(())
    }

    fn compute(&mut self, operation: Operation<Bytes<'i>>) -> Result<(), NoLocation> {
        let (right, left) = match operation {
            Operation::PlusConstant { value } => (Expr::Constant(value), self.pop()?),
            Operation::Neg => (self.pop()?, Expr::Constant(0)),
            Operation::Not => (self.pop()?, Expr::Constant(u64::MAX)),
            Operation::Abs => return Err(unsupported("its location is computed in an unusual way")),
            _ => (self.pop()?, self.pop()?),
        };
        let op = match operation {
            Operation::Plus | Operation::PlusConstant { .. } => BinaryOp::Add,
            Operation::Minus | Operation::Neg => BinaryOp::Sub,
            Operation::Mul => BinaryOp::Mul,
            Operation::And => BinaryOp::And,
            Operation::Or => BinaryOp::Or,
            Operation::Xor | Operation::Not => BinaryOp::Xor,
            Operation::Eq => BinaryOp::Eq,
            Operation::Ne => BinaryOp::Ne,
            Operation::Lt => BinaryOp::Lt,
            Operation::Le => BinaryOp::Le,
            Operation::Gt => BinaryOp::Gt,
            Operation::Ge => BinaryOp::Ge,
            Operation::Shl => BinaryOp::Shl,
            Operation::Shr => BinaryOp::Shr,
            Operation::Shra => BinaryOp::Sar,
            _ => return Err(unsupported("its value is computed by a division")),
        };
        if matches!(op, BinaryOp::Shl | BinaryOp::Shr | BinaryOp::Sar) && !matches!(right, Expr::Constant(0..64)) {
            return Err(unsupported("its value is computed by a shift whose width varies"));
        }
        self.push(Expr::binary(op, left, right))
    }

    /// Pushes a number as a value of a base type: only as many bits as the type has count. 0 is the generic type.
    fn push_typed(&mut self, value: Expr, base_type: UnitOffset) -> Result<(), NoLocation> {
        if base_type.0 == 0 {
            return self.push(value);
        }
        let die = self.dwarf.die(&self.scene.die.unit, base_type)?;
        let (size, encoding) = (die.unsigned(dw::DW_AT_byte_size), die.value(dw::DW_AT_encoding));
        let signed = match encoding {
            Some(AttributeValue::Encoding(dw::DW_ATE_signed | dw::DW_ATE_signed_char)) => true,
            Some(AttributeValue::Encoding(
                dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_boolean | dw::DW_ATE_address,
            )) => false,
            _ => return Err(unsupported("its value is computed with floating point numbers")),
        };
        match size {
            Some(8) => self.push(value),
            Some(size @ 1..8) => {
                let unused_bits = Expr::Constant(64 - 8 * size);
                let widen = if signed { BinaryOp::Sar } else { BinaryOp::Shr };
                let shifted = Expr::binary(BinaryOp::Shl, value, unused_bits.clone());
                self.push(Expr::binary(widen, shifted, unused_bits))
            }
            _ => Err(unsupported("its value is computed with numbers of more than 64 bits")),
        }
    }

    fn push_address(&mut self, address: u64) -> Result<(), NoLocation> {
        let image = self.dwarf.image;
        let section = image.section_at(address).map_or("", |section| section.name);
        if image.object.kind == ObjectKind::Kernel && section.starts_with(".data..percpu") {
            return Err(unsupported("it is a per-CPU variable, which is not supported yet"));
        }
        self.push(Expr::Address(address))
    }

    fn push(&mut self, value: Expr) -> Result<(), NoLocation> {
        LimitExceeded::check("parts of a location's expression", value.nodes() as u64, LOCATION_NODES_MAX as u64)?;
        LimitExceeded::check("stack of a location's expression", self.stack.len() as u64, LOCATION_STACK_MAX as u64)?;
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Expr, NoLocation> {
        self.stack.pop().ok_or_else(underflow)
    }

    /// Moves the top below the others of the topmost `count`.
    fn rotate(&mut self, count: usize) -> Result<(), NoLocation> {
        let start = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
        self.stack[start..].rotate_right(1);
        Ok(())
    }

    fn jump(&mut self, distance: i16) -> Result<(), NoLocation> {
        let at = self.code.len() - self.rest.len();
        let target = at.checked_add_signed(isize::from(distance)).filter(|&target| target <= self.code.len());
        let target = target.ok_or_else(|| damaged("a location's expression jumps out of itself"))?;
        self.rest = self.code;
        self.rest.skip(target)?;
        Ok(())
    }

    fn location(mut self) -> Result<Location, NoLocation> {
        if !self.pieces.is_empty() {
            let any = self.pieces.iter().any(|piece| piece.location.is_some());
            return if any { Ok(Location::Pieces(self.pieces)) } else { Err(NoLocation::OptimisedOut) };
        }
        self.named.take().or_else(|| self.stack.pop().map(Location::Memory)).ok_or(NoLocation::OptimisedOut)
    }
}

/// A register that probes can read.
pub(super) fn general_register(register: gimli::Register) -> Result<Expr, NoLocation> {
    match u8::try_from(register.0) {
        Ok(number) if register.0 <= GENERAL_REGISTER_MAX => Ok(Expr::Register(number)),
        _ => Err(unsupported("it is in a vector or floating point register, which probes cannot read")),
    }
}

/// Up to 8 bytes as a number.
pub(super) fn little_endian(bytes: &[u8]) -> Option<u64> {
    let mut number = [0; 8];
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(number))
}

fn constant(value: i64) -> Expr {
    Expr::Constant(value.cast_unsigned())
}

fn unsupported(why: &str) -> NoLocation {
    NoLocation::Unsupported(why.to_owned())
}

fn underflow() -> NoLocation {
    damaged("a location's expression takes more from its stack than it put there").into()
}

impl From<DebuginfoError> for NoLocation {
    fn from(error: DebuginfoError) -> Self {
        match error {
            DebuginfoError::Unsupported(why) => Self::Unsupported(why),
            error => Self::Debuginfo(error),
        }
    }
}

impl From<gimli::Error> for NoLocation {
    fn from(error: gimli::Error) -> Self {
        Self::Debuginfo(error.into())
    }
}

impl From<LimitExceeded> for NoLocation {
    fn from(error: LimitExceeded) -> Self {
        Self::Debuginfo(error.into())
    }
}
