//! What a script is made of: tokens, each a kind and a place. The text of a token is the text at its place.

use shared::diagnostic::Span;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// `x`, `$x`, `$$vars`, `x$`
    Name,
    /// `probe`
    Keyword(Keyword),
    /// `@count`, `@define`, `@my_macro`
    At,
    /// `12`, `0x1f`; whether it is a number at all is seen when it is read.
    Number,
    /// `"text"`, with its quotes; escapes are read later.
    String,
    /// A text that is a string as it is: what `@1` stands for.
    Verbatim,
    /// `+`
    Symbol(Symbol),
    /// `%{ … %}`
    Embedded,
    /// `$1`, `$#`: a script argument as text.
    Paste,
    /// `@1`, `@#`: a script argument as a string.
    Quote,
    /// `%(`
    ConditionOpen,
    /// `%?`
    ConditionThen,
    /// `%:`
    ConditionElse,
    /// `%)`
    ConditionClose,
    /// What is no token.
    Junk(Junk),
    /// In place of something wrong that is reported already.
    Reported,
    /// The end of the text.
    End,
}

/// Why something is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junk {
    /// A character that means nothing.
    Stray,
    /// `"` without its partner on the same line.
    String,
    /// `/*` without `*/`.
    Comment,
    /// `%{` without `%}`.
    Embedded,
    /// `%}` without `%{`.
    EmbeddedEnd,
    /// `$1` inside what `$1` stands for.
    Nested,
}

/// Makes an enum of words, each with its spelling.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant,)* }

        impl $name {
            /// All of them, as they are written.
            pub(super) const ALL: &[&str] = &[$($text,)*];

            /// The one that is written like this.
            pub(super) fn named(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// As it is written.
            pub(super) fn text(self) -> &'static str {
                Self::ALL[self as usize]
            }
        }
    };
}

words! {
    /// Names that cannot be given to anything.
    Keyword {
        Probe = "probe",
        Global = "global",
        Private = "private",
        Function = "function",
        If = "if",
        Else = "else",
        For = "for",
        Foreach = "foreach",
        In = "in",
        Limit = "limit",
        Return = "return",
        Delete = "delete",
        While = "while",
        Break = "break",
        Continue = "continue",
        Next = "next",
        String = "string",
        Long = "long",
        Try = "try",
        Catch = "catch",
    }
}

words! {
    /// Operators and punctuation.
    Symbol {
        ParenOpen = "(",
        ParenClose = ")",
        BracketOpen = "[",
        BracketClose = "]",
        BraceOpen = "{",
        BraceClose = "}",
        Comma = ",",
        Semicolon = ";",
        Dot = ".",
        Colon = ":",
        Question = "?",
        Plus = "+",
        Minus = "-",
        Star = "*",
        Slash = "/",
        Percent = "%",
        And = "&",
        Or = "|",
        Caret = "^",
        Tilde = "~",
        Not = "!",
        Less = "<",
        Greater = ">",
        Equal = "=",
        Arrow = "->",
        PlusPlus = "++",
        MinusMinus = "--",
        AndAnd = "&&",
        OrOr = "||",
        EqualEqual = "==",
        NotEqual = "!=",
        LessEqual = "<=",
        GreaterEqual = ">=",
        Match = "=~",
        NotMatch = "!~",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        ShiftRightLogical = ">>>",
        Accumulate = "<<<",
        PlusEqual = "+=",
        MinusEqual = "-=",
        StarEqual = "*=",
        SlashEqual = "/=",
        PercentEqual = "%=",
        AndEqual = "&=",
        OrEqual = "|=",
        CaretEqual = "^=",
        DotEqual = ".=",
        ShiftLeftEqual = "<<=",
        ShiftRightEqual = ">>=",
    }
}

impl Symbol {
    /// The longest symbol that `text` starts with.
    pub(super) fn longest(text: &[u8]) -> Option<Self> {
        (1..=text.len().min(3)).rev().find_map(|length| Self::named(std::str::from_utf8(&text[..length]).ok()?))
    }
}

impl TokenKind {
    /// Whether it opens a bracket, and which symbol closes it.
    pub(super) fn closer(self) -> Option<Symbol> {
        match self {
            Self::Symbol(Symbol::ParenOpen) => Some(Symbol::ParenClose),
            Self::Symbol(Symbol::BracketOpen) => Some(Symbol::BracketClose),
            Self::Symbol(Symbol::BraceOpen) => Some(Symbol::BraceClose),
            _ => None,
        }
    }

    /// Whether it closes a bracket.
    pub(super) fn closes(self) -> bool {
        use Symbol::{BraceClose, BracketClose, ParenClose};
        matches!(self, Self::Symbol(ParenClose | BracketClose | BraceClose))
    }
}
