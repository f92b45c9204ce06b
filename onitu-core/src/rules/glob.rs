//! Globs of a statement, as they were written and as they are compared.

use std::fmt;
use std::ops::Range;

use globset::{Glob, GlobBuilder};

/// A glob that was written once.
#[derive(Debug, Clone)]
pub struct PathGlob {
    /// Between its quotes, escapes untouched.
    pub text: String,
    /// Where, in bytes of the whole text; for a glob of a set, where the set's name is used.
    pub span: Range<usize>,
    /// What is compared: for `DIRECTORY/**` the directory itself too, because where something
    /// below it goes, it goes too.
    pub globs: Vec<Glob>,
}

impl PathGlob {
    /// Reads a glob. The error is a message and perhaps a hint.
    pub fn parse(text: &str, span: Range<usize>) -> Result<Self, (String, Option<String>)> {
        if let Some((message, hint)) = never_matches(text) {
            return Err((message, Some(hint)));
        }
        let mut globs = vec![compiled(text)?];
        if let Some(directory) = text.strip_suffix("/**").filter(|rest| !rest.is_empty()) {
            globs.push(compiled(directory)?);
        }
        Ok(Self { text: text.to_owned(), span, globs })
    }

    /// What is compared where the statement also means everything below what it names.
    pub fn and_below(&self) -> Vec<Glob> {
        let mut globs = self.globs.clone();
        if self.text != "**" && !self.text.ends_with("/**") {
            // What is a glob alone is one with this behind it; else it says no more than before.
            globs.extend(compiled(&format!("{}/**", self.text)));
        }
        globs
    }
}

/// How many letters a glob leaves open one by one, as `?` and `[…]` do. Behind a `*` each of them is
/// another place at which a path may be, so they are what makes comparing slow.
pub fn open_letters(glob: &Glob) -> usize {
    let (mut letters, mut is_class, mut count) = (glob.glob().chars(), false, 0);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '?' if !is_class => count += 1,
            '[' if !is_class => (is_class, count) = (true, count + 1),
            ']' => is_class = false,
            _ => {}
        }
    }
    count
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.text)
    }
}

/// What no path of the tree can match is a mistake rather than a rule without effect.
fn never_matches(text: &str) -> Option<(String, String)> {
    if text.is_empty() {
        return Some(("an empty glob matches nothing".into(), "write `everything`".into()));
    }
    if text.starts_with('/') {
        let relative = text.trim_start_matches('/');
        let message = format!("`{text}` matches nothing: paths don't begin with `/`");
        return Some((message, format!("write \"{relative}\"")));
    }
    if text.ends_with('/') {
        let message = format!("`{text}` matches nothing: paths don't end with `/`");
        return Some((message, format!("write \"{text}**\" for the directory and all below it")));
    }
    let odd = text.split('/').find(|part| matches!(*part, "" | "." | ".."))?;
    let message = format!("`{text}` matches nothing: no path has a component `{odd}`");
    Some((message, "paths are relative to the top of the tree, as `onitu ls` shows them".into()))
}

fn compiled(text: &str) -> Result<Glob, (String, Option<String>)> {
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    glob.map_err(|error| (format!("`{text}` is no glob: {}", error.kind()), None))
}
