//! Finding changes: the whole service is listed flat, a thousand keys a request, and compared with
//! the listing before (`snapshot`).
//!
//! The first listing is what the later ones are compared with, so scans wait for it: what changes
//! after a directory was scanned is found by the next one. A scan of everything asks for a new one
//! and is answered from it, directory by directory: what it doesn't show yet, the next one tells.
//! While a queue tells of changes (`ear`), listings are rare.

mod ear;
mod snapshot;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::DateTime;
use onitu_plug::{Fault, Hint, Hints, Path, Tag, clock};
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::Instant;

use crate::client::{PAGE, Requests, Start, etag};
use crate::fault::{Refusal, unavailable};
use crate::key::{can_be_asked, decode};
use crate::list::has_sum;
use crate::nearby::Near;
use crate::object::{Bucket, directory, file};
use ear::Ear;
use snapshot::{Change, Comparison};
pub(crate) use snapshot::{Entry, Snapshot};

/// The pause after changes is the usual one divided by this, and then doubled until it is usual.
const EAGER: u32 = 8;
/// As long as a change is too young to be told from another one by its time; clocks differ.
const JUST_NOW_S: i64 = 10;
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// For how long a scan is answered from what was listed when it began.
const SCANNED: Duration = Duration::from_mins(10);

/// How far the watch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nobody watches.
    Off,
    /// The first listing is under way.
    Begun,
    /// Everything that was asked for until this number was answered.
    Done(u64),
}

/// The watch of one connection.
pub(crate) struct Watch {
    poll: Duration,
    poll_beside_queue: Duration,
    ear: Ear,
    /// Where listings go that are too large for memory.
    directory: PathBuf,
    progress: Sender<Progress>,
    /// Counts who waits for a round that begins after they asked.
    asked: Sender<u64>,
    /// Whether something was listed that the watch can't vouch for.
    unwatched: AtomicBool,
    /// The last listing, while there is a watch.
    kept: Mutex<Option<Snapshot>>,
    /// Since when everything is scanned.
    scanned: Mutex<Option<Instant>>,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that nobody watches any more, however it ended.
struct Off<'a>(&'a Watch, &'a Requests);

impl Drop for Off<'_> {
    fn drop(&mut self) {
        self.1.nearby.watched(false);
        *held(&self.0.kept) = None;
        self.0.unwatched.store(true, Ordering::SeqCst);
        self.0.progress.send_replace(Progress::Off);
    }
}

async fn wait_for(mut progress: Receiver<Progress>, is_it: impl Fn(Progress) -> bool) {
    // It fails only when the watch's owner is gone, who is who asks.
    let _ = progress.wait_for(|progress| is_it(*progress)).await;
}

impl Watch {
    pub(crate) fn new(poll: Duration, poll_beside_queue: Duration, directory: PathBuf) -> Self {
        Self {
            directory,
            poll,
            poll_beside_queue,
            ear: Ear::default(),
            progress: Sender::new(Progress::Off),
            asked: Sender::new(0),
            unwatched: AtomicBool::new(false),
            kept: Mutex::default(),
            scanned: Mutex::default(),
        }
    }

    /// Waits for the first listing, if there is to be one.
    pub(crate) async fn ready(&self) {
        if *self.progress.borrow() == Progress::Off {
            self.unwatched.store(true, Ordering::SeqCst);
        }
        wait_for(self.progress.subscribe(), |progress| progress != Progress::Begun).await;
    }

    /// The listing to answer a scan from, if there is one. A scan begins with the root; what is
    /// scanned by itself is asked for by itself, and so is all after a while.
    pub(crate) async fn listed(&self, directory: &Path) -> Option<Snapshot> {
        if directory.is_root() {
            self.settle().await;
            *held(&self.scanned) = Some(Instant::now());
        }
        held(&self.scanned).filter(|since| since.elapsed() < SCANNED)?;
        held(&self.kept).clone().filter(Snapshot::is_exact)
    }

    /// The queue was read, and told of so many changes.
    pub(crate) fn queue_heard(&self, count: usize, told: Vec<Path>, hints: &Hints) {
        self.ear.heard(count, told, hints);
    }

    /// The queue can't be read: what it would have told is listed at once.
    pub(crate) fn queue_failed(&self, fault: &Fault, hints: &Hints) {
        if self.ear.failed(&fault.message, hints) {
            self.asked.send_modify(|asked| *asked += 1);
        }
    }

    /// As [`onitu_plug::Plug::settle`].
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

    /// Lists again and again, until dropped or until it can't.
    pub(crate) async fn run(&self, bucket: &Bucket, hints: &Hints) -> Result<(), Fault> {
        self.progress.send_replace(Progress::Begun);
        let _off = Off(self, &bucket.requests);
        let mut asked = self.asked.subscribe();
        let (mut before, mut pause) = (None, self.poll);
        loop {
            let answers = *asked.borrow_and_update();
            let began = Instant::now();
            let told = self.ear.take_told();
            let round = bucket.recent.begin_round();
            let is_first = before.is_none();
            let (snapshot, count) = self.look_round(bucket, hints, before.take()).await?;
            before = Some(snapshot.clone());
            *held(&self.kept) = Some(snapshot);
            bucket.recent.end_round(round);
            if is_first && self.unwatched.swap(false, Ordering::SeqCst) {
                hints.rescan("nobody has watched for a while");
            }
            if is_first {
                bucket.requests.nearby.watched(true);
            }
            self.progress.send_replace(Progress::Done(answers));
            for path in told.iter().flatten() {
                bucket.forget(path);
            }
            self.ear.listed(count, told, hints);
            pause = if count > 0 { self.poll / EAGER } else { pause * 2 };
            pause = pause.max(PAUSE_MIN).min(self.poll);
            let rest = if self.ear.hears() { self.poll_beside_queue } else { pause };
            // A bucket that takes long to list is listed half of the time at most.
            tokio::select! {
                biased;
                changed = asked.changed() => {
                    changed.map_err(|_| unavailable("nobody is left to ask"))?;
                }
                () = tokio::time::sleep(rest.max(began.elapsed())) => {}
            }
        }
    }

