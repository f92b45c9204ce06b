//! A driver as the Referee sees it: its stream of events, and the work that waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use onitu_core::message::{Batch, Heartbeat, Order};
use onitu_core::store::Stream;
use onitu_core::{Fault, FaultKind, Need, Path, Service, Shard, limits};
use tokio::time::Instant;

use self::later::{Manner, Waiting};
use crate::round::Arrived;

mod later;

/// Paths of one service kept in memory; more of them wait in the store.
const QUEUE_MAX: usize = 8_192;
/// How long a store is left alone that told only of paths that wait.
const BARREN_PAUSE: Duration = Duration::from_secs(1);
/// Paths whose rename is remembered to be impossible.
const UNRENAMEABLE_MAX: usize = 4_096;
const REPLAY_PAUSE: Duration = Duration::from_millis(200);
/// How long a woken directory waits while not all work below it is in memory.
const WAKE_PAUSE: Duration = Duration::from_millis(20);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_mins(1);
/// A service that asks for more patience with a path than this is asked again all the same.
const PATIENCE_MAX: Duration = Duration::from_hours(24);
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
    /// It told nothing but what waits for its time: it isn't asked again before.
    barren_until: Option<Instant>,
    in_flight: BTreeMap<u64, Path>,
    busy: BTreeMap<Path, u64>,
    later: Waiting,
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

/// What the failure of an order means.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What to show, if anything is.
    pub(crate) shown: Option<Fault>,
    /// Whether the service has refused for good, so that no time helps.
    pub(crate) is_final: bool,
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
            barren_until: None,
            in_flight: BTreeMap::new(),
            busy: BTreeMap::new(),
            later: Waiting::default(),
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
        self.later.begin_anew();
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
        self.later.remove(path);
        if let Some(order) = self.busy.get(path) {
            self.overtaken.push(*order);
            return;
        }
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
        let before = self.queue.len();
        for path in paths {
            self.nudge(&path);
        }
        let is_barren = self.more && self.queue.len() == before;
        self.barren_until = is_barren.then(|| Instant::now() + BARREN_PAUSE);
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
        let is_barren = self.barren_until.is_some_and(|until| until > Instant::now());
        self.more && !is_barren && self.queue.is_empty() && self.room() > 0 && !self.is_held()
    }

    fn room(&self) -> usize {
        if self.later.is_full() {
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

    /// Tries `path` again after a pause that grows with each failure in a row, or that the service
    /// asked for.
    pub(crate) fn failed(&mut self, path: &Path, fault: &Fault, need: Need) -> Failure {
        let asked = fault.retry_after_ms.map(Duration::from_millis);
        let is_of_all = matches!(fault.kind, FaultKind::Unavailable | FaultKind::RateLimited);
        if is_of_all {
            let wait = asked.unwrap_or(RETRY_FIRST * 20);
            self.held_until = Some(Instant::now() + wait.min(RETRY_LAST));
        }
        let failures = self.later.failures(path) + 1;
        // Only what can't be kept: what is to go from there is never out of the question.
        let is_final = self.is_refused(path, fault.kind, failures) && need == Need::Place;
        let asked = asked.filter(|_| !is_of_all).unwrap_or_default().min(PATIENCE_MAX);
        let pause = pause(failures, fault.kind).max(asked);
        let at = Instant::now() + pause;
        match (is_final, self.later.has_room_apart()) {
            (true, true) => self.later.insert(path, at, failures, Manner::Refused),
            // It comes again with a change of its record, or when everything is looked at.
            (true, false) => self.later.remove(path),
            (false, true) if pause > RETRY_LAST => {
                self.later.insert(path, at, failures, Manner::Long);
            }
            (false, _) => {
                let at = Instant::now() + pause.min(RETRY_LAST);
                self.later.insert(path, at, failures, Manner::Briefly);
            }
        }
        let passes =
            matches!(fault.kind, FaultKind::Changed | FaultKind::Cancelled | FaultKind::NotEmpty);
        let shown = (!passes || failures >= FAILURES_SHOWN).then(|| fault.clone());
        Failure { shown, is_final }
    }

    /// Whether an order at `path` that fails so was refused for good. What can't be renamed may
    /// still be pulled.
    fn is_refused(&mut self, path: &Path, kind: FaultKind, failures: u32) -> bool {
        match kind {
            FaultKind::InvalidName => true,
            FaultKind::Unsupported if self.unrenameable.len() < UNRENAMEABLE_MAX => {
                !self.unrenameable.insert(path.clone())
            }
            FaultKind::Unsupported => self.unrenameable.contains(path) || failures > 1,
            _ => false,
        }
    }

    /// Whether the service refused for good what `path` is to hold, when it was last asked.
    pub(crate) fn has_refused(&self, path: &Path) -> bool {
        self.later.is_refused(path)
    }

    /// What was refused for good is asked for again: other services or rules are in force.
    pub(crate) fn ask_again(&mut self) {
        let troubled: Vec<Path> = self.troubled.iter().cloned().collect();
        for path in troubled {
            if self.later.is_refused(&path) || !self.later.knows(&path) {
                self.later.remove(&path);
                self.nudge(&path);
            }
        }
    }

    /// Looks at `path` again after `pause`, or sooner when [`Peer::wake`] says so.
    pub(crate) fn wait(&mut self, path: &Path, pause: Duration) {
        let refused = self.later.is_refused(path);
        let manner = if refused { Manner::Refused } else { Manner::Briefly };
        self.later.insert(path, Instant::now() + pause, self.later.failures(path), manner);
    }

    /// The service holds something less below `directory`. It is looked at at once when nothing
    /// more is known to be done below it; while there is, the end of that will wake it.
    pub(crate) fn wake(&mut self, directory: &Path) {
        if self.has_work_below(directory) {
            return;
        }
        if self.more {
            // What else is below may wait in the store: a listing for each path costs too much.
            self.later.hasten(directory, Instant::now() + WAKE_PAUSE);
        } else if self.later.release(directory) {
            self.enqueue(directory.clone());
        }
    }

    fn has_work_below(&self, directory: &Path) -> bool {
        let first = format!("{directory}/");
        let range = (Bound::Included(first.as_str()), Bound::Unbounded);
        let is_below = |path: &Path| path.as_str().starts_with(&first);
        self.queue.range::<str, _>(range).next().is_some_and(is_below)
            || self.busy.range::<str, _>(range).next().is_some_and(|(path, _)| is_below(path))
            || self.later.waits_below(&first)
    }

    /// Whether `path` waits for its time.
    pub(crate) fn waits_at(&self, path: &Path) -> bool {
        self.later.waits_at(path)
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
        if self.later.waits_unfailed(path) {
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
        let room = QUEUE_MAX.saturating_sub(self.queue.len());
        for path in self.later.let_go(room) {
            self.enqueue(path);
        }
    }

    /// When something will have waited long enough, or may be asked for again.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let held = self.held_until.filter(|until| *until > now);
        let replay = self.replay_at.filter(|at| *at > now);
        [self.later.ripe_at(), held, replay].into_iter().flatten().min()
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
