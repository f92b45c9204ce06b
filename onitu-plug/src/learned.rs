//! Checksums that were computed while a content was sent, until the records know them.
//!
//! A large file is announced before anybody has read it, so that it is read once, by its transfer.
//! What that reading finds out is told as soon as it is known: should the file be edited and its
//! receiver die before it has told what it placed, its copy is then known for an old revision.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onitu_core::{Checksum, Path, Tag};

/// Most that are kept; what is beyond is told by whoever places the file.
const LEARNED_MAX: usize = 1_024;

/// A handle to them.
#[derive(Clone, Default)]
pub(crate) struct Learned(Arc<Mutex<BTreeMap<Path, (Tag, Checksum)>>>);

impl Learned {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<Path, (Tag, Checksum)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `path` has `checksum` in the state `tag`; whether there was room for it.
    pub(crate) fn note(&self, path: &Path, tag: Tag, checksum: Checksum) -> bool {
        let mut kept = self.kept();
        if kept.len() >= LEARNED_MAX && !kept.contains_key(path) {
            return false;
        }
        kept.insert(path.clone(), (tag, checksum));
        true
    }

    /// The checksum of `path` in the state `tag`, told once.
    pub(crate) fn take(&self, path: &Path, tag: Tag) -> Option<Checksum> {
        let (of, checksum) = self.kept().remove(path)?;
        (of == tag).then_some(checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_told_once_and_only_of_its_state() {
        let learned = Learned::default();
        let path = Path::new("a").expect("legal");
        let (tag, sum) = (Tag::of(b"1"), Checksum::of(b"x"));
        assert!(learned.note(&path, tag, sum));
        assert_eq!(learned.take(&path, tag), Some(sum));
        assert_eq!(learned.take(&path, tag), None);
        learned.note(&path, tag, sum);
        assert_eq!(learned.take(&path, Tag::of(b"2")), None);
    }
}
