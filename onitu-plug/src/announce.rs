//! Out: what was seen leaves as numbered events, and is kept until the Referee has committed it.
//!
//! The ring is the driver's memory of what the store doesn't know yet; together the two say what
//! this service is known to hold. It is bounded: who announces waits while it is full, so a scan
//! pauses and no memory grows while the Referee is away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_core::bus::{BusError, Publisher};
use onitu_core::message::{Batch, Event, HEARTBEAT_TOPIC, Heartbeat, encode};
use onitu_core::{Kind, Path, ServiceId, Shard, Tag, limits};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A heartbeat leaves so often,
const BEAT: Duration = Duration::from_millis(limits::HEARTBEAT_MS);
/// and so often until the Referee has heard one.
const BEAT_FIRST: Duration = Duration::from_millis(50);

/// Numbers, keeps and publishes events.
pub(crate) struct Announcer {
    service: ServiceId,
    ring: Mutex<Ring>,
    /// Something waits to be published.
    news: Notify,
    /// There is room again.
    room: Notify,
    /// The Referee has taken up an incarnation.
    adopted: Notify,
}

struct Ring {
    epoch: u64,
    /// Whether the Referee is known to follow this incarnation, and no earlier one any more.
    is_adopted: bool,
    shards: [Stream; Shard::COUNT],
    events: usize,
    /// What the unacknowledged events say of each path: the tag it has, or that it is gone.
    known: BTreeMap<Path, Known>,
    /// The orders under way at a path.
    ordered: BTreeMap<Path, BTreeSet<u64>>,
    /// Those among them that were computed from less than was told.
    outdated: BTreeSet<u64>,
    /// What was told up to here the Referee may have passed over, by shard.
    doubted: Option<[u64; Shard::COUNT]>,
    activity: u64,
    /// Paths that were told to be gone.
    gone: u64,
}

#[derive(Default)]
struct Stream {
    /// Number of the first event kept.
    first: u64,
    kept: VecDeque<Event>,
    /// Number of the last event that was published.
    published: u64,
}

#[derive(Clone, Copy)]
struct Known {
    tag: Option<Tag>,
    sequence: u64,
    is_file: bool,
}

impl Stream {
    fn last(&self) -> u64 {
        self.first + self.kept.len() as u64 - 1
    }

    fn batch(&self, from: u64, count: usize) -> Vec<Event> {
        let skip = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        self.kept.iter().skip(skip).take(count).cloned().collect()
    }
}

impl Announcer {
    pub(crate) fn new(service: ServiceId, epoch: u64) -> Self {
        let ring = Mutex::new(Ring::new(epoch));
        Self { service, ring, news: Notify::new(), room: Notify::new(), adopted: Notify::new() }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This incarnation.
    pub(crate) fn epoch(&self) -> u64 {
        self.ring().epoch
    }

    /// Numbers `events` and leaves them to be published, in this order; waits while the ring is
    /// full.
    pub(crate) async fn announce(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        loop {
            let room = self.room.notified();
            if self.ring().events < limits::RING_EVENTS_MAX {
                break;
            }
            room.await;
        }
        {
            let mut ring = self.ring();
            for event in events {
                tracing::trace!(service = %self.service, ?event, "announced");
                ring.push(event);
            }
        }
        self.news.notify_one();
    }

    /// As [`Announcer::announce`], and returns when the Referee has committed it; false if it never
    /// will, because this incarnation is over.
    pub(crate) async fn confirm(&self, event: Event) -> bool {
        let (epoch, shard) = (self.epoch(), Shard::of(event.path()));
        self.announce(vec![event]).await;
        // Others may have announced since: a later number is confirmed no sooner.
        let (_, number) = self.ring().last(shard);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let (now, is_committed) = {
                let ring = self.ring();
                (ring.epoch, ring.shards[shard.index()].first > number)
            };
            if now != epoch || is_committed {
                return now == epoch;
            }
            room.await;
        }
    }

    /// What unacknowledged events say of `path`: the outer [`None`] when they say nothing.
    #[allow(clippy::option_option, reason = "unknown, known to be gone, known to be so")]
    pub(crate) fn known(&self, path: &Path) -> Option<Option<Tag>> {
        self.ring().known.get(path).map(|known| known.tag)
    }

