//! A driver as the Referee sees it: its stream of events, and the work that waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use onitu_core::message::{Batch, Heartbeat, Order};
use onitu_core::store::Stream;
use onitu_core::{Fault, FaultKind, Path, Service, Shard, limits};
use tokio::time::Instant;

use crate::round::Arrived;

/// Paths of one service kept in memory; more of them wait in the store.
const QUEUE_MAX: usize = 8_192;
/// Paths that wait for a later attempt in memory. When so many do, the rest waits with them.
const LATER_MAX: usize = 4_096;
const REPLAY_PAUSE: Duration = Duration::from_millis(200);
/// How long a woken directory waits while not all work below it is in memory.
const WAKE_PAUSE: Duration = Duration::from_millis(20);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_mins(1);
/// A store loses its last second when its server is killed, or its last two should its disk be slow.
/// What an order depends on rests for longer before the order leaves.
const MARK_REST: Duration = Duration::from_secs(3);
/// After so many failures in a row a problem is shown, if it is of a kind that may pass by itself.
const FAILURES_SHOWN: u32 = 3;

/// One service's stream and work.
pub(crate) struct Peer {
    pub(crate) service: Service,
    /// Accepted so far: committed, or in the round that is being played.
    pub(crate) stream: Stream,
    /// Known to exist, from batches and heartbeats of the same epoch.
    heard: [u64; Shard::COUNT],
    heard_at: Option<Instant>,
    /// Missing events are not asked for again before, unless some came.
    replay_at: Option<Instant>,
    /// Work to look at next.
    queue: BTreeSet<Path>,
    /// Whether the store holds work that isn't in memory.
    pub(crate) more: bool,
    in_flight: BTreeMap<u64, Path>,
    busy: BTreeMap<Path, u64>,
    later: BTreeMap<Path, Later>,
    /// No path in `later` is due before.
    ripe_at: Option<Instant>,
    /// The whole service is let alone until then.
    pub(crate) held_until: Option<Instant>,
    pub(crate) acknowledge: BTreeSet<Shard>,
    pub(crate) overtaken: Vec<u64>,
    /// A request is under way.
    pub(crate) asking: bool,
    /// Paths whose rename the service can't do (across file systems): they are pulled instead.
    unrenameable: BTreeSet<Path>,
    /// Paths that have a problem on record.
    pub(crate) troubled: BTreeSet<Path>,
    /// Paths at which the service is noted to be leaving, and when the order may be sent.
    marked: BTreeMap<Path, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Later {
    at: Instant,
    failures: u32,
    /// Not yet let go again; kept so that failures are counted on.
    waiting: bool,
}

impl Peer {
    pub(crate) fn new(service: Service, stream: Stream) -> Self {
        Self {
            service,
            stream,
            heard: stream.last,
            heard_at: None,
            replay_at: None,
            queue: BTreeSet::new(),
            more: true,
            in_flight: BTreeMap::new(),
            busy: BTreeMap::new(),
            later: BTreeMap::new(),
            ripe_at: None,
            held_until: None,
            // What was committed before may never have been acknowledged.
            acknowledge: Shard::all().collect(),
            overtaken: Vec::new(),
            asking: false,
            unrenameable: BTreeSet::new(),
            troubled: BTreeSet::new(),
            marked: BTreeMap::new(),
        }
    }

    /// Whether the driver was heard lately.
    pub(crate) fn is_alive(&self) -> bool {
        self.heard_at.is_some_and(|at| at.elapsed() < Duration::from_millis(limits::SILENCE_MS))
    }

    /// Takes what is new and in sequence of `batch`; the rest is asked for again.
    pub(crate) fn accept(&mut self, batch: Batch, arrived: &mut Vec<Arrived>) {
        if !self.is_of_epoch(batch.epoch) {
            return;
        }
        let (shard, at) = (batch.shard, batch.shard.index());
        let count = batch.events.len() as u64;
        self.heard[at] = self.heard[at].max((batch.first + count).saturating_sub(1));
        if batch.first > self.stream.last[at] + 1 {
            return;
        }
        for (sequence, event) in (batch.first..).zip(batch.events) {
            // An event of another shard would be acknowledged under the wrong number.
            if sequence > self.stream.last[at] && Shard::of(event.path()) == shard {
                self.stream.last[at] = sequence;
                self.replay_at = None;
                let (service, epoch) = (self.service.id, batch.epoch);
                arrived.push(Arrived { service, epoch, sequence, event });
            }
        }
        // Also for what was known already: its acknowledgement may have been lost.
        self.acknowledge.insert(shard);
    }

    pub(crate) fn hear(&mut self, heartbeat: &Heartbeat) {
        if self.is_of_epoch(heartbeat.epoch) {
            for (heard, last) in self.heard.iter_mut().zip(&heartbeat.last) {
                *heard = (*heard).max(*last);
            }
        }
    }

    /// The driver has answered as this incarnation.
    pub(crate) fn answered(&mut self, epoch: u64) {
        self.is_of_epoch(epoch);
    }

