//! Paths at which a service is asked again later, each in its own time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use onitu_core::Path;
use tokio::time::Instant;

/// Paths that wait for a later attempt in memory. When so many do, the rest waits with them.
const LATER_MAX: usize = 4_096;
/// Paths beside those that hold up no others, because only a long time helps, or none.
const APART_MAX: usize = 65_536;
/// What has to wait for its turn once more does so for so long.
const ANOTHER_TURN: Duration = Duration::from_secs(1);

/// How a path waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Soon something may have changed.
    Briefly,
    /// For longer than others should have to wait with it.
    Long,
    /// As one that was refused for good: it isn't among the pending work of the store, so that
    /// nobody else remembers to ask again.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Later {
    at: Instant,
    failures: u32,
    /// Not yet let go again; kept so that failures are counted on.
    waiting: bool,
    manner: Manner,
}

/// The paths of one service.
#[derive(Default)]
pub(super) struct Waiting {
    paths: BTreeMap<Path, Later>,
    /// How many of them hold up no others.
    apart: usize,
    /// None is due before.
    ripe_at: Option<Instant>,
}

impl Waiting {
    /// Whether so many wait that nothing else is to be begun.
    pub(super) fn is_full(&self) -> bool {
        self.paths.len() - self.apart >= LATER_MAX
    }

    /// Whether one more may wait without holding up others.
    pub(super) fn has_room_apart(&self) -> bool {
        self.apart < APART_MAX
    }

    /// How often in a row `path` has failed.
    pub(super) fn failures(&self, path: &Path) -> u32 {
        self.paths.get(path).map_or(0, |later| later.failures)
    }

    /// Whether `path` was refused for good when it was last asked for.
    pub(super) fn is_refused(&self, path: &Path) -> bool {
        self.paths.get(path).is_some_and(|later| later.manner == Manner::Refused)
    }

    /// Whether anything is known of `path`.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.paths.contains_key(path)
    }

    /// Whether `path` waits for its time.
    pub(super) fn waits_at(&self, path: &Path) -> bool {
        self.paths.get(path).is_some_and(|later| later.waiting)
    }

    /// Whether `path` waits for its time, and not because it failed.
    pub(super) fn waits_unfailed(&self, path: &Path) -> bool {
        self.paths.get(path).is_some_and(|later| later.waiting && later.failures == 0)
    }

    /// Whether anything below a directory waits, whose paths begin with `first`.
    pub(super) fn waits_below(&self, first: &str) -> bool {
        let range = (Bound::Included(first), Bound::Unbounded);
        let below = self.paths.range::<str, _>(range);
        let mut below = below.take_while(|(path, _)| path.as_str().starts_with(first));
        below.any(|(_, later)| later.waiting)
    }

    /// `path` is asked for again at `at`.
    pub(super) fn insert(&mut self, path: &Path, at: Instant, failures: u32, manner: Manner) {
        self.remove(path);
        self.paths.insert(path.clone(), Later { at, failures, waiting: true, manner });
        self.apart += usize::from(manner != Manner::Briefly);
        self.ripens(at);
    }

    /// Nothing is known of `path` any more.
    pub(super) fn remove(&mut self, path: &Path) {
        let removed = self.paths.remove(path);
        self.apart -= usize::from(removed.is_some_and(|it| it.manner != Manner::Briefly));
    }

    /// A waiting `path` waits until `at` at most; whether it waits.
    pub(super) fn hasten(&mut self, path: &Path, at: Instant) -> bool {
        let Some(later) = self.paths.get_mut(path).filter(|later| later.waiting) else {
            return false;
        };
        later.at = later.at.min(at);
        self.ripens(at);
        true
    }

    /// A waiting `path` waits no longer; whether it did.
    pub(super) fn release(&mut self, path: &Path) -> bool {
        let waiting = self.paths.get_mut(path).filter(|later| later.waiting);
        waiting.map(|later| later.waiting = false).is_some()
    }

    /// Forgets all but what was refused for good, which is asked for again at once: whoever refused
    /// it may be another one now.
    pub(super) fn begin_anew(&mut self) {
        let now = Instant::now();
        self.paths.retain(|_, later| later.manner == Manner::Refused);
        self.apart = self.paths.len();
        self.ripe_at = (self.apart > 0).then_some(now);
        for later in self.paths.values_mut() {
            (later.at, later.failures, later.waiting) = (now, 0, true);
        }
    }

    /// What has waited long enough, in order. Of what was refused at most `room` paths: the others
    /// have another turn.
    pub(super) fn let_go(&mut self, room: usize) -> Vec<Path> {
        let now = Instant::now();
        if self.ripe_at.is_none_or(|ripe| ripe > now) {
            return Vec::new();
        }
        let mut paths = Vec::new();
        let ripe = self.paths.iter_mut().filter(|(_, later)| later.waiting && later.at <= now);
        for (path, later) in ripe {
            if later.manner == Manner::Refused && paths.len() >= room {
                later.at = now + ANOTHER_TURN;
                continue;
            }
            later.waiting = false;
            paths.push(path.clone());
        }
        let waiting = self.paths.values().filter(|later| later.waiting);
        self.ripe_at = waiting.map(|later| later.at).min();
        paths
    }

    /// When something will have waited long enough.
    pub(super) fn ripe_at(&self) -> Option<Instant> {
        self.ripe_at
    }

    fn ripens(&mut self, at: Instant) {
        self.ripe_at = Some(self.ripe_at.map_or(at, |ripe| ripe.min(at)));
    }
}
