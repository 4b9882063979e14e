//! Types by name: how `stap -L` spells them, and which type a name means.

use gimli::DwTag;
use gimli::constants as dw;
use shared::limits::{DEBUGINFO_CHAIN_MAX, DEBUGINFO_NAME_BYTES_MAX, LimitExceeded};

use super::unit::Dwarf;
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

impl Dwarf<'_> {
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
