//! Debuginfo that is on this host: where distributions put it, and whether a file there is the one that is wanted.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use shared::target::BuildId;

use super::{Wanted, elf};

/// A file that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Where it is.
    pub(super) path: PathBuf,
    bytes: u64,
    changed_at: Option<SystemTime>,
}

impl Known {
    /// Looks whether the file is an ELF file with that build id; says what it is where it is not.
    pub(super) fn look(path: &Path, build_id: &BuildId) -> Result<Self, String> {
        let file = std::fs::File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            _ => error.to_string(),
        })?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        let got = elf::build_id(&file)?;
        if got != *build_id {
            return Err(format!("it has build id {got}"));
        }
        Ok(Self { path: path.to_owned(), bytes: metadata.len(), changed_at: metadata.modified().ok() })
    }

    /// Whether it need not be looked at again.
    pub(super) fn is_unchanged(&self) -> bool {
        let now = std::fs::metadata(&self.path);
        now.is_ok_and(|now| now.len() == self.bytes && now.modified().ok() == self.changed_at)
    }
}

/// Where a tree like `/usr/lib/debug` has the debuginfo: by build id, and for kernels also by release, since some
/// distributions' packages have no link by build id (Debian: `boot/`, Fedora: `lib/modules/`).
pub(super) fn places(tree: &Path, wanted: &Wanted) -> Vec<PathBuf> {
    let build_id = wanted.build_id.to_string();
    let (head, tail) = build_id.split_at(2);
    let mut places = vec![tree.join(".build-id").join(head).join(format!("{tail}.debug"))];
    if let Some(release) = wanted.release.as_deref().filter(|release| is_release(release)) {
        places.push(tree.join("boot").join(format!("vmlinux-{release}")));
        places.push(tree.join("lib/modules").join(release).join("vmlinux"));
    }
    places
}

/// Whether the client's word for its kernel release can be part of a file name: it must not lead elsewhere.
fn is_release(release: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~".contains(&byte);
    (1..=64).contains(&release.len()) && release.bytes().all(is_plain) && !release.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(release: &str) -> Wanted {
        let build_id = "abcd12".parse().expect("a build id");
        Wanted { object: "the kernel".to_owned(), build_id, release: Some(release.to_owned()) }
    }

    #[test]
    fn a_kernel_is_looked_for_by_build_id_and_by_release() {
        let places = places(Path::new("/d"), &wanted("6.1.0-56-cloud-amd64"));
        let expected = [
            "/d/.build-id/ab/cd12.debug",
            "/d/boot/vmlinux-6.1.0-56-cloud-amd64",
            "/d/lib/modules/6.1.0-56-cloud-amd64/vmlinux",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
    }

    #[test]
    fn a_release_that_leads_elsewhere_is_not_used() {
        for release in ["..", "../../etc/passwd", "a/b", "", "a\0b", &"a".repeat(65)] {
            assert_eq!(places(Path::new("/d"), &wanted(release)).len(), 1, "{release:?} was used");
        }
    }
}
