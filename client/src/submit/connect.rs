//! From an address to a connection on which both sides have shown a certificate, and from a broken connection to the
//! reason, in words.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, TransportConfig, TransportErrorCode, VarInt};
use rustls::version::TLS13;
use shared::limits::FRAME_BYTES_MAX;
use shared::protocol::error::CloseCode;
use shared::protocol::version::ALPN;
use shared::trust::store::{SERVER_NAME, SERVERS};

use super::SubmitError;
use super::address::ServerAddress;
use super::credentials::Credentials;
use super::verifier::{Distrust, ListedServers};

/// How long a server may take to answer the first packet. A retransmission or three fit in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may be silent altogether. QUIC's own keep-alive packets count, a long compile is no silence.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection, and what is needed to say why it broke.
pub(super) struct Connected<'a> {
    /// The connection.
    pub(super) connection: quinn::Connection,
    /// The socket. The connection lives no longer.
    pub(super) endpoint: Endpoint,
    server: &'a ServerAddress,
    credentials: &'a Credentials,
}

/// Connects to a server: to the first of its addresses that answers.
pub(super) async fn connect<'a>(
    server: &'a ServerAddress,
    credentials: &'a Credentials,
) -> Result<Connected<'a>, SubmitError> {
    let cannot_resolve = |error| SubmitError::Resolve { server: server.clone(), error };
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await.map_err(cannot_resolve)?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut tried = Vec::new();
    for address in addresses {
        let verifier = Arc::new(ListedServers::new(credentials.servers.clone(), provider()));
        let config = config(credentials, verifier.clone())?;
        match connect_to(address, config).await {
            Ok((endpoint, connection)) => return Ok(Connected { connection, endpoint, server, credentials }),
            // Where the name is the address, it need not be said twice.
            Err(Silence::Unreachable(reason)) if address.to_string() == server.to_string() => tried.push(reason),
            Err(Silence::Unreachable(reason)) => tried.push(format!("{address}: {reason}")),
            Err(Silence::Broken(error)) => return Err(broken(&error, verifier.distrust(), server, credentials)),
        }
    }
    Err(SubmitError::Unreachable { server: server.clone(), tried })
}

impl Connected<'_> {
    /// Why the connection broke.
    pub(super) fn broken(&self, error: &ConnectionError) -> SubmitError {
        broken(error, None, self.server, self.credentials)
    }

    /// The server stopped a stream.
    pub(super) fn dropped(&self, code: VarInt) -> SubmitError {
        SubmitError::Lost { server: self.server.clone(), reason: format!("it dropped the request (code {code})") }
    }
}

/// Why there is no connection.
enum Silence {
    /// Nobody there.
    Unreachable(String),
    /// Somebody there, who would not.
    Broken(ConnectionError),
}

async fn connect_to(
    address: SocketAddr,
    config: quinn::ClientConfig,
) -> Result<(Endpoint, quinn::Connection), Silence> {
    let any: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let endpoint = Endpoint::client(any).map_err(|error| Silence::Unreachable(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, SERVER_NAME);
    let connecting = connecting.map_err(|error| Silence::Unreachable(error.to_string()))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok((endpoint, connection)),
        Ok(Err(ConnectionError::TimedOut)) | Err(_) => {
            Err(Silence::Unreachable(format!("no answer in {} s", CONNECT_TIMEOUT.as_secs())))
        }
        Ok(Err(error)) => Err(Silence::Broken(error)),
    }
}

