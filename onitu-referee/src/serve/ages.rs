//! When time alone asks for something: rules may say how old a file is.
//!
//! Nobody keeps a list of files by age. What is looked at anyway tells when it will next mean
//! something else; at the earliest of these instants all records are gone through once, at most
//! once a minute and for a twentieth of the time. Without such rules there is never anything to do.

use std::time::Duration;

use onitu_core::clock;
use tokio::time::Instant;

/// Sweeps because of ages begin at least so long after each other.
const PAUSE_MIN: Duration = Duration::from_mins(1);
/// So many times as long as a sweep took, the next one waits.
const PAUSE_FACTOR: u32 = 20;

/// What is known of the next such instant.
#[derive(Default)]
pub(super) struct Ages {
    /// In nanoseconds since the epoch.
    due_ns: Option<i64>,
    begun: Option<Instant>,
    not_before: Option<Instant>,
}

impl Ages {
    /// A record means something else from then on.
    pub(super) fn note(&mut self, changes_at_ns: Option<i64>) {
        self.due_ns = self.due_ns.into_iter().chain(changes_at_ns).min();
    }

    /// All records are gone through from now on.
    pub(super) fn begin(&mut self) {
        self.due_ns = None;
        self.begun = Some(Instant::now());
    }

    /// That is done; the earliest instant that was found.
    pub(super) fn swept(&mut self, changes_at_ns: Option<i64>) {
        self.note(changes_at_ns);
        let took = self.begun.take().map_or(Duration::ZERO, |begun| begun.elapsed());
        self.not_before = Some(Instant::now() + (took * PAUSE_FACTOR).max(PAUSE_MIN));
    }

    /// Whether the time has come to go through all records again.
    pub(super) fn are_due(&self) -> bool {
        self.due_ns.is_some_and(|due_ns| due_ns <= clock::now_ns())
            && self.not_before.is_none_or(|at| at <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earliest_instant_counts_and_sweeps_keep_their_distance() {
        clock::simulate(1_000);
        let mut ages = Ages::default();
        assert!(!ages.are_due(), "no rule asks for an age");
        ages.note(Some(2_000_000_000));
        ages.note(None);
        ages.note(Some(3_000_000_000));
        assert!(!ages.are_due());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ages.are_due());
        ages.begin();
        assert!(!ages.are_due());
        tokio::time::advance(Duration::from_secs(4)).await;
        ages.swept(Some(1));
        tokio::time::advance(Duration::from_secs(79)).await;
        assert!(!ages.are_due(), "a sweep of 4 s is made every 80 s at most");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ages.are_due());
    }
}
