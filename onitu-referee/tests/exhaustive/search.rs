//! Breadth-first through every state, each checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hasher};

use onitu_core::Mode;

use crate::canon::{key, state, text};
use crate::decisions::Decisions;
use crate::machine::{Step, steps};
use crate::state::{Scope, State, bit};
use crate::user::events;

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// Different questions that the real decision answered.
    pub(crate) decisions: usize,
    /// States in which nothing is left to do.
    pub(crate) rests: usize,
    /// Those of them in which something was set aside.
    pub(crate) conflicts: usize,
    /// The first state that must not be, with the way to it.
    pub(crate) wrong: Option<String>,
}

/// Keys are as good as random already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are keys")
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A state that was reached.
struct Seen {
    key: u64,
    /// From which it was reached first.
    parent: u32,
    /// Where it goes by itself, if it is let; itself when it is at rest.
    next: u32,
    /// The least number of events that lead here.
    events: u8,
    expanded: bool,
}

struct Search<'a> {
    scope: &'a Scope,
    begins: &'a [State],
    decisions: Decisions,
    all: Vec<Seen>,
    known: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    found: Found,
}

/// Goes through all states that `scope` allows, from nothing at all and from one file in step.
pub(crate) fn search(scope: &Scope, allows: impl Fn(&State) -> bool) -> Found {
    let begins = begins(scope, &mut Decisions::new(scope));
    search_from(scope, &begins, allows)
}

/// The same from other beginnings.
pub(crate) fn search_from(
    scope: &Scope,
    begins: &[State],
    allows: impl Fn(&State) -> bool,
) -> Found {
    let decisions = Decisions::new(scope);
    let (all, known, found) = (Vec::new(), HashMap::default(), Found::default());
    let mut search = Search { scope, begins, decisions, all, known, found };
    let mut layer = Vec::new();
    for begin in begins {
        search.reach(begin, u32::MAX, 0, &mut layer);
    }
    for events in 0..=scope.events {
        let seeds = std::mem::take(&mut layer);
        if let Err(wrong) = search.layer(seeds, events as u8, &mut layer, &allows) {
            search.found.wrong = Some(wrong);
            break;
        }
    }
    if search.found.wrong.is_none() {
        search.found.wrong = search.restless();
    }
    search.found.states = search.all.len();
    search.found.decisions = search.decisions.count();
    search.found
}

/// Nothing anywhere; and one file that everybody has.
pub(crate) fn begins(scope: &Scope, decisions: &mut Decisions) -> Vec<State> {
    let nothing = State::default();
    let wrote = events(scope, &nothing).into_iter().next();
    let mut one = wrote.map_or(nothing, |(_, state)| state);
    while let Some((_, after)) = steps(scope, decisions, &one).into_iter().next() {
        one = after;
    }
    vec![nothing, one]
}

/// Whether a content that somebody wants stands nowhere.
pub(crate) fn lost(state: &State) -> bool {
    let mut there = state.kept;
    for spot in state.spots.iter().flatten() {
        there |= spot.disk.map_or(0, |item| bit(item.class));
    }
    state.wanted.iter().any(|wanted| wanted & !there != 0)
}

/// What must hold in every state.
pub(crate) fn check_state(scope: &Scope, state: &State) -> Result<(), String> {
    if lost(state) {
        return Err("a content is lost that nobody gave up".to_owned());
    }
    for rec in state.records.iter().flatten() {
        let is_current = |held: &Option<(u8, _)>| held.is_some_and(|(it, _)| it == rec.revision);
        let all_sync = scope.modes.iter().all(|mode| *mode == Mode::Sync);
        // Where rules remove things, it is kept until no order can bring it back.
        let must_live = all_sync && scope.rules.is_none() && !rec.gone;
        if must_live && !rec.holders.iter().any(is_current) {
            return Err(format!("a living path that nobody holds: {rec:?}"));
        }
        let is_newer = |held: &(u8, _)| held.0 > rec.revision;
        if rec.holders.iter().flatten().any(is_newer) {
            return Err(format!("a holder of a revision to come: {rec:?}"));
        }
    }
    Ok(())
}

/// What must hold when there is nothing left to do.
pub(crate) fn check_rest(
    scope: &Scope,
    decisions: &mut Decisions,
    state: &State,
    found: &mut Found,
) -> Result<(), String> {
    found.rests += 1;
    found.conflicts += usize::from(state.kept != 0);
    for path in 0..scope.paths {
        let spots = &state.spots[path][..scope.services];
        let written_to = |service: &usize| scope.modes[*service] != Mode::Source;
        let bytes = |service: usize| spots[service].disk.map(|item| item.class);
        let first = (0..scope.services).find(|it| !written_to(it)).unwrap_or(0);
        let targets = if scope.rules.is_some() { scope.targets } else { scope.services };
        if (0..targets).any(|service| bytes(service) != bytes(first)) {
            return Err("at rest, but not the same everywhere".to_owned());
        }
        if (targets..scope.services).any(|service| bytes(service).is_some()) {
            return Err("at rest, but where the rules don't have it".to_owned());
        }
        let Some(rec) = state.records[path] else { continue };
        if rec.gone {
            return Err("at rest with a tombstone".to_owned());
        }
        for (service, spot) in spots.iter().enumerate() {
            let held = rec.holders[service];
            if rec.leaving[service] > 0 {
                return Err(format!("at rest, but {service} is leaving: {rec:?}"));
            }
            if held != spot.disk.map(|item| (rec.revision, item)) {
                return Err(format!("at rest, but {service} isn't on record: {rec:?}"));
            }
            if !decisions.is_idle(path, rec, service) {
                return Err(format!("at rest, but {service} has work: {rec:?}"));
            }
        }
    }
    Ok(())
}

