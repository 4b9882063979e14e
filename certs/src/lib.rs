//! Who holds which key: makes identities, and keeps the lists of who trusts whom.
//!
//! There are three roles ([`shared::trust::role`]) and three lists ([`shared::trust::store`]); this crate is the only one
//! that makes a key or writes a list. It must not open a socket or talk to a server.
//!
//! | verb | module |
//! |---|---|
//! | make, rotate | [`identity`] |
//! | trust, authorise, revoke, list | [`list`] |
//! | a whole test PKI, by role | [`pki`] |
#![forbid(unsafe_code)]

pub mod identity;

pub mod list;

pub mod certificate;

pub mod pki;

pub mod error;

pub use error::CertsError;

mod file;
