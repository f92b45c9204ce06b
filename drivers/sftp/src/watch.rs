//! Rounds through the whole service, since SFTP tells of nothing by itself.
//!
//! A round lists every directory and compares it with what was there before. Their times would
//! tell which of them to leave out, were it not for files that are edited in place: these change,
//! and their directory's time doesn't. A listing tells the attributes of a hundred files at once,
//! so what could be left out is little anyway.

pub(crate) mod seen;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onitu_plug::{Fault, FaultKind, Hint, Hints, Path};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::client::Remote;
use crate::fault::fault;
use crate::list;
use crate::name;
use crate::trash::purge::purge;
use crate::wire::FileKind;
use crate::wire::reply::Entry;
use seen::{Difference, Record};

/// Directories listed at once.
const LISTINGS_AT_ONCE: usize = 16;
/// Files placed within their second are read again after so long.
const FRESH_PAUSE: Duration = Duration::from_millis(1_200);
/// Between two looks at the bounds of the trash.
const PURGE_PAUSE: Duration = Duration::from_mins(1);
/// A time further in the future isn't met by a change by chance.
const FUTURE_S: u32 = 10;
/// What a problem with the trash is shown with.
const TRASH: &str = ".onitu/trash";

/// The rounds, and who waits for one.
pub(crate) struct Watch {
    /// The number of the last round that was asked for.
    asked: AtomicU64,
    wake: Notify,
    /// Up to which number rounds were made; nothing while there is no watch.
    done: watch::Sender<Option<u64>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), wake: Notify::new(), done: watch::Sender::new(None) }
    }
}

/// Says that there is no watch any more, however it ended.
struct Unset<'a>(&'a watch::Sender<Option<u64>>);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl Watch {
    /// Makes rounds until dropped: every `poll`, and when somebody waits for one.
    pub(crate) async fn run(
        &self,
        remote: &Remote,
        hints: &Hints,
        poll: Duration,
    ) -> Result<(), Fault> {
        let _unset = Unset(&self.done);
        let mut made = self.asked.load(Ordering::SeqCst);
        self.done.send_replace(Some(made));
        let (mut next, mut purged) = (Instant::now() + poll, Instant::now());
        let mut is_told = false;
        loop {
            let is_asked = self.asked.load(Ordering::SeqCst) > made;
            if is_asked || Instant::now() >= next {
                made = self.asked.load(Ordering::SeqCst);
                let began = Instant::now();
                round(remote, hints).await?;
                self.done.send_replace(Some(made));
                // A round that takes long leaves as much time to others.
                next = Instant::now() + poll.max(began.elapsed());
                continue;
            }
            if !remote.fresh.is_empty() {
                read_fresh(remote, hints).await?;
            }
            if Instant::now() >= purged {
                tend_trash(remote, hints, &mut is_told).await;
                purged = Instant::now() + PURGE_PAUSE;
            }
            let fresh = Instant::now() + FRESH_PAUSE;
            let until = if remote.fresh.is_empty() { next.min(purged) } else { next.min(fresh) };
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Waits for a round that begins after this was called.
    pub(crate) async fn settle(&self) -> Result<(), Fault> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        let mut done = self.done.subscribe();
        let settled = done.wait_for(|done| done.is_none_or(|done| done >= number)).await;
        settled.map(drop).map_err(|_| crate::fault::lost("the watch"))
    }
}

/// Has files read again that were placed within their second, now that it is over.
async fn read_fresh(remote: &Remote, hints: &Hints) -> Result<(), Fault> {
    let now_s = remote.clock.now().await.map_err(|it| fault("ask the clock of", "it", &it))?;
    hints.tell_all(remote.fresh.take(now_s).into_iter().map(|path| (path, Hint::Written)));
    Ok(())
}

/// Keeps the trash within its bounds. That it can't be is told with the service's problems, and
/// harms nothing else; `is_told` is whether it was.
async fn tend_trash(remote: &Remote, hints: &Hints, is_told: &mut bool) {
    let problem = purge(remote).await.err().map(|failure| fault("clear", TRASH, &failure));
    if problem.is_some() || *is_told {
        *is_told = problem.is_some();
        hints.problem(TRASH, problem);
    }
}

/// One round through all directories.
async fn round(remote: &Remote, hints: &Hints) -> Result<(), Fault> {
    let clock = |it| fault("ask the clock of", "the server", &it);
    let now_s = remote.clock.now().await.map_err(clock)?;
    let round = remote.seen.begin_round();
    let mut unsure = Vec::new();
    let mut waiting = vec![Path::root()];
    while !waiting.is_empty() {
        let some = waiting.split_off(waiting.len().saturating_sub(LISTINGS_AT_ONCE));
        let mut listings = stream::iter(some)
            .map(|directory| async move {
                let listed = record(remote, &directory, now_s).await;
                (directory, listed)
            })
            .buffer_unordered(LISTINGS_AT_ONCE);
        while let Some((directory, listed)) = listings.next().await {
            match listed {
                Ok((record, below, young)) => {
                    waiting.extend(below);
                    unsure.extend(young);
                    let difference = remote.seen.compare(&directory, record, round);
                    tell(hints, &directory, difference);
                }
                Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
                // Gone, or not to be listed: its own directory's listing, and the scan, tell.
                Err(_) => {}
            }
        }
    }
    if !unsure.is_empty() {
        // Each of them may have been changed again since, and look the same.
        let last_s = remote.clock.now().await.map_err(clock)?;
        remote.clock.settle(last_s).await.map_err(clock)?;
        hints.tell_all(unsure.into_iter().map(|path| (path, Hint::Changed)));
    }
    remote.verify().await?;
    if remote.seen.end_round(round) {
        hints.rescan("there are more directories than the driver can remember");
    }
    Ok(())
}

/// What a directory holds, the directories in it, and the files that may change again within their
/// second, which isn't over at `now_s`.
async fn record(
    remote: &Remote,
    directory: &Path,
    now_s: u32,
) -> Result<(Record, Vec<Path>, Vec<Path>), Fault> {
    let mut entries = list::open(remote, directory).await?;
    let (mut record, mut below, mut young) = (Record::default(), Vec::new(), Vec::new());
    let seconds = now_s..now_s.saturating_add(FUTURE_S);
    while let Some(some) = entries.next().await.map_err(|it| fault("list", directory, &it))? {
        for Entry { name, attrs } in some {
            let Ok(name) = std::str::from_utf8(&name) else { continue };
            let Ok(path) = directory.join(name) else { continue };
            if name::is_own(&path) {
                continue;
            }
            match attrs.kind() {
                FileKind::Directory => below.push(path),
                FileKind::File if seconds.contains(&attrs.mtime_s()) => young.push(path),
                _ => {}
            }
            record.note(name, &attrs);
        }
    }
    Ok((record, below, young))
}

fn tell(hints: &Hints, directory: &Path, difference: Difference) {
    match difference {
        Difference::None => {}
        Difference::Whole => hints.tell(directory.clone(), Hint::Tree),
        Difference::Entries(entries) => {
            let paths = entries.into_iter().filter_map(|(name, is_new_directory)| {
                let hint = if is_new_directory { Hint::Tree } else { Hint::Changed };
                Some((directory.join(&name).ok()?, hint))
            });
            hints.tell_all(paths);
        }
    }
}
