//! From hints to looks: what the watcher told is looked at, at once or when it has been quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onitu_core::{Fault, Path};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::brake::Manner;
use crate::hints::{Gathered, Hint};
use crate::look::{LOOK_MAX, look_at};
use crate::plug::Plug;
use crate::scan::scan;
use crate::service::Shared;

/// A file that its writer keeps open is looked at when it was quiet for so long,
const QUIET: Duration = Duration::from_millis(500);
/// or at the latest so long after its first change.
const QUIET_LAST: Duration = Duration::from_secs(10);

/// Trees that wait to be scanned.
#[derive(Default)]
pub(crate) struct Trees {
    waiting: std::sync::Mutex<BTreeSet<Path>>,
    arrived: Notify,
}

impl Trees {
    pub(crate) fn add(&self, trees: impl IntoIterator<Item = Path>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = waiting.len();
        waiting.extend(trees);
        if waiting.len() > before {
            self.arrived.notify_one();
        }
    }

    async fn take(&self) -> BTreeSet<Path> {
        loop {
            let taken = std::mem::take(
                &mut *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            );
            if !taken.is_empty() {
                return taken;
            }
            self.arrived.notified().await;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }
}

/// Files being written: when they changed first and last.
#[derive(Default)]
struct Writing(BTreeMap<Path, (Instant, Instant)>);

impl Writing {
    fn note(&mut self, path: Path) {
        let now = Instant::now();
        self.0.entry(path).or_insert((now, now)).1 = now;
    }

    fn due(first: Instant, last: Instant) -> Instant {
        (last + QUIET).min(first + QUIET_LAST)
    }

    fn next(&self) -> Option<Instant> {
        self.0.values().map(|(first, last)| Self::due(*first, *last)).min()
    }

    fn take_due(&mut self) -> Vec<(Path, Hint)> {
        let now = Instant::now();
        let due = self.0.extract_if(.., |_, (first, last)| Self::due(*first, *last) <= now);
        due.map(|(path, _)| (path, Hint::Written)).collect()
    }
}

/// Looks at everything that is hinted at, for ever. `notice` takes what the watcher wants shown,
/// `quiet` counts the files that are still being written.
pub(crate) async fn look<P: Plug>(
    shared: &Arc<Shared<P>>,
    trees: &Trees,
    notice: &std::sync::Mutex<Option<String>>,
    quiet: &AtomicUsize,
) -> Result<(), Fault> {
    let mut writing = Writing::default();
    loop {
        quiet.store(writing.0.len(), Ordering::SeqCst);
        let next = [writing.next(), shared.retries.next()].into_iter().flatten().min();
        let gathered = tokio::select! {
            biased;
            gathered = shared.hints.take() => gathered,
            () = sleep_until(next) => Gathered::default(),
            () = shared.retries.added() => Gathered::default(),
        };
        // Without a pause in between: what was taken never looks as if nothing had been there.
        let (_busy, _looking) = (shared.begin(), shared.brake.looking());
        shared.announcer.stir();
        if let Some(text) = gathered.notice {
            *notice.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
        }
        for (name, fault) in gathered.problems {
            match fault {
                Some(fault) => shared.problems.note(&name, &fault),
                None => shared.problems.clear(&name),
            }
        }
        if let Some(why) = gathered.rescan {
            tracing::info!(service = shared.name, "scanning everything: {why}");
            trees.add([Path::root()]);
        }
        let mut now = Vec::new();
        let mut whole = Vec::new();
        for (path, hint) in gathered.paths {
            if shared.filter.covers_any(&path) {
                continue;
            }
            match hint {
                Hint::Writing => writing.note(path),
                Hint::Tree => whole.push(path),
                Hint::Changed | Hint::Doubted | Hint::Written => {
                    writing.0.remove(&path);
                    now.push((path, hint));
                }
            }
        }
        for (path, hint) in shared.retries.take_due() {
            match hint {
                Hint::Tree => whole.push(path),
                _ => now.push((path, hint)),
            }
        }
        trees.add(whole);
        now.extend(writing.take_due());
        for chunk in now.chunks(LOOK_MAX) {
            let looked = look_at(shared, chunk.to_vec(), Manner::Hinted).await?;
            // A new directory's own directory may be as new.
            for above in looked.trees.iter().filter_map(Path::parent) {
                if !above.is_root() && !looked.trees.contains(&above) {
                    shared.hints.tell(above, Hint::Changed);
                }
            }
            trees.add(looked.trees);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Scans the trees that are asked for, for ever.
pub(crate) async fn scan_trees<P: Plug>(
    shared: &Arc<Shared<P>>,
    trees: &Trees,
) -> Result<(), Fault> {
    loop {
        // Not yet taken is still waiting, taken is busy: in between nothing looks settled.
        let (roots, _busy, _looking) = {
            let roots = trees.take().await;
            (roots, shared.begin(), shared.brake.looking())
        };
        shared.announcer.stir();
        let whole = roots.contains(&Path::root());
        if whole {
            shared.announcer.wait_until_adopted().await;
            shared.plug.check().await?;
            shared.scanned.store(0, Ordering::Relaxed);
            shared.problems.clear_all();
            shared.brake.begin_scan();
        }
        scan(shared, roots.clone()).await?;
        let lag = shared.plug.listing_lag();
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
            scan(shared, roots).await?;
        }
        if whole {
            for path in shared.brake.end_scan() {
                shared.hints.tell(path, Hint::Changed);
            }
            shared.scans.fetch_add(1, Ordering::SeqCst);
        }
    }
}