    /// What unacknowledged events say of the paths directly in `directory`.
    pub(crate) fn known_in(&self, directory: &Path) -> BTreeMap<Path, Option<Tag>> {
        let prefix = if directory.is_root() { String::new() } else { format!("{directory}/") };
        let ring = self.ring();
        ring.known
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(path, _)| path.as_str().starts_with(&prefix))
            .filter(|(path, _)| !path.as_str()[prefix.len()..].contains('/'))
            .map(|(path, known)| (path.clone(), known.tag))
            .collect()
    }

    /// What unacknowledged events say of all paths: whether a file or link is there.
    pub(crate) fn all_known(&self) -> Vec<(Path, bool)> {
        let ring = self.ring();
        let is_there = |known: &Known| known.tag.is_some() && known.is_file;
        ring.known.iter().map(|(path, known)| (path.clone(), is_there(known))).collect()
    }

    /// The Referee has spoken to this incarnation: news of an earlier one is no longer taken.
    pub(crate) fn adopt(&self) {
        self.ring().is_adopted = true;
        self.adopted.notify_waiters();
    }

    fn is_adopted(&self) -> bool {
        self.ring().is_adopted
    }

    /// Returns when news of an earlier incarnation, which may still be on its way, can no longer
    /// change a record. A scan that read the records before would miss what it changes.
    pub(crate) async fn wait_until_adopted(&self) {
        loop {
            let adopted = self.adopted.notified();
            if self.is_adopted() {
                return;
            }
            adopted.await;
        }
    }

    /// The Referee has committed everything up to `sequence`; whether that ends what
    /// [`Announcer::doubt`] has begun.
    pub(crate) fn acknowledge(&self, shard: Shard, sequence: u64) -> bool {
        let is_over = self.ring().acknowledge(shard, sequence);
        self.room.notify_waiters();
        is_over
    }

    /// Something else is ignored now. What was told and isn't acknowledged counts as known to every
    /// look until then; but the Referee may have passed it over by what was ignored before.
    pub(crate) fn doubt(&self) {
        let mut ring = self.ring();
        if ring.events > 0 {
            ring.doubted = Some(std::array::from_fn(|at| ring.shards[at].last()));
        }
    }

    /// Everything kept after `after`, as far as it fits; [`None`] if some of it is no longer kept
    /// (the store has lost what it had acknowledged).
    pub(crate) fn replay(&self, shard: Shard, after: u64) -> Option<Batch> {
        let ring = self.ring();
        let stream = &ring.shards[shard.index()];
        if after + 1 < stream.first {
            return None;
        }
        let events = if after >= stream.last() {
            Vec::new()
        } else {
            stream.batch(after + 1, limits::REPLAY_EVENTS_MAX)
        };
        Some(Batch { service: self.service, epoch: ring.epoch, shard, first: after + 1, events })
    }

    /// Forgets everything and begins a new incarnation; a scan must follow.
    pub(crate) fn begin_epoch(&self, epoch: u64) {
        let mut ring = self.ring();
        let mut next = Ring::new(epoch.max(ring.epoch + 1));
        (next.activity, next.gone) = (ring.activity + 1, ring.gone);
        // Nothing is known any more of what they were computed from.
        next.ordered = std::mem::take(&mut ring.ordered);
        next.outdated = next.ordered.values().flatten().copied().collect();
        *ring = next;
        drop(ring);
        self.room.notify_waiters();
    }

    /// An order for `paths` has come. If something told of them isn't acknowledged yet, the Referee
    /// didn't know it when it gave the order; and what is told from now on it didn't know either.
    /// A tag alone doesn't show that: what was renamed away and back has the one it had.
    pub(crate) fn begin_order(&self, order: u64, paths: &[Path]) {
        let mut ring = self.ring();
        if paths.iter().any(|path| ring.known.contains_key(path)) {
            ring.outdated.insert(order);
        }
        for path in paths {
            ring.ordered.entry(path.clone()).or_default().insert(order);
        }
    }

    /// Whether the order was computed from less than was told of its paths.
    pub(crate) fn is_outdated(&self, order: u64) -> bool {
        self.ring().outdated.contains(&order)
    }

    /// The order is over.
    pub(crate) fn end_order(&self, order: u64, paths: &[Path]) {
        let mut ring = self.ring();
        ring.outdated.remove(&order);
        for path in paths {
            if let Some(orders) = ring.ordered.get_mut(path) {
                orders.remove(&order);
                if orders.is_empty() {
                    ring.ordered.remove(path);
                }
            }
        }
    }

    /// Whether everything was acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.ring().events == 0
    }

    /// Grows with everything that happens.
    pub(crate) fn activity(&self) -> u64 {
        self.ring().activity
    }

    /// How many paths were told to be gone since the driver began.
    pub(crate) fn gone(&self) -> u64 {
        self.ring().gone
    }

    /// Notes that something happened.
    pub(crate) fn stir(&self) {
        self.ring().activity += 1;
    }

    /// Publishes what is announced, and heartbeats, until the bus ends. While one batch is handed
    /// over the next events gather.
    pub(crate) async fn publish(&self, publisher: Publisher) -> Result<(), BusError> {
        let mut next_beat = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.news.notified() => {}
                () = tokio::time::sleep_until(next_beat) => {
                    let pause = if self.is_adopted() { BEAT } else { BEAT_FIRST };
                    next_beat = Instant::now() + pause;
                    let heartbeat = encode(&self.heartbeat());
                    publisher.send(HEARTBEAT_TOPIC, heartbeat).await?;
                }
            }
            while let Some(batch) = self.next_batch() {
                publisher.send(batch.shard.to_string(), encode(&batch)).await?;
            }
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let ring = self.ring();
        let last = ring.shards.iter().map(|stream| stream.published).collect();
        Heartbeat { service: self.service, epoch: ring.epoch, last }
    }

    fn next_batch(&self) -> Option<Batch> {
        let mut ring = self.ring();
        let epoch = ring.epoch;
        for shard in Shard::all() {
            let stream = &mut ring.shards[shard.index()];
            let first = stream.published.max(stream.first - 1) + 1;
            if first <= stream.last() {
                let events = stream.batch(first, limits::BATCH_EVENTS_MAX);
                stream.published = first + events.len() as u64 - 1;
                return Some(Batch { service: self.service, epoch, shard, first, events });
            }
        }
        None
    }
}

