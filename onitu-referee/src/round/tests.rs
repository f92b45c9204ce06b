use std::collections::BTreeMap;

use onitu_core::store::Registry;
use onitu_core::{Checksum, Content, Holder, KEEPS_SYMLINKS, Kind, Mode, Service, State, Tag};

use super::*;

const A: ServiceId = ServiceId(1);
const B: ServiceId = ServiceId(2);

fn world() -> World {
    world_of(Mode::Sync, None)
}

/// `b` is used in this mode.
fn world_of(mode: Mode, rules: Option<&str>) -> World {
    let service = |id: ServiceId, name: &str, mode: Mode| Service {
        id,
        name: name.to_owned(),
        driver: "memory".to_owned(),
        mode,
        paused: false,
        options: BTreeMap::new(),
    };
    let services = vec![service(A, "a", Mode::Sync), service(B, "b", mode)];
    let rules = rules.map(str::to_owned);
    let approved = rules.iter().cloned().collect();
    World::new(Registry { version: 1, services, rules, approved, keeps_junk: false })
}

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

fn seen(at: &str, text: &str, tag: u8) -> Event {
    let content = Content {
        kind: Kind::File,
        size: text.len() as u64,
        mtime_ns: 1,
        executable: false,
        checksum: Some(Checksum::of(text.as_bytes())),
        media: None,
    };
    Event::Seen {
        path: path(at),
        state: State { content, tag: Tag([tag; 6]) },
        order: None,
        placed: None,
        moved_from: None,
        set_aside_from: None,
    }
}

fn gone(at: &str) -> Event {
    Event::Gone { path: path(at), order: None, moved_to: None }
}

fn arrived(service: ServiceId, sequence: u64, event: Event) -> Arrived {
    Arrived { service, epoch: 1, sequence, event }
}

fn play_from_nothing(events: &[Arrived]) -> (BTreeMap<Path, Option<Record>>, Round) {
    let mut records = paths_needed(events).into_iter().map(|path| (path, None)).collect();
    let round = play(&world(), &mut records, events, 7, |_| false);
    (records, round)
}

#[test]
fn a_new_file_is_recorded_counted_and_pending_in_one_commit() {
    let (_, round) = play_from_nothing(&[arrived(A, 1, seen("d/x", "x", 1))]);
    let commit = &round.commits[&Shard::of(&path("d/x"))];
    assert_eq!(commit.counts.entries, 1);
    assert_eq!(commit.counts.held, BTreeMap::from([(A, 1)]));
    assert_eq!(commit.pending, BTreeMap::from([((B, path("d/x")), true)]));
    assert_eq!(commit.streams, BTreeMap::from([(A, (1, 1))]));
    assert_eq!(commit.records[&path("d/x")].as_ref().map(|r| r.revision), Some(1));
}

#[test]
fn events_of_one_round_follow_each_other() {
    let gone = Event::Gone { path: path("d/x"), order: None, moved_to: None };
    let (records, round) = play_from_nothing(&[
        arrived(A, 1, seen("d/x", "x", 1)),
        arrived(A, 2, seen("d/x", "yy", 2)),
        arrived(A, 3, gone),
    ]);
    assert_eq!(records[&path("d/x")], None);
    let commit = &round.commits[&Shard::of(&path("d/x"))];
    assert_eq!(commit.streams, BTreeMap::from([(A, (1, 3))]));
    assert!(commit.records.is_empty() && commit.pending.is_empty());
}

#[test]
fn what_both_have_alike_is_no_work() {
    let (records, round) =
        play_from_nothing(&[arrived(A, 1, seen("x", "x", 1)), arrived(B, 1, seen("x", "x", 9))]);
    let commit = &round.commits[&Shard::of(&path("x"))];
    assert!(commit.pending.is_empty());
    assert_eq!(commit.counts.held, BTreeMap::from([(A, 1), (B, 1)]));
    assert_eq!(records[&path("x")].as_ref().map(|r| r.current_holders().count()), Some(2));
}

