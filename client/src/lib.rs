//! The two halves of the client.
//!
//! `tapwire`, unprivileged, takes a script from a command line to a signed artifact: [`cli`], [`script`], [`host`],
//! [`personal`], [`submit`], [`render`], [`deliver`]. `taprun`, privileged, takes a signed artifact from a file to text on
//! standard output: [`verify`], [`load`], [`attach`], [`run`]. [`invoker`] says for whom, and [`interpret`] runs what the
//! kernel does not. The halves know [`elf`] and the crate `shared` together, and nothing of each other.

// What both halves know.
pub mod elf;

// `tapwire`
pub mod cli;

pub mod script;

pub mod sibling;

pub mod host;

pub mod personal;

pub mod submit;

pub mod progress;

pub mod render;

pub mod deliver;

pub mod error;

// `taprun`
pub mod kernel;

pub mod invoker;

pub mod verify;

pub mod inspect;

pub mod load;

pub mod attach;

pub mod interpret;

pub mod run;

pub mod output;
