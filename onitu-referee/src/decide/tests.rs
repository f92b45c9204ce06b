//! A test for each cell of the table.

use onitu_core::{Checksum, Tag};
use proptest::prelude::*;

use super::*;

mod leaving;
mod media;
mod untold;

const A: ServiceId = ServiceId(1);
const B: ServiceId = ServiceId(2);
const C: ServiceId = ServiceId(3);

fn tag(text: &str) -> Tag {
    Tag::of(text.as_bytes())
}

fn file(text: &str) -> Content {
    Content {
        kind: Kind::File,
        size: text.len() as u64,
        mtime_ns: 1,
        executable: false,
        checksum: Some(Checksum::of(text.as_bytes())),
        media: None,
    }
}

fn unhashed(text: &str) -> Content {
    Content { checksum: None, ..file(text) }
}

fn record(revision: u64, content: Content, holders: &[(ServiceId, u64, &str)]) -> Record {
    let mut record = Record {
        revision,
        gone: false,
        content,
        holders: Vec::new(),
        moved: None,
        ancestors: Vec::new(),
        origin: None,
        leaving: Vec::new(),
    };
    for (service, revision, held) in holders {
        record.set_holder(*service, *revision, tag(held));
    }
    record
}

fn tombstone(revision: u64, content: Content, holders: &[(ServiceId, u64, &str)]) -> Record {
    Record { gone: true, ..record(revision, content, holders) }
}

fn seen(content: Content, held: &str) -> Observed {
    Observed::Seen { state: State { content, tag: tag(held) }, placed: None, moved_from: None }
}

fn placed(revision: u64, content: Content, held: &str) -> Observed {
    let state = State { content, tag: tag(held) };
    Observed::Seen { state, placed: Some(revision), moved_from: None }
}

fn gone() -> Observed {
    Observed::Gone { moved_to: None }
}

/// As of a driver that nobody told to remove anything, and without who was first.
fn decide(
    record: Option<&Record>,
    service: ServiceId,
    mode: Mode,
    observed: &Observed,
) -> Option<Record> {
    let witness = Witness { service, mode, epoch: 1, is_evicted: false };
    let after = super::decide(record, &witness, observed)?;
    Some(Record { origin: None, ..after })
}

fn after(record: &Record, service: ServiceId, observed: &Observed) -> Record {
    let after = decide(Some(record), service, Mode::Sync, observed).expect("still remembered");
    Record { ancestors: Vec::new(), ..after }
}

#[test]
fn a_path_seen_for_the_first_time_is_revision_one() {
    let first = decide(None, A, Mode::Sync, &seen(file("x"), "a")).expect("remembered");
    assert_eq!(first, record(1, file("x"), &[(A, 1, "a")]));
    assert_eq!(decide(None, A, Mode::Sync, &gone()), None);
}

#[test]
fn same_bytes_at_the_current_revision_stay_held() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let touched = after(&before, A, &seen(file("x"), "a2"));
    assert_eq!(touched, record(2, file("x"), &[(A, 2, "a2"), (B, 2, "b")]));
}

#[test]
fn other_attributes_at_the_current_revision_are_a_new_revision_of_the_same_bytes() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let executable = Content { executable: true, ..file("x") };
    let changed = after(&before, A, &seen(executable, "a2"));
    assert_eq!(changed, record(3, executable, &[(A, 3, "a2"), (B, 2, "b")]));
}

#[test]
fn same_bytes_behind_become_held_without_a_transfer() {
    for holder in [&[(A, 2, "a"), (B, 1, "b")][..], &[(A, 2, "a")][..], &[(A, 2, "a"), (B, 0, "b")]]
    {
        let before = record(2, file("x"), holder);
        let joined = after(&before, B, &seen(file("x"), "b2"));
        assert_eq!(joined, record(2, file("x"), &[(A, 2, "a"), (B, 2, "b2")]));
    }
}

