//! Statistics: what is asked of them decides what they must keep. Must not know how they are kept.

use std::collections::BTreeSet;

use super::Place;

/// What a statistic must be able to tell, as the whole script asks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistic {
    /// The aggregates.
    pub aggregates: BTreeSet<Aggregate>,
    /// The histograms.
    pub histograms: BTreeSet<Histogram>,
    /// By how many bits values are shifted left while the variance is computed, so that small ones have one, too: 0 to 62.
    pub variance_shift: u8,
}

/// A number that a statistic comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// `@variance`
    Variance,
}

/// The buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A histogram of a certain statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramOf {
    /// Of which: a statistic.
    pub statistic: Place,
    /// The buckets.
    pub histogram: Histogram,
}

impl Aggregate {
    /// The operator of the script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "@count",
            Self::Sum => "@sum",
            Self::Min => "@min",
            Self::Max => "@max",
            Self::Average => "@avg",
            Self::Variance => "@variance",
        }
    }
}
