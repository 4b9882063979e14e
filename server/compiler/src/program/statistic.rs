//! Statistics: what is asked of them decides what they must keep. Must not know how they are kept.

use std::collections::BTreeSet;

pub use shared::ir::{Aggregate, Histogram};

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

/// A histogram of a certain statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramOf {
    /// Of which: a statistic.
    pub statistic: Place,
    /// The buckets.
    pub histogram: Histogram,
}
