//! Pass 2 by example: [`names`] are declarations, libraries, aliases and probe points; [`bodies`] are types and handlers.
#![allow(clippy::disallowed_methods, reason = "the compiler does not look outside; its tests read their cases there")]

mod bodies;
mod names;

mod kernel;
#[path = "../debuginfo/synthetic.rs"]
#[allow(dead_code, reason = "made for the tests of debuginfo, which use all of it")]
mod synthetic;
