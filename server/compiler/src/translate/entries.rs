//! Walks over arrays and histograms, selections of entries, and statistics.
//!
//! Selectors are evaluated once, before the walk. A walk with a limit that skips entries counts those that it does not skip.

use shared::ir::{self, Aggregate, BinaryOp, BlockId, Location, Op, Relation, Type, Value};

use super::body::{Translator, ir_global, variable};
use super::ir_type;
use super::ssa::Variable;
use crate::program::{
    Content, Expression, Foreach, ForeachBucket, GlobalId, HistogramOf, Order, Place, Selector, SortBy, Storage,
};

/// What a key must be, evaluated; nothing where it may be anything.
type Selected = Vec<Option<Value>>;

impl Translator<'_, '_> {
    // Walks

    pub(super) fn foreach(&mut self, foreach: &Foreach, location: Location) {
        let selected = self.selected(&foreach.selection);
        let limit = foreach.limit.as_ref().map(|limit| self.value(limit));
        // Entries that are skipped do not count against the limit.
        let (limit, counted) = if selected.iter().any(Option::is_some) { (None, limit) } else { (limit, None) };
        let left = counted.map(|limit| self.counter(limit));
        let (iterator, head, after) = self.open(foreach.array, order(foreach.order), limit, location);
        self.skip_unless_selected(iterator, foreach.array, &selected, head, location);
        if let Some(left) = left {
            self.count_down(left, after, location);
        }
        let keys: Vec<Value> =
            (0..foreach.keys.len()).map(|index| self.key(iterator, foreach.array, index, location)).collect();
        for (&local, &key) in foreach.keys.iter().zip(&keys) {
            self.builder.write(variable(local), key);
        }
        if let Some(local) = foreach.value {
            if let Storage::Array { content: Content::Value(value), .. } =
                &self.unit.program.globals[foreach.array.0].storage
            {
                let ty = ir_type(*value, self.unit.bounds.globals[foreach.array.0].value);
                let [value] = self.builder.push(Op::Entry(iterator), [ty], location);
                self.builder.write(variable(local), value);
            } else {
                self.statistics.insert(local, (foreach.array, keys));
            }
        }
        self.spend(foreach.body.len(), location);
        self.round(&foreach.body, head, after, location);
        self.close(head, after);
    }

    /// Opens a walk and goes to its first entry, if there is one. Gives the iterator, where the next entry is gone to, and
    /// where it goes on after the last.
    fn open(
        &mut self,
        array: GlobalId,
        order: ir::Order,
        limit: Option<Value>,
        location: Location,
    ) -> (Value, BlockId, BlockId) {
        let walk = Op::Iterate { array: ir_global(array), order, limit };
        let [iterator] = self.builder.push(walk, [Type::Iterator], location);
        let (head, after) = (self.builder.new_block(), self.builder.new_block());
        self.builder.jump(head, Vec::new(), location);
        self.builder.switch_to(head);
        let [more] = self.builder.push(Op::Next(iterator), [Type::Long], location);
        let (round, done) = self.branch_on_value(more, location);
        self.builder.switch_to(done);
        self.builder.jump(after, Vec::new(), location);
        self.builder.switch_to(round);
        (iterator, head, after)
    }

    fn close(&mut self, head: BlockId, after: BlockId) {
        self.builder.seal(head);
        self.builder.seal(after);
        self.builder.switch_to(after);
    }

    fn key(&mut self, iterator: Value, array: GlobalId, index: usize, location: Location) -> Value {
        let ty = ir_type(self.array_types(array).0[index], self.unit.bounds.globals[array.0].keys[index]);
        let [key] = self.builder.push(Op::Key(iterator, index as u8), [ty], location);
        key
    }

    /// Goes on to the next entry where the keys of this one are not what is asked for.
    fn skip_unless_selected(
        &mut self,
        iterator: Value,
        array: GlobalId,
        selected: &Selected,
        head: BlockId,
        location: Location,
    ) {
        for (index, &wanted) in selected.iter().enumerate() {
            let Some(wanted) = wanted else { continue };
            let key = self.key(iterator, array, index, location);
            let op = match self.array_types(array).0[index] {
                crate::program::Type::String => Op::CompareStrings(Relation::Equal, key, wanted),
                _ => Op::Compare(Relation::Equal, key, wanted),
            };
            let [is_wanted] = self.builder.push(op, [Type::Long], location);
            let (same, other) = self.branch_on_value(is_wanted, location);
            self.builder.switch_to(other);
            self.builder.jump(head, Vec::new(), location);
            self.builder.switch_to(same);
        }
    }

