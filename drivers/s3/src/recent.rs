//! What was learned a moment ago and need not be asked again: bounded, and never the truth about a
//! user's file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_plug::{Path, Tag};
use tokio::time::Instant;

/// Most directories, absences and own changes that are remembered; beyond, all are forgotten, which
/// costs requests and nothing else.
const REMEMBERED_MAX: usize = 16_384;
/// For how long it is believed that nothing was below a path.
const ABSENT: Duration = Duration::from_secs(10);
/// For how long an archived object isn't asked for again.
const THAWING: Duration = Duration::from_hours(1);

/// What one of our own changes has left at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Own {
    /// The tag of the state; nothing if it was removed.
    left: Option<Tag>,
    /// In which round of the watch it was made.
    round: u64,
}

#[derive(Debug, Default)]
struct Memory {
    directories: BTreeSet<Path>,
    absent: BTreeMap<String, Instant>,
    own: BTreeMap<String, Own>,
    round: u64,
    /// Archived objects that were asked for.
    thawing: BTreeMap<String, Instant>,
    buried: bool,
}

/// The memory of one connection.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    memory: Mutex<Memory>,
}

impl Recent {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory has its marker.
    pub(crate) fn keep_directory(&self, path: &Path) {
        let mut memory = self.memory();
        if memory.directories.len() >= REMEMBERED_MAX {
            memory.directories.clear();
        }
        memory.directories.insert(path.clone());
    }

    /// Whether the directory had its marker when it was last seen.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        path.is_root() || self.memory().directories.contains(path)
    }

    /// The path was changed, by whomever.
    pub(crate) fn forget(&self, path: &Path) {
        let mut memory = self.memory();
        memory.directories.remove(path);
    }

    /// Any directory may have gone.
    pub(crate) fn forget_directories(&self) {
        self.memory().directories.clear();
    }

    /// Nothing was under the key or below it just now.
    pub(crate) fn keep_absent(&self, key: &str) {
        let mut memory = self.memory();
        if memory.absent.len() >= REMEMBERED_MAX {
            memory.absent.clear();
        }
        memory.absent.insert(key.to_owned(), Instant::now());
    }

    /// Whether nothing was there a moment ago; asked once.
    pub(crate) fn take_absent(&self, key: &str) -> bool {
        self.memory().absent.remove(key).is_some_and(|since| since.elapsed() < ABSENT)
    }

    /// Something stands under the key now, and so do its directories.
    pub(crate) fn appeared(&self, key: &str) {
        let mut memory = self.memory();
        let is_above = |at: &usize| key.as_bytes().get(*at) == Some(&b'/');
        for end in (0..key.len()).filter(is_above).chain([key.len()]) {
            memory.absent.remove(&key[..end]);
        }
    }

    /// We ourselves left this under the key, and whoever gave the order hears of it next: nothing
    /// may be waited for in between, or a call that is dropped there is never heard of.
    pub(crate) fn keep_own(&self, key: &str, left: Option<Tag>) {
        let mut memory = self.memory();
        if memory.own.len() >= REMEMBERED_MAX {
            memory.own.clear();
        }
        let round = memory.round;
        memory.own.insert(key.to_owned(), Own { left, round });
    }

    /// Whether what is found under the key now is what we ourselves left there.
    pub(crate) fn is_own(&self, key: &str, found: Option<Tag>) -> bool {
        self.memory().own.get(key).is_some_and(|own| own.left == found)
    }

    /// An archived object was asked for.
    pub(crate) fn keep_thawing(&self, key: &str) {
        let mut memory = self.memory();
        if memory.thawing.len() >= REMEMBERED_MAX {
            memory.thawing.clear();
        }
        memory.thawing.insert(key.to_owned(), Instant::now());
    }

    /// Whether it was a while ago.
    pub(crate) fn is_thawing(&self, key: &str) -> bool {
        self.memory().thawing.get(key).is_some_and(|since| since.elapsed() < THAWING)
    }

    /// Somebody else has left something under the key: what is found there next isn't ours, even if
    /// it is the same.
    pub(crate) fn disown(&self, key: &str) {
        self.memory().own.remove(key);
    }

    /// Something went to the trash.
    pub(crate) fn bury(&self) {
        self.memory().buried = true;
    }

    /// Whether something did since it was asked last.
    pub(crate) fn take_buried(&self) -> bool {
        std::mem::take(&mut self.memory().buried)
    }

    /// A round of the watch begins; tells its number.
    pub(crate) fn begin_round(&self) -> u64 {
        let mut memory = self.memory();
        memory.round += 1;
        memory.round
    }

    /// A round of the watch has seen what was changed before it began.
    pub(crate) fn end_round(&self, round: u64) {
        self.memory().own.retain(|_, own| own.round >= round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_absence_is_believed_once_and_not_for_long() {
        let recent = Recent::default();
        recent.keep_absent("a/b");
        assert!(recent.take_absent("a/b"));
        assert!(!recent.take_absent("a/b"));
        recent.keep_absent("a/b");
        tokio::time::advance(ABSENT).await;
        assert!(!recent.take_absent("a/b"));
    }

    #[test]
    fn what_we_put_ends_the_absence_of_its_directories() {
        let recent = Recent::default();
        for key in ["a", "a/b", "a/b/c", "a/x"] {
            recent.keep_absent(key);
        }
        recent.appeared("a/b/c");
        assert_eq!(
            ["a", "a/b", "a/b/c", "a/x"].map(|key| recent.take_absent(key)),
            [false, false, false, true]
        );
    }

    #[test]
    fn our_own_change_is_known_again_until_a_round_that_began_later_has_passed() {
        let recent = Recent::default();
        let first = recent.begin_round();
        let tag = Tag([1; 6]);
        recent.keep_own("a", Some(tag));
        recent.end_round(first);
        assert!(recent.is_own("a", Some(tag)));
        assert!(!recent.is_own("a", Some(Tag([2; 6]))) && !recent.is_own("a", None));
        let second = recent.begin_round();
        recent.end_round(second);
        assert!(!recent.is_own("a", Some(tag)));
    }
}
