//! Where a path may be: the rules of this run and what they permit (I5).

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use onitu_core::conflict::original_path;
use onitu_core::ignore::Ignoring;
use onitu_core::rules::{Facts, Placement, Rules};
use onitu_core::store::{Counts, Registry};
use onitu_core::{InForce, Kind, Path, Record, Service, ServiceId, Wish, clock};
use onitu_driver_memory::Thing;

use crate::books::{Books, bytes_of};
use crate::house::{House, Member};
use crate::user::Tree;

const GLOBS: [&str; 9] =
    ["a/**", "b/**", "d/**", "*", "**/*.txt", "**/*.md", "**/b", "[a-c]*", "**/ü"];

/// Rules by chance; now and then none.
pub(crate) fn any_rules(names: &[String], rng: &mut Rng) -> Option<String> {
    let mut lines = Vec::new();
    for _ in 0..rng.usize(0..=3) {
        let mut to: Vec<&str> = names.iter().map(String::as_str).collect();
        rng.shuffle(&mut to);
        to.truncate(rng.usize(1..=names.len().max(1)));
        let what = match rng.usize(0..GLOBS.len() + 4) {
            at if at < GLOBS.len() => format!("\"{}\"", GLOBS[at]),
            _ => "everything".to_owned(),
        };
        let whom = to.join(", ");
        lines.push(match rng.u32(0..20) {
            0..2 => format!("keep {what} only on {whom}"),
            2..4 => format!("move {what} to {whom}"),
            4..6 => format!("keep {} copies of {what} on any of {whom}", rng.usize(2..=3)),
            6 => format!("never sync \"{}\"", GLOBS[rng.usize(0..GLOBS.len())]),
            _ => format!("sync {what} to {whom}"),
        });
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A configuration that was in force: its services and rules.
pub(crate) struct Law {
    services: Vec<Service>,
    rules: Option<Rules>,
    in_force: InForce,
    registry: Registry,
    /// What is ignored, and the room in quotas, where that is known.
    ignoring: Ignoring,
    counts: Counts,
}

impl Law {
    pub(crate) fn of(registry: &Registry) -> Self {
        let services = registry.services.clone();
        let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
        let rules = match &registry.rules {
            None => Some(Rules::everywhere()),
            Some(text) => Rules::parse(text, &names).0,
        };
        let (in_force, registry) = (InForce::new(registry), registry.clone());
        let (ignoring, counts) = <(Ignoring, Counts)>::default();
        Self { services, rules, in_force, registry, ignoring, counts }
    }

    /// What is in force now, while the services hold what `counts` says.
    pub(crate) fn with_room(house: &House, counts: &Counts) -> Self {
        let mut counts = counts.clone();
        // Who is behind may have more than is on record, until the update comes.
        for (path, record) in house.store.snapshot() {
            for member in house.present_members() {
                let id = member.service.id;
                let is_behind = record.holder(id).is_some() && !record.is_current_on(id);
                let held = member.storage.thing(&path).filter(|_| is_behind);
                let bytes = held.as_ref().and_then(bytes_of).map_or(0, |bytes| bytes.len() as u64);
                *counts.bytes.entry(id).or_default() += bytes.saturating_sub(record.content.size);
            }
        }
        Self { ignoring: house.ignoring(), counts, ..Self::of(&house.registry) }
    }

    fn room(&self) -> BTreeMap<ServiceId, u64> {
        self.registry.room(&self.counts)
    }

    /// Whether the quota of `service` keeps it from getting what is recorded.
    pub(crate) fn has_no_room(&self, path: &Path, record: &Record, service: &Service) -> bool {
        let quota = service.quota_bytes().filter(|_| !record.is_current_on(service.id));
        let Some(quota) = quota else { return false };
        let used = self.counts.bytes.get(&service.id).copied().unwrap_or(0);
        // What stands there is counted with its new size.
        let more = if record.holder(service.id).is_some() { 0 } else { record.content.size };
        !self.ignores(path, record.content.kind) && !record.gone && used + more > quota
    }

    /// Whether something of `kind` at the path is nobody's business.
    pub(crate) fn ignores(&self, path: &Path, kind: Kind) -> bool {
        self.ignoring.covers(path, kind)
    }

    /// What the rules want of a path with this record.
    pub(crate) fn wish(&self, path: &Path, record: &Record) -> Wish {
        let services = self.registry.with_room(path, record, &self.room());
        self.in_force.wish_among(&services, path, record, clock::now_ns())
    }

    /// Whether the rules keep everybody from the path.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.excludes(path))
    }

    /// Whether the rules may place the path on that service, whoever holds it now.
    fn may_place(&self, path: &Path, service: &Service) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|_| service.reaches(path)) else {
            return false;
        };
        [Kind::File, Kind::Directory].into_iter().any(|kind| {
            let facts = Facts { kind: Some(kind), ..Facts::of_path(path, 0) };
            let placed = self.placed(rules, &facts);
            let is_one_of = placed.copies.iter().any(|it| it.candidates.contains(&service.id));
            placed.targets.contains(&service.id) || is_one_of
        })
    }

    /// The copy of a conflict goes where the file goes whose name it lost, if that is restricted.
    fn placed(&self, rules: &Rules, facts: &Facts<'_>) -> Placement {
        let placed = rules.place(facts, &self.services, &[]);
        let original = original_path(facts.path)
            .map(|path| rules.place(&Facts { path: &path, ..*facts }, &self.services, &[]));
        let is_restricted = |it: &Placement| it.only.is_some() && !placed.excluded;
        original.filter(is_restricted).unwrap_or(placed)
    }

    /// Whether no byte of the path may ever come to that service.
    fn forbids(&self, path: &Path, service: &Service) -> bool {
        let Some(rules) = &self.rules else { return true };
        let placed = self.placed(rules, &Facts::of_path(path, 0));
        placed.excluded || placed.only.is_some_and(|only| !only.contains(&service.id))
    }
}

