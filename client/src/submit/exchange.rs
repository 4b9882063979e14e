//! One request and its answer on a stream of their own: frames out, frames in, each recognised before it means anything.

use quinn::{ReadExactError, RecvStream, WriteError};
use shared::protocol::error::PeerMisbehaved;
use shared::protocol::frame::{self, HEADER_BYTES};
use shared::protocol::request::Request;
use shared::protocol::response::{Outcome, Progress, Response};

use super::SubmitError;
use super::connect::Connected;

/// Sends a request; gives its outcome. Progress goes to `on_progress`.
pub(super) async fn exchange(
    connected: &Connected<'_>,
    request: &Request,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome, SubmitError> {
    request.check()?;
    let frame = frame::encode(request).map_err(SubmitError::RequestTooLarge)?;
    let (mut send, mut receive) = connected.connection.open_bi().await.map_err(|error| connected.broken(&error))?;
    match send.write_all(&frame).await {
        // A server that has heard enough says why in its answer.
        Ok(()) | Err(WriteError::Stopped(_)) => {}
        Err(WriteError::ConnectionLost(error)) => return Err(connected.broken(&error)),
        Err(WriteError::ClosedStream | WriteError::ZeroRttRejected) => return Err(connected.dropped(0u8.into())),
    }
    // It fails only where the server stopped the stream already.
    let _ = send.finish();
    loop {
        match read_response(connected, &mut receive).await? {
            Response::Progress(progress) => on_progress(&progress),
            Response::Finished(outcome) => return Ok(*outcome),
        }
    }
}

async fn read_response(connected: &Connected<'_>, receive: &mut RecvStream) -> Result<Response, SubmitError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(connected, receive, &mut header, "answer").await?;
    let mut contents = vec![0; frame::contents_bytes(header)?];
    read_exact(connected, receive, &mut contents, "message").await?;
    Ok(frame::decode(&contents)?)
}

async fn read_exact(
    connected: &Connected<'_>,
    receive: &mut RecvStream,
    bytes: &mut [u8],
    what: &'static str,
) -> Result<(), SubmitError> {
    receive.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => PeerMisbehaved::Truncated(what).into(),
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => connected.broken(&error),
        ReadExactError::ReadError(quinn::ReadError::Reset(code)) => connected.dropped(code),
        ReadExactError::ReadError(_) => connected.dropped(0u8.into()),
    })
}