#[test]
fn same_bytes_behind_with_another_executable_bit_get_the_recorded_one() {
    let before = record(1, file("x"), &[(A, 1, "a")]);
    let executable = Content { executable: true, ..file("x") };
    let joined = after(&before, B, &seen(executable, "b"));
    assert_eq!(joined, record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]));
}

#[test]
fn new_content_at_the_current_revision_is_a_new_revision() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let edited = after(&before, B, &seen(file("yy"), "b2"));
    assert_eq!(edited, record(3, file("yy"), &[(A, 2, "a"), (B, 3, "b2")]));
}

#[test]
fn new_content_behind_or_unknown_is_a_conflict_and_the_first_keeps_the_name() {
    for holder in [&[(A, 2, "a"), (B, 1, "b")][..], &[(A, 2, "a")][..]] {
        let before = record(2, file("x"), holder);
        let conflict = after(&before, B, &seen(file("yy"), "b2"));
        assert_eq!(conflict, record(2, file("x"), &[(A, 2, "a"), (B, 0, "b2")]));
    }
}

#[test]
fn contents_nobody_has_compared_are_kept_apart_until_somebody_has() {
    let before = record(2, unhashed("x"), &[(A, 2, "a")]);
    let waiting = after(&before, B, &seen(file("x"), "b"));
    assert_eq!(waiting, record(2, unhashed("x"), &[(A, 2, "a"), (B, 0, "b")]));
    let told = after(&waiting, A, &seen(file("x"), "a"));
    assert_eq!(told.content.checksum, file("x").checksum);
    let compared = after(&told, B, &seen(file("x"), "b"));
    assert_eq!(compared, record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]));
}

#[test]
fn a_content_restored_after_its_deletion_is_no_copy_that_was_never_told_of() {
    let remembering = |record: &Record, service, observed: &Observed| {
        decide(Some(record), service, Mode::Sync, observed).expect("remembered")
    };
    let deleted = tombstone(2, file("x"), &[]);
    let revived = remembering(&deleted, B, &seen(file("y"), "b"));
    let restored = remembering(&revived, A, &seen(file("x"), "a2"));
    assert_eq!(restored.holder(A).map(|held| held.revision), Some(Holder::FOREIGN));
    // Also where the later content is deleted before that is heard.
    let mut again = remembering(&revived, B, &gone());
    doubt(&revived, &mut again, &[A]);
    let restored = remembering(&again, A, &seen(file("x"), "a2"));
    assert!(!restored.gone && restored.content == file("x"));
    // Who was to get the later content may have placed it and not told.
    let edited = remembering(&revived, B, &seen(file("z"), "b2"));
    let untold = remembering(&edited, A, &seen(file("y"), "a2"));
    assert_eq!(untold.holder(A).map(|held| held.revision), Some(3));
}

#[test]
fn bytes_that_changed_under_the_same_tag_are_new_content() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let edited = after(&before, A, &seen(file("y"), "a"));
    assert_eq!(edited, record(3, file("y"), &[(A, 3, "a"), (B, 2, "b")]));
}

#[test]
fn gone_at_the_current_revision_is_a_tombstone_for_the_others() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(after(&before, A, &gone()), tombstone(3, file("x"), &[(B, 2, "b")]));
    let alone = record(2, file("x"), &[(A, 2, "a")]);
    assert_eq!(after(&alone, A, &gone()), tombstone(3, file("x"), &[]));
}

#[test]
fn gone_behind_is_ignored_because_an_edit_beats_a_deletion() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]);
    assert_eq!(after(&before, B, &gone()), record(2, file("x"), &[(A, 2, "a")]));
    let unknown = record(2, file("x"), &[(A, 2, "a")]);
    assert_eq!(after(&unknown, B, &gone()), unknown);
}

