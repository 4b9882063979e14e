//! Questions that search the whole file: which entry has a name. The index answers them; without one, the units that
//! mention the name are read. Both ways give the same answer.

use std::ops::ControlFlow::{self, Break, Continue};
use std::rc::Rc;

use bstr::ByteSlice as _;
use gimli::constants as dw;
use gimli::{AttributeValue, DebugStrOffset, DwTag, Reader as _, Section as _};
use shared::target::{glob_matches, is_glob};

use super::unit::{Die, Dwarf, Unit};
use super::{DebuginfoError, TypeId};

/// Types that have a name without a keyword in C, and come first where a unit has both.
const PLAIN_TYPES: [DwTag; 2] = [dw::DW_TAG_typedef, dw::DW_TAG_base_type];

/// How far `.debug_info` is searched for one mention of a name before it is searched for the next.
const SEARCH_WINDOW_BYTES: usize = 1 << 20;

/// How many mentions are searched for. A short name is the end of many others; searching for more costs as much as
/// reading all units.
const MENTIONS_MAX: usize = 16;

impl<'i> Dwarf<'i> {
    /// The first definition of a type at the top level of a unit; in one unit, typedefs and base types come before others.
    pub(super) fn find_type(&self, tags: &[DwTag], name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        let key = (tags.first().map_or(0, |tag| tag.0), name.to_owned());
        if let Some(found) = self.types.borrow().get(&key) {
            return Ok(*found);
        }
        let found = match self.index {
            Some(index) => self.choose_type(index.types(name), tags, name)?,
            None => self.search_type(tags, name)?,
        };
        let found = found.map(|die| self.own_type_id(&die));
        self.types.borrow_mut().insert(key, found);
        Ok(found)
    }

