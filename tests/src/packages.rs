//! Debian's kernels: found through apt, downloaded once, unpacked into the cache.
//!
//! apt knows the mirror, this file must not. Meta packages lead to the present point release; the debug package is
//! taken at the very version of the image, because a build id is as exact as that.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cache;
use crate::kernels::Kernel;
use crate::process;

/// A kernel image, its modules and its debuginfo, unpacked as the packages would install them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The name in the support matrix: `6.1`.
    pub name: String,
    /// The version of the packages: `6.1.192-2`.
    pub version: String,
    /// What the kernel calls itself, `uname -r`: `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// The root of the unpacked tree.
    pub root: PathBuf,
}

impl Unpacked {
    /// The compressed kernel that a machine boots.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Where the modules are, stripped, and perhaps each compressed.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }

    /// Where the debuginfo of the kernel and of its modules is.
    #[must_use]
    pub fn debuginfo(&self) -> PathBuf {
        self.root.join("usr/lib/debug")
    }

    /// The kernel with its debuginfo.
    #[must_use]
    pub fn vmlinux(&self) -> PathBuf {
        self.debuginfo().join("boot").join(format!("vmlinux-{}", self.release))
    }

    fn open(kernel: &Kernel, version: &str) -> Result<Self> {
        let root = home(kernel)?.join(version);
        let modules = root.join("lib/modules");
        let mut releases = fs::read_dir(&modules).with_context(|| format!("cannot read {}", modules.display()))?;
        let release = releases.next().with_context(|| format!("{} is empty", modules.display()))??;
        let release = release.file_name().to_string_lossy().into_owned();
        let unpacked = Self { name: kernel.name.clone(), version: version.to_owned(), release, root };
        for file in [unpacked.image(), unpacked.vmlinux()] {
            ensure!(file.is_file(), "the kernel packages carry no {}", file.display());
        }
        Ok(unpacked)
    }
}