#[test]
fn a_tombstone_loses_its_holders_one_by_one() {
    let before = tombstone(3, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let one_left = after(&before, A, &gone());
    assert_eq!(one_left, tombstone(3, file("x"), &[(B, 2, "b")]));
    assert_eq!(after(&one_left, B, &gone()), tombstone(3, file("x"), &[]));
}

#[test]
fn an_edit_revives_a_tombstone_and_an_old_state_does_not() {
    let before = tombstone(3, file("x"), &[(B, 2, "b")]);
    assert_eq!(after(&before, B, &seen(file("x"), "b")), before);
    let revived = after(&before, B, &seen(file("yy"), "b2"));
    assert_eq!(revived, record(4, file("yy"), &[(B, 4, "b2")]));
    let remade = after(&before, A, &seen(file("z"), "a2"));
    assert_eq!(remade, record(4, file("z"), &[(A, 4, "a2"), (B, 2, "b")]));
}

#[test]
fn what_an_order_placed_is_held_and_teaches_the_checksum() {
    let before = record(2, unhashed("x"), &[(A, 2, "a"), (B, 1, "b")]);
    let done = after(&before, B, &placed(2, file("x"), "b2"));
    assert_eq!(done, record(2, file("x"), &[(A, 2, "a"), (B, 2, "b2")]));
}

#[test]
fn what_an_overtaken_order_placed_is_held_behind() {
    let before = record(5, file("z"), &[(A, 5, "a")]);
    let done = after(&before, B, &placed(4, file("x"), "b2"));
    assert_eq!(done, record(5, file("z"), &[(A, 5, "a"), (B, 4, "b2")]));
    let deleted = tombstone(5, file("x"), &[(A, 4, "a")]);
    let done = after(&deleted, B, &placed(4, file("x"), "b2"));
    assert_eq!(done, tombstone(5, file("x"), &[(A, 4, "a"), (B, 4, "b2")]));
}

#[test]
fn what_was_deleted_while_an_order_placed_it_is_removed_again() {
    let deleted = after(&record(1, file("x"), &[(A, 1, "a")]), A, &gone());
    let placed_late = after(&deleted, B, &placed(1, file("x"), "b"));
    assert_eq!(placed_late, tombstone(2, file("x"), &[(B, 1, "b")]));
}

#[test]
fn a_placed_revision_the_store_has_forgotten_is_an_observation_like_any_other() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let done = after(&before, B, &placed(7, file("yy"), "b2"));
    assert_eq!(done, record(3, file("yy"), &[(A, 2, "a"), (B, 3, "b2")]));
    let wrong = after(&before, B, &placed(2, file("yy"), "b2"));
    assert_eq!(wrong, record(3, file("yy"), &[(A, 2, "a"), (B, 3, "b2")]));
}

#[test]
fn a_directory_keeps_the_name_against_a_file() {
    let is_file = record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]);
    let directory_wins = after(&is_file, B, &seen(Content::DIRECTORY, "dir"));
    assert_eq!(directory_wins, record(3, Content::DIRECTORY, &[(A, 0, "a"), (B, 3, "dir")]));
    let is_directory = record(2, Content::DIRECTORY, &[(A, 2, "dir")]);
    let file_yields = after(&is_directory, B, &seen(file("x"), "b"));
    assert_eq!(file_yields, record(2, Content::DIRECTORY, &[(A, 2, "dir"), (B, 0, "b")]));
}

#[test]
fn a_user_may_replace_a_directory_by_a_file_and_back() {
    let before = record(2, Content::DIRECTORY, &[(A, 2, "dir"), (B, 2, "dir")]);
    let replaced = after(&before, A, &seen(file("x"), "a"));
    assert_eq!(replaced, record(3, file("x"), &[(A, 3, "a"), (B, 2, "dir")]));
    let back = after(&replaced, A, &seen(Content::DIRECTORY, "dir2"));
    assert_eq!(back, record(4, Content::DIRECTORY, &[(A, 4, "dir2"), (B, 2, "dir")]));
}

#[test]
fn directories_meet_without_a_conflict() {
    let before = record(1, Content::DIRECTORY, &[(A, 1, "dir")]);
    let joined = after(&before, B, &seen(Content::DIRECTORY, "other"));
    assert_eq!(joined, record(1, Content::DIRECTORY, &[(A, 1, "dir"), (B, 1, "other")]));
}

