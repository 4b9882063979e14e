//! Where the other programs of Tapwire are: beside our own, as a build or a package leaves them, or else in `PATH`.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// There is no such program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot find the program {name}: it is neither beside {} nor in PATH", beside.display())]
pub struct SiblingMissing {
    /// Its name.
    pub name: &'static str,
    /// Our own program.
    pub beside: PathBuf,
}

/// Finds a program.
///
/// # Errors
/// When there is none.
pub fn find(name: &'static str) -> Result<PathBuf, SiblingMissing> {
    let own = env::current_exe().unwrap_or_default();
    let beside = own.parent().map(Path::to_owned);
    let in_path = env::var_os("PATH").unwrap_or_default();
    // An empty entry of PATH means the current directory; whoever runs us in a hostile one does not mean that.
    let dirs = beside.into_iter().chain(env::split_paths(&in_path)).filter(|dir| dir.is_absolute());
    dirs.map(|dir| dir.join(name)).find(|path| is_program(path)).ok_or(SiblingMissing { name, beside: own })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
