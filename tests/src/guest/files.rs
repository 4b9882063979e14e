//! What is put into a guest before it boots: the caller's files, busybox, the modules of its devices, and init.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use crate::packages::Unpacked;
use crate::process;

/// A file for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFile {
    /// Where it lies in the guest, absolute.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// What it holds.
    pub contents: Contents,
}

/// What a file for the guest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file of the host holds.
    Host(PathBuf),
}

impl GuestFile {
    /// A file at `path` that holds `bytes`.
    #[must_use]
    pub fn bytes(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode, contents: Contents::Bytes(bytes.into()) }
    }

    /// The host's file `source` at `path`, with its permission bits.
    ///
    /// # Errors
    /// When there is no such file on the host.
    pub fn host(path: &str, source: &Path) -> Result<Self> {
        let metadata = fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
        ensure!(metadata.is_file(), "{} is no file", source.display());
        let mode = metadata.permissions().mode() & 0o7777;
        Ok(Self { path: path.to_owned(), mode, contents: Contents::Host(source.to_owned()) })
    }

    /// The host's dynamic program `source` at `path`, with the shared libraries it needs where its loader looks for
    /// them.
    ///
    /// # Errors
    /// When ldd(1) cannot tell them, or does not find one.
    pub fn program(path: &str, source: &Path) -> Result<Vec<Self>> {
        let mut files = vec![Self::host(path, source)?];
        let listed = process::output(Command::new("ldd").arg(source))?;
        for line in String::from_utf8_lossy(&listed).lines() {
            ensure!(!line.ends_with("not found"), "{} misses a library: {}", source.display(), line.trim());
            if let Some(library) = library(line) {
                files.push(Self::host(library, Path::new(library))?);
            }
        }
        Ok(files)
    }
}

/// The path in a line of ldd: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f…)`, or of the loader itself, which
/// has no arrow. The vdso has no path.
fn library(line: &str) -> Option<&str> {
    let (_, found) = line.split_once(" => ").unwrap_or(("", line));
    let path = found.trim().split(' ').next()?;
    path.starts_with('/').then_some(path)
}

/// The modules that a guest's devices need, in an order in which each finds what it needs loaded: the network, and the
/// serial ports. A kernel may have any of them built in.
const MODULES: [&str; 9] = [
    "failover",
    "net_failover",
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_net",
    "virtio_console",
];

/// Writes the archive that `kernel` unpacks as its root file system.
pub(super) fn write(out: impl Write, kernel: &Unpacked, files: &[GuestFile]) -> Result<()> {
    let mut archive = Archive::new(BufWriter::new(out));
    for directory in ["/dev", "/proc", "/root", "/run", "/sys", "/tmp", "/var/tmp"] {
        archive.directory(directory)?;
    }
    let busybox = busybox()?;
    add(&mut archive, &GuestFile { mode: 0o755, ..GuestFile::host("/bin/busybox", &busybox)? })?;
    add(&mut archive, &GuestFile::bytes("/init", 0o755, include_str!("init.sh")))?;
    add(&mut archive, &GuestFile::bytes("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"))?;
    add(&mut archive, &GuestFile::bytes("/etc/group", 0o644, "root:x:0:\n"))?;
    archive.symlink("/etc/mtab", "/proc/self/mounts")?;
    let modules = modules(kernel, &busybox)?;
    let order: String = modules.iter().map(|module| format!("{}\n", module.path)).collect();
    add(&mut archive, &GuestFile::bytes("/run/testbed/modules", 0o644, order))?;
    for file in modules.iter().chain(files) {
        add(&mut archive, file)?;
    }
    archive.finish()?.flush()?;
    Ok(())
}

fn add(archive: &mut Archive<impl Write>, file: &GuestFile) -> Result<()> {
    ensure!(file.path.starts_with('/'), "the path {} in the guest is not absolute", file.path);
    match &file.contents {
        Contents::Bytes(bytes) => archive.file(&file.path, file.mode, bytes.len() as u64, bytes.as_slice())?,
        Contents::Host(path) => {
            let source = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            archive.file(&file.path, file.mode, source.metadata()?.len(), source)?;
        }
    }
    Ok(())
}

fn busybox() -> Result<PathBuf> {
    // Debian's two packages of busybox, static or not, use the same name; setup asks for the static one.
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let found = places.into_iter().find(|path| path.is_file());
    found.context("busybox is not here: run `cargo xtask setup`")
}

/// Those of [`MODULES`] that `kernel` has as files, uncompressed.
fn modules(kernel: &Unpacked, busybox: &Path) -> Result<Vec<GuestFile>> {
    let builtin = fs::read_to_string(kernel.modules().join("modules.builtin"))?;
    let mut loaded = Vec::new();
    for name in MODULES {
        let places = module_places(name);
        if builtin.lines().any(|line| places.iter().any(|place| line == place)) {
            continue;
        }
        let module = places.iter().find_map(|place| module(kernel, place, busybox).transpose());
        loaded.push(module.with_context(|| format!("kernel {} has no module {name}", kernel.release))??);
    }
    Ok(loaded)
}

/// Where the kernel's tree keeps the module, relative to the directory of modules.
fn module_places(name: &str) -> Vec<String> {
    let directories = ["drivers/virtio", "drivers/net", "drivers/char", "net/core"];
    directories.map(|directory| format!("kernel/{directory}/{name}.ko")).to_vec()
}

fn module(kernel: &Unpacked, place: &str, busybox: &Path) -> Result<Option<GuestFile>> {
    let plain = kernel.modules().join(place);
    let compressed = kernel.modules().join(format!("{place}.xz"));
    let path = format!("/lib/modules/{}/{place}", kernel.release);
    if plain.is_file() {
        return Ok(Some(GuestFile::host(&path, &plain)?));
    }
    if compressed.is_file() {
        let bytes = process::output(Command::new(busybox).arg("xzcat").arg(compressed))?;
        return Ok(Some(GuestFile::bytes(&path, 0o644, bytes)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        assert_eq!(
            library("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some("/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007ff)"), None);
        assert_eq!(library("\tstatically linked"), None);
    }
}