/// Cryptography by AWS-LC, and never the process-wide default, which another crate might set.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn config(credentials: &Credentials, verifier: Arc<ListedServers>) -> Result<quinn::ClientConfig, SubmitError> {
    let identity = &credentials.identity;
    let unusable = |error: &dyn std::fmt::Display| SubmitError::UnusableIdentity {
        path: identity.path.clone(),
        reason: error.to_string(),
    };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())
        .map_err(|error| unusable(&error))?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let quic = QuicClientConfig::try_from(tls).map_err(|error| unusable(&error))?;

    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(SILENCE_MAX.try_into().ok())
        .keep_alive_interval(Some(SILENCE_MAX / 3))
        // A server only ever answers: it opens no stream, and sends no more than a frame ahead.
        .max_concurrent_bidi_streams(0u8.into())
        .max_concurrent_uni_streams(0u8.into())
        .datagram_receive_buffer_size(None)
        .receive_window((FRAME_BYTES_MAX as u32).into());
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn broken(
    error: &ConnectionError,
    distrust: Option<Distrust>,
    server: &ServerAddress,
    credentials: &Credentials,
) -> SubmitError {
    let server = server.clone();
    match distrust {
        Some(Distrust::NotListed { fingerprint }) => {
            let lists = credentials.lists.clone();
            return SubmitError::ServerNotTrusted {
                server,
                fingerprint,
                lists,
                unreadable: credentials.unreadable.clone(),
            };
        }
        Some(Distrust::Invalid { entry, reason }) => {
            return SubmitError::ServerCertificate { server, entry, list: SERVERS, reason };
        }
        None => {}
    }
    let (code, reason) = match error {
        ConnectionError::TransportError(error) => (Some(error.code), error.reason.clone()),
        ConnectionError::ConnectionClosed(close) => {
            (Some(close.error_code), String::from_utf8_lossy(&close.reason).into_owned())
        }
        ConnectionError::ApplicationClosed(close)
            if close.error_code == VarInt::from_u32(CloseCode::NotAuthorised as u32) =>
        {
            return client_refused(server, "not in its list of clients", credentials);
        }
        ConnectionError::ApplicationClosed(close) => {
            let words = String::from_utf8_lossy(&close.reason).into_owned();
            (
                None,
                if words.is_empty() { format!("it closed the connection (code {})", close.error_code) } else { words },
            )
        }
        ConnectionError::VersionMismatch => {
            let reason = "it speaks no version of QUIC that we speak".to_owned();
            return SubmitError::Incompatible { server, reason };
        }
        ConnectionError::TimedOut => (None, format!("nothing was heard of it for {} s", SILENCE_MAX.as_secs())),
        ConnectionError::Reset => (None, "it has forgotten the connection: it was restarted".to_owned()),
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => (None, error.to_string()),
    };
    match code.and_then(Alert::of) {
        Some(Alert::Certificate(alert)) => client_refused(server, alert, credentials),
        Some(Alert::Protocol) => {
            let ours = String::from_utf8_lossy(ALPN);
            SubmitError::Incompatible { server, reason: format!("it does not speak {ours}") }
        }
        None => SubmitError::Lost { server, reason },
    }
}

fn client_refused(server: ServerAddress, reason: &'static str, credentials: &Credentials) -> SubmitError {
    let identity = &credentials.identity;
    SubmitError::ClientRefused {
        server,
        reason,
        certificate: identity.path.clone(),
        fingerprint: identity.fingerprint(),
    }
}

/// A TLS alert (RFC 8446, section 6) that a QUIC connection was closed with (RFC 9001, section 4.8).
enum Alert {
    /// Our certificate was not taken.
    Certificate(&'static str),
    /// There is no protocol that both speak.
    Protocol,
}

impl Alert {
    fn of(code: TransportErrorCode) -> Option<Self> {
        let certificate = [
            (42, "bad_certificate"),
            (43, "unsupported_certificate"),
            (44, "certificate_revoked"),
            (45, "certificate_expired"),
            (46, "certificate_unknown"),
            (48, "unknown_ca"),
            (49, "access_denied"),
            (51, "decrypt_error"),
            (116, "certificate_required"),
        ];
        if [70, 120].into_iter().any(|alert| code == TransportErrorCode::crypto(alert)) {
            return Some(Self::Protocol);
        }
        let found = certificate.into_iter().find(|(alert, _)| code == TransportErrorCode::crypto(*alert));
        found.map(|(_, name)| Self::Certificate(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_exchange_is_post_quantum() {
        assert_eq!(provider().kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