    /// Notes that the driver lives; whether `epoch` is the one that counts now. A new incarnation
    /// knows nothing of orders given to the one before.
    fn is_of_epoch(&mut self, epoch: u64) -> bool {
        // News of a dead incarnation may be late. But if only the earlier one is heard, it is the
        // living one: the clocks it was numbered by went back.
        if epoch < self.stream.epoch && self.is_alive() {
            return false;
        }
        if epoch != self.stream.epoch {
            self.stream = Stream { epoch, last: [0; Shard::COUNT] };
            self.heard = self.stream.last;
            self.forget_orders();
            // Tells the driver that it is followed.
            self.acknowledge = Shard::all().collect();
        }
        self.heard_at = Some(Instant::now());
        true
    }

    fn forget_orders(&mut self) {
        self.in_flight.clear();
        // What stood still for these orders is looked at again.
        for path in std::mem::take(&mut self.busy).into_keys() {
            self.enqueue(path);
        }
        self.overtaken.clear();
        self.marked.clear();
        self.later.clear();
        self.ripe_at = None;
        self.held_until = None;
        self.more = true;
    }

    /// The store's own word on what was committed, after it may have lost something.
    pub(crate) fn rewind(&mut self, stream: Stream) {
        if stream.epoch != self.stream.epoch {
            self.heard = stream.last;
        }
        self.stream = stream;
        self.acknowledge = Shard::all().collect();
        self.forget_orders();
    }

    /// Shards in which events are missing, with the last number that isn't, to be asked for now.
    pub(crate) fn gaps(&mut self) -> Vec<(Shard, u64)> {
        if self.replay_at.is_some_and(|at| at > Instant::now()) {
            return Vec::new();
        }
        let gaps: Vec<_> = Shard::all()
            .filter(|shard| self.heard[shard.index()] > self.stream.last[shard.index()])
            .map(|shard| (shard, self.stream.last[shard.index()]))
            .collect();
        self.replay_at = (!gaps.is_empty()).then(|| Instant::now() + REPLAY_PAUSE);
        gaps
    }

    /// There is work at `path`, as of a record that has just changed.
    pub(crate) fn push(&mut self, path: &Path) {
        if let Some(order) = self.busy.get(path) {
            self.overtaken.push(*order);
            return;
        }
        self.later.remove(path);
        self.enqueue(path.clone());
    }

    /// There may be work at `path`, though its record is as before: what is under way there goes on,
    /// and what failed keeps its pause.
    pub(crate) fn nudge(&mut self, path: &Path) {
        if !self.busy.contains_key(path) && !self.waits_at(path) {
            self.enqueue(path.clone());
        }
    }

    /// There may be work at these paths, as the store says.
    pub(crate) fn refill(&mut self, paths: Vec<Path>) {
        for path in paths {
            self.nudge(&path);
        }
    }

    fn enqueue(&mut self, path: Path) {
        if self.queue.len() >= QUEUE_MAX {
            self.more = true;
        } else {
            self.queue.insert(path);
        }
    }

    /// Whether the store should be asked for more work.
    pub(crate) fn wants_refill(&self) -> bool {
        self.more && self.queue.is_empty() && self.room() > 0 && !self.is_held()
    }

    fn room(&self) -> usize {
        if self.later.len() >= LATER_MAX {
            return 0;
        }
        limits::ORDERS_IN_FLIGHT_MAX.saturating_sub(self.in_flight.len())
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| until > Instant::now())
    }

