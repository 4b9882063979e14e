//! The host a script is compiled for: what the client measures, and what the compiler may still ask.
//!
//! Everything here is the client's word. A lie costs only the liar: the artifact is bound to the build ids, and the host
//! that loads it compares them with its own.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::BUILD_ID_BYTES_MAX;

/// The exact kernel and its abilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The processor architecture.
    pub architecture: Architecture,
    /// `uname -r`, for people and for `kernel_v` conditions; the build id decides.
    pub release: String,
    /// `NT_GNU_BUILD_ID` of the running kernel, from `/sys/kernel/notes`.
    pub kernel: BuildId,
    /// What the kernel was found able to do, by trying.
    pub features: BTreeSet<Feature>,
}

/// Processor architectures that code is generated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// x86-64, `pt_regs` of arch/x86/include/asm/ptrace.h.
    X86_64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
        })
    }
}

/// One ability of a kernel that changes what may be attached or generated. Probed, never derived from a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// kprobes through `perf_event_open` (CONFIG_KPROBE_EVENTS).
    Kprobe,
    /// uprobes through `perf_event_open` (CONFIG_UPROBE_EVENTS).
    Uprobe,
    /// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
    RawTracepoint,
    /// `BPF_MAP_TYPE_RINGBUF` (since 5.8).
    RingBuffer,
    /// `bpf_get_attach_cookie` and cookies on perf-event links (since 5.15).
    AttachCookie,
    /// `bpf_snprintf` (since 5.13).
    Snprintf,
    /// `bpf_ktime_get_tai_ns` (since 6.1).
    TaiClock,
    /// The instruction `may_goto`, which bounds loops that the verifier cannot (since 6.9).
    MayGoto,
    /// `bpf_map_lookup_percpu_elem`, to read what other processors have in a per-CPU map (since 5.19).
    PerCpuLookup,
}

impl Feature {
    /// Every feature, in the order they are probed and printed.
    pub const ALL: [Self; 9] = [
        Self::Kprobe,
        Self::Uprobe,
        Self::RawTracepoint,
        Self::RingBuffer,
        Self::AttachCookie,
        Self::Snprintf,
        Self::TaiClock,
        Self::MayGoto,
        Self::PerCpuLookup,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kprobe => "kprobe",
            Self::Uprobe => "uprobe",
            Self::RawTracepoint => "raw_tracepoint",
            Self::RingBuffer => "ring_buffer",
            Self::AttachCookie => "attach_cookie",
            Self::Snprintf => "snprintf",
            Self::TaiClock => "tai_clock",
            Self::MayGoto => "may_goto",
            Self::PerCpuLookup => "per_cpu_lookup",
        })
    }
}

/// The identity of an ELF file's contents: the descriptor of its `NT_GNU_BUILD_ID` note. Written as lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(Vec<u8>);

/// Why bytes or text are not a build id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a build id: {0:?} (expected 2 to 128 lower-case hex digits)")]
pub struct BuildIdError(String);

impl BuildId {
    /// Takes the note's descriptor.
    ///
    /// # Errors
    /// When it is empty or longer than [`BUILD_ID_BYTES_MAX`].
    pub fn new(descriptor: &[u8]) -> Result<Self, BuildIdError> {
        if descriptor.is_empty() || descriptor.len() > BUILD_ID_BYTES_MAX {
            return Err(BuildIdError(hex(&descriptor[..descriptor.len().min(BUILD_ID_BYTES_MAX)])));
        }
        Ok(Self(descriptor.to_vec()))
    }

    /// The raw bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    fn from_str(text: &str) -> Result<Self, BuildIdError> {
        let bytes = unhex(text).ok_or_else(|| BuildIdError(text.chars().take(160).collect()))?;
        Self::new(&bytes)
    }
}

impl Serialize for BuildId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for BuildId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// A question only the host can answer. The compiler asks when a script needs it; nothing else is revealed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FactQuery {
    /// The ELF file at `path`.
    Elf {
        /// A path on the host; without a slash, a program to be looked for in `$PATH`.
        path: String,
    },
    /// The tracepoints whose name matches `pattern` (a shell glob), of the kernel and its loaded modules.
    Tracepoints {
        /// A glob such as `sched_*`.
        pattern: String,
    },
    /// The value of an option of the kernel's configuration.
    KernelConfig {
        /// The option: `CONFIG_SMP`.
        name: String,
    },
}

