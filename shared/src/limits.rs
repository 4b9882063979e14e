//! Every bound of the system, each with its reason. Nothing that comes from outside is used before it has met one.
//!
//! Names put the unit and the qualifier last (`script_bytes_max`). A bound a user may tune with `-D` keeps SystemTap's
//! name in its documentation.

/// An outcome common to every stage: something grew past a bound of this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{limit} is {value}, the limit is {max}")]
pub struct LimitExceeded {
    /// What is bounded, as a person would say it: `script size in bytes`.
    pub limit: String,
    /// What was met.
    pub value: u64,
    /// What is allowed.
    pub max: u64,
}

impl LimitExceeded {
    /// Checks `value` against `max`; `limit` says what is bounded.
    ///
    /// # Errors
    /// When `value` is larger than `max`.
    pub fn check(limit: &str, value: u64, max: u64) -> Result<(), Self> {
        if value <= max { Ok(()) } else { Err(Self { limit: limit.to_owned(), value, max }) }
    }
}

/// Bytes of one script. The largest public script is some 60 kB; a generated one of 50,000 lines fits.
pub const SCRIPT_BYTES_MAX: usize = 4 << 20;

/// Tokens of one script after conditionals and macros, dead branches counted too: what a macro may blow a script up to. A
/// script of 50,000 lines has half of it.
pub const SCRIPT_TOKENS_MAX: usize = 1 << 20;

/// Levels of a script's tree: parentheses, operators in a row, blocks in blocks, `else if` in a row. Whoever walks the
/// tree may recurse, so its height is what keeps their stacks. SystemTap's own tapset stays below a tenth of this.
pub const SCRIPT_NESTING_MAX: usize = 256;

/// Macros being expanded inside one another. SystemTap's own library stays below ten.
pub const MACRO_NESTING_MAX: usize = 64;

/// Parameters of one macro: each name in its body is compared with them. SystemTap's own macros have up to nine.
pub const MACRO_PARAMETERS_MAX: usize = 32;

/// Bytes that brace expansion (`{a,b}.{c,d}`) may make of the probe points of one script: sixteen braces of two make 65,536.
pub const BRACE_BYTES_MAX: usize = 16 << 20;

/// Errors after which a stage gives up on a file: what follows is mostly consequence.
pub const DIAGNOSTICS_MAX: usize = 100;

/// The same in pass 2 with `--semantic-keep-going`: as many as a catalogue of a large script's errors may have.
pub const DIAGNOSTICS_KEEP_GOING_MAX: usize = 5_000;

/// Bytes of one frame of the wire protocol. A request carries a script and facts; a response carries an artifact.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of an artifact file. The ELF of a script with thousands of probe points stays below a tenth of this.
pub const ARTIFACT_BYTES_MAX: usize = 16 << 20;

/// Script arguments (`$1`, `@1`, …) in one request.
pub const ARGUMENTS_MAX: usize = 1_000;

/// Probe points that one script may resolve to. `kernel.function("*")` on a distribution kernel has some 40,000.
pub const PROBE_POINTS_MAX: usize = 50_000;

/// Aliases that stand for one another in a row. SystemTap's own library stays below ten.
pub const ALIAS_NESTING_MAX: usize = 64;

/// Statements and expressions of the handlers of one script, with what aliases add to each: a handler is copied for each
/// alias of its points. SystemTap's largest example, with all system calls, has some 200,000.
pub const DERIVED_NODES_MAX: usize = 1 << 21;

/// Files of libraries in one request (`-I`), and bytes of all of them together. SystemTap's own library has 600 files and
/// 4 MB.
pub const LIBRARY_FILES_MAX: usize = 4096;

/// Bytes of the files of libraries in one request (`-I`), names included.
pub const LIBRARY_BYTES_MAX: usize = 8 << 20;

/// Definitions (`-D`) in one request.
pub const DEFINES_MAX: usize = 1_000;

/// Scripts in one request: the first, and those of `-E`.
pub const SCRIPTS_MAX: usize = 64;

/// Rounds of questions and answers (`NeedFacts`) for one request: each round must bring the compile further.
pub const FACT_ROUNDS_MAX: usize = 8;

