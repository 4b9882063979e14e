//! The symbol table: which functions there are, at which addresses, and which of them the kernel lets nobody probe.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bstr::ByteSlice as _;
use object::LittleEndian;
use object::elf;
use object::read::elf::Sym as _;
use shared::limits::DEBUGINFO_NAME_BYTES_MAX;
use shared::target::{glob_matches, is_glob};

use super::elf::Image;
use super::unit::{Dwarf, damaged, keep};
use super::work::Work;
use super::{DebuginfoError, Function, Functions, ObjectKind, Refusal};

/// Ranges of kernel code that kprobes refuses: kernel/kprobes.c, populate_kprobe_blacklist(), and for x86
/// arch_populate_kprobe_blacklist(). Entry code holds the interrupt entries since Linux kernel commit f0178fc01fe4
/// ("x86/entry: Unbreak __irqentry_text_start/end magic") (in v5.8); before, they were a range of their own.
const BLOCKLISTED_RANGES: [(&str, &str); 4] = [
    ("__noinstr_text_start", "__noinstr_text_end"),
    ("__kprobes_text_start", "__kprobes_text_end"),
    ("__entry_text_start", "__entry_text_end"),
    ("__irqentry_text_start", "__irqentry_text_end"),
];

/// Where the linker lists the places that ftrace patches.
const FTRACE_LOCATIONS: (&str, &str) = ("__start_mcount_loc", "__stop_mcount_loc");

/// What `NOKPROBE_SYMBOL(f)` leaves: an entry of the section `_kprobe_blacklist`, named so
/// (include/asm-generic/kprobes.h).
const BLOCKLIST_ENTRY: &str = "_kbl_addr_";

/// What was found in the symbol table.
pub(super) struct Symbols<'i> {
    functions: Vec<FunctionSymbol<'i>>,
    refusals: Refusals<'i>,
}

/// A function's symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FunctionSymbol<'i> {
    pub(super) symbol: &'i str,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) binding: u8,
    /// Why the kernel refuses probes in it, as far as it was looked at.
    pub(super) refusal: Option<Refusal>,
}

/// What the kernel refuses probes by.
#[derive(Default)]
struct Refusals<'i> {
    /// Symbols that mark places of the kernel.
    marks: BTreeMap<&'i str, u64>,
    /// Functions that say of themselves that they must not be probed.
    blocklisted: BTreeSet<&'i str>,
    /// Sorted. Empty where the file does not say, or the kernel has no ftrace.
    ftrace_locations: Vec<u64>,
}

impl<'i> Symbols<'i> {
    pub(super) fn read(image: &'i Image<'_>, work: &Work) -> Result<Self, DebuginfoError> {
        let mut functions = Vec::new();
        let mut refusals = Refusals::default();
        if image.symbol_table().len() <= 1 {
            return Err(DebuginfoError::Elf("it has no symbols".to_owned()));
        }
        let kernel = image.object.kind == ObjectKind::Kernel;
        let names = names(image);
        for symbol in image.symbol_table().iter() {
            let name = symbol_name(names, symbol, work)?;
            if symbol.st_type() == elf::STT_FUNC {
                functions.extend(FunctionSymbol::new(image, symbol, text(name)));
            } else if kernel && name.starts_with(BLOCKLIST_ENTRY.as_bytes()) {
                refusals.blocklisted.insert(text(&name[BLOCKLIST_ENTRY.len()..]));
            } else if kernel && symbol.st_type() == elf::STT_NOTYPE && is_mark(name) {
                refusals.marks.insert(text(name), symbol.st_value(LittleEndian));
            }
        }
        refusals.ftrace_locations = refusals.read_ftrace_locations(image).unwrap_or_default();
        Ok(Self { functions, refusals })
    }

    /// The functions for which that holds, and why they cannot be probed.
    pub(super) fn functions(
        &self,
        holds: impl Fn(&FunctionSymbol<'i>) -> bool,
    ) -> impl Iterator<Item = FunctionSymbol<'i>> {
        let chosen = self.functions.iter().filter(move |function| holds(function));
        chosen.map(|function| FunctionSymbol { refusal: self.refusals.of(function), ..*function })
    }

    /// Where the kernel begins.
    pub(super) fn stext(&self) -> Option<u64> {
        self.refusals.marks.get("_stext").copied()
    }
}

