//! Files that were placed with the time of the second that was not over yet.
//!
//! Should somebody change one of them within that very second, and keep its size, it would look
//! as if nothing had happened. So each of them is read once more when the second is over.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use onitu_plug::Path;

/// Most that are remembered. Beyond, the oldest are read at once.
const PATHS_MAX: usize = 8_192;

/// What is to be read once more, each with its second.
#[derive(Default)]
pub(crate) struct Fresh(Mutex<VecDeque<(Path, u32)>>);

impl Fresh {
    /// `path` was placed with this time; `now_s` is the latest that the server's clock is known
    /// to have shown.
    pub(crate) fn note(&self, path: &Path, mtime_s: u32, now_s: u32) {
        if mtime_s >= now_s {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back((path.clone(), mtime_s));
        }
    }

    /// Whether something waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Those whose second is over at `now_s`, and those that are too many.
    pub(crate) fn take(&self, now_s: u32) -> Vec<Path> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let excess = waiting.len().saturating_sub(PATHS_MAX);
        let mut taken: Vec<Path> = waiting.drain(..excess).map(|(path, _)| path).collect();
        waiting.retain(|(path, mtime_s)| {
            // Far in the future no change can give it the same time by chance.
            let waits = *mtime_s >= now_s && *mtime_s < now_s.saturating_add(60);
            if !waits {
                taken.push(path.clone());
            }
            waits
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_placed_within_its_second_is_taken_when_that_is_over() {
        let fresh = Fresh::default();
        let path = |name: &str| Path::new(name).expect("a path");
        fresh.note(&path("old"), 9, 10);
        assert!(fresh.is_empty());
        fresh.note(&path("now"), 10, 10);
        fresh.note(&path("soon"), 12, 10);
        assert_eq!(fresh.take(10), []);
        assert_eq!(fresh.take(11), [path("now")]);
        assert_eq!(fresh.take(13), [path("soon")]);
        assert!(fresh.is_empty());
    }

    #[test]
    fn a_time_far_in_the_future_is_not_waited_for() {
        let fresh = Fresh::default();
        let path = Path::new("future").expect("a path");
        fresh.note(&path, 1_000, 10);
        assert_eq!(fresh.take(10), [path]);
    }
}
