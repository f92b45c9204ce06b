//! Rules, `at`, `quota` and what is ignored, where they meet.

use onitu_core::ignore::{IgnoreSet, IgnoreText};
use onitu_core::{AT, Content, KEEPS_SYMLINKS, Tag};

use super::*;

const LAPTOP: ServiceId = ServiceId(1);
const NAS: ServiceId = ServiceId(2);
const PHONE: ServiceId = ServiceId(3);

/// The phone stands at `Phone`, where `at` says so; these have these quotas.
fn registry(rules: &str, at: bool, quotas: &[(ServiceId, u64)]) -> Registry {
    let service = |(id, name): (ServiceId, &str)| {
        let mut options = BTreeMap::new();
        if at && id == PHONE {
            options.insert(AT.to_owned(), "Phone".into());
        }
        if let Some((_, bytes)) = quotas.iter().find(|(of, _)| *of == id) {
            options.insert("quota_bytes".to_owned(), (*bytes).into());
        }
        let (name, driver) = (name.to_owned(), "memory".to_owned());
        Service { id, name, driver, mode: Mode::Sync, paused: false, options }
    };
    let services = [(LAPTOP, "laptop"), (NAS, "nas"), (PHONE, "phone")].map(service).to_vec();
    let (rules, approved) = (Some(rules.to_owned()), vec![rules.to_owned()]);
    Registry { version: 1, services, rules, approved, keeps_junk: false }
}

fn path(text: &str) -> Path {
    Path::new(text).expect("a path")
}

fn held(size: u64, holders: &[ServiceId]) -> Record {
    let checksum = Some(onitu_core::Checksum::of(b"x"));
    let content = Content { kind: Kind::File, size, checksum, ..Content::DIRECTORY };
    let mut record = Record::new(content);
    for holder in holders {
        record.set_holder(*holder, 1, Tag::of(b"x"));
    }
    record
}

const ONLY: &str = "sync everything to laptop\nkeep \"**/secret\" only on laptop, phone";

#[test]
fn only_on_a_service_that_stands_elsewhere_forbids_all_others_and_removes_nothing() {
    let world = World::new(registry(ONLY, true, &[]));
    // Inside, both are promised; outside, the phone can't have it, so nothing can go because of it.
    let (inside, outside) = (path("Phone/secret"), path("secret"));
    let record = held(1, &[LAPTOP, NAS]);
    assert_eq!(world.needs(&inside, Some(&record)), [(PHONE, Need::Place)]);
    assert_eq!(world.needs(&outside, Some(&record)), []);
    let wish = world.wish(&outside, &record);
    assert!(wish.targets == [LAPTOP] && wish.forbids(NAS), "it gets no update");
    let record = held(1, &[LAPTOP, NAS, PHONE]);
    assert_eq!(world.needs(&inside, Some(&record)), [(NAS, Need::Evict)]);
}

#[test]
fn a_file_that_is_to_move_where_nothing_of_it_can_stand_stays_where_it_is() {
    let world = World::new(registry("move everything to phone", true, &[]));
    let record = held(1, &[LAPTOP, NAS]);
    assert_eq!(world.needs(&path("outside"), Some(&record)), []);
    assert_eq!(world.needs(&path("Phone/inside"), Some(&record)), [(PHONE, Need::Place)]);
}

#[test]
fn a_moved_file_is_removed_nowhere_while_there_is_no_room_where_it_is_to_go() {
    let registry = registry("move everything to nas", false, &[(NAS, 10)]);
    let mut world = World::new(registry);
    world.set_room(BTreeMap::from([(NAS, 5)]));
    let record = held(6, &[LAPTOP, PHONE]);
    assert_eq!(world.needs(&path("x"), Some(&record)), [(NAS, Need::Place)], "it waits");
    let record = held(6, &[LAPTOP, NAS, PHONE]);
    let goes = [(LAPTOP, Need::Evict), (PHONE, Need::Evict)];
    assert_eq!(world.needs(&path("x"), Some(&record)), goes);
}

#[test]
fn copies_go_where_there_is_room_and_stay_where_they_are_when_that_is_used_up() {
    let rules = "sync everything to laptop\nkeep 1 copy of everything on any of nas, phone";
    let mut world = World::new(registry(rules, false, &[(NAS, 10), (PHONE, 10)]));
    let targets = |world: &World, record: &Record| world.wish(&path("x"), record).targets;
    world.set_room(BTreeMap::from([(NAS, 5), (PHONE, 6)]));
    assert_eq!(targets(&world, &held(5, &[LAPTOP])), [LAPTOP, NAS], "what fits exactly fits");
    assert_eq!(targets(&world, &held(6, &[LAPTOP])), [LAPTOP, PHONE]);
    assert_eq!(targets(&world, &held(7, &[LAPTOP])), [LAPTOP, NAS], "it waits for the first");
    world.set_room(BTreeMap::from([(NAS, 0), (PHONE, 10)]));
    assert_eq!(targets(&world, &held(6, &[LAPTOP, NAS])), [LAPTOP, NAS], "it has it already");
}

