//! A server with its clients, on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certs::certificate::ReadCertificate;
use certs::pki::{Pki, make_all};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use server::config::Config;
use server::listener::Server;
use shared::protocol::frame;
use shared::protocol::request::{CompileRequest, Options, Output, Request};
use shared::protocol::response::{Outcome, Progress, Response};
use shared::protocol::version::ALPN;
use shared::target::{Architecture, BuildId, Target};
use shared::trust::store::SERVER_NAME;

/// A server and everybody who talks to it.
pub(crate) struct Farm {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) pki: Pki,
    pub(crate) server: Server,
}

impl Farm {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    /// With a configuration changed; the second argument is a directory for whatever it needs.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config, &Path)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = make_all(&dir.path().join("pki")).expect("a PKI");
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory: pki.server.clone(),
            cache: dir.path().join("cache"),
            ..Config::default()
        };
        config.debuginfo.urls.clear();
        config.debuginfo.directories.clear();
        change(&mut config, dir.path());
        let server = Server::start(&config).await.expect("a server");
        Self { dir, pki, server }
    }

    pub(crate) async fn connect(&self, client: &Path) -> Result<Peer, String> {
        connect(self.server.address(), client, client, ALPN).await
    }

    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("cache/kept")).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// A client that is connected.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

/// Connects as the client with the identity in `identity`, trusting the server in the list of `trust`.
pub(crate) async fn connect(address: SocketAddr, identity: &Path, trust: &Path, alpn: &[u8]) -> Result<Peer, String> {
    let certificate = ReadCertificate::open(&identity.join("client.crt")).expect("a certificate").der;
    let key = PrivateKeyDer::from_pem_file(identity.join("client.key")).expect("a key");
    let mut roots = rustls::RootCertStore::empty();
    for entry in certs::list::read(trust, certs::list::List::Servers).expect("a list").entries {
        roots.add(entry.certificate.expect("a certificate").der).expect("a certificate");
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .expect("an identity");
    tls.alpn_protocols = vec![alpn.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a configuration")));
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("an endpoint");
    endpoint.set_default_client_config(config);
    let connecting = endpoint.connect(address, SERVER_NAME).expect("an address");
    let connection = connecting.await.map_err(|error| error.to_string())?;
    Ok(Peer { connection, _endpoint: endpoint })
}

impl Peer {
    /// Asks, and waits for the end of the answer.
    pub(crate) async fn ask(&self, request: CompileRequest) -> Result<Outcome, String> {
        self.ask_and_listen(request).await.map(|(outcome, _)| outcome)
    }

    pub(crate) async fn ask_and_listen(&self, request: CompileRequest) -> Result<(Outcome, Vec<Progress>), String> {
        let frame = frame::encode(&Request::Compile(request)).expect("a frame");
        self.send_and_listen(&frame).await
    }

    /// Sends any bytes as a request.
    pub(crate) async fn send_and_listen(&self, bytes: &[u8]) -> Result<(Outcome, Vec<Progress>), String> {
        let talk = async {
            let (mut send, mut receive) = self.connection.open_bi().await.map_err(|error| error.to_string())?;
            // A server that has read enough closes before all is sent.
            let _ = send.write_all(bytes).await;
            let _ = send.finish();
            let mut progress = Vec::new();
            loop {
                let mut header = [0; frame::HEADER_BYTES];
                receive.read_exact(&mut header).await.map_err(|error| error.to_string())?;
                let mut contents = vec![0; frame::contents_bytes(header).expect("a size")];
                receive.read_exact(&mut contents).await.map_err(|error| error.to_string())?;
                match frame::decode(&contents).expect("a response") {
                    Response::Progress(news) => progress.push(news),
                    Response::Finished(outcome) => return Ok((*outcome, progress)),
                }
            }
        };
        match talk.await {
            Ok(answer) => Ok(answer),
            // What the server said when it closed says more than the stream's end.
            Err::<_, String>(error) => Err(self.connection.close_reason().map_or(error, |reason| reason.to_string())),
        }
    }
}

/// A request for a host that does not exist.
pub(crate) fn request(script: &str) -> CompileRequest {
    CompileRequest {
        script_name: "<input>".to_owned(),
        script: script.to_owned(),
        additions: Vec::new(),
        library: Vec::new(),
        arguments: Vec::new(),
        output: Output::Artifact,
        guru: false,
        options: Options::default(),
        target: Target {
            architecture: Architecture::X86_64,
            release: "6.1.0-test".to_owned(),
            kernel: kernel(),
            features: Default::default(),
        },
        facts: Vec::new(),
    }
}

pub(crate) fn kernel() -> BuildId {
    "00112233445566778899aabbccddeeff00112233".parse().expect("a build id")
}
