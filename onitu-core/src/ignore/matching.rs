//! An [`IgnoreSet`], compiled: whether a path is ignored, and why.

use std::collections::BTreeMap;
use std::fmt;

use super::patterns::Patterns;
use super::{FILE_NAME, FILES_MAX, IgnoreSet, TEXTS_BYTES_MAX, file_in, junk};
use crate::rules::{Facts, Rules};
use crate::status::Problem;
use crate::{Kind, Path};

/// Why a path is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What matched: the path, or a directory above it.
    pub matched: Path,
    /// What says so.
    pub source: Source,
}

/// What says that a path is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is junk; this is its kind.
    Junk(&'static str),
    /// A statement of the rules.
    Rule {
        /// Of the file, or of the rules' text, from 1.
        line: usize,
        /// The file the rules stand in, where that is known.
        file: Option<String>,
        /// As written.
        text: String,
    },
    /// A line of an ignore file.
    File {
        /// The file.
        file: Path,
        /// From 1.
        line: usize,
        /// As written.
        text: String,
    },
}

impl Reason {
    /// One sentence for a person who asked about `path`.
    pub fn explain(&self, path: &Path) -> String {
        match &self.matched {
            matched if matched == path => format!("ignored {}", self.source),
            above => format!("ignored, for `{above}` is ignored {}", self.source),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Junk(kind) => write!(f, "by default (junk: {kind})"),
            Self::Rule { line, file: None, text } => {
                write!(f, "by line {line} of the rules: `{text}`")
            }
            Self::Rule { line, file: Some(file), text } => write!(f, "by {file}:{line}: `{text}`"),
            Self::File { file, line, text } => write!(f, "by `{file}`, line {line}: `{text}`"),
        }
    }
}

/// An [`IgnoreSet`], compiled.
#[derive(Debug, Clone, Default)]
pub struct Ignoring {
    version: u64,
    knows_junk: bool,
    rules: Option<Rules>,
    files: BTreeMap<Path, Patterns>,
    problems: Vec<Problem>,
}

impl Ignoring {
    /// Compiles `set`. Never fails: a line that can't be understood has no effect, and is among
    /// the [`Ignoring::problems`].
    pub fn compile(set: &IgnoreSet) -> Self {
        let rules = set.rules.as_ref().and_then(|text| Rules::parse(text, &set.services).0);
        let (version, knows_junk) = (set.version, !set.keeps_junk);
        let mut ignoring = Self { version, knows_junk, rules, ..Self::default() };
        for (directory, text) in &set.files {
            let (patterns, broken) = Patterns::parse(&text.text);
            for (line, message) in broken {
                let file = file_in(directory);
                let message = format!("line {line} has no effect: {message}");
                ignoring.problems.push(Problem { path: file.to_string(), message });
            }
            ignoring.files.insert(directory.clone(), patterns);
        }
        ignoring.problems.extend(set.unused.iter().map(|path| {
            let message = format!(
                "it has no effect: there are more than {FILES_MAX} such files, or more than \
                 {TEXTS_BYTES_MAX} bytes in them"
            );
            Problem { path: path.to_string(), message }
        }));
        ignoring
    }

    /// The version of the set.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Lines without effect.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether something of `kind` at `path` is ignored.
    pub fn covers(&self, path: &Path, kind: Kind) -> bool {
        let is_excluded = self.rules.as_ref().is_some_and(|rules| rules.excludes(path));
        is_excluded || prefixes(path, kind).any(|(at, dir)| self.source(at, dir).is_some())
    }

    /// Whether `path` is ignored, whatever stands there.
    pub fn covers_any(&self, path: &Path) -> bool {
        self.covers(path, Kind::File) && self.covers(path, Kind::Directory)
    }

    /// Why something of `kind` at `path` is ignored, if it is. What is in an ignored directory is.
    pub fn why(&self, path: &Path, kind: Kind) -> Option<Reason> {
        prefixes(path, kind).find_map(|(at, is_directory)| {
            let matched = Path::new(at).ok()?;
            let source = self.rule(&matched).or_else(|| self.source(at, is_directory))?;
            Some(Reason { matched, source })
        })
    }

    fn rule(&self, path: &Path) -> Option<Source> {
        let rules = self.rules.as_ref().filter(|rules| rules.excludes(path))?;
        let statements = rules.statements(&Facts::of(path, None, 0), &[]).into_iter();
        // Excluded by a directory above: that one's turn came before.
        let mut never = statements.filter(|it| it.matches && it.text.starts_with("never"));
        let (line, text) = never.next().map_or((0, String::new()), |it| (it.line, it.text));
        Some(Source::Rule { line, file: None, text })
    }

    /// What else says of this very path that it is ignored.
    fn source(&self, path: &str, is_directory: bool) -> Option<Source> {
        let name = path.rsplit('/').next().unwrap_or(path);
        // An ignore file that named itself would have no effect, and so have one again.
        if !self.files.is_empty() && (is_directory || name != FILE_NAME) {
            let mut above = path;
            while !above.is_empty() {
                above = above.rfind('/').map_or("", |at| &above[..at]);
                let Some((directory, patterns)) = self.files.get_key_value(above) else { continue };
                let skip = if above.is_empty() { 0 } else { above.len() + 1 };
                let Some(found) = patterns.find(&path[skip..], is_directory) else { continue };
                // The nearest file that speaks of it decides.
                let (file, line, text) = (file_in(directory), found.number, found.text.clone());
                return (!found.includes).then_some(Source::File { file, line, text });
            }
        }
        let kind = junk::kind(name, is_directory).filter(|_| self.knows_junk);
        kind.map(Source::Junk)
    }
}

/// Every directory above `path`, the highest first, then `path`, and whether that is a directory.
fn prefixes(path: &Path, kind: Kind) -> impl Iterator<Item = (&str, bool)> {
    let text = path.as_str();
    let above = text.match_indices('/').map(|(at, _)| (&text[..at], true));
    let whole = (!path.is_root()).then_some((text, kind == Kind::Directory));
    above.chain(whole)
}
