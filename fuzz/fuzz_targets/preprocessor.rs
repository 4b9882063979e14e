//! The preprocessor: any text becomes tokens of the grammar, each of which leads to its place.
#![no_main]

use compiler::parse::invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::preprocessor(&String::from_utf8_lossy(bytes)));