impl Ring {
    fn new(epoch: u64) -> Self {
        let shards = std::array::from_fn(|_| Stream { first: 1, ..Stream::default() });
        Self {
            epoch,
            is_adopted: false,
            shards,
            events: 0,
            known: BTreeMap::new(),
            ordered: BTreeMap::new(),
            outdated: BTreeSet::new(),
            doubted: None,
            activity: 0,
            gone: 0,
        }
    }

    /// This incarnation, and the number of its last event in `shard`.
    fn last(&self, shard: Shard) -> (u64, u64) {
        (self.epoch, self.shards[shard.index()].last())
    }

    fn push(&mut self, event: Event) {
        let stream = &mut self.shards[Shard::of(event.path()).index()];
        let sequence = stream.last() + 1;
        let tag = match &event {
            Event::Seen { state, .. } | Event::Restored { state, .. } => Some(Some(state.tag)),
            Event::Gone { .. } | Event::Lost { .. } => Some(None),
            Event::Failed { .. }
            | Event::Rotten { .. }
            | Event::Fetched { .. }
            | Event::Resolved { .. } => None,
        };
        if let Some(tag) = tag {
            self.gone += u64::from(tag.is_none());
            let is_file = !matches!(&event, Event::Seen { state, .. }
                if state.content.kind == Kind::Directory);
            self.known.insert(event.path().clone(), Known { tag, sequence, is_file });
            if let Some(orders) = self.ordered.get(event.path()) {
                self.outdated.extend(orders);
            }
        }
        stream.kept.push_back(event);
        self.events += 1;
        self.activity += 1;
    }

    fn acknowledge(&mut self, shard: Shard, sequence: u64) -> bool {
        let stream = &mut self.shards[shard.index()];
        while stream.first <= sequence {
            let Some(event) = stream.kept.pop_front() else { break };
            if self.known.get(event.path()).is_some_and(|known| known.sequence == stream.first) {
                self.known.remove(event.path());
            }
            stream.first += 1;
            self.events -= 1;
        }
        let is_taken = |marks: &[u64; Shard::COUNT]| {
            self.shards.iter().zip(marks).all(|(stream, mark)| stream.first > *mark)
        };
        let is_over = self.doubted.as_ref().is_some_and(is_taken);
        if is_over {
            self.doubted = None;
        }
        is_over
    }
}

#[cfg(test)]
mod tests;
