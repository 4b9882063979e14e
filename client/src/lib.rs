//! The two halves of the client. `tapwire`, unprivileged, takes a script from a command line to a signed artifact:
//! [`cli`], [`script`], [`host`], [`personal`], [`submit`], [`render`], [`deliver`].

// What both halves know.
pub mod build_id;

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
