//! Messages that were sent and haven't arrived.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// A line of messages, each with the moment of its arrival.
pub(super) struct Underway<T> {
    waiting: BTreeMap<(Instant, u64), T>,
    sent: u64,
    last: Option<Instant>,
}

impl<T> Underway<T> {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), sent: 0, last: None }
    }

    /// Sets `message` on its way, to arrive at `arrival` but, when `in_order`, not before those
    /// sent earlier.
    pub(super) fn push(&mut self, arrival: Instant, in_order: bool, message: T) {
        let arrival =
            if in_order { self.last.map_or(arrival, |l| l.max(arrival)) } else { arrival };
        self.last = self.last.max(Some(arrival));
        self.sent += 1;
        self.waiting.insert((arrival, self.sent), message);
    }

    /// The next message to arrive. May be dropped while waiting without a loss.
    pub(super) async fn next(&mut self) -> T {
        let Some(((arrival, _), _)) = self.waiting.first_key_value() else {
            return std::future::pending().await;
        };
        // A timer, even one in the past, costs a turn of the clock: not for calm weather.
        if *arrival > Instant::now() {
            tokio::time::sleep_until(*arrival).await;
        }
        match self.waiting.pop_first() {
            Some((_, message)) => message,
            None => std::future::pending().await,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
