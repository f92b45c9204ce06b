//! States that are the same but for names: services, contents, tags, times and revisions are
//! interchangeable, so each state is written down with the names that give the smallest text.

use crate::forget::forget;
use crate::state::{
    DIRECTORY, Item, Kinds, News, PATHS_MAX, Rec, SERVICES_MAX, Scope, Spot, State, Task, Told, bit,
};

/// Passes over every name and number of a state, always in the same order.
trait Port {
    fn byte(&mut self, value: &mut u8);
    fn class(&mut self, value: &mut u8);
    fn stamp(&mut self, value: &mut u8);
    fn id(&mut self, service: usize, value: &mut u8);
    fn revision(&mut self, path: usize, value: &mut u8);

    fn flag(&mut self, value: &mut bool) {
        let mut byte = u8::from(*value);
        self.byte(&mut byte);
        *value = byte == 1;
    }

    /// Whether there is something; makes it where it is read.
    fn some<'a, T: Default>(&mut self, value: &'a mut Option<T>) -> Option<&'a mut T> {
        let mut is_some = value.is_some();
        self.flag(&mut is_some);
        if !is_some {
            return None;
        }
        Some(value.get_or_insert_with(T::default))
    }

    fn item(&mut self, service: usize, item: &mut Item) {
        self.id(service, &mut item.id);
        self.class(&mut item.class);
        self.stamp(&mut item.stamp);
    }

    fn maybe_item(&mut self, service: usize, item: &mut Option<Item>) {
        if let Some(item) = self.some(item) {
            self.item(service, item);
        }
    }

    fn told(&mut self, told: &mut Told) {
        self.class(&mut told.class);
        self.stamp(&mut told.stamp);
        self.flag(&mut told.hashed);
    }

    fn record(&mut self, path: usize, rec: &mut Rec, services: usize) {
        self.revision(path, &mut rec.revision);
        self.flag(&mut rec.gone);
        self.flag(&mut rec.moved);
        self.told(&mut rec.content);
        for (revision, class) in &mut rec.ancestors {
            self.revision(path, revision);
            if *revision == 0 {
                break;
            }
            self.class(class);
        }
        rec.leaving.iter_mut().take(services).for_each(|told| self.byte(told));
        for (service, held) in rec.holders.iter_mut().enumerate().take(services) {
            if let Some((revision, item)) = self.some(held) {
                self.revision(path, revision);
                self.item(service, item);
            }
        }
    }

    fn news(&mut self, path: usize, service: usize, news: &mut News) {
        self.maybe_item(service, &mut news.item);
        self.revision(path, &mut news.placed);
        let flags = [news.hashed, news.moved, news.ends];
        let mut bits = flags.iter().fold(0, |bits, flag| bits << 1 | u8::from(*flag));
        self.byte(&mut bits);
        [news.hashed, news.moved, news.ends] = [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0];
    }

    fn task(&mut self, path: usize, service: usize, task: &mut Task, services: usize) {
        let mut kind = task.kind as u8;
        self.byte(&mut kind);
        task.kind = Kinds::ALL[usize::from(kind)];
        self.revision(path, &mut task.revision);
        self.told(&mut task.content);
        self.maybe_item(service, &mut task.expect);
        if task.kind == Kinds::Rename {
            self.maybe_item(service, &mut task.expect_from);
        }
        if task.kind == Kinds::Pull {
            for (source, item) in task.sources.iter_mut().enumerate().take(services) {
                self.maybe_item(source, item);
            }
        }
        self.class(&mut task.unless);
        self.flag(&mut task.outdated);
    }

    fn spot(&mut self, path: usize, service: usize, spot: &mut Spot, services: usize) {
        self.maybe_item(service, &mut spot.disk);
        let mut count = spot.news.as_slice().len() as u8;
        self.byte(&mut count);
        while spot.news.as_slice().len() < usize::from(count) {
            spot.news.push(News::default());
        }
        for news in spot.news.as_mut_slice() {
            self.news(path, service, news);
        }
        for task in [&mut spot.task, &mut spot.stale] {
            if let Some(task) = self.some(task) {
                self.task(path, service, task, services);
            }
        }
    }

    fn state(&mut self, scope: &Scope, state: &mut State) {
        for path in 0..scope.paths {
            if let Some(rec) = self.some(&mut state.records[path]) {
                self.record(path, rec, scope.services);
            }
            for service in 0..scope.services {
                let spot = &mut state.spots[path][service];
                self.spot(path, service, spot, scope.services);
            }
        }
    }
}

/// Which revisions and contents a state speaks of.
#[derive(Default)]
struct Spoken {
    revisions: [u64; PATHS_MAX],
    classes: u8,
}