/// What each service may hold: what it held when all was at rest, what its own user put there,
/// what any configuration since then places there, and the directories of all that.
pub(crate) struct Permits {
    laws: Vec<Law>,
    held: Vec<BTreeSet<Path>>,
    /// What each service held when all was at rest, and what was begun there.
    at_rest: Vec<(Tree, BTreeSet<Path>)>,
}

impl Permits {
    pub(crate) fn new(house: &House) -> Self {
        let held = house.members.iter().map(|_| BTreeSet::new()).collect();
        let at_rest = house.members.iter().map(|_| Default::default()).collect();
        Self { laws: vec![Law::of(&house.registry)], held, at_rest }
    }

    /// A configuration came into force.
    pub(crate) fn add(&mut self, registry: &Registry) {
        self.laws.push(Law::of(registry));
    }

    /// All is at rest: only the last configuration counts from here on.
    pub(crate) fn rest(&mut self, house: &House) {
        self.laws.drain(..self.laws.len() - 1);
        for (held, member) in self.held.iter_mut().zip(&house.members) {
            *held = member.storage.tree().into_keys().collect();
            // What was begun before the rules changed may be lying there, invisible, until the end.
            held.extend(member.storage.half_written_paths());
        }
        let state = |member: &Member| {
            (member.storage.tree(), member.storage.half_written_paths().into_iter().collect())
        };
        self.at_rest = house.members.iter().map(state).collect();
    }

    /// The first path of which service number `at` got a byte although every law since the last
    /// rest keeps it from there, whatever it held before.
    pub(crate) fn first_received(
        &self,
        house: &House,
        books: &Books,
        at: usize,
        tree: &Tree,
    ) -> Option<Path> {
        let service = &house.members[at].service;
        let (before, begun) = &self.at_rest[at];
        let is_forbidden = |path: &Path| {
            let own_copy = path.as_str().contains(&format!(" (conflict {} ", service.name));
            !own_copy && self.laws.iter().all(|law| law.forbids(path, service))
        };
        let is_received = |path: &Path, thing: &Thing| {
            bytes_of(thing).is_some_and(|bytes| {
                let was_there = before.get(path).and_then(bytes_of).as_ref() == Some(&bytes);
                !was_there && !bytes.is_empty() && !books.has_put(at, path, &bytes)
            })
        };
        let received =
            tree.iter().find(|(path, thing)| is_received(path, thing) && is_forbidden(path));
        let half_written = house.members[at].storage.half_written_paths();
        let half =
            half_written.into_iter().find(|path| !begun.contains(path) && is_forbidden(path));
        received.map(|(path, _)| path.clone()).or(half)
    }

    /// The first path of those that service number `at` holds but may not.
    pub(crate) fn first_forbidden(
        &mut self,
        house: &House,
        books: &Books,
        at: usize,
        paths: impl Iterator<Item = Path>,
    ) -> Option<Path> {
        let service = &house.members[at].service;
        let own_copy = format!(" (conflict {} ", service.name);
        let mut unexplained = Vec::new();
        for path in paths {
            if self.held[at].contains(&path) || house.members[at].storage.is_virtual(&path) {
                continue;
            }
            let is_target = |path: &Path| self.laws.iter().any(|law| law.may_place(path, service));
            // What was placed in a directory may be gone from it again, all within one step.
            let thing = house.members[at].storage.thing(&path);
            let placed = is_target(&path)
                || thing == Some(Thing::Directory) && books.named_within(&path).any(is_target);
            if placed || books.was_put(at, &path) || path.as_str().contains(&own_copy) {
                let mut above = Some(path);
                while let Some(path) = above {
                    above = path.parent();
                    self.held[at].insert(path);
                }
            } else {
                unexplained.push(path);
            }
        }
        unexplained.into_iter().find(|path| !self.held[at].contains(path))
    }
}
