//! `taprun` on this machine's kernel: artifacts forged by hand, real maps, real probes.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use client::elf::Elf;
use client::interpret::memory::MemoryWorld;
use client::interpret::{Bounds, interpret};
use forge::{Forged, GET_ATTACH_COOKIE, Program, R0, R1, R6, R7, R8, Running, Word, is_skipped};
use object::{Object as _, ObjectSymbol as _};
use rustix::process::Signal;
use shared::abi::event::{RecordKind, header};
use shared::abi::map::session;
use shared::ir::{FormatId, FunctionId, Location};

mod forge;

/// Skips the test that calls it where it cannot be run.
macro_rules! needs_root {
    ($test:literal) => {
        if is_skipped($test) {
            return;
        }
    };
}

/// `kill`, a system call that nothing does by accident, by its number (arch/x86/entry/syscalls/syscall_64.tbl).
const SYS_KILL: i32 = 62;

/// Handlers around a tracepoint: `begin` prints the target, h1 is a program at `sys_enter`, `end` prints g0.
const TRACEPOINT: &str = r#"source s0 "<input>"
global g0 "hits" long = 40
format f0 "target %d\n" (long)
format f1 "kill by %d\n" (long)
format f2 "hits %d\n" (long)
format f3 "kill of %d" (long)
handler h0 u0
  at "begin" "" begin 0
handler h1 u1
  at "kernel.trace(\"sys_enter\")" "" tracepoint sys_enter
handler h2 u2
  at "end" "" end 0
function u0 "probe_0"
b0():
  v0: long = parameter target
  print f0(v0)
  return
function u1 "probe_1"
b0():
  return
function u2 "probe_2"
b0():
  v0: long = get g0
  print f2(v0)
  return
"#;

/// A program at `sys_enter` that goes on only where the target enters `kill`.
fn at_kill() -> Program {
    let mut program = Program::new();
    program.end_unless_target().load(R1, R8, 8).end_unless_equal(R1, SYS_KILL);
    program
}

fn print_word(format: u16) -> Word {
    Word::Long(header(RecordKind::Print, FormatId(format), 1, 0))
}

/// A program that prints the target's kills and counts them in g0.
fn counting() -> Program {
    let mut program = at_kill();
    program
        .insn(0xb7, R1, 0, 0, 1)
        .atomic_add(R6, session::SIZE as i16, R1)
        .send(&[print_word(1), Word::Register(R7)], 16);
    program
}

#[test]
fn a_tracepoint_program_prints_what_the_target_does() {
    needs_root!("a_tracepoint_program_prints_what_the_target_does");
    let forged = Forged::new(TRACEPOINT, vec![(1, counting())]);
    let ran = forged.run(&["-c", "kill -0 $$; kill -0 $$; true"]);
    let target = ran.stdout.lines().next().and_then(|line| line.strip_prefix("target ")).expect("the target");
    let expected = format!("target {target}\nkill by {target}\nkill by {target}\nhits 42\n");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.status), (expected.as_str(), "", Some(0)));
}

#[test]
fn nothing_fires_before_the_command_runs_or_for_others() {
    needs_root!("nothing_fires_before_the_command_runs_or_for_others");
    let forged = Forged::new(TRACEPOINT, vec![(1, counting())]);
    // Another process than the target kills.
    let ran = forged.run(&["-c", "sh -c 'kill -0 $$'; true"]);
    assert!(ran.stdout.ends_with("hits 40\n"), "{ran:?}");
}

#[test]
fn output_goes_to_a_file_if_asked() {
    needs_root!("output_goes_to_a_file_if_asked");
    let forged = Forged::new(TRACEPOINT, vec![(1, counting())]);
    let file = forged.path("out");
    let ran = forged.run(&["-c", "kill -0 $$; true", "-o", file.to_str().expect("a path")]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(0)));
    let text = std::fs::read_to_string(file).expect("the output");
    assert!(text.contains("kill by ") && text.ends_with("hits 41\n"), "{text}");
}

