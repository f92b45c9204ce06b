//! Which folders are known to be spelled as they are asked for.
//!
//! Dropbox finds a path however its letters are spelled, and may show the folders above a thing in
//! another spelling than their own. Only a folder's own name is to be trusted, so each folder of a
//! path is asked for it; who was asked is remembered for a moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For how long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(10);
/// Most folders that are remembered.
const FOLDERS_MAX: usize = 4_096;

/// Folders below the root, as `/a/b`, that were there and spelled so.
#[derive(Default)]
pub(crate) struct Spelling(Mutex<BTreeMap<String, Instant>>);

impl Spelling {
    fn folders(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder is spelled so.
    pub(crate) fn remember(&self, folder: &str) {
        let mut folders = self.folders();
        if folders.len() >= FOLDERS_MAX {
            folders.clear();
        }
        folders.insert(folder.to_owned(), Instant::now());
    }

    /// Whether that was so a moment ago.
    pub(crate) fn knows(&self, folder: &str) -> bool {
        let since = |asked: &Instant| asked.elapsed() < BELIEVED;
        folder.is_empty() || self.folders().get(folder).is_some_and(since)
    }

    /// A folder was moved, made or removed: nothing is known any more.
    pub(crate) fn forget(&self) {
        self.folders().clear();
    }
}

/// The folders above a held path, the highest first: `/a` and `/a/b` of `/a/b/c`.
pub(crate) fn above(held: &str) -> impl Iterator<Item = &str> {
    held.match_indices('/').map(|(at, _)| &held[..at]).filter(|folder| !folder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_long_ago_is_asked_again() {
        let spelling = Spelling::default();
        assert!(spelling.knows("") && !spelling.knows("/a"));
        spelling.remember("/a");
        assert!(spelling.knows("/a") && !spelling.knows("/A"));
        tokio::time::advance(BELIEVED).await;
        assert!(!spelling.knows("/a"));
    }

    #[test]
    fn the_folders_above_a_path_begin_with_the_highest() {
        assert_eq!(above("/a/b/c").collect::<Vec<_>>(), ["/a", "/a/b"]);
        assert_eq!(above("/a").count() + above("").count(), 0);
    }
}
