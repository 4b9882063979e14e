//! The vocabulary of trust: three roles with three lists that are never merged, privilege levels, and a host's policy.

use serde::{Deserialize, Serialize};

pub mod role;

pub mod store;

pub mod policy;

/// What a user may do, after SystemTap's groups of the same names (stap(1), `--privilege`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// Look at one's own processes.
    #[default]
    Stapusr,
    /// Look at the whole system.
    Stapsys,
    /// Everything.
    Stapdev,
}

impl Privilege {
    /// Every level, lowest first.
    pub const ALL: [Self; 3] = [Self::Stapusr, Self::Stapsys, Self::Stapdev];
}

impl std::fmt::Display for Privilege {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stapusr => "stapusr",
            Self::Stapsys => "stapsys",
            Self::Stapdev => "stapdev",
        })
    }
}

impl std::str::FromStr for Privilege {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|privilege| privilege.to_string() == text)
            .ok_or_else(|| format!("unknown privilege level {text:?} (stapusr, stapsys or stapdev)"))
    }
}
