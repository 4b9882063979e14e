//! The parser: any text becomes a tree, which parses to itself when it is printed.
#![no_main]

use compiler::parse::invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::parser(&String::from_utf8_lossy(bytes)));
