//! A page of the manual: prose and fenced blocks. A block `stap` is an example; blocks `output` and `error` behind it say
//! what comes of it.

use std::fmt::Write as _;

use super::Result;

/// A page, taken apart. Its pieces, put together again, are the page.
#[derive(Debug)]
pub(crate) struct Page {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Lines outside of blocks.
    Prose(String),
    Block(Block),
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the opening fence: the kind, and options of a script.
    pub(crate) info: String,
    /// The lines between the fences.
    pub(crate) body: String,
    /// The line of the opening fence, counted from one.
    pub(crate) line: usize,
}

/// A script with what the page says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example<'p> {
    /// The block `stap`.
    pub(crate) script: &'p Block,
    output: Option<&'p Block>,
    error: Option<&'p Block>,
}

/// What comes of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether all passes were asked for.
    pub(crate) runs: bool,
    /// What is printed, or the text of a pass.
    pub(crate) output: String,
    /// What is said about the script, and its run-time errors.
    pub(crate) error: String,
}

const FENCE: &str = "```";

impl Page {
    /// Takes a page apart.
    ///
    /// # Errors
    /// When a fence is not closed, a block is of no known kind, or an expectation has no script.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut prose = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let Some(info) = line.strip_prefix(FENCE) else {
                if line.trim_start().starts_with(FENCE) {
                    return Err(format!("{}: a fence stands at the start of its line", index + 1));
                }
                let _ = writeln!(prose, "{line}");
                continue;
            };
            let mut block = Block { info: info.trim().to_owned(), body: String::new(), line: index + 1 };
            loop {
                match lines.next() {
                    None => return Err(format!("{}: the fence is never closed", block.line)),
                    Some((_, FENCE)) => break,
                    Some((_, line)) => block.body.push_str(&format!("{line}\n")),
                }
            }
            pieces.push(Piece::Prose(std::mem::take(&mut prose)));
            pieces.push(Piece::Block(block));
        }
        pieces.push(Piece::Prose(prose));
        let page = Self { pieces };
        page.check_blocks()?;
        Ok(page)
    }

    fn check_blocks(&self) -> Result<()> {
        let mut seen: Vec<&str> = Vec::new();
        for block in self.blocks() {
            match block.kind() {
                "stap" => seen = vec!["stap"],
                kind @ ("output" | "error") if block.info != kind => {
                    return Err(format!("{}: a block `{kind}` takes no options", block.line));
                }
                kind @ ("output" | "error") if !seen.contains(&"stap") || seen.contains(&kind) => {
                    return Err(format!("{}: whose {kind} is this?", block.line));
                }
                kind @ ("output" | "error") => seen.push(kind),
                kind => return Err(format!("{}: a block is stap, output or error, not {kind:?}", block.line)),
            }
        }
        Ok(())
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Prose(_) => None,
        })
    }

    /// Its examples, in their order.
    pub(crate) fn examples(&self) -> impl Iterator<Item = Example<'_>> {
        let blocks: Vec<&Block> = self.blocks().collect();
        let starts: Vec<usize> = (0..blocks.len()).filter(|&at| blocks[at].kind() == "stap").collect();
        starts.into_iter().map(move |at| {
            let expected = blocks[at + 1..].iter().take_while(|block| block.kind() != "stap");
            let of_kind = |kind| expected.clone().find(|block| block.kind() == kind).copied();
            Example { script: blocks[at], output: of_kind("output"), error: of_kind("error") }
        })
    }

    /// The page with every expectation as things are.
    ///
    /// # Errors
    /// When an example cannot be told what comes of it, or would show nothing.
    pub(crate) fn blessed(&self, happens: impl Fn(&Block) -> Result<Outcome>) -> Result<String> {
        let mut text = String::new();
        let mut waiting: Vec<(&str, String)> = Vec::new();
        let last = |at: usize| {
            let rest = self.pieces[at + 1..].iter();
            rest.filter_map(Piece::block).next().is_none_or(|block| block.kind() == "stap")
        };
        for (at, piece) in self.pieces.iter().enumerate() {
            let Some(block) = piece.block() else {
                text.push_str(piece.text());
                continue;
            };
            match block.kind() {
                "stap" => {
                    let outcome = happens(block).and_then(Outcome::that_shows_something);
                    let outcome = outcome.map_err(|error| format!("{}: {error}", block.line))?;
                    let has_output = self.examples().any(|it| it.script == block && it.output.is_some());
                    waiting = outcome.expectations(has_output);
                    block.write(&mut text);
                }
                // What is no longer said leaves its place, and the blank line before it.
                kind => match waiting.iter().position(|(waiting, _)| *waiting == kind) {
                    Some(index) => Block { body: waiting.remove(index).1, ..block.clone() }.write(&mut text),
                    None => text.truncate(text.trim_end().len() + 1),
                },
            }
            if last(at) {
                for (kind, body) in waiting.drain(..) {
                    text.push('\n');
                    Block { info: kind.to_owned(), body, line: 0 }.write(&mut text);
                }
            }
        }
        Ok(text)
    }
}

