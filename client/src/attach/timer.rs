//! `timer.s(N)` and its relatives: when the session fires which.

use std::time::{Duration, Instant};

use shared::ir::Ir;
use shared::probe::Place;

use super::Firing;

/// The timers of a session.
#[derive(Debug)]
pub struct Timers {
    timers: Vec<Timer>,
}

#[derive(Debug)]
struct Timer {
    firing: Firing,
    interval: Duration,
    due: Instant,
}

impl Timers {
    /// Winds up every timer: each is first due an interval from now.
    #[must_use]
    pub fn start(ir: &Ir, now: Instant) -> Self {
        let mut timers = Vec::new();
        for (handler, declared) in ir.handlers.iter().enumerate() {
            for (point, at) in declared.points.iter().enumerate() {
                if let Place::Timer { interval_ns } = at.place {
                    let interval = Duration::from_nanos(interval_ns.max(1));
                    timers.push(Timer { firing: Firing { handler, point }, interval, due: now + interval });
                }
            }
        }
        Self { timers }
    }

    /// When the next is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// The timers that are due, the one that waited longest first. Each is given once, however many of its intervals have
    /// passed, and keeps its beat.
    pub fn take_due(&mut self, now: Instant) -> Vec<Firing> {
        let mut due: Vec<&mut Timer> = self.timers.iter_mut().filter(|timer| timer.due <= now).collect();
        due.sort_by_key(|timer| timer.due);
        due.into_iter()
            .map(|timer| {
                let late_ns = (now - timer.due).as_nanos() % timer.interval.as_nanos();
                // Less than the interval, which is of 64 bits.
                timer.due = now + timer.interval - Duration::from_nanos(late_ns as u64);
                timer.firing
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ir(intervals: &[u64]) -> Ir {
        let handler = |(index, interval)| format!("handler h{index} u0\n  at \"timer\" \"\" timer {interval}ns\n");
        let handlers: String = intervals.iter().enumerate().map(handler).collect();
        shared::ir::read::read(&format!("function u0 \"f\"\nb0():\n  return\n{handlers}")).expect("an IR")
    }

    #[test]
    fn timers_keep_their_beat_and_miss_what_is_past() {
        let start = Instant::now();
        let at = |ns| start + Duration::from_nanos(ns);
        let mut timers = Timers::start(&ir(&[100, 250]), start);
        let mut due = |ns| timers.take_due(at(ns)).iter().map(|firing| firing.handler).collect::<Vec<_>>();
        assert_eq!(due(99), [0usize; 0]);
        assert_eq!(due(100), [0]);
        assert_eq!(due(199), [0usize; 0]);
        // 200, 300 and 400 of the first have passed, and 250 of the second; the first waited longer.
        assert_eq!(due(430), [0, 1]);
        assert_eq!(due(499), [0usize; 0]);
        assert_eq!(due(500), [0, 1]);
        assert_eq!(timers.next_due(), Some(at(600)));
    }

    #[test]
    fn a_timer_of_no_time_fires_once_a_turn() {
        let start = Instant::now();
        let mut timers = Timers::start(&ir(&[0, u64::MAX]), start);
        assert_eq!(timers.take_due(start + Duration::from_secs(1)).len(), 1);
        assert_eq!(timers.next_due(), Some(start + Duration::from_nanos(1_000_000_001)));
    }
}
