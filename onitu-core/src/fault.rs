//! What went wrong at a driver's boundary, in words every process understands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Of which kind a fault is: it decides who tries again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The path is not there.
    NotFound,
    /// The service refuses: permissions, credentials.
    Denied,
    /// The path is not in the state that was expected.
    Changed,
    /// A directory that should go still holds something.
    NotEmpty,
    /// Something that is no directory stands where a directory is needed.
    NotADirectory,
    /// The service asks for patience.
    RateLimited,
    /// No space, no quota.
    Full,
    /// The service can't be reached or isn't what it should be; nothing is known of its paths.
    Unavailable,
    /// The service can't hold such a name.
    InvalidName,
    /// A *twin* stands there: a name that the service can't tell from this one. Answered only by
    /// drivers without exact names, and only to the runtime, which then holds the path under
    /// another name.
    Taken,
    /// The driver can't do this at all.
    Unsupported,
    /// What was read is not what was promised: length or checksum differ.
    Corrupt,
    /// The work was overtaken and given up.
    Cancelled,
    /// A mistake in the program.
    Bug,
}

/// A failure with its kind, its text and, where the service said so, when to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Decides what happens next.
    pub kind: FaultKind,
    /// One sentence for a person: what failed, on which path or endpoint, and why.
    pub message: String,
    /// How long the service asked us to wait, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl Fault {
    /// A fault of `kind`, told by `message`.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None }
    }

    /// The same with the service's own waiting time.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = u64::try_from(wait.as_millis()).ok();
        self
    }
}