impl fmt::Display for FactQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf { path } => write!(f, "the build id of {path}"),
            Self::Tracepoints { pattern } => write!(f, "the tracepoints matching {pattern:?}"),
            Self::KernelConfig { name } => write!(f, "{name} of the kernel's configuration"),
        }
    }
}

/// The host's answer to a [`FactQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// What is at a path.
    Elf {
        /// The path that was asked about.
        path: String,
        /// The file, or why there is none: `no such file`, `it has no build id`.
        found: Result<ElfFile, String>,
    },
    /// The tracepoints that match.
    Tracepoints {
        /// The pattern that was asked about.
        pattern: String,
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// An option of the kernel's configuration.
    KernelConfig {
        /// The option that was asked about.
        name: String,
        /// Its value as a `.config` has it (`y`, `m`, `64`, `"x"`), nothing where it is not set; or why that is not known.
        value: Result<Option<String>, String>,
    },
}

/// An ELF file on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFile {
    /// Its absolute path, without symbolic links: where probes attach.
    pub path: String,
    /// Its build id.
    pub build_id: BuildId,
}

impl Fact {
    /// The question this answers.
    #[must_use]
    pub fn query(&self) -> FactQuery {
        match self {
            Self::Elf { path, .. } => FactQuery::Elf { path: path.clone() },
            Self::Tracepoints { pattern, .. } => FactQuery::Tracepoints { pattern: pattern.clone() },
            Self::KernelConfig { name, .. } => FactQuery::KernelConfig { name: name.clone() },
        }
    }
}

/// Whether `name` matches the shell glob `pattern`: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`, as in fnmatch(3).
///
/// Client and server must agree on it: the client answers questions that hold patterns, the compiler matches symbols.
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = pattern.get(p).and_then(|&byte| match byte {
            b'*' => None,
            b'?' => Some(1),
            b'[' => bracket(&pattern[p..], name[n]),
            byte => (byte == name[n]).then_some(1),
        });
        if let Some(width) = step {
            p += width;
            n += 1;
        } else if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some((star_p, star_n)) = star {
            star = Some((star_p, star_n + 1));
            (p, n) = (star_p + 1, star_n + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Matches one `[…]` at the start of `pattern` against `byte`; gives its length when it matches.
fn bracket(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut at = first;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            break;
        }
        if pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|&b| b != b']') {
            found |= (low..=*pattern.get(at + 2)?).contains(&byte);
            at += 3;
        } else {
            found |= low == byte;
            at += 1;
        }
    }
    (found != negated).then_some(at + 1)
}

/// Whether `text` holds a character that [`glob_matches`] treats specially.
#[must_use]
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_are_lower_case_hex() {
        let id: BuildId = "00ff1a".parse().expect("a build id");
        assert_eq!(id.bytes(), [0x00, 0xff, 0x1a]);
        assert_eq!(id.to_string(), "00ff1a");
        for wrong in ["", "0", "0G", "AB", &"00".repeat(65), "é0"] {
            assert!(wrong.parse::<BuildId>().is_err(), "{wrong:?} was taken for a build id");
        }
    }

    #[test]
    fn globs_match_as_fnmatch_does() {
        for (pattern, name) in [
            ("vfs_*", "vfs_read"),
            ("*", ""),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("*_*d", "a_b_d"),
            ("[]]", "]"),
        ] {
            assert!(glob_matches(pattern, name), "{pattern} should match {name}");
        }
        for (pattern, name) in
            [("vfs_*", "vfs"), ("", "a"), ("a?c", "ac"), ("[a-c]x", "dx"), ("[!a]x", "ax"), ("[a", "a")]
        {
            assert!(!glob_matches(pattern, name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn a_hostile_glob_takes_no_exponential_time() {
        assert!(!glob_matches(&"*a".repeat(100), &"a".repeat(99)));
    }
}
