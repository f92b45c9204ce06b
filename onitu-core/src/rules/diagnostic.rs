//! A mistake in something a person wrote, as data: where it stands, what it is, what would help.
//!
//! Nothing is printed here; [`crate::entries::render`] makes text of it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing starts with it.
    Error,
    /// It works, perhaps not as meant.
    Warning,
}

/// A part of the text, with what to say below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// In bytes of the text.
    pub span: Range<usize>,
    /// A few words; may be empty.
    pub label: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a full stop, names in backticks.
    pub message: String,
    /// Where in the text, in bytes; nothing when it concerns the whole.
    pub span: Option<Range<usize>>,
    /// The file as a person should see it; empty for a text that stands in none.
    pub file: PathBuf,
    /// The text of `file`, when it isn't the one that is passed to the renderer.
    pub source: Option<Arc<str>>,
    /// A few words below the carets; may be empty.
    pub label: String,
    /// Other places of the same text that belong to it.
    pub also: Vec<Mark>,
    /// What to do, one sentence each.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(message: impl Into<String>, span: Option<Range<usize>>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span,
            file: PathBuf::new(),
            source: None,
            label: String::new(),
            also: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// A warning at `span`.
    pub fn warning(message: impl Into<String>, span: Option<Range<usize>>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message, span) }
    }

    /// The same with words below the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with one more place.
    #[must_use]
    pub fn mark(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        if let Some(span) = span {
            self.also.push(Mark { span, label: label.into() });
        }
        self
    }

    /// The same with "did you mean", if one of `known` is near `word`; else with `otherwise`, if
    /// that says anything.
    #[must_use]
    pub fn nearest<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
        otherwise: impl Into<String>,
    ) -> Self {
        let otherwise = otherwise.into();
        match nearest(word, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None if otherwise.is_empty() => self,
            None => self.hint(otherwise),
        }
    }

    /// Whether nothing can start with it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The known word that `word` was most likely meant to be, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong, and at least one: `s4` is near `s3`, `nas` not near `s3`.
    let distance_max = (word.chars().count().max(3) / 3).min(4);
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

/// Names as a sentence holds them: `` `a`, `b` ``.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
