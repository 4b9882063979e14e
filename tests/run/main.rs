//! Both executors agree: random programs run through the interpreter, which is the reference semantics, and as generated code
//! in this machine's kernel. What they print, what they leave in globals and arrays, must be the same.
//!
//! `TAPWIRE_SEED` and `TAPWIRE_PROGRAMS` choose which programs and how many; a failure prints the seed of its program, which
//! alone runs it again.

mod generate;
mod native;

use std::collections::BTreeSet;

use shared::ir::Ir;
use shared::target::{Architecture, Feature, Target};

/// Programs where the environment does not say.
const PROGRAMS: u64 = 300;

#[test]
fn random_programs_mean_the_same_in_both_executors() {
    if !rustix::process::geteuid().is_root() {
        return harness::skip::skip("random_programs_mean_the_same_in_both_executors", "loading eBPF takes root");
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("TAPWIRE_SEED");
    let (first, count) = match first {
        Some(seed) => (seed, number("TAPWIRE_PROGRAMS").unwrap_or(1)),
        None => (fresh_seed(), number("TAPWIRE_PROGRAMS").unwrap_or(PROGRAMS)),
    };
    let world = native::World::new();
    let mut ran = 0;
    for seed in first..first + count {
        let ir = generate::program(seed, world.buffer());
        ran += u64::from(agree(seed, &ir, &world));
    }
    println!("{ran} of {count} programs ran in both executors, seeds from {first}");
    assert!(ran * 2 > count, "most programs should fit a BPF program: {ran} of {count} did");
}

/// Runs a program in both executors; whether it could be compiled and loaded.
fn agree(seed: u64, ir: &Ir, world: &native::World) -> bool {
    shared::ir::verify::verify(ir).unwrap_or_else(|error| panic!("seed {seed}: generated wrong IR: {error}\n{ir}"));
    let expected = world.interpret(ir);
    let mut optimized = ir.clone();
    compiler::optimize::optimize(&mut optimized);
    shared::ir::verify::verify(&optimized)
        .unwrap_or_else(|error| panic!("seed {seed}: optimized to wrong IR: {error}\n{ir}\n{optimized}"));
    assert_eq!(
        world.interpret(&optimized),
        expected,
        "seed {seed}: the optimizer changed the meaning of\n{ir}\nto\n{optimized}"
    );
    let bpf = match compiler::codegen::generate(&optimized, &target(seed)) {
        Ok(bpf) => bpf,
        Err(unsupported) => {
            use compiler::codegen::Refusal::{NoFeature, StackTooLarge};
            let too_large = |refusal| matches!(refusal, StackTooLarge { .. } | NoFeature(_, Feature::MayGoto));
            assert!(
                unsupported.iter().all(|unsupported| too_large(unsupported.refusal.clone())),
                "seed {seed}: {unsupported:?}\n{ir}"
            );
            return false;
        }
    };
    let elf = compiler::object::write(&bpf).expect("an object");
    let got = match world.execute(&optimized, &elf) {
        Ok(got) => got,
        Err(error) if is_beyond_the_verifier(&error) => {
            println!("seed {seed}: {}", error.lines().next().unwrap_or_default());
            return false;
        }
        Err(error) => panic!("seed {seed}: {error}\n{optimized}\n{bpf}"),
    };
    assert_eq!(got, expected, "seed {seed}: the kernel does something else with\n{optimized}\n{bpf}");
    true
}

/// Whether the verifier gave up, which about one program in five hundred is still too much for: it walks through every round of
/// a loop where there is no `may_goto`, and through all ways in one round where there is.
fn is_beyond_the_verifier(error: &str) -> bool {
    // kernel/bpf/verifier.c, `do_check` and `push_stack`.
    ["BPF program is too large", "jumps is too complex"].iter().any(|words| error.contains(words))
}

/// A target that can do everything, or some things not: other code for them must mean the same.
fn target(seed: u64) -> Target {
    let mut features = BTreeSet::from(Feature::ALL);
    if seed.is_multiple_of(3) {
        features.remove(&Feature::MayGoto);
    }
    Target {
        architecture: Architecture::X86_64,
        release: String::new(),
        kernel: "00".parse().expect("a build id"),
        features,
    }
}

/// Other programs each time: what is wrong with one of them is found some day.
fn fresh_seed() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    since_1970.as_nanos() as u64 >> 10
}
