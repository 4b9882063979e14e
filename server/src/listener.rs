//! The endpoint: who may connect at all, and how many. What they say is [`crate::connection`]'s business.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, Incoming, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::protocol::error::CloseCode;
use shared::protocol::version::ALPN;
use shared::trust::store;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{self, Config};
use crate::connection::{self, Service};
use crate::error::ServerError;
use crate::job::Jobs;
use crate::policy::{Authorised, Clients};
use crate::signer::read_secret;

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    connections: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

/// What requests under way have to come to their end when the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes in flight on one stream, and on all of a connection: enough for the largest script in a few round trips.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

impl Server {
    /// Opens keys, lists and caches, and listens.
    ///
    /// # Errors
    /// When one of them cannot be had; says what to do.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        config.check()?;
        let authorised = Authorised::open(&config.directory)?;
        let tls = Tls::open(&config.directory, &config.connections)?;
        let jobs = Jobs::open(config)?;
        let service = Arc::new(Service::new(authorised, jobs, &config.connections));
        let clients = service.authorised.clients();
        if clients.certificates.is_empty() {
            tracing::warn!("no client is authorised: do it with `tapwire-certs authorise`");
        }
        let first = tls.server_config(&clients)?;
        let listen = |error| ServerError::Listen { address: config.listen, error };
        let endpoint = Endpoint::server(first, config.listen).map_err(listen)?;
        let address = endpoint.local_addr().map_err(listen)?;
        let (stop, stopped) = watch::channel(false);
        let (counter, connections) = watch::channel(0);
        let accept = Accept {
            endpoint,
            tls,
            service: Arc::clone(&service),
            stopped,
            counter,
            config: config.connections.clone(),
        };
        let accepting = tokio::spawn(accept.run());
        Ok(Self { address, service, stop, connections, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open, and every change of it.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.connections.clone()
    }

    /// Reads the lists of clients again, although no directory changed.
    pub fn reload(&self) {
        self.service.authorised.reload();
    }

    /// Stops: takes nothing new, lets what is under way come to its end for a few seconds, then closes.
    pub async fn shut_down(self) {
        self.stop.send_replace(true);
        // A panic in there was logged when it happened.
        let _ = self.accepting.await;
    }
}

struct Accept {
    endpoint: Endpoint,
    tls: Tls,
    service: Arc<Service>,
    stopped: watch::Receiver<bool>,
    counter: watch::Sender<usize>,
    config: config::Connections,
}

impl Accept {
    async fn run(self) {
        let mut stopped = self.stopped.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming, &mut connections),
                    None => break,
                },
                Some(_) = connections.join_next() => {
                    self.counter.send_replace(connections.len());
                }
                () = connection::stop_of(&mut stopped) => break,
            }
        }
        self.endpoint.set_server_config(None);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        connections.abort_all();
        self.endpoint.close(connection::number(CloseCode::Ending), b"the server is shutting down");
        // Waits until the last closing packets are out.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }

    /// Lets a connection in, or asks its address to prove itself first, or turns it away.
    fn admit(&self, incoming: Incoming, connections: &mut JoinSet<()>) {
        let open = connections.len();
        if open >= self.config.connections_max {
            tracing::warn!(peer = %incoming.remote_address(), "refused: {open} connections are open");
            return incoming.refuse();
        }
        if open >= self.config.retry_from && incoming.may_retry() {
            // It fails only for what `may_retry` denies.
            let _ = incoming.retry();
            return;
        }
        let peer = incoming.remote_address();
        let config = match self.tls.server_config(&self.service.authorised.clients()) {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(%peer, "refused: {error}");
                return incoming.refuse();
            }
        };
        match incoming.accept_with(Arc::new(config)) {
            Ok(connecting) => {
                let service = Arc::clone(&self.service);
                connections.spawn(connection::serve(connecting, service, self.stopped.clone()));
                self.counter.send_replace(connections.len());
            }
            Err(error) => tracing::info!(%peer, "refused: {error}"),
        }
    }
}

/// The server's own identity, and what of the configuration a connection needs.
struct Tls {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    provider: Arc<CryptoProvider>,
    transport: Arc<TransportConfig>,
    connections_max: usize,
    /// The configuration for the lists as they were last.
    current: Mutex<Option<(Arc<Clients>, ServerConfig)>>,
}

impl Tls {
    fn open(directory: &Path, config: &config::Connections) -> Result<Self, ServerError> {
        let path = directory.join(store::SERVER.key);
        let key = PrivateKeyDer::from_pem_slice(read_secret(&path, "server")?.as_bytes());
        let key = key.map_err(|error| ServerError::BadIdentity { path, message: error.to_string() })?;
        let certificate = certs::certificate::ReadCertificate::open(&directory.join(store::SERVER.certificate))?;
        if certificate.expires_at_s <= certs::identity::now_s() {
            tracing::warn!("the server's certificate expired: replace it with `tapwire-certs rotate server`");
        }
        Ok(Self {
            certificate: certificate.der,
            key,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            transport: Arc::new(transport(config)?),
            connections_max: config.connections_max,
            current: Mutex::default(),
        })
    }

    /// The configuration that lets these clients in.
    fn server_config(&self, clients: &Arc<Clients>) -> Result<ServerConfig, ServerError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = current.as_ref().filter(|(known, _)| Arc::ptr_eq(known, clients)) {
            return Ok(config.clone());
        }
        let config = self.new_server_config(clients)?;
        *current = Some((Arc::clone(clients), config.clone()));
        Ok(config)
    }

    fn new_server_config(&self, clients: &Clients) -> Result<ServerConfig, ServerError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(clients.certificates.iter().cloned());
        if roots.is_empty() {
            // The verifier wants somebody. Our own certificate is no client's, so nobody gets in.
            roots.add(self.certificate.clone()).map_err(tls)?;
        }
        // A list of names in the handshake would tell strangers who the clients are.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .clear_root_hint_subjects()
            .build()
            .map_err(tls)?;
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(vec![self.certificate.clone()], self.key.clone_key()).map_err(tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).map_err(tls)?));
        config.transport_config(Arc::clone(&self.transport)).max_incoming(self.connections_max);
        Ok(config)
    }
}

fn transport(config: &config::Connections) -> Result<TransportConfig, ServerError> {
    let idle = Duration::from_millis(config.idle_ms);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(config.requests_max.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .max_idle_timeout(Some(idle.try_into().map_err(tls)?));
    Ok(transport)
}

fn tls(error: impl std::fmt::Display) -> ServerError {
    ServerError::Tls(error.to_string())
}
