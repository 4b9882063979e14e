//! Finds the declarations in a text by their keywords, faster than reading it. It must not know what becomes of them.

use bstr::ByteSlice as _;

/// Something that a text declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Declared<'a> {
    /// `function f`
    Function(&'a str),
    /// `global g`
    Global(&'a str),
    /// `probe a.b = …`, the components joined by dots.
    Alias(String),
    /// `@define m`
    Macro(&'a str),
    /// A macro is called where a declaration could stand.
    Unseen,
}

/// Calls `found` with each declaration that other files may see, in order.
pub(super) fn scan<'a>(text: &'a str, found: &mut dyn FnMut(Declared<'a>)) {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0 };
    scanner.file(found);
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Braces and parentheses that are open.
    depth: usize,
}

impl<'a> Scanner<'a> {
    fn file(&mut self, found: &mut dyn FnMut(Declared<'a>)) {
        let mut is_private = false;
        // After a dot, a keyword is the component of a probe point.
        let mut is_component = false;
        while let Some(byte) = self.next_significant() {
            let was_private = std::mem::take(&mut is_private);
            let was_component = std::mem::take(&mut is_component);
            if is_word_start(byte) {
                match self.word() {
                    _ if was_component => {}
                    // Keywords stand nowhere else: brackets that a conditional leaves open end here.
                    "probe" => {
                        self.depth = 0;
                        self.probe(found);
                    }
                    "function" if self.starts_word() => {
                        self.depth = 0;
                        let name = self.word();
                        if !was_private {
                            found(Declared::Function(name));
                        }
                    }
                    "global" => {
                        self.depth = 0;
                        self.globals(was_private, found);
                    }
                    "private" => is_private = true,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'@' => self.at_word(found),
                b'{' | b'(' | b'[' => self.depth += 1,
                b'}' | b')' | b']' => self.depth = self.depth.saturating_sub(1),
                b'.' => is_component = true,
                _ => {}
            }
            if byte != b'@' {
                self.at += 1;
            }
        }
    }

    /// `a.b = c = …`: every name before an `=`.
    fn probe(&mut self, found: &mut dyn FnMut(Declared<'a>)) {
        loop {
            let mut name = String::new();
            while self.next_significant().is_some_and(|byte| is_word_start(byte) || byte == b'.') {
                if self.bytes[self.at] == b'.' {
                    name.push('.');
                    self.at += 1;
                } else {
                    name.push_str(self.word());
                }
            }
            if self.next_significant() == Some(b'+') {
                self.at += 1;
            }
            if name.is_empty() || self.next_significant() != Some(b'=') {
                return;
            }
            self.at += 1;
            found(Declared::Alias(name));
        }
    }

    /// `a, b[10]%, c = 1`
    fn globals(&mut self, is_private: bool, found: &mut dyn FnMut(Declared<'a>)) {
        while self.starts_word() {
            let name = self.word();
            if !is_private {
                found(Declared::Global(name));
            }
            // What follows a name is on the way to a comma; a keyword comes without one.
            while let Some(byte) = self.next_significant() {
                match byte {
                    b'%' | b'[' | b']' | b'=' | b'-' | b'+' | b'0'..=b'9' | b'$' => self.at += 1,
                    b'a'..=b'f' | b'x' | b'X' | b'A'..=b'F' if self.bytes[self.at - 1].is_ascii_digit() => {
                        self.word();
                    }
                    _ => break,
                }
            }
            if self.next_significant() != Some(b',') {
                return;
            }
            self.at += 1;
        }
    }

    /// `@define m(x) %( … %)`, or the call of a macro.
    fn at_word(&mut self, found: &mut dyn FnMut(Declared<'a>)) {
        self.at += 1;
        if !self.bytes.get(self.at).copied().is_some_and(is_word_start) {
            return;
        }
        if self.word() != "define" {
            if self.depth == 0 {
                found(Declared::Unseen);
            }
            return;
        }
        if self.starts_word() {
            found(Declared::Macro(self.word()));
        }
        while self.next_significant().is_some_and(|byte| byte != b'%') {
            self.at += 1;
        }
        let mut open = 0_usize;
        while self.next_significant().is_some() {
            match self.bytes.get(self.at..self.at + 2) {
                Some(b"%(") => open += 1,
                Some(b"%)") if open <= 1 => {
                    self.at += 2;
                    return;
                }
                Some(b"%)") => open -= 1,
                _ => {}
            }
            // A mark and a bracket are not to be taken for one another.
            self.at += if self.bytes[self.at] == b'%' { 2 } else { 1 };
        }
    }

    fn starts_word(&mut self) -> bool {
        self.next_significant().is_some_and(is_word_start)
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        let rest = &self.bytes[start..];
        self.at += rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    /// Skips blanks, comments, strings and embedded code; gives what stands there, and stays before it.
    fn next_significant(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            let next = self.bytes.get(self.at + 1).copied();
            match (byte, next) {
                (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'#', _) | (b'/', Some(b'/')) => self.skip_past(b"\n"),
                (b'/', Some(b'*')) => {
                    self.at += 2;
                    self.skip_past(b"*/");
                }
                (b'%', Some(b'{')) => {
                    self.at += 2;
                    self.skip_past(b"%}");
                }
                (b'"', _) => self.skip_string(),
                _ => return Some(byte),
            }
        }
    }

    fn skip_past(&mut self, end: &[u8]) {
        let rest = &self.bytes[self.at..];
        let found = rest.find(end);
        self.at += found.map_or(rest.len(), |at| at + end.len());
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' | b'\n' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        scan(text, &mut |declared| {
            found.push(match declared {
                Declared::Function(name) => format!("function {name}"),
                Declared::Global(name) => format!("global {name}"),
                Declared::Alias(name) => format!("probe {name}"),
                Declared::Macro(name) => format!("@{name}"),
                Declared::Unseen => "unseen".to_owned(),
            });
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn declarations_are_found_by_their_keywords() {
        check("function f:long (a, b) { return g(a) } function h() %{ function x %}", &["function f", "function h"]);
        check(
            "global a, b[10]%, c = -0x1f, d = \"x\" global e; global f",
            &["global a", "global b", "global c", "global d", "global e", "global f"],
        );
        check("probe a.b = c = kernel.function(\"f\") { x = y } probe d += e {}", &["probe a.b", "probe c", "probe d"]);
        check("probe begin { a = b } probe kernel.function(\"f\").return { }", &[]);
        check("probe a\n . b # no\n = /* no */ c {}", &["probe a.b"]);
    }

    #[test]
    fn what_is_private_is_not_seen() {
        check("private global a, b private function f() {} private x function g() {}", &["function g"]);
    }

    #[test]
    fn macros_are_found_and_their_bodies_skipped() {
        check(
            "@define m %( function no() %) @define n(a) %( %( 1 == 1 %? x %: y %) %) function f() {}",
            &["@m", "@n", "function f"],
        );
        check("@declare(a, b) probe begin { @m }", &["unseen"]);
    }

    #[test]
    fn every_branch_of_a_conditional_counts() {
        check(
            "%( arch == \"x86_64\" %? probe a = begin { if (x) { %: probe b = begin { %( 1==2 %? { %: { %) %) }} probe c = end {}",
            &["probe a", "probe b", "probe c"],
        );
    }

    #[test]
    fn no_text_is_too_wrong() {
        for text in [
            "",
            "@",
            "@define",
            "@define x",
            "@define x %(",
            "\"",
            "\"\\",
            "/*",
            "%{",
            "probe",
            "probe a.",
            "probe =",
            "global",
            "global a,",
            "function",
            "private",
            "%",
            "é",
            "@define é %( é %) é",
            "global a = é",
        ] {
            scan(text, &mut |_| {});
        }
    }
}
