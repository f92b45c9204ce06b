//! Statements, as they were written.

use std::fmt;
use std::ops::Range;

use globset::Glob;

use super::condition::Condition;
use super::glob::PathGlob;

/// One statement. Its `Display` form is the same statement with its sets spelt out.
#[derive(Debug, Clone)]
pub struct Statement {
    /// From 1.
    pub line: usize,
    /// As written, without its comment, in one line.
    pub text: String,
    /// Its first line, in bytes of the whole text.
    pub span: Range<usize>,
    /// What it says.
    pub verb: Verb,
    /// Of what; [`None`]: of everything.
    pub globs: Option<Vec<PathGlob>>,
    /// What a file must be like beside its path; only with `sync` and `move`.
    pub condition: Option<Condition>,
    /// Where the condition stands, in bytes of the whole text; without one, as `span`.
    pub condition_span: Range<usize>,
    /// In the order of the text; none with `never sync`. Some may not exist.
    pub services: Vec<Named>,
}

/// What a statement says of the files that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `sync … to …`
    Sync,
    /// `move … to …`
    Move,
    /// `keep … only on …`
    Only,
    /// `keep N copies of … on any of …`
    Copies(usize),
    /// `never sync …`
    Never,
}

/// A name of a service, where it was written.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name.
    pub name: String,
    /// In bytes of the whole text.
    pub span: Range<usize>,
}

impl Statement {
    /// Whether it names that service.
    pub fn names(&self, service: &str) -> bool {
        self.services.iter().any(|named| named.name == service)
    }

    /// What paths are compared with. What `never sync` and `only on` say of a directory they say of
    /// all below it, so that nothing has to be brought into a directory that may not be there.
    pub fn compared(&self) -> Vec<Glob> {
        let globs = self.globs.iter().flatten();
        match self.verb {
            Verb::Never | Verb::Only => globs.flat_map(PathGlob::and_below).collect(),
            _ => globs.flat_map(|glob| glob.globs.clone()).collect(),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verb {
            Verb::Sync => "sync ",
            Verb::Move => "move ",
            Verb::Only => "keep ",
            Verb::Never => "never sync ",
            Verb::Copies(_) => "",
        })?;
        if let Verb::Copies(number) = self.verb {
            write!(f, "keep {number} {} of ", if number == 1 { "copy" } else { "copies" })?;
        }
        match &self.globs {
            None => f.write_str("everything")?,
            Some(globs) => listed(f, globs)?,
        }
        if let Some(condition) = &self.condition {
            write!(f, " where {condition}")?;
        }
        match self.verb {
            Verb::Never => return Ok(()),
            Verb::Sync | Verb::Move => f.write_str(" to ")?,
            Verb::Only => f.write_str(" only on ")?,
            Verb::Copies(_) => f.write_str(" on any of ")?,
        }
        listed(f, &self.services)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn listed(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
    }
    Ok(())
}
