//! Statistics: what is kept of the values that a script accumulates (`<<<`), how that is merged, and how a histogram is drawn.
//!
//! A cell is a row of words, as [`Statistic::words`] says: the count, the sum, then what the script asks for. In the kernel
//! there is a cell for each processor, so that nobody waits for anybody; a reader merges them. A cell of zeros is empty.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a statistic must be able to tell, as the whole script asks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Statistic {
    /// The aggregates.
    pub aggregates: BTreeSet<Aggregate>,
    /// The histograms.
    pub histograms: BTreeSet<Histogram>,
    /// By how many bits values are shifted left while the variance is computed, so that small ones have one, too: 0 to 62.
    pub variance_shift: u8,
}

/// A number that a statistic comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Aggregate {
    /// `@count`
    Count,
    /// `@sum`
    Sum,
    /// `@min`
    Min,
    /// `@max`
    Max,
    /// `@avg`: the sum divided by the count, towards zero.
    Average,
    /// `@variance`: of a sample; -1 of a single value.
    Variance,
}

/// The buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Histogram {
    /// `@hist_log`: powers of two on both sides of zero.
    Log,
    /// `@hist_linear`: of equal width, and one more at each end for what lies outside.
    Linear {
        /// The lowest value.
        low: i64,
        /// The highest value, not below the lowest.
        high: i64,
        /// The width of a bucket, at least 1.
        step: i64,
    },
}

/// The bucket of 0 in a logarithmic histogram: those of positive numbers are above, by their number of bits, and those of
/// negative numbers below.
pub const LOG_ZERO: usize = 64;

/// Buckets of a logarithmic histogram.
const LOG_BUCKETS: usize = 128;

/// How wide the largest bar is.
const BAR_WIDTH: u64 = 50;

/// So many empty buckets next to one that is not empty are drawn; others are left out.
const MARGIN: usize = 2;

/// Where each thing lies in a cell, in words; what is not kept lies nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The number of values.
    pub count: usize,
    /// Their sum, wrapping.
    pub sum: usize,
    /// The smallest and the largest.
    pub extremes: Option<(usize, usize)>,
    /// The mean so far, shifted, and the sum of the squares of what values differ from it (Welford's method).
    pub variance: Option<(usize, usize)>,
    /// The first bucket of each histogram.
    pub histograms: Vec<(Histogram, usize)>,
    /// All words.
    pub total: usize,
}

impl Statistic {
    /// Where each thing lies.
    #[must_use]
    pub fn words(&self) -> Words {
        let mut total = 2usize;
        let mut pair = |wanted: bool| {
            let at = total;
            total += if wanted { 2 } else { 0 };
            wanted.then_some((at, at + 1))
        };
        let has = |aggregate| self.aggregates.contains(&aggregate);
        let extremes = pair(has(Aggregate::Min) || has(Aggregate::Max));
        let variance = pair(has(Aggregate::Variance));
        let mut histograms = Vec::new();
        for &histogram in &self.histograms {
            histograms.push((histogram, total));
            total = total.saturating_add(histogram.bucket_count());
        }
        Words { count: 0, sum: 1, extremes, variance, histograms, total }
    }

    /// An empty cell.
    #[must_use]
    pub fn empty(&self) -> Vec<i64> {
        vec![0; self.words().total]
    }

    /// Takes a value in.
    pub fn add(&self, cell: &mut [i64], value: i64) {
        let words = self.words();
        let is_first = cell[words.count] == 0;
        cell[words.count] = cell[words.count].wrapping_add(1);
        cell[words.sum] = cell[words.sum].wrapping_add(value);
        if let Some((min, max)) = words.extremes {
            cell[min] = if is_first { value } else { cell[min].min(value) };
            cell[max] = if is_first { value } else { cell[max].max(value) };
        }
        if let Some((mean, squares)) = words.variance {
            let shifted = value.wrapping_shl(u32::from(self.variance_shift));
            let difference = shifted.wrapping_sub(cell[mean]);
            cell[mean] = cell[mean].wrapping_add(difference.wrapping_div(cell[words.count].max(1)));
            let square = difference.wrapping_mul(shifted.wrapping_sub(cell[mean]));
            cell[squares] = cell[squares].wrapping_add(square);
        }
        for (histogram, first) in words.histograms {
            let bucket = first + histogram.bucket(value);
            cell[bucket] = cell[bucket].wrapping_add(1);
        }
    }

