//! The wire protocol between `tapwire` and `tapwired`.
//!
//! A client opens a QUIC connection with both certificates checked and the ALPN of [`version`]. Each request is one
//! bidirectional stream: the client sends one [`frame`] with a [`request::Request`] and finishes its side; the server
//! answers with any number of [`response::Response::Progress`] frames and one [`response::Response::Finished`].
//! The server keeps no session: what it still needs it asks for in the outcome, and the client asks again with more.

pub mod version;

pub mod frame;

pub mod request;

pub mod response;

pub mod error;