impl Dwarf<'_> {
    /// The functions that match.
    pub(super) fn functions(&self, pattern: &str) -> Result<Functions, DebuginfoError> {
        let glob = is_glob(pattern);
        let plain = pattern.find(['*', '?', '[']).map_or(pattern, |special| &pattern[..special]);
        let matches = |name: &str| if glob { glob_matches(pattern, name) } else { name == pattern };
        let is_meant = |function: &FunctionSymbol<'_>| {
            function.symbol.starts_with(plain) && (matches(function.symbol) || matches(function.name()))
        };
        let mut matches: Vec<FunctionSymbol<'_>> = match self.index {
            Some(index) if glob => index.symbols().filter(is_meant).collect(),
            Some(index) => index.symbols_named(pattern).filter(is_meant).collect(),
            None => self.symbols()?.functions(is_meant).collect(),
        };
        matches.sort_by_key(FunctionSymbol::precedence);
        matches.dedup_by_key(|function| function.address);
        let mut functions = Functions::default();
        for function in matches {
            match function.refusal {
                None if function.is_part() && function.symbol != pattern => {
                    functions.refused.push((function.to_function(), Refusal::Part));
                }
                None => functions.found.push(function.to_function()),
                Some(refusal) => functions.refused.push((function.to_function(), refusal)),
            }
        }
        functions.found.sort();
        functions.refused.sort();
        Ok(functions)
    }

    /// The function whose code begins at an address.
    pub(super) fn function_at(&self, address: u64) -> Result<Option<FunctionSymbol<'_>>, DebuginfoError> {
        if let Some(index) = self.index {
            return Ok(index.symbol_at(address));
        }
        let here = self.symbols()?.functions(|function| function.address == address);
        Ok(here.min_by_key(FunctionSymbol::precedence))
    }

    /// The function whose code an address lies in.
    pub(super) fn function_around(&self, address: u64) -> Result<Option<FunctionSymbol<'_>>, DebuginfoError> {
        let around = match self.index {
            Some(index) => index.symbol_before(address),
            None => {
                let before = self.symbols()?.functions(|function| function.address <= address);
                before.min_by_key(|function| (Reverse(function.address), function.precedence()))
            }
        };
        Ok(around.filter(|function| address - function.address < function.size))
    }

    /// The address of a global variable by its symbol; `None` where there is none, or several.
    pub(super) fn data_symbol(&self, name: &str) -> Result<Option<u64>, DebuginfoError> {
        let mut found: BTreeSet<u64> = match self.index {
            Some(index) => index.data_named(name).collect(),
            None => self.data()?.iter().filter(|(symbol, _)| *symbol == name).map(|(_, address)| *address).collect(),
        };
        Ok(if found.len() == 1 { found.pop_first() } else { None })
    }

    /// The global variables in the symbol table.
    pub(super) fn data(&self) -> Result<&[(&str, u64)], DebuginfoError> {
        keep(&self.data, || data_symbols(self.image, &self.work)).map(Vec::as_slice)
    }

    /// The distance of a kernel address from `_stext`.
    pub(super) fn offset_from_stext(&self, address: u64) -> Result<u64, DebuginfoError> {
        let stext = match self.index {
            Some(index) => index.stext(),
            None => self.symbols()?.stext(),
        };
        let stext = stext.ok_or_else(|| damaged("the kernel has no symbol _stext"))?;
        address.checked_sub(stext).ok_or_else(|| damaged("an address lies before _stext"))
    }
}

impl Refusals<'_> {
    fn of(&self, function: &FunctionSymbol<'_>) -> Option<Refusal> {
        let address = function.address;
        let lies_in = |(start, end): &(&str, &str)| match (self.marks.get(start), self.marks.get(end)) {
            (Some(start), Some(end)) => (*start..*end).contains(&address),
            _ => false,
        };
        if function.refusal.is_some() {
            return function.refusal;
        }
        if self.blocklisted.contains(function.name()) || BLOCKLISTED_RANGES.iter().any(lies_in) {
            return Some(Refusal::Blocklisted);
        }
        let next = self.ftrace_locations.partition_point(|&location| location < address);
        let traced = self.ftrace_locations.get(next).is_some_and(|&location| location - address < function.size.max(1));
        (!self.ftrace_locations.is_empty() && !traced).then_some(Refusal::NotTraced)
    }

    /// The addresses of all calls to `__fentry__`: in the kernel a list that the linker made.
    fn read_ftrace_locations(&self, image: &Image<'_>) -> Option<Vec<u64>> {
        let (&start, &end) = (self.marks.get(FTRACE_LOCATIONS.0)?, self.marks.get(FTRACE_LOCATIONS.1)?);
        let list = image.section_at(start)?.bytes_at(start, end.checked_sub(start)?)?;
        let mut locations: Vec<u64> = list
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .filter(|&location| location != 0)
            .collect();
        locations.sort_unstable();
        Some(locations)
    }
}

