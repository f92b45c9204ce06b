//! The one place where a server's refusals become faults.

use std::fmt::Display;

use onitu_plug::{Fault, FaultKind};

use crate::wire::code;

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server said so: a code of the protocol, and its words.
    Refused(u32, String),
    /// There is no connection any more, so nothing is known: why.
    Lost(String),
    /// The server answered something that is no answer to this.
    Odd,
}

impl Failure {
    /// Whether nothing (or no directory on the way to it) is there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(code::NO_SUCH_FILE | code::NO_SUCH_PATH, _))
    }

    /// Whether the server can't even have such a name.
    pub(crate) fn is_bad_name(&self) -> bool {
        matches!(self, Self::Refused(code::BAD_MESSAGE | code::INVALID_FILENAME, _))
    }

    /// Whether the server only says that it failed, as OpenSSH does of a name that is taken, of a
    /// directory that isn't empty, of a full disk and of much else.
    pub(crate) fn is_vague(&self) -> bool {
        matches!(self, Self::Refused(code::FAILURE, _))
    }
}

/// What failed (`write`, `list`: a verb), on what, and why.
pub(crate) fn fault(verb: &str, on: impl Display, failure: &Failure) -> Fault {
    let why = match failure {
        Failure::Refused(code, words) => refusal(*code, words),
        Failure::Lost(why) => why.clone(),
        Failure::Odd => "the server gave an answer that SFTP doesn't know".to_owned(),
    };
    Fault::new(kind(failure), format!("can't {verb} `{on}`: {why}"))
}

fn refusal(code: u32, words: &str) -> String {
    let why = match code {
        code::NO_SUCH_FILE | code::NO_SUCH_PATH => "nothing is there",
        code::PERMISSION_DENIED => "the server denies it to this user",
        code::FAILURE => "the server failed to, and doesn't say why",
        code::BAD_MESSAGE | code::INVALID_FILENAME => "the server can't have such a name",
        code::OP_UNSUPPORTED => "the server isn't able to",
        code::WRITE_PROTECT => "its file system is read-only",
        code::NO_SPACE => "the server's disk is full",
        code::QUOTA_EXCEEDED => "the quota on the server is used up",
        _ => return format!("the server refuses with code {code} ({words})"),
    };
    why.to_owned()
}

fn kind(failure: &Failure) -> FaultKind {
    match failure {
        Failure::Refused(code, _) => match *code {
            code::NO_SUCH_FILE | code::NO_SUCH_PATH => FaultKind::NotFound,
            code::BAD_MESSAGE | code::INVALID_FILENAME => FaultKind::InvalidName,
            code::NO_CONNECTION | code::CONNECTION_LOST | code::WRITE_PROTECT => {
                FaultKind::Unavailable
            }
            code::OP_UNSUPPORTED => FaultKind::Unsupported,
            code::NO_SPACE | code::QUOTA_EXCEEDED => FaultKind::Full,
            // Concerns one path, and is tried again.
            _ => FaultKind::Denied,
        },
        Failure::Lost(_) => FaultKind::Unavailable,
        Failure::Odd => FaultKind::Bug,
    }
}

/// `path` isn't in the state that was expected.
pub(crate) fn changed(path: impl Display) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` has changed meanwhile"))
}

/// Something among the directories of `path` is none.
pub(crate) fn not_a_directory(path: impl Display) -> Fault {
    let text = format!("something on the way to `{path}` is not a directory");
    Fault::new(FaultKind::NotADirectory, text)
}

/// The service can't be used, and what to do about it.
pub(crate) fn unavailable(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Unavailable, text)
}

/// A task that didn't answer: it panicked, or the process is ending.
pub(crate) fn lost(what: &str) -> Fault {
    Fault::new(FaultKind::Bug, format!("{what} ended without an answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_who_tries_again() {
        for (code, expected) in [
            (code::NO_SUCH_FILE, FaultKind::NotFound),
            (code::PERMISSION_DENIED, FaultKind::Denied),
            (code::FAILURE, FaultKind::Denied),
            (code::BAD_MESSAGE, FaultKind::InvalidName),
            (code::OP_UNSUPPORTED, FaultKind::Unsupported),
            (code::NO_SPACE, FaultKind::Full),
            (code::WRITE_PROTECT, FaultKind::Unavailable),
            (99, FaultKind::Denied),
        ] {
            let fault = fault("write", "a", &Failure::Refused(code, "words".to_owned()));
            assert_eq!(fault.kind, expected, "{fault}");
            assert!(fault.message.starts_with("can't write `a`: "), "{fault}");
        }
    }

    #[test]
    fn without_a_connection_nothing_is_known() {
        let fault = fault("look at", "a", &Failure::Lost("the connection was closed".to_owned()));
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
}
