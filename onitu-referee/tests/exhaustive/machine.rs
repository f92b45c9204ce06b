//! What happens by itself: drivers look, tell and carry out orders, the Referee hears and orders.

use crate::decisions::Decisions;
use crate::state::{DIRECTORY, Item, Kinds, News, Scope, State, Task, Told, bit};

/// A step, by the service and the path it happens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The Referee hears the next news.
    Heard(usize, usize),
    /// A driver looks at a path that is another than it is known to be, and tells.
    Looked(usize, usize),
    /// It looks at both paths together and finds a rename.
    LookedAtBoth(usize),
    /// An order is carried out, or refused because of what stands there.
    CarriedOut(usize, usize),
    /// A pull failed: nobody has what was promised.
    Failed(usize, usize),
    /// As carried out; the content was fetched before its source changed.
    CarriedOutLate(usize, usize),
    /// The Referee sends an order.
    Ordered(usize, usize),
    /// The same once it no longer waits for the other half of a rename.
    OrderedAtLast(usize, usize),
    /// The record says that a service is to remove what it holds, before it is ordered to.
    Marked(usize, usize),
    /// A tombstone that nobody holds and no order may bring back is forgotten.
    Forgotten(usize),
    // What users and faults do.
    Wrote(usize, usize, u8),
    Deleted(usize, usize),
    MadeDirectory(usize, usize),
    Renamed(usize, usize),
    Crashed(usize),
    RefereeCrashed,
    Wiped,
}

/// The steps that are possible, in an order of precedence: whoever always takes the first is fair,
/// since each of these kinds runs out of things to do before the next has its turn.
pub(crate) fn steps(scope: &Scope, decisions: &mut Decisions, state: &State) -> Vec<(Step, State)> {
    let mut found = Vec::new();
    let spots = || (0..scope.paths).flat_map(|p| (0..scope.services).map(move |s| (s, p)));
    for (service, path) in spots() {
        found.extend(heard(decisions, state, service, path));
    }
    for service in 0..scope.services {
        look_at_both(scope, state, service, &mut found);
    }
    for (service, path) in spots() {
        look(scope, state, service, path, &mut found);
    }
    for path in 0..scope.paths {
        forget(state, path, &mut found);
    }
    for (service, path) in spots() {
        carry_out(scope, state, service, path, false, &mut found);
        carry_out(scope, state, service, path, true, &mut found);
    }
    for (fresh, step) in
        [(true, Step::Ordered as fn(_, _) -> _), (false, Step::OrderedAtLast as fn(_, _) -> _)]
    {
        for (service, path) in spots() {
            let Some(task) = order(decisions, state, service, path, fresh) else { continue };
            if !fresh && order(decisions, state, service, path, true) == Some(task) {
                continue;
            }
            let mut after = *state;
            let mut task = task;
            if let (Kinds::Evict, Some(rec)) = (task.kind, &mut after.records[path]) {
                // As `Departure` has it.
                match &mut rec.leaving[service] {
                    told @ 0 => {
                        *told = 1;
                        found.push((Step::Marked(service, path), after));
                        continue;
                    }
                    2 => task.kind = Kinds::Hash,
                    _ => {}
                }
            }
            let unheard = |at: usize| !state.spots[at][service].news.as_slice().is_empty();
            let renames = task.kind == Kinds::Rename;
            let outdated = unheard(path) || renames && unheard(1 - path);
            after.spots[path][service].task = Some(Task { outdated, ..task });
            found.push((step(service, path), after));
        }
    }
    found
}

fn heard(
    decisions: &mut Decisions,
    state: &State,
    service: usize,
    path: usize,
) -> Option<(Step, State)> {
    let mut after = *state;
    let news = after.spots[path][service].news.pop()?;
    let busy = state.is_in_flight(path);
    after.records[path] = decisions.play(path, state.records[path], service, news, busy);
    Some((Step::Heard(service, path), after))
}

