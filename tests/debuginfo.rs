//! The index of a real kernel's debuginfo: it is made in time of reading, and no answer depends on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};
use compiler::debuginfo::index::{Index, Part};
use compiler::debuginfo::{Debuginfo, Function, Moment, Place};
use harness::skip::skip;
use harness::{kernels, packages};

/// How many functions are asked about; each with its variables and their types.
const FUNCTIONS: usize = 400;

/// How many names of other kinds are searched for: without an index, each takes long.
const SEARCHES: usize = 12;

/// Of the index, in hundredths of the debug file.
const INDEX_PARTS_MAX: usize = 5;

#[test]
fn answers_about_a_kernel_are_the_same_with_and_without_an_index() {
    let cached = kernels::guest("6.1").and_then(|kernel| packages::cached(&kernel)).expect("a cache");
    let Some(kernel) = cached else {
        return skip("debuginfo", "no kernel is cached: `cargo xtask setup` fetches them");
    };
    let bytes = mmap_guard::map_file(kernel.vmlinux()).expect("a debug file");
    let index = make(&bytes).expect("an index");
    assert!(index.len() * 100 <= bytes.len() * INDEX_PARTS_MAX, "the index has {} bytes", index.len());
    let plain = Debuginfo::open(&bytes).expect("a debug file");
    let index = Index::open(&index).expect("an index");
    let indexed = Debuginfo::open_indexed(&bytes, Some(index)).expect("a debug file");

    let all = plain.functions("*").expect("functions");
    assert_eq!(all, indexed.functions("*").expect("functions"));
    let mut random = fastrand::Rng::with_seed(61);
    let chosen = random.choose_multiple(&all.found, FUNCTIONS);
    for (number, function) in chosen.into_iter().enumerate() {
        assert_eq!(plain.functions(&function.name), indexed.functions(&function.name));
        let answers = about(&plain, function).expect("answers");
        assert_eq!(answers, about(&indexed, function).expect("answers"), "{}", function.symbol);
        if number < SEARCHES {
            assert_eq!(plain.inlined(&function.name), indexed.inlined(&function.name), "{}", function.name);
        }
    }
    for name in
        ["task_struct", "struct file", "pid_t", "unsigned long", "union thread_union", "enum pid_type", "no_such"]
    {
        assert_eq!(plain.type_named(name), indexed.type_named(name), "{name}");
    }
    for name in ["PIDTYPE_PID", "NETREG_RELEASED", "NO_SUCH"] {
        assert_eq!(plain.enumerator(name), indexed.enumerator(name), "{name}");
    }
    for (name, file) in
        [("init_task", None), ("file_systems", Some("fs/filesystems.c")), ("jiffies", None), ("nr", None)]
    {
        assert_eq!(plain.global(name, file), indexed.global(name, file), "{name}");
    }
    for name in ["fdget_pos", "vfs_fsync", "kmalloc_large"] {
        assert_eq!(plain.inlined(name), indexed.inlined(name), "{name}");
    }
}

/// Everything about a function where it is entered and where it returns, in words.
fn about(debuginfo: &Debuginfo<'_>, function: &Function) -> Result<Vec<String>> {
    let mut answers = Vec::new();
    for moment in [Moment::Entry, Moment::Return] {
        let place = debuginfo.place(function, moment)?;
        answers.push(format!("{place:?} {:?}", debuginfo.return_value(&place)));
        answers.extend(variables(debuginfo, &place)?);
    }
    Ok(answers)
}

fn variables(debuginfo: &Debuginfo<'_>, place: &Place) -> Result<Vec<String>> {
    let variables = debuginfo.variables(place)?;
    let describe = |variable: &compiler::debuginfo::ScopedVariable| {
        let (name, id) = (&variable.name, variable.type_id);
        let resolved = debuginfo.resolved_type(id).with_context(|| format!("the type of {name}"))?;
        let value = debuginfo.variable(place, name).map_err(|error| error.to_string());
        Ok(format!("{variable:?} {} {resolved:?} {value:?}", debuginfo.type_name(id)?))
    };
    variables.iter().map(describe).collect()
}

/// The index, by two threads that take units in turn.
fn make(bytes: &[u8]) -> Result<Vec<u8>> {
    let debuginfo = Debuginfo::open(bytes)?;
    let count = debuginfo.unit_count()?;
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Part>> {
        let debuginfo = Debuginfo::open(bytes)?;
        let mut parts = Vec::new();
        loop {
            let first = next.fetch_add(50, Ordering::Relaxed);
            if first >= count {
                return Ok(parts);
            }
            parts.push(debuginfo.index_part(first..count.min(first + 50))?);
        }
    };
    let parts: Result<Vec<_>> = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    Ok(debuginfo.index_file(parts?.into_iter().flatten().collect())?)
}
