//! Measures the host we run on. It needs no privileges of its own; what does is tried by `taprun --features`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shared::limits::KALLSYMS_BYTES_MAX;
use shared::target::{Architecture, ElfFile, Fact, FactQuery, Feature, Target, glob_matches};

use super::facts::HostFacts;
use super::{HostError, config};
use crate::elf::{Elf, kernel_build_id};
use crate::render::plain;
use crate::sibling;

/// The running kernel; without its features where these do not matter and might take privileges to find out.
///
/// # Errors
/// When the kernel does not tell, or `taprun` cannot try.
pub fn target(with_features: bool) -> Result<Target, HostError> {
    let uname = rustix::system::uname();
    let machine = uname.machine().to_string_lossy();
    let architecture = match machine.as_ref() {
        "x86_64" => Architecture::X86_64,
        other => return Err(HostError::Architecture(other.to_owned())),
    };
    Ok(Target {
        architecture,
        release: uname.release().to_string_lossy().into_owned(),
        kernel: kernel_build_id().map_err(HostError::io("the kernel's build id"))?,
        features: if with_features { features()? } else { BTreeSet::new() },
    })
}

/// Everything that a facts file holds; of programs, those named.
///
/// # Errors
/// When anything of it cannot be found out.
pub fn facts(elf: &[impl AsRef<Path>]) -> Result<HostFacts, HostError> {
    let target = target(true)?;
    let names = tracepoints()?;
    let elf = elf.iter().map(|path| {
        let path = path.as_ref();
        let wrong = |reason: String| HostError::Elf { path: path.to_owned(), reason };
        // A file's name on the host it describes must not depend on where the file was written.
        let absolute = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
        let name = absolute.to_str().ok_or_else(|| wrong("the path is not UTF-8".to_owned()))?;
        let (_, elf) = Elf::open(&absolute).map_err(|error| wrong(error.to_string()))?;
        Ok((name.to_owned(), elf.build_id))
    });
    let elf = elf.collect::<Result<_, HostError>>()?;
    let config = config::open().ok();
    Ok(HostFacts { target, tracepoints: names.into_iter().collect(), elf, config })
}

/// The program that a script means by a path; without a slash, the one that a shell would run.
fn elf_file(asked: &str) -> Result<ElfFile, String> {
    let candidates: Vec<PathBuf> = if asked.contains('/') {
        vec![asked.into()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(asked)).collect()
    };
    let existing = candidates.iter().find_map(|candidate| candidate.canonicalize().ok().filter(|path| path.is_file()));
    let Some(path) = existing.or_else(|| candidates.first().cloned().filter(|_| asked.contains('/'))) else {
        return Err("no such program in $PATH".to_owned());
    };
    let (_, elf) = Elf::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    })?;
    let path = path.to_str().ok_or("its path is not UTF-8")?.to_owned();
    Ok(ElfFile { path, build_id: elf.build_id })
}

/// Answers a question of the server's.
///
/// # Errors
/// When the kernel does not tell.
pub fn answer(query: &FactQuery) -> Result<Fact, HostError> {
    Ok(match query {
        FactQuery::Elf { path } => Fact::Elf { path: path.clone(), found: elf_file(path) },
        FactQuery::Tracepoints { pattern } => {
            let mut names = tracepoints()?;
            names.retain(|name| glob_matches(pattern, name));
            Fact::Tracepoints { pattern: pattern.clone(), names: names.into_iter().collect() }
        }
        FactQuery::KernelConfig { name } => {
            Fact::KernelConfig { name: name.clone(), value: config::open().map(|mut config| config.remove(name)) }
        }
    })
}

/// The tracepoints of the kernel and its loaded modules.
fn tracepoints() -> Result<BTreeSet<String>, HostError> {
    let symbols = File::open("/proc/kallsyms").map(|file| BufReader::new(file.take(KALLSYMS_BYTES_MAX)));
    symbols.and_then(tracepoints_in).map_err(HostError::io("the tracepoints (/proc/kallsyms)"))
}

