//! What the fuzz targets of `fuzz/` have found worth keeping, through the same invariants again, without a fuzzer.

use std::fs;

use compiler::parse::invariants;
use harness::workspace;

#[test]
fn the_corpus_of_the_lexer_holds() {
    replay("lexer", invariants::lexer);
}

#[test]
fn the_corpus_of_the_preprocessor_holds() {
    replay("preprocessor", invariants::preprocessor);
}

#[test]
fn the_corpus_of_the_parser_holds() {
    replay("parser", invariants::parser);
}

/// Gives every text of a target's corpus to `invariant`, which panics, with the text, where it does not hold.
fn replay(target: &str, invariant: fn(&str)) {
    let directory = workspace::root().join("fuzz/corpus").join(target);
    let mut texts_count = 0;
    for entry in fs::read_dir(&directory).expect("the target has a corpus") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a text of the corpus");
        invariant(&String::from_utf8_lossy(&bytes));
        texts_count += 1;
    }
    assert!(texts_count > 0, "{} is empty", directory.display());
}
