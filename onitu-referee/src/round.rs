//! Many events at once: from what drivers told to the transactions that commit it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use onitu_core::message::Event;
use onitu_core::store::{Commit, Conflict};
use onitu_core::{Fault, FaultKind, Kind, Mode, Need, Path, Record, ServiceId, Shard, Tag};

use crate::decide::{Observed, Witness, decide, doubt};
use crate::world::World;

/// An event whose turn has come: those before it, of its service and shard, are committed or in
/// the same round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Who told it.
    pub service: ServiceId,
    /// In which incarnation.
    pub epoch: u64,
    /// Its place in the service's stream of the shard.
    pub sequence: u64,
    /// What was told.
    pub event: Event,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Who carried it out.
    pub service: ServiceId,
    /// Where.
    pub path: Path,
    /// Which.
    pub order: u64,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
    /// Whether the record is another than before.
    pub changed: bool,
}

/// What a round comes to.
#[derive(Debug, Default)]
pub struct Round {
    /// One transaction for each shard that was touched.
    pub commits: BTreeMap<Shard, Commit>,
    /// Paths whose record changed.
    pub changed: BTreeSet<Path>,
    /// Orders that ended, in the order they were told.
    pub ended: Vec<Ended>,
    /// Services that no longer hold a path they held: their directories may be removable now.
    pub released: Vec<(ServiceId, Path)>,
    /// When time alone may next ask something else of a path that was touched, in nanoseconds since
    /// the epoch.
    pub changes_at_ns: Option<i64>,
}

/// The paths whose records [`play`] needs for `events`.
pub fn paths_needed(events: &[Arrived]) -> BTreeSet<Path> {
    let origin = |arrived: &Arrived| match &arrived.event {
        Event::Seen { moved_from, .. } => moved_from.clone(),
        _ => None,
    };
    let paths =
        events.iter().flat_map(|it| origin(it).into_iter().chain([it.event.path().clone()]));
    paths.collect()
}

/// Decides `events` one after the other over `records` (which hold an entry for each path of
/// [`paths_needed`], and hold the new records afterwards).
/// `in_flight` tells whether an order is under way at a path: a tombstone is kept as long.
pub fn play(
    world: &World,
    records: &mut BTreeMap<Path, Option<Record>>,
    events: &[Arrived],
    now_ms: u64,
    in_flight: impl Fn(&Path) -> bool,
) -> Round {
    let before: BTreeMap<Path, Option<Record>> = events
        .iter()
        .map(|arrived| arrived.event.path())
        .map(|path| (path.clone(), records.get(path).cloned().flatten()))
        .collect();
    let mut round = Round::default();
    for arrived in events {
        let committed = before.get(arrived.event.path()).and_then(Option::as_ref);
        play_one(world, records, arrived, committed, now_ms, &mut round);
    }
    for (path, before) in before {
        let after = records.get(&path).cloned().flatten().map(|r| tidy(world, &path, r));
        let after = after.filter(|record| !is_buried(record) || in_flight(&path));
        if before != after {
            note_change(world, &path, before.as_ref(), after.as_ref(), &mut round);
            round.changed.insert(path.clone());
        }
        records.insert(path, after);
    }
    for ended in &mut round.ended {
        ended.changed = round.changed.contains(&ended.path);
        // Other rules may have asked for it: then the change of the record says nothing of it.
        let record = records.get(&ended.path).and_then(Option::as_ref);
        let need = world.need_of(&ended.path, record, ended.service);
        if !need.is_work() || stays(need, ended.fault.as_ref()) {
            let commit = round.commits.entry(Shard::of(&ended.path)).or_default();
            let left = if need.is_work() { Need::Nothing } else { need };
            note_need(commit, ended.service, &ended.path, left);
        }
    }
    if world.may_evict() {
        // It may have been what kept its directory from leaving: that has to be looked at.
        for (service, path) in &round.released {
            if let Some(parent) = path.parent().filter(|parent| !parent.is_root()) {
                let commit = round.commits.entry(Shard::of(&parent)).or_default();
                commit.pending.insert((*service, parent), true);
            }
        }
    }
    round
}

