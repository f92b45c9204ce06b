//! Bytes that were used and not yet paid for with time. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// What was used ahead of time; shrinks by the rate.
#[derive(Debug)]
pub(super) struct Debt {
    bytes: f64,
    since: Instant,
}

impl Debt {
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: 0.0, since: now }
    }

    /// How long until nothing is owed at `rate` bytes a second.
    pub(super) fn wait(&mut self, rate: u64, now: Instant) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
        let rate = rate.max(1) as f64;
        let paid = now.saturating_duration_since(self.since).as_secs_f64() * rate;
        self.bytes = (self.bytes - paid).max(0.0);
        self.since = now;
        // A timer's tick is a millisecond: what is less isn't waited for.
        let left = self.bytes / rate;
        if left < 0.001 { Duration::ZERO } else { Duration::from_secs_f64(left.min(86_400.0)) }
    }

    /// So many bytes more were used.
    pub(super) fn owe(&mut self, bytes: usize) {
        #[allow(clippy::cast_precision_loss, reason = "a chunk is far below 2^52 bytes")]
        let bytes = bytes as f64;
        self.bytes += bytes;
    }

    /// Nothing is owed: the hours of the limit are over.
    pub(super) fn forgive(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_used_is_paid_for_with_time() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut debt = Debt::new(start);
        assert_eq!(debt.wait(1_000, start), Duration::ZERO);
        debt.owe(2_000);
        assert_eq!(debt.wait(1_000, start), Duration::from_secs(2));
        assert_eq!(debt.wait(1_000, after(500)), Duration::from_millis(1_500));
        assert_eq!(debt.wait(500, after(500)), Duration::from_secs(3), "slower from now on");
        assert_eq!(debt.wait(500, after(60_000)), Duration::ZERO);
        // Time without use isn't saved up.
        debt.owe(1_000);
        assert_eq!(debt.wait(1_000, after(60_000)), Duration::from_secs(1));
        debt.forgive(after(60_000));
        assert_eq!(debt.wait(1_000, after(60_000)), Duration::ZERO);
    }
}
