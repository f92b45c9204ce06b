//! Conditions: what a statement wants of a file beside its path.
//!
//! They look at what is on record of a file and at nothing else, so that the same record always
//! gives the same answer. A directory meets no condition: it is made where its first file arrives.

use std::fmt;

use globset::{Glob, GlobSet};
use regex::Regex;

use crate::{Kind, Path};

/// What a condition may look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where it stands.
    pub path: &'a Path,
    /// What it is; [`None`] while nothing is known of it.
    pub kind: Option<Kind>,
    /// In bytes; [`None`] while nothing is known of it.
    pub size: Option<u64>,
}

impl<'a> Facts<'a> {
    /// Of a path of which nothing is known but its name.
    pub fn of_path(path: &'a Path) -> Self {
        Self { path, kind: None, size: None }
    }

    /// Of a path with this record.
    pub fn of(path: &'a Path, record: Option<&crate::Record>) -> Self {
        let content = record.map(|record| record.content);
        Self { path, kind: content.map(|it| it.kind), size: content.map(|it| it.size) }
    }
}

/// How a size is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`, or `<=` where it says so.
    Below {
        /// Equality will do.
        or_equal: bool,
    },
    /// `>`, or `>=` where it says so.
    Above {
        /// Equality will do.
        or_equal: bool,
    },
}

/// One condition, made of others.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `size < 10 MiB`
    Size(Comparison, u64),
    /// `type is image/*, application/pdf`, by the name's extension.
    Type(Vec<String>),
    /// `name matches /re/`, anywhere in the last component.
    Name(Regex),
    /// `ext in jpg, png`, whatever their case; kept in lower case.
    Ext(Vec<String>),
    /// `path "GLOB", …`
    Path(Vec<Glob>, GlobSet),
    /// `not C`
    Not(Box<Condition>),
    /// `C and C`
    All(Vec<Condition>),
    /// `C or C`
    Any(Vec<Condition>),
}

impl Condition {
    /// Whether a file with these facts meets it. What is not known meets nothing, and its contrary
    /// neither.
    pub fn is_met(&self, facts: &Facts<'_>) -> bool {
        facts.kind != Some(Kind::Directory) && self.test(facts) == Some(true)
    }

    /// The innermost part that isn't met, as a person would write it; [`None`] if all is met.
    pub fn unmet(&self, facts: &Facts<'_>) -> Option<String> {
        if facts.kind == Some(Kind::Directory) {
            return Some("it is a directory".to_owned());
        }
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.unmet(facts)),
            _ if self.test(facts) == Some(true) => None,
            _ => Some(self.to_string()),
        }
    }

    /// Three-valued (Kleene): [`None`] where it depends on what isn't known.
    fn test(&self, facts: &Facts<'_>) -> Option<bool> {
        let name = facts.path.name();
        match self {
            Self::Size(comparison, bytes) => facts.size.map(|size| comparison.holds(size, *bytes)),
            Self::Type(types) => Some(types.iter().any(|pattern| is_type(pattern, name))),
            Self::Name(regex) => Some(regex.is_match(name)),
            Self::Ext(extensions) => {
                let found = extension(name).map(str::to_lowercase);
                Some(found.is_some_and(|found| extensions.contains(&found)))
            }
            Self::Path(_, globs) => Some(globs.is_match(facts.path.as_str())),
            Self::Not(part) => part.test(facts).map(|met| !met),
            Self::All(parts) => parts.iter().try_fold(true, |all, part| match part.test(facts) {
                Some(false) => Err(false),
                Some(true) => Ok(all),
                None => Ok(false),
            }).map_or_else(Some, |all| all.then_some(true)),
            Self::Any(parts) => parts.iter().try_fold(true, |known, part| match part.test(facts) {
                Some(true) => Err(true),
                Some(false) => Ok(known),
                None => Ok(false),
            }).map_or_else(Some, |known| known.then_some(false)),
        }
    }
}

impl Comparison {
    fn holds(self, size: u64, bytes: u64) -> bool {
        match self {
            Self::Below { or_equal } => size < bytes || or_equal && size == bytes,
            Self::Above { or_equal } => size > bytes || or_equal && size == bytes,
        }
    }
}

/// What follows the last dot, if that isn't all of the name.
fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

/// Whether the type that `name` tells is `pattern`, which may end in `/*`.
fn is_type(pattern: &str, name: &str) -> bool {
    let Some(extension) = extension(name) else { return false };
    let guesses = mime_guess::from_ext(extension);
    guesses.iter().any(|guess| {
        let told = guess.essence_str();
        match pattern.strip_suffix('*') {
            Some(start) => told.starts_with(start),
            None => told == pattern,
        }
    })
}

/// As it would be written; parsed again it is the same.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(comparison, bytes) => {
                let sign = match comparison {
                    Comparison::Below { or_equal: false } => "<",
                    Comparison::Below { or_equal: true } => "<=",
                    Comparison::Above { or_equal: false } => ">",
                    Comparison::Above { or_equal: true } => ">=",
                };
                write!(f, "size {sign} {}", crate::size::text(*bytes))
            }
            Self::Type(types) => write!(f, "type is {}", types.join(", ")),
            Self::Name(regex) => write!(f, "name matches /{}/", regex.as_str().replace('/', "\\/")),
            Self::Ext(extensions) => write!(f, "ext in {}", extensions.join(", ")),
            Self::Path(globs, _) => {
                let quoted: Vec<_> = globs.iter().map(|glob| format!("\"{glob}\"")).collect();
                write!(f, "path {}", quoted.join(", "))
            }
            Self::Not(part) => write!(f, "not {}", Part(part)),
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        write!(f, "{}{}", if at == 0 { "" } else { word }, Part(part))?;
    }
    Ok(())
}

/// A condition inside another: what is made of several stands in parentheses.
struct Part<'a>(&'a Condition);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::All(_) | Condition::Any(_) => write!(f, "({})", self.0),
            single => write!(f, "{single}"),
        }
    }
}
