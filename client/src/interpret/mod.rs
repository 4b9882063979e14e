//! Runs IR functions: the handlers that no kernel event triggers, and **the reference semantics** that generated code must
//! agree with.
//!
//! What a handler needs of the world it asks a [`World`]: the session's maps in a real run ([`crate::run`]), a
//! [`memory::MemoryWorld`] in tests and in differential tests against generated code. Nothing here knows BPF or does I/O.

use bstr::BString;
use shared::abi::map::Parameter;
use shared::abi::value::Datum;
use shared::ir::{Clock, FormatId, FunctionId, GlobalId, Ir, Location, PointField, Space, TaskField, Width};
use shared::limits::{INTERPRETER_STEPS_MAX, NESTING_DEFAULT};

mod machine;

mod walk;

pub mod memory;

/// Everything outside the function that runs.
///
/// Data that come in are of the types the IR declares, strings already cut to their bounds; data that go out may be longer and
/// are cut by the interpreter. Which global is a scalar and which an array was checked by `ir::verify`.
pub trait World {
    /// A scalar's value.
    ///
    /// # Errors
    /// When the host fails.
    fn get(&mut self, global: GlobalId) -> Result<Datum>;

    /// Sets a scalar.
    ///
    /// # Errors
    /// When the host fails.
    fn set(&mut self, global: GlobalId, value: Datum) -> Result;

    /// Adds to a scalar long, wrapping; gives the new value.
    ///
    /// # Errors
    /// When the host fails.
    fn add(&mut self, global: GlobalId, addend: i64) -> Result<i64>;

    /// The value at a key.
    ///
    /// # Errors
    /// When the host fails.
    fn array_get(&mut self, array: GlobalId, keys: &[Datum]) -> Result<Option<Datum>>;

    /// Whether there is an entry at a key, of an array of values or of statistics.
    ///
    /// # Errors
    /// When the host fails.
    fn array_has(&mut self, array: GlobalId, keys: &[Datum]) -> Result<bool>;

    /// Sets the value at a key; gives whether there was room.
    ///
    /// # Errors
    /// When the host fails.
    fn array_set(&mut self, array: GlobalId, keys: &[Datum], value: Datum) -> Result<Room>;

    /// Adds to the long at a key, wrapping, as if 0 stood there where there is no entry; gives the sum, and whether there was
    /// room for it.
    ///
    /// # Errors
    /// When the host fails.
    fn array_add(&mut self, array: GlobalId, keys: &[Datum], addend: i64) -> Result<(i64, Room)>;

    /// Removes the entry at a key, if there is one.
    ///
    /// # Errors
    /// When the host fails.
    fn array_delete(&mut self, array: GlobalId, keys: &[Datum]) -> Result;

    /// Removes every entry of an array, or everything that a statistic has taken in.
    ///
    /// # Errors
    /// When the host fails.
    fn array_clear(&mut self, array: GlobalId) -> Result;

    /// Every entry, in the hash's order.
    ///
    /// # Errors
    /// When the host fails.
    fn array_entries(&mut self, array: GlobalId) -> Result<Vec<Entry>>;

    /// Takes a value into a statistic; of an array, into that at a key. Gives whether there was room.
    ///
    /// # Errors
    /// When the host fails.
    fn accumulate(&mut self, global: GlobalId, keys: &[Datum], value: i64) -> Result<Room>;

    /// What a statistic has taken in, on all processors together; an empty cell where there is no entry.
    ///
    /// # Errors
    /// When the host fails.
    fn cell(&mut self, global: GlobalId, keys: &[Datum]) -> Result<Vec<i64>>;

    /// Every entry of an array of statistics, in the hash's order.
    ///
    /// # Errors
    /// When the host fails.
    fn cells(&mut self, array: GlobalId) -> Result<Vec<(Vec<Datum>, Vec<i64>)>>;

    /// Prints a text as it is.
    ///
    /// # Errors
    /// When the host fails.
    fn write(&mut self, text: &[u8]) -> Result;

    /// Reads `width.bytes` bytes at an address, in the lower bytes of the result; nothing on a fault.
    ///
    /// # Errors
    /// When the host fails otherwise.
    fn load(&mut self, space: Space, width: Width, address: u64) -> Result<Option<u64>>;