/// Whether a directory could not be left because something is in it that nobody has told of: it
/// stays, and that is no trouble.
pub(crate) fn stays(need: Need, fault: Option<&Fault>) -> bool {
    need == Need::Evict && fault.is_some_and(|fault| fault.kind == FaultKind::NotEmpty)
}

/// Whether an order's end leaves no trouble behind. What failed where nothing is left to do is
/// nobody's trouble: what was found there may be the new truth.
pub(crate) fn is_over(need: Need, fault: Option<&Fault>) -> bool {
    !need.is_work() || fault.is_none()
}

/// A record changed for another reason than an event.
pub fn revise(
    world: &World,
    path: &Path,
    before: Option<&Record>,
    after: Option<&Record>,
) -> Round {
    let mut round = Round::default();
    if before != after {
        note_change(world, path, before, after, &mut round);
        round.changed.insert(path.clone());
    }
    round
}

fn play_one(
    world: &World,
    records: &mut BTreeMap<Path, Option<Record>>,
    arrived: &Arrived,
    committed: Option<&Record>,
    now_ms: u64,
    round: &mut Round,
) {
    let Arrived { service, event, .. } = arrived;
    let path = event.path();
    let commit = round.commits.entry(Shard::of(path)).or_default();
    commit.streams.insert(*service, (arrived.epoch, arrived.sequence));
    let record = records.get(path).cloned().flatten();
    let observed = if is_ignored(world, event, record.as_ref()) {
        None
    } else {
        let told = observation(world, arrived, now_ms, commit);
        told.or_else(|| never_came(event, *service, record.as_ref()))
    };
    let observed =
        observed.filter(|seen| !is_none_of_ours(world, *service, path, record.as_ref(), seen));
    if let Some(observed) = observed {
        let evicts = |record: &Record| world.wish(path, record).evicted.contains(service);
        let witness = Witness {
            service: *service,
            mode: world.mode(*service),
            epoch: arrived.epoch,
            is_evicted: record.as_ref().is_some_and(evicts),
        };
        let mut after = decide(record.as_ref(), &witness, &observed);
        inherit_origin(records, event, record.as_ref(), after.as_mut());
        // Orders leave between rounds: only what was committed can be under way.
        if let (Some(before), Some(after), Some(committed)) = (&record, &mut after, committed) {
            doubt(before, after, &world.awaited(path, committed));
        }
        let held = |r: &Option<Record>| r.as_ref().is_some_and(|r| r.holder(*service).is_some());
        if held(&record) && !held(&after) {
            round.released.push((*service, path.clone()));
        }
        tracing::trace!(%service, %path, ?after, "decided");
        records.insert(path.clone(), after);
    }
    if let Some(order) = event.order() {
        let fault = match event {
            Event::Failed { fault, .. } => Some(fault.clone()),
            _ => None,
        };
        let (service, path) = (*service, path.clone());
        round.ended.push(Ended { service, path, order, fault, changed: false });
    }
}

/// A file that was renamed was first seen where its former name was.
fn inherit_origin(
    records: &BTreeMap<Path, Option<Record>>,
    event: &Event,
    before: Option<&Record>,
    after: Option<&mut Record>,
) {
    let (Event::Seen { moved_from: Some(from), .. }, None, Some(after)) = (event, before, after)
    else {
        return;
    };
    let former = records.get(from).and_then(Option::as_ref);
    after.origin = former.and_then(|former| former.origin).or(after.origin);
}

/// Whether nothing that is told of the path counts. Its driver may not know yet.
fn is_ignored(world: &World, event: &Event, record: Option<&Record>) -> bool {
    let kind = match event {
        Event::Seen { state, .. } | Event::Restored { state, .. } => state.content.kind,
        _ => record.map_or(Kind::File, |record| record.content.kind),
    };
    world.ignores(event.path(), kind)
}

