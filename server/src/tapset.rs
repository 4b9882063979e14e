//! The server's own library of script, `tapset/`, which is part of this program: so whatever names a program by its digest
//! names its tapset, too. It must not know what is in it.

use std::sync::LazyLock;

use compiler::library::{Library, LibraryFile};

/// The files, by their paths in `tapset/`. Written by the build script.
const FILES: &[LibraryFile<'static>] = include!(concat!(env!("OUT_DIR"), "/tapset.rs"));

/// The tapset, looked through for its names when it is first asked for.
pub fn library() -> &'static Library<'static> {
    static LIBRARY: LazyLock<Library<'static>> = LazyLock::new(|| Library::new(FILES.to_vec()));
    &LIBRARY
}
