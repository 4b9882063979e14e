//! The one way by which the compiler learns of the outside: read-only questions, answered by whoever runs it.

use shared::target::BuildId;

use crate::Stage;
use crate::library::Library;

/// What the compiler may ask. Asking twice gives the same answer.
pub trait World {
    /// The ELF file with the debuginfo of a build id: all sections that the object itself would have, and DWARF.
    fn debuginfo(&self, build_id: &BuildId) -> DebuginfoFile<'_>;

    /// The bytes of the index that was made of that file (`debuginfo::index`), where there is one. It changes how fast
    /// answers come, and none of them.
    fn index(&self, _build_id: &BuildId) -> Option<&[u8]> {
        None
    }

    /// The server's own library.
    fn tapset(&self) -> &Library<'_>;

    /// Called when a stage begins, so that whoever has a clock can time it. Changes nothing.
    fn entered(&self, _stage: Stage) {}
}

/// An answer to [`World::debuginfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebuginfoFile<'a> {
    /// Its bytes. They are hostile until `debuginfo/` has read them.
    Bytes(&'a [u8]),
    /// Nobody has it.
    Missing,
    /// It has to be fetched first: the compile ends, naming what it needs, and is repeated.
    NotHere,
}