#[test]
fn a_directory_that_can_not_go_stays() {
    let before = tombstone(3, Content::DIRECTORY, &[(A, 2, "dir"), (B, 2, "dir2")]);
    let stays = after(&before, A, &Observed::Occupied);
    assert_eq!(stays, record(4, Content::DIRECTORY, &[(A, 4, "dir"), (B, 2, "dir2")]));
    let replaced = record(3, file("x"), &[(A, 2, "dir"), (B, 3, "b")]);
    let stays = after(&replaced, A, &Observed::Occupied);
    assert_eq!(stays, record(4, Content::DIRECTORY, &[(A, 4, "dir"), (B, 0, "b")]));
}

#[test]
fn a_directory_that_stays_is_made_again_where_it_may_never_have_been() {
    let mut before = tombstone(3, Content::DIRECTORY, &[(B, 2, "dir")]);
    before.set_holder(A, 2, Tag::UNKNOWN);
    let stays = after(&before, A, &Observed::Occupied);
    assert_eq!(stays, record(4, Content::DIRECTORY, &[(B, 2, "dir")]));
}

#[test]
fn a_conflict_whose_second_content_went_away_is_over() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 0, "b")]);
    assert_eq!(after(&before, B, &gone()), record(2, file("x"), &[(A, 2, "a")]));
}

#[test]
fn deleting_the_winner_of_a_conflict_leaves_the_second_to_be_set_aside() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 0, "b")]);
    assert_eq!(after(&before, A, &gone()), tombstone(3, file("x"), &[(B, 0, "b")]));
}

#[test]
fn a_rename_leaves_hints_on_both_sides() {
    let path = |text: &str| Path::new(text).expect("valid");
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let observed = Observed::Gone { moved_to: Some(path("new")) };
    assert_eq!(after(&before, A, &observed).moved, Some(path("new")));
    let state = State { content: file("x"), tag: tag("a") };
    let moved_from = Some(path("old"));
    let observed = Observed::Seen { state, placed: None, moved_from };
    let new = decide(None, A, Mode::Sync, &observed).expect("remembered");
    assert_eq!(new.moved, Some(path("old")));
}

#[test]
fn a_lost_file_comes_back_as_what_others_still_have_of_it() {
    let before = record(5, file("x"), &[(A, 5, "a"), (B, 4, "b"), (C, 0, "c")]);
    let lost = after(&before, A, &Observed::Lost);
    assert_eq!(lost, record(5, file("x"), &[(B, 4, "b"), (C, 0, "c")]));
    assert!(lost.is_orphan());
    // Nobody can give A what it lost: B and C are asked what they have, and the first keeps the name.
    let adopted = after(&lost, B, &seen(file("yy"), "b"));
    assert_eq!(adopted, record(6, file("yy"), &[(B, 6, "b"), (C, 0, "c")]));
    // Who finds the lost content again has no earlier revision of it.
    let found = after(&adopted, A, &seen(file("x"), "a2"));
    assert_eq!(found.holder(A).map(|held| held.revision), Some(Holder::FOREIGN));
    // Even what a backup has; and if they have nothing either, nothing is left to wait for.
    let backup = decide(Some(&lost), B, Mode::Backup, &seen(file("yy"), "b"));
    assert_eq!(backup, Some(adopted));
    let alone = record(5, file("x"), &[(B, 4, "b")]);
    assert_eq!(decide(Some(&alone), B, Mode::Sync, &gone()), None);
    assert_eq!(decide(Some(&before), C, Mode::Sync, &gone()).map(|it| it.holders.len()), Some(2));
}

