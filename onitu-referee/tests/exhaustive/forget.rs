//! States that differ only in what can't matter any more are made one.
//!
//! Each of these keeps every future: from the two states the same steps lead to states that are again
//! the same after forgetting, and the checks say the same of both. `tests` looks at that state by state.
//!
//! - A content that was set aside is never lost again, so who wants it is forgotten.
//! - A driver that has told something since refuses an order whatever it asks (or tells what stands
//!   there, if that is something else): only what the order expects there is remembered.
//! - No state of a service comes back once another stands there, for each has an id of its own. So an
//!   order that expects one that is gone ends with telling the truth, whatever it asks; of a source of
//!   a pull only counts whether it still has what it promised, and of a record's holder whose state is
//!   neither on the disk nor told that it is none of those. With two paths a rename may bring a
//!   state back, so there all of this is remembered.
//! - When no user will do anything any more, nobody asks what was given up, and of the contents that
//!   were set aside only whether there are any; and an order that expects nothing where something
//!   stands is as good as one that expects what is gone, unless an older order may remove that.

use crate::state::{Item, Kinds, News, SERVICES_MAX, Scope, State, Task};

/// What stands nowhere and never will.
const NEVER: Item = Item { id: 0, class: 0, stamp: 0 };

/// Forgets what can't matter any more in `state`; `ends` says that no event follows.
pub(crate) fn forget(scope: &Scope, state: &mut State, ends: bool) {
    for path in 0..scope.paths {
        for service in 0..scope.services {
            tasks(scope, state, path, service, ends);
        }
        if scope.paths == 1 {
            holders(scope, state, path);
        }
        state.wanted[path] &= !state.kept;
        state.given_up[path] &= !state.kept;
        if ends {
            state.given_up[path] = 0;
        }
    }
    if ends {
        state.kept = state.kept.min(1);
    }
}

fn tasks(scope: &Scope, state: &mut State, path: usize, service: usize, ends: bool) {
    let disks: [Option<Item>; SERVICES_MAX] = std::array::from_fn(|at| state.spots[path][at].disk);
    let spot = &mut state.spots[path][service];
    // No order of an earlier Referee comes any more; beside one another may yet be given.
    let is_alone = spot.stale.is_none();
    for task in spot.task.iter_mut().chain(&mut spot.stale) {
        let (expect, there) = (task.expect, disks[service]);
        let is_final = expect.is_some() || ends && is_alone;
        if scope.paths == 1 && expect != there && is_final {
            *task = Task { expect: Some(NEVER), ..Task::default() };
        } else if scope.careful && task.outdated {
            *task = Task { expect, outdated: true, ..Task::default() };
        } else if scope.paths == 1 && task.kind == Kinds::Pull && task.content.hashed {
            sources(task, service, &disks);
        }
    }
}

/// Those who can serve; else whether anybody could, which nobody but the service itself, whose own
/// promise it can't be, stands for.
fn sources(task: &mut Task, service: usize, disks: &[Option<Item>; SERVICES_MAX]) {
    let class = task.content.class;
    let promised = task.sources.map(|item| item.filter(|item| item.class == class));
    let mut serving = promised;
    for (source, disk) in serving.iter_mut().zip(disks) {
        *source = source.filter(|item| Some(*item) == *disk);
    }
    if promised.iter().any(Option::is_some) && serving.iter().all(Option::is_none) {
        serving[service] = Some(Item { class, ..NEVER });
    }
    task.sources = serving;
}

