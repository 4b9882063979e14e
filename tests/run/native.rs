//! One world for both executors: this process, its memory, and what a session starts with.

use std::collections::BTreeMap;

use aya::programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _};
use bstr::BStr;
use client::interpret::memory::{Array, MemoryWorld};
use client::interpret::{Bounds, Message, interpret};
use client::kernel::globals::Globals;
use client::kernel::hash::Hash;
use shared::abi::event::{Record, decode};
use shared::abi::map::{GLOBALS, Parameter, SessionState, array_name, scalar_offsets, session};
use shared::abi::value::{Datum, decode_all};
use shared::ir::{Content, GlobalId, Ir, MAXNESTING_EXCEEDED, Space, Storage, TaskField};

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    records: Vec<String>,
    scalars: BTreeMap<GlobalId, Datum>,
    arrays: BTreeMap<GlobalId, Array>,
    cells: Cells,
}

/// What statistics have taken in, by their keys; empty ones are left out.
type Cells = BTreeMap<(GlobalId, Vec<Datum>), Vec<i64>>;

/// The world that programs run in.
pub(crate) struct World {
    buffer: Box<[u8; BUFFER_BYTES]>,
    execname: Vec<u8>,
}

/// Bytes that programs may read.
pub(crate) const BUFFER_BYTES: usize = 64;

const PARAMETERS: [i64; Parameter::ALL.len()] = [4711, 37_000_000_000];

impl World {
    pub(crate) fn new() -> Self {
        let mut buffer = Box::new([0; BUFFER_BYTES]);
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = (index as u8).wrapping_mul(0x9d) ^ 0x80;
        }
        let execname = std::fs::read("/proc/thread-self/comm").expect("this thread's name");
        Self { buffer, execname: execname.trim_ascii_end().to_vec() }
    }

    /// The address of some bytes of ours.
    pub(crate) fn buffer(&self) -> u64 {
        self.buffer.as_ptr() as u64
    }

    /// Runs the first handler in the interpreter.
    pub(crate) fn interpret(&self, ir: &Ir) -> Effect {
        let mut world = MemoryWorld::new(ir);
        world.memory.insert((Space::User, self.buffer()), self.buffer.to_vec());
        world.parameters = Parameter::ALL.into_iter().zip(PARAMETERS).collect();
        world.point = Some(ir.handlers[0].points[0].clone());
        let (pid, tid) = (rustix::process::getpid(), rustix::thread::gettid());
        world.task.insert(TaskField::Pid, Datum::Long(i64::from(pid.as_raw_nonzero().get())));
        world.task.insert(TaskField::Tid, Datum::Long(i64::from(tid.as_raw_nonzero().get())));
        world.task.insert(TaskField::Execname, Datum::String(self.execname.clone().into()));
        interpret(ir, ir.handlers[0].function, &mut world, Bounds::of_kernel_side(ir))
            .expect("a verified program runs");
        let mut records: Vec<String> = world.records.iter().map(|record| said(ir, record)).collect();
        match world.stopped {
            Some((location, Message::DepthExceeded)) => {
                records.push(format!("error{location} at 0 of 0: {MAXNESTING_EXCEEDED}"));
            }
            stopped => assert_eq!(stopped, None, "no program runs away"),
        }
        Effect { records, scalars: world.scalars, arrays: world.arrays, cells: world.cells }
    }

    /// Runs the first handler's program in the kernel.
    pub(crate) fn execute(&self, ir: &Ir, elf: &[u8]) -> Result<Effect, String> {
        let say = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        let mut ebpf = aya::EbpfLoader::new()
            .verifier_log_level(aya::VerifierLogLevel::STATS)
            .override_global(shared::abi::map::PARAMETERS, PARAMETERS.as_slice(), true)
            .load(elf)
            .map_err(|error| say("load", &error))?;
        let globals = Globals::map(map_fd(&ebpf, GLOBALS)).map_err(|error| say("globals", &error))?;
        let (offsets, _) = scalar_offsets(&ir.globals);
        for (global, offset) in ir.globals.iter().zip(&offsets) {
            if let (Storage::Scalar { ty, initial }, &Some(offset)) = (&global.storage, offset) {
                let mut bytes = Vec::new();
                ty.encode(initial, &mut bytes);
                assert!(globals.write(offset, &bytes), "the scalar has its place");
            }
        }
        assert!(globals.write(session::STATE, &(SessionState::Running as u64).to_ne_bytes()), "the word has its place");
        let program: &mut RawTracePoint = ebpf.program_mut("h0").expect("the program").try_into().expect("its type");
        program.load().map_err(|error| format!("verifier: {error:?}"))?;
        program.test_run(RawTracePointRunOptions::default()).map_err(|error| say("run", &error))?;
        let lost = globals.read(session::LOST, 8).expect("the word");
        assert_eq!(lost, [0; 8], "no record is lost");
        let mut ring = aya::maps::RingBuf::try_from(ebpf.map_mut("events").expect("the ring")).expect("its type");
        let mut records = Vec::new();
        while let Some(bytes) = ring.next() {
            records.push(said(ir, &decode(ir, &bytes).map_err(|error| say("record", &error))?));
        }
        let (scalars, arrays) = self.globals(ir, &globals, &offsets, &ebpf);
        Ok(Effect { records, scalars, arrays, cells: cells(ir, &ebpf) })
    }

    fn globals(
        &self,
        ir: &Ir,
        globals: &Globals,
        offsets: &[Option<usize>],
        ebpf: &aya::Ebpf,
    ) -> (BTreeMap<GlobalId, Datum>, BTreeMap<GlobalId, Array>) {
        let (mut scalars, mut arrays) = (BTreeMap::new(), BTreeMap::new());
        for (index, global) in ir.globals.iter().enumerate() {
            let id = GlobalId(index as u16);
            match &global.storage {
                Storage::Scalar { ty, .. } => {
                    let bytes = globals.read(offsets[index].expect("a place"), ty.size()).expect("the scalar");
                    scalars.insert(id, ty.decode(&bytes).expect("a value"));
                }
                Storage::Statistic(_) | Storage::Array { content: Content::Statistic(_), .. } => {}
                Storage::Array { keys, content: Content::Value(value), .. } => {
                    let fd = map_fd(ebpf, &array_name(id)).try_clone_to_owned().expect("another descriptor");
                    let entries = Hash::new(fd).and_then(|hash| hash.entries()).expect("the entries");
                    let decode = |(key, datum): (&[u8], &[u8])| {
                        (decode_all(keys, key).expect("keys"), value.decode(datum).expect("a value"))
                    };
                    arrays.insert(id, entries.iter().map(decode).collect());
                }
            }
        }
        (scalars, arrays)
    }
}

