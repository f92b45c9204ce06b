//! Goes through all records once after the services or rules changed, and notes the work that a
//! new service or rule means. It only ever adds work; work that is needless is dropped when its
//! order would be computed. What is ignored is forgotten, and which ignore files there are is noted.

use std::collections::BTreeSet;

use onitu_core::store::{Cursor, Store, StoreError};
use onitu_core::{Path, Record, ServiceId, Shard};

use crate::ignoring::Files;
use crate::round::{Round, forget, note_change, note_need, tidy, unable_in};
use crate::world::World;

/// A sweep under way.
#[derive(Default)]
pub(crate) struct Sweep {
    pub(crate) cursor: Cursor,
    /// What was known of services that can't keep something is forgotten, and found out anew.
    pub(crate) is_begun: bool,
    /// Services that can't keep something.
    pub(crate) unable: BTreeSet<ServiceId>,
    /// When time alone asks something else of a path, in nanoseconds since the epoch.
    pub(crate) changes_at_ns: Option<i64>,
}

impl Sweep {
    /// Goes on by one page; whether there is more.
    pub(crate) async fn step(
        &mut self,
        world: &World,
        store: &dyn Store,
        files: &mut Files,
    ) -> Result<bool, StoreError> {
        if !self.is_begun {
            store.forget_unable().await?;
            self.is_begun = true;
        }
        let (directories, next) = store.directories(&self.cursor).await?;
        let listings = store.list(&directories).await?;
        let mut round = Round::default();
        for (directory, listing) in directories.iter().zip(listings) {
            for (name, record) in listing {
                let Ok(path) = directory.join(&name) else { continue };
                if world.ignores(&path, record.content.kind) {
                    forget(world, &path, &record, &mut round);
                } else {
                    files.note(&path, Some(&record));
                    note(world, &path, &record, &mut round);
                }
            }
        }
        self.changes_at_ns = self.changes_at_ns.into_iter().chain(round.changes_at_ns).min();
        self.unable.extend(round.commits.values().flat_map(unable_in));
        if !round.commits.is_empty() {
            store.commit(round.commits.into_iter().collect()).await?;
        }
        match next {
            Some(cursor) => {
                self.cursor = cursor;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn note(world: &World, path: &Path, record: &Record, round: &mut Round) {
    let wish = world.wish(path, record);
    round.changes_at_ns = round.changes_at_ns.into_iter().chain(wish.changes_at_ns).min();
    for (service, need) in world.needs_by(&wish, record) {
        let commit = round.commits.entry(Shard::of(path)).or_default();
        note_need(commit, service, path, need);
    }
    let after = tidy(world, path, record.clone());
    // A tombstone without holders was kept for an order that an earlier Referee gave; what lives
    // and nobody holds can't come back.
    let after = Some(after).filter(|after| !after.holders.is_empty());
    if after.as_ref() != Some(record) {
        note_change(world, path, Some(record), after.as_ref(), round);
    }
}
