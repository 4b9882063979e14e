//! Text to tokens. It knows nothing of macros, conditionals or grammar, and never fails: what is no token is [`Junk`].

use shared::diagnostic::{SourceId, Span};

use super::token::{Junk, Keyword, Symbol, Token, TokenKind};

/// The tokens of a text, without the end. `private` says whether that word is a keyword (it is since SystemTap 3.0).
pub(super) fn lex(text: &str, source: SourceId, private: bool) -> Vec<Token> {
    let mut lexer = Lexer { text: text.as_bytes(), at: 0, private };
    let mut tokens = Vec::with_capacity(text.len() / 4);
    loop {
        let junk = lexer.skip_blanks();
        let start = lexer.at as u32;
        let kind = match junk {
            Some(start) => {
                let span = Span { source, start: start as u32, end: lexer.at as u32 };
                tokens.push(Token { kind: TokenKind::Junk(Junk::Comment), span });
                continue;
            }
            None => lexer.token(),
        };
        let span = Span { source, start, end: lexer.at as u32 };
        match kind {
            TokenKind::End => return tokens,
            kind => tokens.push(Token { kind, span }),
        }
    }
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    private: bool,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Moves on while the byte is of a kind.
    fn skip_while(&mut self, of_kind: impl Fn(u8) -> bool) {
        let rest = &self.text[self.at.min(self.text.len())..];
        self.at += rest.iter().position(|&byte| !of_kind(byte)).unwrap_or(rest.len());
    }

    /// Moves behind the next `end`; to the end of the text where there is none, which is then false.
    fn skip_past(&mut self, end: &[u8]) -> bool {
        let rest = &self.text[self.at.min(self.text.len())..];
        let found = rest.windows(end.len()).position(|window| window == end);
        self.at += found.map_or(rest.len(), |at| at + end.len());
        found.is_some()
    }

    /// Skips white space and comments. Gives the start of a comment without an end.
    fn skip_blanks(&mut self) -> Option<usize> {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace() || byte == b'\x0b');
            match (self.peek(0), self.peek(1)) {
                (Some(b'#'), _) | (Some(b'/'), Some(b'/')) => self.skip_while(|byte| byte != b'\n'),
                (Some(b'/'), Some(b'*')) => {
                    let start = self.at;
                    self.at += 2;
                    if !self.skip_past(b"*/") {
                        return Some(start);
                    }
                }
                _ => return None,
            }
        }
    }

    fn token(&mut self) -> TokenKind {
        let Some(first) = self.peek(0) else { return TokenKind::End };
        match (first, self.peek(1)) {
            (b'$' | b'@', Some(b'#' | b'0'..=b'9')) => self.script_argument(first),
            (b'@', Some(next)) if is_word(next) => {
                self.at += 1;
                self.skip_while(is_word);
                TokenKind::At
            }
            (b'$' | b'_' | b'a'..=b'z' | b'A'..=b'Z', _) => self.word(),
            (b'0'..=b'9', _) => {
                self.skip_while(|byte| byte.is_ascii_alphanumeric());
                TokenKind::Number
            }
            (b'"', _) => self.string(),
            (b'%', Some(b'{')) => self.embedded(),
            (b'%', Some(b'(')) => self.take(2, TokenKind::ConditionOpen),
            (b'%', Some(b'?')) => self.take(2, TokenKind::ConditionThen),
            (b'%', Some(b':')) => self.take(2, TokenKind::ConditionElse),
            (b'%', Some(b')')) => self.take(2, TokenKind::ConditionClose),
            (b'%', Some(b'}')) => self.take(2, TokenKind::Junk(Junk::EmbeddedEnd)),
            _ => match Symbol::longest(&self.text[self.at..]) {
                Some(symbol) => self.take(symbol.text().len(), TokenKind::Symbol(symbol)),
                None => self.stray(),
            },
        }
    }

    fn take(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.at += length;
        kind
    }

    /// `$1` and what is glued to it: `$1_total` is one word, however the argument ends.
    fn script_argument(&mut self, sigil: u8) -> TokenKind {
        self.at += 1;
        match self.peek(0) {
            Some(b'#') => self.at += 1,
            _ => self.skip_while(|byte| byte.is_ascii_digit()),
        }
        if sigil == b'@' {
            return TokenKind::Quote;
        }
        self.skip_while(is_word);
        TokenKind::Paste
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        self.skip_while(is_word);
        match std::str::from_utf8(&self.text[start..self.at]).ok().and_then(Keyword::named) {
            Some(Keyword::Private) if !self.private => TokenKind::Name,
            Some(keyword) => TokenKind::Keyword(keyword),
            None => TokenKind::Name,
        }
    }

    fn string(&mut self) -> TokenKind {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += match byte {
                b'"' => return self.take(1, TokenKind::String),
                b'\n' => break,
                b'\\' if self.peek(1).is_some() => 2,
                _ => 1,
            };
        }
        TokenKind::Junk(Junk::String)
    }

    fn embedded(&mut self) -> TokenKind {
        self.at += 2;
        if self.skip_past(b"%}") { TokenKind::Embedded } else { TokenKind::Junk(Junk::Embedded) }
    }

    /// A whole character, so that its span is text.
    fn stray(&mut self) -> TokenKind {
        self.at += 1;
        self.skip_while(|byte| byte & 0xc0 == 0x80);
        TokenKind::Junk(Junk::Stray)
    }
}