#[test]
fn a_copy_kept_in_a_conflict_is_listed_until_it_is_gone() {
    let kept = "x (conflict b 1a2b3c4)";
    let mut copy = seen(kept, "x", 1);
    if let Event::Seen { set_aside_from, .. } = &mut copy {
        *set_aside_from = Some(path("x"));
    }
    let (mut records, round) = play_from_nothing(&[arrived(B, 1, copy)]);
    let conflict = round.commits[&Shard::of(&path(kept))].conflicts[&path(kept)].clone();
    let conflict = conflict.expect("listed");
    assert_eq!((conflict.path, conflict.service, conflict.at_ms), (path("x"), B, 7));
    let gone = Event::Gone { path: path(kept), order: None, moved_to: None };
    let round = play(&world(), &mut records, &[arrived(B, 2, gone)], 8, |_| false);
    assert_eq!(round.commits[&Shard::of(&path(kept))].conflicts[&path(kept)], None);
}

#[test]
fn a_failed_order_changes_no_record() {
    let fault = Fault::new(FaultKind::Full, "no space");
    let failed = Event::Failed { path: path("x"), order: 5, fault: fault.clone() };
    let (_, round) = play_from_nothing(&[arrived(A, 1, seen("x", "x", 1)), arrived(B, 1, failed)]);
    let ended = &round.ended[0];
    assert_eq!((ended.order, ended.service, ended.fault.as_ref()), (5, B, Some(&fault)));
    assert_eq!(round.commits[&Shard::of(&path("x"))].streams[&B], (1, 1));
}

#[test]
fn the_hint_of_a_rename_is_dropped_when_everybody_has_the_file() {
    let mut new = seen("new", "x", 1);
    if let Event::Seen { moved_from, .. } = &mut new {
        *moved_from = Some(path("old"));
    }
    let (records, _) = play_from_nothing(&[arrived(A, 1, new.clone())]);
    assert_eq!(records[&path("new")].as_ref().and_then(|r| r.moved.clone()), Some(path("old")));
    let (records, _) = play_from_nothing(&[arrived(A, 1, new), arrived(B, 1, seen("new", "x", 2))]);
    assert_eq!(records[&path("new")].as_ref().and_then(|r| r.moved.clone()), None);
}

#[test]
fn the_same_events_make_the_same_commits() {
    let events: Vec<Arrived> = (1..50)
        .map(|n| arrived(A, n, seen(&format!("d{}/f{n}", n % 5), "x", u8::try_from(n).unwrap())))
        .collect();
    let first = format!("{:?}", play_from_nothing(&events).1);
    assert_eq!(first, format!("{:?}", play_from_nothing(&events).1));
}

#[test]
fn a_deletion_is_remembered_while_an_order_may_still_bring_the_file() {
    let gone = gone("x");
    let events = [arrived(A, 1, seen("x", "x", 1)), arrived(A, 2, gone)];
    let mut records = paths_needed(&events).into_iter().map(|path| (path, None)).collect();
    play(&world(), &mut records, &events, 7, |_| true);
    assert!(records[&path("x")].as_ref().is_some_and(is_buried));
    let mut late = seen("x", "x", 9);
    if let Event::Seen { placed, .. } = &mut late {
        *placed = Some(1);
    }
    let round = play(&world(), &mut records, &[arrived(B, 1, late)], 8, |_| false);
    let commit = &round.commits[&Shard::of(&path("x"))];
    assert_eq!(commit.pending, BTreeMap::from([((B, path("x")), true)]));
    assert!(records[&path("x")].as_ref().is_some_and(|record| record.gone));
}

