//! What was told within the last minute: a judgement counts it with what waits, so that many small
//! removals are no way around the brake.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use onitu_core::{Path, Tag};
use tokio::time::Instant;

/// So long something counts.
const MINUTE: Duration = Duration::from_mins(1);
/// What comes and goes within this was made by a program for its own use.
const PASSING: Duration = Duration::from_secs(1);
/// Removals within this are counted together.
const TOGETHER: Duration = Duration::from_secs(1);
/// Most paths that are remembered by name.
const PATHS_MAX: usize = 16_384;
/// Most new files that are remembered by what they are.
const NAMES_MAX: usize = 32_768;

/// The last minute.
#[derive(Debug, Default)]
pub(super) struct Recent {
    removals: Counts,
    /// Files that orders removed: nobody's loss here, and what the service held before has them.
    ordered: Counts,
    /// Files that were made just now, as far as there is room: what comes and goes at once was
    /// nobody's loss.
    appeared: BTreeMap<Path, Instant>,
    /// New files by what they are, as far as there is room: the old name of a rename may be found
    /// to be gone after the new one was told.
    names: BTreeMap<Tag, (Path, Instant)>,
    /// Files with new contents: one that is saved again and again counts once,
    changes: BTreeMap<Path, Instant>,
    /// as long as there is room.
    more_changes: Counts,
}

/// How often something happened, by the time of the first of each group.
#[derive(Debug, Default)]
struct Counts(VecDeque<(Instant, u64)>);

impl Counts {
    fn add(&mut self, now: Instant) {
        match self.0.back_mut().filter(|(at, _)| now.duration_since(*at) < TOGETHER) {
            Some((_, count)) => *count += 1,
            None => self.0.push_back((now, 1)),
        }
        self.pass(now);
    }

    fn pass(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| is_over(*at, now, MINUTE)) {
            self.0.pop_front();
        }
    }

    fn sum(&mut self, now: Instant) -> u64 {
        self.pass(now);
        self.0.iter().map(|(_, count)| count).sum()
    }
}

fn is_over(at: Instant, now: Instant, limit: Duration) -> bool {
    now.duration_since(at) >= limit
}

/// Whether there is room for another path, if need be without those whose time is over.
fn has_room(paths: &mut BTreeMap<Path, Instant>, now: Instant, limit: Duration) -> bool {
    if paths.len() >= PATHS_MAX {
        paths.retain(|_, at| !is_over(*at, now, limit));
    }
    paths.len() < PATHS_MAX
}

impl Recent {
    pub(super) fn appeared(&mut self, path: &Path, now: Instant) {
        if has_room(&mut self.appeared, now, PASSING) {
            self.appeared.insert(path.clone(), now);
        }
    }

    pub(super) fn named(&mut self, path: &Path, tag: Tag, now: Instant) {
        if self.names.len() >= NAMES_MAX {
            self.names.retain(|_, (_, at)| !is_over(*at, now, MINUTE));
        }
        if self.names.len() < NAMES_MAX {
            self.names.insert(tag, (path.clone(), now));
        }
    }

    /// Where a file with this tag was new.
    pub(super) fn name(&self, tag: Tag, now: Instant) -> Option<Path> {
        let (path, at) = self.names.get(&tag)?;
        (!is_over(*at, now, MINUTE)).then(|| path.clone())
    }

    pub(super) fn removed(&mut self, path: &Path, now: Instant) {
        let appeared = self.appeared.remove(path);
        if appeared.is_none_or(|at| is_over(at, now, PASSING)) {
            self.removals.add(now);
        }
    }

    pub(super) fn changed(&mut self, path: &Path, now: Instant) {
        if self.changes.contains_key(path) || has_room(&mut self.changes, now, MINUTE) {
            self.changes.insert(path.clone(), now);
        } else {
            self.more_changes.add(now);
        }
    }

    pub(super) fn ordered(&mut self, now: Instant) {
        self.ordered.add(now);
    }

    /// How many files were removed, by anybody: so many fewer does the service hold.
    pub(super) fn gone(&mut self, now: Instant) -> u64 {
        self.removals.sum(now) + self.ordered.sum(now)
    }

    /// How many files were removed by others than orders.
    pub(super) fn removals(&mut self, now: Instant) -> u64 {
        self.removals.sum(now)
    }

    /// How many files have new contents, those aside that are counted elsewhere.
    pub(super) fn changes(&mut self, now: Instant, is_counted: impl Fn(&Path) -> bool) -> u64 {
        self.changes.retain(|_, at| !is_over(*at, now, MINUTE));
        let named = self.changes.keys().filter(|path| !is_counted(path)).count() as u64;
        named + self.more_changes.sum(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    #[test]
    fn a_removal_counts_for_a_minute() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        for second in 0..30 {
            recent.removed(&path("a"), begin + Duration::from_secs(second));
        }
        assert_eq!(recent.removals(begin + Duration::from_secs(59)), 30);
        assert_eq!(recent.removals(begin + Duration::from_secs(69)), 20);
        assert_eq!(recent.removals(begin + Duration::from_secs(89)), 0);
    }

    #[test]
    fn what_orders_removed_is_gone_but_no_removal_for_a_minute() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        for _ in 0..30 {
            recent.ordered(begin);
        }
        recent.removed(&path("a"), begin + PASSING);
        assert_eq!((recent.removals(begin + PASSING), recent.gone(begin + PASSING)), (1, 31));
        assert_eq!((recent.removals(begin + MINUTE), recent.gone(begin + MINUTE)), (1, 1));
    }

    #[test]
    fn what_came_and_went_at_once_does_not_count() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        recent.appeared(&path("swap"), begin);
        recent.appeared(&path("old"), begin);
        recent.removed(&path("swap"), begin + PASSING / 2);
        recent.removed(&path("old"), begin + PASSING);
        assert_eq!(recent.removals(begin + PASSING), 1);
    }

    #[test]
    fn a_new_file_is_known_by_what_it_is_for_a_minute() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        recent.named(&path("new"), Tag::of(b"x"), begin);
        assert_eq!(recent.name(Tag::of(b"x"), begin + PASSING), Some(path("new")));
        assert_eq!(recent.name(Tag::of(b"y"), begin), None);
        assert_eq!(recent.name(Tag::of(b"x"), begin + MINUTE), None);
    }

    #[test]
    fn a_file_that_is_saved_again_and_again_counts_once() {
        let begin = Instant::now();
        let mut recent = Recent::default();
        for second in 0..10 {
            recent.changed(&path("letter"), begin + Duration::from_secs(second));
            recent.changed(&path("list"), begin);
        }
        assert_eq!(recent.changes(begin + Duration::from_secs(10), |_| false), 2);
        assert_eq!(recent.changes(begin + Duration::from_secs(10), |it| it.as_str() == "list"), 1);
        assert_eq!(recent.changes(begin + MINUTE, |_| false), 1);
    }
}
