//! One test for each operation and each edge, from IR text.

use shared::abi::event::Record;
use shared::abi::map::Parameter;
use shared::ir::read::read;
use shared::ir::verify::verify;
use shared::ir::{BinaryOp, Relation};
use shared::probe::Place;

use super::memory::MemoryWorld;
use super::*;

/// What most tests declare: g0 a long, g1 a string, g2 an array by a string, g3 one of strings by a long and a string; f0 prints
/// a long, f1 a string, f2 two longs, f3 a character, f4 is a message without arguments.
const DECLARATIONS: &str = r#"source s0 "<input>"
global g0 "n" long = 7
global g1 "s" string(4) = "abcd"
global g2 "count" [string(3)] long 2
global g3 "name" [long, string(8)] string(5) 100
format f0 "%d\n" (long)
format f1 "<%s>\n" (string(6))
format f2 "%d %d\n" (long, long)
format f3 "a%cb" (long)
format f4 "division by 0" ()
handler h0 u0
  at "begin" "" begin 0
"#;

#[track_caller]
fn ir(functions: &str) -> Ir {
    ir_at("begin 0", functions)
}

/// The same with a handler at another place.
#[track_caller]
fn ir_at(place: &str, functions: &str) -> Ir {
    let ir = read(&[&DECLARATIONS.replace("begin 0", place), functions].concat()).expect("an IR");
    assert_eq!(verify(&ir), Ok(()));
    ir
}

/// Runs a handler of one block that ends in a return, and gives the world after it.
#[track_caller]
fn after(body: &str) -> (Ir, MemoryWorld) {
    let ir = ir(&format!("function u0 \"probe_0\"\nb0():\n{body}\n  return\n"));
    let mut world = MemoryWorld::new(&ir);
    interpret(&ir, FunctionId(0), &mut world, Bounds::default()).expect("a run");
    (ir, world)
}

/// Checks what a handler of one block prints.
#[track_caller]
fn prints(body: &str, expected: &str) {
    let (ir, world) = after(body);
    assert_eq!(world.output(&ir), expected);
}

/// Runs function u0 of a whole text in a world.
#[track_caller]
fn run(ir: &Ir, world: &mut MemoryWorld) -> BString {
    interpret(ir, FunctionId(0), world, Bounds::default()).expect("a run");
    world.output(ir)
}

#[track_caller]
fn binary(op: &str, x: i64, y: i64, expected: i64) {
    assert!(BinaryOp::named(op).is_some(), "no operation {op}");
    let body = format!("  v0: long = long {x}\n  v1: long = long {y}\n  v2: long = {op} v0 v1\n  print f0(v2)");
    prints(&body, &format!("{expected}\n"));
}

#[test]
fn arithmetic_wraps_at_64_bits() {
    binary("add", 2, 3, 5);
    binary("add", i64::MAX, 1, i64::MIN);
    binary("subtract", 2, 3, -1);
    binary("subtract", i64::MIN, 1, i64::MAX);
    binary("multiply", -4, 3, -12);
    binary("multiply", i64::MAX, 2, -2);
}

#[test]
fn division_goes_towards_zero() {
    binary("divide", 7, 2, 3);
    binary("divide", -7, 2, -3);
    binary("divide", 7, -2, -3);
    binary("modulo", 7, 3, 1);
    binary("modulo", -7, 3, -1);
    binary("modulo", 7, -3, 1);
}

#[test]
fn division_has_a_result_even_where_there_is_none() {
    binary("divide", 7, 0, 0);
    binary("modulo", 7, 0, 0);
    binary("divide", i64::MIN, -1, i64::MIN);
    binary("modulo", i64::MIN, -1, 0);
}

#[test]
fn bits() {
    binary("and", 0b1100, 0b1010, 0b1000);
    binary("or", 0b1100, 0b1010, 0b1110);
    binary("xor", 0b1100, 0b1010, 0b0110);
}

