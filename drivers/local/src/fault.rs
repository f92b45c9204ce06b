//! The one place where the kernel's errors become faults.

use std::fmt::Display;

use onitu_plug::{Fault, FaultKind};
use rustix::io::Errno;

use crate::spelling::TWIN;

/// What failed (`write`, `list`: a verb), on what, and why.
pub(crate) fn fault(verb: &str, on: impl Display, errno: Errno) -> Fault {
    let why = std::io::Error::from(errno);
    let hint = match errno {
        TWIN => ": the file system can't tell it from another name that is there",
        Errno::NOSYS => ": Linux 5.8 or newer is needed",
        Errno::MFILE | Errno::NFILE => ": raise the limit of open files (`ulimit -n`)",
        _ => "",
    };
    Fault::new(kind(errno), format!("can't {verb} `{on}`: {why}{hint}"))
}

fn kind(errno: Errno) -> FaultKind {
    match errno {
        Errno::NOENT => FaultKind::NotFound,
        Errno::EXIST | Errno::ISDIR | Errno::AGAIN => FaultKind::Changed,
        // A bad block or a busy mount point concerns one path, not the whole service.
        Errno::ACCESS | Errno::PERM | Errno::BUSY | Errno::TXTBSY | Errno::IO => FaultKind::Denied,
        Errno::NOSPC | Errno::DQUOT => FaultKind::Full,
        TWIN => FaultKind::Taken,
        Errno::NAMETOOLONG | Errno::ILSEQ => FaultKind::InvalidName,
        Errno::NOTDIR | Errno::LOOP => FaultKind::NotADirectory,
        Errno::NOTEMPTY => FaultKind::NotEmpty,
        Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::FBIG | Errno::MLINK => {
            FaultKind::Unsupported
        }
        _ => FaultKind::Unavailable,
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

/// A blocking task that didn't answer: it panicked, or the process is ending.
pub(crate) fn lost(what: &str) -> Fault {
    Fault::new(FaultKind::Bug, format!("{what} ended without an answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_who_tries_again() {
        for (errno, expected) in [
            (Errno::NOSPC, FaultKind::Full),
            (Errno::DQUOT, FaultKind::Full),
            (Errno::NAMETOOLONG, FaultKind::InvalidName),
            (Errno::ACCESS, FaultKind::Denied),
            (Errno::ROFS, FaultKind::Unavailable),
            (Errno::STALE, FaultKind::Unavailable),
            (Errno::LOOP, FaultKind::NotADirectory),
            (Errno::IO, FaultKind::Denied),
            (TWIN, FaultKind::Taken),
        ] {
            let fault = fault("write", "a", errno);
            assert_eq!(fault.kind, expected, "{fault}");
            assert!(fault.message.starts_with("can't write `a`: "), "{fault}");
        }
    }
}
