//! Where a path may be: the rules of this run and what they permit (I5).

use std::collections::BTreeSet;

use fastrand::Rng;
use onitu_core::rules::{Facts, Rules};
use onitu_core::store::Registry;
use onitu_core::{Path, Service};
use onitu_driver_memory::Thing;

use crate::books::Books;
use crate::house::House;

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
        lines.push(format!("sync {what} to {}", to.join(", ")));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A configuration that was in force: its services and rules.
pub(crate) struct Law {
    services: Vec<Service>,
    rules: Option<Rules>,
}

impl Law {
    pub(crate) fn of(registry: &Registry) -> Self {
        let services = registry.services.clone();
        let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
        let rules = match &registry.rules {
            None => Some(Rules::everywhere()),
            Some(text) => Rules::parse(text, &names).0,
        };
        Self { services, rules }
    }

    /// Whether the rules place the path on that service.
    pub(crate) fn targets(&self, path: &Path, service: &Service) -> bool {
        let facts = Facts::of_path(path, 0);
        let placed = self.rules.as_ref().map(|rules| rules.place(&facts, &self.services, &[]));
        placed.is_some_and(|placed| placed.targets.contains(&service.id))
    }
}

/// What each service may hold: what it held when all was at rest, what its own user put there,
/// what any configuration since then places there, and the directories of all that.
pub(crate) struct Permits {
    laws: Vec<Law>,
    held: Vec<BTreeSet<Path>>,
}

impl Permits {
    pub(crate) fn new(house: &House) -> Self {
        let held = house.members.iter().map(|_| BTreeSet::new()).collect();
        Self { laws: vec![Law::of(&house.registry)], held }
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
            if self.held[at].contains(&path) {
                continue;
            }
            let is_target = |path: &Path| self.laws.iter().any(|law| law.targets(path, service));
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
