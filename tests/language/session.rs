//! A session without a kernel: the handlers that `taprun` itself runs, in its order, over a world in memory. Its clock stands
//! still while a handler runs, and jumps to the next timer when there is nothing left to do.

use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice as _};
use client::attach::timer::Timers;
use client::attach::{Firing, been};
use client::cli::RunOptions;
use client::interpret::memory::MemoryWorld;
use client::interpret::{Bounds, Message, interpret};
use client::run::error_text;
use shared::abi::event::Record;
use shared::abi::map::Parameter;
use shared::abi::value::Datum;
use shared::ir::{Ir, TaskField};

use super::Result;

/// What a session left.
pub(crate) struct Said {
    /// What was printed.
    pub(crate) output: String,
    /// Its run-time errors.
    pub(crate) errors: String,
}

/// The time at which every session starts, 2001-09-09 01:46:40 UTC.
const START_NS: i64 = 1_000_000_000_000_000_000;

/// Handlers of timers before somebody presses ^C.
const FIRINGS_MAX: usize = 1_000;

/// Fewer than a real session allows: a handler that never ends need not take half a minute to show it.
const STEPS_MAX: u64 = 1_000_000;

struct Session<'a> {
    ir: &'a Ir,
    world: MemoryWorld,
    output: Vec<u8>,
    errors: Vec<BString>,
    exited: bool,
}

/// Holds a session. Without timers, and where nothing ends it, it is ended as by ^C.
///
/// # Errors
/// When the IR is wrong, or timers fire for ever.
pub(crate) fn run(ir: &Ir, options: &RunOptions) -> Result<Said> {
    let mut world = MemoryWorld::new(ir);
    world.clock_ns = START_NS;
    world.cpu = 1;
    world.task.insert(TaskField::Pid, Datum::Long(4711));
    world.task.insert(TaskField::Tid, Datum::Long(4711));
    world.task.insert(TaskField::Execname, Datum::String("taprun".into()));
    world.parameters.insert(Parameter::Target, options.pid.map_or(0, i64::from));
    let mut session = Session { ir, world, output: Vec::new(), errors: Vec::new(), exited: false };
    session.begin()?;
    session.watch(options)?;
    session.end()?;
    let errors = session.errors.iter().map(|error| format!("{error}\n")).collect();
    Ok(Said { output: session.output.to_str_lossy().into_owned(), errors })
}

impl Session<'_> {
    fn begin(&mut self) -> Result<()> {
        for firing in been::begin(self.ir) {
            if !self.stops() {
                self.fire(firing)?;
            }
        }
        Ok(())
    }

    fn watch(&mut self, options: &RunOptions) -> Result<()> {
        let start = Instant::now();
        let mut timers = Timers::start(self.ir, start);
        for _ in 0..FIRINGS_MAX {
            let Some(now) = timers.next_due().filter(|_| !self.stops()) else { return Ok(()) };
            if options.timeout_s.is_some_and(|timeout_s| now > start + Duration::from_secs(timeout_s)) {
                return Ok(());
            }
            self.world.clock_ns = START_NS + (now - start).as_nanos() as i64;
            for firing in timers.take_due(now) {
                if !self.stops() {
                    self.fire(firing)?;
                }
            }
        }
        Err("timers fire for ever: call exit(), or give -T".to_owned())
    }

    fn end(&mut self) -> Result<()> {
        for firing in been::end(self.ir) {
            if !self.has_too_many_errors() {
                self.fire(firing)?;
            }
        }
        if self.has_too_many_errors() {
            been::error(self.ir).into_iter().try_for_each(|firing| self.fire(firing))?;
        }
        Ok(())
    }

    fn stops(&self) -> bool {
        self.exited || self.has_too_many_errors()
    }

    fn has_too_many_errors(&self) -> bool {
        self.errors.len() > self.ir.limits.errors_max as usize
    }

    fn fire(&mut self, firing: Firing) -> Result<()> {
        let handler = &self.ir.handlers[firing.handler];
        self.world.point = Some(handler.points[firing.point].clone());
        (self.world.handler_index, self.world.point_index) = (firing.handler, firing.point);
        let bounds = Bounds { steps_max: STEPS_MAX, ..Bounds::of_user_side(self.ir) };
        interpret(self.ir, handler.function, &mut self.world, bounds).map_err(|error| error.to_string())?;
        for record in std::mem::take(&mut self.world.records) {
            match record {
                Record::Print { format, arguments } => {
                    self.ir.formats[usize::from(format.0)].format.render(&arguments, &mut self.output);
                }
                Record::Raise { location, format, arguments, .. } => {
                    let message = Message::Format { format, arguments };
                    self.errors.push(error_text(self.ir, firing, location, &message));
                }
                Record::Exit => self.exited = true,
            }
        }
        if let Some((location, message)) = self.world.stopped.take() {
            self.errors.push(error_text(self.ir, firing, location, &message));
        }
        Ok(())
    }
}
