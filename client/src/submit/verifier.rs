//! The client's check of a server's certificate: it must be, byte for byte, one of those in the list, and valid by the
//! rules of X.509 (RFC 5280) and TLS 1.3 (RFC 8446). What it found is kept, because the handshake only says "no".

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use shared::artifact::manifest::Digest;

use super::credentials::TrustedServer;

/// Why a server's certificate was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It is in no list.
    NotListed {
        /// The SHA-256 of what the server presented.
        fingerprint: Digest,
    },
    /// It is in the list, but not valid.
    Invalid {
        /// The name of the list's entry.
        entry: String,
        /// Why not: `expired`.
        reason: String,
    },
}

/// Checks one server after the other; remembers what was wrong with the last.
#[derive(Debug)]
pub(super) struct ListedServers {
    servers: Vec<TrustedServer>,
    provider: Arc<CryptoProvider>,
    distrust: Mutex<Option<Distrust>>,
}

impl ListedServers {
    pub(super) fn new(servers: Vec<TrustedServer>, provider: Arc<CryptoProvider>) -> Self {
        Self { servers, provider, distrust: Mutex::new(None) }
    }

    /// What was wrong with the last certificate, if anything was.
    pub(super) fn distrust(&self) -> Option<Distrust> {
        self.distrust.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), (Distrust, rustls::Error)> {
        let Some(server) = self.servers.iter().find(|server| server.certificate == *presented) else {
            let distrust = Distrust::NotListed { fingerprint: Digest::of(presented) };
            return Err((distrust, CertificateError::UnknownIssuer.into()));
        };
        // A listed certificate is its own authority, and nobody else's.
        let valid = || {
            let mut roots = RootCertStore::empty();
            roots.add(server.certificate.clone())?;
            let rules = WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone()).build();
            let rules = rules.map_err(|error| rustls::Error::General(error.to_string()))?;
            rules.verify_server_cert(presented, intermediates, name, &[], now)
        };
        valid().map(|_| ()).map_err(|error| {
            let reason = match &error {
                rustls::Error::InvalidCertificate(
                    CertificateError::Expired | CertificateError::ExpiredContext { .. },
                ) => "it has expired".to_owned(),
                rustls::Error::InvalidCertificate(
                    CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
                ) => "it is not valid yet".to_owned(),
                other => other.to_string(),
            };
            (Distrust::Invalid { entry: server.name.clone(), reason }, error)
        })
    }
}

impl ServerCertVerifier for ListedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.check(end_entity, intermediates, server_name, now);
        let mut distrust = self.distrust.lock().unwrap_or_else(PoisonError::into_inner);
        *distrust = checked.as_ref().err().map(|(distrust, _)| distrust.clone());
        checked.map(|()| ServerCertVerified::assertion()).map_err(|(_, error)| error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
