//! The manifest: everything a signature speaks for. It is what a host's policy decides by, and what `taprun` works from.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::abi::map::Parameter;
use crate::ir::Ir;
use crate::target::{Architecture, BuildId, hex};
use crate::trust::Privilege;

/// The version of [`Manifest`] that this build writes and reads. It changes with any type in it, the IR included.
pub const MANIFEST_VERSION: u16 = 1;

/// What an artifact is and who vouches for it until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What the compile made: the same for the same input.
    pub claims: Claims,
    /// When it was signed, in seconds since 1970.
    pub issued_at_s: u64,
    /// From when on it must not be loaded, in seconds since 1970.
    pub expires_at_s: u64,
}

/// What a compile made: a function of its input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The script's name, for people.
    pub script_name: String,
    /// Of the script, by [`Digest::of_script`].
    pub script_digest: Digest,
    /// Of the ELF object beside the manifest.
    pub elf_digest: Digest,
    /// The only kernel it may run on.
    pub kernel: KernelClaim,
    /// What a user must be allowed for it.
    pub privilege: Privilege,
    /// Whether it was compiled in guru mode.
    pub guru: bool,
    /// What may be set at load, within [`Parameter::range`].
    pub parameters: Vec<Parameter>,
    /// Every handler and probe point, and what `taprun` interprets and prints by.
    pub ir: Ir,
}

/// A kernel, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelClaim {
    /// The processor architecture.
    pub architecture: Architecture,
    /// `uname -r`, for people.
    pub release: String,
    /// What decides.
    pub build_id: BuildId,
}

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of a script: of its text; where options bring more texts (`-E`, `-I`), of the digests of all of them, one
    /// behind the other.
    #[must_use]
    pub fn of_script<'a>(script: &str, others: impl Iterator<Item = &'a str>) -> Self {
        let own = Self::of(script.as_bytes());
        let others: Vec<u8> = others.flat_map(|text| Self::of(text.as_bytes()).0).collect();
        if others.is_empty() { own } else { Self::of(&[own.0.as_slice(), &others].concat()) }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_script_covers_all_its_texts() {
        let alone = Digest::of_script("probe end {}", std::iter::empty());
        assert_eq!(alone, Digest::of(b"probe end {}"));
        let with = |others: &[&'static str]| Digest::of_script("probe end {}", others.iter().copied());
        assert_ne!(with(&["a", "b"]), alone);
        assert_ne!(with(&["a", "b"]), with(&["ab"]));
        assert_ne!(with(&["a", "b"]), with(&["b", "a"]));
    }
}
