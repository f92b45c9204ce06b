//! What holds when all faults have ended and nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use bytes::Bytes;
use onitu_core::store::Store;
use onitu_core::{Checksum, Kind, Mode, Path, Record, Tag};
use onitu_driver_memory::{Thing, Work};

use crate::books::bytes_of;
use crate::house::{House, Member};
use crate::permit::Law;
use crate::user::Tree;

/// All of it.
pub(crate) async fn at_rest(house: &House) -> Result<()> {
    let records = house.store.snapshot();
    let law = Law::of(&house.registry);
    for member in house.present_members() {
        let tree = member.storage.tree();
        for (path, record) in &records {
            if !house.is_out_of_reach(path) {
                as_recorded(member, &law, path, record, tree.get(path))?;
            }
        }
        nothing_unrecorded(member, &law, &records, &tree)?;
    }
    for (path, record) in &records {
        nothing_left_over(house, path, record)?;
    }
    all_alike(house, &records)?;
    counts_add_up(house, &records).await
}

/// I2: who holds the path holds what is recorded, and every target does.
fn as_recorded(
    member: &Member,
    law: &Law,
    path: &Path,
    record: &Record,
    thing: Option<&Thing>,
) -> Result<()> {
    let Member { service, storage, .. } = member;
    let name = &service.name;
    let held = record.holder(service.id);
    let is_backup = service.mode == Mode::Backup;
    // What only the user of a backup has, nobody else knows of.
    ensure!(
        thing.is_some() == held.is_some() || (is_backup && held.is_none()),
        "`{path}` on {name}: it is there: {}, it is recorded: {held:?}",
        thing.is_some()
    );
    if service.mode == Mode::Source && !record.is_current_on(service.id) {
        // A source isn't written to: it keeps what others have changed.
        return Ok(());
    }
    let wish = law.wish(path, record);
    let is_target = wish.targets.contains(&service.id) && !record.gone;
    let current = record.is_current_on(service.id);
    let may_be_behind = wish.forbids(service.id);
    let is_behind = !current && held.is_some() && !may_be_behind;
    ensure!(!is_behind, "I2: {name} is behind at `{path}`: {record:?}");
    let is_file = record.content.kind != Kind::Directory;
    let has_left = !wish.evicted.contains(&service.id) || !wish.is_kept_without(record, service.id);
    ensure!(
        !is_file || has_left || held.is_none(),
        "{name} should be without `{path}`: {record:?}"
    );
    ensure!(current || !is_target, "I2: {name} should hold `{path}`: {record:?}");
    let Some(thing) = thing.filter(|_| current) else { return Ok(()) };
    let wanted = record.content;
    let (kind, bit) = match thing {
        Thing::File { executable, .. } => (Kind::File, *executable),
        Thing::Symlink { .. } => (Kind::Symlink, false),
        Thing::Directory | Thing::Strange => (Kind::Directory, false),
    };
    ensure!(kind == wanted.kind, "I2: `{path}` on {name} is a {kind:?}: {record:?}");
    let bit_is_right = bit == wanted.executable || !storage.abilities().executable;
    ensure!(bit_is_right, "I2: `{path}` on {name} has another executable bit: {record:?}");
    let bytes = bytes_of(thing).unwrap_or_default();
    let sum = wanted.checksum.is_none_or(|sum| sum == Checksum::of(&bytes));
    let size = kind == Kind::Directory || wanted.size == bytes.len() as u64;
    ensure!(sum && size, "I2: `{path}` on {name} has other bytes: {record:?}");
    Ok(())
}

/// What a two-way service or a source holds is on record.
fn nothing_unrecorded(
    member: &Member,
    law: &Law,
    records: &BTreeMap<Path, Record>,
    tree: &Tree,
) -> Result<()> {
    let Member { service, .. } = member;
    let is_ours = |path: &&Path| service.mode != Mode::Backup && !law.excludes(path);
    for path in tree.keys().filter(is_ours) {
        let held = records.get(path).is_some_and(|r| r.holder(service.id).is_some());
        ensure!(held, "{} holds `{path}`, its record doesn't say so", service.name);
    }
    Ok(())
}

/// A tombstone waits only for those that can't be asked to remove: sources, and services that
/// aren't configured. The hint of a rename goes when it has served.
fn nothing_left_over(house: &House, path: &Path, record: &Record) -> Result<()> {
    let waits_for = |id| {
        let member = house.members.iter().find(|member| member.service.id == id);
        member.is_some_and(|it| !it.is_present || it.service.mode == Mode::Source)
    };
    let excused = record.holders.iter().any(|held| waits_for(held.service));
    ensure!(!record.gone || excused, "the tombstone of `{path}` was never buried: {record:?}");
    // Other rules may have taken the need away that it was kept for.
    let is_hint = record.moved.is_some() && !excused && house.registry.version == 1;
    ensure!(!is_hint, "`{path}` keeps the hint of a rename: {record:?}");
    Ok(())
}

