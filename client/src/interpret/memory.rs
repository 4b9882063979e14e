//! A world in memory, for tests: what is in it may be set before a run and looked at afterwards.

use std::collections::BTreeMap;

use bstr::BString;
use shared::abi::event::Record;
use shared::abi::map::Parameter;
use shared::abi::value::Datum;
use shared::ir::{
    Clock, Content, FormatId, GlobalId, Ir, Location, PointField, Space, Statistic, Storage, TaskField, Width,
};
use shared::probe::ProbePoint;

use super::machine::internal;
use super::{Entry, Message, Result, Room, World};

/// The hash's order is here that of the keys.
pub type Array = BTreeMap<Vec<Datum>, Datum>;

/// Everything outside a function, in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryWorld {
    /// The value of each scalar.
    pub scalars: BTreeMap<GlobalId, Datum>,
    /// The entries of each array,
    pub arrays: BTreeMap<GlobalId, Array>,
    /// what each statistic has taken in, those of arrays by their keys,
    pub cells: BTreeMap<(GlobalId, Vec<Datum>), Vec<i64>>,
    /// what is kept of it,
    pub statistics: BTreeMap<GlobalId, Statistic>,
    /// and how many entries each array can hold.
    pub entries_max: BTreeMap<GlobalId, usize>,
    /// The keys of each array that drops its oldest entry where it is full, oldest first.
    pub wrapping: BTreeMap<GlobalId, Vec<Vec<Datum>>>,
    /// What is in memory, from each address on. Ranges must not overlap.
    pub memory: BTreeMap<(Space, u64), Vec<u8>>,
    /// By DWARF number; others are 0.
    pub registers: BTreeMap<u8, i64>,
    /// What is known of the task; other fields are 0 or empty.
    pub task: BTreeMap<TaskField, Datum>,
    /// The processor.
    pub cpu: i64,
    /// Every clock's time in nanoseconds.
    pub clock_ns: i64,
    /// What was set at load; others are 0.
    pub parameters: BTreeMap<Parameter, i64>,
    /// The probe point that fires.
    pub point: Option<ProbePoint>,
    /// The handler's index, for its errors,
    pub handler_index: usize,
    /// and the point's.
    pub point_index: usize,
    /// What was printed, raised and exited, in order.
    pub records: Vec<Record>,
    /// A run-away handler's end, which no record can say.
    pub stopped: Option<(Location, Message)>,
    /// How many more times [`World::is_interrupted`] answers no; forever where it is not given.
    pub interrupted_after: Option<u64>,
}

impl MemoryWorld {
    /// The world in which a session starts: scalars as the script initialises them, arrays empty.
    #[must_use]
    pub fn new(ir: &Ir) -> Self {
        let mut world = Self::default();
        for (index, global) in ir.globals.iter().enumerate() {
            let id = GlobalId(index as u16);
            if let Storage::Array { wrap: true, .. } = global.storage {
                world.wrapping.insert(id, Vec::new());
            }
            match &global.storage {
                Storage::Scalar { initial, .. } => {
                    world.scalars.insert(id, initial.clone());
                }
                Storage::Array { content: Content::Value(_), entries_max, .. } => {
                    world.arrays.insert(id, Array::new());
                    world.entries_max.insert(id, *entries_max as usize);
                }
                Storage::Array { content: Content::Statistic(statistic), entries_max, .. } => {
                    world.statistics.insert(id, statistic.clone());
                    world.entries_max.insert(id, *entries_max as usize);
                }
                Storage::Statistic(statistic) => {
                    world.statistics.insert(id, statistic.clone());
                }
            }
        }
        world
    }

    /// What was printed, as it would be seen.
    #[must_use]
    pub fn output(&self, ir: &Ir) -> BString {
        let mut out = Vec::new();
        for record in &self.records {
            if let Record::Print { format, arguments } = record {
                ir.formats[usize::from(format.0)].format.render(arguments, &mut out);
            }
        }
        out.into()
    }

