//! Commits, and what they leave room for: services with a quota.

use std::collections::{BTreeMap, BTreeSet};

use onitu_core::message::{Action, Event};
use onitu_core::store::{Commit, CountsChange, StoreError};
use onitu_core::{Fault, Kind, Need, Path, Record, ServiceId, Shard};

use super::Referee;
use super::dispatch::Records;
use crate::round::{Arrived, unable_in};

impl Referee {
    /// Commits, and asks again for what waited for the room that this makes. Who was chosen for
    /// lack of it is looked at too: somebody else may be, now that it is there.
    pub(super) async fn commit(
        &mut self,
        mut commits: BTreeMap<Shard, Commit>,
    ) -> Result<(), StoreError> {
        for commit in commits.values_mut() {
            self.note_able(commit);
        }
        let mut change = CountsChange::default();
        for (service, bytes) in commits.values().flat_map(|commit| &commit.counts.bytes) {
            *change.bytes.entry(*service).or_default() += bytes;
        }
        let chosen = self.chosen(&commits);
        self.store.commit(commits.into_iter().collect()).await?;
        let free = self.quotas.apply(&change);
        self.tell_room(free);
        for (service, path) in chosen {
            if let Some((peer, _)) = self.peers.get_mut(&service) {
                peer.nudge(&path);
            }
        }
        Ok(())
    }

    /// Who has something to do by these commits, where that depends on who has room.
    fn chosen(&self, commits: &BTreeMap<Shard, Commit>) -> Vec<(ServiceId, Path)> {
        if self.quotas.is_empty() {
            return Vec::new();
        }
        let pending = commits.values().flat_map(|commit| &commit.pending);
        pending.filter(|(_, is_pending)| **is_pending).map(|(key, _)| key.clone()).collect()
    }

    /// What is pending or done anew can be kept, as far as anybody knows, unless the commit says
    /// otherwise.
    fn note_able(&mut self, commit: &mut Commit) {
        for key in commit.pending.keys().filter(|(service, _)| self.unable.contains(service)) {
            commit.unable.entry(key.clone()).or_insert(false);
        }
        self.unable.extend(unable_in(commit));
    }

    /// Notes who still has the larger content of before at the paths that changed.
    pub(super) fn note_sizes(
        &mut self,
        before: &Records,
        after: &Records,
        changed: &BTreeSet<Path>,
    ) {
        fn record<'a>(records: &'a Records, path: &Path) -> Option<&'a Record> {
            records.get(path).and_then(Option::as_ref)
        }
        if !self.quotas.is_empty() {
            for path in changed {
                let free = self.quotas.note(path, record(before, path), record(after, path));
                self.tell_room(free);
            }
        }
    }

    /// All records were gone through: what the store says counts.
    pub(super) async fn recount(&mut self) -> Result<(), StoreError> {
        // What is ignored now counts nowhere.
        self.quotas.forget(|path| self.world.ignores(path, Kind::File));
        let free = self.quotas.recount(&self.store.counts().await?);
        self.tell_room(free);
        Ok(())
    }

    fn tell_room(&mut self, free: Vec<(ServiceId, Path)>) {
        self.world.set_room(self.quotas.room());
        for (service, path) in free {
            if let Some((peer, _)) = self.peers.get_mut(&service) {
                peer.resume(&path);
                peer.push(&path);
            }
        }
    }

    /// Why the order must not leave: `service` has no room for what it brings. Else what it brings
    /// counts as held from now on.
    pub(super) fn refuses(
        &mut self,
        service: ServiceId,
        path: &Path,
        record: Option<&Record>,
        action: &Action,
    ) -> Option<Fault> {
        let Action::Pull { content, .. } = action else { return None };
        let holds = record.is_some_and(|record| record.holder(service).is_some());
        let refused = self.quotas.refuses(service, path, content.size, holds);
        if refused.is_none() {
            self.quotas.sent(service, path, content.size, holds);
        }
        self.world.set_room(self.quotas.room());
        refused
    }

    /// What failed orders were to bring takes no room any more: before it is asked what is due there,
    /// lest a service seem to have none for what is held for it alone.
    pub(super) fn release(&mut self, events: &[Arrived]) {
        if self.quotas.is_empty() {
            return;
        }
        for Arrived { service, event, .. } in events {
            let Event::Failed { path, order, .. } = event else { continue };
            let peer = self.peers.get(service).map(|(peer, _)| peer);
            if peer.is_some_and(|peer| peer.order_at(path) == Some(*order)) {
                self.quotas.failed(*service, path);
            }
        }
        self.world.set_room(self.quotas.room());
    }

    /// Only orders that are still under way at `service` take room.
    pub(super) fn settle_room(&mut self, service: ServiceId) {
        if let Some((peer, _)) = self.peers.get(&service).filter(|_| self.quotas.has(service)) {
            self.quotas.retain(service, |path| peer.order_at(path).is_some());
            self.world.set_room(self.quotas.room());
        }
    }

    /// What `service` doesn't get for lack of room, or that the rules place elsewhere because of
    /// that: the reason is told, and whoever is chosen instead is asked.
    pub(super) async fn hold(
        &mut self,
        service: ServiceId,
        held: Vec<(Path, Option<Record>, Option<Fault>)>,
    ) -> Result<(), StoreError> {
        if held.is_empty() {
            return Ok(());
        }
        let mut commits: BTreeMap<Shard, Commit> = BTreeMap::new();
        for (path, record, fault) in held {
            let commit = commits.entry(Shard::of(&path)).or_default();
            let is_settled = fault.is_none();
            if let Some(fault) = fault
                && let Some((peer, _)) = self.peers.get_mut(&service)
            {
                peer.failed(&path, &fault, Need::Place);
                if peer.troubled.len() < 65_536 {
                    peer.troubled.insert(path.clone());
                }
                commit.problems.insert((service, path.clone()), Some(fault));
            }
            // What it can do nothing about just now is no work of its own.
            if !is_settled && self.world.need_of(&path, record.as_ref(), service).is_work() {
                commit.pending.insert((service, path.clone()), true);
            }
            self.ask_others(service, &path, record.as_ref(), commit);
        }
        self.commit(commits).await
    }

    /// Adds to `commit` what the other services have to do at `path`, where `service` has no room
    /// for it or is no longer to get it: whoever is chosen instead has heard nothing of it by now.
    pub(super) fn ask_others(
        &mut self,
        service: ServiceId,
        path: &Path,
        record: Option<&Record>,
        commit: &mut Commit,
    ) {
        for (other, need) in self.world.needs(path, record) {
            let peer = self.peers.get_mut(&other).map(|(peer, _)| peer);
            // What was refused for good is in no hurry.
            let has_refused = peer.as_ref().is_some_and(|peer| peer.has_refused(path));
            if other == service || !need.is_work() || has_refused {
                continue;
            }
            commit.pending.insert((other, path.clone()), true);
            if let Some(peer) = peer {
                // The record is no other: who has no room either would send it back and forth.
                peer.nudge(path);
            }
        }
    }
}
