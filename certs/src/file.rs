//! How keys and entries reach the disk: whole or not at all, and with the mode they must have.

use std::fs::{self, DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::CertsError;

/// Bytes of a PEM file at the most: an ML-DSA-87 certificate takes some 10 kB.
const PEM_BYTES_MAX: u64 = 64 << 10;

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secrecy {
    /// Only its owner.
    Private,
    /// Everybody.
    Public,
}

/// Makes a directory and its parents; what exists stays as it is.
pub(crate) fn make_dir(dir: &Path, secrecy: Secrecy) -> Result<(), CertsError> {
    let mode = match secrecy {
        Secrecy::Private => 0o700,
        Secrecy::Public => 0o755,
    };
    DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(CertsError::io(dir))
}

/// Writes a file that must not exist yet.
pub(crate) fn create(path: &Path, text: &str, secrecy: Secrecy) -> Result<(), CertsError> {
    temporary(path, text, secrecy)?.persist_noclobber(path).map(drop).map_err(|refused| {
        if refused.error.kind() == std::io::ErrorKind::AlreadyExists {
            CertsError::Exists(path.to_owned())
        } else {
            CertsError::Io { path: path.to_owned(), error: refused.error }
        }
    })
}

/// Writes a file, in place of an older one where there is one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), CertsError> {
    let file = temporary(path, text, Secrecy::Public)?;
    file.persist(path).map(drop).map_err(|refused| CertsError::Io { path: path.to_owned(), error: refused.error })
}

/// Reads a text file of a size that a key or certificate may have.
pub(crate) fn read(path: &Path) -> Result<String, CertsError> {
    let mut text = String::new();
    let file = File::open(path).map_err(CertsError::io(path))?;
    file.take(PEM_BYTES_MAX).read_to_string(&mut text).map_err(CertsError::io(path))?;
    Ok(text)
}

/// A complete file beside `path`, under a name that no list takes for an entry (it starts with a dot).
fn temporary(path: &Path, text: &str, secrecy: Secrecy) -> Result<tempfile::NamedTempFile, CertsError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = || -> std::io::Result<_> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        if let Secrecy::Public = secrecy {
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    written().map_err(CertsError::io(path))
}
