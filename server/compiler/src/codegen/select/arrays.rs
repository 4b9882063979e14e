//! Associative arrays: hash maps with keys laid out as [`shared::abi::value`] says.

use regalloc2::VReg;
use shared::ir::{Content, GlobalId, Op, Storage, Type, Value};

use super::Selector;
use crate::bpf::code::{Alu, EEXIST, Helper, Jump, Size, map};
use crate::bpf::{Map, Symbol};
use crate::codegen::draft::{Base, Inst, Source};

impl Selector<'_> {
    pub(super) fn array(&mut self, op: &Op, results: &[Value]) {
        match op {
            Op::ArrayGet(array, keys) => self.array_get(*array, keys, results),
            Op::ArrayHas(array, keys) => {
                let entry = self.lookup(*array, keys).1;
                results.iter().for_each(|&result| self.define_truth(result, entry));
            }
            Op::ArraySet(array, keys, value) => self.array_set(*array, keys, *value, results),
            Op::ArrayAdd(array, keys, value) => self.array_add(*array, keys, *value, results),
            Op::ArrayDelete(array, keys) => {
                let key = self.key(*array, keys);
                let map = self.address(Symbol::Map(Map::Array(*array)), 0);
                self.call_for_effect(Helper::MapDeleteElem, &[map, key]);
            }
            _ => {}
        }
    }

    fn types(&self, array: GlobalId) -> (Vec<Type>, Type) {
        match &self.ir.globals[usize::from(array.0)].storage {
            Storage::Array { keys, content: Content::Value(value), .. } => (keys.clone(), *value),
            Storage::Array { keys, content: Content::Statistic(_), .. } => (keys.clone(), Type::Long),
            Storage::Scalar { ty, .. } => (Vec::new(), *ty),
            // By its number, the only one.
            Storage::Statistic(_) => (vec![Type::Long], Type::Long),
        }
    }

    /// Lays out a key in the frame; gives its address.
    pub(super) fn key(&mut self, array: GlobalId, keys: &[Value]) -> VReg {
        let (types, _) = self.types(array);
        let (offsets, size) = shared::abi::value::offsets(&types);
        let slot = self.draft.new_transient_slot(size);
        if keys.is_empty() {
            self.store(Base::Slot(slot), 0, Source::Immediate(0));
        }
        for ((&key, ty), offset) in keys.iter().zip(&types).zip(offsets) {
            self.write(key, *ty, Base::Slot(slot), offset as i32);
        }
        self.frame(slot)
    }

    /// Writes a value to memory as a type lies there.
    pub(super) fn write(&mut self, value: Value, ty: Type, base: Base, offset: i32) {
        match ty {
            Type::String(bound) => {
                let text = self.text(value);
                self.write_text(&text, base, offset, bound);
            }
            Type::Long | Type::Iterator => {
                let source = self.source(value);
                self.store(base, offset, source);
            }
        }
    }

    /// Looks a key up; gives the key's address and the entry's, which is 0 where there is none.
    fn lookup(&mut self, array: GlobalId, keys: &[Value]) -> (VReg, VReg) {
        let key = self.key(array, keys);
        let entry = self.lookup_at(array, key);
        (key, entry)
    }

    pub(super) fn lookup_at(&mut self, array: GlobalId, key: VReg) -> VReg {
        let map = self.address(Symbol::Map(Map::Array(array)), 0);
        self.call(Helper::MapLookupElem, &[map, key])
    }

    fn array_get(&mut self, array: GlobalId, keys: &[Value], results: &[Value]) {
        let Some(&result) = results.first() else { return };
        let (_, entry) = self.lookup(array, keys);
        match self.function.ty(result) {
            Type::String(bound) => {
                let slot = self.draft.new_slot(Type::String(bound).size());
                let (join, _) = self.join(0);
                let (missing, found) = self.branch(Jump::Eq, entry, Source::Immediate(0));
                self.switch_to(missing);
                self.clear(Base::Slot(slot), 0, Type::String(bound).size());
                self.jump(join, &[]);
                self.switch_to(found);
                self.write_text(&super::Text::pointer(entry, bound), Base::Slot(slot), 0, bound);
                self.jump(join, &[]);
                self.switch_to(join);
                self.define_frame_text(result, slot, bound);
            }
            Type::Long | Type::Iterator => {
                let (join, values) = self.join(1);
                let (missing, found) = self.branch(Jump::Eq, entry, Source::Immediate(0));
                self.switch_to(missing);
                let zero = self.immediate(0);
                self.jump(join, &[zero]);
                self.switch_to(found);
                let value = self.load(Size::Dw, Base::Register(entry), 0);
                self.jump(join, &[value]);
                self.switch_to(join);
                self.define(result, values[0]);
            }
        }
    }

    fn array_set(&mut self, array: GlobalId, keys: &[Value], value: Value, results: &[Value]) {
        let key = self.key(array, keys);
        let (_, ty) = self.types(array);
        let slot = self.draft.new_transient_slot(ty.size());
        self.write(value, ty, Base::Slot(slot), 0);
        let value = self.frame(slot);
        let error = self.update(array, key, value, map::UPDATE_ANY);
        results.iter().for_each(|&full| self.define_truth(full, error));
    }

    pub(super) fn update(&mut self, array: GlobalId, key: VReg, value: VReg, flags: i64) -> VReg {
        let map = self.address(Symbol::Map(Map::Array(array)), 0);
        let flags = self.immediate(flags);
        self.call(Helper::MapUpdateElem, &[map, key, value, flags])
    }

    /// Adds where the entry exists; else inserts; and where another processor inserted in between, adds after all. Where it
    /// was removed again in between, the addition counts as done before the removal.
    fn array_add(&mut self, array: GlobalId, keys: &[Value], addend: Value, results: &[Value]) {
        let &[after, full] = results else { return };
        let addend = self.long(addend);
        let (key, entry) = self.lookup(array, keys);
        let (join, values) = self.join(2);
        let (missing, found) = self.branch(Jump::Eq, entry, Source::Immediate(0));
        self.switch_to(found);
        let sum = self.add_in_place(entry, addend, after);
        let none = self.immediate(0);
        self.jump(join, &[sum, none]);

        self.switch_to(missing);
        let slot = self.draft.new_transient_slot(8);
        self.store(Base::Slot(slot), 0, Source::Register(addend));
        let value = self.frame(slot);
        let error = self.update(array, key, value, map::UPDATE_NOEXIST);
        let (raced, decided) = self.branch(Jump::Eq, error, Source::Immediate(EEXIST));
        self.switch_to(decided);
        self.jump(join, &[addend, error]);

        self.switch_to(raced);
        let entry = self.lookup_at(array, key);
        let (gone, found) = self.branch(Jump::Eq, entry, Source::Immediate(0));
        self.switch_to(gone);
        let none = self.immediate(0);
        self.jump(join, &[addend, none]);
        self.switch_to(found);
        let sum = self.add_in_place(entry, addend, after);
        let none = self.immediate(0);
        self.jump(join, &[sum, none]);

        self.switch_to(join);
        self.define(after, values[0]);
        self.define_truth(full, values[1]);
    }

    /// Adds to an entry in one step; gives the sum where somebody wants it.
    fn add_in_place(&mut self, entry: VReg, addend: VReg, after: Value) -> VReg {
        let before = self.used(after).then(|| self.draft.new_register());
        self.inst(Inst::AtomicAdd { base: entry, offset: 0, addend, before });
        match before {
            Some(before) => self.alu(Alu::Add, before, Source::Register(addend)),
            None => addend,
        }
    }
}
