//! Writes the archive that a kernel unpacks as its first file system: cpio in the "newc" form.
//!
//! Source: Linux kernel, Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

/// The types of st_mode, from stat.h.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive in the making. Paths are absolute; the directories above a file come by themselves.
pub(super) struct Archive<W> {
    out: W,
    inode: u32,
    directories: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, inode: 0, directories: BTreeSet::new() }
    }

    /// Adds an empty directory, if it is not there yet.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.parents(path)?;
        if self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY | 0o755, 0, io::empty())
        } else {
            Ok(())
        }
    }

    /// Adds a file of `size` bytes that `contents` yields. A second file of one path replaces the first.
    pub(super) fn file(&mut self, path: &str, mode: u32, size: u64, contents: impl Read) -> io::Result<()> {
        self.parents(path)?;
        self.entry(path, REGULAR | mode & 0o7777, size, contents)
    }

    /// Adds a symbolic link at `path` to `target`.
    pub(super) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.parents(path)?;
        self.entry(path, SYMLINK | 0o777, target.len() as u64, target.as_bytes())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, 0, io::empty())?;
        Ok(self.out)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        for (end, _) in path.match_indices('/').skip(1) {
            let parent = &path[..end];
            if self.directories.insert(parent.to_owned()) {
                self.entry(parent, DIRECTORY | 0o755, 0, io::empty())?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, mode: u32, size: u64, contents: impl Read) -> io::Result<()> {
        let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is too large for cpio"));
        let size = u32::try_from(size).map_err(too_large)?;
        self.inode += 1;
        let name = path.trim_start_matches('/');
        let (links, name_size) = (1, name.len() as u32 + 1);
        // magic, then: inode, mode, uid, gid, links, mtime, size, device (2), rdevice (2), name size, check
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        write!(self.out, "070701")?;
        for field in fields {
            write!(self.out, "{field:08X}")?;
        }
        write!(self.out, "{name}\0")?;
        self.pad(110 + name_size)?;
        let written = io::copy(&mut contents.take(u64::from(size)), &mut self.out)?;
        if written != u64::from(size) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{path} shrank while it was read")));
        }
        self.pad(size)
    }

    /// Headers with their names, and contents, each end on a multiple of four bytes.
    fn pad(&mut self, written: u32) -> io::Result<()> {
        let rest = written.wrapping_neg() % 4;
        self.out.write_all(&[0; 3][..rest as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_directories_once_and_ends_aligned() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/etc/deep/a", 0o644, 3, &b"abc"[..]).expect("memory takes it");
        archive.file("/etc/deep/b", 0o755, 0, &b""[..]).expect("memory takes it");
        archive.directory("/etc").expect("memory takes it");
        archive.symlink("/bin/sh", "busybox").expect("memory takes it");
        let bytes = archive.finish().expect("memory takes it");
        let names: Vec<_> = names(&bytes);
        assert_eq!(names, ["etc", "etc/deep", "etc/deep/a", "etc/deep/b", "bin", "bin/sh", "TRAILER!!!"]);
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn a_file_that_is_shorter_than_said_is_an_error() {
        let mut archive = Archive::new(Vec::new());
        let error = archive.file("/a", 0o644, 4, &b"abc"[..]).expect_err("one byte is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// Reads the names back by the sizes in the headers.
    fn names(mut bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        while !bytes.is_empty() {
            let field = |index: usize| {
                let digits = std::str::from_utf8(&bytes[6 + 8 * index..14 + 8 * index]).expect("a header is text");
                usize::from_str_radix(digits, 16).expect("a field is hexadecimal")
            };
            let (size, name_size) = (field(6), field(11));
            names.push(String::from_utf8_lossy(&bytes[110..110 + name_size - 1]).into_owned());
            bytes = &bytes[(110 + name_size).next_multiple_of(4) + size.next_multiple_of(4)..];
        }
        names
    }
}
