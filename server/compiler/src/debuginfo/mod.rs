//! Bytes of an ELF file with debuginfo → answers: which functions can be probed and where, which variables a place has
//! and where their values lie, what their types are.
//!
//! This module knows ELF and DWARF; it must not know the stap language, BPF or the IR, and no type of the libraries
//! that it reads with leaves it. Nothing is read before it is asked for: an answer about one function costs the symbol
//! table, the address ranges of the units, and one unit. The bytes are hostile: cycles, truncation and gigantic counts
//! end in a [`DebuginfoError`], and every bound stands in [`shared::limits`].
//!
//! Some questions search the whole file: which functions match, where one was inlined, which unit has an address, which
//! type, global variable or enumerator has a name. An [`index`] that is made once per build id answers those at once;
//! without one they take longer, and are answered the same.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use shared::limits::LimitExceeded;
use shared::target::{Architecture, BuildId};

use self::elf::Image;
use self::index::Index;
use self::unit::Dwarf;

// The file, and how it is walked.
mod elf;
mod symbol;
mod unit;
mod work;

// From a name to a place.
mod address;
pub mod index;
mod inlined;
mod line;
mod search;
mod statement;
mod subprogram;

// From a place to values.
mod expression;
mod frame;
mod list;
mod location;
mod returns;
mod scope;

// From values to others.
mod spelling;
mod step;
mod types;

pub use location::{BinaryOp, Bits, Expr, Location, Piece, Variable};
pub use types::{Encoding, Enumerator, Member, Qualifier, StructKind, Type, TypeId};

/// An opened ELF file. Cheap to open; what answers need is read on demand and kept.
pub struct Debuginfo<'a>(Opened<'a>);

self_cell::self_cell!(
    /// The file, and what was read of it, which borrows from the file's expanded sections.
    struct Opened<'a> {
        owner: File<'a>,
        #[not_covariant]
        dependent: Dwarf,
    }
);

/// What answers come from.
struct File<'a> {
    image: Image<'a>,
    index: Option<Index<'a>>,
}

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its `NT_GNU_BUILD_ID`, where it has one.
    pub build_id: Option<BuildId>,
    /// What it is for.
    pub kind: ObjectKind,
    /// The processor it is for.
    pub architecture: Architecture,
    /// Whether it has DWARF. Without, functions can be probed and nothing be said of their variables.
    pub has_dwarf: bool,
}

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// The kernel: `vmlinux`.
    Kernel,
    /// A program loaded at the addresses it was linked for (ET_EXEC).
    Executable,
    /// A program loaded anywhere (ET_DYN).
    PositionIndependentExecutable,
    /// A library.
    SharedObject,
}

/// A function that code was generated for, from the symbol table. Two static functions of one name are two of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// Its name as the source has it: `f` for the symbols `f`, `f.isra.0`, `f.constprop.0` and `f@@V1`.
    pub name: String,
    /// Its symbol.
    pub symbol: String,
    /// The link-time address of its first instruction. Tells functions of one name apart.
    pub address: u64,
    /// Its size in bytes; 0 where the symbol does not say.
    pub size: u64,
    /// Whether the symbol is visible outside its file.
    pub external: bool,
}

/// An answer to [`Debuginfo::functions`]. Both lists are sorted by name, then address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Functions {
    /// What can be probed.
    pub found: Vec<Function>,
    /// What matches but cannot be probed, and why: silence is right for wildcards, a message for a name.
    pub refused: Vec<(Function, Refusal)>,
}

/// Why a function cannot be probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The kernel refuses: `NOKPROBE_SYMBOL`, `__kprobes`, `noinstr`, or entry code.
    Blocklisted,
    /// The kernel refuses: there is no ftrace location in it (`notrace`, or assembly), and tracing such functions is
    /// off in distribution kernels (CONFIG_KPROBE_EVENTS_ON_NOTRACE).
    NotTraced,
    /// Its memory is freed after boot.
    Init,
    /// It is only a part of the function (`f.part.0`): its beginning is elsewhere, often inlined into its callers, so
    /// that the part runs for some calls and not for others. Asking for the symbol itself finds it.
    Part,
}

