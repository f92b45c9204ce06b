//! What a set of rules says of one file.
//!
//! Each statement that matches adds to a tally by an operation whose order doesn't matter (union,
//! intersection); the tally as a whole then becomes a placement.

use super::Rules;
use super::condition::Condition;
use super::facts::Facts;
use super::statement::{Statement, Verb};
use crate::{Kind, Mode, Service, ServiceId};

/// Services that rules may name.
pub const NAMES_MAX: usize = 128;

/// A set of names: bit n stands for the n-th name of the rules.
type Names = u128;

/// What a set of rules says of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Who should hold it, ascending. Never a service that is only read ([`Mode::Source`]), never
    /// one outside `only`.
    pub targets: Vec<ServiceId>,
    /// If it is restricted, everybody who may ever receive it, ascending; maybe nobody.
    pub only: Option<Vec<ServiceId>>,
    /// If copies are to be removed: everybody whose copy stays, ascending. Each other copy goes,
    /// once every target holds the current content. Never there while a service that a statement
    /// names can't get the file, because it doesn't exist or is only read.
    pub stay: Option<Vec<ServiceId>>,
    /// `never sync`: not read, not touched anywhere. Everything else is then empty.
    pub excluded: bool,
    /// How many copies must be left among whom, whatever else is removed.
    pub copies: Vec<Copies>,
    /// The next instant, in nanoseconds since the epoch, at which its age alone may change this.
    pub changes_at_ns: Option<i64>,
}

/// What `keep N copies of … on any of …` promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// At least so many; no more than there are candidates.
    pub wanted: usize,
    /// Whose copies count, ascending.
    pub candidates: Vec<ServiceId>,
}

/// A statement, compiled.
#[derive(Debug, Clone)]
pub struct Law {
    verb: Verb,
    /// Cheapest first.
    condition: Option<Condition>,
    ages_ns: Vec<i64>,
    services: Names,
    /// Positions in the rules' names, in the order of the text.
    listed: Vec<usize>,
}

impl Law {
    /// Of a statement, all services of which are among `names`.
    pub fn of(statement: &Statement, names: &[String]) -> Self {
        let position = |named: &super::Named| names.binary_search(&named.name).ok();
        let listed: Vec<usize> = statement.services.iter().filter_map(position).collect();
        Self {
            verb: statement.verb,
            condition: statement.condition.as_ref().map(Condition::cheapest_first),
            ages_ns: statement.condition.as_ref().map(Condition::ages_ns).unwrap_or_default(),
            services: listed.iter().fold(0, |names, at| names | 1 << at),
            listed,
        }
    }
}

/// What the matching statements say together.
#[derive(Debug, Default)]
struct Tally {
    excluded: bool,
    sync: Names,
    moved: Option<Names>,
    only: Option<Names>,
    /// Named by any `only on`.
    kept: Names,
    copies: Vec<usize>,
    changes_at_ns: Option<i64>,
}

impl Tally {
    fn add(&mut self, index: usize, law: &Law, kind: Option<Kind>) {
        match law.verb {
            Verb::Never => self.excluded = true,
            Verb::Sync => self.sync |= law.services,
            // Directories aren't emptied of themselves: the next file to be moved comes there.
            Verb::Move if kind == Some(Kind::Directory) => self.sync |= law.services,
            Verb::Move => *self.moved.get_or_insert(0) |= law.services,
            Verb::Only => {
                *self.only.get_or_insert(Names::MAX) &= law.services;
                self.kept |= law.services;
            }
            Verb::Copies(_) if self.copies.contains(&index) => {}
            Verb::Copies(_) => self.copies.push(index),
        }
    }

    fn note_ages(&mut self, law: &Law, facts: &Facts<'_>) {
        let Some(mtime_ns) = facts.mtime_ns else { return };
        let instants = law.ages_ns.iter().map(|age_ns| mtime_ns.saturating_add(*age_ns));
        let next = instants.chain(self.changes_at_ns).filter(|at_ns| *at_ns > facts.now_ns).min();
        self.changes_at_ns = next;
    }

    fn says_nothing(&self) -> bool {
        self.sync == 0 && self.moved.is_none() && self.only.is_none() && self.copies.is_empty()
    }
}