impl Search<'_> {
    /// Goes on from `seeds` by steps of the machine, leaving in `beyond` what one more event makes.
    fn layer(
        &mut self,
        seeds: Vec<Box<[u8]>>,
        events_before: u8,
        beyond: &mut Vec<Box<[u8]>>,
        allows: &impl Fn(&State) -> bool,
    ) -> Result<(), String> {
        let mut stack = seeds;
        while let Some(written) = stack.pop() {
            let at = self.known[&key(&written)];
            let seen = &mut self.all[at as usize];
            if seen.expanded || seen.events != events_before {
                continue;
            }
            seen.expanded = true;
            let now = state(self.scope, &written);
            check_state(self.scope, &now).map_err(|wrong| self.story(at, &wrong))?;
            if !allows(&now) {
                return Err(self.story(at, "a state that this search forbids"));
            }
            let steps = steps(self.scope, &mut self.decisions, &now);
            if steps.is_empty() {
                self.all[at as usize].next = at;
                check_rest(self.scope, &mut self.decisions, &now, &mut self.found)
                    .map_err(|wrong| self.story(at, &wrong))?;
            }
            self.found.transitions += steps.len();
            for (count, (_, after)) in steps.into_iter().enumerate() {
                let to = self.reach(&after, at, events_before, &mut stack);
                if count == 0 {
                    self.all[at as usize].next = to;
                }
            }
            if usize::from(events_before) < self.scope.events {
                let events = events(self.scope, &now);
                self.found.transitions += events.len();
                for (_, after) in events {
                    self.reach(&after, at, events_before + 1, beyond);
                }
            }
        }
        Ok(())
    }

    /// Notes that `after` can be reached from `parent`; it is left in `waiting` if that is news.
    fn reach(
        &mut self,
        after: &State,
        parent: u32,
        events: u8,
        waiting: &mut Vec<Box<[u8]>>,
    ) -> u32 {
        let text = text(self.scope, after);
        let key = key(&text);
        match self.known.entry(key) {
            Entry::Vacant(free) => {
                let at = u32::try_from(self.all.len()).expect("fewer states");
                free.insert(at);
                self.all.push(Seen { key, parent, next: u32::MAX, events, expanded: false });
                waiting.push(text.into());
                at
            }
            Entry::Occupied(known) => {
                let at = *known.get();
                let seen = &mut self.all[at as usize];
                if events < seen.events {
                    debug_assert!(!seen.expanded);
                    (seen.events, seen.parent) = (events, parent);
                    waiting.push(text.into());
                }
                at
            }
        }
    }

    /// A state from which the machine never comes to rest by itself.
    fn restless(&self) -> Option<String> {
        // 0: not yet looked at; else the number of the walk that came by.
        let mut walked = vec![0_u32; self.all.len()];
        for begin in 0..self.all.len() {
            let walk = begin as u32 + 1;
            let mut at = begin;
            while walked[at] == 0 {
                walked[at] = walk;
                at = self.all[at].next as usize;
            }
            if walked[at] == walk && self.all[at].next as usize != at {
                return Some(self.story(at as u32, "from here it never comes to rest"));
            }
        }
        None
    }

    /// The way to a state, in the names of its first state.
    fn story(&self, end: u32, wrong: &str) -> String {
        let mut way = vec![end];
        while let Some(parent) = way.last().map(|at| self.all[*at as usize].parent)
            && parent != u32::MAX
        {
            way.push(parent);
        }
        way.reverse();
        let mut decisions = Decisions::new(self.scope);
        let target = |at: &u32| self.all[*at as usize].key;
        let is = |state: &State, at: &u32| key(&text(self.scope, state)) == target(at);
        let begin = self.begins.iter().find(|it| is(it, &way[0]));
        let mut now = *begin.expect("a beginning");
        let mut told = format!("{wrong}\n");
        for at in &way[1..] {
            let next = steps(self.scope, &mut decisions, &now);
            let next = next.into_iter().chain(events(self.scope, &now));
            let (step, after) = next.into_iter().find(|(_, it)| is(it, at)).expect("a way");
            now = after;
            let _ = writeln!(told, "  {:<24} {}", name(step), show(self.scope, &now));
        }
        told
    }
}

fn name(step: Step) -> String {
    format!("{step:?}")
}

/// A state in a few words.
pub(crate) fn show(scope: &Scope, state: &State) -> String {
    let mut told = String::new();
    for path in 0..scope.paths {
        let _ = write!(told, "| ");
        for spot in &state.spots[path][..scope.services] {
            let disk = spot.disk.map_or("-".to_owned(), |it| format!("{}#{}", it.class, it.id));
            let news = spot.news.as_slice().len();
            let tasks = spot.task.iter().chain(&spot.stale);
            let tasks: Vec<_> = tasks.map(|task| format!("{:?}", task.kind)).collect();
            let _ = write!(told, "{disk}{} {}; ", "!".repeat(news), tasks.join("+"));
        }
        let _ = match state.records[path] {
            None => write!(told, "no record "),
            Some(rec) => {
                let held = rec.holders.iter().flatten();
                let held: Vec<_> =
                    held.map(|(it, item)| format!("{it}={}#{}", item.class, item.id)).collect();
                let gone = if rec.gone { "gone" } else { "lives" };
                write!(told, "{gone} {} {}: {} ", rec.revision, rec.content.class, held.join(" "))
            }
        };
    }
    let _ = write!(told, "| wanted {:?} kept {:b}", state.wanted, state.kept);
    told
}
