//! Waiting for a condition, with a limit: the one place in which the harness lets time pass.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(10);
/// Far more than anything needs on a loaded machine: only a failing test waits so long.
const LIMIT: Duration = Duration::from_secs(45);

/// Looks until `found` finds something; panics with `what` after `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::park_timeout(EVERY);
    }
}

/// As [`eventually`], with a limit that suits everything but the very large.
#[track_caller]
pub fn found<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually(what, LIMIT, look)
}

/// Waits until `holds` is true, as long as [`found`].
#[track_caller]
pub fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    found(what, || holds().then_some(()));
}
