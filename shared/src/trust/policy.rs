//! What a host lets its trusted signers do.

use serde::{Deserialize, Serialize};

use super::Privilege;
use crate::artifact::manifest::Claims;

/// A host's policy: deny by default.
///
/// The file is TOML:
///
/// ```toml
/// [[allow]]
/// signer = "farm"          # the name of a file in signers/, without its extension
/// privilege = "stapsys"    # this level and those below
/// guru = false
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPolicy {
    /// Each entry allows something; what no entry allows is refused.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// One thing that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Whose artifacts: a file name in the list of signers, or `*` for each of them.
    pub signer: String,
    /// Up to which level.
    pub privilege: Privilege,
    /// Whether also artifacts of guru mode.
    #[serde(default)]
    pub guru: bool,
}

/// Why the policy does not allow an artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// Nobody may load anything.
    #[error("no policy allows loading: write /etc/tapwire/policy.toml, or run as root")]
    NoPolicy,
    /// The signer has no entry.
    #[error("the policy allows nothing that is signed by {0:?}")]
    Signer(String),
    /// The signer's entries allow less.
    #[error("the artifact needs privilege {needed}, the policy allows {signer:?} only {allowed}")]
    Privilege {
        /// The signer.
        signer: String,
        /// What the artifact needs.
        needed: Privilege,
        /// The most it has.
        allowed: Privilege,
    },
    /// The signer's entries do not allow guru mode.
    #[error("the artifact was compiled in guru mode, which the policy does not allow {0:?}")]
    Guru(String),
}

impl HostPolicy {
    /// What holds without a policy file where root itself runs `taprun`: root may load what it asked a signer of its own
    /// for. Everybody else may load nothing.
    #[must_use]
    pub fn without_file(is_root: bool) -> Self {
        let everything = Allow { signer: "*".to_owned(), privilege: Privilege::Stapdev, guru: true };
        Self { allow: if is_root { vec![everything] } else { Vec::new() } }
    }

    /// Whether `signer` may have these claims loaded.
    ///
    /// # Errors
    /// When no entry allows it; says what the nearest one lacks.
    pub fn permit(&self, signer: &str, claims: &Claims) -> Result<(), PolicyRefusal> {
        if self.allow.is_empty() {
            return Err(PolicyRefusal::NoPolicy);
        }
        let signers = self.allow.iter().filter(|allow| allow.signer == signer || allow.signer == "*");
        let Some(allowed) = signers.clone().map(|allow| allow.privilege).max() else {
            return Err(PolicyRefusal::Signer(signer.to_owned()));
        };
        let mut enough = signers.filter(|allow| allow.privilege >= claims.privilege).peekable();
        if enough.peek().is_none() {
            let needed = claims.privilege;
            return Err(PolicyRefusal::Privilege { signer: signer.to_owned(), needed, allowed });
        }
        if claims.guru && !enough.any(|allow| allow.guru) {
            return Err(PolicyRefusal::Guru(signer.to_owned()));
        }
        Ok(())
    }
}