    /// One listing of everything, compared with the one before; tells how much has changed.
    async fn look_round(
        &self,
        bucket: &Bucket,
        hints: &Hints,
        before: Option<Snapshot>,
    ) -> Result<(Snapshot, usize), Fault> {
        let failed = |refusal: Refusal| refusal.fault("list", Path::root());
        let spilled = |error: std::io::Error| unavailable(format!("can't keep a listing: {error}"));
        let prefix = bucket.keys.directory(&Path::root());
        let own = bucket.keys.own("");
        let mut comparison = Comparison::new(before, &self.directory).map_err(spilled)?;
        let (mut from, mut count) = (Some(Start::Beginning), 0);
        while let Some(begin) = from {
            let page = bucket.requests.list(&prefix, &begin, true, PAGE).await.map_err(failed)?;
            let (mut changes, mut listed) = (Vec::new(), Vec::new());
            let mut skip = false;
            for object in page.contents() {
                let key = object.key().and_then(decode);
                let key =
                    key.ok_or_else(|| unavailable("the listing has a key that can't be read"))?;
                skip = key.starts_with(&own);
                let Some(name) = key.strip_prefix(&prefix).filter(|_| !skip) else { continue };
                let size = object.size().and_then(|size| size.try_into().ok()).unwrap_or(0);
                let told = etag(object.e_tag()).map(|etag| file(&etag, size, None));
                let seen = if let Some(state) = told {
                    state.tag
                } else {
                    comparison.is_inexact();
                    sign(bucket, &key, size, object.last_modified()).await.map_err(failed)?
                };
                comparison.take(name, (seen, size), &mut changes).map_err(spilled)?;
                if changes.last().is_some_and(|last| last.name == name && last.now.is_some()) {
                    listed.extend(told.map(|it| (key.clone(), Near::File(it, has_sum(object)))));
                }
            }
            count += tell(bucket, hints, changes, listed);
            // The trash may be larger than all the rest.
            from = Start::after(&page);
            from = if skip && from.is_some() {
                Some(Start::After(bucket.keys.after_own()))
            } else {
                from
            };
        }
        let mut changes = Vec::new();
        comparison.finish(&mut changes).map_err(spilled)?;
        count += tell(bucket, hints, changes, Vec::new());
        if comparison.is_too_much() {
            bucket.recent.forget_directories();
            bucket.requests.nearby.watched(true);
            hints.rescan("more has changed than can be told one by one");
        }
        let snapshot = comparison.into_snapshot().map_err(spilled)?;
        if snapshot.is_unsorted() {
            hints.notice(Some(
                "the server's listings aren't sorted: every poll is a scan".to_owned(),
            ));
            hints.rescan("the server's listings aren't sorted");
        }
        Ok((snapshot, count))
    }
}

/// What stands for an object in a listing without `ETag`s. Two changes in one second look alike, so
/// what was changed just now is asked for.
async fn sign(
    bucket: &Bucket,
    key: &str,
    size: u64,
    changed: Option<&DateTime>,
) -> Result<Tag, Refusal> {
    let changed_s = changed.map_or(0, DateTime::secs);
    let now_s = i64::try_from(clock::now_ms() / 1_000).unwrap_or(i64::MAX);
    if now_s - changed_s < JUST_NOW_S && can_be_asked(key) {
        let found = bucket.requests.head(key).await?;
        return Ok(found.map_or(Tag::UNKNOWN, |object| object.state().tag));
    }
    Ok(Tag::of(format!("{size} {changed:?}").as_bytes()))
}

/// Hints at what changed, unless we ourselves have changed it; tells how many there were. What was
/// listed of it by its key need not be asked again.
fn tell(
    bucket: &Bucket,
    hints: &Hints,
    changes: Vec<Change>,
    listed: Vec<(String, Near)>,
) -> usize {
    let told = changes.into_iter().filter_map(|Change { name, now }| {
        let path = Path::new(name.trim_end_matches('/')).ok()?;
        let is_own = bucket.recent.is_own(&bucket.keys.named(&name), now);
        if is_own && now.is_some() {
            return None;
        }
        bucket.forget(&path);
        (!is_own).then_some((path, Hint::Changed))
    });
    let told: Vec<_> = told.collect();
    let count = told.len();
    for (key, near) in listed {
        bucket.requests.nearby.keep_told(&key, near);
    }
    if count > 0 {
        hints.tell_all(told);
    }
    count
}

/// What stands for a directory in a snapshot.
pub(crate) fn directory_sign() -> Tag {
    directory().tag
}
