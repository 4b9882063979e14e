//! A walk over the entries of an array, as they were when it was opened.

use std::cmp::Ordering;

use shared::abi::value::Datum;
use shared::ir::{Order, SortBy};

use super::machine::internal;
use super::{Entry, Result};

#[derive(Clone)]
pub(super) struct Walk {
    /// In the walk's order, no more than its limit.
    entries: Vec<Entry>,
    /// How many steps were taken: the walk stands on the entry before this index.
    steps: usize,
}

impl Walk {
    pub(super) fn open(mut entries: Vec<Entry>, order: Order, limit: Option<i64>) -> Self {
        if let Order::By { by, descending } = order {
            // Sorting keeps equal entries as the hash has them.
            entries.sort_by(|a, b| {
                let ordering = compare(a, b, by);
                if descending { ordering.reverse() } else { ordering }
            });
        }
        if let Some(limit) = limit {
            entries.truncate(usize::try_from(limit).unwrap_or(0));
        }
        Self { entries, steps: 0 }
    }

    /// Steps to the next entry; gives whether there is one.
    pub(super) fn next(&mut self) -> bool {
        let exists = self.steps < self.entries.len();
        // Beyond the end it stands on no entry.
        self.steps = (self.steps + 1).min(self.entries.len() + 1);
        exists
    }

    pub(super) fn key(&self, index: u8) -> Result<Datum> {
        let key = self.entry()?.keys.get(usize::from(index)).cloned();
        key.ok_or_else(|| internal("a key that the array has not"))
    }

    pub(super) fn value(&self) -> Result<Datum> {
        Ok(self.entry()?.value.clone())
    }

    fn entry(&self) -> Result<&Entry> {
        let index = self.steps.checked_sub(1);
        index.and_then(|index| self.entries.get(index)).ok_or_else(|| internal("a walk that stands on no entry"))
    }
}

/// Longs as signed numbers, strings by their bytes.
fn compare(a: &Entry, b: &Entry, by: SortBy) -> Ordering {
    match by {
        SortBy::Key(key) => a.keys.get(usize::from(key)).cmp(&b.keys.get(usize::from(key))),
        SortBy::Value | SortBy::Aggregate(_) => a.value.cmp(&b.value),
    }
}
