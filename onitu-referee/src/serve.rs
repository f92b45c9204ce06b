//! The loop: hears the drivers, plays rounds, commits them, sends orders.
//!
//! One task owns all of it, so records have one writer. Each driver has two small tasks: one hears
//! its news, one asks it, so that a driver that doesn't answer holds up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::Bus;
use onitu_core::ignore::Ignoring;
use onitu_core::message::{Batch, Event, Heartbeat, Reply, Request};
use onitu_core::status::{REFEREE, Report};
use onitu_core::store::{Incarnation, Store, StoreError};
use onitu_core::{FaultKind, Need, Path, Record, ServiceId, Shard, clock};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ignoring::Files;
use crate::order::Children;
use crate::peer::Peer;
use crate::quota::Quotas;
use crate::round::{self, Arrived, Ended};
use crate::sweep::Sweep;
use crate::world::World;

mod ages;
mod dispatch;
mod evict;
mod link;
mod room;
mod way;

use ages::Ages;
use link::Link;

/// Inputs that wait while a round is being committed; what comes beyond is lost news, and asked
/// for again.
const INPUTS_MAX: usize = 1_024;
/// Events of one round.
const ROUND_EVENTS_MAX: usize = 4_096;
const TICK: Duration = Duration::from_secs(1);
const STORE_RETRY: Duration = Duration::from_millis(50);
/// The longest pause after a store that answers has refused what was decided again and again.
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(2);

/// What reaches the loop.
pub(crate) enum Input {
    /// A driver told what it saw.
    Batch(ServiceId, Batch),
    /// A driver lives.
    Heartbeat(ServiceId, Heartbeat),
    /// A driver answered the request under way.
    Answered(ServiceId, Reply),
}

/// The Referee of all shards.
pub struct Referee {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    world: World,
    peers: BTreeMap<ServiceId, (Peer, Link)>,
    incarnation: Option<Incarnation>,
    inputs: mpsc::Receiver<Input>,
    to_inputs: mpsc::Sender<Input>,
    sweep: Option<Sweep>,
    ages: Ages,
    files: Files,
    quotas: Quotas,
    /// Services of which the store may say that they can't keep something.
    unable: BTreeSet<ServiceId>,
    /// Paths whose record has lately got a hint of a rename, and until when it counts as fresh.
    fresh: BTreeMap<Path, Instant>,
    next_order: u64,
}