    fn counter(&mut self, from: Value) -> Variable {
        let counter = self.builder.new_variable(Type::Long);
        self.builder.write(counter, from);
        counter
    }

    /// Counts down, and leaves where nothing is left.
    fn count_down(&mut self, counter: Variable, after: BlockId, location: Location) {
        let (left, zero, one) = (self.builder.read(counter), self.long(0, location), self.long(1, location));
        let [some] = self.builder.push(Op::Compare(Relation::Greater, left, zero), [Type::Long], location);
        let (go_on, leave) = self.branch_on_value(some, location);
        self.builder.switch_to(leave);
        self.builder.jump(after, Vec::new(), location);
        self.builder.switch_to(go_on);
        let [less] = self.builder.push(Op::Binary(BinaryOp::Subtract, left, one), [Type::Long], location);
        self.builder.write(counter, less);
    }

    pub(super) fn foreach_bucket(&mut self, foreach: &ForeachBucket, location: Location) {
        let (global, keys, histogram) = self.histogram(&foreach.of);
        let limit = foreach.limit.as_ref().map(|limit| self.value(limit));
        let left = limit.map(|limit| self.counter(limit));
        let buckets = foreach.of.histogram.bucket_count() as i64;
        let (first, step, last) = if foreach.descending { (buckets - 1, -1, 0) } else { (0, 1, buckets - 1) };
        let first = self.long(first, location);
        let at = self.counter(first);
        let (head, next, after) = (self.builder.new_block(), self.builder.new_block(), self.builder.new_block());
        self.builder.jump(head, Vec::new(), location);
        self.builder.switch_to(head);
        self.spend(foreach.body.len(), location);
        if let Some(left) = left {
            self.count_down(left, after, location);
        }
        let bucket = self.builder.read(at);
        self.builder.write(variable(foreach.bucket), bucket);
        if let Some(local) = foreach.count {
            let [count] = self.builder.push(Op::Bucket(global, keys, histogram, bucket), [Type::Long], location);
            self.builder.write(variable(local), count);
        }
        self.round(&foreach.body, next, after, location);
        self.builder.seal(next);
        self.builder.switch_to(next);
        let (last, step) = (self.long(last, location), self.long(step, location));
        let [is_last] = self.builder.push(Op::Compare(Relation::Equal, bucket, last), [Type::Long], location);
        let (leave, go_on) = self.branch_on_value(is_last, location);
        self.builder.switch_to(leave);
        self.builder.jump(after, Vec::new(), location);
        self.builder.switch_to(go_on);
        let [following] = self.builder.push(Op::Binary(BinaryOp::Add, bucket, step), [Type::Long], location);
        self.builder.write(at, following);
        self.builder.jump(head, Vec::new(), location);
        self.close(head, after);
    }

    // Selections

    fn selected(&mut self, selectors: &[Selector]) -> Selected {
        let values = selectors.iter().map(|selector| match selector {
            Selector::Is(key) => Some(self.value(key)),
            Selector::Any => None,
        });
        values.collect()
    }

    pub(super) fn delete(&mut self, array: GlobalId, selectors: &[Selector], location: Location) {
        let selected = self.selected(selectors);
        if let Some(keys) = selected.iter().copied().collect::<Option<Vec<Value>>>() {
            self.builder.push(Op::ArrayDelete(ir_global(array), keys), [], location);
        } else if selected.iter().all(Option::is_none) {
            self.builder.push(Op::ArrayClear(ir_global(array)), [], location);
        } else {
            let (iterator, head, after) = self.open(array, ir::Order::Any, None, location);
            self.skip_unless_selected(iterator, array, &selected, head, location);
            let keys = (0..selected.len()).map(|index| self.key(iterator, array, index, location)).collect();
            self.builder.push(Op::ArrayDelete(ir_global(array), keys), [], location);
            self.spend(0, location);
            self.builder.jump(head, Vec::new(), location);
            self.close(head, after);
        }
    }

