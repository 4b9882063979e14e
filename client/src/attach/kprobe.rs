//! `kernel.function("f")`: kprobes and kretprobes, at addresses counted from a base that moves from boot to boot.

use std::os::fd::AsFd as _;

use aya::programs::KProbe;
use shared::probe::KernelBase;

use super::Reason;
use crate::kernel::perf_event::{PerfLink, Pmu};
use crate::kernel::symbols;

/// What all kprobes share.
pub(super) struct Kprobes {
    pmu: Pmu,
    stext: u64,
}

impl Kprobes {
    pub(super) fn find() -> Result<Self, Reason> {
        let pmu = Pmu::named("kprobe").map_err(|_| Reason::NoSuchKind("kprobes (CONFIG_KPROBE_EVENTS)"))?;
        let stext = symbols::address("_stext").map_err(|error| Reason::File(symbols::KALLSYMS.to_owned(), error))?;
        Ok(Self { pmu, stext: stext.ok_or(Reason::HiddenAddresses)? })
    }

    pub(super) fn attach(
        &self,
        base: &KernelBase,
        offset: u64,
        on_return: bool,
        cookie: u64,
        program: &KProbe,
    ) -> Result<PerfLink, Reason> {
        let base = match base {
            KernelBase::Stext => self.stext,
        };
        let event = self.pmu.open_kprobe(base.wrapping_add(offset), on_return);
        let event = event.map_err(|error| Reason::Refused("the kernel does not let this place be probed", error))?;
        let program = program.fd().map_err(|_| Reason::Misfit)?;
        let link = PerfLink::new(program.as_fd(), event.as_fd(), cookie);
        link.map_err(|error| Reason::Refused("the kernel does not link the program to it", error))
    }
}