    /// Of the first definitions of each kind, which are in order, the one to take.
    fn choose_type(
        &self,
        candidates: impl Iterator<Item = u64>,
        tags: &[DwTag],
        name: &str,
    ) -> Result<Option<Die<'i>>, DebuginfoError> {
        let mut first: Option<Die<'i>> = None;
        for offset in candidates {
            let die = self.die_at(offset)?;
            if !tags.contains(&die.tag()) || self.own_name(&die)?.as_deref() != Some(name) {
                continue;
            }
            let Some(first) = &first else {
                first = Some(die);
                continue;
            };
            if first.unit.offset() != die.unit.offset() || PLAIN_TYPES.contains(&first.tag()) {
                break;
            }
            if PLAIN_TYPES.contains(&die.tag()) {
                return Ok(Some(die));
            }
        }
        Ok(first)
    }

    fn search_type(&self, tags: &[DwTag], name: &str) -> Result<Option<Die<'i>>, DebuginfoError> {
        self.search(&[name], &[], |unit, spelled| {
            let mut first = None;
            let mut children = self.children(&self.root(unit)?)?;
            while let Some(child) = children.next_of(|tag| tags.contains(&tag))? {
                if self.is_named(&child, name, spelled)? && !child.has(dw::DW_AT_declaration) {
                    if PLAIN_TYPES.contains(&child.tag()) {
                        return Ok(Break(child));
                    }
                    first.get_or_insert(child);
                }
            }
            Ok(first.map_or(Continue(()), Break))
        })
    }

    /// The first definition of a global variable, of a unit whose file matches where one is named; where none is named
    /// and there is no definition, the first declaration.
    pub(super) fn find_global(&self, name: &str, file: Option<&str>) -> Result<Option<Die<'i>>, DebuginfoError> {
        let mut declared = None;
        let defined = match self.index {
            Some(index) => {
                declared = self.first_named(index.declarations(name), name)?;
                let is_wanted = |die: &Die<'i>| file.is_none_or(|file| is_file(&die.unit, file));
                self.first(index.variables(name), |die| Ok(is_wanted(die) && self.name(die)?.as_deref() == Some(name)))?
            }
            None => self.search(&[name], &[], |unit, spelled| {
                if file.is_some_and(|file| !is_file(unit, file)) {
                    return Ok(Continue(()));
                }
                let mut children = self.children(&self.root(unit)?)?;
                while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_variable)? {
                    if !self.is_named(&child, name, spelled)? {
                        continue;
                    }
                    if is_definition(&child) {
                        return Ok(Break(child));
                    }
                    declared.get_or_insert(child);
                }
                Ok(Continue(()))
            })?,
        };
        Ok(defined.or(declared.filter(|_| file.is_none())))
    }

    /// The enumeration that first has an enumerator of that name, at the top level of a unit.
    pub(super) fn find_enumeration(&self, enumerator: &str) -> Result<Option<Die<'i>>, DebuginfoError> {
        match self.index {
            Some(index) => self.first(index.enumerations(enumerator), |die| {
                Ok(die.tag() == dw::DW_TAG_enumeration_type && self.enumerator_of(die, enumerator)?.is_some())
            }),
            None => self.search(&[enumerator], &[], |unit, _| {
                let mut children = self.children(&self.root(unit)?)?;
                while let Some(child) = children.next_of(|tag| tag == dw::DW_TAG_enumeration_type)? {
                    if self.enumerator_of(&child, enumerator)?.is_some() {
                        return Ok(Break(child));
                    }
                }
                Ok(Continue(()))
            }),
        }
    }

    /// The inlined calls of functions whose name matches, by the offsets of their entries, in order.
    pub(super) fn find_inlined(&self, pattern: &str) -> Result<Vec<u64>, DebuginfoError> {
        if let Some(index) = self.index {
            return Ok(index.inlined(pattern));
        }
        if is_glob(pattern) {
            return self.search_inlined(&[], &[], |name| glob_matches(pattern, name));
        }
        // What was optimised at link time refers to functions of other units by their offset.
        let mut functions = Vec::new();
        self.search(&[pattern], &[], |unit, _| {
            self.each_subprogram(unit, &mut |offset, name| {
                functions.extend((name == pattern).then_some(offset));
                Ok(())
            })?;
            Ok(Continue::<()>(()))
        })?;
        self.search_inlined(&[pattern], &functions, |name| name == pattern)
    }

    fn search_inlined(
        &self,
        names: &[&str],
        functions: &[u64],
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Vec<u64>, DebuginfoError> {
        let mut found = Vec::new();
        self.search(names, functions, |unit, _| {
            self.each_inlined(unit, &mut |offset, name| {
                found.extend(is_meant(name).then_some(offset));
                Ok(())
            })?;
            Ok(Continue::<()>(()))
        })?;
        Ok(found)
    }

    /// The first of some entries for which that holds.
    fn first(
        &self,
        offsets: impl Iterator<Item = u64>,
        holds: impl Fn(&Die<'i>) -> Result<bool, DebuginfoError>,
    ) -> Result<Option<Die<'i>>, DebuginfoError> {
        for offset in offsets {
            let die = self.die_at(offset)?;
            if holds(&die)? {
                return Ok(Some(die));
            }
        }
        Ok(None)
    }

    fn first_named(&self, offsets: impl Iterator<Item = u64>, name: &str) -> Result<Option<Die<'i>>, DebuginfoError> {
        self.first(offsets, |die| Ok(self.name(die)?.as_deref() == Some(name)))
    }

    /// Visits units that may mention one of the names, or one of the offsets, in order. No name: all units.
    fn search<T>(
        &self,
        names: &[&str],
        offsets: &[u64],
        mut visit: impl FnMut(&Rc<Unit<'i>>, &Spelled) -> Result<ControlFlow<T>, DebuginfoError>,
    ) -> Result<Option<T>, DebuginfoError> {
        let (spelled, mut mentions) = Spelled::new(self, names, offsets)?;
        let mut from = 0;
        while let Some(offset) = mentions.next(self, from)? {
            let unit = match self.unit_around(offset) {
                Ok(Some(unit)) => unit,
                Ok(None) => return Ok(None),
                Err(DebuginfoError::Unsupported(_)) => {
                    from = self.unit_after(offset)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Break(found) = visit(&unit, &spelled)? {
                return Ok(Some(found));
            }
            from = unit.end();
        }
        Ok(None)
    }

    /// Whether an entry, or the one that it completes, has that name.
    fn is_named(&self, die: &Die<'i>, name: &str, spelled: &Spelled) -> Result<bool, DebuginfoError> {
        match die.value(dw::DW_AT_name) {
            None => Ok(self.name(die)?.as_deref() == Some(name)),
            Some(AttributeValue::DebugStrRef(DebugStrOffset(offset))) => {
                Ok(spelled.offsets.binary_search(&offset).is_ok())
            }
            Some(value) => Ok(self.string(&die.unit, value)? == name),
        }
    }
}

/// Whether a variable's entry says where it is.
pub(super) fn is_definition(die: &Die<'_>) -> bool {
    die.has(dw::DW_AT_location) || die.has(dw::DW_AT_const_value)
}

/// Whether a unit's source file is meant by a name, which may be a glob and leave out leading directories.
pub(super) fn is_file(unit: &Unit<'_>, file: &str) -> bool {
    let name = unit.dwarf.name.map(|name| name.to_string_lossy()).unwrap_or_default();
    is_path(&name, file)
}

/// Whether a path is meant by a name, which may be a glob and leave out leading directories.
pub(super) fn is_path(path: &str, name: &str) -> bool {
    if is_glob(name) {
        return glob_matches(name, path) || glob_matches(&format!("*/{name}"), path);
    }
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Where in `.debug_str` names stand: also as the end of others, as linkers share tails.
struct Spelled {
    offsets: Vec<usize>,
}

/// Where `.debug_info` may mention names, so that units that do not are never read.
struct Mentions {
    spellings: Vec<Spelling>,
    /// Names are also mentioned by their number in a table, or there are too many to search for: any unit may have it.
    countless: bool,
}

/// The bytes of a mention, and how far they were searched for.
struct Spelling {
    bytes: Vec<u8>,
    found: Option<usize>,
    searched_to: usize,
}

impl Spelled {
    fn new(dwarf: &Dwarf<'_>, names: &[&str], dies: &[u64]) -> Result<(Self, Mentions), DebuginfoError> {
        let strings = dwarf.sections.debug_str.reader();
        let (mut offsets, mut mentions) = (Vec::new(), Vec::new());
        for name in names {
            dwarf.work.charge(strings.len() / 16)?;
            let text = [name.as_bytes(), b"\0"].concat();
            offsets.extend(strings.slice().find_iter(&text));
            mentions.push(text);
        }
        offsets.sort_unstable();
        // DW_FORM_strp and DW_FORM_ref_addr have 4 bytes, and the same 4 in front in the 64-bit format.
        let places = offsets.iter().map(|&offset| offset as u64).chain(dies.iter().copied());
        mentions.extend(places.map(|place| place.to_le_bytes()[..4].to_vec()));
        let numbered = !dwarf.sections.debug_str_offsets.reader().is_empty();
        let countless = names.is_empty() || numbered || mentions.len() > MENTIONS_MAX;
        let spelling = |bytes| Spelling { bytes, found: None, searched_to: 0 };
        Ok((Self { offsets }, Mentions { spellings: mentions.into_iter().map(spelling).collect(), countless }))
    }
}

impl Mentions {
    /// The next place of `.debug_info` at or after `from` that may mention a name.
    fn next(&mut self, dwarf: &Dwarf<'_>, mut from: usize) -> Result<Option<usize>, DebuginfoError> {
        let info = dwarf.sections.debug_info.reader().slice();
        if self.countless {
            return Ok((from < info.len()).then_some(from));
        }
        while from < info.len() {
            let end = info.len().min(from + SEARCH_WINDOW_BYTES);
            let mut nearest = None;
            for spelling in &mut self.spellings {
                let found = spelling.find(dwarf, info, from, nearest.unwrap_or(end))?;
                nearest = found.or(nearest);
            }
            if nearest.is_some() {
                return Ok(nearest);
            }
            from = end;
        }
        Ok(None)
    }
}

impl Spelling {
    /// The next mention that begins in `from..end`. What was searched is not searched again.
    fn find(
        &mut self,
        dwarf: &Dwarf<'_>,
        info: &[u8],
        from: usize,
        end: usize,
    ) -> Result<Option<usize>, DebuginfoError> {
        if self.found.is_none_or(|found| found < from) {
            let start = from.max(self.searched_to).min(end);
            let window = &info[start..info.len().min(end + self.bytes.len() - 1)];
            dwarf.work.charge(window.len() / 16)?;
            self.found = window.find(&self.bytes).map(|found| start + found);
            self.searched_to = self.found.map_or(end, |found| found + 1).max(start);
        }
        Ok(self.found.filter(|&found| found < end))
    }
}