/// Whether what was deleted can't have come to the service that was to get it, because that can hold
/// no such name: then it has nothing to remove.
fn never_came(event: &Event, service: ServiceId, record: Option<&Record>) -> Option<Observed> {
    let Event::Failed { fault, .. } = event else { return None };
    let held = record.filter(|record| record.gone)?.holder(service)?;
    let is_out = fault.kind == FaultKind::InvalidName && held.tag == Tag::UNKNOWN;
    is_out.then_some(Observed::Removed)
}

/// What an event says of its path, if anything; what it says of conflicts is noted in `commit`.
fn observation(
    world: &World,
    arrived: &Arrived,
    now_ms: u64,
    commit: &mut Commit,
) -> Option<Observed> {
    let Arrived { service, event, .. } = arrived;
    let path = event.path();
    match event {
        Event::Seen { state, placed, moved_from, set_aside_from, .. } => {
            if let Some(wanted) = set_aside_from {
                let conflict = Conflict {
                    path: wanted.clone(),
                    kept: path.clone(),
                    service: *service,
                    at_ms: now_ms,
                };
                commit.conflicts.insert(path.clone(), Some(conflict));
            }
            // The copy of a conflict is never an earlier revision of what stood under that name;
            // and where the same bytes stood there already, they stand for both from now on.
            if set_aside_from.is_some() && world.mode(*service) != Mode::Backup {
                Some(Observed::Restored(*state))
            } else {
                let (state, placed, moved_from) = (*state, *placed, moved_from.clone());
                Some(Observed::Seen { state, placed, moved_from })
            }
        }
        Event::Restored { state, .. } => Some(Observed::Restored(*state)),
        Event::Gone { order: Some(_), .. } => Some(Observed::Removed),
        Event::Gone { moved_to, .. } => Some(Observed::Gone { moved_to: moved_to.clone() }),
        Event::Failed { fault, .. } if fault.kind == FaultKind::NotEmpty => {
            Some(Observed::Occupied)
        }
        Event::Failed { .. } => None,
        Event::Lost { .. } => Some(Observed::Lost),
        Event::Rotten { state, .. } => Some(Observed::Rotten(*state)),
        Event::Fetched { revision, content, .. } => {
            Some(Observed::Fetched { revision: *revision, content: *content })
        }
        Event::Resolved { .. } => {
            commit.conflicts.insert(path.clone(), None);
            None
        }
    }
}

/// Whether a backup has something for itself where the rules place nothing on it, and where it is
/// in nothing's way.
fn is_none_of_ours(
    world: &World,
    service: ServiceId,
    path: &Path,
    record: Option<&Record>,
    observed: &Observed,
) -> bool {
    let is_directory = |kind: Kind| kind == Kind::Directory;
    let Observed::Seen { state, .. } = observed else { return false };
    let is_in_the_way = |record: &Record| {
        !record.gone && is_directory(record.content.kind) && !is_directory(state.content.kind)
    };
    let is_target = || {
        let seen = Record::new(state.content);
        world.wish(path, record.unwrap_or(&seen)).targets.contains(&service)
    };
    world.mode(service) == Mode::Backup
        && record.is_none_or(|r| r.holder(service).is_none() && !is_in_the_way(r))
        && !is_target()
}

/// Whether nobody holds what is recorded or was deleted, so that only an order under way could bring
/// it back.
pub fn is_buried(record: &Record) -> bool {
    record.holders.is_empty()
}

