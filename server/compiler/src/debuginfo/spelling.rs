//! Types by name: how `stap -L` spells them, and which type a name means.

use bstr::ByteSlice as _;
use gimli::constants as dw;
use gimli::{AttributeValue, DebugStrOffset, DwTag, Reader as _, Section as _};
use shared::limits::{DEBUGINFO_CHAIN_MAX, DEBUGINFO_NAME_BYTES_MAX, LimitExceeded};

use super::unit::{Die, Dwarf};
use super::{DebuginfoError, Qualifier, StructKind, Type, TypeId};

/// What can have a name that a script may use.
const NAMED_TYPES: [DwTag; 6] = [
    dw::DW_TAG_typedef,
    dw::DW_TAG_base_type,
    dw::DW_TAG_structure_type,
    dw::DW_TAG_union_type,
    dw::DW_TAG_class_type,
    dw::DW_TAG_enumeration_type,
];

/// How far `.debug_info` is searched for one mention of a name before it is searched for the next.
const SEARCH_WINDOW_BYTES: usize = 1 << 20;

/// How many mentions are searched for. A short name is the end of many others.
const MENTIONS_MAX: usize = 64;

impl<'i> Dwarf<'i> {
    pub(super) fn type_name(&self, id: TypeId) -> Result<String, DebuginfoError> {
        let mut name = String::new();
        self.spell(id, 0, &mut name)?;
        Ok(name)
    }

    pub(super) fn type_named(&self, name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        let levels = name.bytes().rev().take_while(|byte| b"* ".contains(byte)).filter(|&byte| byte == b'*').count();
        let words: Vec<&str> = name
            .trim_end_matches(['*', ' '])
            .split_ascii_whitespace()
            .filter(|word| !matches!(*word, "const" | "volatile"))
            .collect();
        let tags: &[DwTag] = match words.first() {
            Some(&"struct") => &[dw::DW_TAG_structure_type, dw::DW_TAG_class_type],
            Some(&"class") => &[dw::DW_TAG_class_type, dw::DW_TAG_structure_type],
            Some(&"union") => &[dw::DW_TAG_union_type],
            Some(&"enum") => &[dw::DW_TAG_enumeration_type],
            _ => &NAMED_TYPES,
        };
        let words = if tags.len() < NAMED_TYPES.len() { &words[1..] } else { &words[..] };
        let mut found = match words {
            [] => None,
            ["void"] => Some(TypeId::VOID),
            words => self.find_type(tags, &base_type_name(words))?,
        };
        for _ in 0..levels {
            found = found.map(TypeId::pointer).transpose()?;
        }
        Ok(found)
    }

    /// The definition of a struct in whichever unit has one.
    pub(super) fn struct_named(&self, kind: StructKind, name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        let tags: &[DwTag] = match kind {
            StructKind::Struct | StructKind::Class => &[dw::DW_TAG_structure_type, dw::DW_TAG_class_type],
            StructKind::Union => &[dw::DW_TAG_union_type],
        };
        self.find_type(tags, name)
    }

    /// The first definition of a type at the top level of a unit.
    fn find_type(&self, tags: &[DwTag], name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        let key = (tags.first().map_or(0, |tag| tag.0), name.to_owned());
        if let Some(found) = self.types.borrow().get(&key) {
            return Ok(*found);
        }
        let found = self.search_units(tags, name)?;
        self.types.borrow_mut().insert(key, found);
        Ok(found)
    }

    fn search_units(&self, tags: &[DwTag], name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        let spelled = Spelled::new(self, name)?;
        let mut from = 0;
        while let Some(offset) = spelled.next_mention(self, from)? {
            let unit = match self.unit_around(offset) {
                Ok(Some(unit)) => unit,
                Ok(None) => return Ok(None),
                Err(DebuginfoError::Unsupported(_)) => {
                    from = self.unit_after(offset)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut children = self.children(&self.root(&unit)?)?;
            while let Some(child) = children.next_of(|tag| tags.contains(&tag))? {
                if self.is_named(&child, name, &spelled.offsets)? && !child.has(dw::DW_AT_declaration) {
                    return Ok(Some(self.own_type_id(&child)));
                }
            }
            from = unit.end();
        }
        Ok(None)
    }

    fn is_named(&self, die: &Die<'i>, name: &str, spellings: &[usize]) -> Result<bool, DebuginfoError> {
        match die.value(dw::DW_AT_name) {
            None => Ok(false),
            Some(AttributeValue::DebugStrRef(DebugStrOffset(offset))) => Ok(spellings.binary_search(&offset).is_ok()),
            Some(value) => Ok(self.string(&die.unit, value)? == name),
        }
    }

    fn spell(&self, id: TypeId, depth: usize, text: &mut String) -> Result<(), DebuginfoError> {
        LimitExceeded::check("depth of a type", depth as u64, DEBUGINFO_CHAIN_MAX as u64)?;
        LimitExceeded::check("bytes of a type's name", text.len() as u64, DEBUGINFO_NAME_BYTES_MAX as u64)?;
        self.work.charge(1)?;
        let tagged = |text: &mut String, keyword: &str, name: Option<String>| {
            text.push_str(keyword);
            text.push(' ');
            text.push_str(name.as_deref().unwrap_or("{...}"));
        };
        match self.type_of(id)? {
            Type::Void => text.push_str("void"),
            Type::Integer { name, .. } | Type::Float { name, .. } | Type::Typedef { name, .. } => text.push_str(&name),
            Type::Enum { name, .. } => tagged(text, "enum", name),
            Type::Struct { kind, name, .. } => tagged(text, kind.keyword(), name),
            Type::Qualified { qualifier, to } => {
                self.spell(to, depth + 1, text)?;
                text.push(' ');
                text.push_str(qualifier.keyword());
            }
            // However many dimensions it has.
            Type::Array { element, .. } => {
                let brackets = if element.is_dimension_of(id) { "" } else { "[]" };
                self.spell(element, depth + 1, text)?;
                text.push_str(brackets);
            }
            Type::Pointer { to } => match self.type_of(to)? {
                Type::Function { returns, parameters } => {
                    self.spell_function(returns, &parameters, "(*)", depth, text)?;
                }
                _ => {
                    self.spell(to, depth + 1, text)?;
                    text.push('*');
                }
            },
            Type::Function { returns, parameters } => self.spell_function(returns, &parameters, "", depth, text)?,
        }
        Ok(())
    }

    fn spell_function(
        &self,
        returns: TypeId,
        parameters: &[TypeId],
        middle: &str,
        depth: usize,
        text: &mut String,
    ) -> Result<(), DebuginfoError> {
        self.spell(returns, depth + 1, text)?;
        text.push(' ');
        text.push_str(middle);
        text.push_str(if middle.is_empty() { "(" } else { " (" });
        for (index, &parameter) in parameters.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { ", " });
            self.spell(parameter, depth + 1, text)?;
        }
        if parameters.is_empty() {
            text.push_str("void");
        }
        text.push(')');
        Ok(())
    }
}