#[test]
fn shifts_take_the_lowest_six_bits() {
    binary("shift_left", 1, 63, i64::MIN);
    binary("shift_left", 1, 64, 1);
    binary("shift_left", 1, 65, 2);
    binary("shift_left", 1, -1, i64::MIN);
    binary("shift_right", -8, 1, -4);
    binary("shift_right", -8, 64, -8);
    binary("shift_right_logical", -1, 60, 15);
    binary("shift_right_logical", -1, 64, -1);
}

#[test]
fn unary_operations() {
    for (op, x, expected) in [("negate", 5, -5), ("negate", i64::MIN, i64::MIN), ("not", 0, -1), ("not", -1, 0)] {
        prints(&format!("  v0: long = long {x}\n  v1: long = {op} v0\n  print f0(v1)"), &format!("{expected}\n"));
    }
}

#[test]
fn longs_compare_signed() {
    for (relation, x, y, expected) in [
        ("eq", 1, 1, 1),
        ("eq", 1, 2, 0),
        ("ne", 1, 2, 1),
        ("lt", -1, 1, 1),
        ("lt", 1, 1, 0),
        ("le", 1, 1, 1),
        ("gt", 1, i64::MIN, 1),
        ("ge", -2, -1, 0),
    ] {
        assert!(Relation::named(relation).is_some());
        let body = format!("  v0: long = long {x}\n  v1: long = long {y}\n  v2: long = compare {relation} v0 v1");
        prints(&format!("{body}\n  print f0(v2)"), &format!("{expected}\n"));
    }
}

#[test]
fn strings_compare_by_unsigned_bytes() {
    for (relation, x, y, expected) in [
        ("eq", "ab", "ab", 1),
        ("ne", "ab", "abc", 1),
        ("lt", "ab", "abc", 1),
        ("lt", "Z", "a", 1),
        ("gt", r"\xff", "a", 1),
        ("ge", "", "a", 0),
        ("le", "", "", 1),
    ] {
        let body = format!("  v0: string(9) = string \"{x}\"\n  v1: string(9) = string \"{y}\"");
        let body = format!("{body}\n  v2: long = compare_strings {relation} v0 v1\n  print f0(v2)");
        prints(&body, &format!("{expected}\n"));
    }
}

#[test]
fn concatenation_is_cut_to_its_bound() {
    let body = |bound| {
        format!(
            "  v0: string(3) = string \"abc\"\n  v1: string(2) = string \"de\"\n  v2: string({bound}) = concat v0 v1\n  print f1(v2)"
        )
    };
    prints(&body(5), "<abcde>\n");
    prints(&body(4), "<abcd>\n");
    prints(&body(0), "<>\n");
}

#[test]
fn a_string_is_cut_wherever_it_goes() {
    // to the bound of its value,
    prints("  v0: string(2) = string \"abc\"\n  print f1(v0)", "<ab>\n");
    // of a format's argument,
    prints("  v0: string(9) = string \"123456789\"\n  print f1(v0)", "<123456>\n");
    // of a scalar,
    prints("  v0: string(9) = string \"123456789\"\n  set g1 v0\n  v1: string(9) = get g1\n  print f1(v1)", "<1234>\n");
    // of a key: the two below are the same,
    prints(
        "  v0: string(9) = string \"keyring\"\n  v1: string(9) = string \"keyboard\"\n  v2: long = long 5\n  v3: long = array_set g2(v0) v2\n  v4: long = array_get g2(v1)\n  print f0(v4)",
        "5\n",
    );
    // and of an array's value.
    prints(
        "  v0: long = long 1\n  v1: string(9) = string \"123456789\"\n  v2: long = array_set g3(v0, v1) v1\n  v3: string(9) = array_get g3(v0, v1)\n  print f1(v3)",
        "<12345>\n",
    );
}

