//! Rounds through the whole service, since WebDAV tells of nothing by itself: each directory is
//! listed and compared with the listing before (`snapshot`).
//!
//! The first round is what later ones are compared with, so scans wait for it: what changes after a
//! directory was scanned is found by the next round.

mod snapshot;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onitu_plug::FaultKind::{Denied, NotADirectory, NotFound};
use onitu_plug::{Fault, Hint, Hints, Path, Tag, clock};
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::Instant;

use crate::fault::{Refusal, fault, unavailable};
use crate::folder::Folder;
use crate::name;
use crate::trash;
use snapshot::{Change, Comparison, Snapshot};

/// The pause after changes is the usual one divided by this, and then doubled until it is usual.
const EAGER: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Between two looks at the bounds of the trash.
const PURGE_MS: u64 = 60 * 60 * 1_000;

/// How far the watch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nobody watches.
    Off,
    /// The first round is under way.
    Begun,
    /// Everything that was asked for until this number was answered.
    Done(u64),
}

/// The watch of one connection.
pub(crate) struct Watch {
    poll: Duration,
    progress: Sender<Progress>,
    /// Counts who waits for a round that begins after they asked.
    asked: Sender<u64>,
    /// Whether something was listed that the watch can't vouch for.
    unwatched: AtomicBool,
}

/// Says that nobody watches any more, however it ended.
struct Off<'a>(&'a Watch);

impl Drop for Off<'_> {
    fn drop(&mut self) {
        self.0.unwatched.store(true, Ordering::SeqCst);
        self.0.progress.send_replace(Progress::Off);
    }
}

async fn wait_for(mut progress: Receiver<Progress>, is_it: impl Fn(Progress) -> bool) {
    // It fails only when the watch's owner is gone, who is who asks.
    let _ = progress.wait_for(|progress| is_it(*progress)).await;
}

impl Watch {
    pub(crate) fn new(poll: Duration) -> Self {
        Self {
            poll,
            progress: Sender::new(Progress::Off),
            asked: Sender::new(0),
            unwatched: AtomicBool::new(false),
        }
    }

    /// Waits for the first round, if there is to be one.
    pub(crate) async fn ready(&self) {
        if *self.progress.borrow() == Progress::Off {
            self.unwatched.store(true, Ordering::SeqCst);
        }
        wait_for(self.progress.subscribe(), |progress| progress != Progress::Begun).await;
    }

    /// Waits for a round that begins after this was called.
    pub(crate) async fn settle(&self) {
        let mut mine = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        wait_for(self.progress.subscribe(), |progress| match progress {
            Progress::Off => true,
            Progress::Begun => false,
            Progress::Done(answered) => answered >= mine,
        })
        .await;
    }

    /// Makes rounds until dropped, or until it can't.
    pub(crate) async fn run(&self, folder: &Folder, hints: &Hints) -> Result<(), Fault> {
        self.progress.send_replace(Progress::Begun);
        let _off = Off(self);
        let mut asked = self.asked.subscribe();
        let (mut before, mut pause, mut purged_ms) = (None, self.poll, clock::now_ms());
        loop {
            let answers = *asked.borrow_and_update();
            let began = Instant::now();
            let is_first = before.is_none();
            let (snapshot, count) = round(folder, hints, before.take()).await?;
            before = Some(snapshot);
            if is_first && self.unwatched.swap(false, Ordering::SeqCst) {
                hints.rescan("nobody has watched for a while");
            }
            self.progress.send_replace(Progress::Done(answers));
            if clock::now_ms() > purged_ms + PURGE_MS {
                purged_ms = clock::now_ms();
                let purged = trash::purge(&folder.client, &folder.setting).await;
                hints.problem(".onitu/trash", purged.err().map(|it| fault("clear", "it", &it)));
            }
            pause = if count > 0 { self.poll / EAGER } else { pause * 2 };
            pause = pause.max(PAUSE_MIN).min(self.poll);
            // A folder that takes long to list is listed half of the time at most.
            tokio::select! {
                biased;
                changed = asked.changed() => {
                    changed.map_err(|_| unavailable("nobody is left to ask"))?;
                }
                () = tokio::time::sleep(pause.max(began.elapsed())) => {}
            }
        }
    }
}

/// One round through all directories, each before what comes after it in the order of whole names,
/// compared with the one before; tells how much has changed.
async fn round(
    folder: &Folder,
    hints: &Hints,
    before: Option<Snapshot>,
) -> Result<(Snapshot, usize), Fault> {
    let spilled = |error: std::io::Error| unavailable(format!("can't keep a listing: {error}"));
    let mut comparison = Comparison::new(before).map_err(spilled)?;
    let top = children(folder, "").await;
    if top.is_err() {
        // It tells what to do about a folder that is gone.
        folder.verify().await?;
    }
    let mut waiting = vec![(String::new(), top?.into_iter())];
    let mut count = 0;
    while let Some((directory, entries)) = waiting.last_mut() {
        let Some((name, tag)) = entries.next() else {
            waiting.pop();
            continue;
        };
        let path = format!("{directory}{name}");
        let mut changes = Vec::new();
        comparison.take(&path, tag, &mut changes).map_err(spilled)?;
        count += tell(hints, &changes);
        if path.ends_with('/') {
            let below = match children(folder, &path).await {
                // Gone, or not to be listed: a look at what was there will tell.
                Err(Fault { kind: NotFound | NotADirectory | Denied, .. }) => Vec::new(),
                below => below?,
            };
            waiting.push((path, below.into_iter()));
        }
    }
    // Else everything was missing because the folder is.
    folder.verify().await?;
    let mut changes = Vec::new();
    let snapshot = comparison.finish(&mut changes).map_err(spilled)?;
    count += tell(hints, &changes);
    Ok((snapshot, count))
}

/// What a directory (that ends in `/`) holds, in the order of whole names: a directory's ends in `/`.
async fn children(folder: &Folder, directory: &str) -> Result<Vec<(String, Tag)>, Fault> {
    let asked = if directory.is_empty() { "/" } else { directory };
    let failed = |refusal: Refusal| fault("list", asked, &refusal);
    let mut entries = folder.client.list(asked).await.map_err(failed)?;
    let mut found = Vec::new();
    while let Some((name, thing)) = entries.next().await.map_err(failed)? {
        let path = Path::new(&format!("{directory}{name}"));
        if !path.is_ok_and(|path| name::check(&path).is_ok()) {
            continue;
        }
        let slash = if thing.is_directory() { "/" } else { "" };
        found.push((format!("{name}{slash}"), thing.state().tag));
    }
    found.sort_unstable();
    Ok(found)
}

/// Hints at what changed; tells how many there were.
fn tell(hints: &Hints, changes: &[Change]) -> usize {
    let paths = changes.iter().filter_map(|name| Path::new(name.trim_end_matches('/')).ok());
    let told: Vec<_> = paths.map(|path| (path, Hint::Changed)).collect();
    let count = told.len();
    if count > 0 {
        hints.tell_all(told);
    }
    count
}
