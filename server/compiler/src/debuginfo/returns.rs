//! Where a function's value is when it returns (System V psABI, AMD64, section 3.2.3).

use gimli::AttributeValue;
use gimli::constants as dw;
use shared::limits::DEBUGINFO_CHAIN_MAX;

use super::unit::{Dwarf, damaged};
use super::{DebuginfoError, Expr, Location, Piece, Place, Type, TypeId, Variable, VariableError};

/// `rax` and `rdx` by their DWARF numbers: they return what is of class INTEGER, or the address of what is of class
/// MEMORY.
const RETURN_REGISTERS: [u8; 2] = [0, 1];

/// The size of what fits one register.
const EIGHTBYTE: u64 = 8;

/// How a type is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// In general registers.
    Integer,
    /// In vector or x87 registers, as a whole or in part.
    Float,
    /// In memory of the caller.
    Memory,
}

impl Dwarf<'_> {
    pub(super) fn return_value(&self, place: &Place) -> Result<Variable, VariableError> {
        let function = || place.function.name.clone();
        let subprogram =
            self.subprogram_of(place)?.ok_or_else(|| VariableError::NotDescribed { function: function() })?;
        if self.inherited(&subprogram, dw::DW_AT_type)?.is_none() {
            return Err(VariableError::ReturnsNothing { function: function() });
        }
        let type_id = self.type_id(&subprogram)?;
        let Some(size) = self.type_size(type_id)?.filter(|&size| size != 0) else {
            return Err(VariableError::ReturnsNothing { function: function() });
        };
        let location = match self.class(type_id, size)? {
            Class::Integer if size <= EIGHTBYTE => Location::Value(Expr::Register(RETURN_REGISTERS[0])),
            Class::Integer => Location::Pieces(
                RETURN_REGISTERS
                    .into_iter()
                    .map(|register| Piece {
                        size: EIGHTBYTE,
                        location: Some(Location::Value(Expr::Register(register))),
                    })
                    .collect(),
            ),
            Class::Memory => Location::Memory(Expr::Register(RETURN_REGISTERS[0])),
            Class::Float => {
                return Err(VariableError::Unsupported(format!(
                    "{} returns its value in a floating point register, which probes cannot read",
                    function()
                )));
            }
        };
        Ok(Variable { type_id, location, bits: None })
    }

    fn class(&self, id: TypeId, size: u64) -> Result<Class, DebuginfoError> {
        let (id, resolved) = self.resolved_type(id)?;
        match resolved {
            Type::Float { .. } => Ok(Class::Float),
            Type::Struct { .. } if size > 2 * EIGHTBYTE || self.is_passed_by_reference(id)? => Ok(Class::Memory),
            Type::Struct { .. } => self.parts_class(id, 0, 0),
            _ => Ok(Class::Integer),
        }
    }

    /// The class of a struct that is small enough for registers, from what lies in it `offset` bytes from its start.
    fn parts_class(&self, id: TypeId, offset: u64, depth: usize) -> Result<Class, DebuginfoError> {
        if depth > DEBUGINFO_CHAIN_MAX {
            return Err(damaged("a type contains itself"));
        }
        self.work.charge(1)?;
        let (id, resolved) = self.resolved_type(id)?;
        match resolved {
            Type::Float { size, .. } if offset.is_multiple_of(u64::from(size)) => Ok(Class::Float),
            Type::Array { element, .. } => self.parts_class(element, offset, depth + 1),
            Type::Struct { .. } => {
                let mut class = Class::Integer;
                for member in self.members(id)?.iter().filter(|member| member.bits.is_none()) {
                    let offset = offset.saturating_add(member.offset);
                    class = class.max(self.parts_class(member.type_id, offset, depth + 1)?);
                }
                Ok(class)
            }
            // A packed struct, whose parts are not where they would be aligned, goes to memory.
            _ => match self.type_size(id)? {
                Some(size) if size != 0 && !offset.is_multiple_of(size) => Ok(Class::Memory),
                _ => Ok(Class::Integer),
            },
        }
    }

    /// Whether a C++ type is not trivial to copy, so that it needs an address.
    fn is_passed_by_reference(&self, id: TypeId) -> Result<bool, DebuginfoError> {
        let convention = self.type_die(id)?.and_then(|die| die.value(dw::DW_AT_calling_convention));
        Ok(matches!(convention, Some(AttributeValue::CallingConvention(dw::DW_CC_pass_by_reference))))
    }
}
