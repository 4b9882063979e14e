//! The test bed: real kernels to run on, real debuginfo to ask for, and what the tests need around them.
//!
//! A newcomer reads [`stand`] first: it puts the rest together. This crate builds in seconds because it depends on no
//! product crate; it meets the product as a user does, through its binaries.
#![forbid(unsafe_code)]

pub mod stand;

pub mod here;

pub mod client;
pub mod debuginfod;
pub mod facts;
pub mod guest;
pub mod tapwired;

pub mod bench;

pub mod cache;
pub mod kernels;
pub mod packages;
pub mod setup;

pub mod process;
pub mod skip;
pub mod workspace;
