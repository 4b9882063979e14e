//! From a verified artifact to maps and programs in the kernel, through aya. Nothing runs yet.

use std::os::fd::AsFd as _;

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use rustix::process::Pid;
use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime, clock_gettime_dynamic};
use shared::abi::map::{EVENTS, GLOBALS, PARAMETERS, Parameter, array_name, key_size, scalar_offsets};
use shared::artifact::VerifiedArtifact;
use shared::artifact::section::program_name;
use shared::ir::{GlobalId, Ir, Storage};

use crate::kernel::globals::Globals;
use crate::kernel::hash::Hash;

/// Lines of the verifier's log that a person sees without `-v`: its verdict stands at the end.
const VERDICT_LINES: usize = 4;

/// A session in the kernel. Everything is gone when this is dropped.
pub struct Loaded {
    /// What probes have to say.
    pub events: RingBuf<MapData>,
    /// What outlives a handler.
    pub maps: Maps,
    programs: Ebpf,
}

/// The script's globals, where probes see them, too.
pub struct Maps {
    /// Session words and scalars.
    pub globals: Globals,
    /// Where each scalar lies in `globals`; none for arrays.
    pub offsets: Vec<Option<usize>>,
    /// The arrays, by the index of the global; none for scalars.
    pub arrays: Vec<Option<Hash>>,
}

/// What is set at load, a long for each of [`Parameter::ALL`]; 0 for those that the artifact does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters([i64; Parameter::ALL.len()]);

/// Why the kernel does not take a verified artifact.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object as a whole.
    #[error("the kernel does not take the object: {0}")]
    Object(String),
    /// A map is missing, or is not as the signed IR says.
    #[error("map {name} of the object is not as the manifest says: {reason}")]
    Map {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A parameter is out of the range that was signed.
    #[error("parameter {name} would be {value}, allowed are {min} to {max}", name = .parameter.name(), min = .parameter.range().0, max = .parameter.range().1)]
    Parameter {
        /// Which.
        parameter: Parameter,
        /// What it would be.
        value: i64,
    },
    /// The kernel's verifier, or another part of the kernel, refuses a program.
    #[error("the kernel does not take the probe {point}: {reason}")]
    Program {
        /// The handler's first probe point.
        point: String,
        /// The kernel's error.
        reason: String,
        /// What the kernel's verifier wrote; may be empty.
        log: String,
    },
}

type Result<T> = std::result::Result<T, LoadError>;

impl Parameters {
    /// Takes the host's values for the parameters that are declared.
    ///
    /// # Errors
    /// When one is out of its range.
    pub fn measure(declared: &[Parameter], target: Option<Pid>) -> Result<Self> {
        let mut values = [0; Parameter::ALL.len()];
        for &parameter in declared {
            let value = match parameter {
                Parameter::Target => target.map_or(0, |pid| i64::from(pid.as_raw_nonzero().get())),
                Parameter::TaiOffset => tai_offset_ns(),
            };
            let (min, max) = parameter.range();
            if !(min..=max).contains(&value) {
                return Err(LoadError::Parameter { parameter, value });
            }
            values[parameter as usize] = value;
        }
        Ok(Self(values))
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, parameter: Parameter) -> i64 {
        self.0[parameter as usize]
    }
}

/// Creates the maps, sets what is set at load, and has the kernel verify every program.
///
/// # Errors
/// When the kernel refuses something, or the object is not what its signed manifest says.
pub fn load(artifact: &VerifiedArtifact, parameters: &Parameters) -> Result<Loaded> {
    let ir = &artifact.claims().ir;
    let must_exist = !artifact.claims().parameters.is_empty();
    let mut loader = EbpfLoader::new();
    loader.override_global(PARAMETERS, parameters.0.as_slice(), must_exist);
    let mut programs = loader.load(artifact.elf()).map_err(|error| LoadError::Object(with_causes(&error)))?;
    // First, for programs name their maps by file descriptors, and a map that was taken out closes its own.
    for handler in artifact.programs() {
        load_program(ir, handler, &mut programs)?;
    }
    let maps = take_maps(ir, &mut programs)?;
    maps.initialize(ir)?;
    let events = RingBuf::try_from(take_map(&mut programs, EVENTS)?);
    let events = events.map_err(|error| wrong_map(EVENTS, with_causes(&error)))?;
    Ok(Loaded { events, maps, programs })
}

