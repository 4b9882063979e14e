//! The five passes in stap's words: which stage belongs to which, and the `Pass N: …` lines of `-v`.

use shared::protocol::response::Timing;

/// A pass, as stap(1) numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// 1
    Parse,
    /// 2
    Elaborate,
    /// 3
    Translate,
    /// 4
    Compile,
}

impl Pass {
    const ALL: [Self; 4] = [Self::Parse, Self::Elaborate, Self::Translate, Self::Compile];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Parse => 1,
            Self::Elaborate => 2,
            Self::Translate => 3,
            Self::Compile => 4,
        }
    }

    /// What stap calls it when it fails.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Elaborate => "analysis",
            Self::Translate => "translation",
            Self::Compile => "compilation",
        }
    }

    /// The pass whose code a diagnostic has: `elaborate/unknown-function` is pass 2's.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        code.split_once('/').and_then(|(stage, _)| Self::of_stage(stage))
    }

    fn of_stage(stage: &str) -> Option<Self> {
        Some(match stage {
            "parse" => Self::Parse,
            "elaborate" | "debuginfo" => Self::Elaborate,
            "translate" | "optimize" => Self::Translate,
            "codegen" | "object" | "sign" => Self::Compile,
            _ => return None,
        })
    }

    fn done(self) -> &'static str {
        match self {
            Self::Parse => "parsed user script",
            Self::Elaborate => "analyzed script",
            Self::Translate => "translated to IR",
            Self::Compile => "compiled IR to BPF",
        }
    }
}

/// A line for each pass that took time, then one for each time that belongs to no pass.
#[must_use]
pub fn lines(timings: &[Timing]) -> Vec<String> {
    let mut lines = Vec::new();
    for pass in Pass::ALL {
        let stages: Vec<&Timing> =
            timings.iter().filter(|timing| Pass::of_stage(&timing.stage) == Some(pass)).collect();
        if stages.is_empty() {
            continue;
        }
        let total_us = stages.iter().fold(0, |total: u64, timing| total.saturating_add(timing.duration_us));
        let mut line = format!("Pass {}: {} in {}", pass.number(), pass.done(), duration(total_us));
        if stages.len() > 1 {
            let parts = stages.iter().map(|timing| format!("{} {}", timing.stage, duration(timing.duration_us)));
            line.push_str(&format!(" ({})", parts.collect::<Vec<_>>().join(", ")));
        }
        lines.push(line);
    }
    let others = timings.iter().filter(|timing| Pass::of_stage(&timing.stage).is_none());
    lines.extend(
        others.map(|timing| format!("Server: {} in {}", super::plain(&timing.stage), duration(timing.duration_us))),
    );
    lines
}

/// In milliseconds, as stap gives them; short ones with a fraction.
#[must_use]
pub fn duration(us: u64) -> String {
    if us < 10_000 { format!("{}.{:02} ms", us / 1000, us % 1000 / 10) } else { format!("{} ms", us / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_summed_up_by_pass() {
        let timing = |stage: &str, duration_us| Timing { stage: stage.to_owned(), duration_us };
        let timings = [
            timing("debuginfo", 30_000),
            timing("parse", 1_234),
            timing("elaborate", 4_100),
            timing("translate", 90),
            timing("optimize", 10),
            timing("sign", u64::MAX),
            timing("codegen", 1),
            timing("worker\u{1b}", 50_000),
        ];
        let expected = [
            "Pass 1: parsed user script in 1.23 ms",
            "Pass 2: analyzed script in 34 ms (debuginfo 30 ms, elaborate 4.10 ms)",
            "Pass 3: translated to IR in 0.10 ms (translate 0.09 ms, optimize 0.01 ms)",
            "Pass 4: compiled IR to BPF in 18446744073709551 ms (sign 18446744073709551 ms, codegen 0.00 ms)",
            "Server: worker\u{241b} in 50 ms",
        ];
        assert_eq!(lines(&timings), expected);
        assert!(lines(&[]).is_empty());
    }
}
