//! The safety brake (design §6): removals wait here for a moment, and if they are too many at once,
//! for a person.
//!
//! A removal that isn't told yet is unknown, not absent: nothing of it reaches the Referee, so it
//! needs no undoing, and everything else goes on. What waits is never announced from memory; each
//! path is looked at again. Replaced contents wait in the same way if the admin wants it
//! (`max_change`). This room counts and remembers; [`task`] waits, judges and tells; what a look
//! found comes from [`crate::look`]. Results of orders never come by here.

mod control;
mod count;
mod judge;
mod load;
mod pile;
mod recent;
mod reject;
mod task;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use onitu_core::held::{Held, Verdict};
use onitu_core::{Checksum, Content, Kind, Mode, Path, Record, Service, ServiceId, Tag};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::judge::Limits;
use self::pile::{Pile, Waiting};
use self::recent::Recent;
pub(crate) use self::task::brake;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Known paths that are gone, directories among them.
    Removed,
    /// Known files with other contents.
    Changed,
}

/// Why paths are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Somebody hinted at them: what the brake is to judge waits.
    Hinted,
    /// A scan found them, which doesn't tell when they changed: the same.
    Scanned,
    /// They were judged to be harmless: all is told, and counts for the next judgement.
    Judged,
    /// A person has approved, or nothing was ever to be held: all is told, and nothing counts.
    Approved,
}

impl Manner {
    /// Whether the brake has yet to judge what is found.
    pub(crate) fn is_unjudged(self) -> bool {
        matches!(self, Self::Hinted | Self::Scanned)
    }
}

/// Counts and holds what one service lost.
pub(crate) struct Brake {
    limits: Limits,
    /// A service whose removals and edits are never followed needs no brake.
    is_backup: bool,
    id: ServiceId,
    name: String,
    state: Mutex<State>,
    /// Something was added, or decided.
    news: Notify,
    /// Looks and scans under way.
    looking: AtomicUsize,
    calmed: Notify,
    /// What is to be reported has changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    removed: Pile,
    changed: Pile,
    recent: Recent,
    /// Grows with everything that is added.
    additions: u64,
    /// Scans of everything that have begun.
    scans: u64,
    /// Of the files the service holds: at least so many when so many had gone.
    files: Counted,
    /// What a person has decided and is yet to be done.
    verdict: Option<Verdict>,
    /// The same for those that were too many to be remembered, until a scan has found them again.
    rest: Option<Verdict>,
    /// Something is being judged or told.
    working: bool,
    /// Grows with everything that is to be reported, and how far it was.
    version: u64,
    reported: u64,
}

/// How many files there were when they were last counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    files: u64,
    /// Paths that were told to be gone by then.
    gone: u64,
}

/// Counts a look or scan while it lives.
pub(crate) struct Looking<'a>(&'a Brake);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.looking.fetch_sub(1, Ordering::SeqCst);
        self.0.calmed.notify_one();
    }
}

impl State {
    fn pile(&mut self, what: What) -> &mut Pile {
        match what {
            What::Removed => &mut self.removed,
            What::Changed => &mut self.changed,
        }
    }

    /// What is held, if anything is.
    fn held(&self) -> Option<Held> {
        let count = |pile: &Pile| if pile.held.is_some() { pile.files() } else { 0 };
        let of = self.removed.held.into_iter().chain(self.changed.held).max()?;
        let (removed, changed) = (count(&self.removed), count(&self.changed));
        Some(Held { removed, changed, of: of.max(removed).max(changed) })
    }

    fn forget(&mut self, path: &Path) {
        for what in [What::Removed, What::Changed] {
            let pile = self.pile(what);
            let is_held = pile.held.is_some();
            if pile.forget(path) && is_held {
                self.version += 1;
            }
        }
    }

    fn add(&mut self, what: What, path: Path, waiting: Waiting) {
        let other = match what {
            What::Removed => &mut self.changed,
            What::Changed => &mut self.removed,
        };
        other.forget(&path);
        let scans = self.scans;
        if self.pile(what).add(path, Waiting { scan: scans, ..waiting }) {
            self.additions += 1;
        }
    }
}