#[test]
fn a_backup_is_never_followed() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let backup = |observed: &Observed| decide(Some(&before), B, Mode::Backup, observed);
    assert_eq!(backup(&gone()), Some(record(2, file("x"), &[(A, 2, "a")])));
    let edited = backup(&seen(file("yy"), "b2"));
    assert_eq!(edited, Some(record(2, file("x"), &[(A, 2, "a"), (B, 0, "b2")])));
    assert_eq!(decide(None, B, Mode::Backup, &seen(file("x"), "b")), None);
}

#[test]
fn an_executable_bit_changed_on_a_backup_is_put_back() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let other_bit = Content { executable: true, ..file("x") };
    let put_back = decide(Some(&before), B, Mode::Backup, &seen(other_bit, "b2"));
    assert_eq!(put_back, Some(record(3, file("x"), &[(A, 3, "a"), (B, 2, "b2")])));
    let touched = Content { mtime_ns: 7, ..file("x") };
    let left = decide(Some(&before), B, Mode::Backup, &seen(touched, "b2"));
    assert_eq!(left, Some(record(2, file("x"), &[(A, 2, "a"), (B, 2, "b2")])));
}

#[test]
fn a_backup_that_alone_has_a_content_is_followed_because_nobody_can_put_it_back() {
    let before = record(2, file("x"), &[(B, 2, "b")]);
    let backup = |observed: &Observed| decide(Some(&before), B, Mode::Backup, observed);
    assert_eq!(backup(&gone()), Some(tombstone(3, file("x"), &[])));
    let followed = backup(&seen(file("yy"), "b2")).expect("remembered");
    let edited = record(3, file("yy"), &[(B, 3, "b2")]);
    assert_eq!(Record { ancestors: Vec::new(), ..followed }, edited);
}