#[test]
fn an_error_in_a_program_ends_the_session_without_end_handlers() {
    needs_root!("an_error_in_a_program_ends_the_session_without_end_handlers");
    let mut program = at_kill();
    let location = Location { source: 0, line: 3, column: 7 };
    let raise = Word::Long(header(RecordKind::Raise, FormatId(3), 1, 0));
    program.send(&[raise, Word::Long(location.to_word()), Word::Register(R7)], 24);
    let forged = Forged::new(TRACEPOINT, vec![(1, program)]);
    let ran = forged.run(&["-c", "kill -0 $$; sleep 0.3"]);
    let target = ran.stdout.strip_prefix("target ").expect("the target").trim();
    assert_eq!(
        ran.stderr,
        format!(
            "ERROR: kill of {target} at <input>:3:7\n  in probe kernel.trace(\"sys_enter\")\nWARNING: Number of errors: 1, skipped probes: 0\nWaiting for the command to exit\n"
        )
    );
    assert_eq!((ran.stdout.lines().count(), ran.status), (1, Some(1)));
}

#[test]
fn exit_in_a_program_ends_the_session_with_end_handlers() {
    needs_root!("exit_in_a_program_ends_the_session_with_end_handlers");
    let mut program = at_kill();
    program.send(&[Word::Long(header(RecordKind::Exit, FormatId(0), 1, 0))], 8);
    let forged = Forged::new(TRACEPOINT, vec![(1, program)]);
    let ran = forged.run(&["-v", "-c", "kill -0 $$; sleep 0.3"]);
    assert!(ran.stdout.ends_with("hits 40\n"), "{ran:?}");
    assert!(ran.stderr.contains("the session ended: exit() was called"), "{ran:?}");
    assert_eq!(ran.status, Some(0));
}

#[test]
fn records_that_found_no_room_are_counted() {
    needs_root!("records_that_found_no_room_are_counted");
    let mut program = at_kill();
    // No record of the ring's size fits into the ring.
    program.send(&[print_word(1), Word::Register(R7)], 4096);
    let forged = Forged::with_ring(TRACEPOINT, vec![(1, program)], 4096);
    let ran = forged.run(&["-c", "kill -0 $$; kill -0 $$; kill -0 $$; true"]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("WARNING: There were 3 lost events\n", Some(0)));
}

#[test]
fn a_record_of_no_known_kind_is_a_bug_that_is_said() {
    needs_root!("a_record_of_no_known_kind_is_a_bug_that_is_said");
    let mut program = at_kill();
    program.send(&[Word::Long(9)], 8);
    let ran = Forged::new(TRACEPOINT, vec![(1, program)]).run(&["-c", "kill -0 $$; sleep 0.3"]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("ERROR: bug in codegen: no record is of kind 9\n", Some(1)));
}

#[test]
fn what_the_kernels_verifier_refuses_is_told_with_its_words() {
    needs_root!("what_the_kernels_verifier_refuses_is_told_with_its_words");
    let mut program = Program::new();
    program.load(R0, R7, 0);
    let forged = Forged::new(TRACEPOINT, vec![(1, program)]);
    let ran = forged.run(&[]);
    let first =
        "ERROR: the kernel does not take the probe kernel.trace(\"sys_enter\"): Permission denied (os error 13)\n";
    assert!(ran.stderr.starts_with(first), "{ran:?}");
    assert!(ran.stderr.contains("  verifier: R7 !read_ok\n"), "{ran:?}");
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert!(forged.run(&["-vv"]).stderr.lines().count() > ran.stderr.lines().count());
}

/// Functions of this very program, to be probed; their mangled names hold these.
#[inline(never)]
fn tapwire_probed_0(x: u64) -> u64 {
    std::hint::black_box(x + 1)
}

#[inline(never)]
fn tapwire_probed_1(x: u64) -> u64 {
    std::hint::black_box(x + 2)
}

