//! The compile server, `tapwired`: takes requests over QUIC, has them compiled in worker processes, signs what comes out.
//!
//! All I/O of the server's side is here. It must not know the language: what a script means is the crate `compiler`'s business.
//!
//! | a request comes by | which asks |
//! |---|---|
//! | [`listener`]: an endpoint, who may connect | [`policy`] for the list of clients |
//! | [`connection`]: frames in, frames out | [`policy`] for the client's level |
//! | [`job`]: admit, look up, compile, permit, sign | [`store`], workers behind a fence, [`debuginfod`], [`index`], [`policy`], [`signer`] |
//! | [`job::worker`], in a process of its own | the compiler, which asks [`world`], which has the [`tapset`] |
#![forbid(unsafe_code)]

pub mod config;

pub mod listener;

pub mod connection;

pub mod policy;

pub mod job;

pub mod world;

pub mod tapset;

pub mod debuginfod;

pub mod index;

pub mod store;

pub mod cache;

pub mod signer;

pub mod personal;

pub mod error;

pub use error::ServerError;
