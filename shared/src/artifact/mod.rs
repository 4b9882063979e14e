//! The signed artifact: what a compile ends in, what `-p4 -m NAME` leaves as `NAME.tap`, and the only thing `taprun` loads.
//!
//! A [`container`] holds an ELF object, a [`manifest`] that says what it is, and a [`signature`] over the manifest. The
//! names of the ELF's sections are in [`section`].
//!
//! **Invariant: what is loaded was verified.** Bytes become an [`UntrustedArtifact`]; only
//! [`UntrustedArtifact::verify`] makes a [`VerifiedArtifact`] of it, and only that can be loaded.

pub mod section;

pub mod manifest;

pub mod signature;

pub mod container;

pub use container::{ArtifactRejected, UntrustedArtifact, VerifiedArtifact};
