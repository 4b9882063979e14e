//! Which names a place has in scope, and where their values are there.

use std::collections::BTreeSet;

use gimli::constants as dw;
use gimli::{AttributeValue, DwTag};
use shared::limits::{DEBUGINFO_CHAIN_MAX, LimitExceeded};

use super::expression::{NoLocation, Scene};
use super::search::is_definition;
use super::unit::{Die, Dwarf};
use super::{Availability, DebuginfoError, Expr, Location, Place, Role, ScopedVariable, Variable, VariableError};

/// What the locations of variables that move depend on.
#[derive(Clone, Copy)]
struct Moving {
    pc: u64,
    entry_pc: u64,
}

/// A name that a block declares.
struct Binding<'i> {
    name: String,
    role: Role,
    die: Die<'i>,
}

impl<'i> Dwarf<'i> {
    pub(super) fn variables(&self, place: &Place) -> Result<Vec<ScopedVariable>, DebuginfoError> {
        let Some((scope, subprogram)) = self.scope_of(place)? else { return Ok(Vec::new()) };
        let mut variables = Vec::new();
        for binding in self.bindings(&scope, place.pc)? {
            let availability = match self.location(&binding.die, Some(&subprogram), place.into()) {
                Ok(_) => Availability::Here,
                Err(NoLocation::OptimisedOut) => Availability::OptimisedOut,
                Err(NoLocation::Unsupported(why)) => Availability::Unsupported(why),
                Err(NoLocation::Debuginfo(error)) => return Err(error),
            };
            let type_id = self.type_id(&binding.die)?;
            variables.push(ScopedVariable { name: binding.name, role: binding.role, type_id, availability });
        }
        Ok(variables)
    }

    pub(super) fn variable(&self, place: &Place, name: &str) -> Result<Variable, VariableError> {
        let function = || place.name().to_owned();
        let (scope, subprogram) =
            self.scope_of(place)?.ok_or_else(|| VariableError::NotDescribed { function: function() })?;
        if let Some(binding) = self.bindings(&scope, place.pc)?.into_iter().find(|binding| binding.name == name) {
            return self.located(&binding.die, Some(&subprogram), place, name);
        }
        let root = self.root(&scope.unit)?;
        if let Some(global) = self.global(&root, name)? {
            return self.located(&global, None, place, name);
        }
        let mut types = self.children(&root)?;
        while let Some(enumeration) = types.next_of(|tag| tag == dw::DW_TAG_enumeration_type)? {
            if let Some(enumerator) = self.enumerator_of(&enumeration, name)? {
                return Ok(enumerator);
            }
        }
        let (name, function, known) = (name.to_owned(), function(), self.variables(place)?);
        Err(if self.is_elsewhere(&scope, &name, 0)? {
            VariableError::NotInScope { name, function, known }
        } else {
            VariableError::Unknown { name, function, known }
        })
    }

    /// What `@var("name@file")` is: a global variable of whichever unit defines it.
    pub(super) fn global_variable(&self, name: &str, file: Option<&str>) -> Result<Variable, VariableError> {
        let unknown = || VariableError::NoGlobal { name: name.to_owned(), file: file.map(str::to_owned) };
        let die = self.find_global(name, file)?.ok_or_else(unknown)?;
        match self.location(&die, None, Moving::NOWHERE) {
            Ok(location) => Ok(Variable { type_id: self.type_id(&die)?, location, bits: None }),
            Err(NoLocation::Debuginfo(error)) => Err(error.into()),
            Err(NoLocation::Unsupported(why)) => Err(cannot_be_had(name, &why)),
            Err(NoLocation::OptimisedOut) => Err(unknown()),
        }
    }

    /// What `@enum("NAME")` is: an enumerator of whichever unit has it first.
    pub(super) fn enumerator_named(&self, name: &str) -> Result<Option<Variable>, DebuginfoError> {
        match self.find_enumeration(name)? {
            Some(enumeration) => self.enumerator_of(&enumeration, name),
            None => Ok(None),
        }
    }

