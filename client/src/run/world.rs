//! The world of a handler that `taprun` runs: the session's maps in the kernel, shared with the probes, and our own process.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;

use bstr::{BString, ByteSlice as _};
use rustix::process::{getgid, getpid, getuid};
use rustix::thread::{gettid, sched_getcpu};
use rustix::time::{ClockId, clock_gettime};
use shared::abi::map::{Parameter, SessionState, session};
use shared::abi::value::{Datum, Type, decode_all, encode_all};
use shared::ir::{
    Clock, Content, FormatId, GlobalId, Ir, Location, PointField, Space, Statistic, Storage, TaskField, Width,
};

use super::console::Console;
use super::signals::Signals;
use crate::attach::Firing;
use crate::interpret::{Entry, InterpretError, Message, Result, Room, World};
use crate::kernel::hash::Hash;
use crate::load::{Maps, Parameters};

/// What a handler sees and changes.
pub(super) struct HostWorld<'a, 'ir> {
    pub(super) ir: &'ir Ir,
    pub(super) maps: &'a Maps,
    pub(super) parameters: &'a Parameters,
    pub(super) console: &'a mut Console<'ir>,
    pub(super) signals: &'a Signals,
    pub(super) firing: Firing,
    /// Whether `exit()` was called.
    pub(super) exited: &'a mut bool,
    pub(super) cells: &'a mut Cells,
}

/// What our own handlers have accumulated, of a statistic or of the one at a key. The cells in the kernel are the probes':
/// a read and a write from here would lose what they add in between.
pub(super) type Cells = BTreeMap<(GlobalId, Vec<Datum>), Vec<i64>>;

/// An array in the kernel and the types of what is in it.
struct Array<'a> {
    hash: &'a Hash,
    keys: &'a [Type],
    content: &'a Content,
}

/// A statistic in the kernel.
struct Statistics<'a> {
    hash: &'a Hash,
    keys: &'a [Type],
    statistic: &'a Statistic,
    entries_max: usize,
}

/// Sets the word by which probes know whether to do their work.
pub(super) fn set_state(maps: &Maps, state: SessionState) {
    if let Some(word) = maps.globals.word(session::STATE) {
        word.store(state as u64, Ordering::SeqCst);
    }
}

impl HostWorld<'_, '_> {
    /// A scalar's type and where it lies.
    fn scalar(&self, global: GlobalId) -> Result<(Type, usize)> {
        let index = usize::from(global.0);
        match (self.ir.globals.get(index).map(|global| &global.storage), self.maps.offsets.get(index)) {
            (Some(Storage::Scalar { ty, .. }), Some(Some(offset))) => Ok((*ty, *offset)),
            _ => Err(internal("no such scalar")),
        }
    }

    fn array(&self, array: GlobalId) -> Result<Array<'_>> {
        let index = usize::from(array.0);
        match (self.ir.globals.get(index).map(|global| &global.storage), self.maps.arrays.get(index)) {
            (Some(Storage::Array { keys, content, .. }), Some(Some(hash))) => Ok(Array { hash, keys, content }),
            _ => Err(internal("no such array")),
        }
    }

    fn statistic(&self, global: GlobalId) -> Result<Statistics<'_>> {
        let index = usize::from(global.0);
        let storage = self.ir.globals.get(index).map(|global| &global.storage);
        let Some(Some(hash)) = self.maps.arrays.get(index) else { return Err(internal("no such statistic")) };
        match storage {
            Some(Storage::Array { keys, content: Content::Statistic(statistic), entries_max, .. }) => {
                Ok(Statistics { hash, keys, statistic, entries_max: *entries_max as usize })
            }
            Some(Storage::Statistic(statistic)) => {
                Ok(Statistics { hash, keys: &[], statistic, entries_max: usize::MAX })
            }
            _ => Err(internal("no such statistic")),
        }
    }

    /// What probes have accumulated at a key, and what we have.
    fn merged(&self, global: GlobalId, keys: &[Datum], bytes: &[u8]) -> Result<Vec<i64>> {
        let statistic = self.statistic(global)?.statistic;
        let words: Vec<i64> = bytes.as_chunks().0.iter().map(|word| i64::from_ne_bytes(*word)).collect();
        let ours = self.cells.get(&(global, keys.to_vec())).map(Vec::as_slice);
        Ok(statistic.merge(words.chunks_exact(statistic.words().total.max(1)).chain(ours)))
    }

    fn failed(&self, array: GlobalId, error: io::Error) -> InterpretError {
        let name = self.ir.globals.get(usize::from(array.0)).map_or("an array", |global| &global.name);
        InterpretError::Host(format!("the kernel refuses an operation on {name}"), error)
    }
}

