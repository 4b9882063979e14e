//! What a certificate says: as much of X.509 (RFC 5280) as the lists need.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use shared::artifact::manifest::Digest;
use shared::trust::role::Role;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::{CertsError, file};

/// A certificate that could be read. Nothing about it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCertificate {
    /// Its bytes.
    pub der: CertificateDer<'static>,
    /// The SHA-256 of its bytes: what people compare.
    pub fingerprint: Digest,
    /// The common name of its subject, where it has one.
    pub common_name: Option<String>,
    /// From when on it is worth nothing, in seconds since 1970.
    pub expires_at_s: u64,
    key_usages: Option<ExtendedKeyUsage>,
}

impl ReadCertificate {
    /// Reads a PEM file; of several certificates the first.
    ///
    /// # Errors
    /// When there is none in it.
    pub fn open(path: &Path) -> Result<Self, CertsError> {
        Self::from_pem(&file::read(path)?).ok_or_else(|| CertsError::NotACertificate(path.to_owned()))
    }

    fn from_pem(pem: &str) -> Option<Self> {
        Self::from_der(CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    /// Reads the bytes of a certificate, if they are one.
    #[must_use]
    pub fn from_der(der: CertificateDer<'static>) -> Option<Self> {
        let certificate = Certificate::from_der(&der).ok()?;
        let contents = certificate.tbs_certificate();
        let common_name = contents.subject().common_name().ok()?.map(|name| name.value().into_owned());
        let expires_at_s = contents.validity().not_after.to_unix_duration().as_secs();
        let key_usages = contents.get_extension::<ExtendedKeyUsage>().ok()?.map(|(_, usages)| usages);
        Some(Self { fingerprint: Digest::of(&der), der, common_name, expires_at_s, key_usages })
    }

    /// Whether it may be used in a role: its extended key usage (RFC 5280, section 4.2.1.12) names it, or there is none.
    #[must_use]
    pub fn serves(&self, role: Role) -> bool {
        let usage = match role {
            Role::TlsPeer => ID_KP_SERVER_AUTH,
            Role::Client => ID_KP_CLIENT_AUTH,
            Role::Signer => return false,
        };
        self.key_usages.as_ref().is_none_or(|usages| usages.0.contains(&usage))
    }
}