fn holders(scope: &Scope, state: &mut State, path: usize) {
    let Some(rec) = &mut state.records[path] else { return };
    let spots = &state.spots[path][..scope.services];
    for (service, held) in rec.holders[..scope.services].iter_mut().enumerate() {
        let Some((revision, item)) = held else { continue };
        let is_told = |news: &News| news.item == Some(*item);
        let promised = spots.iter().any(|spot| {
            let tasks = spot.task.iter().chain(&spot.stale);
            tasks.into_iter().any(|task| task.sources[service] == Some(*item))
        });
        let spot = &spots[service];
        if spot.disk != Some(*item) && !spot.news.as_slice().iter().any(is_told) && !promised {
            // Who holds the present revision may be made the source of a pull, for its bytes.
            let is_source = *revision == rec.revision && !rec.gone;
            match (is_source, rec.content.hashed) {
                (true, true) => item.stamp = 0,
                (true, false) => {}
                (false, _) => (item.class, item.stamp) = (0, 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;
    use crate::canon::{short_text, state, text};
    use crate::decisions::Decisions;
    use crate::machine::steps;
    use crate::scopes::TWO;
    use crate::search::{begins, lost, show};
    use crate::user::events;

    struct Walk<'a> {
        scope: &'a Scope,
        decisions: Decisions,
        ends: bool,
        changed: usize,
    }

    impl Walk<'_> {
        fn following(&mut self, state: &State) -> Vec<State> {
            let steps = steps(self.scope, &mut self.decisions, state);
            let events = if self.ends { Vec::new() } else { events(self.scope, state) };
            steps.into_iter().chain(events).map(|(_, after)| after).collect()
        }

        fn forgotten(&self, state: &State) -> Vec<u8> {
            short_text(self.scope, state, self.ends)
        }

        /// What is remembered of `before` has the same future as `before`.
        fn compare(&mut self, before: &State, following: &[State]) {
            let written = self.forgotten(before);
            let after = state(self.scope, &written);
            self.changed += usize::from(written != text(self.scope, before));
            let all: BTreeSet<_> = following.iter().map(|it| self.forgotten(it)).collect();
            let same = self.following(&after);
            let same: BTreeSet<_> = same.iter().map(|it| self.forgotten(it)).collect();
            assert_eq!(all, same, "{}\n{}", show(self.scope, before), show(self.scope, &after));
            assert_eq!(lost(before), lost(&after), "{before:?}\n{after:?}");
            assert_eq!(written, self.forgotten(&after), "{before:?}\n{after:?}");
        }
    }

    /// Compares in each state that can be reached with `scope.events`.
    fn compare_all(scope: &Scope) -> (usize, usize) {
        let decisions = Decisions::new(scope);
        let mut walk = Walk { scope, decisions, ends: false, changed: 0 };
        let mut known = HashSet::new();
        let mut layer: Vec<State> = begins(scope, &mut walk.decisions);
        for count in 0..=scope.events {
            let mut beyond = Vec::new();
            while let Some(now) = layer.pop() {
                let written = text(scope, &now);
                if !known.insert(written.clone()) {
                    continue;
                }
                let now = state(scope, &written);
                let following = steps(scope, &mut walk.decisions, &now);
                let following: Vec<State> = following.into_iter().map(|(_, it)| it).collect();
                let made = events(scope, &now).into_iter().map(|(_, it)| it);
                layer.extend(&following);
                walk.ends = true;
                walk.compare(&now, &following);
                walk.ends = false;
                let all: Vec<State> = following.into_iter().chain(made.clone()).collect();
                walk.compare(&now, &all);
                if count < scope.events {
                    beyond.extend(made);
                }
            }
            layer = beyond;
        }
        (known.len(), walk.changed)
    }

    #[test]
    fn what_is_forgotten_changes_nothing_that_follows() {
        let three = Scope { services: 3, writers: 3, crashes: false, restarts: false, ..TWO };
        let scopes = [
            Scope { events: 3, ..TWO },
            Scope { events: 2, ..three },
            Scope { events: 2, wipes: true, ..TWO },
            Scope { events: 2, hashed: false, directories: true, touches: true, ..TWO },
            Scope { paths: 2, contents: 2, events: 2, crashes: false, ..TWO },
            Scope { events: 2, rules: Some("move \"*\" to service0"), targets: 1, ..TWO },
        ];
        for scope in scopes {
            let (states, changed) = compare_all(&scope);
            assert!(changed * 4 > states, "of {states} states {changed} forgot something");
        }
    }
}