    /// Removes the oldest entry of an array that may do so; gives whether it did.
    fn drops_oldest(&mut self, array: GlobalId) -> Result<bool> {
        let Some(oldest) = self.wrapping.get_mut(&array).filter(|oldest| !oldest.is_empty()) else { return Ok(false) };
        let oldest = oldest.remove(0);
        self.array_delete(array, &oldest)?;
        Ok(true)
    }

    fn array(&mut self, array: GlobalId) -> Result<&mut Array> {
        self.arrays.get_mut(&array).ok_or_else(|| internal("no such array"))
    }
}

impl World for MemoryWorld {
    fn get(&mut self, global: GlobalId) -> Result<Datum> {
        self.scalars.get(&global).cloned().ok_or_else(|| internal("no such scalar"))
    }

    fn set(&mut self, global: GlobalId, value: Datum) -> Result {
        self.scalars.insert(global, value);
        Ok(())
    }

    fn add(&mut self, global: GlobalId, addend: i64) -> Result<i64> {
        let sum = self.get(global)?.long().wrapping_add(addend);
        self.scalars.insert(global, Datum::Long(sum));
        Ok(sum)
    }

    fn array_get(&mut self, array: GlobalId, keys: &[Datum]) -> Result<Option<Datum>> {
        Ok(self.array(array)?.get(keys).cloned())
    }

    fn array_has(&mut self, array: GlobalId, keys: &[Datum]) -> Result<bool> {
        if self.statistics.contains_key(&array) {
            return Ok(self.cells.contains_key(&(array, keys.to_vec())));
        }
        Ok(self.array(array)?.contains_key(keys))
    }

    fn array_set(&mut self, array: GlobalId, keys: &[Datum], value: Datum) -> Result<Room> {
        let entries_max = self.entries_max.get(&array).copied().unwrap_or(usize::MAX);
        let entries = self.array(array)?;
        if !entries.contains_key(keys) {
            let is_full = entries.len() >= entries_max;
            if is_full && !self.drops_oldest(array)? {
                return Ok(Room::Full);
            }
            self.wrapping.entry(array).and_modify(|oldest| oldest.push(keys.to_vec()));
        }
        self.array(array)?.insert(keys.to_vec(), value);
        Ok(Room::Found)
    }

    fn array_add(&mut self, array: GlobalId, keys: &[Datum], addend: i64) -> Result<(i64, Room)> {
        let sum = self.array_get(array, keys)?.map_or(0, |value| value.long()).wrapping_add(addend);
        Ok((sum, self.array_set(array, keys, Datum::Long(sum))?))
    }

    fn array_delete(&mut self, array: GlobalId, keys: &[Datum]) -> Result {
        self.wrapping.entry(array).and_modify(|oldest| oldest.retain(|kept| kept != keys));
        if self.cells.remove(&(array, keys.to_vec())).is_none() && !self.statistics.contains_key(&array) {
            self.array(array)?.remove(keys);
        }
        Ok(())
    }

    fn array_clear(&mut self, array: GlobalId) -> Result {
        self.wrapping.entry(array).and_modify(Vec::clear);
        self.cells.retain(|(global, _), _| *global != array);
        if self.statistics.contains_key(&array) { Ok(()) } else { self.array(array).map(Array::clear) }
    }

    fn array_entries(&mut self, array: GlobalId) -> Result<Vec<Entry>> {
        let entries = self.array(array)?.iter();
        Ok(entries.map(|(keys, value)| Entry { keys: keys.clone(), value: value.clone() }).collect())
    }

