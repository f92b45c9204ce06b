//! Lines of the text put together to statements.

use std::ops::Range;

use super::super::word::{Token, Word, words};
use super::VERBS;

/// A statement's words; at least one.
pub struct Line {
    /// Where it begins, from 1.
    pub number: usize,
    /// As written, without comments, in one line.
    pub text: String,
    /// The first of its lines, in bytes of the whole text.
    pub span: Range<usize>,
    pub words: Vec<Word>,
}

/// Statements, one a line. A line that ends with a backslash goes on in the next one; so does one
/// that ends with a comma, unless the next one begins a statement.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut goes_on = false;
    let mut start = 0;
    for (index, whole) in text.split('\n').enumerate() {
        let mut found = words(whole, start);
        start += whole.len() + 1;
        let is_continued = found.last().is_some_and(|word| word.is("\\"));
        if is_continued {
            found.pop();
        }
        let Some(first) = found.first() else {
            goes_on &= is_continued;
            continue;
        };
        let begins = matches!(&first.token, Token::Bare(word) if VERBS.contains(&word.as_str()));
        let ends = found.last().map_or(first.span.end, |word| word.span.end);
        let span = first.span.start..ends;
        let piece = &text[span.clone()];
        match lines.last_mut() {
            Some(line) if goes_on || !begins && ends_with_comma(line) => {
                line.text = format!("{} {piece}", line.text);
                line.words.append(&mut found);
            }
            _ => lines.push(Line { number: index + 1, text: piece.to_owned(), span, words: found }),
        }
        goes_on = is_continued;
    }
    lines
}

fn ends_with_comma(line: &Line) -> bool {
    line.words.last().is_some_and(|word| word.token == Token::Comma)
}