impl World for HostWorld<'_, '_> {
    fn get(&mut self, global: GlobalId) -> Result<Datum> {
        let (ty, offset) = self.scalar(global)?;
        let bytes = self.maps.globals.read(offset, ty.size());
        bytes.and_then(|bytes| ty.decode(&bytes)).ok_or_else(|| internal("a scalar beyond the globals"))
    }

    fn set(&mut self, global: GlobalId, value: Datum) -> Result {
        let (ty, offset) = self.scalar(global)?;
        let mut bytes = Vec::with_capacity(ty.size());
        ty.encode(&value, &mut bytes);
        if self.maps.globals.write(offset, &bytes) { Ok(()) } else { Err(internal("a scalar beyond the globals")) }
    }

    fn add(&mut self, global: GlobalId, addend: i64) -> Result<i64> {
        let (_, offset) = self.scalar(global)?;
        let word = self.maps.globals.word(offset).ok_or_else(|| internal("a scalar beyond the globals"))?;
        Ok((word.fetch_add(addend as u64, Ordering::SeqCst) as i64).wrapping_add(addend))
    }

    fn array_get(&mut self, array: GlobalId, keys: &[Datum]) -> Result<Option<Datum>> {
        let Array { hash, keys: types, content } = self.array(array)?;
        let mut bytes = vec![0; hash.values_size()];
        let found = hash.lookup(&encode_all(types, keys), &mut bytes).map_err(|error| self.failed(array, error))?;
        Ok(match content {
            Content::Value(value) if found => value.decode(&bytes),
            _ => None,
        })
    }

    fn array_has(&mut self, array: GlobalId, keys: &[Datum]) -> Result<bool> {
        let Array { hash, keys: types, .. } = self.array(array)?;
        let mut bytes = vec![0; hash.values_size()];
        let found = hash.lookup(&encode_all(types, keys), &mut bytes).map_err(|error| self.failed(array, error))?;
        Ok(found || self.cells.contains_key(&(array, keys.to_vec())))
    }

    fn array_set(&mut self, array: GlobalId, keys: &[Datum], value: Datum) -> Result<Room> {
        let Array { hash, keys: types, content: Content::Value(ty) } = self.array(array)? else {
            return Err(internal("no array of values"));
        };
        let has_room = hash.update(&encode_all(types, keys), &encode_all(&[*ty], &[value]));
        let has_room = has_room.map_err(|error| self.failed(array, error))?;
        Ok(if has_room { Room::Found } else { Room::Full })
    }

    /// A read and a write, not one step: the kernel offers none from here. What a probe adds to the same entry between the two
    /// is lost.
    fn array_add(&mut self, array: GlobalId, keys: &[Datum], addend: i64) -> Result<(i64, Room)> {
        let sum = self.array_get(array, keys)?.map_or(0, |value| value.long()).wrapping_add(addend);
        Ok((sum, self.array_set(array, keys, Datum::Long(sum))?))
    }

    fn array_delete(&mut self, array: GlobalId, keys: &[Datum]) -> Result {
        let Array { hash, keys: types, .. } = self.array(array)?;
        hash.delete(&encode_all(types, keys)).map_err(|error| self.failed(array, error))?;
        self.cells.remove(&(array, keys.to_vec()));
        Ok(())
    }

    fn array_clear(&mut self, array: GlobalId) -> Result {
        self.cells.retain(|(global, _), _| *global != array);
        let cleared = match self.statistic(array) {
            Ok(Statistics { keys: [], hash, .. }) => hash.update(&[0; 4], &vec![0; hash.values_size()]).map(|_| ()),
            _ => self.array(array)?.hash.clear(),
        };
        cleared.map_err(|error| self.failed(array, error))
    }

    fn accumulate(&mut self, global: GlobalId, keys: &[Datum], value: i64) -> Result<Room> {
        let has_entry = keys.is_empty() || self.array_has(global, keys)?;
        let Statistics { statistic, entries_max, .. } = self.statistic(global)?;
        let entries = self.cells.keys().filter(|(of, _)| *of == global).count();
        if !has_entry && entries >= entries_max {
            return Ok(Room::Full);
        }
        let (statistic, key) = (statistic.clone(), (global, keys.to_vec()));
        statistic.add(self.cells.entry(key).or_insert_with(|| statistic.empty()), value);
        Ok(Room::Found)
    }