/// An answer to [`Debuginfo::inlined`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InlinedCalls {
    /// What can be probed, by name, then address.
    pub found: Vec<Place>,
    /// Functions that such a call was inlined into that cannot be probed, and why.
    pub refused: Vec<(Function, Refusal)>,
}

/// When a probe of a function fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// When it is called.
    Entry,
    /// When it returns. Only `$return` is looked at there; a caller who wants a parameter saves it at the place of
    /// [`Moment::Entry`].
    Return,
}

/// A place to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function it lies in.
    pub function: Function,
    /// The function whose inlined call begins here, and whose variables are in scope.
    pub inlined: Option<String>,
    /// When the probe fires.
    pub moment: Moment,
    /// Where the source declares the function; `None` where no DWARF describes it (assembly).
    pub declaration: Option<SourceLine>,
    /// The link-time address to probe, which is where variables are looked at. For [`Moment::Return`], the entry.
    pub pc: u64,
    /// The same address as whoever attaches needs it.
    pub offset: PlaceOffset,
    /// The subprogram's DIE, an offset into `.debug_info`.
    subprogram: Option<u64>,
    /// The DIE whose names are in scope, where that is another.
    scope: Option<u64>,
}

impl Place {
    /// The name of the function whose variables are in scope.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inlined.as_ref().unwrap_or(&self.function.name)
    }
}

/// Which lines of a function are meant: what follows `f@file` in a probe point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines {
    /// `:*`
    All,
    /// `:a-b`, or `:a` as `a..=a`.
    Absolute(RangeInclusive<u64>),
    /// `+n` as `n..=n`: counted from the line of the declaration.
    Relative(RangeInclusive<u64>),
}

/// An answer to [`Debuginfo::statements`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its line, in the file of the function's declaration.
    pub line: u64,
    /// Where it begins.
    pub place: Place,
}

/// An answer to [`Debuginfo::labels`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// An answer to [`Debuginfo::place_at`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceAt {
    /// The place.
    pub place: Place,
    /// Why it cannot be probed, if so.
    pub refusal: Option<Refusal>,
}

/// An address that does not depend on where the object is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceOffset {
    /// Kernel: the distance from `_stext`.
    FromStext(u64),
    /// Program or library: the offset into the file.
    InFile(u64),
    /// Program or library, but this debug file was split off by `objcopy --only-keep-debug`, whose program headers no
    /// longer say where code lies. The program's own headers translate the link-time address; a guess could break the
    /// program.
    OnlyInProgram,
}

/// A line of a source file. Prints as `fs/read_write.c:450`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLine {
    /// As the line table has it, which is how SystemTap shows it: its directory, relative to the compilation directory
    /// or absolute, and its name.
    pub file: String,
    /// Counted from 1.
    pub line: u64,
}

/// A name that a place has in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopedVariable {
    /// As in the source.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its type.
    pub type_id: TypeId,
    /// Whether its value can be had.
    pub availability: Availability,
}

/// What a variable is to its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A formal parameter.
    Parameter,
    /// A variable of the function or of one of its blocks.
    Local,
}

/// Whether a variable's value can be had at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Here,
    /// The compiler keeps no value of it at this place.
    OptimisedOut,
    /// It has one, but in a form that is not understood; why.
    Unsupported(String),
}

