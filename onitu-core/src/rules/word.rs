//! A line of rules, cut into words.

use std::ops::Range;

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Bare letters: a keyword or a service's name.
    Bare(String),
    /// Between double quotes: a glob, its escapes untouched.
    Quoted(String),
    /// Between double quotes or slashes, of which the closing one is missing.
    Unclosed,
    /// Between slashes: a regular expression, its `\/` made `/`.
    Regex(String),
    /// `,`
    Comma,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `=`
    Equals,
    /// `<`, `<=`, `>` or `>=`: the sign, and whether equality will do.
    Compare(char, bool),
}

/// A word and where it stands in the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it is.
    pub token: Token,
    /// In bytes of the whole text, quotes included.
    pub span: Range<usize>,
}

impl Word {
    /// Whether it is the bare word `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(&self.token, Token::Bare(word) if word == text)
    }
}

/// The words of one line that begins at byte `start` of the text; a comment is none.
pub fn words(line: &str, start: usize) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let (token, length) = match first {
            '#' => break,
            ',' => (Some(Token::Comma), 1),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '=' => (Some(Token::Equals), 1),
            '<' | '>' => {
                let equal = rest[1..].starts_with('=');
                (Some(Token::Compare(first, equal)), 1 + usize::from(equal))
            }
            '"' => quoted(rest),
            '/' => regex(rest),
            _ if first.is_whitespace() => (None, first.len_utf8()),
            _ => bare(rest),
        };
        words.extend(token.map(|token| Word { token, span: start + at..start + at + length }));
        at += length;
    }
    words
}

fn bare(rest: &str) -> (Option<Token>, usize) {
    let ends = |letter: char| {
        letter.is_whitespace() || matches!(letter, ',' | '"' | '#' | '(' | ')' | '<' | '>' | '=')
    };
    let length = rest.find(ends).unwrap_or(rest.len());
    (Some(Token::Bare(rest[..length].to_owned())), length)
}

/// Up to the next slash that no backslash precedes.
fn regex(rest: &str) -> (Option<Token>, usize) {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return (Some(Token::Regex(rest[1..at].replace("\\/", "/"))), at + 1),
            _ => {}
        }
    }
    (Some(Token::Unclosed), rest.trim_end().len())
}

/// A backslash takes the next letter with it, so that a glob may hold `\"`; the glob's own parser
/// makes one letter of the two.
fn quoted(rest: &str) -> (Option<Token>, usize) {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (Some(Token::Quoted(rest[1..at].to_owned())), at + 1),
            _ => {}
        }
    }
    (Some(Token::Unclosed), rest.trim_end().len())
}