#[test]
fn formatting_makes_a_string_that_ends_at_a_nul() {
    prints("  v0: long = long 42\n  v1: string(9) = format f0(v0)\n  print f1(v1)", "<42\n>\n");
    prints("  v0: long = long 65\n  v1: string(9) = format f3(v0)\n  print f1(v1)", "<aAb>\n");
    prints("  v0: long = long 0\n  v1: string(9) = format f3(v0)\n  print f1(v1)", "<a>\n");
    prints("  v0: long = long 123456\n  v1: string(3) = format f0(v0)\n  print f1(v1)", "<123>\n");
}

#[test]
fn loads_widen_and_tell_of_faults() {
    let ir = ir(r#"function u0 "probe_0"
b0():
  v0: long = long 4097
  v1: long, v2: long = load kernel s8 v0
  print f2(v1, v2)
  v3: long, v4: long = load kernel u16 v0
  print f2(v3, v4)
  v5: long, v6: long = load kernel s32 v0
  print f2(v5, v6)
  v7: long, v8: long = load user u8 v0
  print f2(v7, v8)
  return
"#);
    let mut world = MemoryWorld::new(&ir);
    world.memory.insert((Space::Kernel, 4096), vec![0, 0xfe, 0xff, 1]);
    // Only three bytes are there from 4097 on, and user memory is another.
    assert_eq!(run(&ir, &mut world), "-2 0\n65534 0\n0 1\n0 1\n");
    world.records.clear();
    world.memory.insert((Space::Kernel, 4096), vec![0, 0xfe, 0xff, 0xff, 0xff]);
    world.memory.insert((Space::User, 4097), vec![200]);
    assert_eq!(run(&ir, &mut world), "-2 0\n65534 0\n-2 0\n200 0\n");
}

#[test]
fn what_the_context_says() {
    let ir = ir_at(
        "kprobe _stext+0x10",
        r#"function u0 "probe_0"
b0():
  v0: long = task pid
  v1: long = task tid
  print f2(v0, v1)
  v2: long = task uid
  v3: long = task gid
  print f2(v2, v3)
  v4: string(15) = task execname
  print f1(v4)
  v5: long = register 5
  v6: long = cpu
  print f2(v5, v6)
  v7: long = clock realtime
  v8: long = parameter target
  print f2(v7, v8)
  v9: string(20) = point name
  print f1(v9)
  v10: string(20) = point function
  print f1(v10)
  return
"#,
    );
    let mut world = MemoryWorld::new(&ir);
    let fields = [TaskField::Pid, TaskField::Tid, TaskField::Uid, TaskField::Gid];
    world.task.extend(fields.into_iter().zip(1..).map(|(field, long)| (field, Datum::Long(long))));
    world.task.insert(TaskField::Execname, Datum::String("sh".into()));
    world.registers.insert(5, -1);
    (world.cpu, world.clock_ns) = (3, 1_000);
    world.parameters.insert(Parameter::Target, 99);
    let place = Place::Begin { order: 0 };
    world.point = Some(shared::probe::ProbePoint { name: "begin".into(), function: "f".into(), place });
    assert_eq!(run(&ir, &mut world), "1 2\n3 4\n<sh>\n-1 3\n1000 99\n<begin>\n<f>\n");
}

#[test]
fn scalars_keep_what_they_are_given() {
    prints("  v0: long = get g0\n  v1: long = add_to g0 v0\n  v2: long = get g0\n  print f2(v1, v2)", "14 14\n");
    let (_, world) = after("  v0: long = long -1\n  set g0 v0");
    assert_eq!(world.scalars[&GlobalId(0)], Datum::Long(-1));
    let wrapped = "  v0: long = long 9223372036854775807\n  v1: long = add_to g0 v0\n  print f0(v1)";
    prints(wrapped, "-9223372036854775802\n");
}

#[test]
fn a_missing_entry_is_zero_or_empty() {
    prints("  v0: string(3) = string \"a\"\n  v1: long = array_get g2(v0)\n  print f0(v1)", "0\n");
    prints(
        "  v0: long = long 1\n  v1: string(3) = string \"a\"\n  v2: string(5) = array_get g3(v0, v1)\n  print f1(v2)",
        "<>\n",
    );
}

#[test]
fn entries_come_and_go() {
    prints(
        "  v0: string(3) = string \"a\"
  v1: long = long 5
  v2: long = array_has g2(v0)
  v3: long = array_set g2(v0) v1
  v4: long = array_has g2(v0)
  print f2(v2, v4)
  array_delete g2(v0)
  array_delete g2(v0)
  v5: long = array_has g2(v0)
  v6: long, v7: long = array_add g2(v0) v1
  v8: long, v9: long = array_add g2(v0) v1
  print f2(v5, v8)
  array_clear g2
  v10: long = array_has g2(v0)
  print f0(v10)",
        "0 1\n0 10\n0\n",
    );
}

#[test]
fn a_full_array_takes_no_more_entries() {
    let fill = "  v0: string(3) = string \"a\"
  v1: string(3) = string \"b\"
  v2: string(3) = string \"c\"
  v3: long = long 1
  v4: long = array_set g2(v0) v3
  v5: long, v6: long = array_add g2(v1) v3
  print f2(v4, v6)";
    let (ir, world) = after(&format!(
        "{fill}
  v7: long = array_set g2(v2) v3
  v8: long, v9: long = array_add g2(v2) v3
  print f2(v7, v9)
  v10: long = array_set g2(v0) v3
  v11: long, v12: long = array_add g2(v1) v3
  print f2(v10, v12)"
    ));
    assert_eq!(world.output(&ir), "0 0\n1 1\n0 0\n");
    assert_eq!(world.arrays[&GlobalId(2)].len(), 2);
}

/// A handler that fills an array, walks over it and prints what it meets.
fn walk(iterate: &str, before_next: &str) -> Ir {
    ir(&format!(
        r#"function u0 "probe_0"
b0():
  v0: long = long 2
  v1: iterator = iterate {iterate}
  jump b1()
b1():
  v2: long = next v1
  branch v2 b2() b3()
b2():
  v3: long = key v1 0
  v4: string(8) = key v1 1
  v5: string(5) = entry v1
{before_next}  print f0(v3)
  print f1(v4)
  print f1(v5)
  jump b1()
b3():
  return
"#
    ))
}

fn walked(iterate: &str, entries: &[(i64, &str, &str)]) -> Vec<(i64, String, String)> {
    let ir = walk(iterate, "");
    let mut world = MemoryWorld::new(&ir);
    for (long, string, value) in entries {
        let keys = vec![Datum::Long(*long), Datum::String((*string).into())];
        world.arrays.entry(GlobalId(3)).or_default().insert(keys, Datum::String((*value).into()));
    }
    interpret(&ir, FunctionId(0), &mut world, Bounds::default()).expect("a run");
    let printed: Vec<Datum> = world
        .records
        .iter()
        .flat_map(|record| match record {
            Record::Print { arguments, .. } => arguments.clone(),
            _ => Vec::new(),
        })
        .collect();
    let text = |datum: &Datum| String::from_utf8_lossy(datum.bytes()).into_owned();
    printed.chunks(3).map(|entry| (entry[0].long(), text(&entry[1]), text(&entry[2]))).collect()
}

#[track_caller]
fn visits(iterate: &str, expected: &[i64]) {
    let entries = [(-1, "b", "x"), (2, "a", "y"), (3, "c", "x"), (10, "aa", "Z")];
    let longs: Vec<i64> = walked(iterate, &entries).into_iter().map(|(long, ..)| long).collect();
    assert_eq!(longs, expected, "{iterate}");
}

#[test]
fn a_walk_gives_keys_and_values() {
    let entries = walked("g3 any", &[(5, "five", "V")]);
    assert_eq!(entries, [(5, "five".to_owned(), "V".to_owned())]);
    assert_eq!(walked("g3 any", &[]), []);
}

#[test]
fn walks_sort_longs_signed_and_strings_by_bytes() {
    visits("g3 ascending key 0", &[-1, 2, 3, 10]);
    visits("g3 descending key 0", &[10, 3, 2, -1]);
    visits("g3 ascending key 1", &[2, 10, -1, 3]);
    visits("g3 descending key 1", &[3, -1, 10, 2]);
}

#[test]
fn entries_that_are_equal_stay_as_the_hash_has_them() {
    visits("g3 any", &[-1, 2, 3, 10]);
    visits("g3 ascending value", &[10, -1, 3, 2]);
    visits("g3 descending value", &[2, -1, 3, 10]);
}

#[test]
fn a_limit_keeps_the_first() {
    visits("g3 descending key 0 v0", &[10, 3]);
    let with_limit = |limit: i64| {
        let text = walk("g3 descending key 0 v0", "").to_string();
        let ir = read(&text.replace("v0: long = long 2", &format!("v0: long = long {limit}"))).expect("an IR");
        let mut world = MemoryWorld::new(&ir);
        for long in 0..3 {
            let keys = vec![Datum::Long(long), Datum::String("k".into())];
            world.arrays.entry(GlobalId(3)).or_default().insert(keys, Datum::String("v".into()));
        }
        run(&ir, &mut world);
        world.records.len() / 3
    };
    assert_eq!([0, -1, i64::MIN, 1, 3, 4, i64::MAX].map(with_limit), [0, 0, 0, 1, 3, 3, 3]);
}

#[test]
fn a_walk_is_over_the_entries_as_they_were() {
    let ir = walk("g3 ascending key 0", "  array_clear g3\n  v6: long = array_set g3(v0, v4) v4\n");
    let mut world = MemoryWorld::new(&ir);
    for long in [5, 6] {
        let keys = vec![Datum::Long(long), Datum::String("k".into())];
        world.arrays.entry(GlobalId(3)).or_default().insert(keys, Datum::String("v".into()));
    }
    assert_eq!(run(&ir, &mut world), "5\n<k>\n<v>\n6\n<k>\n<v>\n");
    let left: Vec<_> = world.arrays[&GlobalId(3)].keys().map(|keys| keys[0].long()).collect();
    assert_eq!(left, [2]);
}

#[test]
fn a_walk_that_stands_on_no_entry_is_a_bug() {
    let ir = ir(r#"function u0 "probe_0"
b0():
  v0: iterator = iterate g2 any
  v1: long = entry v0
  return
"#);
    let error = interpret(&ir, FunctionId(0), &mut MemoryWorld::new(&ir), Bounds::default());
    assert_eq!(error.expect_err("a bug").to_string(), "bug in interpret: a walk that stands on no entry");
}

#[test]
fn parameters_of_a_block_change_places_at_once() {
    let ir = ir(r#"function u0 "probe_0"
b0():
  v0: long = long 1
  v1: long = long 2
  v2: long = long 0
  jump b1(v0, v1, v2)
b1(v3: long, v4: long, v5: long):
  print f2(v3, v4)
  v6: long = add v5 v0
  v7: long = compare lt v6 v1
  branch v7 b1(v4, v3, v6) b2()
b2():
  return
"#);
    assert_eq!(run(&ir, &mut MemoryWorld::new(&ir)), "1 2\n2 1\n");
}

/// A handler that calls u1 with 20 and prints what it gives; where it raised, does something else.
fn caller(raised: &str, callee: &str) -> Ir {
    ir(&format!(
        r#"function u0 "probe_0"
b0():
  v0: long = long 20
  v1: long, v2: long = call u1(v0)
  branch v2 b1() b2()
b1():
  {raised}
b2():
  print f0(v1)
  return
function u1 "f" long
{callee}"#
    ))
}

#[test]
fn a_call_gives_what_the_function_returns() {
    let ir = caller("reraise", "b0(v0: long):\n  v1: long = add v0 v0\n  return v1\n");
    assert_eq!(run(&ir, &mut MemoryWorld::new(&ir)), "40\n");
}

#[test]
fn a_string_is_cut_on_its_way_into_and_out_of_a_function() {
    let ir = ir(r#"function u0 "probe_0"
b0():
  v0: string(6) = string "abcdef"
  v1: string(2), v2: long = call u1(v0)
  branch v2 b1() b2()
b1():
  reraise
b2():
  print f1(v1)
  return
function u1 "f" string(6)
b0(v0: string(4)):
  print f1(v0)
  return v0
"#);
    assert_eq!(run(&ir, &mut MemoryWorld::new(&ir)), "<abcd>\n<ab>\n");
}

#[test]
fn an_error_in_a_function_is_reported_once_and_handed_up() {
    let ir = caller("reraise", "b0(v0: long):\n  raise f4() @0:3:9\n");
    let mut world = MemoryWorld::new(&ir);
    (world.handler_index, world.point_index) = (4, 2);
    assert_eq!(run(&ir, &mut world), "");
    let location = Location { source: 0, line: 3, column: 9 };
    let raise = Record::Raise { handler: 4, point: 2, location, format: FormatId(4), arguments: vec![] };
    assert_eq!(world.records, [raise]);
}

#[test]
fn an_error_that_is_caught_is_its_message_and_no_more() {
    let ir = caller("v3: string(9) = caught\n  print f1(v3)\n  return", "b0(v0: long):\n  raise f4() @0:3:9\n");
    let mut world = MemoryWorld::new(&ir);
    assert_eq!(run(&ir, &mut world), "<divisi>\n");
    assert_eq!(world.records.len(), 1);
    let (ir, world) =
        after("  v0: long = long 1\n  raise f4() catch b1()\nb1():\n  v1: string(3) = caught\n  print f1(v1)");
    assert_eq!(world.output(&ir), "<div>\n");
}

#[test]
fn statements_are_counted_against_their_bound() {
    let text = "function u0 \"probe_0\"\nb0():\n  jump b1()\nb1():\n  v0: long = spend 3\n  print f0(v0)\n  branch v0 b2() b1()\nb2():\n  return\n";
    let ir = ir(text);
    let mut world = MemoryWorld::new(&ir);
    let bounds = Bounds { actions_max: 6, ..Bounds::default() };
    interpret(&ir, FunctionId(0), &mut world, bounds).expect("a run");
    assert_eq!(world.output(&ir), "0\n0\n1\n");
}

#[test]
fn an_error_with_arguments_ends_the_handler() {
    let (declarations, end) = ("format f5 \"%s is %d\" (string(2), long)\n", "  raise f5(v1, v0)\n");
    let text = [DECLARATIONS, "function u0 \"probe_0\"\nb0():\n  v0: long = long 3\n", end].concat();
    let text = text.replace("handler h0", &[declarations, "handler h0"].concat());
    let ir = read(&text.replace("  raise", "  v1: string(9) = string \"abc\"\n  raise")).expect("an IR");
    assert_eq!(verify(&ir), Ok(()));
    let mut world = MemoryWorld::new(&ir);
    run(&ir, &mut world);
    let [Record::Raise { arguments, .. }] = &world.records[..] else { panic!("records: {:?}", world.records) };
    assert_eq!(arguments, &[Datum::String("ab".into()), Datum::Long(3)]);
}

#[test]
fn calls_nest_only_so_deep() {
    // u1(n) calls itself with n - 1 until n is 0.
    let ir = caller(
        "reraise",
        r#"b0(v0: long):
  branch v0 b1() b2()
b1():
  v1: long = long 1
  v2: long = subtract v0 v1
  v3: long, v4: long = call u1(v2) @0:5:3
  branch v4 b3() b4()
b2():
  return v0
b3():
  reraise
b4():
  v5: long = add v3 v1
  return v5
"#,
    );
    let mut world = MemoryWorld::new(&ir);
    let bounds = Bounds { nesting_max: 21, ..Bounds::default() };
    interpret(&ir, FunctionId(0), &mut world, bounds).expect("a run");
    assert_eq!((world.output(&ir), world.stopped), (BString::from("20\n"), None));
    let mut world = MemoryWorld::new(&ir);
    let bounds = Bounds { nesting_max: 20, ..Bounds::default() };
    interpret(&ir, FunctionId(0), &mut world, bounds).expect("a run");
    assert!(world.records.is_empty());
    assert_eq!(world.stopped, Some((Location { source: 0, line: 5, column: 3 }, Message::DepthExceeded)));
}

#[test]
fn the_deepest_nesting_allowed_fits_the_stack() {
    let ir = caller(
        "reraise",
        "b0(v0: long):\n  v1: long, v2: long = call u1(v0)\n  branch v2 b1() b2()\nb1():\n  reraise\nb2():\n  return v1\n",
    );
    let mut world = MemoryWorld::new(&ir);
    let bounds = Bounds { nesting_max: usize::MAX, ..Bounds::default() };
    interpret(&ir, FunctionId(0), &mut world, bounds).expect("a run");
    assert_eq!(world.stopped.map(|(_, message)| message), Some(Message::DepthExceeded));
}

const ENDLESS: &str =
    "function u0 \"probe_0\"\nb0():\n  jump b1()\nb1():\n  v0: long = get g0 @0:1:1\n  jump b1() @0:1:2\n";

#[test]
fn an_endless_loop_is_stopped() {
    let ir = ir(ENDLESS);
    let mut world = MemoryWorld::new(&ir);
    let bounds = Bounds { steps_max: 1_000, ..Bounds::default() };
    interpret(&ir, FunctionId(0), &mut world, bounds).expect("a run");
    assert_eq!(world.stopped, Some((Location { source: 0, line: 1, column: 2 }, Message::StepsExceeded)));
}

#[test]
fn an_interrupted_handler_ends_without_a_word() {
    let ir = ir(ENDLESS);
    let mut world = MemoryWorld { interrupted_after: Some(3), ..MemoryWorld::new(&ir) };
    interpret(&ir, FunctionId(0), &mut world, Bounds::default()).expect("a run");
    assert_eq!((world.stopped, world.records.len()), (None, 0));
}

#[test]
fn opening_a_walk_costs_as_many_steps_as_there_are_entries() {
    let ir = walk("g3 any v0", "");
    let text = ir.to_string().replace("v0: long = long 2", "v0: long = long 0");
    let ir = read(&text).expect("an IR");
    assert_eq!(verify(&ir), Ok(()));
    let mut world = MemoryWorld::new(&ir);
    for long in 0..50 {
        let keys = vec![Datum::Long(long), Datum::String("k".into())];
        world.arrays.entry(GlobalId(3)).or_default().insert(keys, Datum::String("v".into()));
    }
    interpret(&ir, FunctionId(0), &mut world, Bounds { steps_max: 40, ..Bounds::default() }).expect("a run");
    assert_eq!(world.stopped.map(|(_, message)| message), Some(Message::StepsExceeded));
}

#[test]
fn exit_lets_the_handler_go_on() {
    let (ir, world) = after("  exit\n  v0: long = long 1\n  print f0(v0)");
    assert_eq!(world.records[0], Record::Exit);
    assert_eq!(world.output(&ir), "1\n");
}

#[test]
fn an_ir_that_was_not_verified_is_no_reason_to_panic() {
    for body in [
        "  v0: long = add v1 v1",
        "  v0: long = get g9",
        "  print f9()",
        "  v0: long = next v1",
        "  v0: long, v1: long = call u7()",
        "  v0: string(4) = get g1\n  v1: long = negate v0",
        "  v0: long, v1: long = long 1",
        "  array_clear g0",
    ] {
        let text = [DECLARATIONS, "function u0 \"probe_0\"\nb0():\n", body, "\n  jump b7()\n"].concat();
        let ir = read(&text).expect("an IR");
        let result = interpret(&ir, FunctionId(0), &mut MemoryWorld::new(&ir), Bounds::default());
        assert!(matches!(result, Err(InterpretError::Internal(_))), "{body}: {result:?}");
    }
    assert!(interpret(&Ir::default(), FunctionId(0), &mut MemoryWorld::default(), Bounds::default()).is_err());
}
