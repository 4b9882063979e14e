//! What `cargo xtask bench` measures: one file a bench, each beside its peers in one run.
//!
//! The machine may be noisy: a figure is the median of several rounds, in which everybody takes turns, and what is worth
//! keeping is a ratio.

pub mod compile;
pub mod debuginfo;
pub mod script;

use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process;
use crate::tapwired::Tapwired;

/// A bench, by the name it is asked for.
#[derive(Clone, Copy)]
pub struct Bench {
    /// The name.
    pub name: &'static str,
    /// What it measures, for a list.
    pub about: &'static str,
    /// Measures, and prints a line a figure on stdout.
    pub run: fn() -> Result<()>,
}

/// Every bench.
pub const BENCHES: &[Bench] = &[
    Bench { name: "compile", about: "from script to signed artifact, beside stap", run: compile::run },
    Bench { name: "script", about: "long scripts through passes 1 and 2: the cost of a line", run: script::run },
    Bench {
        name: "debuginfo",
        about: "a kernel never seen, its index, and what the server keeps of three",
        run: debuginfo::run,
    },
];

/// One line of a bench's report.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// The measurements, one a round.
    pub rounds: Vec<Duration>,
    /// What is to be reached.
    pub goal: Option<Duration>,
}

impl Figure {
    /// A figure without a goal.
    #[must_use]
    pub fn new(what: &str) -> Self {
        Self { what: what.to_owned(), ..Self::default() }
    }

    /// The same, with one.
    #[must_use]
    pub fn with_goal(self, goal: Duration) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// The one in the middle; zero where nothing was measured.
    #[must_use]
    pub fn median(&self) -> Duration {
        let mut sorted = self.rounds.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// How many times the median of `other` the own one is.
    #[must_use]
    pub fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (least, most) = (self.rounds.iter().min(), self.rounds.iter().max());
        write!(f, "{:<44} {:>10.2} ms", self.what, milliseconds(self.median()))?;
        if let (Some(&least), Some(&most)) = (least, most) {
            write!(f, "   ({:.2} to {:.2})", milliseconds(least), milliseconds(most))?;
        }
        if let Some(goal) = self.goal {
            let word = if self.median() <= goal { "met" } else { "short" };
            write!(f, "   goal {} ms: {word}", milliseconds(goal))?;
        }
        Ok(())
    }
}

/// How long a command takes that must not fail.
fn timed(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    process::output(command.stdin(Stdio::null()))?;
    Ok(began.elapsed())
}

/// How long `command`, which sends one request to `server`, takes there and altogether.
fn served(server: &Tapwired, command: &mut Command) -> Result<(Duration, Duration)> {
    let served = durations(&server.log()).len();
    let whole = timed(command)?;
    let began = Instant::now();
    loop {
        // The server writes the line after it has answered.
        if let Some(&at_server) = durations(&server.log()).get(served) {
            return Ok((at_server, whole));
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "tapwired logs no request:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long each request took, by the server's log.
fn durations(log: &str) -> Vec<Duration> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let found = log.split("duration_us=").skip(1).map(digits);
    found.filter_map(|digits| digits.parse().ok().map(Duration::from_micros)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_its_median_and_knows_its_goal() {
        let ms = Duration::from_millis;
        let mut figure = Figure::new("a script").with_goal(ms(5));
        figure.rounds = vec![ms(9), ms(2), ms(4)];
        let text = figure.to_string();
        assert!(text.contains("4.00 ms   (2.00 to 9.00)   goal 5 ms: met"), "{text}");
        figure.rounds.extend([ms(8), ms(7)]);
        assert!(figure.to_string().ends_with("goal 5 ms: short"), "{figure}");
        assert!(Figure::new("nothing").to_string().contains("0.00 ms"));
    }
}