    fn accumulate(&mut self, global: GlobalId, keys: &[Datum], value: i64) -> Result<Room> {
        let entries = self.cells.keys().filter(|(of, _)| *of == global).count();
        let has_room = entries < self.entries_max.get(&global).copied().unwrap_or(usize::MAX);
        let key = (global, keys.to_vec());
        if !self.cells.contains_key(&key) {
            if !has_room && !self.drops_oldest(global)? {
                return Ok(Room::Full);
            }
            self.wrapping.entry(global).and_modify(|oldest| oldest.push(keys.to_vec()));
        }
        let statistic = self.statistics.get(&global).ok_or_else(|| internal("no such statistic"))?;
        statistic.add(self.cells.entry(key).or_insert_with(|| statistic.empty()), value);
        Ok(Room::Found)
    }

    fn cell(&mut self, global: GlobalId, keys: &[Datum]) -> Result<Vec<i64>> {
        let statistic = self.statistics.get(&global).ok_or_else(|| internal("no such statistic"))?;
        Ok(self.cells.get(&(global, keys.to_vec())).cloned().unwrap_or_else(|| statistic.empty()))
    }

    fn cells(&mut self, array: GlobalId) -> Result<Vec<(Vec<Datum>, Vec<i64>)>> {
        let cells = self.cells.iter().filter(|((global, _), _)| *global == array);
        Ok(cells.map(|((_, keys), cell)| (keys.clone(), cell.clone())).collect())
    }

    fn load(&mut self, space: Space, width: Width, address: u64) -> Result<Option<u64>> {
        let range = self.memory.range(..=(space, address)).next_back();
        let bytes = range.filter(|((found, _), _)| *found == space).and_then(|((_, start), bytes)| {
            let offset = usize::try_from(address - start).ok()?;
            bytes.get(offset..offset.checked_add(usize::from(width.bytes))?)
        });
        Ok(bytes.map(|bytes| bytes.iter().rev().fold(0, |raw, &byte| raw << 8 | u64::from(byte))))
    }

    fn load_string(&mut self, space: Space, address: u64, bytes_max: usize) -> Result<Option<BString>> {
        let range = self.memory.range(..=(space, address)).next_back();
        let bytes = range.filter(|((found, _), _)| *found == space).and_then(|((_, start), bytes)| {
            let rest = bytes.get(usize::try_from(address - start).ok()?..)?;
            let rest = &rest[..rest.len().min(bytes_max)];
            let end = rest.iter().position(|&byte| byte == 0);
            // Memory ends where the range does.
            (end.is_some() || rest.len() == bytes_max).then(|| BString::from(&rest[..end.unwrap_or(rest.len())]))
        });
        Ok(bytes)
    }

    fn register(&mut self, number: u8) -> Result<i64> {
        Ok(self.registers.get(&number).copied().unwrap_or(0))
    }

    fn task(&mut self, field: TaskField) -> Result<Datum> {
        Ok(self.task.get(&field).cloned().unwrap_or_else(|| field.ty().zero()))
    }

    fn cpu(&mut self) -> i64 {
        self.cpu
    }

    fn clock(&mut self, _: Clock) -> i64 {
        self.clock_ns
    }

    fn parameter(&mut self, parameter: Parameter) -> i64 {
        self.parameters.get(&parameter).copied().unwrap_or(0)
    }

    fn point(&mut self, field: PointField) -> BString {
        self.point.as_ref().map_or_else(BString::default, |point| field.of(point).into())
    }

    fn print(&mut self, format: FormatId, arguments: Vec<Datum>) -> Result {
        self.records.push(Record::Print { format, arguments });
        Ok(())
    }

    fn raise(&mut self, location: Location, message: Message) -> Result {
        match message {
            Message::Format { format, arguments } => {
                let (handler, point) = (self.handler_index, self.point_index);
                self.records.push(Record::Raise { handler, point, location, format, arguments });
            }
            Message::StepsExceeded | Message::DepthExceeded => self.stopped = Some((location, message)),
        }
        Ok(())
    }

    fn exit(&mut self) {
        self.records.push(Record::Exit);
    }

    fn is_interrupted(&mut self) -> bool {
        match &mut self.interrupted_after {
            Some(0) => true,
            Some(times) => {
                *times -= 1;
                false
            }
            None => false,
        }
    }
}
