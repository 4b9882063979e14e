//! Requests that met a bug of ours, kept for `tapwired replay`.

use std::fs;
use std::path::{Path, PathBuf};

use shared::artifact::manifest::Digest;
use shared::protocol::response::Failure;

use super::assignment::Assignment;
use crate::cache::make_private_dir;
use crate::error::ServerError;

/// A directory of assignments.
pub(super) struct Kept {
    dir: PathBuf,
}

/// Assignments kept. One that comes when there are as many is not kept: the first ones show the bug as well.
const KEPT_MAX: usize = 100;

impl Kept {
    pub(super) fn open(cache: &Path) -> Result<Self, ServerError> {
        let dir = cache.join("kept");
        make_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Keeps an assignment, and makes of it what the client is told.
    pub(super) fn internal(&self, assignment: &Assignment, stage: String, message: String) -> Failure {
        let kept = self.keep(assignment).unwrap_or_else(|error| format!("(not kept: {error})"));
        tracing::error!(%stage, %message, %kept, "bug");
        Failure::Internal { stage, message, kept }
    }

    /// Writes an assignment under the name of its digest: the same one twice is one file.
    fn keep(&self, assignment: &Assignment) -> std::io::Result<String> {
        let bytes = postcard::to_stdvec(assignment).unwrap_or_default();
        let path = self.dir.join(format!("{}.assignment", Digest::of(&bytes)));
        if !path.exists() {
            if fs::read_dir(&self.dir)?.count() >= KEPT_MAX {
                let full = format!("{} holds {KEPT_MAX} already: empty it", self.dir.display());
                return Err(std::io::Error::other(full));
            }
            fs::write(&path, bytes)?;
        }
        Ok(path.display().to_string())
    }
}
