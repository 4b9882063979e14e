//! Finds the end of a command's output in a byte stream that goes on.
//!
//! The guest ends a command's output with a line of our own: a marker that nobody could have guessed, then perhaps the
//! exit status. Whatever cannot be part of that line is handed on at once, so that a person sees output as it comes.

/// One direction of a serial port.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// What has come and was not handed on: the beginning of the marker, perhaps.
    held: Vec<u8>,
}

/// What [`Stream::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Output of the command.
    pub(super) output: Vec<u8>,
    /// What the line of the marker says behind it, once it has come.
    pub(super) end: Option<String>,
}

impl Stream {
    /// Takes in `bytes` and hands out what is known to come before `marker`.
    pub(super) fn take(&mut self, bytes: &[u8], marker: &[u8]) -> Taken {
        self.held.extend_from_slice(bytes);
        let Some(start) = self.held.windows(marker.len()).position(|window| window == marker) else {
            let output_bytes = self.held.len() - overlap(&self.held, marker);
            return Taken { output: self.held.drain(..output_bytes).collect(), end: None };
        };
        let output = self.held.drain(..start).collect();
        let Some(line_bytes) = self.held.iter().position(|&byte| byte == b'\n') else {
            return Taken { output, end: None };
        };
        let line: Vec<u8> = self.held.drain(..=line_bytes).collect();
        Taken { output, end: Some(String::from_utf8_lossy(&line[marker.len()..]).trim().to_owned()) }
    }
}

/// How many bytes at the end of `bytes` may be the beginning of `marker`.
fn overlap(bytes: &[u8], marker: &[u8]) -> usize {
    let longest = bytes.len().min(marker.len().saturating_sub(1));
    (1..=longest).rev().find(|&length| bytes.ends_with(&marker[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `piece_bytes`; returns the output before the marker and what its line said.
    fn fed(text: &str, piece_bytes: usize) -> (String, Option<String>) {
        let (mut stream, mut output, mut end) = (Stream::default(), Vec::new(), None);
        for piece in text.as_bytes().chunks(piece_bytes) {
            let taken = stream.take(piece, b"<<mark>>");
            output.extend(taken.output);
            end = end.or(taken.end);
        }
        (String::from_utf8(output).expect("the text is ASCII"), end)
    }

    #[test]
    fn the_marker_is_found_however_the_stream_is_cut() {
        for piece_bytes in 1..20 {
            let (output, end) = fed("one\n<<mark two<<mark>> 42\n", piece_bytes);
            assert_eq!(output, "one\n<<mark two", "in pieces of {piece_bytes}");
            assert_eq!(end.as_deref(), Some("42"), "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn output_is_not_held_back_for_a_marker_that_has_not_begun() {
        let mut stream = Stream::default();
        assert_eq!(stream.take(b"hello\n", b"<<mark>>").output, b"hello\n");
        assert_eq!(stream.take(b"a<<ma", b"<<mark>>").output, b"a");
        assert_eq!(stream.take(b"p", b"<<mark>>").output, b"<<map");
    }

    #[test]
    fn what_follows_the_marker_belongs_to_the_next_command() {
        let mut stream = Stream::default();
        assert_eq!(stream.take(b"<<1>> 0\nlate", b"<<1>>"), Taken { output: Vec::new(), end: Some("0".to_owned()) });
        assert_eq!(stream.take(b"r", b"<<2>>").output, b"later");
    }
}