/// The global variables in the symbol table.
fn data_symbols<'i>(image: &'i Image<'_>, work: &Work) -> Result<Vec<(&'i str, u64)>, DebuginfoError> {
    let mut data = Vec::new();
    let names = names(image);
    for symbol in image.symbol_table().iter() {
        let is_data = symbol.st_type() == elf::STT_OBJECT && symbol.st_shndx(LittleEndian) != elf::SHN_UNDEF;
        if is_data && !symbol.is_local() {
            data.push((text(symbol_name(names, symbol, work)?), symbol.st_value(LittleEndian)));
        }
    }
    Ok(data)
}

impl<'i> FunctionSymbol<'i> {
    /// Nothing where the symbol is no code that can be called: undefined, cut off a function (`.cold`), or padding
    /// before one.
    fn new(image: &Image<'_>, symbol: &elf::Sym64<LittleEndian>, name: &'i str) -> Option<Self> {
        let section = image.section_numbered(usize::from(symbol.st_shndx(LittleEndian)))?;
        let kernel = image.object.kind == ObjectKind::Kernel;
        let init = kernel && (section.name == ".init.text" || section.name == ".exit.text");
        let text = !kernel || init || section.name.starts_with(".text");
        let cold = name.contains(".cold");
        let padding = kernel && (name.starts_with("__pfx_") || name.starts_with("__cfi_"));
        (section.executable && text && !cold && !padding && !name.is_empty()).then(|| Self {
            symbol: name,
            address: symbol.st_value(LittleEndian),
            size: symbol.st_size(LittleEndian),
            binding: symbol.st_bind(),
            refusal: init.then_some(Refusal::Init),
        })
    }

    /// Without the suffix of a clone (`.isra.0`) or version (`@@GLIBC_2.34`).
    pub(super) fn name(&self) -> &'i str {
        match self.symbol.get(1..).and_then(|rest| rest.find(['.', '@'])) {
            Some(end) => &self.symbol[..=end],
            None => self.symbol,
        }
    }

    /// Whether GCC split it off a function, so that the beginning could be inlined (-fpartial-inlining).
    pub(super) fn is_part(&self) -> bool {
        self.symbol.contains(".part.")
    }

    /// Of several symbols at one address, the first: a global one, then one with few underscores.
    pub(super) fn precedence(&self) -> (u64, bool, bool, usize, &'i str) {
        let underscores = self.symbol.bytes().take_while(|&byte| byte == b'_').count();
        (self.address, self.binding != elf::STB_GLOBAL, self.binding == elf::STB_LOCAL, underscores, self.symbol)
    }

    pub(super) fn to_function(self) -> Function {
        Function {
            name: self.name().to_owned(),
            symbol: self.symbol.to_owned(),
            address: self.address,
            size: self.size,
            external: self.binding != elf::STB_LOCAL,
        }
    }
}

/// The string table of the symbol table.
fn names<'i>(image: &'i Image<'_>) -> &'i [u8] {
    let section = image.section_numbered(image.symbol_table().string_section().0);
    section.and_then(|section| section.data.as_deref()).unwrap_or_default()
}

fn symbol_name<'i>(
    names: &'i [u8],
    symbol: &elf::Sym64<LittleEndian>,
    work: &Work,
) -> Result<&'i [u8], DebuginfoError> {
    let start = symbol.st_name(LittleEndian) as usize;
    let rest = names.get(start..).ok_or_else(|| damaged("a symbol's name lies outside the string table"))?;
    let rest = &rest[..rest.len().min(DEBUGINFO_NAME_BYTES_MAX)];
    let length = rest.find_byte(0).ok_or_else(|| damaged("a symbol's name has no end"))?;
    work.charge(1 + length / 16)?;
    Ok(&rest[..length])
}

/// A name; empty, which is nobody's, where it is no text.
fn text(name: &[u8]) -> &str {
    str::from_utf8(name).unwrap_or_default()
}

fn is_mark(name: &[u8]) -> bool {
    let (start, end) = FTRACE_LOCATIONS;
    let is = |mark: &str| name == mark.as_bytes();
    is("_stext") || is(start) || is(end) || BLOCKLISTED_RANGES.iter().any(|(start, end)| is(start) || is(end))
}
