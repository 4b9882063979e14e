//! What both sides of Tapwire must agree on: the IR, the run-time contract of generated code, the signed artifact, the
//! wire protocol, the vocabulary of trust, and every limit.
//!
//! This crate must not do I/O, read a clock or the environment, use threads or `unsafe`: it is data and the pure
//! functions that recognise, print and check it. Whoever wants bytes from outside brings them here to be parsed.
#![forbid(unsafe_code)]

pub mod limits;

pub mod target;

pub mod probe;

pub mod diagnostic;

pub mod ir;

pub mod abi;

pub mod artifact;

pub mod trust;

pub mod protocol;
