//! The file around manifest, signature and ELF, and the one way from bytes to something that may be loaded.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..10 | the version ([`MANIFEST_VERSION`]), little-endian: checked before anything is decoded |
//! | then | manifest bytes, signature and ELF, in postcard's encoding; nothing may follow |

use serde::{Deserialize, Serialize};

use super::manifest::{Claims, Digest, MANIFEST_VERSION, Manifest};
use super::section::program_section;
use super::signature::{KeyId, Signature, SignerKey, SignerPublicKey};
use crate::ir::verify::{VerifyError, verify};
use crate::limits::{ARTIFACT_BYTES_MAX, LimitExceeded};
use crate::target::{Architecture, BuildId};
use crate::trust::policy::{HostPolicy, PolicyRefusal};

/// The first bytes of every artifact.
pub const MAGIC: [u8; 8] = *b"\x7fTAPWIRE";

/// The file name extension.
pub const EXTENSION: &str = "tap";

#[derive(Serialize, Deserialize)]
struct Container {
    manifest: Vec<u8>,
    signature: Signature,
    elf: Vec<u8>,
}

/// An artifact that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedArtifact {
    manifest: Vec<u8>,
    signature: Signature,
    elf: Vec<u8>,
}

/// An artifact that this host may load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedArtifact {
    manifest: Manifest,
    elf: Vec<u8>,
}

/// What the host knows when it verifies.
pub struct Verifier<'a> {
    /// The signers it trusts, by the names of their files.
    pub signers: &'a [(String, SignerPublicKey)],
    /// What it lets them do.
    pub policy: &'a HostPolicy,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its kernel.
    pub kernel: &'a BuildId,
    /// Seconds since 1970.
    pub now_s: u64,
}

