//! From waiting work to requests: orders are computed from the records at the moment they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onitu_core::message::{Order, Origin, Request};
use onitu_core::store::{Commit, StoreError};
use onitu_core::{Kind, Mode, Need, Path, Record, ServiceId, Shard};

use super::evict::Departure;
use super::{Referee, is_worth_sending};
use crate::decide::{Observed, Witness, decide};
use crate::order::{Children, Plan, Question, below, plan};
use crate::round::{Round, is_buried, note_change, note_need, revise};

/// Paths asked from the store at once.
const REFILL: usize = 2_048;
const WAIT: Duration = Duration::from_millis(200);

pub(super) type Records = BTreeMap<Path, Option<Record>>;

/// A path whose order is being computed, with what it depends on.
pub(super) struct Case {
    pub(super) path: Path,
    pub(super) record: Option<Record>,
    children: Children,
}

impl Referee {
    /// Sends every driver that can take it what it has to do, to send again, to forget.
    pub(super) async fn dispatch(&mut self, mut records: Records) -> Result<(), StoreError> {
        let services: Vec<ServiceId> = self.peers.keys().copied().collect();
        for service in services {
            let ready = |referee: &Self| {
                let peer = referee.peers.get(&service).map(|(peer, _)| peer);
                peer.is_some_and(|peer| !peer.asking && peer.is_alive())
            };
            if !ready(self) {
                continue;
            }
            let orders = self.orders(service, &mut records).await?;
            self.send(service, orders);
        }
        Ok(())
    }

    fn send(&mut self, service: ServiceId, orders: Vec<Order>) {
        let Some((peer, link)) = self.peers.get_mut(&service) else { return };
        let acknowledged = std::mem::take(&mut peer.acknowledge)
            .into_iter()
            .map(|shard| (shard, peer.stream.last[shard.index()]))
            .collect();
        let request = Request::Orders {
            epoch: peer.stream.epoch,
            acknowledged,
            replay: peer.gaps(),
            cancel: std::mem::take(&mut peer.overtaken),
            orders,
        };
        if !is_worth_sending(&request) {
            return;
        }
        if let Request::Orders { orders, .. } = &request {
            for order in orders {
                peer.sent(order);
            }
        }
        peer.asking = link.ask(request);
    }

    async fn orders(
        &mut self,
        service: ServiceId,
        records: &mut Records,
    ) -> Result<Vec<Order>, StoreError> {
        let cases = self.due(service, records).await?;
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let mut orders = Vec::new();
        let mut settled = Vec::new();
        let mut kept = Vec::new();
        let (mut held, mut leaving) = (Vec::new(), Vec::new());
        self.settle_room(service);
        for case in cases {
            let need = self.world.need_of(&case.path, case.record.as_ref(), service);
            let mut plan = self.plan_case(service, &case, need, records);
            if need == Need::Evict && matches!(plan, Plan::Do(_)) {
                match self.departure(service, &case) {
                    Departure::Now => {}
                    Departure::Noted => {
                        leaving.push(case.path);
                        continue;
                    }
                    Departure::Asked(question) => plan = Plan::Do(question),
                }
            }
            match plan {
                Plan::Nothing => {
                    // It may be due elsewhere, since there is room again or none any more.
                    if !self.quotas.is_empty() {
                        held.push((case.path.clone(), case.record, None));
                    }
                    settled.push((case.path, need));
                }
                Plan::Keep => kept.push(case.path),
                Plan::Wait(reason) => {
                    tracing::trace!(path = %case.path, reason, "work waits");
                    if let Some((peer, _)) = self.peers.get_mut(&service) {
                        peer.wait(&case.path, WAIT);
                    }
                }
                Plan::Do(action) => {
                    let record = case.record.as_ref();
                    if let Some(fault) = self.refuses(service, &case.path, record, &action) {
                        held.push((case.path, case.record, Some(fault)));
                        continue;
                    }
                    self.next_order += 1;
                    orders.push(Order { id: self.next_order, path: case.path, action });
                }
            }
        }
        self.note_leaving(service, leaving, records).await?;
        self.forget_settled(service, settled, records).await?;
        self.hold(service, held).await?;
        self.keep(service, kept, records).await?;
        Ok(orders)
    }

    /// The paths at which `service` may have work just now; `records` has what they depend on.
    async fn due(
        &mut self,
        service: ServiceId,
        records: &mut Records,
    ) -> Result<Vec<Case>, StoreError> {
        let Some((peer, _)) = self.peers.get_mut(&service) else { return Ok(Vec::new()) };
        if peer.wants_refill() {
            let paths = self.store.pending(service, REFILL).await?;
            peer.more = paths.len() >= REFILL;
            peer.refill(paths);
        }
        let paths = peer.take_queue();
        self.look_up(&paths, records).await?;
        let cases = self.cases(service, paths, records).await?;
        let hints: Vec<Path> = cases
            .iter()
            .filter_map(|case| case.record.as_ref().and_then(|record| record.moved.clone()))
            .collect();
        self.look_up(&hints, records).await?;
        Ok(cases)
    }