/// Questions in one answer of a server (`NeedFacts`): a script that names more programs than this is generated.
pub const FACT_QUERIES_MAX: usize = 4096;

/// Keys of an associative array (SystemTap allows nine).
pub const ARRAY_KEYS_MAX: usize = 9;

/// Bytes of a composite array key: what the kernel's hash accepts from the BPF stack with room to spare.
pub const ARRAY_KEY_BYTES_MAX: usize = 4096;

/// Buckets of a linear histogram: a screen shows some hundred, and each is a word for each processor and entry.
pub const HISTOGRAM_BUCKETS_MAX: i128 = 4096;

/// Bytes of one regular expression.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// Groups of a regular expression in one another: whoever walks it may recurse.
pub const PATTERN_NESTING_MAX: usize = 64;

/// Repetitions that a regular expression may ask for (RE_DUP_MAX of POSIX): each is a copy in its automaton.
pub const PATTERN_REPEAT_MAX: u32 = 255;

/// `MAXMAPENTRIES`: entries of an associative array where the script names no size.
pub const MAP_ENTRIES_DEFAULT: u32 = 2048;

/// Entries of an associative array at the most: a hash of this many small entries takes some 100 MiB of kernel memory.
pub const MAP_ENTRIES_MAX: u32 = 1 << 20;

/// `MAXSTRINGLEN`: bytes of any string value, the terminating NUL included (SystemTap's value on 64-bit hosts).
pub const STRING_BYTES_DEFAULT: u16 = 512;

/// `MAXSTRINGLEN` at the most.
pub const STRING_BYTES_MAX: u16 = 4096;

/// Words of one statistic's cell, most of them buckets: the kernel allocates at most 32 KiB for each processor
/// (PCPU_MIN_UNIT_SIZE).
pub const STATISTIC_WORDS_MAX: usize = 4096;

/// Arguments of one `printf`. The record must fit the ring buffer and the handler's registers must be found again.
pub const FORMAT_ARGUMENTS_MAX: usize = 32;

/// Bytes of one rendered conversion: a width or precision beyond this is refused (`%999999999d` costs memory, not insight).
pub const FORMAT_WIDTH_MAX: u32 = 4096;

/// Globals of one session, scalars and arrays together.
pub const GLOBALS_MAX: usize = 4096;

/// Functions of one IR unit.
pub const FUNCTIONS_MAX: usize = 16_384;

/// Values of one IR function.
pub const VALUES_MAX: usize = 1 << 20;

/// Values of a handler's function up to which calls in it are replaced by what they call: some ten thousand instructions.
pub const INLINED_VALUES_MAX: usize = 1 << 16;

/// Blocks of one IR function.
pub const BLOCKS_MAX: usize = 1 << 18;

/// Bytes of the ring buffer between the probes and `taprun` (`-s` changes it). A power of two of pages.
pub const RING_BYTES_DEFAULT: u32 = 4 << 20;

/// Steps a user-side handler may take before it is stopped as a run-away, per activation.
///
/// SystemTap allows 1,000 statements, ten times that where interrupts are on; a user-side handler disturbs nobody, so its
/// bound is only there to end endless loops.
pub const INTERPRETER_STEPS_MAX: u64 = 1 << 28;

/// Bytes of scratch memory of one handler: instructions reach 32,767 bytes far.
pub const SCRATCH_BYTES_MAX: usize = 32_760;

/// Bytes of a kernel's configuration that are read. Distributions' have 300 kB.
pub const KERNEL_CONFIG_BYTES_MAX: u64 = 4 << 20;

/// `MAXACTION`: statements that one run of a handler in the kernel may take (SystemTap's value).
pub const ACTIONS_DEFAULT: u32 = 1000;

/// The largest `MAXACTION`: the kernel's verifier follows a million instructions of a program, and a statement takes some.
pub const ACTIONS_MAX: u32 = 100_000;

/// `MAXNESTING`: activations of one function inside one another (SystemTap's value).
pub const NESTING_DEFAULT: u32 = 10;

/// The largest `MAXNESTING`: in the kernel each activation is a copy of the function's code.
pub const NESTING_MAX: u32 = 100;

/// Calls inside one another, whatever the functions: each takes some of the interpreter's own stack.
pub const CALL_DEPTH_MAX: usize = 128;