/// How `.debug_info` may mention a name, so that units that do not are never read.
struct Spelled {
    /// Where in `.debug_str` the name stands: also as the end of another, as linkers share tails.
    offsets: Vec<usize>,
    /// The bytes of a mention; any of them.
    mentions: Vec<Vec<u8>>,
    /// Names are also mentioned by their number in a table, or there are too many to search for: any unit may have it.
    countless: bool,
}

impl Spelled {
    fn new(dwarf: &Dwarf<'_>, name: &str) -> Result<Self, DebuginfoError> {
        let strings = dwarf.sections.debug_str.reader();
        dwarf.work.charge(strings.len() / 16)?;
        let text = [name.as_bytes(), b"\0"].concat();
        let offsets: Vec<usize> = strings.slice().find_iter(&text).collect();
        // DW_FORM_strp has 4 bytes, and the same 4 in front in the 64-bit format.
        let mut mentions: Vec<Vec<u8>> = offsets.iter().map(|&offset| offset.to_le_bytes()[..4].to_vec()).collect();
        mentions.push(text);
        let countless = !dwarf.sections.debug_str_offsets.reader().is_empty() || mentions.len() > MENTIONS_MAX;
        Ok(Self { offsets, mentions, countless })
    }

    /// The next place of `.debug_info` at or after `from` that may mention the name.
    fn next_mention(&self, dwarf: &Dwarf<'_>, mut from: usize) -> Result<Option<usize>, DebuginfoError> {
        let info = dwarf.sections.debug_info.reader().slice();
        if self.countless {
            return Ok((from < info.len()).then_some(from));
        }
        while let Some(rest) = info.get(from..).filter(|rest| !rest.is_empty()) {
            let mut nearest = None;
            for mention in &self.mentions {
                let window = &rest[..rest.len().min(nearest.unwrap_or(SEARCH_WINDOW_BYTES) + mention.len() - 1)];
                dwarf.work.charge(window.len() / 16)?;
                nearest = window.find(mention).or(nearest);
            }
            if let Some(nearest) = nearest {
                return Ok(Some(from + nearest));
            }
            from += SEARCH_WINDOW_BYTES.min(rest.len());
        }
        Ok(None)
    }
}

impl StructKind {
    fn keyword(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Class => "class",
        }
    }
}

impl Qualifier {
    fn keyword(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Volatile => "volatile",
            Self::Restrict => "restrict",
            Self::Atomic => "_Atomic",
        }
    }
}

/// A base type as GCC names it, whatever the order of its words; anything else as it is.
fn base_type_name(words: &[&str]) -> String {
    let has = |wanted: &str| words.contains(&wanted);
    let known = ["unsigned", "signed", "long", "short", "int", "char"];
    if !words.iter().all(|word| known.contains(word)) {
        return words.join(" ");
    }
    let sign = if has("unsigned") { "unsigned " } else { "" };
    let longs = words.iter().filter(|&&word| word == "long").count();
    match (longs, has("short"), has("char")) {
        (_, _, true) if has("signed") => "signed char".to_owned(),
        (_, _, true) => format!("{sign}char"),
        (_, true, _) => format!("short {sign}int"),
        (0, ..) => format!("{sign}int"),
        (1, ..) => format!("long {sign}int"),
        _ => format!("long long {sign}int"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_base_type_come_in_any_order() {
        for (words, name) in [
            (&["unsigned", "long"][..], "long unsigned int"),
            (&["long", "int", "unsigned"], "long unsigned int"),
            (&["unsigned"], "unsigned int"),
            (&["signed"], "int"),
            (&["short"], "short int"),
            (&["unsigned", "short"], "short unsigned int"),
            (&["long", "long"], "long long int"),
            (&["signed", "char"], "signed char"),
            (&["char"], "char"),
            (&["long", "double"], "long double"),
            (&["size_t"], "size_t"),
        ] {
            assert_eq!(base_type_name(words), name);
        }
    }
}