/// What is in the kernel's statistics, all processors together.
fn cells(ir: &Ir, ebpf: &aya::Ebpf) -> Cells {
    let mut cells = BTreeMap::new();
    for (index, global) in ir.globals.iter().enumerate() {
        let id = GlobalId(index as u16);
        let (keys, statistic) = match &global.storage {
            Storage::Statistic(statistic) => (None, statistic),
            Storage::Array { keys, content: Content::Statistic(statistic), .. } => (Some(keys), statistic),
            _ => continue,
        };
        let fd = map_fd(ebpf, &array_name(id)).try_clone_to_owned().expect("another descriptor");
        let hash = Hash::new(fd).expect("a map for each processor");
        let mut add = |keys: Vec<Datum>, bytes: &[u8]| {
            let words: Vec<i64> = bytes.as_chunks().0.iter().map(|word| i64::from_ne_bytes(*word)).collect();
            let cell = statistic.merge(words.chunks_exact(statistic.words().total));
            if cell[0] != 0 {
                cells.insert((id, keys), cell);
            }
        };
        match keys {
            None => {
                let mut bytes = vec![0; hash.values_size()];
                assert!(hash.lookup(&[0; 4], &mut bytes).expect("the statistic"), "it is always there");
                add(Vec::new(), &bytes);
            }
            Some(types) => {
                for (key, bytes) in hash.entries().expect("the entries").iter() {
                    add(decode_all(types, key).expect("keys"), bytes);
                }
            }
        }
    }
    cells
}

/// A record as text: what is an error's format in one IR may be another in an optimized one.
fn said(ir: &Ir, record: &Record) -> String {
    match record {
        Record::Raise { handler, point, location, format, arguments } => {
            let mut text = Vec::new();
            ir.formats[usize::from(format.0)].format.render(arguments, &mut text);
            format!("error{location} at {point} of {handler}: {}", BStr::new(&text))
        }
        Record::Print { format, arguments } => {
            let mut text = Vec::new();
            ir.formats[usize::from(format.0)].format.render(arguments, &mut text);
            format!("print {:?}", BStr::new(&text))
        }
        Record::Exit => "exit".to_owned(),
    }
}

fn map_fd<'e>(ebpf: &'e aya::Ebpf, name: &str) -> std::os::fd::BorrowedFd<'e> {
    use std::os::fd::AsFd as _;
    match ebpf.map(name).expect("the map") {
        aya::maps::Map::Array(data)
        | aya::maps::Map::HashMap(data)
        | aya::maps::Map::PerCpuArray(data)
        | aya::maps::Map::PerCpuHashMap(data) => data.fd().as_fd(),
        _ => panic!("{name} is another kind of map"),
    }
}
