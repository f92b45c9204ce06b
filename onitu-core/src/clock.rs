//! The one place that asks for the time of day, so that a simulation can own it.
//!
//! Waiting and timeouts go through `tokio::time`, which a test can pause; the wall clock here
//! follows it once [`simulate`] was called on the thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static SIMULATED: Cell<Option<(u64, tokio::time::Instant)>> = const { Cell::new(None) };
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    if let Some((base_ms, since)) = SIMULATED.get() {
        return base_ms + u64::try_from(since.elapsed().as_millis()).unwrap_or(0);
    }
    wall_ms()
}

/// Nanoseconds since the Unix epoch, to the millisecond.
pub fn now_ns() -> i64 {
    i64::try_from(now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether this thread's time is simulated.
pub fn is_simulated() -> bool {
    SIMULATED.get().is_some()
}

/// From now on this thread's wall clock starts at `base_ms` and runs with tokio's (paused) clock.
pub fn simulate(base_ms: u64) {
    SIMULATED.set(Some((base_ms, tokio::time::Instant::now())));
}