impl Port for Spoken {
    fn byte(&mut self, _: &mut u8) {}
    fn class(&mut self, value: &mut u8) {
        self.classes |= bit(*value);
    }
    fn stamp(&mut self, _: &mut u8) {}
    fn id(&mut self, _: usize, _: &mut u8) {}
    fn revision(&mut self, path: usize, value: &mut u8) {
        self.revisions[path] |= 1 << *value;
    }
}

/// New names in the order of their first use.
#[derive(Clone, Copy)]
struct Names {
    of: [u8; 64],
    last: u8,
}

impl Default for Names {
    fn default() -> Self {
        Self { of: [0; 64], last: 0 }
    }
}

impl Names {
    fn name(&mut self, value: u8) -> u8 {
        if value == 0 {
            return 0;
        }
        let name = &mut self.of[usize::from(value)];
        if *name == 0 {
            self.last += 1;
            *name = self.last;
        }
        *name
    }
}

struct Writer {
    text: Vec<u8>,
    classes: Names,
    stamps: Names,
    ids: [Names; SERVICES_MAX],
    revisions: [[u8; 64]; PATHS_MAX],
}

impl Port for Writer {
    fn byte(&mut self, value: &mut u8) {
        self.text.push(*value);
    }

    fn class(&mut self, value: &mut u8) {
        let name = if *value == DIRECTORY { DIRECTORY } else { self.classes.name(*value) };
        self.text.push(name);
    }

    fn stamp(&mut self, value: &mut u8) {
        self.text.push(self.stamps.name(*value));
    }

    fn id(&mut self, service: usize, value: &mut u8) {
        self.text.push(self.ids[service].name(*value));
    }

    fn revision(&mut self, path: usize, value: &mut u8) {
        self.text.push(self.revisions[path][usize::from(*value)]);
    }
}

struct Reader<'a>(std::slice::Iter<'a, u8>);

impl Reader<'_> {
    fn take(&mut self, value: &mut u8) {
        *value = *self.0.next().expect("as long as it was written");
    }
}

impl Port for Reader<'_> {
    fn byte(&mut self, value: &mut u8) {
        self.take(value);
    }
    fn class(&mut self, value: &mut u8) {
        self.take(value);
    }
    fn stamp(&mut self, value: &mut u8) {
        self.take(value);
    }
    fn id(&mut self, _: usize, value: &mut u8) {
        self.take(value);
    }
    fn revision(&mut self, _: usize, value: &mut u8) {
        self.take(value);
    }
}

/// The smallest text of `state`, with nothing forgotten but what was given up and nobody speaks of.
pub(crate) fn text(scope: &Scope, state: &State) -> Vec<u8> {
    let (mut state, mut shorter) = (*state, *state);
    forget(scope, &mut shorter, false);
    let Spoken { classes, .. } = spoken(scope, &mut shorter);
    state.given_up.iter_mut().for_each(|given_up| *given_up &= classes);
    let Spoken { revisions, .. } = spoken(scope, &mut state);
    smallest(scope, &mut state, revisions)
}

/// The smallest text of what has to be remembered of `state`; `ends` says that no event follows.
pub(crate) fn short_text(scope: &Scope, state: &State, ends: bool) -> Vec<u8> {
    let mut state = *state;
    forget(scope, &mut state, ends);
    let Spoken { revisions, classes } = spoken(scope, &mut state);
    state.given_up.iter_mut().for_each(|given_up| *given_up &= classes);
    smallest(scope, &mut state, revisions)
}

fn spoken(scope: &Scope, state: &mut State) -> Spoken {
    let mut spoken = Spoken::default();
    spoken.state(scope, state);
    spoken
}

fn smallest(scope: &Scope, state: &mut State, revisions: [u64; PATHS_MAX]) -> Vec<u8> {
    let revisions = revisions.map(|seen| ranks(seen, scope));
    let looks = std::array::from_fn(|service| look_of(state, service));
    let texts = orders(scope, looks);
    let texts = texts.map(|order| write(scope, &mut ordered(state, order), revisions));
    texts.min().expect("at least one order")
}

/// The state of a text.
pub(crate) fn state(scope: &Scope, text: &[u8]) -> State {
    let mut state = State::default();
    let mut reader = Reader(text.iter());
    reader.state(scope, &mut state);
    for fate in fates(&mut state) {
        reader.take(fate);
    }
    state
}

