//! Statistics: a cell for each processor, laid out as [`shared::abi::statistic`] says. Taking a value in touches the cell of the
//! processor that the handler runs on; reading merges all of them.
//!
//! A cell is changed in several steps, none of them atomic: where one handler interrupts another in the middle of them, a
//! value may be lost.

use regalloc2::VReg;
use shared::abi::statistic::{Histogram, LOG_ZERO, Words};
use shared::ir::{Aggregate, Content, GlobalId, Op, Statistic, Storage, Value};
use shared::target::Feature;

use super::{Refusal, Result, Selector};
use crate::bpf::code::{Alu, Helper, Jump, Size, map};
use crate::bpf::{Map, Symbol};
use crate::codegen::draft::{Base, Inst, Source};

/// Processors whose cells are read, at the most: more than the kernel's configurations have (NR_CPUS).
const PROCESSORS_MAX: usize = 8192;

impl Selector<'_> {
    pub(super) fn statistic_op(&mut self, op: &Op, results: &[Value]) -> Result {
        match op {
            Op::Accumulate(global, keys, value) => {
                let full = self.accumulate(*global, keys, *value);
                results.iter().for_each(|&result| self.define_truth(result, full));
            }
            Op::Aggregate(Aggregate::Variance, ..) => return self.refuse_statistic("@variance"),
            Op::Aggregate(aggregate, global, keys) => self.aggregate(*aggregate, *global, keys, results)?,
            Op::Bucket(global, keys, histogram, bucket) => {
                let count = self.bucket(*global, keys, *histogram, *bucket)?;
                results.iter().for_each(|&result| self.define(result, count));
            }
            Op::Draw(..) => return self.refuse_statistic("printing a histogram"),
            _ => {}
        }
        Ok(())
    }

    fn refuse_statistic(&self, what: &'static str) -> Result {
        Err((self.location, Refusal::NotInKernel(what)))
    }

    pub(super) fn statistic(&self, global: GlobalId) -> Statistic {
        match &self.ir.globals[usize::from(global.0)].storage {
            Storage::Statistic(statistic) | Storage::Array { content: Content::Statistic(statistic), .. } => {
                statistic.clone()
            }
            // The IR's verifier excludes the rest.
            _ => Statistic::default(),
        }
    }

    /// Takes a value in; gives an error where there is no room for a new entry, else 0.
    fn accumulate(&mut self, global: GlobalId, keys: &[Value], value: Value) -> VReg {
        let value = self.long(value);
        let statistic = self.statistic(global);
        let words = statistic.words();
        let key = self.key(global, keys);
        let (there, cells) = self.join(1);
        let (after, errors) = self.join(1);
        let cell = self.lookup_at(global, key);
        let (missing, found) = self.branch(Jump::Eq, cell, Source::Immediate(0));
        self.switch_to(found);
        self.jump(there, &[cell]);
        self.switch_to(missing);
        // An entry of zeros; where another processor was faster, its entry does as well.
        let zeros = self.rodata.offset(vec![0; words.total * 8]);
        let zeros = self.address(Symbol::Rodata, zeros);
        let error = self.update(global, key, zeros, map::UPDATE_NOEXIST);
        let cell = self.lookup_at(global, key);
        let (full, inserted) = self.branch(Jump::Eq, cell, Source::Immediate(0));
        self.switch_to(inserted);
        self.jump(there, &[cell]);
        self.switch_to(full);
        self.jump(after, &[error]);
        self.switch_to(there);
        self.take_in(&statistic, &words, cells[0], value);
        let none = self.immediate(0);
        self.jump(after, &[none]);
        self.switch_to(after);
        errors[0]
    }

    /// Takes a value into a cell.
    fn take_in(&mut self, statistic: &Statistic, words: &Words, cell: VReg, value: VReg) {
        let before = self.load_word(cell, words.count);
        let count = self.alu(Alu::Add, before, Source::Immediate(1));
        self.store_word(cell, words.count, count);
        let sum = self.load_word(cell, words.sum);
        let sum = self.alu(Alu::Add, sum, Source::Register(value));
        self.store_word(cell, words.sum, sum);
        if let Some((min, max)) = words.extremes {
            self.replace_unless(cell, min, value, before, Jump::Sge);
            self.replace_unless(cell, max, value, before, Jump::Sle);
        }
        if let Some((mean, squares)) = words.variance {
            self.vary(statistic.variance_shift, cell, (mean, squares), value, count);
        }
        for &(histogram, first) in &words.histograms {
            let bucket = self.bucket_of(histogram, value);
            let offset = self.alu(Alu::Lsh, bucket, Source::Immediate(3));
            let bucket = self.alu(Alu::Add, cell, Source::Register(offset));
            let count = self.load_word(bucket, first);
            let count = self.alu(Alu::Add, count, Source::Immediate(1));
            self.store_word(bucket, first, count);
        }
    }

    fn load_word(&mut self, cell: VReg, word: usize) -> VReg {
        self.load(Size::Dw, Base::Register(cell), (word * 8) as i32)
    }

    fn store_word(&mut self, cell: VReg, word: usize, source: VReg) {
        self.store(Base::Register(cell), (word * 8) as i32, Source::Register(source));
    }

    /// Puts a value in the place of one that it does not stand in the relation to, and of the nothing before the first.
    fn replace_unless(&mut self, cell: VReg, word: usize, value: VReg, count: VReg, relation: Jump) {
        let (after, _) = self.join(0);
        let (replace, _) = self.join(0);
        let (first, later) = self.branch(Jump::Eq, count, Source::Immediate(0));
        self.switch_to(first);
        self.jump(replace, &[]);
        self.switch_to(later);
        let held = self.load_word(cell, word);
        let (keeps, changes) = self.branch(relation, value, Source::Register(held));
        self.switch_to(keeps);
        self.jump(after, &[]);
        self.switch_to(changes);
        self.jump(replace, &[]);
        self.switch_to(replace);
        self.store_word(cell, word, value);
        self.jump(after, &[]);
        self.switch_to(after);
    }

    /// Welford's method, as `Statistic::add` has it.
    fn vary(&mut self, shift: u8, cell: VReg, (mean, squares): (usize, usize), value: VReg, count: VReg) {
        let shifted = self.alu(Alu::Lsh, value, Source::Immediate(i32::from(shift)));
        let before = self.load_word(cell, mean);
        let difference = self.alu(Alu::Sub, shifted, Source::Register(before));
        let [step, sign, divisor] = std::array::from_fn(|_| self.draft.new_register());
        self.inst(Inst::Divide { remainder: false, result: step, left: difference, right: count, sign, divisor });
        let after = self.alu(Alu::Add, before, Source::Register(step));
        self.store_word(cell, mean, after);
        let rest = self.alu(Alu::Sub, shifted, Source::Register(after));
        let square = self.alu(Alu::Mul, difference, Source::Register(rest));
        let sum = self.load_word(cell, squares);
        let sum = self.alu(Alu::Add, sum, Source::Register(square));
        self.store_word(cell, squares, sum);
    }

    /// The bucket of a value, in a form that the verifier knows to be in range.
    fn bucket_of(&mut self, histogram: Histogram, value: VReg) -> VReg {
        let bucket = match histogram {
            Histogram::Log => self.logarithmic_bucket(value),
            Histogram::Linear { low, step, .. } => self.linear_bucket(low, step, value),
        };
        let last = histogram.bucket_count() as i32 - 1;
        let (join, bounded) = self.join(1);
        let (beyond, within) = self.branch(Jump::Gt, bucket, Source::Immediate(last));
        self.switch_to(beyond);
        let last = self.immediate(i64::from(last));
        self.jump(join, &[last]);
        self.switch_to(within);
        self.jump(join, &[bucket]);
        self.switch_to(join);
        bounded[0]
    }

    /// The number of bits of the amount, on one side of zero or the other. Without branches: each would double what the
    /// verifier looks at.
    fn logarithmic_bucket(&mut self, value: VReg) -> VReg {
        let sign = self.alu(Alu::Arsh, value, Source::Immediate(63));
        let flipped = self.alu(Alu::Xor, value, Source::Register(sign));
        let mut rest = self.alu(Alu::Sub, flipped, Source::Register(sign));
        let mut bits = self.immediate(0);
        for width in [32, 16, 8, 4, 2, 1] {
            // Whether there is something above so many bits: what is there is less than 2^32, so the highest bit of its
            // negative tells.
            let above = self.alu(Alu::Rsh, rest, Source::Immediate(width));
            let zero = self.immediate(0);
            let above = self.alu(Alu::Sub, zero, Source::Register(above));
            let above = self.alu(Alu::Rsh, above, Source::Immediate(63));
            let shift = self.alu(Alu::Mul, above, Source::Immediate(width));
            rest = self.alu(Alu::Rsh, rest, Source::Register(shift));
            bits = self.alu(Alu::Add, bits, Source::Register(shift));
        }
        // What is left is 1, or 0 where the value is.
        let bits = self.alu(Alu::Add, bits, Source::Register(rest));
        let flipped = self.alu(Alu::Xor, bits, Source::Register(sign));
        let signed = self.alu(Alu::Sub, flipped, Source::Register(sign));
        self.alu(Alu::Add, signed, Source::Immediate(LOG_ZERO as i32))
    }

    fn linear_bucket(&mut self, low: i64, step: i64, value: VReg) -> VReg {
        let low = self.immediate(low);
        let above = self.alu(Alu::Sub, value, Source::Register(low));
        let (join, buckets) = self.join(1);
        let (below, within) = self.branch(Jump::Slt, above, Source::Immediate(0));
        self.switch_to(below);
        let zero = self.immediate(0);
        self.jump(join, &[zero]);
        self.switch_to(within);
        let step = self.immediate(step.max(1));
        let steps = self.alu(Alu::Div, above, Source::Register(step));
        let bucket = self.alu(Alu::Add, steps, Source::Immediate(1));
        self.jump(join, &[bucket]);
        self.switch_to(join);
        buckets[0]
    }

    fn aggregate(&mut self, aggregate: Aggregate, global: GlobalId, keys: &[Value], results: &[Value]) -> Result {
        let &[result, empty] = results else { return Ok(()) };
        let words = self.statistic(global).words();
        // The value and the count, over all processors.
        let (word, relation) = match (aggregate, words.extremes) {
            (Aggregate::Count, _) => (words.count, None),
            (Aggregate::Min, Some((min, _))) => (min, Some(Jump::Slt)),
            (Aggregate::Max, Some((_, max))) => (max, Some(Jump::Sgt)),
            _ => (words.sum, None),
        };
        let totals = self.draft.new_transient_slot(16);
        self.clear(Base::Slot(totals), 0, 16);
        self.each_cell(global, keys, |this, cell| {
            let (after, _) = this.join(0);
            let count = this.load_word(cell, words.count);
            let (nothing, something) = this.branch(Jump::Eq, count, Source::Immediate(0));
            this.switch_to(nothing);
            this.jump(after, &[]);
            this.switch_to(something);
            let value = this.load_word(cell, word);
            let held = this.load(Size::Dw, Base::Slot(totals), 0);
            let counted = this.load(Size::Dw, Base::Slot(totals), 8);
            let value = match relation {
                None => this.alu(Alu::Add, held, Source::Register(value)),
                Some(relation) => this.chosen(relation, value, held, counted),
            };
            this.store(Base::Slot(totals), 0, Source::Register(value));
            let counted = this.alu(Alu::Add, counted, Source::Register(count));
            this.store(Base::Slot(totals), 8, Source::Register(counted));
            this.jump(after, &[]);
            this.switch_to(after);
        })?;
        let mut value = self.load(Size::Dw, Base::Slot(totals), 0);
        let count = self.load(Size::Dw, Base::Slot(totals), 8);
        if aggregate == Aggregate::Average {
            let [average, sign, divisor] = std::array::from_fn(|_| self.draft.new_register());
            self.inst(Inst::Divide { remainder: false, result: average, left: value, right: count, sign, divisor });
            value = average;
        }
        self.define(result, value);
        let is_empty = match aggregate {
            Aggregate::Count | Aggregate::Sum => self.immediate(0),
            _ => self.set(Jump::Eq, count, Source::Immediate(0)),
        };
        self.define(empty, is_empty);
        Ok(())
    }

    /// A value where it stands in the relation to what is held or nothing is held yet, else what is held.
    fn chosen(&mut self, relation: Jump, value: VReg, held: VReg, counted: VReg) -> VReg {
        let (join, chosen) = self.join(1);
        let (first, later) = self.branch(Jump::Eq, counted, Source::Immediate(0));
        self.switch_to(first);
        self.jump(join, &[value]);
        self.switch_to(later);
        let (replaces, stays) = self.branch(relation, value, Source::Register(held));
        self.switch_to(replaces);
        self.jump(join, &[value]);
        self.switch_to(stays);
        self.jump(join, &[held]);
        self.switch_to(join);
        chosen[0]
    }

    fn bucket(&mut self, global: GlobalId, keys: &[Value], histogram: u8, bucket: Value) -> Result<VReg> {
        let words = self.statistic(global).words();
        let Some(&(histogram, first)) = words.histograms.get(usize::from(histogram)) else {
            return Ok(self.immediate(0));
        };
        let bucket = self.long(bucket);
        let (after, counts) = self.join(1);
        let count = Source::Immediate(histogram.bucket_count() as i32);
        let (within, beyond) = self.branch(Jump::Lt, bucket, count);
        self.switch_to(beyond);
        let zero = self.immediate(0);
        self.jump(after, &[zero]);
        self.switch_to(within);
        let total = self.draft.new_transient_slot(8);
        self.clear(Base::Slot(total), 0, 8);
        let offset = self.alu(Alu::Lsh, bucket, Source::Immediate(3));
        self.each_cell(global, keys, |this, cell| {
            let place = this.alu(Alu::Add, cell, Source::Register(offset));
            let count = this.load_word(place, first);
            let held = this.load(Size::Dw, Base::Slot(total), 0);
            let sum = this.alu(Alu::Add, held, Source::Register(count));
            this.store(Base::Slot(total), 0, Source::Register(sum));
        })?;
        let sum = self.load(Size::Dw, Base::Slot(total), 0);
        self.jump(after, &[sum]);
        self.switch_to(after);
        Ok(counts[0])
    }

    /// Runs `body` on the cell of each processor.
    fn each_cell(&mut self, global: GlobalId, keys: &[Value], body: impl FnOnce(&mut Self, VReg)) -> Result {
        // Without `may_goto` the verifier would walk through a round for every processor that there may be.
        for feature in [Feature::PerCpuLookup, Feature::MayGoto] {
            if !self.target.features.contains(&feature) {
                return Err((self.location, Refusal::NoFeature("reading a statistic here", feature)));
            }
        }
        let key = self.key(global, keys);
        let (after, _) = self.join(0);
        let done = self.for_each_index(PROCESSORS_MAX, |this, processor| {
            let map = this.address(Symbol::Map(Map::Array(global)), 0);
            let cell = this.call(Helper::MapLookupPercpuElem, &[map, key, processor]);
            let (last, there) = this.branch(Jump::Eq, cell, Source::Immediate(0));
            this.switch_to(last);
            this.jump(after, &[]);
            this.switch_to(there);
            body(this, cell);
        });
        self.switch_to(done);
        self.jump(after, &[]);
        self.switch_to(after);
        Ok(())
    }

    /// Empties the cell of each processor.
    pub(super) fn clear_statistic(&mut self, global: GlobalId) -> Result {
        let total = self.statistic(global).words().total;
        self.each_cell(global, &[], |this, cell| this.clear(Base::Register(cell), 0, total * 8))
    }
}
