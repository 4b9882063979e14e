//! What the other side can do wrong. Each rule of the protocol is a variant.

use crate::limits::LimitExceeded;

/// The peer broke a rule: the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerMisbehaved {
    /// A message that is none.
    #[error("the peer sent a message that cannot be read")]
    UndecodableMessage,
    /// A message with something behind it.
    #[error("the peer sent bytes behind a message")]
    TrailingBytes,
    /// A stream that ends where a message is due.
    #[error("the peer ended the stream before its {0}")]
    Truncated(&'static str),
    /// The server asks for facts again and again.
    #[error("the peer asked for facts {0} times without coming to an end")]
    EndlessQuestions(usize),
    /// The server asks for what was already answered.
    #[error("the peer asked again for {0}")]
    AnsweredQuestion(String),
    /// A bound.
    #[error("the peer exceeded a limit: {0}")]
    Limit(#[from] LimitExceeded),
}

/// Why a server closed a connection, as a number in the closing frame (RFC 9000, section 19.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The server ends.
    Ending = 0,
    /// The peer broke a rule of the protocol.
    Misbehaved = 1,
    /// The client's certificate is in no list, or not any more.
    NotAuthorised = 2,
}
