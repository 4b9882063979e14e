//! A connection: one client, any number of requests, each on a stream of its own.
//!
//! What arrives meets the recognisers of [`shared::protocol`] before it means anything; a peer that breaks a rule is told which
//! one, and the connection is closed. What a request means is [`crate::job`]'s business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{Connection, RecvStream, SendStream, VarInt};
use rustls_pki_types::CertificateDer;
use shared::artifact::manifest::Digest;
use shared::limits::LimitExceeded;
use shared::protocol::error::{CloseCode, PeerMisbehaved};
use shared::protocol::frame;
use shared::protocol::request::{CompileRequest, Request};
use shared::protocol::response::{Failure, Outcome, Progress, Response};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config;
use crate::job::Jobs;
use crate::policy::{Authorised, Client};

/// What every connection needs.
pub struct Service {
    pub(crate) authorised: Authorised,
    jobs: Jobs,
    request_time_max: Duration,
    request_bytes: Semaphore,
}

/// A code as QUIC has it.
pub(crate) fn number(code: CloseCode) -> VarInt {
    VarInt::from_u32(code as u32)
}

/// Why an answer was not given.
enum Unanswered {
    /// The peer broke a rule.
    Misbehaved(PeerMisbehaved),
    /// The certificate is in no list.
    NotAuthorised,
    /// The client left.
    Gone,
}

/// How often a client that waits is told that the server still works: a connection on which nothing moves is closed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Progress that waits to be sent. What does not fit is dropped: the next one says more.
const PROGRESS_WAITING_MAX: usize = 4;

impl Service {
    pub(crate) fn new(authorised: Authorised, jobs: Jobs, config: &config::Connections) -> Self {
        Self {
            authorised,
            jobs,
            request_time_max: Duration::from_millis(config.request_ms),
            request_bytes: Semaphore::new(config.request_bytes_max),
        }
    }

    fn client(&self, connection: &Connection) -> Result<Client, Unanswered> {
        let identity =
            connection.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = identity.as_ref().and_then(|chain| chain.first()).ok_or(Unanswered::NotAuthorised)?;
        let clients = self.authorised.clients();
        clients.find(certificate, certs::identity::now_s()).cloned().ok_or(Unanswered::NotAuthorised)
    }
}

/// Serves a connection until it ends, or until `stopped` and what is under way is answered.
pub(crate) async fn serve(connecting: quinn::Connecting, service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
    let peer = connecting.remote_address();
    let connection = match timeout(service.request_time_max, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::info!(%peer, "handshake failed: {error}"),
        Err(_) => return tracing::info!(%peer, "handshake took too long"),
    };
    if let Err(unanswered) = service.client(&connection) {
        return close(&connection, &unanswered);
    }
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    requests.spawn(serve_request(Arc::clone(&service), connection.clone(), send, receive));
                }
                Err(_) => break,
            },
            Some(_) = requests.join_next() => {}
            () = stop_of(&mut stopped) => {
                while requests.join_next().await.is_some() {}
                connection.close(number(CloseCode::Ending), b"the server is shutting down");
                break;
            }
        }
    }
    // Whoever answers on a closed connection notices, stops the job, and has its last word in the log.
    while requests.join_next().await.is_some() {}
}

/// Waits until the server is told to stop.
pub(crate) async fn stop_of(stopped: &mut watch::Receiver<bool>) {
    // Without a sender there is no server any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve_request(service: Arc<Service>, connection: Connection, mut send: SendStream, receive: RecvStream) {
    if let Err(unanswered) = answer_request(&service, &connection, &mut send, receive).await {
        // Dropping the stream would end it as if the answer were whole.
        close(&connection, &unanswered);
        let _ = send.reset(number(CloseCode::Ending));
    }
}

