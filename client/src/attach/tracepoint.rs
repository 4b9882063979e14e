//! `kernel.trace("x")`: raw tracepoints, by name. The kernel has no cookies for them before 6.10, and none is set.

use std::io;

use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::{ProgramError, RawTracePoint};

use super::Reason;

const REFUSED: &str = "the kernel does not attach to this tracepoint";

pub(super) fn attach(name: &str, program: &mut RawTracePoint) -> Result<RawTracePointLink, Reason> {
    let refused = |error: ProgramError| match error {
        ProgramError::SyscallError(error) => Reason::Refused(REFUSED, error.io_error),
        error => Reason::Refused(REFUSED, io::Error::other(error)),
    };
    if name.contains('\0') {
        return Err(Reason::Refused(REFUSED, io::Error::from(io::ErrorKind::InvalidInput)));
    }
    let link = program.attach(name).map_err(refused)?;
    program.take_link(link).map_err(refused)
}