#[test]
fn copies_that_are_to_be_kept_hold_a_removal_back_while_nobody_has_room_for_them() {
    let rules = "move everything to nas\nkeep 2 copies of everything on any of nas, phone";
    let mut world = World::new(registry(rules, false, &[(PHONE, 10)]));
    world.set_room(BTreeMap::from([(PHONE, 0)]));
    let record = held(6, &[LAPTOP, NAS]);
    assert_eq!(world.needs(&path("x"), Some(&record)), [(PHONE, Need::Place)]);
}

fn ignoring(registry: &Registry, rules: Option<&str>, file: &str) -> Ignoring {
    let files = BTreeMap::from([(Path::root(), IgnoreText::of(file.as_bytes()))]);
    let (rules, services) = (rules.map(str::to_owned), registry.names());
    Ignoring::compile(&IgnoreSet { version: 1, rules, services, files, ..IgnoreSet::default() })
}

#[test]
fn what_is_ignored_is_placed_and_removed_nowhere_whatever_the_rules_say() {
    let registry = registry("move everything to nas", false, &[]);
    let set = ignoring(&registry, registry.rules.as_deref(), "*.o\nbuild/");
    let world = World::new(registry).ignoring(set);
    let copied = held(1, &[LAPTOP]);
    let moved = held(1, &[LAPTOP, NAS]);
    for ignored in ["x.o", "build/x", ".DS_Store"] {
        let path = path(ignored);
        assert!(world.wish(&path, &copied).excluded, "{ignored}");
        assert_eq!(world.needs(&path, Some(&copied)), [], "{ignored}");
        assert_eq!(world.needs(&path, Some(&moved)), [], "{ignored}");
    }
    assert_eq!(world.needs(&path("build"), Some(&copied)), [(NAS, Need::Place)], "a file");
    assert_eq!(world.needs(&path("x.c"), Some(&moved)), [(LAPTOP, Need::Evict)]);
}

#[test]
fn never_sync_asks_nothing_before_it_is_published_and_nothing_is_dropped_until_then() {
    let never = "sync everything to laptop, nas, phone\nnever sync \"*.tmp\"";
    let registry = registry(never, false, &[]);
    let record = held(1, &[LAPTOP]);
    let (tmp, kind) = (path("x.tmp"), Kind::File);
    // Come into force: no work at once, but what is told still counts, for it may be withdrawn.
    let before = ignoring(&registry, Some("sync everything to laptop, nas, phone"), "");
    let world = World::new(registry.clone()).ignoring(before);
    assert_eq!(world.needs(&tmp, Some(&record)), []);
    assert!(!world.ignores(&tmp, kind));
    let world = world.ignoring(ignoring(&registry, Some(never), ""));
    assert!(world.ignores(&tmp, kind) && world.needs(&tmp, Some(&record)).is_empty());
    // Withdrawn: until that is published nothing is asked either, and nothing counts.
    let everywhere = Registry { rules: None, ..registry.clone() };
    let world = World::new(everywhere.clone()).ignoring(ignoring(&registry, Some(never), ""));
    assert!(world.ignores(&tmp, kind) && world.needs(&tmp, Some(&record)).is_empty());
    let world = world.ignoring(ignoring(&everywhere, None, ""));
    let both = [(NAS, Need::Place), (PHONE, Need::Place)];
    assert_eq!(world.needs(&tmp, Some(&record)), both);
}

/// The phone keeps no links.
fn without_links() -> World {
    let mut registry = registry("sync everything to laptop, nas, phone", false, &[]);
    registry.services[2].options.insert(KEEPS_SYMLINKS.to_owned(), false.into());
    World::new(registry)
}

#[test]
fn a_link_is_no_work_for_a_service_without_and_may_still_follow_what_it_is_placing() {
    let world = without_links();
    let mut link = held(1, &[LAPTOP]);
    link.content.kind = Kind::Symlink;
    let (x, both) = (path("x"), [(NAS, Need::Place), (PHONE, Need::Unable)]);
    assert_eq!(world.needs(&x, Some(&link)), both);
    assert_eq!(world.awaited(&x, &link), [NAS], "nothing ever stood there");
    let mut again = Record { revision: 2, ..link };
    again.set_holder(LAPTOP, 2, Tag::of(b"x"));
    assert_eq!(world.awaited(&x, &again), [NAS, PHONE], "a file that did may be on its way");
    let file = held(1, &[LAPTOP]);
    assert_eq!(world.need_of(&x, Some(&file), PHONE), Need::Place);
}
