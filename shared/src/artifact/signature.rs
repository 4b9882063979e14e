//! Ed25519 signatures over manifests (RFC 8032), and the names of keys.

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::manifest::Digest;

/// What is signed is this text followed by the manifest's bytes, so that the signature can stand for nothing else.
const CONTEXT: &[u8] = b"tapwire artifact manifest\0";

/// The name of a key: the SHA-256 of its 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub Digest);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_string()[..16])
    }
}

/// A signature and whose it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The signer's key.
    pub key: KeyId,
    /// 64 bytes.
    pub bytes: Vec<u8>,
}

/// A key that signs artifacts.
pub struct SignerKey(SigningKey);

/// A key that a host trusts as a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerPublicKey(VerifyingKey);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key in PEM form")]
pub struct KeyError;

impl SignerKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS #8 private key (RFC 8410) in PEM form.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| KeyError)
    }

    /// The PEM form.
    ///
    /// # Errors
    /// Never, in practice: the encoding is of fixed size.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        use ed25519_dalek::pkcs8::EncodePrivateKey as _;
        self.0.to_pkcs8_pem(Default::default()).map(|pem| pem.to_string()).map_err(|_| KeyError)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SignerPublicKey {
        SignerPublicKey(self.0.verifying_key())
    }

    /// Signs a manifest's bytes.
    #[must_use]
    pub fn sign(&self, manifest: &[u8]) -> Signature {
        let bytes = self.0.sign(&[CONTEXT, manifest].concat()).to_vec();
        Signature { key: self.public().id(), bytes }
    }
}

impl SignerPublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 8410) in PEM form.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(pem).map(Self).map_err(|_| KeyError)
    }

    /// The PEM form.
    ///
    /// # Errors
    /// Never, in practice: the encoding is of fixed size.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(Default::default()).map_err(|_| KeyError)
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(self.0.as_bytes()))
    }

    /// Whether the signature is this key's over a manifest's bytes. Strict: no second valid form of a signature
    /// (RFC 8032, section 8.4).
    #[must_use]
    pub fn verifies(&self, manifest: &[u8], signature: &Signature) -> bool {
        ed25519_dalek::Signature::from_slice(&signature.bytes)
            .is_ok_and(|signature| self.0.verify_strict(&[CONTEXT, manifest].concat(), &signature).is_ok())
    }
}
