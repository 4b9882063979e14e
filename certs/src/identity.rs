//! Identities: a key and what others know it by.
//!
//! Certificates are signed by their own key and belong to no authority: trusting one is copying it into a list, so there
//! is no key whose loss would forge all others.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use shared::artifact::manifest::Digest;
use shared::artifact::signature::{SignerKey, SignerPublicKey};
use shared::trust::role::Role;
use shared::trust::store;
use time::{Duration, OffsetDateTime};

use crate::certificate::ReadCertificate;
use crate::file::{self, Secrecy};
use crate::{CertsError, list};

/// How long a certificate is valid.
pub const LIFE: Duration = Duration::days(365);

/// How far a certificate is dated back, so that a clock that is a little slow takes it.
const BACKDATING: Duration = Duration::hours(1);

/// What was made, for telling people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// In which role.
    pub role: Role,
    /// The file to hand out.
    pub public: PathBuf,
    /// The file to keep.
    pub private: PathBuf,
    /// Of the certificate, or of the signer's key.
    pub fingerprint: Digest,
}

/// Makes an identity in `dir`, which is made too where it is missing. `name` goes into the certificate, for people.
///
/// # Errors
/// When there is one already, or the name is none.
pub fn make(role: Role, dir: &Path, name: &str) -> Result<Identity, CertsError> {
    let now = OffsetDateTime::now_utc();
    make_valid(role, dir, name, now - BACKDATING, now + LIFE)
}

/// The same, valid in a time of one's choice: for tests of what is expired. A signer's key has no such time.
///
/// # Errors
/// As [`make`].
pub fn make_valid(
    role: Role,
    dir: &Path,
    name: &str,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Identity, CertsError> {
    list::check_name(name)?;
    file::make_dir(dir, Secrecy::Private)?;
    let Files { public, private } = Files::of(role, dir);
    for path in [&public, &private] {
        if path.exists() {
            return Err(CertsError::Exists(path.clone()));
        }
    }
    let made = match role {
        Role::TlsPeer | Role::Client => certificate(role, name, from, until)?,
        Role::Signer => signer()?,
    };
    file::create(&private, &made.private_pem, Secrecy::Private)?;
    file::create(&public, &made.public_pem, Secrecy::Public)?;
    Ok(Identity { role, public, private, fingerprint: made.fingerprint })
}

/// Puts a new identity in the place of the one in `dir`, which stays beside it as `*.old`: others go on trusting the old
/// one until they take the new one into their lists and revoke the old.
///
/// # Errors
/// When there is none.
pub fn rotate(role: Role, dir: &Path, name: &str) -> Result<Identity, CertsError> {
    list::check_name(name)?;
    let Files { public, private } = Files::of(role, dir);
    for path in [&private, &public] {
        if !path.exists() {
            return Err(CertsError::NothingToRotate(path.clone()));
        }
    }
    for path in [&private, &public] {
        std::fs::rename(path, with_suffix(path, "old")).map_err(CertsError::io(path))?;
    }
    make(role, dir, name)
}

/// The identity in `dir`, if there is a whole one.
///
/// # Errors
/// When its public half cannot be read.
pub fn existing(role: Role, dir: &Path) -> Result<Option<Identity>, CertsError> {
    let Files { public, private } = Files::of(role, dir);
    if !public.exists() || !private.exists() {
        return Ok(None);
    }
    let fingerprint = match role {
        Role::Signer => read_signer(&public)?.id().0,
        Role::TlsPeer | Role::Client => ReadCertificate::open(&public)?.fingerprint,
    };
    Ok(Some(Identity { role, public, private, fingerprint }))
}

/// Reads a signer's public key.
///
/// # Errors
/// When the file is none.
pub fn read_signer(path: &Path) -> Result<SignerPublicKey, CertsError> {
    SignerPublicKey::from_pem(&file::read(path)?).map_err(|_| CertsError::NotASignerKey(path.to_owned()))
}

/// Seconds since 1970.
#[must_use]
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

struct Files {
    public: PathBuf,
    private: PathBuf,
}

impl Files {
    fn of(role: Role, dir: &Path) -> Self {
        let (public, private) = match role {
            Role::TlsPeer => (store::SERVER.certificate, store::SERVER.key),
            Role::Client => (store::CLIENT.certificate, store::CLIENT.key),
            Role::Signer => (store::SIGNER_PUBLIC_KEY, store::SIGNER_KEY),
        };
        Self { public: dir.join(public), private: dir.join(private) }
    }
}

struct Made {
    public_pem: String,
    private_pem: String,
    fingerprint: Digest,
}

fn certificate(role: Role, name: &str, from: OffsetDateTime, until: OffsetDateTime) -> Result<Made, CertsError> {
    let crypto = |error: rcgen::Error| CertsError::Crypto(error.to_string());
    let names = if role == Role::TlsPeer { vec![store::SERVER_NAME.to_owned()] } else { Vec::new() };
    let mut params = CertificateParams::new(names).map_err(crypto)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match role {
        Role::TlsPeer => ExtendedKeyUsagePurpose::ServerAuth,
        Role::Client | Role::Signer => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    (params.not_before, params.not_after) = (from, until);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(crypto)?;
    let certificate = params.self_signed(&key).map_err(crypto)?;
    Ok(Made {
        public_pem: certificate.pem(),
        private_pem: key.serialize_pem(),
        fingerprint: Digest::of(certificate.der()),
    })
}

fn signer() -> Result<Made, CertsError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|error| CertsError::Crypto(error.to_string()))?;
    let key = SignerKey::from_seed(&seed);
    let crypto = |error: shared::artifact::signature::KeyError| CertsError::Crypto(error.to_string());
    Ok(Made {
        public_pem: key.public().to_pem().map_err(crypto)?,
        private_pem: key.to_pem().map_err(crypto)?,
        fingerprint: key.public().id().0,
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
