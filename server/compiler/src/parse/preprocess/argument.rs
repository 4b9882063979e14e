//! Script arguments: `$1` is a text to be read, `@1` a string, `$#` and `@#` say how many there are.

use std::rc::Rc;

use shared::diagnostic::{Diagnostic, Severity, SourceId, Span};

use super::{Frame, Preprocessor};
use crate::parse::lex::lex;
use crate::parse::token::{Junk, Token, TokenKind};

/// What `$1`, `@1` and the like stand for.
#[derive(Clone)]
pub(super) struct Paste {
    text: SourceId,
    tokens: Rc<[Token]>,
}

impl Preprocessor<'_> {
    /// `$1`, `$#`: the text is read as if it stood here.
    pub(super) fn paste(&mut self, call: Token) {
        match self.argument(call) {
            Some(paste) => {
                let located = Some(self.sources.expand(paste.text, call.span));
                let scope = self.frames.last().and_then(|frame| frame.scope.clone());
                self.push(Frame { tokens: paste.tokens, next: 0, located, scope });
            }
            None => self.out.push(Token { kind: TokenKind::Reported, ..call }),
        }
    }

    /// `@1`, `@#`: the text is a string.
    pub(super) fn quote(&mut self, call: Token) -> Token {
        let Some(paste) = self.argument(call) else { return Token { kind: TokenKind::Reported, ..call } };
        let source = self.sources.expand(paste.text, call.span);
        let end = self.sources.get(source).text.len() as u32;
        Token { kind: TokenKind::Verbatim, span: Span { source, start: 0, end } }
    }

    /// What a `$1`, `@1`, `$#`, `@#` or `$1_glued` stands for. Each different one becomes a text once.
    fn argument(&mut self, call: Token) -> Option<Paste> {
        let word = self.sources.text(call.span).get(1..).unwrap_or("").to_owned();
        if let Some(paste) = self.pastes.get(&word) {
            return Some(paste.clone());
        }
        let given = self.environment.arguments;
        let (value, glued) = match word.strip_prefix('#') {
            Some(glued) => (given.len().to_string(), glued),
            None => {
                let digits = word.bytes().take_while(u8::is_ascii_digit).count();
                let index: Option<usize> = word[..digits].parse().ok();
                match index.and_then(|index| given.get(index.checked_sub(1)?)) {
                    Some(value) => (value.clone(), &word[digits..]),
                    None => {
                        self.report_missing_argument(call, &word[..digits]);
                        return None;
                    }
                }
            }
        };
        let text = format!("{value}{glued}");
        self.charge(text.len());
        let id = self.sources.add(format!("script argument ${word}"), text);
        let mut tokens = lex(&self.sources.get(id).text, id, self.environment.private_is_keyword());
        for token in &mut tokens {
            if matches!(token.kind, TokenKind::Paste | TokenKind::Quote) {
                token.kind = TokenKind::Junk(Junk::Nested);
            }
        }
        let paste = Paste { text: id, tokens: tokens.into() };
        self.pastes.insert(word, paste.clone());
        Some(paste)
    }

    fn report_missing_argument(&mut self, call: Token, number: &str) {
        let message = match self.environment.arguments.len() {
            _ if number.bytes().all(|digit| digit == b'0') => "script arguments count from 1".to_owned(),
            0 => format!("the script needs an argument {number}, but none is given"),
            1 => format!("the script needs an argument {number}, but only one is given"),
            count => format!("the script needs an argument {number}, but only {count} are given"),
        };
        let diagnostic = Diagnostic::error("parse/argument-missing", call.span, message);
        self.report(diagnostic.help("arguments follow the script on the command line"));
    }

    /// What was given for nothing was probably meant for something.
    pub(super) fn warn_of_unused_arguments(&mut self) {
        let given = self.environment.arguments.len();
        let mut used = vec![false; given];
        let mut mark = |digits: &str| {
            let index = digits.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
            if let Some(used) = index.and_then(|index| used.get_mut(index)) {
                *used = true;
            }
        };
        for word in self.pastes.keys() {
            mark(word.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or(""));
        }
        // The tapset offers them as variables: argc, argv[1] and argv_1.
        for token in self.out.iter().filter(|token| given > 0 && token.kind == TokenKind::Name) {
            match self.sources.text(token.span) {
                "argc" | "argv" => return,
                name => mark(name.strip_prefix("argv_").unwrap_or("")),
            }
        }
        let unused: Vec<String> =
            (1..=given).filter(|number| !used[number - 1]).map(|number| number.to_string()).collect();
        let message = match &unused[..] {
            [] => return,
            [one] => format!("the script does not use its argument {one}"),
            several => format!("the script does not use its arguments {}", several.join(", ")),
        };
        let code = "parse/argument-unused".to_owned();
        let (labels, notes) = (Vec::new(), Vec::new());
        self.report(Diagnostic { code, severity: Severity::Warning, message, labels, notes });
    }
}
