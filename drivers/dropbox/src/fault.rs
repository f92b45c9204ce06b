//! The one place where Dropbox's refusals become faults.

use std::time::Duration;

use onitu_plug::{Fault, FaultKind};

use crate::token;

/// How long other writes into the account are left to end.
const WRITES_PAUSE: Duration = Duration::from_millis(500);

/// Why a call wasn't answered as it was meant.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// The route's own error: its tags as Dropbox sums them up.
    Route(String),
    /// The token is no good.
    Token,
    /// Too many calls, or too many writes; and how long to wait.
    Busy(Duration),
    /// No answer, or one that says nothing: whether the call had its effect isn't known.
    Lost(String),
    /// The call is wrong.
    Wrong(String),
    /// Something that was found out on the way.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal {
    /// A route's error; one that only asks for patience is that.
    pub(crate) fn route(summary: String) -> Self {
        let told = Self::Route(summary);
        if told.has("too_many_write_operations") { Self::Busy(WRITES_PAUSE) } else { told }
    }

    /// Whether the error's tags begin so, as in `path/conflict`.
    pub(crate) fn is(&self, tags: &str) -> bool {
        matches!(self, Self::Route(summary) if summary.strip_prefix(tags)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Whether one of the tags is this.
    pub(crate) fn has(&self, tag: &str) -> bool {
        matches!(self, Self::Route(summary) if summary.split('/').any(|it| it == tag))
    }

    /// As a fault of what was done (`write`, `list`: a verb) to `on`.
    pub(crate) fn fault(self, verb: &str, on: impl std::fmt::Display) -> Fault {
        let told = |kind, why: &str| Fault::new(kind, format!("can't {verb} `{on}`: {why}"));
        match &self {
            Self::Fault(fault) => fault.clone(),
            Self::Token => token::expired(),
            Self::Busy(wait) => {
                told(FaultKind::RateLimited, "Dropbox asks for patience").retry_after(*wait)
            }
            Self::Lost(why) => {
                told(FaultKind::Unavailable, &format!("Dropbox said nothing: {why}"))
            }
            Self::Wrong(why) => told(FaultKind::Bug, why),
            Self::Route(summary) => {
                let (kind, why) = self.meaning();
                told(kind, if why.is_empty() { summary } else { why })
            }
        }
    }

    fn meaning(&self) -> (FaultKind, &'static str) {
        // The first one that fits says it.
        for (tag, kind, why) in [
            ("not_found", FaultKind::NotFound, "it isn't there"),
            ("not_folder", FaultKind::NotADirectory, "it is no folder"),
            ("not_file", FaultKind::Changed, "it is no file"),
            ("file_ancestor", FaultKind::NotADirectory, "a file stands where a folder is needed"),
            ("conflict", FaultKind::Changed, "it has changed meanwhile"),
            (
                "insufficient_space",
                FaultKind::Full,
                "the Dropbox is full: make room in it, or buy some",
            ),
            ("insufficient_quota", FaultKind::Full, "the Dropbox is full: make room in it"),
            ("malformed_path", FaultKind::InvalidName, "Dropbox can't hold such a name"),
            ("disallowed_name", FaultKind::InvalidName, "Dropbox doesn't save such a name"),
            ("no_write_permission", FaultKind::Denied, "you may only read there"),
            ("restricted_content", FaultKind::Denied, "Dropbox doesn't give out its content"),
            ("locked", FaultKind::Denied, "somebody has locked it"),
            ("access_restricted", FaultKind::Denied, "your team's admin doesn't allow it"),
            ("unsupported_file", FaultKind::Unsupported, "it can't be downloaded"),
            ("unsupported_content_type", FaultKind::Unsupported, "it can't be downloaded"),
            ("too_many_files", FaultKind::Unsupported, "it holds too much for one call"),
            ("content_hash_mismatch", FaultKind::Corrupt, "the bytes were damaged on the way"),
        ] {
            if self.has(tag) {
                return (kind, why);
            }
        }
        (FaultKind::Denied, "")
    }
}

/// `path` isn't in the state that was expected.
pub(crate) fn changed(path: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` has changed meanwhile"))
}

/// A name that Dropbox takes for `path` stands there.
pub(crate) fn taken(path: impl std::fmt::Display) -> Fault {
    let text = format!("Dropbox can't tell `{path}` from another name that is there");
    Fault::new(FaultKind::Taken, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_who_tries_again() {
        for (summary, kind) in [
            ("path/not_found/..", FaultKind::NotFound),
            ("path/conflict/file/..", FaultKind::Changed),
            ("path/conflict/file_ancestor/..", FaultKind::NotADirectory),
            ("path/insufficient_space/.", FaultKind::Full),
            ("path/disallowed_name/", FaultKind::InvalidName),
            ("to/no_write_permission/..", FaultKind::Denied),
            ("something/new/..", FaultKind::Denied),
        ] {
            let fault = Refusal::Route(summary.to_owned()).fault("write", "a");
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.message.starts_with("can't write `a`: "), "{fault}");
        }
        let busy = Refusal::route("path/too_many_write_operations/..".to_owned());
        assert_eq!(busy.fault("write", "a").kind, FaultKind::RateLimited);
        let busy = Refusal::Busy(Duration::from_secs(7)).fault("write", "a");
        assert_eq!((busy.kind, busy.retry_after_ms), (FaultKind::RateLimited, Some(7_000)));
        assert!(Refusal::Token.fault("list", "a").message.contains("onitu auth dropbox"));
    }

    #[test]
    fn tags_are_compared_whole() {
        let refusal = Refusal::Route("path/conflict/file/..".to_owned());
        assert!(refusal.is("path/conflict") && refusal.has("file") && refusal.is("path"));
        assert!(!refusal.is("path/con") && !refusal.has("conf"));
    }
}