/// A number for a text that no other has.
pub(crate) fn key(text: &[u8]) -> u64 {
    let mut key = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in text.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        key = (key.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        key ^= key >> 29;
    }
    key = (key ^ text.len() as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key ^ key >> 32
}

/// Revisions are only compared, so only their order counts; for a rename also which follows
/// directly on which. After a loss of the store those under way may be ahead, so each counts.
fn ranks(seen: u64, scope: &Scope) -> [u8; 64] {
    let step_max = if scope.wipes { 64 } else { 2 };
    let mut ranks = [0; 64];
    let mut before = 0;
    for revision in (1..64).filter(|revision| seen >> revision & 1 == 1) {
        let step = (revision - before).min(step_max);
        ranks[revision] = ranks[before] + step as u8;
        before = revision;
    }
    ranks
}

fn write(scope: &Scope, state: &mut State, revisions: [[u8; 64]; PATHS_MAX]) -> Vec<u8> {
    let text = Vec::with_capacity(96);
    let (classes, stamps) = (Names::default(), Names::default());
    let ids = [Names::default(); SERVICES_MAX];
    let mut writer = Writer { text, classes, stamps, ids, revisions };
    writer.state(scope, state);
    // Contents that are only remembered come last, those with the same fate in any order.
    let all = fates(state).map(|fate| *fate);
    let mut classes: Vec<u8> = (1..=scope.contents).collect();
    classes.sort_by_key(|class| std::cmp::Reverse(all.map(|fate| fate >> class & 1)));
    for class in classes {
        writer.classes.name(class);
    }
    for fate in all {
        let named = (1..=scope.contents)
            .map(|class| (fate >> class & 1) << writer.classes.of[usize::from(class)]);
        // The bit of no content stands for any.
        writer.text.push(fate & 1 | named.sum::<u8>());
    }
    writer.text
}

/// What is remembered of contents, as sets.
fn fates(state: &mut State) -> [&mut u8; 5] {
    let ([a, b], [c, d]) = (&mut state.wanted, &mut state.given_up);
    [a, b, c, d, &mut state.kept]
}

/// The orders in which the services may be named: those of one kind change places, and stand in
/// the order of their looks.
fn orders(
    scope: &Scope,
    looks: [u64; SERVICES_MAX],
) -> impl Iterator<Item = [usize; SERVICES_MAX]> {
    let kind = |service: usize| {
        let is_target = scope.rules.is_some() && service < scope.targets;
        (scope.modes[service] as u8, service < scope.writers, is_target)
    };
    let inside = |service: usize| service < scope.services;
    let all = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let allowed = move |order: &[usize; SERVICES_MAX]| {
        let keeps_kinds = (0..SERVICES_MAX).all(|at| {
            inside(at) == inside(order[at]) && (!inside(at) || kind(at) == kind(order[at]))
        });
        let is_sorted = (1..scope.services)
            .all(|at| kind(at - 1) != kind(at) || looks[order[at - 1]] <= looks[order[at]]);
        keeps_kinds && is_sorted
    };
    all.into_iter().filter(allowed)
}

/// What a service looks like, whatever the names are.
fn look_of(state: &State, service: usize) -> u64 {
    let mut look = 0_u64;
    let mut see = |bits: u64| look = look.wrapping_mul(0x0100_0000_01b3) ^ bits;
    for path in 0..PATHS_MAX {
        let spot = &state.spots[path][service];
        see(u64::from(spot.disk.is_some()));
        for news in spot.news.as_slice() {
            see(u64::from(news.item.is_some()) | u64::from(news.placed > 0) << 1);
            see(u64::from(news.hashed) | u64::from(news.moved) << 1 | u64::from(news.ends) << 2);
        }
        for task in [spot.task, spot.stale] {
            see(task.map_or(0, |task| 1 + task.kind as u64 * 2 + u64::from(task.outdated)));
        }
        if let Some(rec) = state.records[path] {
            let held = rec.holders[service];
            see(held.map_or(0, |(held, _)| 1 + u64::from(held == rec.revision)));
            see(u64::from(held.is_some_and(|(_, item)| Some(item) == spot.disk)));
        }
    }
    look
}

fn ordered(state: &State, order: [usize; SERVICES_MAX]) -> State {
    let mut after = *state;
    for path in 0..PATHS_MAX {
        for at in 0..SERVICES_MAX {
            let mut spot = state.spots[path][order[at]];
            for task in spot.task.iter_mut().chain(&mut spot.stale) {
                task.sources = order.map(|service| task.sources[service]);
            }
            after.spots[path][at] = spot;
        }
        if let Some(rec) = &mut after.records[path] {
            rec.holders = order.map(|service| rec.holders[service]);
            rec.leaving = order.map(|service| rec.leaving[service]);
        }
    }
    after
}
