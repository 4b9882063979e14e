//! A server that speaks the protocol and answers what the test says. Its certificates are made here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use client::submit::address::ServerAddress;
use client::submit::credentials::Credentials;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, ServerConfig};
use rcgen::{CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::protocol::frame;
use shared::protocol::request::{CompileRequest, Request};
use shared::protocol::response::Response;
use shared::protocol::version::ALPN;
use shared::trust::store::{CLIENT, SERVER_NAME, SERVERS};
use tempfile::TempDir;

/// One thing a server does on a stream.
pub(crate) enum Step {
    /// Sends a frame.
    Say(Response),
    /// Sends bytes.
    Raw(Vec<u8>),
    /// Closes the connection.
    Close(u32, &'static str),
    /// Resets the stream.
    Reset(u32),
    /// Works for so many milliseconds.
    Work(u64),
}

/// What a server does about its nth request, counted from zero. The stream is finished afterwards.
pub(crate) type Behaviour = Box<dyn Fn(usize, &CompileRequest) -> Vec<Step> + Send + Sync>;

/// A key and its self-signed certificate.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

impl Identity {
    pub(crate) fn of_server() -> Self {
        Self::new(&[SERVER_NAME], |_| {})
    }

    pub(crate) fn of_client() -> Self {
        Self::new(&[], |_| {})
    }

    pub(crate) fn expired() -> Self {
        Self::new(&[SERVER_NAME], |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    pub(crate) fn not_valid_yet() -> Self {
        Self::new(&[SERVER_NAME], |params| params.not_before = date_time_ymd(4000, 1, 1))
    }

    pub(crate) fn with_another_name() -> Self {
        Self::new(&["somebody"], |_| {})
    }

    fn new(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self::with_key(&key, names, change)
    }

    fn with_key(key: &KeyPair, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        params.is_ca = IsCa::ExplicitNoCa;
        change(&mut params);
        let certificate = params.self_signed(key).expect("a certificate");
        Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// Another certificate for the same key and names.
    pub(crate) fn issued_again(&self) -> Self {
        let key = KeyPair::from_pem(&self.key_pem).expect("a key");
        Self::with_key(&key, &[SERVER_NAME], |params| params.not_after = date_time_ymd(4001, 1, 1))
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        use rustls_pki_types::pem::PemObject as _;
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key")
    }
}

/// How a server is set up; each field has what is right.
pub(crate) struct Setup {
    pub(crate) identity: Identity,
    pub(crate) clients: Vec<CertificateDer<'static>>,
    pub(crate) alpn: Vec<u8>,
    pub(crate) behaviour: Behaviour,
}

/// A server that runs until it is dropped.
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    requests_count: Arc<AtomicUsize>,
    farewells: mpsc::Receiver<ConnectionError>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    pub(crate) fn start(setup: Setup) -> Self {
        let (address_sender, address) = mpsc::channel();
        let (farewell_sender, farewells) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let requests_count = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests_count);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let endpoint = Endpoint::server(config(&setup), (Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
                address_sender.send(endpoint.local_addr().expect("an address")).expect("a test");
                let behaviour = Arc::new(setup.behaviour);
                let serve = async {
                    while let Some(incoming) = endpoint.accept().await {
                        tokio::spawn(serve(
                            incoming,
                            Arc::clone(&behaviour),
                            Arc::clone(&count),
                            farewell_sender.clone(),
                        ));
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
                endpoint.close(0u8.into(), b"the test is over");
            });
        });
        let address = address.recv().expect("an address");
        Self { address, requests_count, farewells, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn server_address(&self) -> ServerAddress {
        self.address.into()
    }

    /// How the next connection ended that was served.
    pub(crate) fn farewell(&self) -> ConnectionError {
        self.farewells.recv().expect("a connection")
    }

    pub(crate) fn requests_count(&self) -> usize {
        self.requests_count.load(Ordering::SeqCst)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the fake server panicked");
        }
    }
}

/// A client's directory, and the server it trusts and is known to.
pub(crate) struct Parties {
    pub(crate) dir: TempDir,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

impl Parties {
    pub(crate) fn new() -> Self {
        Self::with_server(Identity::of_server())
    }

    pub(crate) fn with_server(server: Identity) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let client = Identity::of_client();
        write_client_dir(dir.path(), &server, &client);
        Self { dir, server, client }
    }

    pub(crate) fn setup(
        &self,
        behaviour: impl Fn(usize, &CompileRequest) -> Vec<Step> + Send + Sync + 'static,
    ) -> Setup {
        let Identity { certificate, certificate_pem, key_pem } = &self.server;
        let identity = Identity {
            certificate: certificate.clone(),
            certificate_pem: certificate_pem.clone(),
            key_pem: key_pem.clone(),
        };
        let clients = vec![self.client.certificate.clone()];
        Setup { identity, clients, alpn: ALPN.to_vec(), behaviour: Box::new(behaviour) }
    }

    pub(crate) fn dirs(&self) -> Vec<PathBuf> {
        vec![self.dir.path().to_owned()]
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::load(&self.dirs()).expect("credentials")
    }
}

/// Lays a client's directory out as [`shared::trust::store`] says.
pub(crate) fn write_client_dir(dir: &Path, server: &Identity, client: &Identity) {
    let servers = dir.join(SERVERS);
    std::fs::create_dir_all(&servers).expect("a directory");
    let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("written");
    write(servers.join("127.0.0.1.crt"), &server.certificate_pem);
    write(dir.join(CLIENT.certificate), &client.certificate_pem);
    write(dir.join(CLIENT.key), &client.key_pem);
}

fn config(setup: &Setup) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    setup.clients.iter().for_each(|client| roots.add(client.clone()).expect("a certificate"));
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build();
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(clients.expect("a verifier"))
        .with_single_cert(vec![setup.identity.certificate.clone()], setup.identity.key())
        .expect("a certificate");
    tls.alpn_protocols = vec![setup.alpn.clone()];
    ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).expect("QUIC")))
}

