//! A page for each code of a diagnostic: what it means, a script that is told so, and how to mend it.
//!
//! The pages are Markdown, one section a code, one file a stage; `target.md` has what pass 2 says of the probed kernel or
//! program. Their examples are tests (`tests/language.rs`), and so is that every code of the compiler has a page.

/// The files, in the order of the stages.
const FILES: [&str; 5] = [
    include_str!("explain/parse.md"),
    include_str!("explain/elaborate.md"),
    include_str!("explain/target.md"),
    include_str!("explain/translate.md"),
    include_str!("explain/codegen.md"),
];

/// What is known about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// Markdown, without a heading.
    pub text: &'static str,
}

/// Every page, by stage and alphabetically.
pub fn pages() -> impl Iterator<Item = Page> {
    let sections = FILES.into_iter().flat_map(|file| file.strip_prefix("## ").unwrap_or("").split("\n## "));
    sections.filter_map(|section| {
        let (code, text) = section.split_once('\n')?;
        Some(Page { code, text: text.trim() })
    })
}

/// The page of a code.
#[must_use]
pub fn page(code: &str) -> Option<Page> {
    pages().find(|page| page.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_order_and_say_something() {
        let codes: Vec<&str> = pages().map(|page| page.code).collect();
        for file in FILES {
            let own: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("## ")).collect();
            assert!(own.is_sorted(), "{own:?}");
            assert!(own.iter().all(|code| codes.contains(code)), "{own:?}");
        }
        assert!(pages().all(|page| page.text.len() > 20 && page.code.contains('/')), "{codes:?}");
        assert_eq!(page("parse/unclosed-string").map(|page| page.text.starts_with("A string ends on")), Some(true));
        assert_eq!(page("parse/no-such-code"), None);
    }
}
