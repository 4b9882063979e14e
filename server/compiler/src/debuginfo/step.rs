//! Steps from one variable to another: `->member`, `[index]`, `*` and `&`.

use shared::limits::{DEBUGINFO_CHAIN_MAX, LimitExceeded, TYPE_MEMBERS_MAX};

use super::unit::{Dwarf, damaged};
use super::{BinaryOp, Bits, DebuginfoError, Expr, Location, Type, TypeId, Variable, VariableError};

/// A member by its distance from the outermost struct.
struct Found {
    type_id: TypeId,
    offset: u64,
    bits: Option<Bits>,
}

impl Dwarf<'_> {
    pub(super) fn member(&self, of: &Variable, name: &str) -> Result<Variable, VariableError> {
        let step = format!("->{name}");
        let (id, resolved) = self.resolved_type(of.type_id)?;
        let (id, location) = match resolved {
            Type::Pointer { to } => (self.resolved_type(to)?.0, Location::Memory(self.pointer_value(of)?)),
            _ => (id, of.location.clone()),
        };
        match self.type_of(id)? {
            Type::Struct { size: Some(_), .. } => {}
            Type::Struct { size: None, .. } => {
                let name = self.type_name(id)?;
                return Err(VariableError::Unsupported(format!(
                    "the debuginfo declares {name}, but nowhere defines it"
                )));
            }
            _ => return Err(self.mismatch(&step, "a struct, a union or a pointer to one", of)?),
        }
        let mut known = Vec::new();
        let Some(found) = self.find_member(id, name, 0, &mut known)? else {
            return Err(VariableError::NoMember { name: name.to_owned(), of: self.type_name(id)?, known });
        };
        let size = match found.bits {
            Some(bits) => u64::from(bits.storage_size),
            None => self.type_size(found.type_id)?.unwrap_or(0),
        };
        let location = location.part(found.offset, size).ok_or_else(|| scattered(&step))?;
        Ok(Variable { type_id: found.type_id, location, bits: found.bits })
    }

    pub(super) fn index(&self, of: &Variable, index: Expr) -> Result<Variable, VariableError> {
        let element = match self.resolved_type(of.type_id)?.1 {
            Type::Array { element, .. } => element,
            Type::Pointer { to } => to,
            _ => return Err(self.mismatch("[]", "an array or a pointer", of)?),
        };
        let Some(size) = self.type_size(element)? else {
            return Err(self.mismatch("[]", "elements whose size is known", of)?);
        };
        let offset = Expr::binary(BinaryOp::Mul, index, Expr::Constant(size));
        let is_pointer = matches!(self.resolved_type(of.type_id)?.1, Type::Pointer { .. });
        let location = match (&of.location, offset) {
            (_, offset) if is_pointer => Location::Memory(Expr::binary(BinaryOp::Add, self.pointer_value(of)?, offset)),
            (Location::Memory(address), offset) => {
                Location::Memory(Expr::binary(BinaryOp::Add, address.clone(), offset))
            }
            (location, Expr::Constant(offset)) => location.part(offset, size).ok_or_else(|| scattered("[]"))?,
            _ => return Err(scattered("[]")),
        };
        Ok(Variable { type_id: element, location, bits: None })
    }

    pub(super) fn deref(&self, of: &Variable) -> Result<Variable, VariableError> {
        match self.resolved_type(of.type_id)?.1 {
            Type::Pointer { to } => {
                Ok(Variable { type_id: to, location: Location::Memory(self.pointer_value(of)?), bits: None })
            }
            _ => Err(self.mismatch("*", "a pointer", of)?),
        }
    }

    pub(super) fn address_of(&self, of: &Variable) -> Result<Variable, VariableError> {
        match (&of.location, of.bits) {
            (Location::Memory(address), None) => {
                let location = Location::Value(address.clone());
                Ok(Variable { type_id: of.type_id.pointer()?, location, bits: None })
            }
            (_, Some(_)) => Err(VariableError::Unsupported("a bit field has no address".to_owned())),
            _ => Err(VariableError::Unsupported("what is kept in a register has no address".to_owned())),
        }
    }

    /// What a pointer holds.
    fn pointer_value(&self, pointer: &Variable) -> Result<Expr, VariableError> {
        pointer.location.number(8).ok_or_else(|| scattered("*"))
    }

    /// A member of a struct, also of unnamed structs, unions and base classes in it. The names that there are go to
    /// `known`.
    fn find_member(
        &self,
        id: TypeId,
        name: &str,
        depth: usize,
        known: &mut Vec<String>,
    ) -> Result<Option<Found>, DebuginfoError> {
        LimitExceeded::check("depth of nested structs", depth as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        for member in self.members(id)? {
            match member.name {
                Some(own) if own == name => {
                    return Ok(Some(Found { type_id: member.type_id, offset: member.offset, bits: member.bits }));
                }
                Some(own) => known.push(own),
                None => {
                    if let Some(mut found) = self.find_member(member.type_id, name, depth + 1, known)? {
                        let offset = found.offset.checked_add(member.offset);
                        found.offset = offset.ok_or_else(|| damaged("a member lies outside of memory"))?;
                        return Ok(Some(found));
                    }
                }
            }
            LimitExceeded::check("members of a type", known.len() as u64, TYPE_MEMBERS_MAX as u64)?;
        }
        Ok(None)
    }

    fn mismatch(&self, step: &str, wanted: &'static str, of: &Variable) -> Result<VariableError, DebuginfoError> {
        Ok(VariableError::Mismatch { step: step.to_owned(), wanted, found: self.type_name(of.type_id)? })
    }
}

fn scattered(step: &str) -> VariableError {
    VariableError::Unsupported(format!(
        "{step} leads into a value that lies in several places, or was partly optimised out"
    ))
}
