//! Where the script's words go: standard output or a file, through a buffer that is emptied whenever the session is idle.
//! Knows nothing of where the words come from.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use shared::abi::format::Format;
use shared::abi::value::Datum;

/// Bytes that wait at the most.
const BUFFER_BYTES: usize = 64 << 10;

/// How long a word waits at the most while the session is busy.
const DELAY_MAX: Duration = Duration::from_millis(100);

/// A buffered file. After an error nothing more is written; the session looks for it and ends.
#[derive(Debug)]
pub struct Output {
    file: File,
    buffer: Vec<u8>,
    flushed: Instant,
    error: Option<io::Error>,
}

impl Output {
    /// Writes to `file`.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, buffer: Vec::with_capacity(BUFFER_BYTES), flushed: Instant::now(), error: None }
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// When it is closed.
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::new(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// Appends a format with its arguments.
    pub fn print(&mut self, format: &Format, arguments: &[Datum]) {
        format.render(arguments, &mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES || self.flushed.elapsed() >= DELAY_MAX {
            self.flush();
        }
    }

    /// Appends a text as it is.
    pub fn write(&mut self, text: &[u8]) {
        self.buffer.extend_from_slice(text);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Writes everything out.
    pub fn flush(&mut self) {
        if self.error.is_none() && !self.buffer.is_empty() {
            self.error = self.file.write_all(&self.buffer).err();
        }
        self.buffer.clear();
        self.flushed = Instant::now();
    }

    /// Whether nothing can be written any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Why nothing can be written any more. A broken pipe is no fault: nobody reads any more.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn words_wait_until_they_are_flushed() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut output = Output::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let format = Format::parse(b"%d%%\n").expect("a format");
        output.print(&format, &[Datum::Long(42)]);
        output.flush();
        let mut text = [0; 4];
        reader.read_exact(&mut text).expect("a line");
        assert_eq!((&text, output.has_failed()), (b"42%\n", false));
    }

    #[test]
    fn a_reader_that_leaves_is_noticed() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut output = Output::new(File::from(std::os::fd::OwnedFd::from(writer)));
        output.print(&Format::parse(b"x").expect("a format"), &[]);
        output.flush();
        assert_eq!(output.take_error().map(|error| error.kind()), Some(io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_full_disk_is_another_matter() {
        let mut output = Output::new(File::options().write(true).open("/dev/full").expect("/dev/full"));
        output.print(&Format::parse(b"x").expect("a format"), &[]);
        output.flush();
        assert!(output.has_failed());
        assert_eq!(output.take_error().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    }
}
