//! The one place where a service's refusals become faults.

use std::fmt::Display;
use std::time::Duration;

use onitu_plug::{Fault, FaultKind};
use opendal::{Error, ErrorKind};

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing is there.
    Missing,
    /// Something is there that mustn't be replaced, or isn't as it should be.
    Taken,
    /// Something on the way to it is missing, or is no directory.
    Parent,
    /// The service has such a name for nothing.
    Name,
    /// It says no: a status and its words.
    Denied(String),
    /// The login is refused.
    Login,
    /// No room.
    Full,
    /// It asks for patience.
    Busy(Option<Duration>),
    /// Nothing is known: no connection, no answer in time, an error of the server.
    Lost(String),
}

/// A status of HTTP that is no success, in words of ours. [`None`] if opendal shall judge it.
pub(crate) fn refusal(status: u16, wait: Option<Duration>) -> Option<Refusal> {
    Some(match status {
        401 => Refusal::Login,
        403 => Refusal::Denied("the server forbids it".to_owned()),
        404 | 410 => Refusal::Missing,
        405 | 412 => Refusal::Taken,
        409 => Refusal::Parent,
        400 | 414 => Refusal::Name,
        423 => Refusal::Denied("somebody has locked it".to_owned()),
        413 | 507 => Refusal::Full,
        // It had more to do than it could.
        408 | 429 => Refusal::Busy(wait),
        503 if wait.is_some() => Refusal::Busy(wait),
        300..=399 => Refusal::Lost(
            "the server sends us elsewhere: correct `endpoint` (perhaps it begins with https)"
                .to_owned(),
        ),
        500..=599 => Refusal::Lost(format!("the server failed (HTTP {status})")),
        200..=299 => return None,
        _ => Refusal::Denied(format!("the server refuses with HTTP {status}")),
    })
}

/// What opendal says went wrong.
pub(crate) fn of(error: &Error) -> Refusal {
    if let Some(said) = crate::fence::said(error) {
        return said;
    }
    match error.kind() {
        ErrorKind::NotFound => Refusal::Missing,
        ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => Refusal::Taken,
        ErrorKind::NotADirectory => Refusal::Parent,
        ErrorKind::PermissionDenied => Refusal::Denied("the service denies it".to_owned()),
        ErrorKind::RateLimited => Refusal::Busy(None),
        // What it doesn't understand is no answer: unknown, and not absent.
        _ => Refusal::Lost(error.message().to_owned()),
    }
}

/// What failed (`write`, `list`: a verb), on what, and why.
pub(crate) fn fault(verb: &str, on: impl Display, refusal: &Refusal) -> Fault {
    let (kind, why) = match refusal {
        Refusal::Missing => (FaultKind::NotFound, "nothing is there"),
        Refusal::Taken => (FaultKind::Changed, "something else is there"),
        Refusal::Parent => (FaultKind::NotADirectory, "what should hold it is no directory"),
        Refusal::Name => (FaultKind::InvalidName, "the server can't have such a name"),
        Refusal::Denied(why) => (FaultKind::Denied, why.as_str()),
        Refusal::Login => {
            (FaultKind::Unavailable, "the login is refused: correct `username` and `password`")
        }
        Refusal::Full => (FaultKind::Full, "the service has no room for it"),
        Refusal::Busy(_) => (FaultKind::RateLimited, "the service asks for patience"),
        Refusal::Lost(why) => (FaultKind::Unavailable, why.as_str()),
    };
    let fault = Fault::new(kind, format!("can't {verb} `{on}`: {why}"));
    match refusal {
        Refusal::Busy(Some(wait)) => fault.retry_after(*wait),
        _ => fault,
    }
}

/// `path` isn't in the state that was expected.
pub(crate) fn changed(path: impl Display) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` has changed meanwhile"))
}

/// The service can't be used, and what to do about it.
pub(crate) fn unavailable(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_told_as_absent() {
        for status in (300..600).filter(|status| ![404, 410].contains(status)) {
            assert_ne!(refusal(status, None), Some(Refusal::Missing), "{status}");
        }
        for status in [500, 502, 503, 504, 301, 401] {
            let refusal = refusal(status, None).expect("no success");
            assert_eq!(fault("look at", "a", &refusal).kind, FaultKind::Unavailable, "{status}");
        }
    }

    #[test]
    fn the_servers_own_waiting_time_is_told() {
        let wait = Duration::from_secs(7);
        for status in [408, 429, 503] {
            let fault = fault("write", "a", &refusal(status, Some(wait)).expect("no success"));
            assert_eq!((fault.kind, fault.retry_after_ms), (FaultKind::RateLimited, Some(7_000)));
        }
    }
}