/// Which check an artifact failed, for which role, by which list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactRejected {
    /// The file is none of ours.
    #[error("not a Tapwire artifact: the file does not start with its mark")]
    NotAnArtifact,
    /// The file is of another version.
    #[error("the artifact is of version {got}, this client reads version {expected}")]
    Version {
        /// What the file says.
        got: u16,
        /// What is read.
        expected: u16,
    },
    /// The file is cut short, or has something behind it.
    #[error("the artifact is damaged: its {0} cannot be read")]
    Damaged(&'static str),
    /// The file is too large.
    #[error(transparent)]
    TooLarge(#[from] LimitExceeded),
    /// Nobody trusts the key.
    #[error("the artifact is signed by key {0}, which is not in this host's list of trusted signers")]
    UnknownSigner(KeyId),
    /// The key is trusted, but did not sign this.
    #[error("the signature of signer {0:?} does not fit the artifact: it was altered after it was signed")]
    BadSignature(String),
    /// The ELF is not the one that was signed.
    #[error("the program does not fit the signed manifest: it was altered after it was signed")]
    ElfDigest,
    /// Too late.
    #[error("the artifact expired {0} s ago: compile the script again")]
    Expired(u64),
    /// Too early.
    #[error("the artifact is valid only in {0} s: one of the two clocks is wrong")]
    NotYetValid(u64),
    /// Made for another kernel.
    #[error("the artifact is for kernel {release} (build id {expected}), this host runs build id {got}")]
    WrongKernel {
        /// `uname -r` of the kernel it is for.
        release: String,
        /// The build id it is for.
        expected: BuildId,
        /// The host's.
        got: BuildId,
    },
    /// Made for another architecture.
    #[error("the artifact is for {0}")]
    WrongArchitecture(Architecture),
    /// Allowed to nobody, or not to this signer.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The signed IR is wrong: a bug of the server's.
    #[error("the artifact's IR is wrong ({0})")]
    Ir(#[from] VerifyError),
}

/// Puts claims and ELF into a signed container. The only way to make an artifact.
///
/// # Errors
/// When it exceeds [`ARTIFACT_BYTES_MAX`].
pub fn sign(manifest: &Manifest, elf: Vec<u8>, key: &SignerKey) -> Result<Vec<u8>, LimitExceeded> {
    let manifest = postcard::to_stdvec(manifest).unwrap_or_default();
    let container = Container { signature: key.sign(&manifest), manifest, elf };
    let mut bytes = [MAGIC.as_slice(), &MANIFEST_VERSION.to_le_bytes()].concat();
    bytes.extend(postcard::to_stdvec(&container).unwrap_or_default());
    LimitExceeded::check("artifact size in bytes", bytes.len() as u64, ARTIFACT_BYTES_MAX as u64)?;
    Ok(bytes)
}

impl UntrustedArtifact {
    /// Recognises an artifact. Nothing in it is believed.
    ///
    /// # Errors
    /// When the bytes are none, or one of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArtifactRejected> {
        LimitExceeded::check("artifact size in bytes", bytes.len() as u64, ARTIFACT_BYTES_MAX as u64)?;
        let rest = bytes.strip_prefix(&MAGIC).ok_or(ArtifactRejected::NotAnArtifact)?;
        let (version, rest) = rest.split_first_chunk().ok_or(ArtifactRejected::Damaged("version"))?;
        let got = u16::from_le_bytes(*version);
        if got != MANIFEST_VERSION {
            return Err(ArtifactRejected::Version { got, expected: MANIFEST_VERSION });
        }
        let (container, rest): (Container, _) =
            postcard::take_from_bytes(rest).map_err(|_| ArtifactRejected::Damaged("container"))?;
        if !rest.is_empty() {
            return Err(ArtifactRejected::Damaged("end"));
        }
        Ok(Self { manifest: container.manifest, signature: container.signature, elf: container.elf })
    }

    /// What it claims to be, believed by nobody: for `tapwire inspect` and for error messages.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn claimed(&self) -> Result<Claims, ArtifactRejected> {
        Ok(self.manifest()?.claims)
    }

    /// The ELF object as it came, for people who want to look at it (`tapwire --emit=elf`). It must not be loaded.
    #[must_use]
    pub fn unverified_elf(&self) -> &[u8] {
        &self.elf
    }

    /// The same with the times, which are the signer's and no part of the claims.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn manifest(&self) -> Result<Manifest, ArtifactRejected> {
        postcard::from_bytes(&self.manifest).map_err(|_| ArtifactRejected::Damaged("manifest"))
    }

    /// The key it claims to be signed with.
    #[must_use]
    pub fn signer(&self) -> KeyId {
        self.signature.key
    }

    /// Checks everything, cheapest proof of guilt first, and nothing of the manifest before its signature.
    ///
    /// # Errors
    /// At the first check that fails.
    pub fn verify(self, verifier: &Verifier<'_>) -> Result<VerifiedArtifact, ArtifactRejected> {
        let (signer, key) = verifier
            .signers
            .iter()
            .find(|(_, key)| key.id() == self.signature.key)
            .ok_or(ArtifactRejected::UnknownSigner(self.signature.key))?;
        if !key.verifies(&self.manifest, &self.signature) {
            return Err(ArtifactRejected::BadSignature(signer.clone()));
        }
        let manifest = self.manifest()?;
        let claims = &manifest.claims;
        if Digest::of(&self.elf) != claims.elf_digest {
            return Err(ArtifactRejected::ElfDigest);
        }
        if verifier.now_s >= manifest.expires_at_s {
            return Err(ArtifactRejected::Expired(verifier.now_s - manifest.expires_at_s));
        }
        if verifier.now_s + CLOCK_DIFFERENCE_S_MAX < manifest.issued_at_s {
            return Err(ArtifactRejected::NotYetValid(manifest.issued_at_s - verifier.now_s));
        }
        if claims.kernel.architecture != verifier.architecture {
            return Err(ArtifactRejected::WrongArchitecture(claims.kernel.architecture));
        }
        if claims.kernel.build_id != *verifier.kernel {
            return Err(ArtifactRejected::WrongKernel {
                release: claims.kernel.release.clone(),
                expected: claims.kernel.build_id.clone(),
                got: verifier.kernel.clone(),
            });
        }
        verifier.policy.permit(signer, claims)?;
        verify(&claims.ir)?;
        Ok(VerifiedArtifact { manifest, elf: self.elf })
    }
}

/// How far the clocks of server and host may be apart before an artifact counts as coming from the future.
const CLOCK_DIFFERENCE_S_MAX: u64 = 300;

impl VerifiedArtifact {
    /// What the signer vouches for.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.manifest.claims
    }

    /// The ELF object.
    #[must_use]
    pub fn elf(&self) -> &[u8] {
        &self.elf
    }

    /// The indices of the handlers that are BPF programs in the ELF.
    pub fn programs(&self) -> impl Iterator<Item = usize> {
        let handlers = self.claims().ir.handlers.iter().enumerate();
        handlers
            .filter(|(index, handler)| program_section(*index, &handler.points[0].place).is_some())
            .map(|(index, _)| index)
    }
}