    fn cell(&mut self, global: GlobalId, keys: &[Datum]) -> Result<Vec<i64>> {
        let Statistics { hash, keys: types, .. } = self.statistic(global)?;
        let key = if types.is_empty() { vec![0; 4] } else { encode_all(types, keys) };
        let mut bytes = vec![0; hash.values_size()];
        hash.lookup(&key, &mut bytes).map_err(|error| self.failed(global, error))?;
        self.merged(global, keys, &bytes)
    }

    fn cells(&mut self, array: GlobalId) -> Result<Vec<(Vec<Datum>, Vec<i64>)>> {
        let Statistics { hash, keys: types, .. } = self.statistic(array)?;
        let mut cells = BTreeMap::new();
        for (key, bytes) in hash.entries().map_err(|error| self.failed(array, error))?.iter() {
            let keys = decode_all(types, key).ok_or_else(|| internal("a key of another size"))?;
            let merged = self.merged(array, &keys, bytes)?;
            cells.insert(keys, merged);
        }
        let ours = self.cells.iter().filter(|((global, _), _)| *global == array);
        ours.for_each(|((_, keys), cell)| {
            cells.entry(keys.clone()).or_insert_with(|| cell.clone());
        });
        Ok(cells.into_iter().collect())
    }

    fn write(&mut self, text: &[u8]) -> Result {
        self.console.output.write(text);
        Ok(())
    }

    fn array_entries(&mut self, array: GlobalId) -> Result<Vec<Entry>> {
        let Array { hash, keys: types, content: Content::Value(value) } = self.array(array)? else {
            return Err(internal("no array of values"));
        };
        let entries = hash.entries().map_err(|error| self.failed(array, error))?;
        let decoded = entries.iter().map(|(key_bytes, value_bytes)| {
            Some(Entry { keys: decode_all(types, key_bytes)?, value: value.decode(value_bytes)? })
        });
        decoded.collect::<Option<_>>().ok_or_else(|| internal("an entry of another size"))
    }

    /// There is no probed process here, and the kernel's memory is out of reach: every read faults.
    fn load(&mut self, _: Space, _: Width, _: u64) -> Result<Option<u64>> {
        Ok(None)
    }

    fn load_string(&mut self, _: Space, _: u64, _: usize) -> Result<Option<BString>> {
        Ok(None)
    }

    fn register(&mut self, _: u8) -> Result<i64> {
        Err(internal("a register outside of a kernel probe"))
    }

    fn task(&mut self, field: TaskField) -> Result<Datum> {
        Ok(match field {
            TaskField::Pid => Datum::Long(i64::from(getpid().as_raw_nonzero().get())),
            TaskField::Tid => Datum::Long(i64::from(gettid().as_raw_nonzero().get())),
            TaskField::Uid => Datum::Long(i64::from(getuid().as_raw())),
            TaskField::Gid => Datum::Long(i64::from(getgid().as_raw())),
            TaskField::Execname => {
                let failed = |error| InterpretError::Host("/proc/self/comm".to_owned(), error);
                let name = std::fs::read("/proc/self/comm").map_err(failed)?;
                Datum::String(name.trim_end_with(|c| c == '\n').into())
            }
        })
    }

    fn cpu(&mut self) -> i64 {
        sched_getcpu() as i64
    }

    fn clock(&mut self, clock: Clock) -> i64 {
        let time = match clock {
            Clock::Realtime => clock_gettime(ClockId::Realtime),
        };
        time.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec)
    }

    fn parameter(&mut self, parameter: Parameter) -> i64 {
        self.parameters.get(parameter)
    }

    fn point(&mut self, field: PointField) -> BString {
        let handler = self.ir.handlers.get(self.firing.handler);
        let point = handler.and_then(|handler| handler.points.get(self.firing.point));
        point.map_or_else(BString::default, |point| field.of(point).into())
    }

    fn print(&mut self, format: FormatId, arguments: Vec<Datum>) -> Result {
        self.console.print(format, &arguments);
        Ok(())
    }

    fn raise(&mut self, location: Location, message: Message) -> Result {
        self.console.raise(self.firing, location, &message);
        if let Some(word) = self.maps.globals.word(session::ERRORS) {
            word.fetch_add(1, Ordering::SeqCst);
        }
        if self.console.has_too_many_errors() {
            set_state(self.maps, SessionState::Stopping);
        }
        Ok(())
    }

    fn exit(&mut self) {
        *self.exited = true;
        set_state(self.maps, SessionState::Stopping);
    }

    fn is_interrupted(&mut self) -> bool {
        self.signals.received().is_some()
    }
}

fn internal(what: &str) -> InterpretError {
    InterpretError::Internal(what.to_owned())
}