    /// One cell that says what several say.
    #[must_use]
    pub fn merge<'a>(&self, cells: impl Iterator<Item = &'a [i64]>) -> Vec<i64> {
        let words = self.words();
        let cells: Vec<&[i64]> = cells.filter(|cell| cell.len() == words.total && cell[words.count] != 0).collect();
        let mut merged = self.empty();
        for cell in &cells {
            let is_first = merged[words.count] == 0;
            merged[words.count] = merged[words.count].wrapping_add(cell[words.count]);
            merged[words.sum] = merged[words.sum].wrapping_add(cell[words.sum]);
            if let Some((min, max)) = words.extremes {
                merged[min] = if is_first { cell[min] } else { merged[min].min(cell[min]) };
                merged[max] = if is_first { cell[max] } else { merged[max].max(cell[max]) };
            }
            for (histogram, first) in &words.histograms {
                for bucket in *first..first + histogram.bucket_count() {
                    merged[bucket] = merged[bucket].wrapping_add(cell[bucket]);
                }
            }
        }
        if let (Some((mean, squares)), Some(count)) = (words.variance, std::num::NonZero::new(merged[words.count])) {
            let sum = merged[words.sum].wrapping_shl(u32::from(self.variance_shift));
            merged[mean] = if let [only] = cells[..] { only[mean] } else { sum.wrapping_div(count.get()) };
            merged[squares] = cells.iter().fold(0i64, |total, cell| {
                let between = cell[mean].wrapping_sub(merged[mean]);
                let between = between.wrapping_mul(between).wrapping_mul(cell[words.count]);
                total.wrapping_add(cell[squares]).wrapping_add(between)
            });
        }
        merged
    }

    /// What a cell comes to; nothing where it is empty and has no count or sum to show for it.
    #[must_use]
    pub fn aggregate(&self, aggregate: Aggregate, cell: &[i64]) -> Option<i64> {
        let words = self.words();
        let count = cell[words.count];
        match aggregate {
            Aggregate::Count => Some(count),
            Aggregate::Sum => Some(cell[words.sum]),
            _ if count == 0 => None,
            Aggregate::Min => words.extremes.map(|(min, _)| cell[min]),
            Aggregate::Max => words.extremes.map(|(_, max)| cell[max]),
            Aggregate::Average => Some(cell[words.sum].wrapping_div(count)),
            Aggregate::Variance if count < 2 => Some(-1),
            Aggregate::Variance => words.variance.map(|(_, squares)| {
                cell[squares].wrapping_div(count - 1) >> (2 * u32::from(self.variance_shift)).min(63)
            }),
        }
    }

    /// The buckets of one of the histograms in a cell.
    #[must_use]
    pub fn buckets<'a>(&self, histogram: Histogram, cell: &'a [i64]) -> Option<&'a [i64]> {
        let words = self.words();
        let (_, first) = words.histograms.iter().find(|(kept, _)| *kept == histogram)?;
        cell.get(*first..first + histogram.bucket_count())
    }
}

impl Histogram {
    /// How many buckets there are.
    #[must_use]
    pub fn bucket_count(self) -> usize {
        match self {
            Self::Log => LOG_BUCKETS,
            // One for each step, one for what is left, one at each end.
            Self::Linear { low, high, step } => {
                let steps = (i128::from(high) - i128::from(low)) / i128::from(step.max(1));
                usize::try_from(steps.saturating_add(3)).unwrap_or(3)
            }
        }
    }

    /// The bucket of a value.
    #[must_use]
    pub fn bucket(self, value: i64) -> usize {
        match self {
            Self::Log => {
                let bits = (64 - value.unsigned_abs().leading_zeros()) as usize;
                if value < 0 { LOG_ZERO - bits } else { LOG_ZERO + bits }
            }
            Self::Linear { low, step, .. } => {
                let above = value.wrapping_sub(low);
                let bucket = if above < 0 { 0 } else { (above / step.max(1)).saturating_add(1) };
                usize::try_from(bucket).unwrap_or(usize::MAX).min(self.bucket_count() - 1)
            }
        }
    }

