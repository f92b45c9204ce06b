//! How far the searches go. `ONITU_EXHAUSTIVE=1` lets each of them go one event further, and so on,
//! `ONITU_EXHAUSTIVE_ALL=1` forgets nothing; `docs/testing.md` says what that takes.

use onitu_core::Mode;

use crate::layers::layers;
use crate::search::{Found, search};
use crate::state::{Scope, State};

/// Everything that users do to files and everything that crashes, on two services.
pub(crate) const TWO: Scope = Scope {
    services: 2,
    paths: 1,
    contents: 3,
    events: 4,
    writers: 2,
    modes: [Mode::Sync; 3],
    hashed: true,
    careful: true,
    touches: false,
    directories: false,
    crashes: true,
    restarts: true,
    wipes: false,
    rules: None,
    targets: 0,
};

/// Searches `scope`, tells how much there was, and fails with the way to the first state that must
/// not be. Fewer states than `states_min` are no proof.
fn holds(name: &str, scope: Scope, states_min: usize, allows: fn(&State) -> bool) {
    let further = std::env::var("ONITU_EXHAUSTIVE").ok().and_then(|it| it.parse().ok());
    let scope = Scope { events: scope.events + further.unwrap_or(0), ..scope };
    let forgets = std::env::var("ONITU_EXHAUSTIVE_ALL").is_err();
    let found = layers(&scope, forgets, allows);
    tell(name, &scope, &found);
    assert!(found.wrong.is_none(), "{scope:?}\n{}", found.wrong.unwrap_or_default());
    assert!(found.states >= states_min, "only {} states", found.states);
}

#[allow(clippy::print_stdout, reason = "how much was gone through is what the test has to say")]
fn tell(name: &str, scope: &Scope, found: &Found) {
    println!(
        "{name}: {} services, {} paths, {} contents, {} events: states {}, transitions {}, \
         decisions {}, at rest {} ({} with a conflict copy)",
        scope.services,
        scope.paths,
        scope.contents,
        scope.events,
        found.states,
        found.transitions,
        found.decisions,
        found.rests,
        found.conflicts
    );
}

fn whatever(_: &State) -> bool {
    true
}

fn no_conflict(state: &State) -> bool {
    state.kept == 0
}

#[test]
fn two_services() {
    holds("two services", TWO, 45_000, whatever);
}

#[test]
fn three_services() {
    let scope = Scope { services: 3, writers: 3, events: 3, ..TWO };
    holds("three services", scope, 40_000, whatever);
}

#[test]
fn three_services_whose_processes_live() {
    let scope = Scope { services: 3, writers: 3, crashes: false, restarts: false, ..TWO };
    holds("three services whose processes live", scope, 100_000, whatever);
}

#[test]
fn files_directories_and_saves_without_a_change() {
    let scope = Scope { touches: true, directories: true, ..TWO };
    holds("files, directories, saves without a change", scope, 110_000, whatever);
}

#[test]
fn contents_that_nobody_has_read_whole() {
    holds("unknown checksums", Scope { hashed: false, ..TWO }, 110_000, whatever);
}

#[test]
fn a_store_that_loses_everything() {
    holds("a lost store", Scope { wipes: true, ..TWO }, 80_000, whatever);
}

#[test]
fn files_that_are_moved_to_one_service_by_rules() {
    let rules = Some("move \"*\" to service0");
    let scope = Scope { rules, targets: 1, ..TWO };
    holds("moved", scope, 10_000, whatever);
    let scope = Scope { hashed: false, events: 3, ..scope };
    holds("moved, unknown checksums", scope, 10_000, whatever);
}

#[test]
fn files_that_only_some_services_may_hold() {
    let rules = Some("keep \"*\" only on service0, service1");
    let scope = Scope { services: 3, writers: 3, events: 3, rules, targets: 2, ..TWO };
    holds("kept on two of three", scope, 10_000, whatever);
}

#[test]
fn renames_of_files_that_are_moved_by_rules() {
    let rules = Some("move \"*\" to service0");
    let scope = Scope { paths: 2, events: 2, rules, targets: 1, ..TWO };
    holds("moved and renamed", scope, 4_500, whatever);
}

#[test]
fn renames_and_renames_that_cross() {
    holds("renames", Scope { paths: 2, events: 2, ..TWO }, 5_000, whatever);
    let scope = Scope { paths: 2, contents: 1, events: 3, ..TWO };
    holds("renames of one content", scope, 50_000, whatever);
}

#[test]
fn one_writer_with_any_number_of_crashes_never_makes_a_conflict() {
    let scope = Scope { writers: 1, events: 5, ..TWO };
    holds("one writer", scope, 100_000, no_conflict);
    let scope = Scope { services: 3, writers: 1, events: 3, ..TWO };
    holds("one writer and two readers", scope, 10_000, no_conflict);
}

#[test]
fn drivers_that_trust_a_tag_alone_are_caught() {
    let scope = Scope { paths: 2, events: 2, careful: false, ..TWO };
    for found in [search(&scope, whatever), layers(&scope, true, whatever)] {
        let wrong = found.wrong.expect("what was renamed back is removed");
        assert!(wrong.starts_with("a content is lost that nobody gave up"), "{wrong}");
        assert!(wrong.contains("Renamed") && wrong.contains("CarriedOut"), "{wrong}");
    }
}

#[test]
fn a_conflict_of_two_writers_is_seen_by_the_search() {
    let scope = Scope { events: 2, ..TWO };
    for found in [search(&scope, no_conflict), layers(&scope, true, no_conflict)] {
        let wrong = found.wrong.expect("a conflict");
        assert!(wrong.starts_with("a state that this search forbids"), "{wrong}");
        assert!(wrong.contains("Wrote"), "{wrong}");
    }
}

#[test]
fn the_search_with_little_memory_goes_everywhere_the_one_that_remembers_ways_does() {
    let three = Scope { services: 3, writers: 3, crashes: false, restarts: false, ..TWO };
    let scopes = [
        Scope { events: 3, ..TWO },
        Scope { events: 3, ..three },
        Scope { paths: 2, contents: 2, events: 2, ..TWO },
    ];
    for scope in scopes {
        let (one, other) = (search(&scope, whatever), layers(&scope, false, whatever));
        let counts = |it: &Found| (it.states, it.transitions, it.rests, it.conflicts);
        assert_eq!(counts(&one), counts(&other), "{scope:?}");
        let short = layers(&scope, true, whatever);
        assert!(short.wrong.is_none() && short.states < one.states, "{}", short.states);
    }
}
