//! Paths that could not be looked at, and when to try again.
//!
//! An error says nothing of what is there, and no watcher tells when its cause has gone. So each
//! such path is looked at again, after pauses that grow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_core::{Fault, FaultKind, Path};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hints::Hint;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_mins(5);
/// Most paths that are remembered one by one; beyond, everything is scanned again in their stead.
const PATHS_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    pause: Duration,
    hint: Hint,
    /// Not let go yet; kept afterwards so that the pause goes on growing.
    waits: bool,
}

/// The paths.
#[derive(Default)]
pub(crate) struct Retries {
    paths: Mutex<BTreeMap<Path, Retry>>,
    /// Told when there is one more, by whichever task found it.
    added: Notify,
}

impl Retries {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<Path, Retry>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at `path` again some time. What the service can't hold at all stays so until it is
    /// changed, and that is hinted at.
    pub(crate) fn add(&self, path: &Path, hint: Hint, fault: &Fault) {
        if matches!(fault.kind, FaultKind::Unsupported | FaultKind::InvalidName) {
            return;
        }
        self.added.notify_one();
        let mut paths = self.paths();
        if paths.len() >= PATHS_MAX {
            paths.clear();
            let at = Instant::now() + LAST;
            let retry = Retry { at, pause: LAST, hint: Hint::Tree, waits: true };
            paths.insert(Path::root(), retry);
            return;
        }
        let before = paths.get(path);
        let pause = before.map_or(FIRST, |retry| (retry.pause * 2).min(LAST));
        // Once a listing has failed, only a listing will do; it begins with a look.
        let hint = before.map_or(hint, |retry| retry.hint.max(hint));
        let at = Instant::now() + pause;
        paths.insert(path.clone(), Retry { at, pause, hint, waits: true });
    }

    /// It was looked at; whether that was what it waited for. A directory that could not be listed
    /// is not mended by a look at it.
    pub(crate) fn looked_at(&self, path: &Path) -> bool {
        self.mended(path, |hint| hint != Hint::Tree)
    }

    /// It was listed; whether that was what it waited for.
    pub(crate) fn listed(&self, path: &Path) -> bool {
        self.mended(path, |hint| hint == Hint::Tree)
    }

    fn mended(&self, path: &Path, is_it: impl Fn(Hint) -> bool) -> bool {
        let mut paths = self.paths();
        if paths.get(path).is_some_and(|retry| !is_it(retry.hint)) {
            return false;
        }
        paths.remove(path);
        true
    }

    /// Returns when a path was added since the last call: the next may be due earlier.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.paths().values().filter(|retry| retry.waits).map(|retry| retry.at).min()
    }

    /// Those that are due.
    pub(crate) fn take_due(&self) -> Vec<(Path, Hint)> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (path, retry) in self.paths().iter_mut() {
            if retry.waits && retry.at <= now {
                retry.waits = false;
                due.push((path.clone(), retry.hint));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_the_path_was_looked_at() {
        let retries = Retries::default();
        let path = Path::new("a").unwrap();
        let fault = Fault::new(FaultKind::Denied, "no");
        for seconds in [1, 2, 4] {
            retries.add(&path, Hint::Changed, &fault);
            let next = retries.next().unwrap();
            assert_eq!(next - Instant::now(), Duration::from_secs(seconds));
            assert!(retries.take_due().is_empty());
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(retries.take_due(), [(path.clone(), Hint::Changed)]);
            assert_eq!(retries.next(), None);
        }
        assert!(retries.looked_at(&path));
        retries.add(&path, Hint::Changed, &fault);
        assert_eq!(retries.next().unwrap() - Instant::now(), FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_could_not_be_listed_waits_for_a_listing() {
        let retries = Retries::default();
        let path = Path::new("a").unwrap();
        retries.add(&path, Hint::Tree, &Fault::new(FaultKind::Denied, "no"));
        assert!(!retries.looked_at(&path));
        assert!(retries.next().is_some());
        assert!(retries.listed(&path));
        assert_eq!(retries.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_could_not_be_looked_at_is_not_mended_by_a_listing() {
        let retries = Retries::default();
        let path = Path::new("a").unwrap();
        retries.add(&path, Hint::Changed, &Fault::new(FaultKind::Denied, "no"));
        assert!(!retries.listed(&path));
        assert!(retries.looked_at(&path));
    }

    #[tokio::test]
    async fn who_sleeps_until_the_next_one_hears_of_another() {
        let retries = Retries::default();
        assert_eq!(retries.next(), None);
        let add = async {
            tokio::task::yield_now().await;
            retries.add(&Path::root(), Hint::Tree, &Fault::new(FaultKind::Denied, "no"));
        };
        tokio::join!(retries.added(), add);
        assert!(retries.next().is_some());
    }

    #[test]
    fn what_can_never_be_held_is_not_tried_again() {
        let retries = Retries::default();
        retries.add(
            &Path::new("a").unwrap(),
            Hint::Changed,
            &Fault::new(FaultKind::InvalidName, ""),
        );
        assert_eq!(retries.next(), None);
    }
}