#[test]
fn an_order_given_under_other_rules_leaves_nothing_pending() {
    let mut records = BTreeMap::from([(path("x"), None)]);
    let events = [arrived(A, 1, seen("x", "x", 1))];
    play(&world(), &mut records, &events, 7, |_| false);
    let mut pulled = seen("x", "x", 2);
    if let Event::Seen { order, placed, .. } = &mut pulled {
        (*order, *placed) = (Some(5), Some(1));
    }
    let only_a = world_of(Mode::Sync, Some("sync everything to a"));
    let round = play(&only_a, &mut records, &[arrived(B, 1, pulled)], 8, |_| false);
    let commit = &round.commits[&Shard::of(&path("x"))];
    assert_eq!(commit.pending.get(&(B, path("x"))), Some(&false));
}

#[test]
fn a_deletion_does_not_wait_for_a_service_that_is_not_configured_any_more() {
    let mut records = BTreeMap::from([(path("x"), None)]);
    let former = ServiceId(3);
    let events = [arrived(A, 1, seen("x", "x", 1)), arrived(former, 1, seen("x", "x", 2))];
    play(&world(), &mut records, &events, 7, |_| false);
    let gone = Event::Gone { path: path("x"), order: None, moved_to: None };
    let round = play(&world(), &mut records, &[arrived(A, 2, gone)], 8, |_| false);
    let after = records[&path("x")].as_ref().expect("b may have been given it");
    assert_eq!(after.holder(former), None);
    let commit = &round.commits[&Shard::of(&path("x"))];
    assert_eq!(commit.counts.held, BTreeMap::from([(A, -1), (former, -1)]));
}

#[test]
fn what_a_backup_has_for_itself_where_no_rule_places_anything_is_left_alone() {
    let world = world_of(Mode::Backup, Some("sync \"d/**\" to b"));
    let mut records = BTreeMap::from([(path("x"), None), (path("d/x"), None), (path("y"), None)]);
    let mut directory = seen("y", "", 3);
    if let Event::Seen { state, .. } = &mut directory {
        state.content = Content::DIRECTORY;
    }
    let events = [
        arrived(A, 1, seen("x", "x", 1)),
        arrived(A, 1, seen("d/x", "x", 2)),
        arrived(A, 2, directory),
        arrived(B, 1, seen("x", "other", 7)),
        arrived(B, 1, seen("d/x", "other", 8)),
        arrived(B, 2, seen("y", "in the way", 9)),
    ];
    play(&world, &mut records, &events, 7, |_| false);
    let held = |at: &str| records[&path(at)].as_ref().and_then(|record| record.holder(B));
    assert_eq!(held("x"), None);
    assert_eq!(held("d/x").map(|held| held.revision), Some(0), "it is set aside");
    assert_eq!(held("y").map(|held| held.revision), Some(0), "what is placed below needs its name");
}

#[test]
fn who_may_be_placing_what_is_deleted_is_asked_to_remove_it() {
    let mut records = BTreeMap::from([(path("x"), None)]);
    let created = [arrived(A, 1, seen("x", "x", 1))];
    play(&world(), &mut records, &created, 7, |_| false);
    let deleted = [arrived(A, 2, gone("x")), arrived(B, 1, seen("x", "x", 9))];
    let round = play(&world(), &mut records, &deleted, 7, |_| false);
    let record = records[&path("x")].as_ref().expect("a tombstone");
    assert!(record.gone, "the copy that was never told of brings nothing back");
    assert_eq!(record.holder(B).map(|held| held.tag), Some(Tag([9; 6])));
    let commit = &round.commits[&Shard::of(&path("x"))];
    assert_eq!(commit.pending.get(&(B, path("x"))), Some(&true));
}

#[test]
fn ancestors_are_kept_while_somebody_is_behind() {
    let mut records = BTreeMap::from([(path("x"), None)]);
    let edited = [arrived(A, 1, seen("x", "x", 1)), arrived(A, 2, seen("x", "yy", 2))];
    play(&world(), &mut records, &edited, 7, |_| false);
    assert_eq!(records[&path("x")].as_ref().expect("known").ancestors.len(), 1);
    play(&world(), &mut records, &[arrived(B, 1, seen("x", "yy", 3))], 7, |_| false);
    assert!(records[&path("x")].as_ref().expect("known").ancestors.is_empty());
}

