//! What is not synchronized at all: junk, what `.onituignore` files name, what the rules exclude.
//!
//! The Referee alone says what holds ([`IgnoreSet`], kept in the store); every driver, the Referee
//! and the Core compile that one set, so a path is ignored everywhere or nowhere. Nothing here
//! reads a file or decides what is done with an ignored path.

#[cfg(feature = "rules")]
mod junk;
#[cfg(feature = "rules")]
mod matching;
#[cfg(feature = "rules")]
mod patterns;
#[cfg(all(test, feature = "rules"))]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "rules")]
pub use self::matching::{Ignoring, Reason, Source};
use crate::{Checksum, Path};

/// The name of the files that say what is ignored in their directory and below it.
pub const FILE_NAME: &str = ".onituignore";
/// A larger one has no effect, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most of them that have an effect; those beyond, by path, have none.
pub const FILES_MAX: usize = 1_024;
/// Most bytes of all of them together; those beyond, by path, have none.
pub const TEXTS_BYTES_MAX: usize = 1024 * 1024;

/// Whether `path` is that of an ignore file.
pub fn is_ignore_file(path: &Path) -> bool {
    path.name() == FILE_NAME
}

/// What an ignore file says, and which content says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoreText {
    /// Of its bytes.
    pub checksum: Checksum,
    /// Its bytes; what is no UTF-8 is replaced.
    pub text: String,
}

impl IgnoreText {
    /// Of the bytes of an ignore file.
    pub fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self { checksum: Checksum::of(bytes), text }
    }
}

/// Everything that says what is ignored, as the Referee publishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IgnoreSet {
    /// One more for each change; 0 stands for none that was published.
    pub version: u64,
    /// Whether junk is synchronized like anything else.
    pub keeps_junk: bool,
    /// The rules' text.
    pub rules: Option<String>,
    /// The names of the services that these rules were written for.
    pub services: Vec<String>,
    /// The ignore files in force, by their directory.
    pub files: BTreeMap<Path, IgnoreText>,
    /// Ignore files that are too many, or too much together.
    pub unused: Vec<Path>,
}

impl IgnoreSet {
    /// Whether both ignore the same for the same reasons, whatever their versions.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let sums = |set: &Self| -> Vec<(Path, Checksum)> {
            set.files.iter().map(|(at, text)| (at.clone(), text.checksum)).collect()
        };
        self.keeps_junk == other.keeps_junk
            && self.rules == other.rules
            && self.unused == other.unused
            && sums(self) == sums(other)
    }
}

/// The ignore file of `directory`.
pub fn file_in(directory: &Path) -> Path {
    // A directory so deep that the file's path would be too long has none.
    directory.join(FILE_NAME).unwrap_or_else(|_| directory.clone())
}
