//! Everything that ends `tapwire` other than the script's own faults. Each part words its own errors and says what to do;
//! here they come together.

use crate::deliver::DeliverError;
use crate::host::HostError;
use crate::personal::PersonalError;
use crate::script::ScriptError;
use crate::submit::SubmitError;

/// Why `tapwire` ends.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Error {
    /// There is no script.
    Script(#[from] ScriptError),
    /// The host cannot be described.
    Host(#[from] HostError),
    /// There is no server of the user's own.
    Personal(#[from] PersonalError),
    /// A server gave no answer.
    Submit(#[from] SubmitError),
    /// What came of the script could not be put where it belongs.
    Deliver(#[from] DeliverError),
}

impl Error {
    /// What to do next, a line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Script(error) => error.hints(),
            Self::Host(error) => error.hints(),
            Self::Personal(error) => error.hints(),
            Self::Submit(error) => error.hints(),
            Self::Deliver(error) => error.hints(),
        }
    }
}
