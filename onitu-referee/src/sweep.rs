//! Goes through all records once after the services or rules changed, and notes the work that a
//! new service or rule means. It only ever adds work; work that is needless is dropped when its
//! order would be computed.

use std::collections::BTreeMap;

use onitu_core::store::{Commit, Cursor, Store, StoreError};
use onitu_core::{Holder, Path, Record, Shard};

use crate::world::World;

/// A sweep under way.
#[derive(Default)]
pub(crate) struct Sweep {
    cursor: Cursor,
}

impl Sweep {
    /// Goes on by one page; whether there is more.
    pub(crate) async fn step(
        &mut self,
        world: &World,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let (directories, next) = store.directories(&self.cursor).await?;
        let listings = store.list(&directories).await?;
        let mut commits: BTreeMap<Shard, Commit> = BTreeMap::new();
        for (directory, listing) in directories.iter().zip(listings) {
            for (name, record) in listing {
                if let Ok(path) = directory.join(&name) {
                    note(world, path, record, &mut commits);
                }
            }
        }
        if !commits.is_empty() {
            store.commit(commits.into_iter().collect()).await?;
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

fn note(world: &World, path: Path, record: Record, commits: &mut BTreeMap<Shard, Commit>) {
    let shard = Shard::of(&path);
    for (service, _) in world.needs(&path, Some(&record)) {
        let commit = commits.entry(shard).or_default();
        commit.pending.insert((service, path.clone()), true);
    }
    // A tombstone waits for its holders only while they are configured, and one without any was
    // kept for an order that an earlier Referee gave.
    let is_gone = |held: &Holder| world.registry.by_id(held.service).is_none();
    if record.gone && (record.holders.is_empty() || record.holders.iter().any(is_gone)) {
        let mut after = record;
        let commit = commits.entry(shard).or_default();
        let removed =
            after.holders.extract_if(.., |held| world.registry.by_id(held.service).is_none());
        for holder in removed {
            *commit.counts.held.entry(holder.service).or_default() -= 1;
        }
        let after = (!after.holders.is_empty()).then_some(after);
        commit.records.insert(path, after);
    }
}