async fn serve(
    incoming: quinn::Incoming,
    behaviour: Arc<Behaviour>,
    count: Arc<AtomicUsize>,
    farewells: mpsc::Sender<ConnectionError>,
) {
    // A client that is refused, or refuses us, is what some tests are about.
    let Ok(connection) = incoming.await else { return };
    loop {
        match connection.accept_bi().await {
            Ok((send, receive)) => {
                let Some(request) = read(receive).await else { return };
                let steps = behaviour(count.fetch_add(1, Ordering::SeqCst), &request);
                answer(&connection, send, steps).await;
            }
            // Most tests do not ask.
            Err(farewell) => return drop(farewells.send(farewell)),
        }
    }
}

async fn read(mut receive: RecvStream) -> Option<CompileRequest> {
    let bytes = receive.read_to_end(shared::limits::FRAME_BYTES_MAX + frame::HEADER_BYTES).await.ok()?;
    let (header, contents) = bytes.split_first_chunk()?;
    assert_eq!(frame::contents_bytes(*header).expect("a header"), contents.len(), "bytes behind the request");
    let Request::Compile(request) = frame::decode(contents).expect("a request");
    Some(request)
}

async fn answer(connection: &Connection, mut send: SendStream, steps: Vec<Step>) {
    for step in steps {
        let bytes = match step {
            Step::Say(response) => frame::encode(&response).expect("a frame"),
            Step::Raw(bytes) => bytes,
            Step::Close(code, reason) => return connection.close(code.into(), reason.as_bytes()),
            Step::Work(duration_ms) => {
                tokio::time::sleep(Duration::from_millis(duration_ms)).await;
                continue;
            }
            Step::Reset(code) => return send.reset(code.into()).expect("a stream"),
        };
        // A client that has seen enough leaves.
        if send.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = send.finish();
}