    /// The next paths to compute orders for.
    pub(crate) fn take_queue(&mut self) -> Vec<Path> {
        if self.is_held() {
            return Vec::new();
        }
        let count = self.room();
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some(path) = self.queue.pop_first() else { break };
            if !self.busy.contains_key(&path) {
                taken.push(path);
            }
        }
        taken
    }

    /// The order under way at `path`.
    pub(crate) fn order_at(&self, path: &Path) -> Option<u64> {
        self.busy.get(path).copied()
    }

    /// How many orders it has under way.
    pub(crate) fn load(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn sent(&mut self, order: &Order) {
        self.busy.insert(order.path.clone(), order.id);
        self.in_flight.insert(order.id, order.path.clone());
    }

    /// The order ended; whether it was under way.
    pub(crate) fn ended(&mut self, order: u64) -> bool {
        let Some(path) = self.in_flight.remove(&order) else { return false };
        self.busy.remove(&path);
        true
    }

    /// Tries `path` again after a pause that grows with each failure in a row; tells what to show.
    pub(crate) fn failed(&mut self, path: &Path, fault: &Fault) -> Option<Fault> {
        if matches!(fault.kind, FaultKind::Unavailable | FaultKind::RateLimited) {
            let wait = fault.retry_after_ms.map_or(RETRY_FIRST * 20, Duration::from_millis);
            self.held_until = Some(Instant::now() + wait.min(RETRY_LAST));
        }
        if fault.kind == FaultKind::Unsupported && self.unrenameable.len() < LATER_MAX {
            self.unrenameable.insert(path.clone());
        }
        let failures = self.later.get(path).map_or(0, |later| later.failures) + 1;
        self.retry(path, pause(failures, fault.kind), failures);
        let passes =
            matches!(fault.kind, FaultKind::Changed | FaultKind::Cancelled | FaultKind::NotEmpty);
        (!passes || failures >= FAILURES_SHOWN).then(|| fault.clone())
    }

    /// Looks at `path` again after `pause`, or sooner when [`Peer::wake`] says so.
    pub(crate) fn wait(&mut self, path: &Path, pause: Duration) {
        let failures = self.later.get(path).map_or(0, |later| later.failures);
        self.retry(path, pause, failures);
    }

    fn retry(&mut self, path: &Path, pause: Duration, failures: u32) {
        let at = Instant::now() + pause;
        self.later.insert(path.clone(), Later { at, failures, waiting: true });
        self.ripe_at = Some(self.ripe_at.map_or(at, |ripe| ripe.min(at)));
    }

    /// The service holds something less below `directory`. It is looked at at once when nothing
    /// more is known to be done below it; while there is, the end of that will wake it.
    pub(crate) fn wake(&mut self, directory: &Path) {
        if self.has_work_below(directory) {
            return;
        }
        let Some(later) = self.later.get_mut(directory).filter(|later| later.waiting) else {
            return;
        };
        if self.more {
            // What else is below may wait in the store: a listing for each path costs too much.
            let soon = Instant::now() + WAKE_PAUSE;
            later.at = later.at.min(soon);
            self.ripe_at = Some(self.ripe_at.map_or(soon, |ripe| ripe.min(soon)));
        } else {
            later.waiting = false;
            self.enqueue(directory.clone());
        }
    }

    fn has_work_below(&self, directory: &Path) -> bool {
        let first = format!("{directory}/");
        let range = (Bound::Included(first.as_str()), Bound::Unbounded);
        let is_below = |path: &Path| path.as_str().starts_with(&first);
        let mut later = self.later.range::<str, _>(range).take_while(|(path, _)| is_below(path));
        self.queue.range::<str, _>(range).next().is_some_and(is_below)
            || self.busy.range::<str, _>(range).next().is_some_and(|(path, _)| is_below(path))
            || later.any(|(_, later)| later.waiting)
    }

    /// Whether `path` waits for its time.
    pub(crate) fn waits_at(&self, path: &Path) -> bool {
        self.later.get(path).is_some_and(|later| later.waiting)
    }

    /// The service was just noted to be leaving `path`.
    pub(crate) fn mark(&mut self, path: &Path) {
        self.marked.insert(path.clone(), Instant::now() + MARK_REST);
        self.wait(path, MARK_REST);
    }

    /// Whether the note that it is leaving `path` certainly outlives the store's server by now;
    /// else it is looked at again when it does.
    pub(crate) fn has_rested(&mut self, path: &Path) -> bool {
        let now = Instant::now();
        match self.marked.get(path).copied() {
            Some(at) if at <= now => {
                self.marked.remove(path);
                return true;
            }
            Some(at) => self.wait(path, at - now),
            // An earlier Referee made the note, nobody knows when.
            None => self.mark(path),
        }
        false
    }

    /// What `path` waited for has come.
    pub(crate) fn resume(&mut self, path: &Path) {
        if self.later.get(path).is_some_and(|later| later.waiting && later.failures == 0) {
            self.later.remove(path);
            self.enqueue(path.clone());
        }
    }

    /// Everything went well at `path`.
    pub(crate) fn done(&mut self, path: &Path) {
        self.later.remove(path);
        self.marked.remove(path);
        self.unrenameable.remove(path);
    }

    /// Whether a rename to `path` may be tried.
    pub(crate) fn may_rename(&self, path: &Path) -> bool {
        !self.unrenameable.contains(path)
    }

    /// Lets go what has waited long enough.
    pub(crate) fn let_go(&mut self) {
        let now = Instant::now();
        if self.ripe_at.is_none_or(|ripe| ripe > now) {
            return;
        }
        let ripe = self.later.iter_mut().filter(|(_, later)| later.waiting && later.at <= now);
        let mut paths = Vec::new();
        for (path, later) in ripe {
            later.waiting = false;
            paths.push(path.clone());
        }
        for path in paths {
            self.enqueue(path);
        }
        let waiting = self.later.values().filter(|later| later.waiting);
        self.ripe_at = waiting.map(|later| later.at).min();
    }

    /// When something will have waited long enough, or may be asked for again.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let held = self.held_until.filter(|until| *until > now);
        let replay = self.replay_at.filter(|at| *at > now);
        [self.ripe_at, held, replay].into_iter().flatten().min()
    }
}

fn pause(failures: u32, kind: FaultKind) -> Duration {
    let last = if kind == FaultKind::Changed { RETRY_LAST / 6 } else { RETRY_LAST };
    (RETRY_FIRST * 2u32.saturating_pow(failures.saturating_sub(1).min(16))).min(last)
}

#[cfg(test)]
mod epochs;
#[cfg(test)]
mod tests;
