//! The only place that holds the signing key. It signs what passed [`crate::policy`], and nothing else can be handed to it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use shared::artifact::container;
use shared::artifact::manifest::Manifest;
use shared::artifact::signature::SignerKey;
use shared::limits::LimitExceeded;
use shared::trust::store::SIGNER_KEY;

use crate::error::ServerError;
use crate::policy::Permitted;

/// The signing key, and for how long its signatures hold.
pub struct Signer {
    key: SignerKey,
    life_s: u64,
}

impl Signer {
    /// Reads the key of a server's directory.
    ///
    /// # Errors
    /// When there is none, or others may read it.
    pub fn open(directory: &Path, life_s: u64) -> Result<Self, ServerError> {
        let path = directory.join(SIGNER_KEY);
        let pem = read_secret(&path, "signer")?;
        let bad = |error: shared::artifact::signature::KeyError| ServerError::BadIdentity {
            path: path.clone(),
            message: error.to_string(),
        };
        Ok(Self { key: SignerKey::from_pem(&pem).map_err(bad)?, life_s })
    }

    /// Makes an artifact that may be loaded from `now_s` (seconds since 1970) on.
    ///
    /// # Errors
    /// When it grows too large.
    pub fn sign(&self, permitted: Permitted<'_>, now_s: u64) -> Result<Vec<u8>, LimitExceeded> {
        let manifest = Manifest {
            claims: permitted.claims().clone(),
            issued_at_s: now_s,
            expires_at_s: now_s.saturating_add(self.life_s),
        };
        container::sign(&manifest, permitted.elf().to_vec(), &self.key)
    }
}

/// Reads a private key, if it is private. `role` is how `tapwire-certs` calls whose it is.
///
/// # Errors
/// When it does not exist, or others may read it.
pub fn read_secret(path: &Path, role: &'static str) -> Result<String, ServerError> {
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ServerError::NoIdentity { path: path.to_owned(), role },
        _ => ServerError::Io { path: path.to_owned(), error },
    };
    let metadata = std::fs::metadata(path).map_err(missing)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(ServerError::KeyNotSecret(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(ServerError::io(path))
}
