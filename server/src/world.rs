//! The outside as a worker's compiler sees it: the debuginfo files it was given, mapped into memory, and a stopwatch.
//!
//! It is made before the fence closes and opens nothing afterwards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use compiler::Stage;
use compiler::library::Library;
use compiler::world::{DebuginfoFile, World};
use mmap_guard::{FileData, map_file};
use shared::protocol::response::Timing;
use shared::target::BuildId;

use crate::job::assignment::{Debuginfo, DebuginfoFiles};
use crate::tapset;

/// Mapped files, and when each stage began.
pub struct MappedWorld {
    files: BTreeMap<BuildId, File>,
    stages: RefCell<Vec<(Stage, Instant)>>,
    on_stage: Box<dyn Fn(Stage)>,
}

enum File {
    Mapped { file: FileData, index: Option<FileData> },
    Missing,
}

impl MappedWorld {
    /// Maps the files. One that cannot be mapped any more was evicted in the meantime: it counts as not here.
    /// `on_stage` is called whenever a stage begins.
    #[must_use]
    pub fn new(debuginfo: &Debuginfo, on_stage: Box<dyn Fn(Stage)>) -> Self {
        let map = |files: &Option<DebuginfoFiles>| match files {
            Some(DebuginfoFiles { file, index }) => {
                let index = index.as_ref().and_then(|index| map_file(index).ok());
                map_file(file).ok().map(|file| File::Mapped { file, index })
            }
            None => Some(File::Missing),
        };
        let files = debuginfo.iter().filter_map(|(build_id, path)| Some((build_id.clone(), map(path)?))).collect();
        Self { files, stages: RefCell::default(), on_stage }
    }

    /// The stage that began last.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.stages.borrow().last().map(|(stage, _)| *stage)
    }

    /// How long each stage took, the last one until now.
    #[must_use]
    pub fn timings(&self) -> Vec<Timing> {
        let stages = self.stages.borrow();
        let ends = stages.iter().skip(1).map(|(_, began)| *began).chain([Instant::now()]);
        let timing = |((stage, began), end): (&(Stage, Instant), Instant)| Timing {
            stage: stage.to_string(),
            duration_us: u64::try_from(end.duration_since(*began).as_micros()).unwrap_or(u64::MAX),
        };
        stages.iter().zip(ends).map(timing).collect()
    }
}

impl World for MappedWorld {
    fn debuginfo(&self, build_id: &BuildId) -> DebuginfoFile<'_> {
        match self.files.get(build_id) {
            Some(File::Mapped { file, .. }) => DebuginfoFile::Bytes(file),
            Some(File::Missing) => DebuginfoFile::Missing,
            None => DebuginfoFile::NotHere,
        }
    }

    fn index(&self, build_id: &BuildId) -> Option<&[u8]> {
        match self.files.get(build_id)? {
            File::Mapped { index, .. } => index.as_deref(),
            File::Missing => None,
        }
    }

    fn tapset(&self) -> &Library<'_> {
        tapset::library()
    }

    fn entered(&self, stage: Stage) {
        self.stages.borrow_mut().push((stage, Instant::now()));
        (self.on_stage)(stage);
    }
}