/// Whether a byte can stand inside a name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let tokens = lex(text, SourceId(0), true);
        let shown: Vec<String> = tokens
            .iter()
            .map(|token| {
                let kind = format!("{:?}", token.kind);
                let kind = kind.split(['(', ')']).rfind(|part| !part.is_empty()).unwrap_or("");
                format!("{kind} {}", &text[token.span.start as usize..token.span.end as usize])
            })
            .collect();
        assert_eq!(shown.join(" | "), expected);
    }

    #[test]
    fn words() {
        check(
            "x _y2 probe $x $$vars x$ a$b",
            "Name x | Name _y2 | Probe probe | Name $x | Name $$vars | Name x$ | Name a$b",
        );
        check("@count @_x @define", "At @count | At @_x | At @define");
        check("$ @ @-", "Name $ | Stray @ | Stray @ | Minus -");
    }

    #[test]
    fn private_was_a_name_once() {
        assert_eq!(lex("private", SourceId(0), false)[0].kind, TokenKind::Name);
    }

    #[test]
    fn literals() {
        check("12 0x1f 08 1.2", "Number 12 | Number 0x1f | Number 08 | Number 1 | Dot . | Number 2");
        check(r#""a" "b\"c" "\\""#, r#"String "a" | String "b\"c" | String "\\""#);
    }

    #[test]
    fn comments_are_nothing() {
        check("a # b\nc // d\ne /* f\n * g */ h", "Name a | Name c | Name e | Name h");
        check("a /* b", "Name a | Comment /* b");
        check("/*/ a", "Comment /*/ a");
    }

    #[test]
    fn the_longest_symbol_wins() {
        check(
            "a<<<b<<=c<<d<=e<f",
            "Name a | Accumulate <<< | Name b | ShiftLeftEqual <<= | Name c | ShiftLeft << | Name d | LessEqual <= | Name e | Less < | Name f",
        );
        check("a---b->c", "Name a | MinusMinus -- | Minus - | Name b | Arrow -> | Name c");
    }

    #[test]
    fn script_arguments_take_what_is_glued_to_them() {
        check("$1 $12_x @1x $# @# # c", "Paste $1 | Paste $12_x | Quote @1 | Name x | Paste $# | Quote @#");
    }

    #[test]
    fn conditionals_and_embedded_code() {
        check(
            "%( a %? b %: c %) a % b",
            "ConditionOpen %( | Name a | ConditionThen %? | Name b | ConditionElse %: | Name c | ConditionClose %) | Name a | Percent % | Name b",
        );
        check("%{ a %) \" %} b", "Embedded %{ a %) \" %} | Name b");
        check("%{ a", "Embedded %{ a");
        check("%}", "EmbeddedEnd %}");
    }

    #[test]
    fn what_is_no_token_is_junk() {
        check("é ` \"a\nb", "Stray é | Stray ` | String \"a | Name b");
        check("\"a\\", "String \"a\\");
        check("\"a\\\nb\"", "String \"a\\\nb\"");
    }
}