/// The link-time address of a function of this program.
fn address(function: &str) -> (PathBuf, u64) {
    let path = std::env::current_exe().expect("this program");
    let bytes = std::fs::read(&path).expect("this program");
    let file = object::File::parse(bytes.as_slice()).expect("an ELF file");
    let symbol =
        file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains(function))).expect("the function");
    (path, symbol.address())
}

/// Two functions of this program in one handler, a timer that says when they are attached, and `pp()` of the point by cookie.
fn uprobe(build_id: &str, on_return: &str) -> String {
    let (path, address_0) = address("tapwire_probed_0");
    let (_, address_1) = address("tapwire_probed_1");
    format!(
        r#"format f0 "point %d\n" (long)
format f1 "tick\n" ()
handler h0 u0
  at "process(\"x\").function(\"tapwire_probed_0\")" "tapwire_probed_0" uprobe {path:?} {build_id} {address_0:#x}{on_return}
  at "process(\"x\").function(\"tapwire_probed_1\")" "tapwire_probed_1" uprobe {path:?} {build_id} {address_1:#x}{on_return}
handler h1 u1
  at "timer.ms(10)" "" timer 10000000ns
function u0 "probe_0"
b0():
  return
function u1 "probe_1"
b0():
  print f1()
  return
"#
    )
}

fn own_build_id() -> String {
    let (_, elf) = Elf::open(&std::env::current_exe().expect("this program")).expect("an ELF file");
    elf.build_id.to_string()
}

/// A program that prints its cookie where the target runs it.
fn cookie() -> Program {
    let mut program = Program::new();
    program.end_unless_target().copy(R1, R8).call(GET_ATTACH_COOKIE).copy(R7, R0);
    program.send(&[Word::Long(header(RecordKind::Print, FormatId(0), 0, 0)), Word::Register(R7)], 16);
    program
}

/// The lines that are no ticks.
fn next_point(running: &mut Running) -> String {
    loop {
        let line = running.line();
        if line != "tick\n" {
            return line;
        }
    }
}

/// Held by the test that calls them: all tests are threads of the one target.
static PROBED: Mutex<()> = Mutex::new(());

#[track_caller]
fn sees_functions_of_this_program(on_return: &str) {
    let _alone = PROBED.lock();
    let forged = Forged::new(&uprobe(&own_build_id(), on_return), vec![(0, cookie())]);
    let mut running = forged.start(&["-x", &std::process::id().to_string()]);
    assert_eq!(running.line(), "tick\n");
    for (function, expected) in [(tapwire_probed_1 as fn(u64) -> u64, "point 1\n"), (tapwire_probed_0, "point 0\n")] {
        assert!(function(1) > 1);
        assert_eq!(next_point(&mut running), expected);
    }
    let used = Used::by(&running);
    assert!(used.programs.len() == 1 && used.links.len() == 2 && used.maps.len() >= 2, "{used:?}");
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    used.assert_gone();
}

#[test]
fn uprobes_know_their_point_and_leave_nothing_behind() {
    needs_root!("uprobes_know_their_point_and_leave_nothing_behind");
    sees_functions_of_this_program("");
}

#[test]
fn uretprobes_know_their_point_and_leave_nothing_behind() {
    needs_root!("uretprobes_know_their_point_and_leave_nothing_behind");
    sees_functions_of_this_program(" return");
}

#[test]
fn a_killed_taprun_leaves_nothing_behind() {
    needs_root!("a_killed_taprun_leaves_nothing_behind");
    let forged = Forged::new(&uprobe(&own_build_id(), ""), vec![(0, cookie())]);
    let mut running = forged.start(&[]);
    assert_eq!(running.line(), "tick\n");
    let used = Used::by(&running);
    assert_eq!(used.links.len(), 2);
    running.signal(Signal::KILL);
    running.finish();
    used.assert_gone();
}

#[test]
fn a_program_that_was_updated_is_not_probed() {
    needs_root!("a_program_that_was_updated_is_not_probed");
    let ran = Forged::new(&uprobe("00ff", ""), vec![(0, cookie())]).run(&[]);
    let got = own_build_id();
    assert!(ran.stderr.starts_with("ERROR: cannot probe process(\"x\").function(\"tapwire_probed_0\"): "), "{ran:?}");
    let reason = format!("was updated since the script was compiled: its build id is {got}, expected 00ff\n");
    assert!(ran.stderr.ends_with(&format!("{reason}  compile the script again\n")), "{ran:?}");
    assert_eq!(ran.status, Some(1));
}

#[test]
fn of_many_points_those_that_fail_are_left_out() {
    needs_root!("of_many_points_those_that_fail_are_left_out");
    let point = "  at \"kernel.trace(\\\"sys_enter\\\")\" \"\" tracepoint sys_enter\n";
    let missing = "  at \"kernel.trace(\\\"nope\\\")\" \"\" tracepoint nope\n";
    let both = TRACEPOINT.replace(point, &format!("{missing}{point}"));
    let ran = Forged::new(&both, vec![(1, counting())]).run(&["-c", "kill -0 $$; true"]);
    assert!(ran.stdout.ends_with("hits 41\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("WARNING: cannot probe kernel.trace(\"nope\"): "), "{ran:?}");
    assert_eq!((ran.stderr.lines().count(), ran.status), (1, Some(0)));
    let alone = TRACEPOINT.replace(point, missing);
    let ran = Forged::new(&alone, vec![(1, counting())]).run(&["-c", "kill -0 $$; true"]);
    assert!(ran.stderr.starts_with("ERROR: cannot probe kernel.trace(\"nope\"): "), "{ran:?}");
    // No `end` handler, and no command.
    assert_eq!((ran.stdout.lines().count(), ran.status), (1, Some(1)));
}

#[test]
fn a_map_that_is_not_as_the_manifest_says_is_refused() {
    needs_root!("a_map_that_is_not_as_the_manifest_says_is_refused");
    // The object is made for a script with one scalar less.
    let other = shared::ir::read::read(&TRACEPOINT.replace("global g0 \"hits\" long = 40\n", "")).expect("an IR");
    let elf = forge::object(&other, vec![(1, Program::new())], 4096);
    let forged = Forged::with_elf(TRACEPOINT, elf);
    let ran = forged.run(&[]);
    let (got, expected) = (session::SIZE, session::SIZE + 8);
    let expected =
        format!("ERROR: map globals of the object is not as the manifest says: {got} bytes, expected {expected}\n");
    assert_eq!((ran.stderr, ran.status), (expected, Some(1)));
}

/// A handler of `begin` that does everything that can be done to globals, and prints it.
const GLOBALS: &str = r#"global g0 "n" long = 7
global g1 "s" string(4) = "abcd"
global g2 "count" [string(3)] long 3
global g3 "name" [long, string(8)] string(5) 5000
format f0 "%d\n" (long)
format f1 "<%s>\n" (string(6))
format f2 "%s %d\n" (string(8), long)
handler h0 u0
  at "begin" "" begin 0
function u0 "probe_0"
b0():
  v0: long = get g0
  v1: long = add_to g0 v0
  print f0(v1)
  v2: string(4) = get g1
  v3: string(8) = concat v2 v2
  set g1 v3
  v4: string(9) = get g1
  print f1(v4)
  v5: string(3) = string "a"
  v6: string(3) = string "b"
  v7: string(3) = string "c"
  v8: string(3) = string "d"
  v9: long, v10: long = array_add g2(v5) v0
  v11: long, v12: long = array_add g2(v6) v0
  v13: long = array_set g2(v7) v1
  v14: long = array_set g2(v8) v1
  v15: long, v16: long = array_add g2(v8) v1
  v17: long, v18: long = array_add g2(v6) v1
  print f0(v14)
  print f0(v16)
  print f0(v17)
  v19: long = array_has g2(v8)
  print f0(v19)
  array_delete g2(v5)
  v20: long = array_get g2(v5)
  print f0(v20)
  v21: long = array_set g2(v8) v0
  v22: iterator = iterate g2 descending value
  jump b1()
b1():
  v23: long = next v22
  branch v23 b2() b3()
b2():
  v24: string(3) = key v22 0
  v25: long = entry v22
  print f2(v24, v25)
  jump b1()
b3():
  v26: long = long 0
  v27: long = long 1
  v28: long = long 3000
  jump b4(v26)
b4(v29: long):
  v30: string(8) = format f0(v29)
  v31: long = array_set g3(v29, v30) v30
  v32: long = add v29 v27
  v33: long = compare lt v32 v28
  branch v33 b4(v32) b5()
b5():
  v34: iterator = iterate g3 descending key 0
  jump b6()
b6():
  v35: long = next v34
  branch v35 b7() b8()
b7():
  v36: long = key v34 0
  print f0(v36)
  v37: string(5) = entry v34
  print f1(v37)
  jump b6()
b8():
  array_clear g3
  v38: string(8) = format f0(v26)
  v39: long = array_has g3(v26, v38)
  print f0(v39)
  v40: iterator = iterate g3 any
  v41: long = next v40
  print f0(v41)
  return
"#;

#[test]
fn the_kernels_maps_and_those_in_memory_agree() {
    needs_root!("the_kernels_maps_and_those_in_memory_agree");
    let ir = shared::ir::read::read(GLOBALS).expect("an IR");
    let mut world = MemoryWorld::new(&ir);
    interpret(&ir, FunctionId(0), &mut world, Bounds::default()).expect("a run");
    let expected = world.output(&ir).to_string();
    assert_eq!(expected.lines().count(), 7 + 3 + 6000 + 3000 + 2);
    let ran = Forged::new(GLOBALS, Vec::new()).run(&["-T", "0"]);
    assert!(ran.stdout == expected, "{}", ran.stdout);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
}

/// `begin` handlers that call `exit()` or divide by zero, and one of `end`.
fn beginning(body: &str) -> String {
    format!(
        r#"source s0 "<input>"
format f0 "%s\n" (string(9))
format f1 "division by 0 near operator '/'" ()
handler h0 u0
  at "begin" "" begin 0
handler h1 u1
  at "begin(1)" "" begin 1
handler h2 u1
  at "end" "" end 0
function u0 "probe_0"
b0():
{body}
function u1 "probe_1"
b0():
  v0: string(9) = point name
  print f0(v0)
  return
"#
    )
}

#[test]
fn exit_in_begin_starts_nothing_but_end() {
    needs_root!("exit_in_begin_starts_nothing_but_end");
    let forged = Forged::new(&beginning("  exit\n  return"), Vec::new());
    let ran = forged.run(&["-c", "echo started"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.status), ("end\n", "", Some(0)));
}

#[test]
fn an_error_in_begin_ends_everything() {
    needs_root!("an_error_in_begin_ends_everything");
    let ran = Forged::new(&beginning("  raise f1() @0:1:20"), Vec::new()).run(&[]);
    let error = "ERROR: division by 0 near operator '/' at <input>:1:20\n  in probe begin\n";
    let errors = format!("{error}WARNING: Number of errors: 1, skipped probes: 0\n");
    assert_eq!((ran.stdout.as_str(), ran.stderr, ran.status), ("", errors, Some(1)));
}

#[test]
fn a_handler_that_never_ends_can_be_interrupted() {
    needs_root!("a_handler_that_never_ends_can_be_interrupted");
    let endless = "  v0: string(9) = point name\n  print f0(v0)\n  jump b1()\nb1():\n  jump b1()";
    let forged = Forged::new(&beginning(endless), Vec::new());
    let file = forged.path("out");
    let running = forged.start(&["-o", file.to_str().expect("a path")]);
    // Signals are caught before anything is loaded.
    let caught = || std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap_or_default();
    wait_for("taprun to catch signals", || {
        let mask = caught().lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (Signal::INT.as_raw() - 1) != 0)
    });
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    assert_eq!(std::fs::read_to_string(file).expect("the output"), "begin\nend\n");
}

#[test]
fn a_session_ends_with_its_command_and_tells_how_that_ended() {
    needs_root!("a_session_ends_with_its_command_and_tells_how_that_ended");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    let ran = forged.run(&["-c", "exit 3"]);
    let warning = "WARNING: Child process exited with status 3\n";
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.status), ("begin(1)\nend\n", warning, Some(1)));
    let ran = forged.run(&["-c", "kill -9 $$"]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("WARNING: Child process exited with signal 9\n", Some(1)));
    let ran = forged.run(&["-c", "true"]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
}

#[test]
fn a_session_ends_with_its_target_or_its_parent() {
    needs_root!("a_session_ends_with_its_target_or_its_parent");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    for (option, reason) in [("-x", "the target ended"), ("--parent", "the process that started it ended")] {
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().expect("a process");
        let mut running = forged.start(&["-v", option, &other.id().to_string()]);
        assert_eq!(running.line(), "begin(1)\n");
        other.kill().expect("killed");
        let ran = running.finish();
        other.wait().expect("its end");
        assert!(ran.stderr.ends_with(&format!("taprun: the session ended: {reason}\n")), "{ran:?}");
        assert_eq!((ran.stdout.as_str(), ran.status), ("end\n", Some(0)));
    }
    let ran = forged.run(&["-x", "4194303"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert!(ran.stderr.starts_with("ERROR: cannot watch process 4194303: No such process"), "{ran:?}");
}

#[test]
fn a_session_ends_quietly_when_nobody_reads() {
    needs_root!("a_session_ends_quietly_when_nobody_reads");
    let ir = beginning("  return").replace("\"begin(1)\" \"\" begin 1", "\"timer\" \"\" timer 1000000ns");
    let forged = Forged::new(&ir, Vec::new());
    let mut running = forged.start(&[]);
    assert_eq!(running.line(), "timer\n");
    let (mut child, stderr) = running.stop_reading();
    assert_eq!(child.wait().expect("its end").code(), Some(0));
    assert_eq!(stderr(), "");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    needs_root!("output_that_cannot_be_written_is_an_error");
    let ran = Forged::new(&beginning("  return"), Vec::new()).run(&["-T", "5", "-o", "/dev/full"]);
    assert_eq!(ran.stderr, "ERROR: cannot write the output: No space left on device (os error 28)\n");
    assert_eq!(ran.status, Some(1));
}

#[test]
fn an_unknown_signer_is_refused_by_name_and_list() {
    needs_root!("an_unknown_signer_is_refused_by_name_and_list");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    std::fs::remove_file(forged.path("signers/forge.pem")).expect("an empty list");
    let ran = forged.run(&[]);
    assert!(ran.stderr.starts_with("ERROR: refused by the signature (role signer) check: "), "{ran:?}");
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    let inspected = forged.run(&["--inspect"]);
    assert!(inspected.stdout.contains("\nverified: no, refused by the signature"), "{inspected:?}");
    assert!(inspected.stdout.ends_with("probe: begin (begin 0)\nprobe: begin(1) (begin 1)\nprobe: end (end 0)\n"));
}

#[test]
fn a_damaged_artifact_is_refused() {
    needs_root!("a_damaged_artifact_is_refused");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    let path = forged.path("script.tap");
    let mut bytes = std::fs::read(&path).expect("the artifact");
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    std::fs::write(&path, bytes).expect("a damaged artifact");
    let ran = forged.run(&[]);
    let expected = "ERROR: refused by the signature (role signer) check: the program does not fit the signed manifest: it was altered after it was signed\n";
    assert!(ran.stderr.starts_with(expected), "{ran:?}");
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
}

/// `taprun` on the artifact as a user who is nobody, from a copy with this mode.
fn run_as_nobody(forged: &Forged, mode: u32, arguments: &[&str]) -> (String, Option<i32>) {
    let program = forged.path("taprun");
    std::fs::copy(env!("CARGO_BIN_EXE_taprun"), &program).expect("a copy");
    for (path, mode) in [(forged.path(""), 0o755), (program.clone(), mode)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
    }
    let mut command = std::process::Command::new(&program);
    command.args(arguments).arg(forged.path("script.tap")).uid(65534).gid(65534);
    let output = command.output().expect("taprun");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[test]
fn without_privileges_it_says_which() {
    needs_root!("without_privileges_it_says_which");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    let (stderr, status) = run_as_nobody(&forged, 0o755, &[]);
    assert!(stderr.starts_with("ERROR: taprun lacks CAP_BPF and CAP_PERFMON\n"), "{stderr}");
    assert!(stderr.contains("setcap cap_bpf,cap_perfmon,cap_syslog+ep"), "{stderr}");
    assert_eq!(status, Some(1));
}

#[test]
fn lent_privileges_open_no_files_and_no_lists() {
    needs_root!("lent_privileges_open_no_files_and_no_lists");
    let forged = Forged::new(&beginning("  return"), Vec::new());
    let signers = forged.path("signers");
    let set_user_id = |arguments: &[&str]| run_as_nobody(&forged, 0o4755, arguments).0;
    let stderr = set_user_id(&[]);
    if stderr.contains("lacks") {
        println!("SKIPPED lent_privileges_open_no_files_and_no_lists: mounted without set-user-id");
        return;
    }
    // Nobody's signers are the host's alone,
    assert!(stderr.starts_with("ERROR: refused by the signature (role signer) check: "), "{stderr}");
    let stderr = set_user_id(&["--signers", signers.to_str().expect("a path")]);
    assert!(stderr.starts_with("ERROR: only root may name further lists of signers (--signers)\n"), "{stderr}");
    // and what nobody may not read is not read for it.
    std::fs::set_permissions(forged.path("script.tap"), Permissions::from_mode(0o600)).expect("permissions");
    let stderr = set_user_id(&[]);
    assert!(stderr.ends_with("script.tap: Permission denied (os error 13)\n"), "{stderr}");
}

#[test]
fn features_are_those_of_the_list() {
    needs_root!("features_are_those_of_the_list");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_taprun"));
    let output = command.arg("--features").output().expect("taprun");
    let known: Vec<String> = shared::target::Feature::ALL.iter().map(ToString::to_string).collect();
    let found: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert!(found.iter().all(|feature| known.contains(feature)), "{found:?}");
    let pmu = |name: &str| std::path::Path::new("/sys/bus/event_source/devices").join(name).exists();
    assert_eq!(found.iter().any(|feature| feature == "uprobe"), pmu("uprobe"));
    assert_eq!(found.iter().any(|feature| feature == "kprobe"), pmu("kprobe"));
}

/// What a process holds of the kernel's BPF objects, by their ids.
#[derive(Debug, Default)]
struct Used {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Used {
    fn by(running: &Running) -> Self {
        let mut used = Self::default();
        for entry in std::fs::read_dir(format!("/proc/{}/fdinfo", running.child.id())).expect("its descriptors") {
            let info = std::fs::read_to_string(entry.expect("a descriptor").path()).unwrap_or_default();
            let id = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
            // A link tells its program's id, too.
            match (id("link_id:"), id("prog_id:"), id("map_id:")) {
                (Some(link), ..) => used.links.insert(link),
                (_, Some(program), _) => used.programs.insert(program),
                (_, _, Some(map)) => used.maps.insert(map),
                _ => false,
            };
        }
        used
    }

    /// Checks that the kernel has none of them any more; it lets go of them a moment after the last descriptor.
    #[track_caller]
    fn assert_gone(&self) {
        wait_for("the kernel to let go of programs, maps and links", || {
            let programs = aya::programs::loaded_programs().filter_map(|program| Some(program.ok()?.id()));
            let maps = aya::maps::loaded_maps().filter_map(|map| Some(map.ok()?.id()));
            let links = aya::programs::loaded_links().filter_map(|link| Some(link.ok()?.id()));
            programs.filter(|id| self.programs.contains(id)).count() == 0
                && maps.filter(|id| self.maps.contains(id)).count() == 0
                && links.filter(|id| self.links.contains(id)).count() == 0
        });
    }
}

/// Waits for something that comes by itself, and fails where it does not.
#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < given_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