    /// The number that stands for a bucket: of linear buckets the lowest value, of logarithmic ones that nearest to zero. The
    /// first linear bucket is for what is below its number, the last for what is above.
    #[must_use]
    pub fn number(self, bucket: usize) -> i64 {
        match self {
            Self::Log if bucket == LOG_ZERO => 0,
            Self::Log if bucket > LOG_ZERO => 1i64.wrapping_shl((bucket - LOG_ZERO - 1) as u32),
            Self::Log => (-1i64).wrapping_shl((LOG_ZERO - 1 - bucket) as u32),
            Self::Linear { low, step, .. } => {
                let steps = match bucket {
                    0 => 0,
                    _ if bucket + 1 == self.bucket_count() => bucket as i64 - 2,
                    _ => bucket as i64 - 1,
                };
                low.wrapping_add(steps.wrapping_mul(step))
            }
        }
    }

    /// Draws the buckets as SystemTap does: a bar for each, in a table.
    #[must_use]
    pub fn draw(self, buckets: &[i64]) -> Vec<u8> {
        let Some(filled) = Filled::of(buckets) else { return Vec::new() };
        let (first, last) = self.shown(buckets, &filled);
        let is_outside = |bucket: usize| self != Self::Log && (bucket == 0 || bucket + 1 == buckets.len());
        let number_width = self.number_width(first, last, is_outside(first), is_outside(last));
        let count_width = filled.largest.to_string().len();
        let scale = filled.largest.div_ceil(BAR_WIDTH).max(1);
        let mut text = format!("{:>number_width$} |{:-<50} count\n", "value", "");
        let mut left_out = false;
        for bucket in first..=last {
            let near = bucket.saturating_sub(MARGIN).max(first)..=(bucket + MARGIN).min(last);
            if near.clone().all(|near| buckets[near] == 0) {
                left_out = true;
                continue;
            }
            if std::mem::take(&mut left_out) {
                text.push_str(&format!("{:>number_width$} ~\n", ""));
            }
            let sign = match (is_outside(bucket), bucket) {
                (true, 0) => "<",
                (true, _) => ">",
                (false, _) => "",
            };
            let number = format!("{sign}{}", self.number(bucket));
            let bar = (buckets[bucket] as u64 / scale) as usize;
            let rest = BAR_WIDTH as usize + 1 + count_width - bar;
            text.push_str(&format!("{number:>number_width$} |{:@<bar$}{:>rest$}\n", "", buckets[bucket]));
        }
        text.push('\n');
        text.into_bytes()
    }

    /// The width of the left column. Of linear buckets the end counts that the last one would have, were it further away.
    fn number_width(self, first: usize, last: usize, below: bool, above: bool) -> usize {
        let width = |number: i64| number.to_string().len();
        let (low, high) = match self {
            Self::Log => (width(self.number(first)), width(self.number(last))),
            Self::Linear { low, step, .. } => {
                let high = low.wrapping_add(step.wrapping_mul(last as i64));
                (width(low) + usize::from(below), width(high) + usize::from(above))
            }
        };
        low.max(high).max("value".len())
    }

    /// The first and the last bucket to be drawn: some empty ones around those with something in them.
    fn shown(self, buckets: &[i64], filled: &Filled) -> (usize, usize) {
        let (mut first, mut last) = (filled.first, filled.last);
        for _ in 0..MARGIN {
            // Negative numbers are only shown where there are some.
            if first > 0 && !(self == Self::Log && first == LOG_ZERO) {
                first -= 1;
            }
            last = (last + 1).min(buckets.len() - 1);
        }
        if self != Self::Log {
            first += usize::from(first == 0 && buckets[0] == 0);
            last -= usize::from(last + 1 == buckets.len() && buckets[last] == 0);
        }
        (first, last)
    }
}

/// What is in the buckets of a histogram that is not empty.
struct Filled {
    first: usize,
    last: usize,
    largest: u64,
}

