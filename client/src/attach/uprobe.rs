//! `process("path").function("f")`: uprobes and uretprobes, at addresses of a file that must still be the one that was
//! compiled for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use aya::programs::UProbe;
use shared::target::BuildId;

use super::Reason;
use crate::elf::Elf;
use crate::kernel::perf_event::{PerfLink, Pmu, Scope};

/// What all uprobes share.
pub(super) struct Uprobes {
    pmu: Pmu,
    files: BTreeMap<String, (File, Elf)>,
}

impl Uprobes {
    pub(super) fn find() -> Result<Self, Reason> {
        let pmu = Pmu::named("uprobe").map_err(|_| Reason::NoSuchKind("uprobes (CONFIG_UPROBE_EVENTS)"))?;
        Ok(Self { pmu, files: BTreeMap::new() })
    }

    pub(super) fn attach(
        &mut self,
        path: &str,
        expected: &BuildId,
        address: u64,
        on_return: bool,
        cookie: u64,
        program: &UProbe,
    ) -> Result<PerfLink, Reason> {
        let (file, elf) = self.open(path)?;
        if elf.build_id != *expected {
            let got = elf.build_id.clone();
            return Err(Reason::Updated { path: path.to_owned(), got, expected: expected.clone() });
        }
        let file_offset = elf.file_offset(address).ok_or(Reason::Misfit)?;
        // The open file, not the path: what was checked is what is probed.
        let file = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let event = self.pmu.open_uprobe(&file, file_offset, on_return, Scope::Everybody);
        let event = event.map_err(|error| Reason::Refused("the kernel does not let this place be probed", error))?;
        let program = program.fd().map_err(|_| Reason::Misfit)?;
        let link = PerfLink::new(program.as_fd(), event.as_fd(), cookie);
        link.map_err(|error| Reason::Refused("the kernel does not link the program to it", error))
    }

    fn open(&mut self, path: &str) -> Result<(&File, &Elf), Reason> {
        if !self.files.contains_key(path) {
            let unreadable = |error| Reason::File(path.to_owned(), error);
            self.files.insert(path.to_owned(), Elf::open(Path::new(path)).map_err(unreadable)?);
        }
        let (file, elf) = &self.files[path];
        Ok((file, elf))
    }
}
