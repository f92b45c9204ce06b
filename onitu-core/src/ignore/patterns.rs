//! One ignore file: lines of gitignore's syntax, matched as git does.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// The lines of one ignore file, compiled to one automaton.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    lines: Vec<Line>,
    globs: GlobSet,
}

/// A line that says something.
#[derive(Debug, Clone)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// As written.
    pub text: String,
    /// Whether it takes back what an earlier line ignores (`!`).
    pub includes: bool,
    directories_only: bool,
}

impl Patterns {
    /// Reads `text`; also answers the lines that can't be understood and have no effect, and why.
    pub fn parse(text: &str) -> (Self, Vec<(usize, String)>) {
        let (mut lines, mut broken) = (Vec::new(), Vec::new());
        let mut globs = GlobSetBuilder::new();
        for (at, written) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
            let written = written.strip_suffix('\r').unwrap_or(written);
            let Some((line, glob)) = read(at + 1, written) else { continue };
            let built =
                GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
            match built {
                Ok(glob) => {
                    globs.add(glob);
                    lines.push(line);
                }
                Err(error) => broken.push((line.number, format!("`{written}`: {}", error.kind()))),
            }
        }
        match globs.build() {
            Ok(globs) => (Self { lines, globs }, broken),
            Err(error) => {
                broken.push((1, format!("nor has any other, they are too much: {error}")));
                (Self::default(), broken)
            }
        }
    }

    /// The line that decides about `path`, which is relative to the file's directory.
    pub fn find(&self, path: &str, is_directory: bool) -> Option<&Line> {
        if self.lines.is_empty() {
            return None;
        }
        let matching = self.globs.matches_candidate(&Candidate::new(path));
        let speaking = matching.into_iter().map(|at| (at, &self.lines[at]));
        let speaking = speaking.filter(|(_, line)| is_directory || !line.directories_only);
        speaking.max_by_key(|(at, _)| *at).map(|(_, line)| line)
    }
}

/// What a line says, as a glob; nothing if it is empty or a comment.
fn read(line: usize, written: &str) -> Option<(Line, String)> {
    let text = without_spaces_at_the_end(written);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (includes, pattern) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (directories_only, pattern) = match pattern.strip_suffix('/') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    // A slash at the beginning or in the middle ties it to the file's directory.
    let is_tied = pattern.contains('/');
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    if pattern.is_empty() {
        return None;
    }
    let mut glob = if is_tied { String::new() } else { "**/".to_owned() };
    glob.push_str(&without_braces(pattern));
    if glob.ends_with("/**") {
        // What is in the directory, and not the directory.
        glob.push_str("/*");
    }
    let text = text.to_owned();
    Some((Line { number: line, text, includes, directories_only }, glob))
}

/// A space at the end counts only after a backslash.
fn without_spaces_at_the_end(text: &str) -> &str {
    let trimmed = text.trim_end_matches(' ');
    let escapes = trimmed.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let keeps_one = escapes % 2 == 1 && trimmed.len() < text.len();
    if keeps_one { &text[..=trimmed.len()] } else { trimmed }
}

/// Braces are letters like any other in an ignore file, and choices in a glob.
fn without_braces(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    for letter in pattern.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '{' | '}' if !in_class => glob.push('\\'),
            _ => {}
        }
        glob.push(letter);
    }
    glob
}