impl Loaded {
    /// The program of a handler.
    pub fn program(&mut self, handler: usize) -> Option<&mut Program> {
        self.programs.program_mut(&program_name(handler))
    }
}

impl LoadError {
    /// What else is known, a line each. The one place where the verifier's words meet a person: once objects carry line
    /// info, its instructions become script lines here.
    #[must_use]
    pub fn hints(&self, is_verbose: bool) -> Vec<String> {
        let Self::Program { log, .. } = self else { return Vec::new() };
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = if is_verbose { lines.len() } else { lines.len().min(VERDICT_LINES) };
        let mut hints: Vec<String> =
            lines[lines.len() - shown..].iter().map(|line| format!("verifier: {line}")).collect();
        if shown < lines.len() {
            hints.push("the whole log of the kernel's verifier: -vv".to_owned());
        }
        hints
    }
}

impl Maps {
    /// Gives every scalar the value that the script starts it with.
    fn initialize(&self, ir: &Ir) -> Result<()> {
        for (global, offset) in ir.globals.iter().zip(&self.offsets) {
            let (Storage::Scalar { ty, initial }, Some(offset)) = (&global.storage, offset) else { continue };
            let mut bytes = Vec::new();
            ty.encode(initial, &mut bytes);
            if !self.globals.write(*offset, &bytes) {
                return Err(wrong_map(GLOBALS, format!("no room for {}", global.name)));
            }
        }
        Ok(())
    }
}

fn load_program(ir: &Ir, handler: usize, programs: &mut Ebpf) -> Result<()> {
    let point = &ir.handlers[handler].points[0].name;
    let refused = |reason: &str, log: String| LoadError::Program { point: point.clone(), reason: reason.into(), log };
    let loaded = match programs.program_mut(&program_name(handler)) {
        Some(Program::KProbe(program)) => program.load(),
        Some(Program::UProbe(program)) => program.load(),
        Some(Program::RawTracePoint(program)) => program.load(),
        Some(_) => return Err(refused("the object has a program of another type for it", String::new())),
        None => return Err(refused("the object has no program for it", String::new())),
    };
    loaded.map_err(|error| match error {
        ProgramError::LoadError { io_error, verifier_log } => refused(&io_error.to_string(), verifier_log.to_string()),
        error => refused(&with_causes(&error), String::new()),
    })
}

fn take_maps(ir: &Ir, programs: &mut Ebpf) -> Result<Maps> {
    let (offsets, size) = scalar_offsets(&ir.globals);
    let map = take_map(programs, GLOBALS)?;
    let globals = Globals::map(data(GLOBALS, &map)?.fd().as_fd()).map_err(|error| wrong_map(GLOBALS, error))?;
    if globals.size() != size {
        return Err(wrong_map(GLOBALS, format!("{} bytes, expected {size}", globals.size())));
    }
    let mut arrays = Vec::new();
    for (index, global) in ir.globals.iter().enumerate() {
        arrays.push(match &global.storage {
            Storage::Scalar { .. } => None,
            storage @ (Storage::Array { .. } | Storage::Statistic(_)) => {
                Some(take_array(programs, GlobalId(index as u16), storage)?)
            }
        });
    }
    Ok(Maps { globals, offsets, arrays })
}

