//! What this driver itself has just put in its place.
//!
//! A watching program hears the last handle of such a file being closed, which says nothing of a
//! user; without this its bytes would be read once more.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::Path;
use tokio::time::Instant;

/// A program tells of a change within so long.
const RECENT: Duration = Duration::from_secs(10);
/// Most that are remembered. What is forgotten is read once more.
const PATHS_MAX: usize = 8_192;

/// Paths, the latest last.
#[derive(Default)]
pub(crate) struct Placed(Mutex<VecDeque<(Instant, Path)>>);

impl Placed {
    /// Something is about to be put at `path`.
    pub(crate) fn note(&self, path: &Path) {
        let now = Instant::now();
        let mut placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while placed.len() >= PATHS_MAX
            || placed.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT)
        {
            placed.pop_front();
        }
        placed.push_back((now, path.clone()));
    }

    /// Whether something was put there just now.
    pub(crate) fn is_recent(&self, path: &Path) -> bool {
        let placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        placed.iter().rev().any(|(at, of)| of == path && at.elapsed() <= RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_placed_is_remembered_for_a_moment() {
        let placed = Placed::default();
        let path = |name: &str| Path::new(name).expect("a path");
        placed.note(&path("a"));
        assert!(placed.is_recent(&path("a")) && !placed.is_recent(&path("b")));
        tokio::time::advance(RECENT * 2).await;
        assert!(!placed.is_recent(&path("a")));
        for number in 0..PATHS_MAX + 5 {
            placed.note(&path(&number.to_string()));
        }
        assert_eq!(placed.0.lock().expect("whole").len(), PATHS_MAX);
    }
}