async fn answer_request(
    service: &Service,
    connection: &Connection,
    send: &mut SendStream,
    receive: RecvStream,
) -> Result<(), Unanswered> {
    let began = Instant::now();
    let limit = u64::try_from(service.request_time_max.as_millis()).unwrap_or(u64::MAX);
    let slow = |_| {
        PeerMisbehaved::Limit(LimitExceeded {
            limit: "time to send a request in ms".to_owned(),
            value: limit.saturating_add(1),
            max: limit,
        })
    };
    let read = timeout(service.request_time_max, read_request(service, receive)).await;
    let (request, _bytes) = read.map_err(|late| Unanswered::Misbehaved(slow(late)))??;
    let client = service.client(connection)?;
    let outcome = tokio::select! {
        outcome = answer_and_tell(service, &request, &client, send) => outcome,
        _ = connection.closed() => Err(Unanswered::Gone),
    };
    tracing::info!(
        peer = %connection.remote_address(),
        client = client.name,
        script = %Digest::of(request.script.as_bytes()),
        outcome = outcome.as_ref().map_or("gone", word),
        duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    let delivered = timeout(service.request_time_max, deliver(send, &finished(outcome?))).await;
    delivered.map_err(|_| Unanswered::Gone)?
}

/// One frame, and nothing behind it. The permit stands for its bytes until the request is answered.
async fn read_request(
    service: &Service,
    mut receive: RecvStream,
) -> Result<(CompileRequest, tokio::sync::SemaphorePermit<'_>), Unanswered> {
    let mut header = [0; frame::HEADER_BYTES];
    receive.read_exact(&mut header).await.map_err(unread)?;
    let size = frame::contents_bytes(header)?;
    let permits = u32::try_from(size).unwrap_or(u32::MAX);
    let bytes = service.request_bytes.acquire_many(permits).await.map_err(|_| Unanswered::Gone)?;
    let mut contents = Vec::new();
    while contents.len() < size {
        // Memory grows with what comes, not with what is announced.
        match receive.read_chunk(size - contents.len(), true).await.map_err(|_| Unanswered::Gone)? {
            Some(chunk) => contents.extend_from_slice(&chunk.bytes),
            None => return Err(PeerMisbehaved::Truncated("request").into()),
        }
    }
    match receive.read_chunk(1, true).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(PeerMisbehaved::TrailingBytes.into()),
        Err(_) => return Err(Unanswered::Gone),
    }
    let request: Request = frame::decode(&contents)?;
    request.check()?;
    let Request::Compile(request) = request;
    Ok((request, bytes))
}

/// Answers, and sends what goes on meanwhile.
async fn answer_and_tell(
    service: &Service,
    request: &CompileRequest,
    client: &Client,
    send: &mut SendStream,
) -> Result<Outcome, Unanswered> {
    let (sender, mut progress) = mpsc::channel(PROGRESS_WAITING_MAX);
    let answer = service.jobs.answer(request, client.privilege, &sender);
    tokio::pin!(answer);
    let mut last = Progress { activity: "compiling".to_owned(), bytes_done: 0, bytes_total: None };
    loop {
        tokio::select! {
            biased;
            outcome = &mut answer => return Ok(outcome),
            Some(news) = progress.recv() => last = news,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {}
        }
        write(send, &Response::Progress(last.clone())).await?;
    }
}

/// The last frame; where the outcome is too large for one, that is the outcome.
fn finished(outcome: Outcome) -> Response {
    let response = Response::Finished(Box::new(outcome));
    match frame::encode(&response) {
        Ok(_) => response,
        Err(exceeded) => Response::Finished(Box::new(Outcome::Failed(Failure::Limit(exceeded)))),
    }
}

/// Sends the last frame, and waits until the client has it.
async fn deliver(send: &mut SendStream, response: &Response) -> Result<(), Unanswered> {
    write(send, response).await?;
    send.finish().map_err(|_| Unanswered::Gone)?;
    send.stopped().await.map(drop).map_err(|_| Unanswered::Gone)
}

async fn write(send: &mut SendStream, response: &Response) -> Result<(), Unanswered> {
    let frame = frame::encode(response).map_err(|_| Unanswered::Gone)?;
    send.write_all(&frame).await.map_err(|_| Unanswered::Gone)
}

fn close(connection: &Connection, unanswered: &Unanswered) {
    let (code, reason) = match unanswered {
        Unanswered::Gone => return,
        Unanswered::Misbehaved(rule) => (CloseCode::Misbehaved, rule.to_string()),
        Unanswered::NotAuthorised => (
            CloseCode::NotAuthorised,
            "your certificate is not in this server's list of clients, or expired: ask for `tapwire-certs authorise`"
                .to_owned(),
        ),
    };
    tracing::warn!(peer = %connection.remote_address(), "closed: {reason}");
    connection.close(number(code), reason.as_bytes());
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Artifact { .. } => "artifact",
        Outcome::Text { .. } => "text",
        Outcome::Refused(_) => "refused",
        Outcome::NeedFacts(_) => "need facts",
        Outcome::Failed(failure) => match failure {
            Failure::DebuginfoNotFound { .. } => "debuginfo not found",
            Failure::NotAuthorised { .. } => "not authorised",
            Failure::Limit(_) => "limit exceeded",
            Failure::Deadline(_) => "deadline",
            Failure::Internal { .. } => "internal",
        },
    }
}

fn unread(error: quinn::ReadExactError) -> Unanswered {
    match error {
        quinn::ReadExactError::FinishedEarly(_) => PeerMisbehaved::Truncated("request").into(),
        quinn::ReadExactError::ReadError(_) => Unanswered::Gone,
    }
}

impl From<PeerMisbehaved> for Unanswered {
    fn from(rule: PeerMisbehaved) -> Self {
        Self::Misbehaved(rule)
    }
}