fn forget(state: &State, path: usize, found: &mut Vec<(Step, State)>) {
    let Some(rec) = state.records[path] else { return };
    if rec.holders.iter().all(Option::is_none) && !state.is_in_flight(path) {
        let mut after = *state;
        after.records[path] = None;
        found.push((Step::Forgotten(path), after));
    }
}

/// Whether the runtime computes the checksum of what it looks at.
fn is_hashed(scope: &Scope, state: &State, service: usize, path: usize, item: Item) -> bool {
    let is_current = state.records[path].is_some_and(|rec| {
        let held = rec.holders[service];
        !rec.gone && held.is_some_and(|(revision, _)| revision == rec.revision)
    });
    item.class != DIRECTORY && (scope.hashed || is_current)
}

fn look(scope: &Scope, state: &State, service: usize, path: usize, found: &mut Vec<(Step, State)>) {
    let there = state.spots[path][service].disk;
    if state.known(path, service) == there {
        return;
    }
    let hashed = there.is_some_and(|item| is_hashed(scope, state, service, path, item));
    let mut after = *state;
    after.tell(path, service, News { item: there, hashed, ..News::default() });
    found.push((Step::Looked(service, path), after));
}

/// What is gone at one path and new at the other under the same tag was renamed.
fn look_at_both(scope: &Scope, state: &State, service: usize, found: &mut Vec<(Step, State)>) {
    for old in 0..scope.paths {
        let new = scope.paths - 1 - old;
        let Some(known) = state.known(old, service) else { continue };
        let is_renamed = old != new
            && known.class != DIRECTORY
            && state.spots[old][service].disk.is_none()
            && state.spots[new][service].disk == Some(known)
            && state.known(new, service) != Some(known);
        if !is_renamed {
            continue;
        }
        let rec = state.records[old].filter(|rec| {
            !rec.gone && rec.holders[service].is_some_and(|(held, _)| held == rec.revision)
        });
        let known_sum = rec.is_some_and(|rec| rec.content.hashed);
        let hashed = known_sum || is_hashed(scope, state, service, new, known);
        let mut after = *state;
        let seen = News { item: Some(known), hashed, moved: true, ..News::default() };
        after.tell(new, service, seen);
        after.tell(old, service, News { moved: true, ..News::default() });
        found.push((Step::LookedAtBoth(service), after));
    }
}

fn order(
    decisions: &mut Decisions,
    state: &State,
    service: usize,
    path: usize,
    fresh: bool,
) -> Option<Task> {
    let spot = &state.spots[path][service];
    let other = state.records.get(1 - path).copied().flatten();
    if spot.task.is_some() || spot.is_busy() {
        return None;
    }
    decisions.plan(path, state.records[path]?, other, service, fresh)
}

/// An order on its way to its end.
struct Carrier<'a> {
    state: &'a State,
    service: usize,
    path: usize,
    task: Task,
    is_stale: bool,
}

fn carry_out(
    scope: &Scope,
    state: &State,
    service: usize,
    path: usize,
    is_stale: bool,
    found: &mut Vec<(Step, State)>,
) {
    let spot = &state.spots[path][service];
    let Some(task) = (if is_stale { spot.stale } else { spot.task }) else { return };
    let carrier = Carrier { state, service, path, task, is_stale };
    let done = Step::CarriedOut(service, path);
    let there = state.spots[path][service].disk;
    if there.is_none() && task.expect.is_some() {
        // Whose doing that was isn't known: a look finds out.
        found.push((Step::Failed(service, path), carrier.without()));
        return;
    }
    if there != task.expect {
        // The truth is told instead.
        found.push((done, carrier.ended(there, |news| news.hashed = has_bytes(there))));
        return;
    }
    if scope.careful && task.outdated {
        found.push((Step::Failed(service, path), carrier.without()));
        return;
    }
    match task.kind {
        Kinds::Pull => carrier.pull(there, found),
        Kinds::MakeDirectory => {
            found.push((done, carrier.placed(DIRECTORY, 0)));
        }
        Kinds::Rename => found.push((done, carrier.rename())),
        Kinds::Remove | Kinds::Evict => found.push((done, carrier.ended(None, |_| {}))),
        Kinds::SetAside => found.push((done, carrier.set_aside(there))),
        Kinds::Hash => {
            found.push((done, carrier.ended(there, |news| news.hashed = has_bytes(there))));
        }
    }
}