#[test]
fn a_conflicts_copy_under_the_name_of_an_earlier_one_is_an_edit_there() {
    let mut records = BTreeMap::from([(path("x"), None)]);
    let told = [arrived(A, 1, seen("x", "x", 1)), arrived(B, 1, seen("x", "x", 2))];
    play(&world(), &mut records, &told, 7, |_| false);
    let mut copy = seen("x", "x", 1);
    if let Event::Seen { set_aside_from, .. } = &mut copy {
        *set_aside_from = Some(path("y"));
    }
    play(&world(), &mut records, &[arrived(A, 2, copy), arrived(B, 2, gone("x"))], 7, |_| false);
    let record = records[&path("x")].as_ref().expect("kept");
    assert!(!record.gone, "who deleted the one copy did not know of the other");
    assert_eq!(record.revision, 2);
}

#[test]
fn a_failure_that_settled_the_matter_is_no_trouble() {
    let occupied = Fault::new(FaultKind::NotEmpty, "the directory `d` still holds something");
    for (need, fault, over) in [
        (Need::Nothing, Some(&occupied), true),
        (Need::Nothing, None, true),
        (Need::Place, None, true),
        (Need::Place, Some(&occupied), false),
        (Need::Remove, Some(&occupied), false),
    ] {
        assert_eq!(is_over(need, fault), over, "{need:?} {fault:?}");
    }
}

#[test]
fn the_directory_of_what_has_left_is_looked_at_before_everything_counts_as_done() {
    let events = [arrived(A, 1, seen("d/x", "x", 1)), arrived(B, 1, seen("d/x", "x", 2))];
    let pending_of = |world: &World| {
        let mut records = paths_needed(&events).into_iter().map(|path| (path, None)).collect();
        play(world, &mut records, &events, 7, |_| false);
        let left = Event::Gone { path: path("d/x"), order: Some(5), moved_to: None };
        let round = play(world, &mut records, &[arrived(B, 2, left)], 8, |_| false);
        let commit = round.commits.get(&Shard::of(&path("d")));
        commit.and_then(|commit| commit.pending.get(&(B, path("d"))).copied())
    };
    let only_a = world_of(Mode::Sync, Some("sync everything to a\nkeep \"d/**\" only on a"));
    assert_eq!(pending_of(&only_a), Some(true));
    assert_eq!(pending_of(&world()), None, "no directory ever leaves");
}

/// `b` keeps no links.
fn without_links() -> World {
    let mut registry = world().registry;
    registry.services[1].options.insert(KEEPS_SYMLINKS.to_owned(), false.into());
    World::new(registry)
}

fn link(at: &str, target: &str, tag: u8) -> Event {
    let mut event = seen(at, target, tag);
    if let Event::Seen { state, .. } = &mut event {
        state.content.kind = Kind::Symlink;
    }
    event
}

#[test]
fn a_link_is_nothing_pending_where_it_can_not_be_kept_and_a_file_in_its_place_is() {
    let (world, shard, key) = (without_links(), Shard::of(&path("x")), (B, path("x")));
    let mut records = BTreeMap::from([(path("x"), None)]);
    let round = play(&world, &mut records, &[arrived(A, 1, link("x", "y", 1))], 7, |_| false);
    let commit = &round.commits[&shard];
    assert_eq!(commit.pending, BTreeMap::from([(key.clone(), false)]));
    assert_eq!(commit.unable, BTreeMap::from([(key.clone(), true)]));
    // That nothing is found there is no news, and certainly no deletion.
    let looked = play(&world, &mut records, &[arrived(B, 1, gone("x"))], 7, |_| false);
    assert!(looked.changed.is_empty());
    let round = play(&world, &mut records, &[arrived(A, 2, seen("x", "z", 2))], 7, |_| false);
    assert_eq!(round.commits[&shard].pending, BTreeMap::from([(key, true)]));
}