#[test]
fn a_file_that_a_backup_has_for_itself_is_left_alone_where_others_deleted_theirs() {
    let deleted = tombstone(3, file("x"), &[(A, 2, "a")]);
    let own = decide(Some(&deleted), B, Mode::Backup, &seen(file("own"), "b"));
    assert_eq!(own, Some(deleted));
    let held = tombstone(3, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    let changed = decide(Some(&held), B, Mode::Backup, &seen(file("own"), "b2"));
    assert_eq!(changed, Some(tombstone(3, file("x"), &[(A, 2, "a"), (B, 0, "b2")])));
}

#[test]
fn a_directory_of_a_backup_takes_no_name_and_revives_nothing() {
    let backup = |before: &Record, observed: &Observed| {
        decide(Some(before), B, Mode::Backup, observed).expect("remembered")
    };
    let own = seen(Content::DIRECTORY, "dir");
    let is_file = record(2, file("x"), &[(A, 2, "a")]);
    assert_eq!(backup(&is_file, &own), record(2, file("x"), &[(A, 2, "a"), (B, 0, "dir")]));
    let buried = tombstone(3, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(backup(&buried, &own), tombstone(3, file("x"), &[(A, 2, "a")]));
    let goes = tombstone(3, Content::DIRECTORY, &[(A, 2, "dir"), (B, 2, "dir2")]);
    let left = tombstone(3, Content::DIRECTORY, &[(A, 2, "dir")]);
    assert_eq!(backup(&goes, &Observed::Occupied), left);
    let replaced = record(3, file("x"), &[(A, 3, "a"), (B, 2, "dir2")]);
    let aside = record(3, file("x"), &[(A, 3, "a"), (B, 0, "dir2")]);
    assert_eq!(backup(&replaced, &Observed::Occupied), aside);
}

#[test]
fn not_even_a_source_takes_the_name_from_a_directory() {
    let before = record(2, Content::DIRECTORY, &[(B, 2, "dir")]);
    let source = decide(Some(&before), A, Mode::Source, &seen(file("x"), "a"));
    let kept = record(2, Content::DIRECTORY, &[(A, 0, "a"), (B, 2, "dir")]);
    assert_eq!(source, Some(kept));
}

#[test]
fn a_copy_that_stands_for_another_content_is_not_overwritten_or_removed() {
    // A's conflict copy was there already when another content with these bytes was set aside; B
    // has edited the copy meanwhile, or deleted it.
    let restored = Observed::Restored(State { content: file("x"), tag: tag("a") });
    let edited = record(2, file("yy"), &[(A, 1, "a"), (B, 2, "b")]);
    assert_eq!(after(&edited, A, &restored), record(2, file("yy"), &[(A, 0, "a"), (B, 2, "b")]));
    let deleted = after(&tombstone(2, file("x"), &[(A, 1, "a")]), A, &restored);
    assert_eq!((deleted.revision, deleted.gone, deleted.is_current_on(A)), (3, false, true));
}

#[test]
fn what_an_order_took_away_is_no_deletion() {
    let goes = tombstone(3, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(after(&goes, A, &Observed::Removed), tombstone(3, file("x"), &[(B, 2, "b")]));
    // The store has lost that the path was deleted.
    let lives = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(after(&lives, A, &Observed::Removed), record(2, file("x"), &[(B, 2, "b")]));
    let alone = record(2, file("x"), &[(A, 2, "a")]);
    assert_eq!(after(&alone, A, &Observed::Removed), record(2, file("x"), &[]));
}

#[test]
fn a_source_keeps_the_name_and_the_others_are_set_aside() {
    let before = record(2, file("x"), &[(A, 1, "a"), (B, 2, "b")]);
    let source = decide(Some(&before), A, Mode::Source, &seen(file("yy"), "a2"));
    let source = source.map(|record| Record { ancestors: Vec::new(), ..record });
    assert_eq!(source, Some(record(3, file("yy"), &[(A, 3, "a2"), (B, 0, "b")])));
}

fn observations() -> impl Strategy<Value = Observed> {
    let contents = prop_oneof![
        Just(file("x")),
        Just(file("yy")),
        Just(unhashed("x")),
        Just(Content::DIRECTORY),
    ];
    let tags = prop_oneof![Just("1"), Just("2"), Just("3")];
    prop_oneof![
        (contents, tags, proptest::option::of(1_u64..4)).prop_map(|(content, held, placed)| {
            let state = State { content, tag: tag(held) };
            Observed::Seen { state, placed, moved_from: None }
        }),
        Just(gone()),
        Just(Observed::Occupied),
        Just(Observed::Lost),
        Just(Observed::Removed),
        Just(Observed::Fetched { revision: 1, content: file("x") }),
        Just(Observed::Rotten(State { content: file("y"), tag: tag("1") })),
        Just(Observed::Restored(State { content: file("yy"), tag: tag("3") })),
    ]
}

proptest! {
    #[test]
    fn an_observation_heard_twice_changes_nothing_the_second_time(
        events in proptest::collection::vec((0_u16..3, observations()), 0..8),
        last in observations(),
    ) {
        let mut record = None;
        for (service, observed) in events {
            record = decide(record.as_ref(), ServiceId(service), Mode::Sync, &observed);
        }
        // A directory that can't go is told as the failure of one order, and what a person restored is
        // an edit each time; no event is taken twice.
        if !matches!(last, Observed::Occupied | Observed::Restored(_)) {
            let once = decide(record.as_ref(), A, Mode::Sync, &last);
            let twice = decide(once.as_ref(), A, Mode::Sync, &last);
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn records_stay_sane(
        events in proptest::collection::vec((0_u16..3, observations()), 1..12),
    ) {
        let mut record: Option<Record> = None;
        for (service, observed) in events {
            let before = record.clone();
            record = decide(record.as_ref(), ServiceId(service), Mode::Sync, &observed);
            let Some(now) = &record else { continue };
            prop_assert!(now.holders.is_sorted_by_key(|held| held.service));
            prop_assert!(now.holders.iter().all(|held| held.revision <= now.revision));
            prop_assert!(!now.gone || now.current_holders().next().is_none());
            if let Some(before) = before {
                prop_assert!(now.revision == before.revision || now.revision == before.revision + 1);
            }
        }
    }
}