    /// Reads a string at an address, up to a NUL or so many bytes; nothing on a fault.
    ///
    /// # Errors
    /// When the host fails otherwise.
    fn load_string(&mut self, space: Space, address: u64, bytes_max: usize) -> Result<Option<BString>>;

    /// A register of the probed context, by its DWARF number.
    ///
    /// # Errors
    /// Where there is no such context.
    fn register(&mut self, number: u8) -> Result<i64>;

    /// Something about the running task.
    ///
    /// # Errors
    /// When the host fails.
    fn task(&mut self, field: TaskField) -> Result<Datum>;

    /// The number of the processor.
    fn cpu(&mut self) -> i64;

    /// A clock in nanoseconds.
    fn clock(&mut self, clock: Clock) -> i64;

    /// What was set at load.
    fn parameter(&mut self, parameter: Parameter) -> i64;

    /// Something about the probe point that fired.
    fn point(&mut self, field: PointField) -> BString;

    /// Prints the arguments by a format.
    ///
    /// # Errors
    /// When the host fails.
    fn print(&mut self, format: FormatId, arguments: Vec<Datum>) -> Result;

    /// Reports that the handler ends in a run-time error.
    ///
    /// # Errors
    /// When the host fails.
    fn raise(&mut self, location: Location, message: Message) -> Result;

    /// `exit()` was called.
    fn exit(&mut self);

    /// Whether somebody wants the handler to end now, in the middle. Asked every few thousand steps.
    fn is_interrupted(&mut self) -> bool {
        false
    }
}

/// Whether an array had room for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The entry is there.
    Found,
    /// The array is full, and nothing was changed.
    Full,
}

/// An entry of an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// One to nine.
    pub keys: Vec<Datum>,
    /// What is there.
    pub value: Datum,
}

/// What a run-time error says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A message of the script or the compiler.
    Format {
        /// Its format,
        format: FormatId,
        /// and the arguments.
        arguments: Vec<Datum>,
    },
    /// The handler took more steps than [`Bounds::steps_max`].
    StepsExceeded,
    /// A function called itself, perhaps through others, more often than [`Bounds::nesting_max`].
    DepthExceeded,
}

/// Why a handler could not be run to its end. Run-time errors of the script are none of these.
#[derive(Debug, thiserror::Error)]
pub enum InterpretError {
    /// The host failed.
    #[error("{0}: {1}")]
    Host(String, #[source] std::io::Error),
    /// The IR did what a verified one cannot do.
    #[error("bug in interpret: {0}")]
    Internal(String),
}

/// What an interpreted operation gives.
pub type Result<T = ()> = std::result::Result<T, InterpretError>;

/// How much a handler may do.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Instructions, ends of blocks, and entries of walks that are opened.
    pub steps_max: u64,
    /// Statements, as [`shared::ir::Op::Spend`] counts them.
    pub actions_max: u64,
    /// Activations of one function inside one another.
    pub nesting_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { steps_max: INTERPRETER_STEPS_MAX, actions_max: u64::MAX, nesting_max: NESTING_DEFAULT as usize }
    }
}

impl Bounds {
    /// What a handler may do that runs in `taprun`: as much as it wants, within reason, for it holds nobody up.
    #[must_use]
    pub fn of_user_side(ir: &Ir) -> Self {
        Self { nesting_max: ir.limits.nesting_max as usize, ..Self::default() }
    }

    /// What a handler may do that runs in the kernel.
    #[must_use]
    pub fn of_kernel_side(ir: &Ir) -> Self {
        Self { actions_max: u64::from(ir.limits.actions_max), ..Self::of_user_side(ir) }
    }
}

/// Runs a handler's function. What it prints and raises goes to the world.
///
/// # Errors
/// When the host fails, or the IR was not verified.
pub fn interpret(ir: &Ir, function: FunctionId, world: &mut dyn World, bounds: Bounds) -> Result {
    machine::Machine::new(ir, world, bounds).run(function)
}

#[cfg(test)]
mod tests;
