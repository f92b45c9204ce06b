//! What the storage tells of changes: to whom, how late, and what is lost on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Hint, Hints, Path};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::Dice;
use crate::service::MemoryService;

/// Most hints that wait to be told; beyond, they become a rescan.
const LATE_MAX: usize = 16_384;

/// Hints on their way to the watches.
#[derive(Debug, Default)]
pub(crate) struct News {
    watches: BTreeMap<u64, Watch>,
    numbers: u64,
    late: BTreeMap<(Instant, u64), (Path, Hint)>,
    /// When the rescan for lost hints is asked for.
    owed: Option<Instant>,
    changed: Arc<Notify>,
    /// For how long a listing may not show a change: so late every hint is given once more, and
    /// nothing that is found by a listing is asked for earlier.
    pub(crate) lag: Duration,
}

struct Watch {
    hints: Hints,
    broken: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl News {
    /// `path` changed; the dice say what becomes of the hint. Without a watch nobody hears it.
    pub(crate) fn tell(&mut self, path: &Path, hint: Hint, dice: &mut Dice) {
        if self.watches.is_empty() || is_own(path) {
            return;
        }
        if !self.lag.is_zero() {
            let again = if hint == Hint::Tree { hint } else { Hint::Changed };
            self.push_late(self.lag, path, again);
        }
        if dice.happens(dice.faults.break_watch) {
            self.watches.values_mut().for_each(|watch| watch.broken = true);
        } else if dice.happens(dice.faults.lose_hint) {
            let pause = dice.delay(dice.faults.rescan_delay_ms_max).max(self.lag);
            self.owe(Instant::now() + pause);
        } else {
            let delay = dice.delay(dice.faults.hint_delay_ms_max);
            if delay.is_zero() {
                self.pass_on(path, hint);
                return;
            }
            self.push_late(delay, path, hint);
        }
        self.changed.notify_one();
    }

    fn push_late(&mut self, delay: Duration, path: &Path, hint: Hint) {
        self.numbers += 1;
        self.late.insert((Instant::now() + delay, self.numbers), (path.clone(), hint));
        if self.late.len() > LATE_MAX {
            self.late.clear();
            self.owed = Some(Instant::now() + self.lag);
        }
    }

    /// A rescan is due then, or when one is due already; but a listing that lags must have had
    /// the time to show what it is for.
    fn owe(&mut self, due: Instant) {
        let sooner = |owed: Instant| if self.lag.is_zero() { owed.min(due) } else { owed.max(due) };
        self.owed = Some(self.owed.map_or(due, sooner));
    }

    /// Tells what is due until `now`, or everything; answers when the next is due.
    pub(crate) fn deliver(&mut self, now: Option<Instant>) -> Option<Instant> {
        let is_due = |at: Instant| now.is_none_or(|now| at <= now);
        while let Some(entry) = self.late.first_entry().filter(|entry| is_due(entry.key().0)) {
            let (path, hint) = entry.remove();
            self.pass_on(&path, hint);
        }
        if self.owed.is_some_and(is_due) {
            self.owed = None;
            self.watches.values().for_each(|watch| watch.hints.rescan("hints were lost"));
        }
        let late = self.late.first_key_value().map(|((at, _), _)| *at);
        late.into_iter().chain(self.owed).min()
    }

    fn pass_on(&self, path: &Path, hint: Hint) {
        self.watches.values().for_each(|watch| watch.hints.tell(path.clone(), hint));
    }
}

/// Whether `path` belongs to the driver itself and not to its user.
pub(crate) fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next() == Some(".onitu")
}

/// Passes hints on until dropped or broken.
pub(crate) async fn run(service: &MemoryService, hints: Hints) -> Result<(), Fault> {
    let watching = Watching::begin(service, hints);
    loop {
        let (broken, next) = service.with(|storage| {
            let next = storage.news.deliver(Some(Instant::now()));
            let watch = storage.news.watches.get(&watching.number);
            (watch.is_none_or(|watch| watch.broken), next)
        });
        if broken {
            return Err(Fault::new(FaultKind::Unavailable, "the simulated watch broke"));
        }
        let until = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = watching.changed.notified() => {}
            () = until => {}
        }
    }
}

/// Signs the watch off when it is dropped.
struct Watching<'a> {
    service: &'a MemoryService,
    number: u64,
    changed: Arc<Notify>,
}

impl<'a> Watching<'a> {
    fn begin(service: &'a MemoryService, hints: Hints) -> Self {
        service.with(|storage| {
            let news = &mut storage.news;
            news.numbers += 1;
            news.watches.insert(news.numbers, Watch { hints, broken: false });
            if !news.lag.is_zero() {
                // What was changed just before is in no listing yet, and nobody hinted at it.
                news.owe(Instant::now() + news.lag);
            }
            Self { service, number: news.numbers, changed: Arc::clone(&news.changed) }
        })
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.service.with(|storage| {
            let news = &mut storage.news;
            news.watches.remove(&self.number);
            if news.watches.is_empty() {
                news.late.clear();
                news.owed = None;
            }
        });
    }
}
