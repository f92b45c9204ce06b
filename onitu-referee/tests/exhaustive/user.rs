//! What users do and what goes wrong: each of these counts as an event.

use crate::machine::Step;
use crate::state::{DIRECTORY, Item, Scope, Spot, State, bit};

/// Everything that may happen to `state` from outside.
pub(crate) fn events(scope: &Scope, state: &State) -> Vec<(Step, State)> {
    let mut found = Vec::new();
    for path in 0..scope.paths {
        for service in 0..scope.writers {
            edits(scope, state, service, path, &mut found);
        }
    }
    if scope.crashes {
        found.extend((0..scope.services).filter_map(|service| crash(state, service)));
    }
    if scope.restarts {
        found.extend(restart(state).map(|after| (Step::RefereeCrashed, after)));
    }
    if scope.wipes {
        found.extend(wipe(state));
    }
    found
}

fn edits(
    scope: &Scope,
    state: &State,
    service: usize,
    path: usize,
    found: &mut Vec<(Step, State)>,
) {
    let there = state.spots[path][service].disk;
    let is_directory = there.is_some_and(|item| item.class == DIRECTORY);
    for class in (1..=scope.contents).filter(|_| !is_directory) {
        if scope.touches || there.is_none_or(|item| item.class != class) {
            let mut after = without(state, service, path);
            let (id, stamp) = (state.fresh_id(service), state.fresh_stamp());
            after.spots[path][service].disk = Some(Item { id, class, stamp });
            want(&mut after, state, service, path, class);
            found.push((Step::Wrote(service, path, class), after));
        }
    }
    if there.is_some() {
        found.push((Step::Deleted(service, path), without(state, service, path)));
    } else if scope.directories {
        let mut after = *state;
        let id = state.fresh_id(service);
        after.spots[path][service].disk = Some(Item { id, class: DIRECTORY, stamp: 0 });
        found.push((Step::MadeDirectory(service, path), after));
    }
    if let Some(item) = there.filter(|_| scope.paths > 1 && !is_directory) {
        let to = 1 - path;
        let replaced = state.spots[to][service].disk.map(|there| there.class);
        if replaced != Some(DIRECTORY) {
            let mut after = without(state, service, to);
            // Over the same bytes it is only the deletion of the one name.
            if replaced != Some(item.class) {
                want(&mut after, state, service, to, item.class);
            }
            after = without(&after, service, path);
            after.spots[to][service].disk = Some(item);
            found.push((Step::Renamed(service, path), after));
        }
    }
}

/// From now on somebody wants these bytes there; unless they are what others have given up, and who
/// writes them can't know it.
fn want(after: &mut State, before: &State, service: usize, path: usize, class: u8) {
    if after.given_up[path] & bit(class) == 0 || before.is_informed(path, service) {
        after.wanted[path] |= bit(class);
        after.given_up[path] &= !bit(class);
    }
}

/// Who deletes or replaces a content knows it: nobody has to keep these bytes any more.
fn without(state: &State, service: usize, path: usize) -> State {
    let mut after = *state;
    if let Some(item) = after.spots[path][service].disk.take() {
        after.wanted[path] &= !bit(item.class);
        after.given_up[path] |= bit(item.class);
    }
    after
}

/// What the driver had told and nobody heard is lost, and so are its orders; the next one finds by
/// a scan what differs from the record.
fn crash(state: &State, service: usize) -> Option<(Step, State)> {
    let mut after = *state;
    for spots in &mut after.spots {
        let disk = spots[service].disk;
        spots[service] = Spot { disk, ..Spot::default() };
    }
    for rec in after.records.iter_mut().flatten().filter(|rec| rec.leaving[service] == 1) {
        rec.leaving[service] = 2;
    }
    (after != *state).then_some((Step::Crashed(service), after))
}

/// The store is emptied. Every driver begins anew, but what it is carrying out goes on.
fn wipe(state: &State) -> Option<(Step, State)> {
    let mut after = restart(state).unwrap_or(*state);
    after.records = <[_; _]>::default();
    for spot in after.spots.iter_mut().flatten() {
        *spot = Spot { disk: spot.disk, stale: spot.stale, ..Spot::default() };
    }
    (after != *state).then_some((Step::Wiped, after))
}

/// A Referee begins that knows of no order. The drivers go on with those they have, at most two at
/// a path in this model.
fn restart(state: &State) -> Option<State> {
    let mut after = *state;
    for spot in after.spots.iter_mut().flatten() {
        if spot.stale.is_some() && spot.task.is_some() {
            return None;
        }
        spot.stale = spot.task.take().or(spot.stale);
        spot.news.as_mut_slice().iter_mut().for_each(|news| news.ends = false);
    }
    (after != *state).then_some(after)
}
