//! The texts a compile reads, and places in them.

use shared::diagnostic::{Source, SourceId, Span};

/// All texts of one compile: the script first, then whatever of the tapset it reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    sources: Vec<Source>,
}

/// A place as people count: both from 1; columns are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// The line.
    pub line: u32,
    /// The byte in the line.
    pub column: u32,
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.sources.push(Source { name: name.into(), text: text.into() });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// A source; empty for an id that is not of this compile.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        const NONE: &Source = &Source { name: String::new(), text: String::new() };
        self.sources.get(id.0 as usize).unwrap_or(NONE)
    }

    /// The text of a span; empty where the span is not of these sources.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of a span's start.
    #[must_use]
    pub fn line_column(&self, span: Span) -> LineColumn {
        let text = &self.get(span.source).text;
        let before = text.as_bytes().get(..span.start as usize).unwrap_or(text.as_bytes());
        let line = before.iter().filter(|&&byte| byte == b'\n').count() as u32 + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() as u32 + 1;
        LineColumn { line, column }
    }

    /// All of them, in the order of their ids.
    #[must_use]
    pub fn all(&self) -> &[Source] {
        &self.sources
    }
}
