//! The invariants (design §6), checked against what the services really hold.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use onitu_core::store::Store;
use onitu_core::{Kind, Path};
use onitu_driver_memory::{MemoryService, Thing};

use crate::house::House;
use crate::user::{Books, bytes_of};

/// I3: nothing stands under a user's name that no user ever wrote whole.
pub(crate) fn nothing_incomplete(house: &House, books: &Books) -> Result<()> {
    for (service, storage) in &house.services {
        for (path, thing) in storage.tree() {
            if let Some(bytes) = bytes_of(&thing) {
                let whole = books.was_written(&bytes);
                ensure!(whole, "I3: `{path}` on {} holds what nobody wrote", service.name);
            }
        }
    }
    Ok(())
}

/// I1: every content that nobody gave up is somewhere, byte for byte.
pub(crate) fn nothing_lost(house: &House, books: &Books) -> Result<()> {
    let mut there: Vec<Bytes> = Vec::new();
    for (_, storage) in &house.services {
        there.extend(storage.tree().values().filter_map(bytes_of));
    }
    for owed in books.owed() {
        let shown = String::from_utf8_lossy(&owed[..owed.len().min(24)]).into_owned();
        ensure!(there.contains(owed), "I1: lost for ever: `{shown}` ({} bytes)", owed.len());
    }
    Ok(())
}

/// What two services must have alike.
fn shape(storage: &MemoryService) -> BTreeMap<Path, (Kind, Option<Bytes>, bool)> {
    let tree = storage.tree().into_iter();
    tree.map(|(path, thing)| {
        let bytes = bytes_of(&thing);
        let shape = match thing {
            Thing::File { executable, .. } => (Kind::File, bytes, executable),
            Thing::Symlink { .. } => (Kind::Symlink, bytes, false),
            Thing::Directory | Thing::Strange => (Kind::Directory, None, false),
        };
        (path, shape)
    })
    .collect()
}

/// I2: every service holds the same tree.
pub(crate) fn all_alike(house: &House) -> Result<()> {
    let mut shapes = house.services.iter().map(|(service, storage)| (service, shape(storage)));
    let Some((first, wanted)) = shapes.next() else { return Ok(()) };
    for (service, held) in shapes {
        if held == wanted {
            continue;
        }
        let missing = wanted.keys().filter(|path| !held.contains_key(*path));
        let surplus = held.keys().filter(|path| !wanted.contains_key(*path));
        let differing = wanted.iter().filter(|(p, it)| held.get(*p).is_some_and(|h| h != *it));
        bail!(
            "I2: {} and {} differ: only the first has {:?}, only the second {:?}, unlike are {:?}",
            first.name,
            service.name,
            missing.collect::<Vec<_>>(),
            surplus.collect::<Vec<_>>(),
            differing.map(|(path, _)| path).collect::<Vec<_>>(),
        );
    }
    Ok(())
}

/// The records say of each service exactly what it holds, and the counts add up.
pub(crate) async fn records_are_true(house: &House) -> Result<()> {
    let records = house.store.snapshot();
    for (service, storage) in &house.services {
        for path in storage.tree().keys() {
            let current = records.get(path).is_some_and(|r| r.is_current_on(service.id));
            ensure!(current, "{} holds `{path}`, its record doesn't say so", service.name);
        }
        for (path, record) in &records {
            ensure!(!record.gone, "the tombstone of `{path}` was never buried: {record:?}");
            let there = storage.thing(path).is_some();
            let said = record.holder(service.id).is_some();
            ensure!(there == said, "`{path}` on {}: there {there}, said {said}", service.name);
            ensure!(record.moved.is_none(), "`{path}` keeps the hint of a rename");
        }
    }
    if house.wiped.get() {
        // A commit under way while the store was wiped is counted against what it had read before.
        return Ok(());
    }
    let counts = house.store.counts().await?;
    let entries = records.len() as u64;
    ensure!(counts.entries == entries, "{} counted, {entries} there", counts.entries);
    for (service, held) in &counts.held {
        let really = records.values().filter(|r| r.holder(*service).is_some()).count() as u64;
        ensure!(*held == really, "service {service}: {held} counted, {really} held");
    }
    Ok(())
}
