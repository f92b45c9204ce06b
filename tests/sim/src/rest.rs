//! What holds when all faults have ended and nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use bytes::Bytes;
use onitu_core::ignore::{FILE_BYTES_MAX, file_in, is_ignore_file};
use onitu_core::store::Store;
use onitu_core::{Checksum, Kind, Mode, Need, Path, Record, Tag, need};
use onitu_driver_memory::{Thing, Work};

use crate::books::bytes_of;
use crate::house::{House, Member};
use crate::permit::Law;
use crate::user::Tree;

/// All of it.
pub(crate) async fn at_rest(house: &House) -> Result<()> {
    let records = house.store.snapshot();
    let law = Law::with_room(house, &house.store.counts().await?);
    for member in house.present_members() {
        let tree = member.storage.tree();
        for (path, record) in &records {
            if !house.is_out_of_reach(path) {
                as_recorded(member, &law, path, record, tree.get(path))?;
            }
        }
        nothing_unrecorded(house, member, &law, &records)?;
    }
    published_is_recorded(house, &records)?;
    for (path, record) in &records {
        let is_ignored = law.ignores(path, record.content.kind);
        ensure!(!is_ignored, "`{path}` is ignored, and its record isn't forgotten: {record:?}");
        nothing_left_over(house, path, record)?;
    }
    all_alike(house, &records)?;
    unable_is_noted(house, &law, &records)?;
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
    // What is ignored as what it is, a directory say, is nobody's, also where a file is on record.
    let thing = thing.filter(|thing| !law.ignores(path, kind_of(thing)));
    let is_backup = service.mode == Mode::Backup;
    // Whether an order has brought it before the driver died is found out when there is room for it.
    let is_doubted =
        held.is_some_and(|held| held.tag == Tag::UNKNOWN) && law.has_no_room(path, record, service);
    // What only the user of a backup has, nobody else knows of.
    ensure!(
        thing.is_some() == held.is_some() || (is_backup && held.is_none()) || is_doubted,
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
    // What has no room stays as it was.
    // And what it can't keep.
    let has_no_room = law.has_no_room(path, record, service) || !member.keeps(record);
    let is_behind = !current && held.is_some() && !may_be_behind && !has_no_room;
    ensure!(!is_behind, "I2: {name} is behind at `{path}`: {record:?}");
    let is_file = record.content.kind != Kind::Directory;
    let has_left = !wish.evicted.contains(&service.id) || !wish.is_kept_without(record, service.id);
    ensure!(
        !is_file || has_left || held.is_none(),
        "{name} should be without `{path}`: {record:?}"
    );
    ensure!(current || !is_target || has_no_room, "I2: {name} should hold `{path}`: {record:?}");
    let Some(thing) = thing.filter(|_| current) else { return Ok(()) };
    let wanted = record.content;
    let kind = kind_of(thing);
    let bit = matches!(thing, Thing::File { executable: true, .. });
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
    house: &House,
    member: &Member,
    law: &Law,
    records: &BTreeMap<Path, Record>,
) -> Result<()> {
    let (service, tree) = (&member.service, member.storage.tree());
    let is_ours = |(path, thing): &(&Path, &Thing)| {
        let is_ignored = law.excludes(path) || law.ignores(path, kind_of(thing));
        service.mode != Mode::Backup && !is_ignored
    };
    let is_in_reach = |(path, _): &(&Path, &Thing)| !house.is_out_of_reach(path);
    for (path, _) in tree.iter().filter(is_ours).filter(is_in_reach) {
        let held = records.get(path).is_some_and(|r| r.holder(service.id).is_some());
        ensure!(held, "{} holds `{path}`, its record doesn't say so", service.name);
    }
    Ok(())
}

pub(crate) fn kind_of(thing: &Thing) -> Kind {
    match thing {
        Thing::File { .. } => Kind::File,
        Thing::Symlink { .. } => Kind::Symlink,
        Thing::Directory | Thing::Strange => Kind::Directory,
    }
}

/// What is published as ignored is what the ignore files on record say, and the rules.
fn published_is_recorded(house: &House, records: &BTreeMap<Path, Record>) -> Result<()> {
    let set = house.store.published().unwrap_or_default();
    ensure!(set.rules == house.registry.rules, "other rules are published: {set:?}");
    let usable = |(path, record): &(&Path, &Record)| {
        let is_file = !record.gone
            && record.content.kind == Kind::File
            && record.content.size <= FILE_BYTES_MAX;
        is_ignore_file(path) && is_file && !house.is_out_of_reach(path)
    };
    for (path, record) in records.iter().filter(usable) {
        let directory = path.parent().unwrap_or_else(Path::root);
        let said = set.files.get(&directory).map(|text| text.checksum);
        let is_said = record.content.checksum.is_none_or(|sum| said == Some(sum));
        ensure!(is_said, "`{path}` is recorded, and {said:?} is published: {record:?}");
    }
    for directory in set.files.keys() {
        let path = file_in(directory);
        let lives = records.get(&path).is_some_and(|record| !record.gone);
        ensure!(lives, "`{path}` is published, and there is none");
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
    let excused =
        record.holders.iter().any(|held| waits_for(held.service)) || house.is_out_of_reach(path);
    ensure!(!record.gone || excused, "the tombstone of `{path}` was never buried: {record:?}");
    // Other rules may have taken the need away that it was kept for.
    // And somebody has no room for it.
    let is_held =
        house.present_members().any(|it| it.service.quota_bytes().is_some() || !it.keeps(record));
    let is_hint = record.moved.is_some() && !excused && !is_held && house.registry.version == 1;
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

/// What is noted as not to be kept is what can't be: links where it is known that there are none,
/// and what was refused for good.
fn unable_is_noted(house: &House, law: &Law, records: &BTreeMap<Path, Record>) -> Result<()> {
    for Member { service, .. } in house.present_members() {
        if service.mode == Mode::Source {
            continue;
        }
        let noted = house.store.unable(service.id);
        for (path, record) in records {
            let (need, noted) =
                (need(record, service.id, &law.wish(path, record)), noted.contains(path));
            let is_right = match need {
                Need::Unable => noted,
                Need::Place => true,
                _ => !noted,
            };
            ensure!(is_right, "`{path}` on {}: {need:?}, noted as unable: {noted}", service.name);
        }
        let stale = noted.iter().find(|path| !records.contains_key(*path));
        ensure!(stale.is_none(), "{} can't keep {stale:?}, which is forgotten", service.name);
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

/// Whether a second run has left a record as it was. A directory with something ignored in it can't
/// be left by order; each driver is told once, and the note says which.
fn is_as_before(before: &Record, after: &Record) -> bool {
    let is_directory = before.content.kind == Kind::Directory;
    before == after
        || is_directory && Record { leaving: before.leaving.clone(), ..after.clone() } == *before
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
            let rereads = never || house.store.published().is_some_and(|it| !it.files.is_empty());
            if member.service.mode == Mode::Backup || rereads {
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
        // Whether an order has brought it, a scan may tell before there is room to give it again.
        let is_doubted = |it: &Record| it.holders.iter().any(|held| held.tag == Tag::UNKNOWN);
        // What was refused once is asked for again by everybody who begins anew.
        let is_refused = |it: &Record| house.present_members().any(|member| !member.keeps(it));
        let waits = |it: &(&Path, &Record)| {
            house.is_out_of_reach(it.0) || stays(it.1) || is_doubted(it.1) || is_refused(it.1)
        };
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
            let is_alike = after.is_some_and(|after| is_as_before(record, after));
            ensure!(is_alike, "a second run made of `{path}`: {record:?}: {after:?}");
        }
        for (path, after) in now.records.iter().filter(|it| !self.may_change(it.0)) {
            ensure!(self.records.contains_key(path), "a second run recorded `{path}`: {after:?}");
        }
        // What can't be placed is tried again and again.
        let tries = !self.out_of_reach.is_empty();
        // What a backup has in a file's way is compared with that, which its holder may have to read.
        let is_compared = !self.in_the_way.is_empty();
        let reads = |work: &Work| if is_compared { 0 } else { work.reads };
        let done = |work: &Work| Work { reads: reads(work), ..work.clone() };
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
                tries || done(work) == done(work_now),
                "a second run worked on {name}: {work:?}: {work_now:?}"
            );
        }
        Ok(())
    }
}
