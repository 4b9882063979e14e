//! Where a script's text comes from: a file, standard input, or the command line. It must not know the language.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use shared::limits::{LimitExceeded, SCRIPT_BYTES_MAX};

use crate::cli::ScriptSource;

/// A script's text, and what a person calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// A path, or `<input>`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script {}: {error}", path.display())]
    Io {
        /// The file, as the user named it.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// It is no text.
    #[error("{name}:{line}:{column}: the script is not UTF-8 (byte {byte:#04x})")]
    NotUtf8 {
        /// A path, or `<input>`.
        name: String,
        /// Counted from one.
        line: usize,
        /// In characters, counted from one.
        column: usize,
        /// The byte that cannot be there.
        byte: u8,
    },
    /// It is too large.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl ScriptError {
    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { path, .. } if looks_like_a_script(&path.to_string_lossy()) => {
                vec!["to give the script itself on the command line, put -e before it".to_owned()]
            }
            Self::Io { .. } | Self::Limit(_) => Vec::new(),
            Self::NotUtf8 { .. } => vec!["convert it, for example with `iconv -f LATIN1 -t UTF-8`".to_owned()],
        }
    }
}

const INPUT_NAME: &str = "<input>";

/// Reads a script.
///
/// # Errors
/// When it cannot be read, is too large or is no text.
pub fn read(source: &ScriptSource) -> Result<Script, ScriptError> {
    let at = |path: &PathBuf| {
        let path = path.clone();
        move |error| ScriptError::Io { path, error }
    };
    match source {
        ScriptSource::File(path) => {
            let bytes = File::open(path).and_then(bounded).map_err(at(path))?;
            decode(path.to_string_lossy().into_owned(), bytes)
        }
        ScriptSource::Stdin => {
            let bytes = bounded(io::stdin().lock()).map_err(at(&PathBuf::from("-")))?;
            decode(INPUT_NAME.to_owned(), bytes)
        }
        ScriptSource::Text(text) => decode(INPUT_NAME.to_owned(), text.clone().into_bytes()),
    }
}

/// Everything up to one byte more than is allowed.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(SCRIPT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(name: String, bytes: Vec<u8>) -> Result<Script, ScriptError> {
    LimitExceeded::check("script size in bytes", bytes.len() as u64, SCRIPT_BYTES_MAX as u64)?;
    String::from_utf8(bytes).map(|text| Script { name: name.clone(), text }).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        ScriptError::NotUtf8 { name, line, column, byte: error.as_bytes()[at] }
    })
}

/// Whether a "path" is more likely a script whose `-e` was forgotten.
fn looks_like_a_script(path: &str) -> bool {
    path.contains('{') || path.starts_with("probe ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_byte_is_named_by_its_place() {
        let error = decode("a.stp".to_owned(), b"probe begin {\n  p(\"\xc3\xa4\xff\")\n}\n".to_vec());
        let error = error.expect_err("bytes were taken for text");
        assert_eq!(error.to_string(), "a.stp:2:7: the script is not UTF-8 (byte 0xff)");
    }

    #[test]
    fn a_script_has_a_bound() {
        assert!(read(&ScriptSource::Text(" ".repeat(SCRIPT_BYTES_MAX))).is_ok());
        let error = read(&ScriptSource::Text(" ".repeat(SCRIPT_BYTES_MAX + 1))).expect_err("no bound");
        assert!(matches!(error, ScriptError::Limit(_)), "{error}");
        let error = read(&ScriptSource::File("/dev/zero".into())).expect_err("no bound");
        assert!(matches!(error, ScriptError::Limit(_)), "{error}");
    }

    #[test]
    fn a_forgotten_e_is_recognised() {
        let error = read(&ScriptSource::File("probe begin { exit() }".into())).expect_err("a file of that name");
        assert!(error.hints()[0].contains("-e"));
        let error = read(&ScriptSource::File("/nonexistent.stp".into())).expect_err("a file of that name");
        assert!(error.hints().is_empty());
    }
}