    /// The subprogram of a place.
    pub(super) fn subprogram_of(&self, place: &Place) -> Result<Option<Die<'i>>, DebuginfoError> {
        let die = place.subprogram.map(|offset| self.die_at(offset)).transpose()?;
        Ok(die.filter(|die| die.tag() == dw::DW_TAG_subprogram))
    }

    /// The entry whose names are in scope at a place, and the subprogram whose frame it uses.
    fn scope_of(&self, place: &Place) -> Result<Option<(Die<'i>, Die<'i>)>, DebuginfoError> {
        let Some(subprogram) = self.subprogram_of(place)? else { return Ok(None) };
        let scope = match place.scope {
            Some(offset) => self.die_at(offset)?,
            None => subprogram.clone(),
        };
        Ok(Some((scope, subprogram)))
    }

    fn located(
        &self,
        die: &Die<'i>,
        subprogram: Option<&Die<'i>>,
        place: &Place,
        name: &str,
    ) -> Result<Variable, VariableError> {
        match self.location(die, subprogram, place.into()) {
            Ok(location) => Ok(Variable { type_id: self.type_id(die)?, location, bits: None }),
            Err(NoLocation::Debuginfo(error)) => Err(error.into()),
            Err(NoLocation::Unsupported(why)) => Err(cannot_be_had(name, &why)),
            Err(NoLocation::OptimisedOut) => Err(VariableError::OptimisedOut {
                name: name.to_owned(),
                function: place.name().to_owned(),
                known: self.variables(place)?,
            }),
        }
    }

    /// Where a variable is.
    fn location(&self, die: &Die<'i>, subprogram: Option<&Die<'i>>, moving: Moving) -> Result<Location, NoLocation> {
        if let Some((owner, value)) = self.inherited(die, dw::DW_AT_const_value)? {
            return match value {
                AttributeValue::Block(bytes) => Ok(Location::of_bytes(bytes.slice())),
                AttributeValue::Data16(number) => Ok(Location::of_bytes(&number.to_le_bytes())),
                AttributeValue::Sdata(number) => Ok(Location::Value(Expr::Constant(number.cast_unsigned()))),
                value => match value.udata_value() {
                    Some(number) => Ok(Location::Value(Expr::Constant(number))),
                    None => Ok(Location::of_bytes(self.string(&owner.unit, value)?.as_bytes())),
                },
            };
        }
        let Some((owner, value)) = self.inherited(die, dw::DW_AT_location)? else {
            return self.symbol_location(die);
        };
        let Moving { pc, entry_pc } = moving;
        let scene = Scene { die: &owner, subprogram, pc, entry_pc, nesting: 0 };
        let expression = match value {
            AttributeValue::Exprloc(expression) => expression,
            list => self.listed_expression(die, &owner, list, scene)?.ok_or(NoLocation::OptimisedOut)?,
        };
        self.evaluate(expression, scene, None)
    }

    /// Where a variable is that another unit defines: the symbol table knows.
    fn symbol_location(&self, die: &Die<'i>) -> Result<Location, NoLocation> {
        if die.tag() != dw::DW_TAG_variable || self.inherited(die, dw::DW_AT_external)?.is_none() {
            return Err(NoLocation::OptimisedOut);
        }
        let Some(name) = self.name(die)? else { return Err(NoLocation::OptimisedOut) };
        let address = self.data_symbol(&name)?;
        address.map(|address| Location::Memory(Expr::Address(address))).ok_or(NoLocation::OptimisedOut)
    }

    /// The names in scope at `pc`, innermost block first, without those that an inner one hides.
    fn bindings(&self, subprogram: &Die<'i>, pc: u64) -> Result<Vec<Binding<'i>>, DebuginfoError> {
        let mut blocks = Vec::new();
        self.collect_blocks(subprogram, pc, &mut blocks)?;
        if let Some(outermost) = blocks.first_mut() {
            self.add_dropped(subprogram, outermost)?;
        }
        let mut seen = BTreeSet::new();
        let mut bindings = Vec::new();
        for binding in blocks.into_iter().rev().flatten() {
            if seen.insert(binding.name.clone()) {
                bindings.push(binding);
            }
        }
        Ok(bindings)
    }

    /// The names that a block and the blocks within it around `pc` declare, outermost block first. Calls that were
    /// inlined at `pc` are no part of the function's scope.
    fn collect_blocks(
        &self,
        block: &Die<'i>,
        pc: u64,
        blocks: &mut Vec<Vec<Binding<'i>>>,
    ) -> Result<(), DebuginfoError> {
        LimitExceeded::check("depth of nested blocks", blocks.len() as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        let mut names = Vec::new();
        let mut inner = None;
        let mut children = self.children(block)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_lexical_block || role(tag).is_some())? {
            match role(child.tag()) {
                Some(role) => names.extend(self.binding(child, role)?),
                None if inner.is_none() && self.covers(&child, pc)? => inner = Some(child),
                None => {}
            }
        }
        blocks.push(names);
        inner.map_or(Ok(()), |inner| self.collect_blocks(&inner, pc, blocks))
    }

    fn binding(&self, die: Die<'i>, role: Role) -> Result<Option<Binding<'i>>, DebuginfoError> {
        Ok(self.name(&die)?.map(|name| Binding { name, role, die }))
    }

    /// Adds what the source declares and the compiler left out of this copy of the function: the abstract instance
    /// still has it.
    fn add_dropped(&self, subprogram: &Die<'i>, bindings: &mut Vec<Binding<'i>>) -> Result<(), DebuginfoError> {
        let Some(origin) = subprogram.value(dw::DW_AT_abstract_origin) else { return Ok(()) };
        let origin = self.referent(subprogram, &origin)?;
        let mut present = BTreeSet::new();
        for binding in bindings.iter() {
            if let Some(origin) = binding.die.value(dw::DW_AT_abstract_origin) {
                present.insert(self.referent(&binding.die, &origin)?.offset());
            }
        }
        let mut children = self.children(&origin)?;
        while let Some(child) = children.next_of(|tag| role(tag).is_some())? {
            if let Some(role) = role(child.tag()).filter(|_| !present.contains(&child.offset())) {
                bindings.extend(self.binding(child, role)?);
            }
        }
        Ok(())
    }

    /// Whether any block of the function declares the name.
    fn is_elsewhere(&self, block: &Die<'i>, name: &str, depth: usize) -> Result<bool, DebuginfoError> {
        LimitExceeded::check("depth of nested blocks", depth as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        let mut children = self.children(block)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_lexical_block || role(tag).is_some())? {
            let found = match role(child.tag()) {
                Some(_) => self.name(&child)?.as_deref() == Some(name),
                None => self.is_elsewhere(&child, name, depth + 1)?,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A variable of the file; rather the definition than a declaration.
    fn global(&self, root: &Die<'i>, name: &str) -> Result<Option<Die<'i>>, DebuginfoError> {
        let mut declared = None;
        let mut children = self.children(root)?;
        while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_variable)? {
            if self.name(&child)?.as_deref() == Some(name) {
                if is_definition(&child) {
                    return Ok(Some(child));
                }
                declared.get_or_insert(child);
            }
        }
        Ok(declared)
    }

    /// The value of a name of an enumeration.
    pub(super) fn enumerator_of(&self, enumeration: &Die<'i>, name: &str) -> Result<Option<Variable>, DebuginfoError> {
        let mut enumerators = self.children(enumeration)?;
        while let Some(enumerator) = enumerators.next_of(|tag| tag == dw::DW_TAG_enumerator)? {
            if self.name(&enumerator)?.as_deref() == Some(name) {
                let value = self.enumerator_value(&enumerator).cast_unsigned();
                let location = Location::Value(Expr::Constant(value));
                return Ok(Some(Variable { type_id: self.own_type_id(enumeration), location, bits: None }));
            }
        }
        Ok(None)
    }
}

impl Moving {
    /// For what is at one place all the time.
    const NOWHERE: Self = Self { pc: 0, entry_pc: 0 };
}

impl From<&Place> for Moving {
    fn from(place: &Place) -> Self {
        Self { pc: place.pc, entry_pc: place.function.address }
    }
}

fn cannot_be_had(name: &str, why: &str) -> VariableError {
    VariableError::Unsupported(format!("the value of variable {name:?} cannot be had: {why}"))
}

fn role(tag: DwTag) -> Option<Role> {
    match tag {
        dw::DW_TAG_formal_parameter => Some(Role::Parameter),
        dw::DW_TAG_variable => Some(Role::Local),
        _ => None,
    }
}