/// `MAXERRORS`: run-time errors that are reported and survived; one more ends the session.
pub const ERRORS_DEFAULT: u32 = 0;

/// `MAXSKIPPED`: handlers skipped for want of memory; one more ends the session (SystemTap's value).
pub const SKIPPED_DEFAULT: u32 = 100;

/// The largest `MAXERRORS` and `MAXSKIPPED`, which stands for no limit: generated code compares with a signed immediate.
pub const COUNTED_MAX: u32 = i32::MAX as u32;

/// Bytes of a build id. GNU ld writes 20, others 8 to 32; the note format allows any.
pub const BUILD_ID_BYTES_MAX: usize = 64;

/// Bytes of notes that are looked through for a build id, in one ELF file: real ones have a few hundred.
pub const ELF_NOTES_BYTES_MAX: u64 = 1 << 20;

/// Bytes of `/proc/kallsyms`: 200,000 symbols take some 10 MB.
pub const KALLSYMS_BYTES_MAX: u64 = 256 << 20;

/// Bytes of a host facts file (`tapwire facts`): some 1,000 modules and 2,000 tracepoints take 200 kB.
pub const FACTS_BYTES_MAX: usize = 8 << 20;

/// Bytes of a key or a policy in a host's lists of trust. A key takes 120, a long policy a few thousand.
pub const TRUST_FILE_BYTES_MAX: u64 = 64 << 10;

/// Seconds that an artifact stays loadable after it was signed, where the server's policy names no other time: 30 days.
pub const ARTIFACT_LIFE_S_DEFAULT: u64 = 30 * 24 * 3600;

/// Bytes that the compressed sections of one debug file may expand to, together. The debuginfo of a large C++ program has
/// some 300 MB; kernels are not compressed.
pub const DEBUG_SECTIONS_EXPANDED_BYTES_MAX: u64 = 1 << 30;

/// Steps that one question about debuginfo may take: entries, attributes, rows, operations and bytes of tables looked at. A
/// walk over all entries of a distribution kernel takes some 100 million.
pub const DEBUGINFO_STEPS_MAX: u64 = 1 << 29;

/// Units of one debug file. A distribution kernel has some 3,000, a browser some 40,000.
pub const DEBUGINFO_UNITS_MAX: u64 = 1 << 18;

/// Address ranges of one debug file's units, or of one unit's functions. A distribution kernel has some 20,000.
pub const DEBUGINFO_RANGES_MAX: u64 = 1 << 22;

/// Units that are kept parsed. What a kernel's unit keeps is some 100 kB, and questions come unit by unit.
pub const DEBUGINFO_UNITS_KEPT_MAX: usize = 64;

/// Bytes of the index of one debug file. That of a distribution kernel has some 20 MB.
pub const INDEX_BYTES_MAX: usize = 1 << 30;

/// Attributes of one debugging information entry. Compilers write some 20.
pub const DEBUGINFO_ATTRIBUTES_MAX: usize = 256;

/// Entries that may refer on from one to the next (origins, specifications, typedefs) or nest in one another.
pub const DEBUGINFO_CHAIN_MAX: usize = 128;

/// Bytes of one name in debuginfo. Mangled names of C++ templates take some kilobytes.
pub const DEBUGINFO_NAME_BYTES_MAX: usize = 1 << 16;

/// Bytes of the header of one line table, which lists directories and files. One of a large unit has 100 kB.
pub const LINE_HEADER_BYTES_MAX: u64 = 1 << 20;

/// Nodes of the expression that says where a variable lies. Those of optimised kernels have some 20.
pub const LOCATION_NODES_MAX: usize = 1024;

/// Operations that are carried out to find where a variable lies.
pub const LOCATION_OPERATIONS_MAX: usize = 4096;

/// Members of one struct and enumerators of one enum, unnamed inner ones included. The kernel's largest enum has some 2,000.
pub const TYPE_MEMBERS_MAX: usize = 1 << 16;

/// Structs within structs that are shown as text (`$x$$`).
pub const TYPE_NESTING_SHOWN_MAX: usize = 16;

/// Numbers on the stack of a location's expression. Compilers use some 10.
pub const LOCATION_STACK_MAX: usize = 64;
