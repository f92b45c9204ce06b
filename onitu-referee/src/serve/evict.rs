//! Removals that rules ask for: the note in the record first, long enough, then the order.

use std::collections::BTreeMap;

use onitu_core::message::Action;
use onitu_core::store::StoreError;
use onitu_core::{Kind, Need, Path, Record, ServiceId};

use super::Referee;
use super::dispatch::{Case, Records};
use crate::order::Children;
use crate::round::{Round, note_change};

/// How far a removal that the rules ask for is.
pub(super) enum Departure {
    /// The order may leave: the record says that the service is leaving, and has said so for long
    /// enough to be found there whatever happens to the store.
    Now,
    /// That has to be noted, or to rest.
    Noted,
    /// An earlier incarnation of the driver may have done it and not told. Whatever stands there now
    /// may be somebody else's, so this has to be answered before anything else is noted.
    Asked(Action),
}

impl Referee {
    /// How far the removal of what `service` holds is.
    pub(super) fn departure(&mut self, service: ServiceId, case: &Case) -> Departure {
        let Some((peer, _)) = self.peers.get_mut(&service) else { return Departure::Noted };
        let Some(record) = &case.record else { return Departure::Noted };
        match (record.leaving(service), record.holder(service)) {
            (Some(told), _) if told == peer.stream.epoch => {
                if peer.has_rested(&case.path) {
                    Departure::Now
                } else {
                    Departure::Noted
                }
            }
            (Some(_), Some(held)) if record.content.kind != Kind::Directory => {
                Departure::Asked(Action::Hash { expect: held.tag })
            }
            _ => Departure::Noted,
        }
    }

    /// Notes that the driver of `service`, as it lives now, is to remove what it holds at `paths`.
    pub(super) async fn note_leaving(
        &mut self,
        service: ServiceId,
        paths: Vec<Path>,
        records: &mut Records,
    ) -> Result<(), StoreError> {
        let Some((peer, _)) = self.peers.get_mut(&service) else { return Ok(()) };
        let epoch = peer.stream.epoch;
        let mut round = Round::default();
        for path in paths {
            let Some(before) = records.get(&path).cloned().flatten() else { continue };
            if before.leaving(service) == Some(epoch) {
                continue;
            }
            peer.mark(&path);
            let mut after = before.clone();
            after.set_leaving(service, epoch);
            note_change(&self.world, &path, Some(&before), Some(&after), &mut round);
            records.insert(path, Some(after));
        }
        // The note gives nobody else anything to do.
        for commit in round.commits.values_mut() {
            commit.pending.retain(|(who, _), _| *who == service);
        }
        if round.commits.is_empty() {
            return Ok(());
        }
        self.commit(round.commits).await
    }

    /// Whether every service that should hold `path` is there to be heard: what only a disk in a
    /// drawer has isn't left to it.
    pub(super) fn can_be_left(&self, path: &Path, record: &Record) -> bool {
        let is_there = |service| self.peers.get(service).is_some_and(|(peer, _)| peer.is_alive());
        self.world.wish(path, record).targets.iter().all(is_there)
    }

    /// Whether `service` holds anything in the directory that it is to leave.
    pub(super) async fn held_in(
        &self,
        service: ServiceId,
        path: &Path,
        record: Option<&Record>,
    ) -> Result<Children, StoreError> {
        let leaves = record.is_some_and(|record| {
            record.content.kind == Kind::Directory
                && self.world.need_of(path, Some(record), service) == Need::Evict
        });
        if !leaves {
            return Ok(Children::None);
        }
        let listings = self.store.list(std::slice::from_ref(path)).await?;
        let mut inside = listings.iter().flat_map(BTreeMap::values);
        let holds = inside.any(|child| child.holder(service).is_some());
        Ok(if holds { Children::Living } else { Children::None })
    }
}
