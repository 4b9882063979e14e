//! The lexer: any text becomes tokens, each of which is itself when it stands alone.
#![no_main]

use compiler::parse::invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::lexer(&String::from_utf8_lossy(bytes)));
