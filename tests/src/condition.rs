//! Waiting for a condition, with a limit: the one place in which the harness lets time pass.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(10);
/// Far more than anything needs on a loaded machine: only a failing test waits so long.
const LIMIT: Duration = Duration::from_secs(45);

/// Whether `holds` is true at any moment within `limit`.
pub fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::park_timeout(EVERY);
    }
    false
}

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

/// Lets time pass, where the moment is chosen at random: the crash rounds alone do that.
pub(crate) fn pass(time: Duration) {
    let deadline = Instant::now() + time;
    while let Some(rest) =
        deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
    {
        std::thread::park_timeout(rest);
    }
}
