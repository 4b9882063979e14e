//! For developers: prints where a function is probed and what variables are there.
//!
//! `cargo run --release --example debuginfo -- FILE FUNCTION [EXPRESSION…]`, where an expression is a path such as
//! `file->f_inode->i_ino` or `return`.
#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "it is the world that the compiler must not see"
)]

use std::process::ExitCode;

use compiler::debuginfo::{Debuginfo, Expr, Moment, Place, Variable};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first_chunk() {
        Some(([file, function], paths)) => match show(file, function, paths) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        None => {
            eprintln!("usage: debuginfo FILE FUNCTION [PATH…]");
            ExitCode::FAILURE
        }
    }
}

fn show(file: &str, function: &str, paths: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let debuginfo = Debuginfo::open(&bytes)?;
    println!("{:?}", debuginfo.object());
    let functions = debuginfo.functions(function)?;
    for (function, refusal) in &functions.refused {
        println!("{}: {refusal}", function.symbol);
    }
    for function in &functions.found {
        let place = debuginfo.place(function, Moment::Entry)?;
        let declaration = place.declaration.as_ref().map(|line| format!("@{line}")).unwrap_or_default();
        println!("{}{declaration} pc={:#x} {:?}", function.name, place.pc, place.offset);
        for variable in debuginfo.variables(&place)? {
            let type_name = debuginfo.type_name(variable.type_id)?;
            println!("  {:?} ${}: {type_name}, {:?}", variable.role, variable.name, variable.availability);
        }
        for path in paths {
            match follow(&debuginfo, &place, path) {
                Ok(variable) => {
                    let type_name = debuginfo.type_name(variable.type_id)?;
                    let bits = variable.bits.map(|bits| format!(", {bits:?}")).unwrap_or_default();
                    println!("  ${path}: {type_name}, {}{bits}", variable.location);
                }
                Err(error) => println!("  ${path}: {error}"),
            }
        }
    }
    Ok(())
}

fn follow(debuginfo: &Debuginfo<'_>, place: &Place, path: &str) -> Result<Variable, Box<dyn std::error::Error>> {
    let mut steps = path.split("->");
    let name = steps.next().unwrap_or_default();
    let mut variable = match name {
        "return" => debuginfo.return_value(place)?,
        name => debuginfo.variable(place, name)?,
    };
    for step in steps {
        variable = match step.parse() {
            Ok(index) => debuginfo.index(&variable, Expr::Constant(index))?,
            Err(_) => debuginfo.member(&variable, step)?,
        };
    }
    Ok(variable)
}