fn take_array(programs: &mut Ebpf, global: GlobalId, storage: &Storage) -> Result<Hash> {
    let name = array_name(global);
    let map = take_map(programs, &name)?;
    let fd = data(&name, &map)?.fd().as_fd().try_clone_to_owned();
    let hash = fd.and_then(Hash::new).map_err(|error| wrong_map(&name, error))?;
    let expected = shape(storage);
    let got = (hash.key_size(), hash.value_size(), hash.entries_max());
    if got != expected {
        let reason = format!("key, value and room are {got:?}, expected {expected:?}");
        return Err(LoadError::Map { name, reason });
    }
    Ok(hash)
}

/// Bytes of a key and of a value, and how many entries there can be.
fn shape(storage: &Storage) -> (usize, usize, u32) {
    match storage {
        Storage::Array { keys, content, entries_max, .. } => (key_size(keys), content.size(), *entries_max),
        Storage::Statistic(statistic) => (4, statistic.words().total * 8, 1),
        Storage::Scalar { ty, .. } => (4, ty.size(), 1),
    }
}

fn take_map(programs: &mut Ebpf, name: &str) -> Result<Map> {
    programs.take_map(name).ok_or_else(|| wrong_map(name, "there is none"))
}

fn data<'a>(name: &str, map: &'a Map) -> Result<&'a MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::PerCpuLruHashMap(data)
        | Map::PerCpuArray(data) => Ok(data),
        _ => Err(wrong_map(name, "it is of another type")),
    }
}

fn wrong_map(name: &str, reason: impl std::fmt::Display) -> LoadError {
    LoadError::Map { name: name.to_owned(), reason: reason.to_string() }
}

/// An error and what caused it, in one line: aya's errors say little by themselves.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(|error| error.to_string());
    let mut line: Vec<String> = Vec::new();
    for cause in causes {
        // Some errors repeat their cause.
        if !line.last().is_some_and(|last| last.contains(&cause)) {
            line.push(cause);
        }
    }
    line.join(": ").replace('\n', "; ")
}

/// By how much CLOCK_TAI is ahead of CLOCK_REALTIME: whole seconds, 0 on hosts that nobody has told of leap seconds.
fn tai_offset_ns() -> i64 {
    const SECOND_NS: i64 = 1_000_000_000;
    let ns = |time: Timespec| time.tv_sec * SECOND_NS + time.tv_nsec;
    let realtime = ns(clock_gettime(ClockId::Realtime));
    let tai = clock_gettime_dynamic(DynamicClockId::Tai).map_or(realtime, ns);
    // The two were read some time apart: to the nearest second.
    (tai - realtime + SECOND_NS / 2).div_euclid(SECOND_NS) * SECOND_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_declared_is_set() {
        let target = Pid::from_raw(1234);
        let parameters = Parameters::measure(&[Parameter::Target], target).expect("parameters");
        assert_eq!((parameters.get(Parameter::Target), parameters.get(Parameter::TaiOffset)), (1234, 0));
        let parameters = Parameters::measure(&[], target).expect("parameters");
        assert_eq!(parameters, Parameters([0, 0]));
    }

    #[test]
    fn a_parameter_out_of_its_range_is_refused() {
        let error = Parameters::measure(&[Parameter::Target], Pid::from_raw(1 << 23)).expect_err("out of range");
        assert_eq!(error.to_string(), "parameter target would be 8388608, allowed are 0 to 4194304");
    }

    #[test]
    fn the_offset_of_tai_is_whole_seconds() {
        assert_eq!(tai_offset_ns() % 1_000_000_000, 0);
    }

    #[test]
    fn of_a_verifiers_log_a_person_sees_the_end() {
        let log = "0: (b7) r0 = 0\n1: x\n2: y\n\n3: z\nR1 invalid mem access\nprocessed 5 insns\n".to_owned();
        let error = LoadError::Program { point: "begin".to_owned(), reason: "no".to_owned(), log };
        assert_eq!(error.hints(false)[2], "verifier: R1 invalid mem access");
        assert_eq!((error.hints(false).len(), error.hints(true).len()), (5, 6));
    }
}
