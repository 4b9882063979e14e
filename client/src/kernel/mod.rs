//! What aya, rustix and std do not offer of the kernel: thin wrappers over `bpf(2)`, `perf_event_open(2)`, `mmap(2)` and
//! `fork(2)`, and the facts that attaching needs.
//!
//! The only place of Tapwire with `unsafe`; every wrapper is safe to call. Nothing here knows scripts, artifacts or the IR.
#![allow(unsafe_code)]

mod bpf;

pub mod hash;

pub mod globals;

pub mod perf_event;

pub mod process;

pub mod symbols;

pub mod feature;
