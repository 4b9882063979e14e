//! The run-time contract: how generated code and `taprun` lay out what they share. Codegen writes what these modules say,
//! `taprun` reads it; neither knows a number of its own.
//!
//! All integers are in the host's byte order, which is little-endian on every supported architecture.

pub mod map;

pub mod event;

pub mod format;

pub mod statistic;

pub mod value;
