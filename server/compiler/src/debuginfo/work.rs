//! How much may be done for one question. Everything that loops over what a file says counts its steps here, so that no
//! file, however it is knotted, takes more time than [`DEBUGINFO_STEPS_MAX`].

use std::cell::Cell;

use shared::limits::{DEBUGINFO_STEPS_MAX, LimitExceeded};

/// The steps that are left.
pub(super) struct Work {
    left: Cell<u64>,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(DEBUGINFO_STEPS_MAX) }
    }

    /// A new question begins.
    pub(super) fn restart(&self) {
        self.left.set(DEBUGINFO_STEPS_MAX);
    }

    /// Counts steps before they are done.
    pub(super) fn charge(&self, steps: usize) -> Result<(), LimitExceeded> {
        let max = DEBUGINFO_STEPS_MAX;
        match self.left.get().checked_sub(steps as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                let limit = "steps to answer a question about debuginfo".to_owned();
                Err(LimitExceeded { limit, value: max.saturating_add(steps as u64), max })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_out_and_come_back_with_the_next_question() {
        let work = Work::new();
        assert_eq!(work.charge(1), Ok(()));
        assert!(work.charge(usize::MAX).is_err());
        assert_eq!(work.charge(1), Ok(()), "a refused charge costs nothing");
        work.restart();
        let all = usize::try_from(DEBUGINFO_STEPS_MAX).expect("64 bits");
        assert_eq!(work.charge(all), Ok(()));
        assert!(work.charge(1).is_err());
    }
}