/// The kernel as an earlier [`fetch`] left it, without asking anybody. `None` when there was none.
///
/// # Errors
/// When the cache is damaged.
pub fn cached(kernel: &Kernel) -> Result<Option<Unpacked>> {
    match fs::read_link(home(kernel)?.join(CURRENT)) {
        Ok(version) => Ok(Some(Unpacked::open(kernel, &version.to_string_lossy())?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The kernel at the version that Debian ships now, downloaded if it is not here yet. When that version cannot be had,
/// the version of an earlier run serves, with a notice.
///
/// # Errors
/// When the kernel is neither to be had nor cached.
pub fn fetch(kernel: &Kernel) -> Result<Unpacked> {
    let _lock = cache::lock()?;
    let problem = match fetch_candidate(kernel) {
        Ok(unpacked) => return Ok(unpacked),
        Err(problem) => problem,
    };
    // Package lists grow stale: a name of theirs may have left the archive. One refresh, one more try, even if the
    // refresh failed for some of the lists.
    let refreshed = refresh_lists();
    let problem = match fetch_candidate(kernel) {
        Ok(unpacked) => return Ok(unpacked),
        Err(again) => format!("{:#}; first: {problem:#}", refreshed.err().unwrap_or(again)),
    };
    let Some(unpacked) = cached(kernel)? else { bail!("no kernel {}: {problem}", kernel.name) };
    eprintln!("kernel {}: keeping {} of an earlier run, because {problem}", kernel.name, unpacked.version);
    Ok(unpacked)
}

/// Makes apt read the archive's package lists anew.
///
/// # Errors
/// When not root, or when apt cannot reach its archive.
pub fn refresh_lists() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "package lists are missing or stale: run `apt-get update` as root");
    process::output(Command::new("apt-get").args(["update", "-qq", "-o", "APT::Update::Error-Mode=any"])).map(drop)
}

/// The link in a kernel's directory that names the version of the last fetch.
const CURRENT: &str = "current";

/// A package as apt would install it now.
struct Candidate {
    package: String,
    version: String,
}

fn home(kernel: &Kernel) -> Result<PathBuf> {
    Ok(cache::directory()?.join("kernels").join(&kernel.name))
}

fn fetch_candidate(kernel: &Kernel) -> Result<Unpacked> {
    let candidate = candidate(kernel)?;
    let home = home(kernel)?;
    fs::create_dir_all(&home)?;
    if !home.join(&candidate.version).exists() {
        unpack(kernel, &candidate, &home)?;
    }
    let unpacked = Unpacked::open(kernel, &candidate.version)?;
    point(&home, &candidate.version)?;
    Ok(unpacked)
}

/// Asks apt which image the kernel's meta packages lead to.
fn candidate(kernel: &Kernel) -> Result<Candidate> {
    let mut command = Command::new("apt-cache");
    command.args(["show", "--no-all-versions"]).args(&kernel.packages).env("LC_ALL", "C");
    // It fails when it knows none of the packages, and that is no more than an empty answer.
    let shown = command.output().context("cannot run apt-cache: the kernels to test on are Debian's packages")?;
    let shown = String::from_utf8_lossy(&shown.stdout);
    let found = shown.lines().filter_map(image_dependency).find(|found| is_release(&found.version, &kernel.name));
    found.with_context(|| format!("apt knows no kernel {} through {}", kernel.name, kernel.packages.join(", ")))
}

/// `Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)` of a meta package.
fn image_dependency(line: &str) -> Option<Candidate> {
    let dependencies = line.strip_prefix("Depends: ")?;
    let image = dependencies.split(", ").find(|dependency| dependency.starts_with("linux-image-"))?;
    let (package, version) = image.strip_suffix(')')?.split_once(" (= ")?;
    Some(Candidate { package: package.to_owned(), version: version.to_owned() })
}

/// Whether `version`, `6.1.192-2`, is of the release `name`, `6.1`.
fn is_release(version: &str, name: &str) -> bool {
    version.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

fn unpack(kernel: &Kernel, candidate: &Candidate, home: &Path) -> Result<()> {
    for leftover in fs::read_dir(home)?.filter_map(Result::ok).filter(|entry| is_unfinished(&entry.file_name())) {
        fs::remove_dir_all(leftover.path())?;
    }
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(home)?;
    let root = unfinished.path().join("root");
    fs::create_dir(&root)?;
    for package in [candidate.package.clone(), format!("{}-dbg", candidate.package)] {
        eprintln!("kernel {}: downloading {package} {}", kernel.name, candidate.version);
        let archive = download(&package, &candidate.version, unfinished.path())?;
        eprintln!("kernel {}: unpacking {package}", kernel.name);
        process::output(Command::new("dpkg-deb").arg("-x").args([&archive, &root]))?;
        fs::remove_file(archive)?;
    }
    fs::rename(&root, home.join(&candidate.version))?;
    Ok(())
}

/// How a directory begins that a fetch is filling, or was when it died.
const UNFINISHED: &str = ".unfinished-";

fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

fn download(package: &str, version: &str, directory: &Path) -> Result<PathBuf> {
    let mut command = Command::new("apt-get");
    // As root, apt would drop to a user of its own, who may not write here.
    command.args(["download", "-qq", "-o", "APT::Sandbox::User=root"]);
    process::output(command.arg(format!("{package}={version}")).current_dir(directory))?;
    let mut entries = fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = entries.find(|path| path.extension() == Some(OsStr::new("deb")));
    archive.with_context(|| format!("apt-get download {package} left no archive"))
}

fn point(home: &Path, version: &str) -> Result<()> {
    let unfinished = home.join(format!("{UNFINISHED}link"));
    if unfinished.symlink_metadata().is_ok() {
        fs::remove_file(&unfinished)?;
    }
    symlink(version, &unfinished)?;
    Ok(fs::rename(unfinished, home.join(CURRENT))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_package_leads_to_one_image_at_one_version() {
        let line = "Depends: linux-base (>= 4), linux-image-6.12.117+deb12-cloud-amd64 (= 6.12.117-1~deb12u1)";
        let found = image_dependency(line).expect("the line names an image");
        assert_eq!(found.package, "linux-image-6.12.117+deb12-cloud-amd64");
        assert_eq!(found.version, "6.12.117-1~deb12u1");
        assert!(image_dependency("Depends: linux-image-cloud-amd64").is_none(), "no exact version");
        assert!(image_dependency("Recommends: linux-image-cloud-amd64 (= 6.1.192-2)").is_none(), "not a dependency");
    }

    #[test]
    fn a_release_is_not_the_prefix_of_another() {
        assert!(is_release("6.1.192-2", "6.1"));
        assert!(!is_release("6.12.117-1", "6.1"));
    }
}