/// Why there is no variable, or no such step from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// No such name.
    #[error("no variable {name:?} in {function}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where.
        function: String,
        /// What there is.
        known: Vec<ScopedVariable>,
    },
    /// A block of the function declares it, but not one around the place.
    #[error("variable {name:?} of {function} belongs to a block that does not contain the probed place")]
    NotInScope {
        /// What was asked for.
        name: String,
        /// Where.
        function: String,
        /// What there is.
        known: Vec<ScopedVariable>,
    },
    /// The variable has no value at the place.
    #[error("variable {name:?} of {function} has no value at the probed place: the compiler optimised it out")]
    OptimisedOut {
        /// What was asked for.
        name: String,
        /// Where.
        function: String,
        /// What there is.
        known: Vec<ScopedVariable>,
    },
    /// No global variable of that name.
    #[error("no global variable {name:?}{}", .file.as_ref().map(|file| format!(" in {file}")).unwrap_or_default())]
    NoGlobal {
        /// What was asked for.
        name: String,
        /// Of which file.
        file: Option<String>,
    },
    /// A step to a member that the type does not have.
    #[error("{of} has no member {name:?}")]
    NoMember {
        /// What was asked for.
        name: String,
        /// The type as in C.
        of: String,
        /// What it has.
        known: Vec<String>,
    },
    /// A step that the type does not allow.
    #[error("{step} needs {wanted}, and this is of type {found}")]
    Mismatch {
        /// `->x`, `[]`, `*`, `&`
        step: String,
        /// `a pointer or an array`
        wanted: &'static str,
        /// The type as in C.
        found: String,
    },
    /// `$return` of a function that returns nothing.
    #[error("{function} returns nothing")]
    ReturnsNothing {
        /// Which.
        function: String,
    },
    /// No DWARF describes the function.
    #[error(
        "no debuginfo describes {function}: it may be written in assembly, or merged with a function of the same code"
    )]
    NotDescribed {
        /// Which.
        function: String,
    },
    /// Correct, but more than is understood so far.
    #[error("{0}")]
    Unsupported(String),
    /// The file is at fault.
    #[error(transparent)]
    Debuginfo(#[from] DebuginfoError),
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DebuginfoError {
    /// It is something else, or a part of it.
    #[error("not a usable ELF file: {0}")]
    Elf(String),
    /// It has what it should not have, such as an offset that points nowhere.
    #[error("damaged debuginfo: {0}")]
    Damaged(String),
    /// Correct, but more than is understood so far.
    #[error("{0}")]
    Unsupported(String),
    /// More than we are willing to read.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl<'a> Debuginfo<'a> {
    /// Opens an ELF file. Reads its headers and little else.
    ///
    /// # Errors
    /// When it is not a 64-bit little-endian ELF file for x86-64, or is a kernel module (ET_REL).
    pub fn open(bytes: &'a [u8]) -> Result<Self, DebuginfoError> {
        Self::open_indexed(bytes, None)
    }

    /// The same with its index, which makes answers faster and changes none. An index of another file is not used.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_indexed(bytes: &'a [u8], index: Option<Index<'a>>) -> Result<Self, DebuginfoError> {
        let image = Image::read(bytes)?;
        let index = index.filter(|index| index.is_of(&image));
        Ok(Self(Opened::new(File { image, index }, |file| Dwarf::new(file))))
    }

    /// What kind of file it is.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.0.borrow_owner().image.object
    }

    /// The functions whose name (without clone suffix) or symbol matches `pattern`, a name or a glob
    /// ([`shared::target::glob_matches`]). Of several symbols at one address it gives one.
    ///
    /// # Errors
    /// When the symbol table is damaged or missing.
    pub fn functions(&self, pattern: &str) -> Result<Functions, DebuginfoError> {
        self.ask(|dwarf| dwarf.functions(pattern))
    }

    /// Where to probe `function`: at its first instruction; after the prologue where that is asked for by entry and the
    /// code is unoptimised, so that parameters are in their places (user programs only).
    ///
    /// # Errors
    /// When the debuginfo is damaged, or the address lies in no segment.
    pub fn place(&self, function: &Function, moment: Moment) -> Result<Place, DebuginfoError> {
        self.ask(|dwarf| dwarf.place(function, moment))
    }

    /// Of the functions that match `pattern`, those that `file` declares: `f@file`. The file may be a glob, and leave out
    /// leading directories.
    ///
    /// # Errors
    /// When the debuginfo is damaged, or the symbol table missing.
    pub fn functions_in(&self, pattern: &str, file: &str) -> Result<Functions, DebuginfoError> {
        self.ask(|dwarf| dwarf.functions_in(pattern, file))
    }

    /// The statements of a function on some lines of the file that declares it, each at its lowest address, by address.
    /// Empty where none of the lines has code, or no DWARF describes the function.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn statements(&self, function: &Function, lines: &Lines) -> Result<Vec<Statement>, DebuginfoError> {
        self.ask(|dwarf| dwarf.statements(function, lines))
    }

    /// The labels of a function that match `pattern`, a name or a glob, by name.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn labels(&self, function: &Function, pattern: &str) -> Result<Vec<Label>, DebuginfoError> {
        self.ask(|dwarf| dwarf.labels(function, pattern))
    }

    /// The place at a link-time address; `None` where no function has it. Whether an instruction begins there is not
    /// looked at.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn place_at(&self, pc: u64) -> Result<Option<PlaceAt>, DebuginfoError> {
        self.ask(|dwarf| dwarf.place_at(pc))
    }

    /// Where functions were inlined whose name matches `pattern`, a name or a glob.
    ///
    /// # Errors
    /// When the debuginfo is damaged, or more match than a script may probe.
    pub fn inlined(&self, pattern: &str) -> Result<InlinedCalls, DebuginfoError> {
        self.ask(|dwarf| dwarf.inlined_calls(pattern))
    }

    /// The parameters and locals in scope at `place`, in the order of their declaration, innermost block first; a name
    /// that is hidden by an inner one is left out. Empty where no DWARF describes the function.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn variables(&self, place: &Place) -> Result<Vec<ScopedVariable>, DebuginfoError> {
        self.ask(|dwarf| dwarf.variables(place))
    }

    /// What `$name` is at `place`: a parameter or local in scope, else a global of the same file, else an enumerator.
    ///
    /// # Errors
    /// When there is none, when it has no value at the place, or when the debuginfo is damaged.
    pub fn variable(&self, place: &Place, name: &str) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.variable(place, name))
    }

    /// What `@var("name@file")` is: the global variable that the file defines, or any file where none is named. The file
    /// may be a glob, and leave out leading directories.
    ///
    /// # Errors
    /// When there is none, or when the debuginfo is damaged.
    pub fn global(&self, name: &str, file: Option<&str>) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.global_variable(name, file))
    }

    /// How far a link-time address of the kernel lies from `_stext`, from which it is counted where that is loaded.
    ///
    /// # Errors
    /// When it lies before, as variables that each processor has do, or when the debuginfo is damaged.
    pub fn offset_from_stext(&self, address: u64) -> Result<u64, DebuginfoError> {
        self.ask(|dwarf| dwarf.offset_from_stext(address))
    }

    /// What `@enum("NAME")` is: an enumerator, of whichever enumeration at the top level of a unit has it first.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn enumerator(&self, name: &str) -> Result<Option<Variable>, DebuginfoError> {
        self.ask(|dwarf| dwarf.enumerator_named(name))
    }

    /// What `$return` is when the function of `place` returns: registers are those of the return.
    ///
    /// # Errors
    /// When it returns nothing, or in a way that probes cannot read.
    pub fn return_value(&self, place: &Place) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.return_value(place))
    }

    /// `of->name`, which is also `of.name`: a member of a struct or union, or of what a pointer to one points to. Looks
    /// into unnamed members.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn member(&self, of: &Variable, name: &str) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.member(of, name))
    }

    /// `of[index]`: an element of an array, or of what a pointer points to. The index may be [`Expr::Given`].
    ///
    /// # Errors
    /// When it is neither, or its elements have no size.
    pub fn index(&self, of: &Variable, index: Expr) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.index(of, index))
    }

    /// `*of`.
    ///
    /// # Errors
    /// When it is no pointer.
    pub fn deref(&self, of: &Variable) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.deref(of))
    }

    /// `&of`: a value whose type is a pointer to the type of `of`.
    ///
    /// # Errors
    /// When it does not lie in memory, or is a bit field.
    pub fn address_of(&self, of: &Variable) -> Result<Variable, VariableError> {
        self.ask(|dwarf| dwarf.address_of(of))
    }

    /// A type by its C name, as `@cast` has it: `task_struct`, `struct file`, `unsigned int`, `char *`, `foo_t`. A name
    /// without a keyword is that of a typedef, base type, struct, union or enum, in this order if the first unit that has
    /// one has several. `None`: there is none.
    ///
    /// `@cast(x, "task_struct")` is a [`Variable`] of this type at `Location::Memory(Expr::Given(0))`.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn type_named(&self, name: &str) -> Result<Option<TypeId>, DebuginfoError> {
        self.ask(|dwarf| dwarf.type_named(name))
    }

    /// One level of a type: what a typedef or pointer stands for is another id.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn type_of(&self, id: TypeId) -> Result<Type, DebuginfoError> {
        self.ask(|dwarf| dwarf.type_of(id))
    }

    /// The type below typedefs and qualifiers, never [`Type::Typedef`] or [`Type::Qualified`]; a struct that is only
    /// declared is looked for in other units.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn resolved_type(&self, id: TypeId) -> Result<(TypeId, Type), DebuginfoError> {
        self.ask(|dwarf| dwarf.resolved_type(id))
    }

    /// The members of a struct or union, in order; unnamed ones are there without a name. Empty for anything else.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn members(&self, id: TypeId) -> Result<Vec<Member>, DebuginfoError> {
        self.ask(|dwarf| dwarf.members(id))
    }

    /// The enumerators of an enum, in order. Empty for anything else.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn enumerators(&self, id: TypeId) -> Result<Vec<Enumerator>, DebuginfoError> {
        self.ask(|dwarf| dwarf.enumerators(id))
    }

    /// The size of a type's values in bytes; `None` where it has none (void, functions, incomplete types).
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn type_size(&self, id: TypeId) -> Result<Option<u64>, DebuginfoError> {
        self.ask(|dwarf| dwarf.type_size(id))
    }

    /// A type as `stap -L` spells it: `size_t`, `struct file*`, `char const*`.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn type_name(&self, id: TypeId) -> Result<String, DebuginfoError> {
        self.ask(|dwarf| dwarf.type_name(id))
    }

    /// The source line that the instruction at `pc` (a link-time address) was made from; `None` where nobody says.
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn line(&self, pc: u64) -> Result<Option<SourceLine>, DebuginfoError> {
        self.ask(|dwarf| dwarf.line(pc))
    }

    /// How many units there are, for [`Self::index_part`].
    ///
    /// # Errors
    /// When the debuginfo is damaged.
    pub fn unit_count(&self) -> Result<usize, DebuginfoError> {
        self.ask(|dwarf| dwarf.unit_offsets().map(<[usize]>::len))
    }

    /// What the units of these numbers have to say to an index. Takes long; the units may be divided in any way.
    ///
    /// # Errors
    /// When the debuginfo is damaged, or of a kind that cannot be indexed.
    pub fn index_part(&self, units: Range<usize>) -> Result<index::Part, DebuginfoError> {
        self.ask(|dwarf| dwarf.index_part(units))
    }

    /// The file of the index that parts make which together have all units.
    ///
    /// # Errors
    /// When the debuginfo is damaged, of a kind that cannot be indexed, or parts are missing.
    pub fn index_file(&self, parts: Vec<index::Part>) -> Result<Vec<u8>, DebuginfoError> {
        self.ask(|dwarf| dwarf.index_file(parts))
    }

    /// A question begins.
    fn ask<T, E>(&self, question: impl FnOnce(&Dwarf<'_>) -> Result<T, E>) -> Result<T, E> {
        self.0.with_dependent(|_, dwarf| {
            dwarf.work.restart();
            question(dwarf)
        })
    }
}

impl fmt::Debug for Debuginfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Debuginfo").field(self.object()).finish()
    }
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocklisted => "the kernel does not allow probes in it (it is on the blocklist of kprobes)",
            Self::NotTraced => "the kernel does not allow probes in it (it cannot be traced by ftrace)",
            Self::Init => "it is gone once the kernel has booted",
            Self::Part => "the compiler split it, and the part that is left runs only for some of its calls",
        })
    }
}