impl Filled {
    fn of(buckets: &[i64]) -> Option<Self> {
        let first = buckets.iter().position(|&count| count > 0)?;
        let last = buckets.iter().rposition(|&count| count > 0)?;
        let largest = buckets.iter().map(|&count| count.max(0).unsigned_abs()).max()?;
        Some(Self { first, last, largest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistic(histogram: Option<Histogram>) -> Statistic {
        use Aggregate::{Average, Count, Max, Min, Sum, Variance};
        Statistic {
            aggregates: BTreeSet::from([Count, Sum, Min, Max, Average, Variance]),
            histograms: histogram.into_iter().collect(),
            variance_shift: 0,
        }
    }

    fn cell(statistic: &Statistic, values: &[i64]) -> Vec<i64> {
        let mut cell = statistic.empty();
        values.iter().for_each(|&value| statistic.add(&mut cell, value));
        cell
    }

    #[test]
    fn aggregates_of_one_cell_and_of_several() {
        use Aggregate::{Average, Count, Max, Min, Sum, Variance};
        let statistic = statistic(None);
        let whole = cell(&statistic, &[-5, 7, 7, 100, 3]);
        let parts = [cell(&statistic, &[-5, 7]), statistic.empty(), cell(&statistic, &[7, 100, 3])];
        let merged = statistic.merge(parts.iter().map(Vec::as_slice));
        for (aggregate, expected) in [(Count, 5), (Sum, 112), (Min, -5), (Max, 100), (Average, 22)] {
            assert_eq!(statistic.aggregate(aggregate, &whole), Some(expected), "{aggregate:?}");
            assert_eq!(statistic.aggregate(aggregate, &merged), Some(expected), "{aggregate:?}");
        }
        // Of a sample of these the variance is 1905.8; what is rounded on the way shows.
        let variances = [&whole, &merged].map(|cell| statistic.aggregate(Variance, cell).expect("a variance"));
        assert!(variances.iter().all(|variance| (1890..1930).contains(variance)), "{variances:?}");
        assert_eq!(statistic.aggregate(Min, &statistic.empty()), None);
        assert_eq!(statistic.aggregate(Sum, &statistic.empty()), Some(0));
        assert_eq!(statistic.aggregate(Variance, &cell(&statistic, &[3])), Some(-1));
    }

    #[test]
    fn a_shift_gives_small_values_a_variance() {
        let shifted = Statistic { variance_shift: 10, ..statistic(None) };
        assert_eq!(shifted.aggregate(Aggregate::Variance, &cell(&shifted, &[1, 2, 1, 2, 1, 4])), Some(1));
    }

    #[test]
    fn logarithmic_buckets() {
        let buckets = [0, 1, 2, 3, 4, i64::MAX, -1, -2, i64::MIN].map(|value| Histogram::Log.bucket(value));
        assert_eq!(buckets, [64, 65, 66, 66, 67, 127, 63, 62, 0]);
        let numbers = [64, 65, 66, 67, 127, 63, 62, 0].map(|bucket| Histogram::Log.number(bucket));
        assert_eq!(numbers, [0, 1, 2, 4, 1 << 62, -1, -2, i64::MIN]);
    }

    #[test]
    fn linear_buckets() {
        let histogram = Histogram::Linear { low: 0, high: 100, step: 20 };
        assert_eq!(histogram.bucket_count(), 8);
        let buckets = [-1, 0, 19, 20, 100, 119, 120, i64::MAX].map(|value| histogram.bucket(value));
        assert_eq!(buckets, [0, 1, 1, 2, 6, 6, 7, 7]);
        assert_eq!([0, 1, 2, 6, 7].map(|bucket| histogram.number(bucket)), [0, 0, 20, 100, 100]);
    }

    #[track_caller]
    fn draws(histogram: Histogram, values: &[i64], expected: &str) {
        let statistic = statistic(Some(histogram));
        let cell = cell(&statistic, values);
        let text = histogram.draw(statistic.buckets(histogram, &cell).expect("the buckets"));
        assert_eq!(String::from_utf8(text).expect("text"), expected);
    }

    #[test]
    fn empty_buckets_far_from_others_are_left_out() {
        draws(
            Histogram::Log,
            &[1, 1, 1, 5000],
            "\
value |-------------------------------------------------- count
    0 |                                                   0
    1 |@@@                                                3
    2 |                                                   0
    4 |                                                   0
      ~
 1024 |                                                   0
 2048 |                                                   0
 4096 |@                                                  1
 8192 |                                                   0
16384 |                                                   0

",
        );
        draws(Histogram::Log, &[], "");
    }

    #[test]
    fn what_lies_outside_is_marked() {
        let values = [vec![-3; 120], vec![15; 7], vec![500; 3]].concat();
        draws(
            Histogram::Linear { low: 0, high: 40, step: 10 },
            &values,
            "\
value |-------------------------------------------------- count
   <0 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@           120
    0 |                                                     0
   10 |@@                                                   7
   20 |                                                     0
   30 |                                                     0
   40 |                                                     0
  >40 |@                                                    3

",
        );
    }
}