    pub(super) fn contains(&mut self, array: GlobalId, selectors: &[Selector], location: Location) -> Value {
        let selected = self.selected(selectors);
        if let Some(keys) = selected.iter().copied().collect::<Option<Vec<Value>>>() {
            let [has] = self.builder.push(Op::ArrayHas(ir_global(array), keys), [Type::Long], location);
            return has;
        }
        let no = self.long(0, location);
        let found = self.counter(no);
        let (iterator, head, after) = self.open(array, ir::Order::Any, None, location);
        self.skip_unless_selected(iterator, array, &selected, head, location);
        let yes = self.long(1, location);
        self.builder.write(found, yes);
        self.builder.jump(after, Vec::new(), location);
        self.close(head, after);
        self.builder.read(found)
    }

    // Statistics

    /// The global and the keys of a statistic.
    fn statistic(&mut self, place: &Place) -> (ir::GlobalId, Vec<Value>) {
        match place {
            Place::Element(array, keys) => (ir_global(*array), self.values(keys)),
            Place::Global(global) => (ir_global(*global), Vec::new()),
            // Elaborate lets nothing else be a statistic, and binds a local before it is used.
            Place::Local(local) => match self.statistics.get(local) {
                Some((array, keys)) => (ir_global(*array), keys.clone()),
                None => (ir::GlobalId(u16::MAX), Vec::new()),
            },
            Place::Memory { .. } | Place::Register(..) => (ir::GlobalId(u16::MAX), Vec::new()),
        }
    }

    /// The global, the keys and the index of a histogram.
    pub(super) fn histogram(&mut self, of: &HistogramOf) -> (ir::GlobalId, Vec<Value>, u8) {
        let (global, keys) = self.statistic(&of.statistic);
        let storage = self.unit.program.globals.get(usize::from(global.0)).map(|global| &global.storage);
        let index = match storage {
            Some(Storage::Statistic(statistic) | Storage::Array { content: Content::Statistic(statistic), .. }) => {
                statistic.histograms.iter().position(|histogram| *histogram == of.histogram)
            }
            _ => None,
        };
        (global, keys, index.unwrap_or(usize::from(u8::MAX)) as u8)
    }

    pub(super) fn accumulate(&mut self, place: &Place, value: &Expression, location: Location) -> Value {
        let (global, keys) = self.statistic(place);
        let value = self.value(value);
        let [full] = self.builder.push(Op::Accumulate(global, keys, value), [Type::Long], location);
        if matches!(place, Place::Element(..)) {
            self.raise_if_full(full, GlobalId(usize::from(global.0)), location);
        }
        value
    }

    pub(super) fn aggregate(&mut self, aggregate: Aggregate, place: &Place, location: Location) -> Value {
        let (global, keys) = self.statistic(place);
        let op = Op::Aggregate(aggregate, global, keys);
        let [value, empty] = self.builder.push(op, [Type::Long, Type::Long], location);
        if !matches!(aggregate, Aggregate::Count | Aggregate::Sum) {
            self.raise_if_empty(empty, global, location);
        }
        value
    }

    pub(super) fn draw(&mut self, of: &HistogramOf, location: Location) {
        let (global, keys, histogram) = self.histogram(of);
        let [empty] = self.builder.push(Op::Draw(global, keys, histogram), [Type::Long], location);
        self.raise_if_empty(empty, global, location);
    }

    fn raise_if_empty(&mut self, empty: Value, global: ir::GlobalId, location: Location) {
        let name = self.unit.program.globals.get(usize::from(global.0)).map_or("", |global| &global.name);
        let message = format!("empty aggregate near identifier '{name}'");
        self.raise_if(empty, &message, location);
    }
}

fn order(order: Order) -> ir::Order {
    let Order::By { by, descending } = order else { return ir::Order::Any };
    let by = match by {
        SortBy::Key(key) => ir::SortBy::Key(key),
        SortBy::Value => ir::SortBy::Value,
        SortBy::Aggregate(aggregate) => ir::SortBy::Aggregate(aggregate),
    };
    ir::Order::By { by, descending }
}
