//! The pages of `--explain`, as text for a terminal: paragraphs are wrapped, examples stand indented.

use shared::diagnostic::explain::{Page, pages};

/// Columns of a paragraph.
const WIDTH: usize = 80;

/// A page.
#[must_use]
pub fn page(page: &Page) -> String {
    let mut text = String::new();
    let mut paragraph = Vec::new();
    let mut in_example = false;
    for line in page.text.lines().chain([""]) {
        let is_fence = line.starts_with("```");
        if in_example && !is_fence {
            text.push_str(format!("    {line}").trim_end());
            text.push('\n');
        } else if is_fence || line.is_empty() {
            wrap(&paragraph, &mut text);
            paragraph.clear();
            in_example ^= is_fence;
            if let Some(options) = line.strip_prefix("```stap ").filter(|options| !options.starts_with("-p")) {
                text.push_str(&format!("    # tapwire SCRIPT {options}\n"));
            }
            if line.is_empty() {
                text.push('\n');
            }
        } else {
            paragraph.extend(line.split_whitespace());
        }
    }
    format!("{}\n\n{}\n", page.code, text.trim_end())
}

/// Every code, a line each.
#[must_use]
pub fn list() -> String {
    pages().map(|page| format!("{}\n", page.code)).collect()
}

fn wrap(words: &[&str], text: &mut String) {
    let mut column = 0;
    for word in words {
        let width = word.chars().count();
        if column > 0 {
            let fits = column + 1 + width <= WIDTH;
            text.push(if fits { ' ' } else { '\n' });
            column = if fits { column + 1 } else { 0 };
        }
        text.push_str(word);
        column += width;
    }
    if column > 0 {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_and_examples_are_not() {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen\n\
                    fifteen\nsixteen\n\n```stap -g\nprobe begin {\n\n  print(1)\n}\n```\n\nlast";
        let expected = "parse/x\n\none two three four five six seven eight nine ten eleven twelve thirteen fourteen\n\
                        fifteen sixteen\n\n    # tapwire SCRIPT -g\n    probe begin {\n\n      print(1)\n    }\n\nlast\n";
        let shown = page(&Page { code: "parse/x", text });
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_page_fits_the_terminal() {
        let wide = pages().map(|it| page(&it)).find(|shown| shown.lines().any(|line| line.chars().count() > 100));
        assert_eq!(wide, None);
    }
}