fn has_bytes(there: Option<Item>) -> bool {
    there.is_some_and(|item| item.class != DIRECTORY)
}

impl Carrier<'_> {
    /// The order ends with `item` at the path, which is told.
    fn ended(&self, item: Option<Item>, describe: impl FnOnce(&mut News)) -> State {
        let mut after = *self.state;
        let spot = &mut after.spots[self.path][self.service];
        let mut news = News { item, ends: !self.is_stale, ..News::default() };
        describe(&mut news);
        spot.disk = item;
        *(if self.is_stale { &mut spot.stale } else { &mut spot.task }) = None;
        after.tell(self.path, self.service, news);
        after
    }

    fn without(&self) -> State {
        let mut after = *self.state;
        let spot = &mut after.spots[self.path][self.service];
        *(if self.is_stale { &mut spot.stale } else { &mut spot.task }) = None;
        after
    }

    fn placed(&self, class: u8, stamp: u8) -> State {
        let id = self.state.fresh_id(self.service);
        self.placed_item(Item { id, class, stamp })
    }

    fn placed_item(&self, item: Item) -> State {
        self.ended(Some(item), |news| {
            news.hashed = item.class != DIRECTORY;
            news.placed = self.task.revision;
        })
    }

    fn pull(&self, there: Option<Item>, found: &mut Vec<(Step, State)>) {
        let Told { class, stamp, hashed } = self.task.content;
        let done = Step::CarriedOut(self.service, self.path);
        if let Some(here) = there.filter(|here| hashed && here.class == class) {
            // The bytes are right already.
            let adjusted = if here.stamp == stamp {
                self.placed_item(here)
            } else {
                self.placed(class, stamp)
            };
            found.push((done, adjusted));
            return;
        }
        let promised: Vec<(usize, Item)> = self
            .task
            .sources
            .iter()
            .enumerate()
            .filter_map(|(source, item)| Some((source, (*item)?)))
            .filter(|(_, item)| !hashed || item.class == class)
            .collect();
        let kept = |(source, item): &&(usize, Item)| {
            self.state.spots[self.path][*source].disk == Some(*item)
        };
        if let Some((_, item)) = promised.iter().find(kept) {
            found.push((done, self.placed(item.class, stamp)));
            return;
        }
        found.push((Step::Failed(self.service, self.path), self.without()));
        for (_, item) in promised {
            let late = Step::CarriedOutLate(self.service, self.path);
            found.push((late, self.placed(item.class, stamp)));
        }
    }

    fn rename(&self) -> State {
        let old = 1 - self.path;
        let there = self.state.spots[old][self.service].disk;
        let Some(item) = there.filter(|item| Some(*item) == self.task.expect_from) else {
            return self.without();
        };
        let stamp = self.task.content.stamp;
        let mut after = if item.stamp == stamp {
            self.placed_item(item)
        } else {
            self.placed(item.class, stamp)
        };
        after.spots[old][self.service].disk = None;
        after.tell(old, self.service, News { moved: true, ..News::default() });
        after
    }

    fn set_aside(&self, there: Option<Item>) -> State {
        let Some(item) = there else { return self.ended(None, |_| {}) };
        assert_ne!(item.class, DIRECTORY, "a directory has no bytes to set aside");
        if item.class == self.task.unless {
            return self.ended(there, |news| news.hashed = true);
        }
        let mut after = self.ended(None, |_| {});
        after.kept |= bit(item.class);
        after
    }
}