impl Piece {
    fn block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            Self::Prose(_) => None,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Prose(text) => text,
            Self::Block(block) => &block.body,
        }
    }
}

impl Block {
    fn kind(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or("")
    }

    fn write(&self, text: &mut String) {
        let end = if self.body.is_empty() || self.body.ends_with('\n') { "" } else { "\n" };
        let _ = writeln!(text, "{FENCE}{}\n{}{end}{FENCE}", self.info, self.body);
    }
}

impl Example<'_> {
    /// Compares what the page says with what happens.
    ///
    /// # Errors
    /// When these differ, or the page says nothing that could differ.
    pub(crate) fn check(&self, outcome: &Outcome) -> Result<()> {
        let expected = outcome.expectations(self.output.is_some());
        for (kind, said) in [("output", self.output), ("error", self.error)] {
            let happens = expected.iter().find(|(it, _)| *it == kind).map(|(_, text)| text.as_str());
            match (said.map(|block| block.body.as_str()), happens) {
                (None, None) => {}
                (Some(said), Some(happens)) if said == happens => {}
                (None, Some(happens)) => return Err(format!("there is no block `{kind}` that says\n{happens}")),
                (Some(_), None) => return Err(format!("there is no {kind}")),
                (Some(said), Some(happens)) => return Err(format!("the {kind} is not\n{said}but\n{happens}")),
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// An example that would look the same if it did nothing is none.
    ///
    /// # Errors
    /// When this is one.
    pub(crate) fn that_shows_something(self) -> Result<Self> {
        if self.runs && self.output.is_empty() && self.error.is_empty() {
            return Err("the example runs and prints nothing: let it print, or stop it at -p2".to_owned());
        }
        Ok(self)
    }

    /// The blocks that an example must have. The text of a pass only where there is a block for it.
    fn expectations(&self, has_output: bool) -> Vec<(&'static str, String)> {
        let mut blocks = Vec::new();
        if !self.output.is_empty() && (self.runs || has_output) {
            blocks.push(("output", ended(&self.output)));
        }
        if !self.error.is_empty() {
            blocks.push(("error", ended(&self.error)));
        }
        blocks
    }
}

/// With one line end; what a block says cannot end in another number of them.
fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

/// Pages that could not fail, or not for the reason they look like, are refused; the others come out as they went in.
///
/// # Errors
/// When that is not so.
pub(crate) fn test() -> Result<()> {
    let refused = [
        ("```stap\nprobe begin {}\n", "1: the fence is never closed"),
        ("```stap\n``` \n", "1: the fence is never closed"),
        (" ```stap\n", "1: a fence stands at the start of its line"),
        ("```stp\n```\n", "1: a block is stap, output or error, not \"stp\""),
        ("\n```\n```\n", "2: a block is stap, output or error, not \"\""),
        ("```output\n```\n", "1: whose output is this?"),
        ("```stap\n```\n```error\n```\n```error\n```\n", "5: whose error is this?"),
        ("```stap\n```\n```output -p2\n```\n", "3: a block `output` takes no options"),
    ];
    for (text, expected) in refused {
        let got = Page::parse(text).map(|_| ());
        if got != Err(expected.to_owned()) {
            return Err(format!("{text:?} should be refused with {expected:?}, not {got:?}"));
        }
    }
    let silent = Outcome { runs: true, ..Outcome::default() }.that_shows_something();
    let says = |output: &str| Outcome { runs: true, output: output.to_owned(), ..Outcome::default() };
    let text = "# A\n\n```stap -w\nx\n```\n\nprints\n\n```output\n1\n```\n\n```stap\ny\n```\nend\n";
    let page = Page::parse(text)?;
    let checked: Vec<bool> = page.examples().map(|example| example.check(&says("1")).is_ok()).collect();
    let blessed = page.blessed(|block| Ok(says(if block.body == "x\n" { "2" } else { "3" })))?;
    let expected = text.replace("\n1\n", "\n2\n").replace("```\nend", "```\n\n```output\n3\n```\nend");
    match () {
        () if silent.is_ok() => Err("an example may do nothing".to_owned()),
        () if checked != [true, false] => Err(format!("{checked:?} were taken")),
        () if blessed != expected => Err(format!("blessed to {blessed:?}")),
        () => Ok(()),
    }
}