impl Referee {
    /// A Referee over this store and bus. `seed` makes its order numbers unlike those of the
    /// incarnation before.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn Bus>, seed: u64) -> Self {
        let (to_inputs, inputs) = mpsc::channel(INPUTS_MAX);
        Self {
            store,
            bus,
            world: World::default(),
            peers: BTreeMap::new(),
            incarnation: None,
            inputs,
            to_inputs,
            sweep: None,
            ages: Ages::default(),
            files: Files::default(),
            quotas: Quotas::default(),
            unable: BTreeSet::new(),
            fresh: BTreeMap::new(),
            next_order: seed << 32,
        }
    }

    /// Works until dropped. A store that can't be reached is waited for; only one that can't be
    /// read at all (a newer layout, damage) ends it.
    pub async fn run(mut self) -> Result<std::convert::Infallible, StoreError> {
        let mut next_tick = Instant::now();
        let mut pause = STORE_RETRY;
        loop {
            if Instant::now() >= next_tick || self.incarnation.is_none() {
                self.attempt_tick().await?;
                next_tick = Instant::now() + TICK;
            }
            // Until the store has told what it has, no event may be played: a commit that follows
            // one whose fate is unknown would skip it for ever.
            if self.incarnation.is_none() {
                tokio::time::sleep(STORE_RETRY).await;
                continue;
            }
            let wake = self.next_wake().map_or(next_tick, |wake| wake.min(next_tick));
            let mut heard = Vec::new();
            if self.sweep.is_some() {
                // A long sweep goes on between rounds, and never holds one up.
                while heard.len() < 64 {
                    let Ok(input) = self.inputs.try_recv() else { break };
                    heard.push(input);
                }
            } else {
                tokio::select! {
                    biased;
                    _ = self.inputs.recv_many(&mut heard, 64) => {}
                    () = tokio::time::sleep_until(wake) => {}
                }
            }
            // Now, and not before the wait: what is let go is looked at in this turn.
            self.let_go();
            match self.turn(heard).await {
                Ok(()) => pause = STORE_RETRY,
                Err(error) => {
                    self.recover(error)?;
                    // One that can be read but takes no writes would be asked without end.
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(REFUSED_PAUSE_MAX);
                }
            }
        }
    }

    async fn turn(&mut self, heard: Vec<Input>) -> Result<(), StoreError> {
        self.world.now_ns = clock::now_ns();
        let mut arrived = Vec::new();
        for input in heard {
            self.take(input, &mut arrived);
        }
        let mut records = self.play(arrived).await?;
        let mut swept = false;
        if let Some(mut sweep) = self.sweep.take() {
            swept = !sweep.step(&self.world, self.store.as_ref(), &mut self.files).await?;
            // They are read again: the sweep may have changed or forgotten any of them.
            records.clear();
            self.unable.extend(&sweep.unable);
            for (peer, _) in self.peers.values_mut() {
                peer.more = true;
                if swept {
                    peer.ask_again();
                }
            }
            if swept {
                self.ages.swept(sweep.changes_at_ns);
            } else {
                self.sweep = Some(sweep);
            }
        }
        // Before anything is acknowledged: who hears that an ignore file was taken may rely on it.
        if self.sweep.is_none() {
            self.publish_ignoring().await?;
        }
        if swept {
            self.recount().await?;
        }
        if swept && self.sweep.is_none() {
            // Tells the Core that all work this configuration means is on record.
            let (epoch, ignoring) = (self.world.registry.version, self.files.published().version);
            let report = Report { epoch, ignoring, at_ms: clock::now_ms(), ..Report::default() };
            self.store.set_report(REFEREE, &report).await?;
        }
        self.dispatch(records).await
    }

    /// Puts in force what is to be ignored, if that has changed.
    async fn publish_ignoring(&mut self) -> Result<(), StoreError> {
        let published = self.files.publish(self.store.as_ref(), &self.world.registry).await?;
        if let Some(ignoring) = published {
            self.world = std::mem::take(&mut self.world).ignoring(ignoring);
            self.begin_sweep();
        }
        Ok(())
    }

    fn begin_sweep(&mut self) {
        self.files.begin();
        self.ages.begin();
        // Where nothing is noted nothing has to be forgotten.
        self.sweep = Some(Sweep { is_begun: self.unable.is_empty(), ..Sweep::default() });
    }

    /// After an error of the store nothing is known of what took effect: its own word counts.
    fn recover(&mut self, error: StoreError) -> Result<(), StoreError> {
        if !error.may_pass() {
            return Err(error);
        }
        tracing::warn!("{error}; trying again");
        self.incarnation = None;
        Ok(())
    }

    async fn attempt_tick(&mut self) -> Result<(), StoreError> {
        match self.tick().await {
            Err(error) if error.may_pass() => {
                tracing::debug!("{error}");
                self.incarnation = None;
                Ok(())
            }
            other => other,
        }
    }

    /// Notices what changed beside the events: the store itself, the registry.
    async fn tick(&mut self) -> Result<(), StoreError> {
        self.fresh.retain(|_, until| *until > Instant::now());
        self.files.look_again();
        let incarnation = self.store.incarnation().await?;
        let registry = self.store.registry().await?;
        let (Some(_), Some(registry)) = (&incarnation.generation, registry) else {
            // Nothing is set up yet, or any more: the Core will do it.
            self.peers.clear();
            self.incarnation = None;
            return Ok(());
        };
        let another = self.incarnation.as_ref() != Some(&incarnation);
        if another || registry != self.world.registry {
            self.adopt(World::new(registry), another).await?;
        } else if self.sweep.is_none() && self.ages.are_due() {
            tracing::debug!("some files have come to the age that the rules ask for");
            self.begin_sweep();
        }
        self.incarnation = Some(incarnation);
        Ok(())
    }

    async fn adopt(&mut self, world: World, rewind: bool) -> Result<(), StoreError> {
        let streams = self.store.streams().await?;
        let stream = |id: ServiceId| streams.get(&id).copied().unwrap_or_default();
        for removed in self.world.services() {
            if world.registry.by_id(removed.id).is_none() {
                self.store.forget_pending(removed.id).await?;
            }
        }
        self.peers.retain(|id, _| world.registry.by_id(*id).is_some_and(|s| !s.paused));
        for service in world.services().iter().filter(|service| !service.paused) {
            if let Some((peer, _)) = self.peers.get_mut(&service.id) {
                peer.service = service.clone();
                if rewind {
                    peer.rewind(stream(service.id));
                }
                continue;
            }
            let mut peer = Peer::new(service.clone(), stream(service.id));
            let problems = self.store.problems(service.id, 4_096).await?;
            peer.troubled = problems.into_iter().map(|(path, _)| path).collect();
            let link = Link::new(self.bus.as_ref(), service.id, self.to_inputs.clone());
            self.peers.insert(service.id, (peer, link));
        }
        tracing::info!(services = world.services().len(), "the configuration is in force");
        let is_swept = self.sweep.is_none() && !rewind;
        if rewind {
            self.files = Files::load(self.store.as_ref()).await?;
        }
        self.world = world.ignoring(Ignoring::compile(self.files.published()));
        self.world.now_ns = clock::now_ns();
        let counts = self.store.counts().await?;
        self.unable.extend(counts.unable.keys());
        let before = std::mem::take(&mut self.quotas);
        self.quotas = Quotas::new(&self.world.registry, &counts).after(before);
        self.world.set_room(self.quotas.room());
        if is_swept || self.files.published().version == 0 {
            self.publish_ignoring().await?;
        }
        self.begin_sweep();
        Ok(())
    }

    fn take(&mut self, input: Input, arrived: &mut Vec<Arrived>) {
        match input {
            Input::Batch(service, batch) => {
                if let Some((peer, _)) = self.peers.get_mut(&service) {
                    peer.accept(batch, arrived);
                }
            }
            Input::Heartbeat(service, heartbeat) => {
                if let Some((peer, _)) = self.peers.get_mut(&service) {
                    peer.hear(&heartbeat);
                }
            }
            Input::Answered(service, reply) => {
                if let Some((peer, _)) = self.peers.get_mut(&service) {
                    peer.asking = false;
                    if let Reply::Taken { epoch, batches } = reply {
                        peer.answered(epoch);
                        for batch in batches {
                            peer.accept(batch, arrived);
                        }
                    }
                }
            }
        }
    }

    /// Plays and commits what arrived; answers the records as they are now.
    async fn play(
        &mut self,
        mut arrived: Vec<Arrived>,
    ) -> Result<BTreeMap<Path, Option<Record>>, StoreError> {
        let mut all = BTreeMap::new();
        for events in arrived.chunks_mut(ROUND_EVENTS_MAX) {
            let paths: Vec<Path> = round::paths_needed(events).into_iter().collect();
            let found = self.store.get(&paths).await?;
            let mut records: BTreeMap<_, _> = paths.into_iter().zip(found).collect();
            self.excuse(events, &records).await?;
            self.release(events);
            let before = if self.quotas.is_empty() { BTreeMap::new() } else { records.clone() };
            let ending: BTreeSet<u64> =
                events.iter().filter_map(|arrived| arrived.event.order()).collect();
            let mut round =
                round::play(&self.world, &mut records, events, clock::now_ms(), |path| {
                    self.is_in_flight(path, &ending)
                });
            self.note_problems(&records, &mut round);
            self.ages.note(round.changes_at_ns);
            self.commit(std::mem::take(&mut round.commits)).await?;
            self.note_sizes(&before, &records, &round.changed);
            let blocked = way::blocked(&round.ended);
            self.after_commit(&records, &round.changed, round.ended, round.released);
            all.extend(records);
            all.extend(self.make_way(blocked).await?);
        }
        Ok(all)
    }

    /// A directory that isn't empty yet, because what is in it has still to be removed, is no
    /// directory that somebody wants to keep: the order is tried again.
    async fn excuse(
        &self,
        events: &mut [Arrived],
        records: &BTreeMap<Path, Option<Record>>,
    ) -> Result<(), StoreError> {
        for arrived in events {
            let service = arrived.service;
            let Event::Failed { path, fault, .. } = &mut arrived.event else { continue };
            if fault.kind != FaultKind::NotEmpty {
                continue;
            }
            if let Some(Some(record)) = records.get(path)
                && self.world.need_of(path, Some(record), service) != Need::Evict
                && self.children(service, path, record).await? == Children::Going
            {
                fault.kind = FaultKind::Cancelled;
            }
        }
        Ok(())
    }

    /// Whether any driver has an order at `path` under way that isn't one of those just `ending`.
    fn is_in_flight(&self, path: &Path, ending: &BTreeSet<u64>) -> bool {
        let orders = self.peers.values().filter_map(|(peer, _)| peer.order_at(path));
        orders.into_iter().any(|order| !ending.contains(&order))
    }

    fn note_problems(
        &mut self,
        records: &BTreeMap<Path, Option<Record>>,
        round: &mut round::Round,
    ) {
        for ended in &round.ended {
            let record = records.get(&ended.path).and_then(Option::as_ref);
            let need = self.world.need_of(&ended.path, record, ended.service);
            let Some((peer, _)) = self.peers.get_mut(&ended.service) else { continue };
            let is_over = round::is_over(need, ended.fault.as_ref());
            let commit = round.commits.entry(Shard::of(&ended.path)).or_default();
            let shown = match &ended.fault {
                Some(fault) if !is_over && !round::stays(need, Some(fault)) => {
                    let failure = peer.failed(&ended.path, fault, need);
                    if need == Need::Place && !ended.changed {
                        let left = if failure.is_final { Need::Unable } else { need };
                        round::note_need(commit, ended.service, &ended.path, left);
                    }
                    failure.shown
                }
                _ => None,
            };
            let clears = is_over && peer.troubled.remove(&ended.path);
            if shown.is_some() || clears {
                if shown.is_some() && peer.troubled.len() < 65_536 {
                    peer.troubled.insert(ended.path.clone());
                }
                commit.problems.insert((ended.service, ended.path.clone()), shown);
            }
            if !need.is_work() && !ended.changed && !self.quotas.is_empty() {
                self.ask_others(ended.service, &ended.path, record, commit);
            }
        }
    }

    fn after_commit(
        &mut self,
        records: &BTreeMap<Path, Option<Record>>,
        changed: &BTreeSet<Path>,
        ended: Vec<Ended>,
        released: Vec<(ServiceId, Path)>,
    ) {
        for ended in ended {
            let record = records.get(&ended.path).and_then(Option::as_ref);
            let need = self.world.need_of(&ended.path, record, ended.service);
            let Some((peer, _)) = self.peers.get_mut(&ended.service) else { continue };
            peer.ended(ended.order);
            if !need.is_work() || round::stays(need, ended.fault.as_ref()) {
                peer.done(&ended.path);
                if record.is_some_and(round::is_buried) {
                    // It was kept for this order; looked at once more, it is forgotten.
                    peer.push(&ended.path);
                } else if !need.is_work() && ended.fault.is_some() && self.quotas.has(ended.service)
                {
                    // If that is for lack of room, there may soon be some again.
                    peer.wait(&ended.path, Duration::from_millis(100));
                }
            } else if ended.fault.is_none() && !ended.changed {
                // Nothing came of it and nothing failed: the order was out of date.
                peer.wait(&ended.path, Duration::from_millis(100));
            } else if ended.fault.is_none() {
                peer.push(&ended.path);
            }
        }
        for path in changed {
            let record = records.get(path).and_then(Option::as_ref);
            self.files.note(path, record);
            if record.is_some_and(|record| record.moved.is_some()) {
                self.fresh.insert(path.clone(), Instant::now() + Duration::from_secs(5));
            }
            if let Some(to) = record.filter(|record| record.gone).and_then(|r| r.moved.as_ref()) {
                for (peer, _) in self.peers.values_mut() {
                    peer.resume(to);
                }
            }
            let needs = self.world.needs(path, record);
            for (service, _) in needs.into_iter().filter(|(_, need)| need.is_work()) {
                if let Some((peer, _)) = self.peers.get_mut(&service) {
                    peer.push(path);
                }
            }
        }
        for (service, path) in released {
            let Some(parent) = path.parent().filter(|parent| !parent.is_root()) else { continue };
            let Some((peer, _)) = self.peers.get_mut(&service) else { continue };
            peer.wake(&parent);
            if self.world.may_evict() && !peer.waits_at(&parent) {
                // It may have been what kept its directory from leaving.
                peer.push(&parent);
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        self.peers.values().filter_map(|(peer, _)| peer.next_wake()).min()
    }

    fn let_go(&mut self) {
        for (peer, _) in self.peers.values_mut() {
            peer.let_go();
        }
    }
}

/// Whether a request is worth sending.
pub(crate) fn is_worth_sending(request: &Request) -> bool {
    match request {
        Request::Orders { acknowledged, replay, orders, cancel, .. } => {
            !(acknowledged.is_empty()
                && replay.is_empty()
                && orders.is_empty()
                && cancel.is_empty())
        }
        _ => true,
    }
}
