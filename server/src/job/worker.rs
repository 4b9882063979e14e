//! The other side of the process boundary: a worker reads one task, compiles or indexes behind the fence, answers, and exits.
//!
//! It has no configuration, no environment, no key, and after the fence closed no way to anything.

use std::any::Any;
use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use compiler::world::World;
use compiler::{Compilation, InternalError};
use serde::Serialize;
use shared::limits::FRAME_BYTES_MAX;

use super::assignment::{ANSWER, Answer, Assignment, End, Task, stage_mark};
use super::fence::{OpenFence, limit};
use super::index;
use crate::tapset;
use crate::world::MappedWorld;

/// [`compiler::compile`], or what a test puts in its place.
pub type Compile = fn(&compiler::Request<'_>, &dyn World) -> Result<Compilation, InternalError>;

/// The hidden subcommand that makes a process a worker. Its one argument is the memory limit in bytes.
pub const COMMAND: &str = "compile-worker";

/// Bytes of an assignment: a request and some paths.
const ASSIGNMENT_BYTES_MAX: u64 = 2 * FRAME_BYTES_MAX as u64;

/// What a worker process does from start to end.
#[must_use]
pub fn main(memory_bytes_max: u64, compile: Compile) -> ExitCode {
    match serve(memory_bytes_max, compile) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(memory_bytes_max: u64, compile: Compile) -> io::Result<()> {
    limit(memory_bytes_max)?;
    let fence = OpenFence::prepare();
    // While there is nothing else to do.
    tapset::library();
    let mut input = Vec::new();
    io::stdin().lock().take(ASSIGNMENT_BYTES_MAX).read_to_end(&mut input)?;
    if input.is_empty() {
        return Ok(()); // The server ended before it had work.
    }
    let task: Task = postcard::from_bytes(&input).map_err(io::Error::other)?;
    drop(input);
    match task {
        Task::Compile(assignment) => answer(&compiled(compile, &assignment, fence)),
        Task::Index { file, threads } => answer(&index::make(&file, threads, &fence)),
    }
}

fn compiled(compile: Compile, assignment: &Assignment, fence: OpenFence) -> Answer {
    let world = MappedWorld::new(&assignment.debuginfo, Box::new(|stage| mark(stage_mark(stage))));
    let fence = fence.close();
    let end = compile_caught(compile, assignment, &world);
    Answer { end, timings: world.timings(), fence }
}

fn answer(answer: &impl Serialize) -> io::Result<()> {
    let output = postcard::to_extend(answer, vec![ANSWER]).map_err(io::Error::other)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&output)?;
    stdout.flush()
}

/// Compiles a kept assignment in this process, without fence and limits, for a person with a debugger.
///
/// # Errors
/// When the file is none.
pub fn replay(file: &Path, compile: Compile) -> io::Result<End> {
    let assignment: Assignment = postcard::from_bytes(&std::fs::read(file)?).map_err(io::Error::other)?;
    let world = MappedWorld::new(&assignment.debuginfo, Box::new(|stage| eprintln!("entered {stage}")));
    Ok(End::from(compile(&request(&assignment), &world)))
}

/// The fence around our own bugs: a panic becomes an answer.
fn compile_caught(compile: Compile, assignment: &Assignment, world: &MappedWorld) -> End {
    static PANIC: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        if let Ok(mut panic) = PANIC.lock() {
            *panic = format!("{}{place}", words(info.payload()));
        }
    }));
    match catch_unwind(AssertUnwindSafe(|| compile(&request(assignment), world))) {
        Ok(result) => End::from(result),
        Err(payload) => {
            let message = PANIC.lock().map_or_else(|_| words(&*payload).to_owned(), |panic| panic.clone());
            let stage = world.stage().map_or_else(|| "start".to_owned(), |stage| stage.to_string());
            End::Internal { stage, message: format!("panic: {message}") }
        }
    }
}

fn request(assignment: &Assignment) -> compiler::Request<'_> {
    let request = &assignment.request;
    compiler::Request {
        script_name: &request.script_name,
        script: &request.script,
        additions: &request.additions,
        library: &request.library,
        arguments: &request.arguments,
        output: request.output,
        guru: request.guru,
        options: &request.options,
        target: &request.target,
        facts: &request.facts,
    }
}

/// Tells the server at once: if the worker dies, it is known where.
fn mark(byte: u8) {
    let mut stdout = io::stdout().lock();
    // Nobody reads any more: then there is nobody to answer either.
    let _ = stdout.write_all(&[byte]).and_then(|()| stdout.flush());
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