    /// Revives directories that were deleted while something was made in them.
    pub(super) async fn keep(
        &mut self,
        service: ServiceId,
        paths: Vec<Path>,
        records: &mut Records,
    ) -> Result<(), StoreError> {
        for path in paths {
            let before = records.get(&path).cloned().flatten();
            let mode = self.world.mode(service);
            let witness = Witness { service, mode, epoch: 0, is_evicted: false };
            let after = decide(before.as_ref(), &witness, &Observed::Occupied);
            let after = after
                .filter(|record| !is_buried(record) || self.is_in_flight(&path, &BTreeSet::new()));
            let round = revise(&self.world, &path, before.as_ref(), after.as_ref());
            self.commit(round.commits).await?;
            records.insert(path, after);
            self.after_commit(records, &round.changed, round.ended, round.released);
        }
        Ok(())
    }

    /// Adds the records of `paths` that aren't known in this turn yet.
    async fn look_up(&self, paths: &[Path], records: &mut Records) -> Result<(), StoreError> {
        let missing: Vec<Path> =
            paths.iter().filter(|path| !records.contains_key(*path)).cloned().collect();
        if !missing.is_empty() {
            let found = self.store.get(&missing).await?;
            records.extend(missing.into_iter().zip(found));
        }
        Ok(())
    }

    async fn cases(
        &self,
        service: ServiceId,
        paths: Vec<Path>,
        records: &Records,
    ) -> Result<Vec<Case>, StoreError> {
        let mut cases = Vec::new();
        for path in paths {
            let record = records.get(&path).cloned().flatten();
            let goes = record.as_ref().filter(|record| {
                record.content.kind == Kind::Directory
                    && self.world.need_of(&path, Some(record), service) == Need::Remove
            });
            // Whether a directory that shall go is empty must be asked each time.
            let children = match goes {
                Some(tombstone) => self.children(service, &path, tombstone).await?,
                None => self.held_in(service, &path, record.as_ref()).await?,
            };
            cases.push(Case { path, record, children });
        }
        Ok(cases)
    }

    pub(super) async fn children(
        &self,
        service: ServiceId,
        path: &Path,
        record: &Record,
    ) -> Result<Children, StoreError> {
        let mut listings = self.store.list(std::slice::from_ref(path)).await?;
        for child in listings.iter_mut().flat_map(BTreeMap::values_mut) {
            // What only a service has that isn't configured any more doesn't end by itself, and
            // that a backup's directory isn't recorded doesn't mean that there is none.
            child.holders.retain(|held| {
                let known = self.world.registry.by_id(held.service);
                held.service == service || known.is_some_and(|it| it.mode != Mode::Backup)
            });
        }
        Ok(below(service, record, listings.iter().flat_map(BTreeMap::values)))
    }

    fn plan_case(&self, service: ServiceId, case: &Case, need: Need, records: &Records) -> Plan {
        let Some(record) = &case.record else { return Plan::Nothing };
        let may_rename =
            self.peers.get(&service).is_none_or(|(peer, _)| peer.may_rename(&case.path));
        let hint = record.moved.as_ref().filter(|_| record.gone || may_rename);
        if need == Need::Evict && !self.can_be_left(&case.path, record) {
            return Plan::Wait("a service that should hold it is away");
        }
        let question = Question {
            path: &case.path,
            record,
            service,
            need,
            moved: hint.and_then(|path| records.get(path)?.as_ref()),
            children: case.children,
            fresh: self.fresh.contains_key(&case.path),
        };
        plan(&question, &self.sources(service, record))
    }

    /// Holders of the current revision whose drivers live, the least busy first.
    fn sources(&self, service: ServiceId, record: &Record) -> Vec<Origin> {
        let mut sources: Vec<(usize, Origin)> = record
            .current_holders()
            .filter(|holder| holder.service != service)
            .filter_map(|holder| {
                let (peer, _) = self.peers.get(&holder.service)?;
                let origin = Origin { service: holder.service, tag: holder.tag };
                peer.is_alive().then(|| (peer.load(), origin))
            })
            .collect();
        sources.sort_by_key(|(load, origin)| (*load, origin.service));
        sources.into_iter().map(|(_, origin)| origin).collect()
    }

    /// Takes what turned out to need nothing from the pending sets and the problems, and forgets
    /// what nobody holds and was kept for an order.
    async fn forget_settled(
        &mut self,
        service: ServiceId,
        paths: Vec<(Path, Need)>,
        records: &mut Records,
    ) -> Result<(), StoreError> {
        let buried: Vec<Path> = paths
            .iter()
            .map(|(path, _)| path)
            .filter(|path| records.get(*path).is_some_and(|r| r.as_ref().is_some_and(is_buried)))
            .filter(|path| !self.is_in_flight(path, &BTreeSet::new()))
            .cloned()
            .collect();
        let mut round = Round::default();
        for path in buried {
            // What lived and was taken away by orders alone still counts as an entry.
            let before = records.insert(path.clone(), None).flatten();
            note_change(&self.world, &path, before.as_ref(), None, &mut round);
        }
        let mut commits: BTreeMap<Shard, Commit> = round.commits;
        let Some((peer, _)) = self.peers.get_mut(&service) else { return Ok(()) };
        for (path, need) in paths {
            peer.done(&path);
            let commit = commits.entry(Shard::of(&path)).or_default();
            if peer.troubled.remove(&path) {
                commit.problems.insert((service, path.clone()), None);
            }
            let left = if need.is_work() { Need::Nothing } else { need };
            note_need(commit, service, &path, left);
        }
        if commits.is_empty() {
            return Ok(());
        }
        self.commit(commits).await
    }
}