/// Takes back what has served its purpose: the hint of a rename and the ancestors, once nobody is
/// behind, and of a tombstone the holders that aren't configured any more.
pub(crate) fn tidy(world: &World, path: &Path, mut record: Record) -> Record {
    if record.gone {
        record.holders.retain(|held| world.registry.by_id(held.service).is_some());
    }
    let is_more = record.moved.is_some() || !record.ancestors.is_empty();
    if is_more && !record.gone {
        let needs = world.needs(path, Some(&record));
        if !needs.iter().any(|(_, need)| need.is_work()) {
            record.moved = None;
        }
        // Who can't keep the present revision may still be found with an earlier one.
        if needs.is_empty() {
            record.ancestors.clear();
        }
    }
    if record.content.kind == Kind::Directory && !record.leaving.is_empty() {
        // Whether a directory is still there isn't asked: nothing but its name could be lost.
        let wish = world.wish(path, &record);
        let due = |who: &ServiceId| onitu_core::need(&record, *who, &wish) == Need::Evict;
        let still: Vec<ServiceId> = record.leaving.iter().map(|it| it.0).filter(due).collect();
        record.leaving.retain(|(who, _)| still.contains(who));
    }
    record
}

/// Adds to `round` that `path` is ignored from now on: what was known of it is forgotten, and with it
/// all that was to be done there. Nothing is removed anywhere.
pub(crate) fn forget(world: &World, path: &Path, record: &Record, round: &mut Round) {
    note_change(world, path, Some(record), None, round);
    let commit = round.commits.entry(Shard::of(path)).or_default();
    for service in world.services() {
        commit.pending.insert((service.id, path.clone()), false);
        commit.problems.insert((service.id, path.clone()), None);
    }
}

/// Adds to `commit` what `service` has to do at `path`, or can't.
pub(crate) fn note_need(commit: &mut Commit, service: ServiceId, path: &Path, need: Need) {
    commit.pending.insert((service, path.clone()), need.is_work());
    if need == Need::Unable {
        commit.unable.insert((service, path.clone()), true);
    }
}

/// The services that can't keep something, as `commit` says.
pub(crate) fn unable_in(commit: &Commit) -> impl Iterator<Item = ServiceId> + '_ {
    commit.unable.iter().filter(|(_, is_unable)| **is_unable).map(|((service, _), _)| *service)
}

/// Adds to `round` what it means that the record of `path` becomes `after`.
pub(crate) fn note_change(
    world: &World,
    path: &Path,
    before: Option<&Record>,
    after: Option<&Record>,
    round: &mut Round,
) {
    let commit = round.commits.entry(Shard::of(path)).or_default();
    commit.records.insert(path.clone(), after.cloned());
    let lives = |record: Option<&Record>| i64::from(record.is_some_and(|r| !r.gone));
    commit.counts.entries += lives(after) - lives(before);
    for (record, sign) in [(before, -1), (after, 1)] {
        let holders = record.iter().flat_map(|record| &record.holders);
        for holder in holders.filter(|holder| holder.tag != Tag::UNKNOWN) {
            *commit.counts.held.entry(holder.service).or_default() += sign;
            let bytes = record.map_or(0, |record| record.content.size);
            let bytes = sign * i64::try_from(bytes).unwrap_or(i64::MAX);
            *commit.counts.bytes.entry(holder.service).or_default() += bytes;
        }
    }
    let had = world.needs(path, before);
    let wish = after.map(|after| world.wish(path, after)).unwrap_or_default();
    let has = after.map(|after| world.needs_by(&wish, after)).unwrap_or_default();
    round.changes_at_ns = round.changes_at_ns.into_iter().chain(wish.changes_at_ns).min();
    let commit = round.commits.entry(Shard::of(path)).or_default();
    for (service, _) in &had {
        commit.pending.insert((*service, path.clone()), false);
    }
    for (service, need) in has {
        note_need(commit, service, path, need);
    }
    // Only what carries a conflict's name can be the copy of one.
    if after.is_none_or(|record| record.gone) && path.name().contains(" (conflict ") {
        commit.conflicts.insert(path.clone(), None);
    }
}

#[cfg(test)]
mod tests;
