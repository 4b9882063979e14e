//! What `compiler::debuginfo` answers about debug files that are made on the spot.

mod elf;
mod forms;
mod frame;
mod function;
mod hostile;
mod index;
mod line;
mod location;
mod returns;
mod scope;
mod statement;
mod step;
mod synthetic;
mod types;

use compiler::debuginfo::{Debuginfo, Function, Moment, Place, Variable, VariableError};

use synthetic::Elf;

/// The only function that can be probed under a name.
fn function(debuginfo: &Debuginfo<'_>, name: &str) -> Function {
    let mut functions = debuginfo.functions(name).expect("a symbol table");
    assert_eq!(functions.found.len(), 1, "functions called {name}: {functions:?}");
    functions.found.remove(0)
}

/// The place where a function is entered.
fn entry(debuginfo: &Debuginfo<'_>, name: &str) -> Place {
    debuginfo.place(&function(debuginfo, name), Moment::Entry).expect("a place")
}

/// `$name` where the function `f` is entered.
fn variable(elf: &Elf, name: &str) -> Result<Variable, VariableError> {
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    debuginfo.variable(&entry(&debuginfo, "f"), name)
}

/// Where `$name` is when the function `f` is entered, or why nowhere.
fn location(elf: &Elf, name: &str) -> String {
    match variable(elf, name) {
        Ok(variable) => variable.location.to_string(),
        Err(error) => format!("error: {error}"),
    }
}
