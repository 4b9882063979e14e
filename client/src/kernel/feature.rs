//! What this kernel can do, found out by trying.

use std::collections::BTreeSet;
use std::path::Path;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};
use shared::target::Feature;

use super::bpf::verifies;
use super::perf_event::{Pmu, Scope};
use super::symbols;

/// A function that every kernel has and lets be probed.
const PROBED_FUNCTION: &str = "vfs_read";

/// Every feature that was found.
#[must_use]
pub fn features() -> BTreeSet<Feature> {
    Feature::ALL.into_iter().filter(|&feature| has(feature)).collect()
}

fn has(feature: Feature) -> bool {
    let helper = |ty, helper| is_helper_supported(ty, helper).unwrap_or(false);
    match feature {
        Feature::Kprobe => has_kprobe(),
        Feature::Uprobe => has_uprobe().is_some(),
        Feature::RawTracepoint => is_program_supported(ProgramType::RawTracePoint).unwrap_or(false),
        Feature::RingBuffer => is_map_supported(MapType::RingBuf).unwrap_or(false),
        Feature::AttachCookie => helper(ProgramType::KProbe, BpfHelper::BPF_FUNC_get_attach_cookie),
        Feature::Snprintf => helper(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_snprintf),
        Feature::MayGoto => has_may_goto(),
        Feature::PerCpuLookup => helper(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_map_lookup_percpu_elem),
        Feature::TaiClock => helper(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_ktime_get_tai_ns),
    }
}

/// `r0 = 0; may_goto +1; r0 = 0; exit`, as instruction words.
const MAY_GOTO: [u64; 4] = [0xb7, 0x1_00e5, 0xb7, 0x95];

fn has_may_goto() -> bool {
    verifies(&MAY_GOTO)
}

/// Opens a kprobe by address, as attaching will.
fn has_kprobe() -> bool {
    let address = symbols::address(PROBED_FUNCTION).ok().flatten();
    let event = address.zip(Pmu::named("kprobe").ok()).map(|(address, pmu)| pmu.open_kprobe(address, false));
    event.is_some_and(|event| event.is_ok())
}

/// Opens a uprobe on our own first instruction, for our own process: it was passed long ago.
fn has_uprobe() -> Option<()> {
    let pmu = Pmu::named("uprobe").ok()?;
    let path = std::fs::read_link("/proc/self/exe").ok()?;
    let offset = entry_offset(&std::fs::read(&path).ok()?)?;
    pmu.open_uprobe(Path::new(&path), offset, false, Scope::Ourselves).ok().map(|_| ())
}

fn entry_offset(file: &[u8]) -> Option<u64> {
    let header = elf::FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let entry = header.e_entry.get(endian);
    let segments = header.program_headers(endian, file).ok()?;
    let segment = segments.iter().find(|segment| {
        let start = segment.p_vaddr(endian);
        segment.p_type(endian) == elf::PT_LOAD && (start..start + segment.p_memsz(endian)).contains(&entry)
    })?;
    Some(entry - segment.p_vaddr(endian) + segment.p_offset(endian))
}
