//! The stap language to eBPF: text in, ELF out.
//!
//! This crate must not do I/O, read a clock or the environment, use threads, randomness or `unsafe`: a compile is a
//! function. What it needs from outside it asks of a [`world::World`].
#![forbid(unsafe_code)]

// The ground that every stage stands on.
pub mod source;
pub mod world;

// The nouns.
pub mod ast;
