//! Where a script's text comes from: a file, standard input, or the command line; and the files of the user's own libraries.
//! It must not know the language.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use shared::limits::{LIBRARY_BYTES_MAX, LIBRARY_FILES_MAX, LimitExceeded, SCRIPT_BYTES_MAX};
use shared::protocol::request::{Text, check_library};

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
    /// A directory of a library cannot be read.
    #[error("cannot read the library {}: {error}", path.display())]
    Library {
        /// The directory, or a file in it.
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
            Self::Io { .. } | Self::Library { .. } | Self::Limit(_) => Vec::new(),
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

/// Reads the files of library directories, those of the first directory first: `*.stp` and `*.stpm`, also where they are
/// symbolic links. What lies in directories below is not read.
///
/// # Errors
/// When a directory or file cannot be read, one is no text, or there are too many.
pub fn read_library(directories: &[PathBuf]) -> Result<Vec<Text>, ScriptError> {
    let mut files = Vec::new();
    let mut bytes_left = LIBRARY_BYTES_MAX as u64;
    for (index, directory) in directories.iter().enumerate() {
        if directories[..index].contains(directory) {
            continue;
        }
        for path in library_files(directory)? {
            let failed = |error| ScriptError::Library { path: path.clone(), error };
            let mut bytes = Vec::new();
            let file = File::open(&path).map_err(failed)?;
            file.take(bytes_left + 1).read_to_end(&mut bytes).map_err(failed)?;
            bytes_left = bytes_left.saturating_sub(bytes.len() as u64);
            let Script { name, text } = decode(path.to_string_lossy().into_owned(), bytes)?;
            files.push(Text { name, text });
            check_library(&files)?;
        }
    }
    Ok(files)
}

/// The files of a library directory, by their names.
fn library_files(directory: &Path) -> Result<Vec<PathBuf>, ScriptError> {
    let failed = |error| ScriptError::Library { path: directory.to_owned(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_script = path.extension().is_some_and(|extension| extension == "stp" || extension == "stpm");
        // A pipe would have us wait, and a link may lead nowhere: editors leave such ones.
        if is_script && fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            paths.push(path);
            let count = paths.len() as u64;
            LimitExceeded::check("number of library files (-I)", count, LIBRARY_FILES_MAX as u64)?;
        }
    }
    paths.sort();
    Ok(paths)
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
    fn a_library_is_its_scripts_and_macros_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        write("b.stp", "function b() {}");
        write("a.stpm", "@define a %( 1 %)");
        write("notes.txt", "no script");
        std::os::unix::fs::symlink("b.stp", dir.path().join("c.stp")).expect("a link");
        std::os::unix::fs::symlink("nowhere", dir.path().join("d.stp")).expect("a link");
        fs::create_dir(dir.path().join("e.stp")).expect("a directory");
        let twice = [dir.path().to_owned(), dir.path().to_owned()];
        let files = read_library(&twice).expect("a library");
        let names: Vec<_> = files.iter().map(|file| file.name.rsplit('/').next().unwrap_or("")).collect();
        assert_eq!(names, ["a.stpm", "b.stp", "c.stp"]);
        assert_eq!(files[2].text, files[1].text);
    }

    #[test]
    fn what_is_wrong_with_a_library_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.stp");
        fs::write(&path, b"probe \xff").expect("written");
        let library = || read_library(&[dir.path().to_owned()]).expect_err("a library");
        assert!(library().to_string().ends_with("a.stp:1:7: the script is not UTF-8 (byte 0xff)"), "{}", library());
        File::create(&path).and_then(|file| file.set_len(LIBRARY_BYTES_MAX as u64 + 1)).expect("a size");
        assert!(matches!(library(), ScriptError::Limit(_)), "{}", library());
        let error = read_library(&["/nonexistent".into()]).expect_err("a library").to_string();
        assert!(error.starts_with("cannot read the library /nonexistent: "), "{error}");
    }

    #[test]
    fn a_forgotten_e_is_recognised() {
        let error = read(&ScriptSource::File("probe begin { exit() }".into())).expect_err("a file of that name");
        assert!(error.hints()[0].contains("-e"));
        let error = read(&ScriptSource::File("/nonexistent.stp".into())).expect_err("a file of that name");
        assert!(error.hints().is_empty());
    }
}