/// I2: the current holders of a path have identical bytes, also where no checksum is recorded.
fn all_alike(house: &House, records: &BTreeMap<Path, Record>) -> Result<()> {
    for (path, record) in records {
        let mut seen: Option<(&str, Option<Bytes>)> = None;
        for member in house.present_members().filter(|it| record.is_current_on(it.service.id)) {
            let bytes = member.storage.thing(path).as_ref().and_then(bytes_of);
            let name = member.service.name.as_str();
            match &seen {
                None => seen = Some((name, bytes)),
                Some((first, wanted)) => {
                    ensure!(*wanted == bytes, "I2: {first} and {name} differ at `{path}`");
                }
            }
        }
    }
    Ok(())
}

async fn counts_add_up(house: &House, records: &BTreeMap<Path, Record>) -> Result<()> {
    if house.wiped.get() {
        // A commit under way while the store was wiped is counted against what it had read before.
        return Ok(());
    }
    let counts = house.store.counts().await?;
    let entries = records.values().filter(|record| !record.gone).count() as u64;
    ensure!(counts.entries == entries, "{} counted, {entries} there", counts.entries);
    for member in &house.members {
        let service = member.service.id;
        let held = counts.held.get(&service).copied().unwrap_or(0);
        let holds =
            |record: &&Record| record.holder(service).is_some_and(|held| held.tag != Tag::UNKNOWN);
        let really = records.values().filter(holds).count() as u64;
        ensure!(held == really, "service {service}: {held} counted, {really} held");
    }
    Ok(())
}

/// Whether a backup has something for itself at a recorded path. It gives way when the file comes;
/// while nobody can be reached who has the file, the first to tell of it may be a later scan.
fn is_in_the_way(house: &House, path: &Path, record: &Record) -> bool {
    let mut backups = house.present_members().filter(|it| it.service.mode == Mode::Backup);
    let kind = record.content.kind;
    backups.any(|it| {
        let held = record.holder(it.service.id).is_some();
        let thing = it.storage.thing(path);
        thing.is_some_and(|it| !held || kind == Kind::Directory && it != Thing::Directory)
    })
}

/// Everything that a second run must leave as it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Picture {
    records: BTreeMap<Path, Record>,
    services: Vec<(String, Tree, Work)>,
    /// Paths at which a backup has something for itself.
    in_the_way: BTreeSet<Path>,
    /// Paths at which work has to wait, and may be tried again at any time.
    out_of_reach: BTreeSet<Path>,
}

impl Picture {
    pub(crate) fn take(house: &House) -> Self {
        let services = house.members.iter().map(|member| {
            let mut work = member.storage.work();
            let never = house.registry.rules.as_ref().is_some_and(|it| it.contains("never"));
            if member.service.mode == Mode::Backup || never {
                // What is on no record is looked into by each scan.
                work.reads = 0;
            }
            (member.service.name.clone(), member.storage.tree(), work)
        });
        let services = services.collect();
        let records = house.store.snapshot();
        let ways = records.iter().filter(|(path, record)| is_in_the_way(house, path, record));
        let in_the_way = ways.map(|(path, _)| path.clone()).collect();
        // Each incarnation of a driver tries once to remove a directory that is to leave; what the
        // service has in it for itself stays, and with it the directory.
        let stays = |it: &Record| it.content.kind == Kind::Directory && !it.leaving.is_empty();
        let waits = |it: &(&Path, &Record)| house.is_out_of_reach(it.0) || stays(it.1);
        let out_of_reach = records.iter().filter(waits).map(|(path, _)| path.clone()).collect();
        Self { records, services, in_the_way, out_of_reach }
    }

    /// Whether a later try may change what is at the path: the work there waits, or what loses the
    /// name there gets this one.
    fn may_change(&self, path: &Path) -> bool {
        let waiting = || self.in_the_way.iter().chain(&self.out_of_reach);
        let name = path.as_str().split_once(" (conflict ").map(|(name, _)| name);
        waiting().any(|at| at == path)
            || name.is_some_and(|name| waiting().any(|at| at.as_str().starts_with(name)))
    }

    /// A second run writes nothing: no record, no byte, no order that opens or changes a file.
    pub(crate) fn is_still(&self, house: &House) -> Result<()> {
        let now = Self::take(house);
        for (path, record) in self.records.iter().filter(|it| !self.may_change(it.0)) {
            let after = now.records.get(path);
            ensure!(after == Some(record), "a second run made of `{path}`: {record:?}: {after:?}");
        }
        for (path, after) in now.records.iter().filter(|it| !self.may_change(it.0)) {
            ensure!(self.records.contains_key(path), "a second run recorded `{path}`: {after:?}");
        }
        // What can't be placed is tried again and again.
        let tries = !self.out_of_reach.is_empty();
        for (at, (name, tree, work)) in self.services.iter().enumerate() {
            let (_, tree_now, work_now) = &now.services[at];
            if !self.in_the_way.is_empty() && house.members[at].service.mode == Mode::Backup {
                continue;
            }
            for path in tree.keys().chain(tree_now.keys()).filter(|path| !self.may_change(path)) {
                let (before, after) = (tree.get(path), tree_now.get(path));
                ensure!(before == after, "a second run changed `{path}` on {name}: {after:?}");
            }
            ensure!(
                tries || work == work_now,
                "a second run worked on {name}: {work:?}: {work_now:?}"
            );
        }
        Ok(())
    }
}