impl Rules {
    /// Where what has these facts belongs. `holders` are all services that are on record for the
    /// path, with whatever revision of it: `keep N copies` prefers them. Deterministic; allocates
    /// nothing for a path that no statement matches.
    ///
    /// What several statements say of the same file: `never sync` beats all. `keep … only on` beats
    /// whatever would send it elsewhere; of several, only services in all of them may hold it.
    /// `move` beats `sync`. Else each adds its services.
    pub fn place(
        &self,
        facts: &Facts<'_>,
        services: &[Service],
        holders: &[ServiceId],
    ) -> Placement {
        if self.statements.is_empty() {
            return Placement {
                targets: ids(services, |it| it.mode != Mode::Source),
                ..Default::default()
            };
        }
        let mut tally = Tally::default();
        self.for_each_by_path(facts.path, |index| {
            let law = &self.laws[index];
            if !law.ages_ns.is_empty() && facts.kind != Some(Kind::Directory) {
                tally.note_ages(law, facts);
            }
            if law.condition.as_ref().is_none_or(|it| it.is_met(facts, services)) {
                tally.add(index, law, facts.kind);
            }
        });
        if tally.excluded {
            return Placement { excluded: true, ..Placement::default() };
        }
        if tally.says_nothing() {
            return Placement { changes_at_ns: tally.changes_at_ns, ..Placement::default() };
        }
        self.placement(&tally, services, holders)
    }

    fn placement(&self, tally: &Tally, services: &[Service], holders: &[ServiceId]) -> Placement {
        let allowed = tally.only.unwrap_or(Names::MAX);
        let wanted = (tally.moved.unwrap_or(tally.sync) | tally.kept) & allowed;
        let is_in = |names: Names, service: &Service| names & self.bit(service) != 0;
        let can_get = |service: &Service| service.mode != Mode::Source;
        let mut targets = ids(services, |it| can_get(it) && is_in(wanted, it));
        let mut copies = Vec::new();
        let mut chosen = Vec::new();
        for law in tally.copies.iter().map(|index| &self.laws[*index]) {
            let counted = law.services & allowed;
            let candidates = ids(services, |it| can_get(it) && is_in(counted, it));
            let Verb::Copies(number) = law.verb else { continue };
            let number = number.min(candidates.len());
            let mut ranked: Vec<_> = law
                .listed
                .iter()
                .filter_map(|at| services.iter().find(|it| it.name == self.names[*at]))
                .filter(|it| candidates.contains(&it.id))
                .collect();
            // Who gets it anyway, then who has it, then in the listed order (the sort is stable).
            ranked.sort_by_key(|it| {
                (!targets.contains(&it.id), !holders.contains(&it.id), it.paused)
            });
            chosen.extend(ranked.iter().take(number).map(|it| it.id));
            copies.push(Copies { wanted: number, candidates });
        }
        targets.append(&mut chosen);
        targets.sort_unstable();
        targets.dedup();
        let only = tally.only.map(|only| ids(services, |it| is_in(only, it)));
        let reached = services
            .iter()
            .filter(|it| targets.contains(&it.id) || !can_get(it) && holders.contains(&it.id))
            .fold(0, |names, it| names | self.bit(it));
        let promised = (tally.moved.unwrap_or(0) | tally.kept) & allowed;
        let is_reachable = promised & !reached == 0 && !targets.is_empty();
        let stay = match (&only, tally.moved) {
            _ if !is_reachable => None,
            (_, Some(_)) => Some(targets.clone()),
            (only, None) => only.clone(),
        };
        copies.sort_by(|a, b| (&a.candidates, a.wanted).cmp(&(&b.candidates, b.wanted)));
        let changes_at_ns = tally.changes_at_ns;
        Placement { targets, only, stay, excluded: false, copies, changes_at_ns }
    }

    /// The service's bit; nothing if no statement names it.
    fn bit(&self, service: &Service) -> Names {
        let at = self.names.iter().position(|name| *name == service.name);
        at.map_or(0, |at| 1 << at)
    }
}

/// The services for which `wanted` holds, ascending.
fn ids(services: &[Service], wanted: impl Fn(&Service) -> bool) -> Vec<ServiceId> {
    let mut found: Vec<ServiceId> =
        services.iter().filter(|service| wanted(service)).map(|service| service.id).collect();
    found.sort_unstable();
    found
}
