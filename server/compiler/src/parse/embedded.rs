//! Embedded C, which is refused: there is no C compiler, and no kernel module to put its code in. What it is mostly used
//! for has a word of its own.

use shared::diagnostic::{Diagnostic, Span};

use super::cursor::Parser;
use super::token::Token;

/// What embedded code does, by the words found in it, and what to write instead.
const IDIOMS: &[(&[&str], &str)] = &[
    (&["container_of"], "for `container_of`, write `@container_of(pointer, \"struct type\", member)` or `@cast(…)`"),
    (&["current"], "for `current`, write `task_current()`, and `@cast(task_current(), \"struct task_struct\")->…`"),
    (
        &["NIPQUAD", "NIP6", "pI4", "pI6", "in_ntoa", "ntop"],
        "to format an address, write `ip_ntop(address)` or `format_ipaddr(address, family)`",
    ),
    (
        &["strncpy_from_user", "copy_from_user", "__copy_from_user", "_stp_copy_from_user", "user_string"],
        "to read a string of a process, write `user_string(address)`",
    ),
    (
        &["list_entry", "list_for_each", "list_for_each_safe", "list_for_each_entry", "for_each_process", "next_task"],
        "to walk a list, follow its pointers in a `while` loop, with `@container_of(pointer, \"struct type\", member)`",
    ),
    (
        &["strlcpy", "strscpy", "strncpy", "strcpy", "sprintf", "snprintf", "strlcat", "kernel_string", "memcpy"],
        "to read a string of the kernel, write `kernel_string(address)`; to put one together, `sprintf(…)` or `.`",
    ),
    (
        &["kread", "deref", "kderef", "probe_kernel_read", "copy_from_kernel_nofault"],
        "to read memory, write `@cast(address, \"type\")->member`, or `kernel_long(address)` and the like",
    ),
    (
        &["extern", "EXPORT_SYMBOL", "kallsyms_lookup_name"],
        "to read a global of the kernel, write `@var(\"name@file.c\")`",
    ),
    (
        &["jiffies", "ktime_get", "gettimeofday", "do_gettimeofday", "local_clock"],
        "for the time, write `gettimeofday_ns()`, `ktime_get_ns()` or `jiffies()`",
    ),
    (&["strlen", "strstr", "strchr", "strsep"], "for strings, there are `strlen`, `isinstr`, `substr` and `tokenize`"),
    (
        &["ntohs", "ntohl", "htons", "htonl"],
        "for the order of bytes, `ntohs`, `ntohl`, `htons` and `htonl` are functions",
    ),
    (&["smp_processor_id", "raw_smp_processor_id"], "for the processor, write `cpu()`"),
    (&["printk", "_stp_printf", "STAP_PRINTF"], "to print, write `printf(…)`"),
    (&["struct"], "to read members of a structure, write `@cast(pointer, \"struct type\")->member`"),
    (&["include"], "no header is needed: types and constants come from the debuginfo (`@cast`, `@enum`, `@const`)"),
];

impl Parser<'_> {
    /// Says that a `%{ … %}` cannot be, and what can be in its place.
    pub(super) fn refuse_embedded(&mut self, token: Token) {
        const TEXT_BYTES_MAX: usize = 16 << 10;
        const IDIOMS_MAX: usize = 3;
        let text = self.text(token);
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let message = "embedded C cannot be compiled: scripts become BPF programs, not kernel modules";
        let open = Span { end: token.span.start + 2, ..token.span };
        let mut diagnostic = Diagnostic::error("parse/embedded-c", open, message);
        let words = |text: &str, words: &[&str]| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| words.contains(&word))
        };
        if let Some(constant) = constant(text) {
            diagnostic =
                diagnostic.help(format!("for a constant, write `@const(\"{constant}\")`, in guru mode (`-g`)"));
        }
        for (_, help) in IDIOMS.iter().filter(|(idiom, _)| words(text, idiom)).take(IDIOMS_MAX) {
            diagnostic = diagnostic.help(*help);
        }
        if diagnostic.notes.is_empty() {
            diagnostic =
                diagnostic.help("write it in the script language; functions of the tapset reach into the kernel");
        }
        self.report(diagnostic);
    }
}

/// The name in `%{ NAME %}` and `%{ -NAME %}`.
fn constant(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("%{")?.strip_suffix("%}")?.trim();
    let name = inside.strip_prefix('-').unwrap_or(inside);
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then_some(name)
}
