//! Rounds through the whole service, since SFTP tells of nothing by itself; `helper` is a program
//! on the server that does.
//!
//! A round goes through all directories, and compares what they hold with what was there before.
//! One whose own time is the same isn't listed: no name in it is new or gone. Files that are edited
//! in place don't change their directory's time, though; so every tenth round lists everything, as
//! does one that somebody waits for, and a directory in which a file was written to today is listed
//! in each.

pub(crate) mod helper;
pub(crate) mod placed;
pub(crate) mod seen;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onitu_plug::{Fault, FaultKind, Hint, Hints, Path};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::client::Remote;
use crate::fault::fault;
use crate::list::{self, Opened};
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
/// While a program on the server tells of changes, so many times as long passes between two rounds.
const HELPED: u32 = 10;
/// Of so many rounds, one lists every directory.
const WHOLE: u32 = 10;
/// Between two rounds where one is wanted soon.
const HURRIED: Duration = Duration::from_secs(2);
/// A time further in the future isn't met by a change by chance.
const FUTURE_S: u32 = 10;
/// What a problem with the trash is shown with.
const TRASH: &str = ".onitu/trash";

/// The rounds, and who waits for one.
pub(crate) struct Watch {
    /// The number of the last round that was asked for.
    asked: AtomicU64,
    wake: Notify,
    /// Whether a program on the server tells of changes.
    is_helped: AtomicBool,
    /// Whether the next round is wanted soon.
    is_hurried: AtomicBool,
    /// Up to which number rounds were made; nothing while there is no watch.
    done: watch::Sender<Option<u64>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            asked: AtomicU64::new(0),
            wake: Notify::new(),
            is_helped: AtomicBool::new(false),
            is_hurried: AtomicBool::new(false),
            done: watch::Sender::new(None),
        }
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
        self.is_helped.store(false, Ordering::SeqCst);
        let mut made = self.asked.load(Ordering::SeqCst);
        self.done.send_replace(Some(made));
        let (mut rested, mut purged) = (Instant::now(), Instant::now());
        let (mut took, mut is_told, mut rounds) = (Duration::ZERO, false, 0_u32);
        loop {
            let is_helped = self.is_helped.load(Ordering::SeqCst);
            // A round that takes long leaves as much time to others.
            let pause = match self.is_hurried.load(Ordering::SeqCst) {
                true => HURRIED.min(poll),
                false if is_helped => poll * HELPED,
                false => poll,
            };
            let next = rested + took.max(pause);
            let is_asked = self.asked.load(Ordering::SeqCst) > made;
            if is_asked || Instant::now() >= next {
                made = self.asked.load(Ordering::SeqCst);
                self.is_hurried.store(false, Ordering::SeqCst);
                let began = Instant::now();
                rounds = rounds.wrapping_add(1);
                let skips = !is_asked && !is_helped && !rounds.is_multiple_of(WHOLE);
                round(remote, hints, skips).await?;
                self.done.send_replace(Some(made));
                (rested, took) = (Instant::now(), began.elapsed());
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

    /// Has a round made soon; tells its number.
    fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        number
    }

    /// Has a round made soon, however often this is called.
    fn hurry(&self) {
        self.is_hurried.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// A program on the server tells of changes from now on, or doesn't any more: what it didn't
    /// tell of is found by a round.
    fn help(&self, does: bool) {
        if self.is_helped.swap(does, Ordering::SeqCst) != does {
            self.ask();
        }
    }

    /// Waits for a round that begins after this was called.
    pub(crate) async fn settle(&self) -> Result<(), Fault> {
        let number = self.ask();
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

/// One round through all directories; `skips` those that need no listing.
async fn round(remote: &Remote, hints: &Hints, skips: bool) -> Result<(), Fault> {
    let clock = |it| fault("ask the clock of", "the server", &it);
    let now_s = remote.clock.now().await.map_err(clock)?;
    let round = remote.seen.begin_round();
    let mut unsure = Vec::new();
    let mut waiting = vec![Path::root()];
    while !waiting.is_empty() {
        let some = waiting.split_off(waiting.len().saturating_sub(LISTINGS_AT_ONCE));
        let mut listings = stream::iter(some)
            .map(|directory| async move {
                if skips && let Some(below) = quiet(remote, &directory).await {
                    return (directory, Ok(Come::Passed(below)));
                }
                let listed = record(remote, &directory, now_s).await;
                (directory, listed)
            })
            .buffer_unordered(LISTINGS_AT_ONCE);
        while let Some((directory, listed)) = listings.next().await {
            match listed {
                Ok(Come::Passed(below)) => {
                    waiting.extend(below);
                    remote.seen.pass(&directory, round);
                }
                Ok(Come::Listed(record, below, young)) => {
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

/// What a round has come by.
enum Come {
    /// A directory that needed no listing, and the directories in it.
    Passed(Vec<Path>),
    /// What a directory holds, the directories in it, and the files that may change again within
    /// their second, which isn't over.
    Listed(Record, Vec<Path>, Vec<Path>),
}

/// The directories in one that needs no listing.
async fn quiet(remote: &Remote, directory: &Path) -> Option<Vec<Path>> {
    let (mtime_s, below) = remote.seen.quiet(directory)?;
    list::is_same(remote, directory, mtime_s).await.then_some(below)
}

/// Lists a directory, after the clock showed `now_s`.
async fn record(remote: &Remote, directory: &Path, now_s: u32) -> Result<Come, Fault> {
    let Opened { mut entries, mtime_s } = list::open(remote, directory).await?;
    let (mut record, mut below, mut young) = (Record::of(mtime_s, now_s), Vec::new(), Vec::new());
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
    Ok(Come::Listed(record, below, young))
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