impl Brake {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            limits: Limits::of(service),
            is_backup: service.mode == Mode::Backup,
            id: service.id,
            name: service.name.clone(),
            state: Mutex::default(),
            news: Notify::new(),
            looking: AtomicUsize::default(),
            calmed: Notify::new(),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whom it concerns.
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, is_unjudged, is_new) = {
            let mut state = self.state();
            let before = state.version;
            let result = change(&mut state);
            let is_unjudged = state.removed.unjudged || state.changed.unjudged;
            (result, is_unjudged, state.version != before)
        };
        if is_unjudged {
            self.news.notify_one();
        }
        if is_new {
            self.changed.notify_one();
        }
        result
    }

    /// A look or a scan is under way until the answer is dropped.
    pub(crate) fn looking(&self) -> Looking<'_> {
        self.looking.fetch_add(1, Ordering::SeqCst);
        Looking(self)
    }

    /// Whether nobody looks or scans.
    fn is_calm(&self) -> bool {
        self.looking.load(Ordering::SeqCst) == 0
    }

    /// A scan of everything begins: it finds again whatever still waits.
    pub(crate) fn begin_scan(&self) {
        self.state().scans += 1;
    }

    /// That scan is done. Answers what waits and wasn't found by it: a listing may lag behind or
    /// fail, so only a look at each can tell that it needn't wait any more.
    pub(crate) fn end_scan(&self) -> Vec<Path> {
        self.with(|state| {
            let State { removed, changed, rest, scans, .. } = state;
            if !removed.unjudged && !changed.unjudged {
                *rest = None;
            }
            removed.not_found_since(*scans).chain(changed.not_found_since(*scans)).collect()
        })
    }

    /// Whether the removal of a path with this record would remove anything elsewhere. `announced`:
    /// whether something of it is on its way to the record.
    pub(crate) fn waits_for_judgement(&self, record: Option<&Record>, announced: bool) -> bool {
        let harmless = |record: &Record| {
            let alone = record.holders.iter().all(|held| held.service == self.id);
            alone || !record.is_current_on(self.id)
        };
        !self.is_backup && (announced || !record.is_some_and(harmless))
    }

    /// `path`, known under `tag`, is gone; it waits.
    pub(crate) fn removed(&self, path: Path, tag: Tag, record: Option<&Record>) {
        let is_file = record.is_none_or(|record| record.content.kind != Kind::Directory);
        let size = record.map_or(0, |record| record.content.size);
        let waiting = Waiting { tag, is_file, size, scan: 0 };
        self.with(|state| state.add(What::Removed, path, waiting));
    }

    /// Whether `content` at a path with this record replaces what others have, and has to wait.
    pub(crate) fn holds_change(&self, record: Option<&Record>, content: &Content) -> bool {
        if self.limits.max_change.is_none() || self.is_backup {
            return false;
        }
        let same = |one: Option<Checksum>, other| one.is_some() && one == other;
        record.is_some_and(|record| {
            record.is_current_on(self.id)
                && record.content.kind == Kind::File
                && record.holders.iter().any(|held| held.service != self.id)
                && !same(record.content.checksum, content.checksum)
        })
    }

    /// `path` has other contents, in the state `tag`; it waits.
    pub(crate) fn replaced(&self, path: Path, tag: Tag, record: Option<&Record>) {
        let size = record.map_or(0, |record| record.content.size);
        let waiting = Waiting { tag, is_file: true, size, scan: 0 };
        self.with(|state| state.add(What::Changed, path, waiting));
    }

    /// `path` is not, or no longer, as it was when it had to wait.
    pub(crate) fn forget(&self, path: &Path) {
        self.with(|state| state.forget(path));
    }

    /// The path of a removal that waits, if `tag` is what stood there.
    pub(crate) fn waiting_under(&self, tag: Tag) -> Option<Path> {
        self.state().removed.under(tag)
    }

    /// A new file is at `path`; whether it was made just now.
    pub(crate) fn appeared(&self, path: &Path, tag: Tag, just_now: bool) {
        let now = Instant::now();
        let mut state = self.state();
        state.recent.named(path, tag, now);
        if just_now {
            state.recent.appeared(path, now);
        }
    }

    /// Where what has this tag was new within the last minute.
    pub(crate) fn appeared_under(&self, tag: Tag) -> Option<Path> {
        self.state().recent.name(tag, Instant::now())
    }

    /// The removal of the file `path` was told and counts.
    pub(crate) fn told_removal(&self, path: &Path) {
        self.state().recent.removed(path, Instant::now());
    }

    /// New contents of `path` were told and count.
    pub(crate) fn told_change(&self, path: &Path) {
        if self.limits.max_change.is_some() {
            self.state().recent.changed(path, Instant::now());
        }
    }

    /// Whether nothing waits for anything but a person, and everybody was told so.
    pub(crate) fn is_at_rest(&self) -> bool {
        let state = self.state();
        let rests = |pile: &Pile| !pile.unjudged && (pile.held.is_some() || pile.is_empty());
        rests(&state.removed)
            && rests(&state.changed)
            && state.verdict.is_none()
            && !state.working
            && state.version == state.reported
    }
}