#[test]
fn an_older_file_where_a_link_can_not_be_kept_neither_travels_back_nor_is_a_deletion() {
    let world = without_links();
    let mut records = BTreeMap::from([(path("x"), None)]);
    let mut play_all = |events: &[Arrived]| {
        play(&world, &mut records, events, 7, |_| false);
        records[&path("x")].clone().expect("known")
    };
    let told = [arrived(A, 1, seen("x", "x", 1)), arrived(B, 1, seen("x", "x", 2))];
    play_all(&told);
    let linked = play_all(&[arrived(A, 2, link("x", "y", 3))]);
    let held = |record: &Record| record.holder(B).map(|held| held.revision);
    assert_eq!((linked.revision, held(&linked)), (2, Some(1)));
    let scanned = play_all(&[arrived(B, 2, seen("x", "x", 2))]);
    assert_eq!(scanned, linked, "a scan finds what was known");
    let removed = play_all(&[arrived(B, 3, gone("x"))]);
    assert!(!removed.gone && held(&removed).is_none(), "who removes it knew of no link");
    // A driver that had placed it and never told finds it again.
    let found = play_all(&[arrived(B, 4, seen("x", "x", 5))]);
    assert_eq!((found.revision, held(&found)), (2, Some(1)), "{found:?}");
    let edited = play_all(&[arrived(B, 5, seen("x", "edited there", 6))]);
    assert_eq!(held(&edited), Some(Holder::FOREIGN), "kept under a conflict's name");
    assert_eq!(edited.content.kind, Kind::Symlink);
}

#[test]
fn a_link_that_is_deleted_takes_the_older_file_with_it() {
    let world = without_links();
    let mut records = BTreeMap::from([(path("x"), None)]);
    let told = [
        arrived(A, 1, seen("x", "x", 1)),
        arrived(B, 1, seen("x", "x", 2)),
        arrived(A, 2, link("x", "y", 3)),
    ];
    play(&world, &mut records, &told, 7, |_| false);
    let round = play(&world, &mut records, &[arrived(A, 3, gone("x"))], 7, |_| false);
    assert_eq!(world.need_of(&path("x"), records[&path("x")].as_ref(), B), Need::Remove);
    assert_eq!(round.commits[&Shard::of(&path("x"))].pending.get(&(B, path("x"))), Some(&true));
}

#[test]
fn a_deletion_does_not_wait_for_a_service_that_can_hold_no_such_name() {
    let failed = |kind| {
        let fault = Fault::new(kind, "too long");
        Event::Failed { path: path("x"), order: 5, fault }
    };
    let mut records = BTreeMap::from([(path("x"), None)]);
    let events = [arrived(A, 1, seen("x", "x", 1)), arrived(A, 2, gone("x"))];
    play(&world(), &mut records, &events[..1], 7, |_| false);
    play(&world(), &mut records, &events[1..], 7, |_| false);
    let denied = [arrived(B, 1, failed(FaultKind::Denied))];
    play(&world(), &mut records, &denied, 7, |_| false);
    assert!(records[&path("x")].is_some(), "it may have come");
    let invalid = [arrived(B, 2, failed(FaultKind::InvalidName))];
    let mut known = records.clone();
    let round = play(&world(), &mut records, &invalid, 7, |_| false);
    assert_eq!(records[&path("x")], None);
    assert_eq!(round.commits[&Shard::of(&path("x"))].pending.get(&(B, path("x"))), Some(&false));
    // What certainly came is there, whatever is said of its name.
    if let Some(Some(record)) = known.get_mut(&path("x")) {
        record.set_holder(B, 1, Tag([9; 6]));
    }
    play(&world(), &mut known, &invalid, 7, |_| false);
    assert!(known[&path("x")].is_some());
}