/// For every tracepoint there is a function that calls what is attached to it. Linux kernel commit d25e37d89dd2
/// ("tracepoint: Optimize using static_call()") (in v5.10) named it `__traceiter_NAME`. Its name is shown to everybody,
/// its address is not.
fn tracepoints_in(mut symbols: impl BufRead) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if symbols.read_until(b'\n', &mut line)? == 0 {
            return Ok(names);
        }
        // ffffffff81000000 T __traceiter_sched_switch [module]
        let symbol = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(2);
        let name = symbol.and_then(|symbol| symbol.strip_prefix(b"__traceiter_"));
        if let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) {
            names.insert(name.to_owned());
        }
    }
}

fn features() -> Result<BTreeSet<Feature>, HostError> {
    let taprun = sibling::find("taprun")?;
    let failed = |words: &str| HostError::Features { taprun: taprun.clone(), words: plain(words).into_owned() };
    let tried = Command::new(&taprun).arg("--features").stdin(Stdio::null()).output();
    let tried = tried.map_err(|error| failed(&error.to_string()))?;
    if !tried.status.success() {
        let words = String::from_utf8_lossy(&tried.stderr);
        let first_line = words.lines().map(str::trim).find(|line| !line.is_empty());
        return Err(failed(first_line.unwrap_or_default()));
    }
    let printed = String::from_utf8_lossy(&tried.stdout);
    let names = printed.lines().map(str::trim).filter(|name| !name.is_empty());
    let feature = |name: &str| {
        let feature = Feature::ALL.into_iter().find(|feature| feature.to_string() == name);
        feature.ok_or_else(|| HostError::UnknownFeature { taprun: taprun.clone(), name: name.to_owned() })
    };
    let features: BTreeSet<Feature> = names.map(feature).collect::<Result<_, _>>()?;
    // Every kernel that loads eBPF has some; who may not try finds none.
    if features.is_empty() { Err(failed("it found nothing")) } else { Ok(features) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracepoints_are_those_of_kernel_and_modules() {
        let symbols = "0000000000000000 T _stext\n\
                       0000000000000000 T __traceiter_sched_switch\n\
                       0000000000000000 t __traceiter_kvm_exit\t[kvm]\n\
                       0000000000000000 D __tracepoint_sched_switch\n\
                       0000000000000000 T not__traceiter_x\n\
                       __traceiter_short\n\
                       \n\
                       0000000000000000 T __traceiter_last";
        let names = tracepoints_in(symbols.as_bytes()).expect("a list");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["kvm_exit", "last", "sched_switch"]);
        assert!(tracepoints_in([0xff; 100].as_slice()).expect("a list").is_empty());
    }

    #[test]
    fn a_path_without_a_build_id_is_answered_with_the_reason() {
        for (path, reason) in [
            ("/nonexistent", "no such file"),
            ("relative/path", "no such file"),
            ("no-such-program", "no such program in $PATH"),
            ("/dev/null", "not a regular file"),
            ("/etc/passwd", "not a 64-bit ELF file"),
        ] {
            let query = FactQuery::Elf { path: path.to_owned() };
            let expected = Fact::Elf { path: path.to_owned(), found: Err(reason.to_owned()) };
            assert_eq!(answer(&query).expect("an answer"), expected);
        }
    }

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        let Fact::Elf { found, .. } = answer(&FactQuery::Elf { path: "sh".to_owned() }).expect("an answer") else {
            panic!("another answer")
        };
        let path = found.expect("every host has a shell").path;
        assert_eq!(Path::new(&path).canonicalize().expect("a file"), Path::new(&path), "{path}");
    }

    #[test]
    fn the_running_kernel_is_known_without_privileges() {
        let target = target(false).expect("a target");
        assert_eq!(target.release, rustix::system::uname().release().to_string_lossy());
        assert!(target.features.is_empty());
    }
}
