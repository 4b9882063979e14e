//! Types as C has them, and how entries describe them.

use gimli::constants as dw;
use gimli::{AttributeValue, DebugInfoOffset};
use shared::limits::{DEBUGINFO_CHAIN_MAX, LimitExceeded, TYPE_MEMBERS_MAX};

use super::expression::{NoLocation, Scene};
use super::unit::{Die, Dwarf, damaged, unsupported};
use super::{Bits, DebuginfoError, Expr, Location};

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

impl TypeId {
    /// `void`
    pub const VOID: Self = Self { die: 0, dimensions: 0, pointers: 0 };

    /// The type of a pointer to this.
    ///
    /// # Errors
    /// When it is a pointer to a pointer to …, 255 times.
    pub fn pointer(self) -> Result<Self, DebuginfoError> {
        let pointers = self.pointers.checked_add(1).ok_or_else(|| unsupported("a pointer has too many levels"))?;
        Ok(Self { pointers, ..self })
    }

    /// Whether it is what indexing an array of several dimensions once gives.
    pub(super) fn is_dimension_of(self, array: Self) -> bool {
        self.die == array.die && self.pointers == array.pointers
    }
}

impl<'i> Dwarf<'i> {
    pub(super) fn type_of(&self, id: TypeId) -> Result<Type, DebuginfoError> {
        if let Some(pointers) = id.pointers.checked_sub(1) {
            return Ok(Type::Pointer { to: TypeId { pointers, ..id } });
        }
        if id == TypeId::VOID {
            return Ok(Type::Void);
        }
        let die = self.die_at(id.die)?;
        let qualified = |qualifier| Ok(Type::Qualified { qualifier, to: self.type_id(&die)? });
        match die.tag() {
            dw::DW_TAG_base_type => self.base_type(&die),
            dw::DW_TAG_unspecified_type => Ok(Type::Void),
            dw::DW_TAG_enumeration_type => self.enumeration(&die),
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
                Ok(Type::Pointer { to: self.type_id(&die)? })
            }
            dw::DW_TAG_structure_type => self.structure(&die, StructKind::Struct),
            dw::DW_TAG_union_type => self.structure(&die, StructKind::Union),
            dw::DW_TAG_class_type => self.structure(&die, StructKind::Class),
            dw::DW_TAG_array_type => self.array(&die, id),
            dw::DW_TAG_subroutine_type | dw::DW_TAG_subprogram => self.function(&die),
            dw::DW_TAG_typedef => {
                let name = self.name(&die)?.ok_or_else(|| damaged("a typedef has no name"))?;
                Ok(Type::Typedef { name, to: self.type_id(&die)? })
            }
            dw::DW_TAG_const_type => qualified(Qualifier::Const),
            dw::DW_TAG_volatile_type => qualified(Qualifier::Volatile),
            dw::DW_TAG_restrict_type => qualified(Qualifier::Restrict),
            dw::DW_TAG_atomic_type => qualified(Qualifier::Atomic),
            tag => Err(unsupported(&format!("types of the kind {tag} are not supported"))),
        }
    }

    pub(super) fn resolved_type(&self, id: TypeId) -> Result<(TypeId, Type), DebuginfoError> {
        let (id, resolved) = self.unqualified_type(id)?;
        if let Type::Struct { kind, name: Some(name), size: None } = &resolved
            && let Some(defined) = self.struct_named(*kind, name)?
        {
            return Ok((defined, self.type_of(defined)?));
        }
        Ok((id, resolved))
    }

    /// The type below typedefs and qualifiers.
    fn unqualified_type(&self, mut id: TypeId) -> Result<(TypeId, Type), DebuginfoError> {
        for _ in 0..DEBUGINFO_CHAIN_MAX {
            match self.type_of(id)? {
                Type::Typedef { to, .. } | Type::Qualified { to, .. } => id = to,
                resolved => return Ok((id, resolved)),
            }
        }
        Err(damaged("a type is defined by itself"))
    }

    pub(super) fn members(&self, id: TypeId) -> Result<Vec<Member>, DebuginfoError> {
        let (id, resolved) = self.resolved_type(id)?;
        if !matches!(resolved, Type::Struct { .. }) {
            return Ok(Vec::new());
        }
        let mut members = Vec::new();
        let die = self.die_at(id.die)?;
        let mut children = self.children(&die)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_member || tag == dw::DW_TAG_inheritance)? {
            // Static members of C++ classes lie elsewhere.
            if !child.has(dw::DW_AT_external) && !child.has(dw::DW_AT_declaration) {
                members.push(self.read_member(&child)?);
            }
            LimitExceeded::check("members of a type", members.len() as u64, TYPE_MEMBERS_MAX as u64)?;
        }
        Ok(members)
    }

    pub(super) fn enumerators(&self, id: TypeId) -> Result<Vec<Enumerator>, DebuginfoError> {
        let (id, resolved) = self.resolved_type(id)?;
        if !matches!(resolved, Type::Enum { .. }) {
            return Ok(Vec::new());
        }
        let mut enumerators = Vec::new();
        let die = self.die_at(id.die)?;
        let mut children = self.children(&die)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_enumerator)? {
            let name = self.name(&child)?.ok_or_else(|| damaged("an enumerator has no name"))?;
            enumerators.push(Enumerator { name, value: self.enumerator_value(&child) });
            LimitExceeded::check("members of a type", enumerators.len() as u64, TYPE_MEMBERS_MAX as u64)?;
        }
        Ok(enumerators)
    }

    pub(super) fn type_size(&self, id: TypeId) -> Result<Option<u64>, DebuginfoError> {
        let mut elements: u64 = 1;
        let mut id = id;
        for _ in 0..DEBUGINFO_CHAIN_MAX {
            let (_, resolved) = self.resolved_type(id)?;
            let size = match resolved {
                Type::Void | Type::Function { .. } => None,
                Type::Integer { size, .. } | Type::Float { size, .. } | Type::Enum { size, .. } => {
                    Some(u64::from(size))
                }
                Type::Pointer { .. } => Some(8),
                Type::Struct { size, .. } => size,
                Type::Array { element, count } => {
                    let Some(count) = count else { return Ok(None) };
                    let too_large = || damaged("an array is larger than memory");
                    elements = elements.checked_mul(count).ok_or_else(too_large)?;
                    id = element;
                    continue;
                }
                Type::Typedef { .. } | Type::Qualified { .. } => None,
            };
            let Some(size) = size else { return Ok(None) };
            return size.checked_mul(elements).map(Some).ok_or_else(|| damaged("an array is larger than memory"));
        }
        Err(damaged("a type is defined by itself"))
    }

    /// The type that an entry is of (DW_AT_type, perhaps of its origin); void where there is none.
    pub(super) fn type_id(&self, die: &Die<'i>) -> Result<TypeId, DebuginfoError> {
        let offset = match self.inherited(die, dw::DW_AT_type)? {
            None => return Ok(TypeId::VOID),
            Some((owner, AttributeValue::UnitRef(offset))) => (owner.unit.offset() + offset.0) as u64,
            Some((_, AttributeValue::DebugInfoRef(DebugInfoOffset(offset)))) => offset as u64,
            Some((owner, reference)) => self.referent(&owner, &reference)?.offset(),
        };
        Ok(TypeId { die: offset, ..TypeId::VOID })
    }

    /// The entry of a type; `None` for void and for pointers that have none.
    pub(super) fn type_die(&self, id: TypeId) -> Result<Option<Die<'i>>, DebuginfoError> {
        if id.pointers > 0 || id == TypeId::VOID { Ok(None) } else { self.die_at(id.die).map(Some) }
    }

    /// The type that an entry itself describes.
    pub(super) fn own_type_id(&self, die: &Die<'i>) -> TypeId {
        TypeId { die: die.offset(), ..TypeId::VOID }
    }

    pub(super) fn enumerator_value(&self, enumerator: &Die<'i>) -> i64 {
        match enumerator.value(dw::DW_AT_const_value) {
            Some(AttributeValue::Sdata(value)) => value,
            Some(value) => value.udata_value().map_or(0, u64::cast_signed),
            None => 0,
        }
    }

    fn base_type(&self, die: &Die<'i>) -> Result<Type, DebuginfoError> {
        let name = self.name(die)?.unwrap_or_default();
        let size = small_size(die)?;
        let encoding = match die.value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(dw::DW_ATE_signed)) => Encoding::Signed,
            Some(AttributeValue::Encoding(dw::DW_ATE_unsigned)) => Encoding::Unsigned,
            Some(AttributeValue::Encoding(dw::DW_ATE_signed_char)) => Encoding::SignedChar,
            Some(AttributeValue::Encoding(dw::DW_ATE_unsigned_char | dw::DW_ATE_UTF)) => Encoding::UnsignedChar,
            Some(AttributeValue::Encoding(dw::DW_ATE_boolean)) => Encoding::Bool,
            Some(AttributeValue::Encoding(dw::DW_ATE_float)) => return Ok(Type::Float { name, size }),
            _ => return Err(unsupported(&format!("numbers of type {name} are not supported"))),
        };
        Ok(Type::Integer { name, size, encoding })
    }

    fn enumeration(&self, die: &Die<'i>) -> Result<Type, DebuginfoError> {
        let signed = match die.value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding == dw::DW_ATE_signed,
            _ if die.has(dw::DW_AT_type) => match self.unqualified_type(self.type_id(die)?)?.1 {
                Type::Integer { encoding, .. } => matches!(encoding, Encoding::Signed | Encoding::SignedChar),
                _ => false,
            },
            _ => false,
        };
        Ok(Type::Enum { name: self.name(die)?, size: small_size(die)?, signed })
    }

    fn structure(&self, die: &Die<'i>, kind: StructKind) -> Result<Type, DebuginfoError> {
        let declared = die.has(dw::DW_AT_declaration);
        let size = die.unsigned(dw::DW_AT_byte_size).filter(|_| !declared);
        Ok(Type::Struct { kind, name: self.name(die)?, size })
    }

    fn array(&self, die: &Die<'i>, id: TypeId) -> Result<Type, DebuginfoError> {
        let mut counts = Vec::new();
        let mut children = self.children(die)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_subrange_type)? {
            let last = child.unsigned(dw::DW_AT_upper_bound).and_then(|last| last.checked_add(1));
            counts.push(child.unsigned(dw::DW_AT_count).or(last));
            LimitExceeded::check("dimensions of an array", counts.len() as u64, u64::from(u8::MAX))?;
        }
        let dimension = usize::from(id.dimensions);
        let element = if dimension + 1 < counts.len() {
            TypeId { dimensions: id.dimensions + 1, ..id }
        } else {
            self.type_id(die)?
        };
        Ok(Type::Array { element, count: counts.get(dimension).copied().flatten() })
    }

    fn function(&self, die: &Die<'i>) -> Result<Type, DebuginfoError> {
        let mut parameters = Vec::new();
        let mut children = self.children(die)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_formal_parameter)? {
            parameters.push(self.type_id(&child)?);
            LimitExceeded::check("parameters of a function", parameters.len() as u64, TYPE_MEMBERS_MAX as u64)?;
        }
        Ok(Type::Function { returns: self.type_id(die)?, parameters })
    }

    fn read_member(&self, die: &Die<'i>) -> Result<Member, DebuginfoError> {
        let type_id = self.type_id(die)?;
        let name = if die.tag() == dw::DW_TAG_member { self.name(die)? } else { None };
        let offset = self.member_offset(die)?;
        let Some(size_bits) = die.unsigned(dw::DW_AT_bit_size) else {
            return Ok(Member { name, type_id, offset, bits: None });
        };
        let too_far = || damaged("a bit field lies outside of memory");
        let first_bit = match (die.unsigned(dw::DW_AT_data_bit_offset), die.unsigned(dw::DW_AT_bit_offset)) {
            (Some(first_bit), _) => first_bit,
            // DWARF 3: counted from the highest bit of a storage unit (section 5.5.6).
            (None, Some(from_highest)) => {
                let storage_size =
                    die.unsigned(dw::DW_AT_byte_size).map_or_else(|| self.type_size(type_id), |size| Ok(Some(size)));
                let storage_bits = storage_size?.unwrap_or(0).checked_mul(8).ok_or_else(too_far)?;
                let lowest = storage_bits.checked_sub(from_highest).and_then(|bits| bits.checked_sub(size_bits));
                offset.checked_mul(8).zip(lowest).and_then(|(a, b)| a.checked_add(b)).ok_or_else(too_far)?
            }
            (None, None) => offset.checked_mul(8).ok_or_else(too_far)?,
        };
        let (offset, bits) = bit_field(first_bit, size_bits)?;
        Ok(Member { name, type_id, offset, bits: Some(bits) })
    }

    /// DW_AT_data_member_location: a number, or in DWARF 2 an expression that adds one to the struct's address.
    fn member_offset(&self, die: &Die<'i>) -> Result<u64, DebuginfoError> {
        let expression = match die.value(dw::DW_AT_data_member_location) {
            None => return Ok(0),
            Some(AttributeValue::Exprloc(expression)) => expression,
            Some(value) => return value.udata_value().ok_or_else(|| unsupported("a member's place varies")),
        };
        let scene = Scene { die, subprogram: None, pc: 0, entry_pc: 0, nesting: 0 };
        match self.evaluate(expression, scene, Some(Expr::Constant(0))) {
            Ok(Location::Memory(Expr::Constant(offset))) => Ok(offset),
            Err(NoLocation::Debuginfo(error)) => Err(error),
            _ => Err(unsupported("a member's place varies")),
        }
    }
}

/// The bytes that hold a bit field, and which bits of them: as few bytes as can be read at once.
fn bit_field(first_bit: u64, size_bits: u64) -> Result<(u64, Bits), DebuginfoError> {
    let (offset, shift) = (first_bit / 8, first_bit % 8);
    if !(1..=64).contains(&size_bits) || shift + size_bits > 64 {
        return Err(unsupported("a bit field spans more than 8 bytes"));
    }
    let storage_size = (shift + size_bits).div_ceil(8).next_power_of_two();
    match (u8::try_from(storage_size), u8::try_from(shift), u8::try_from(size_bits)) {
        (Ok(storage_size), Ok(offset_bits), Ok(size)) => Ok((offset, Bits { storage_size, offset: offset_bits, size })),
        _ => Err(damaged("a bit field")),
    }
}

/// The size of a number.
fn small_size(die: &Die<'_>) -> Result<u8, DebuginfoError> {
    let size = die.unsigned(dw::DW_AT_byte_size).and_then(|size| u8::try_from(size).ok());
    size.filter(|size| (1..=16).contains(size)).ok_or_else(|| unsupported("a number has an unusual size"))
}
