//! A test for each cell of the table.

use onitu_core::{Checksum, Tag};
use proptest::prelude::*;

use super::*;

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
fn a_source_keeps_the_name_and_the_others_are_set_aside() {
    let before = record(2, file("x"), &[(A, 1, "a"), (B, 2, "b")]);
    let source = decide(Some(&before), A, Mode::Source, &seen(file("yy"), "a2"));
    let source = source.map(|record| Record { ancestors: Vec::new(), ..record });
    assert_eq!(source, Some(record(3, file("yy"), &[(A, 3, "a2"), (B, 0, "b")])));
}

/// Revision `revision` of a file that was `contents` one after the other, last edited on A while B
/// held what `b` tells.
fn edited(contents: &[&str], b: Option<(u64, &str)>) -> Record {
    let mut now = record(1, file(contents[0]), &[(A, 1, contents[0])]);
    if let Some((revision, held)) = b {
        now.set_holder(B, revision, tag(held));
    }
    for text in &contents[1..] {
        now = decide(Some(&now), A, Mode::Sync, &seen(file(text), text)).expect("remembered");
    }
    now
}

#[test]
fn what_was_placed_but_never_told_is_an_old_revision_and_no_conflict() {
    let contents = ["one", "second", "the third"];
    for before in [None, Some((1, "b1"))] {
        let now = edited(&contents, before);
        let late = decide(Some(&now), B, Mode::Sync, &seen(file("second"), "b2"));
        assert_eq!(late.expect("remembered").holder(B).map(|held| held.revision), Some(2));
    }
}

#[test]
fn who_goes_back_to_an_older_content_has_edited() {
    let now = edited(&["one", "second", "the third"], Some((2, "b2")));
    let back = decide(Some(&now), B, Mode::Sync, &seen(file("one"), "b1")).expect("remembered");
    assert_eq!(back.holder(B).map(|held| held.revision), Some(Holder::FOREIGN));
    let current = after(&now, A, &seen(file("one"), "a1"));
    assert_eq!((current.revision, current.content), (4, file("one")));
}

#[test]
fn what_lost_its_name_to_a_source_and_is_put_back_is_no_old_revision() {
    let first = record(1, file("x"), &[(A, 1, "a")]);
    let won = decide(Some(&first), B, Mode::Source, &seen(file("yy"), "b")).expect("remembered");
    assert_eq!(won.holder(A).map(|held| held.revision), Some(Holder::FOREIGN));
    // Set aside; then its user renames the copy back.
    let aside = after(&won, A, &gone());
    let back = decide(Some(&aside), A, Mode::Sync, &seen(file("x"), "a")).expect("remembered");
    assert_eq!(back.holder(A).map(|held| held.revision), Some(Holder::FOREIGN));
    assert_eq!(won.ancestors, []);
}

#[test]
fn what_is_kept_for_another_copy_too_outlives_a_deletion_that_does_not_know_it() {
    let before = record(1, file("x"), &[(A, 1, "a"), (B, 1, "b")]);
    let state = State { content: file("x"), tag: tag("a") };
    let kept = after(&before, A, &Observed::Restored(state));
    assert_eq!(kept, record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]));
    assert_eq!(after(&kept, B, &gone()), record(2, file("x"), &[(A, 2, "a")]));
}

#[test]
fn only_the_last_contents_are_remembered() {
    let contents: Vec<String> = (0..20).map(|at| "x".repeat(at + 1)).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let now = edited(&contents, Some((1, "b1")));
    assert_eq!(now.ancestors.len(), Record::ANCESTORS_MAX);
    assert_eq!(now.ancestors.last(), Some(&(19, Checksum::of(contents[18].as_bytes()))));
}

#[test]
fn what_was_placed_but_never_told_does_not_revive_what_was_deleted() {
    let before = record(1, file("x"), &[(A, 1, "a")]);
    let mut deleted = after(&before, A, &gone());
    doubt(&before, &mut deleted, &[B]);
    assert_eq!(deleted.holder(B), Some(Holder { service: B, revision: 1, tag: Tag::UNKNOWN }));
    let late = after(&deleted, B, &seen(file("x"), "b"));
    assert_eq!(late, tombstone(2, file("x"), &[(B, 1, "b")]));
    let nothing = after(&deleted, B, &gone());
    assert_eq!(nothing, tombstone(2, file("x"), &[]));
    let users = after(&deleted, B, &seen(file("yy"), "b"));
    assert_eq!(users, record(3, file("yy"), &[(B, 3, "b")]));
    // Placed, and then touched by somebody who knows it: that is an edit.
    let touched = Content { mtime_ns: 2, ..file("x") };
    assert!(!after(&late, B, &seen(touched, "b2")).gone);
}

#[test]
fn a_later_revision_placed_but_never_told_is_removed_with_what_was_deleted() {
    let mut before = edited(&["one", "second"], Some((1, "b1")));
    before.ancestors.clear();
    let deleted = after(&before, A, &gone());
    let late = after(&deleted, B, &seen(file("second"), "b2"));
    assert_eq!(late, tombstone(3, file("second"), &[(B, 2, "b2")]));
}

#[test]
fn who_restores_a_deleted_file_is_believed() {
    let deleted = tombstone(3, file("x"), &[(C, 2, "c")]);
    assert!(!after(&deleted, B, &seen(file("x"), "b")).gone, "B had confirmed the deletion");
    assert!(!after(&deleted, C, &seen(file("x"), "c2")).gone, "C knew it and touched it");
}

#[test]
fn what_a_person_restores_is_an_edit_whatever_is_known_of_the_service() {
    let restored = |text: &str| Observed::Restored(State { content: file(text), tag: tag("r") });
    let expected = |revision| (revision, false, Some((revision, tag("r"))));
    let found = |record: Option<&Record>, text: &str, mode| {
        let after = decide(record, A, mode, &restored(text)).expect("remembered");
        let held = after.holder(A).map(|held| (held.revision, held.tag));
        (after.revision, after.gone, held)
    };
    // A service that was to get what was deleted, and has an older copy in its trash.
    let mut doubted = tombstone(3, file("x"), &[(B, 2, "b")]);
    doubted.set_holder(A, 2, Tag::UNKNOWN);
    let deleted = tombstone(3, file("x"), &[(B, 2, "b")]);
    let lives = record(3, file("x"), &[(A, 3, "a"), (B, 3, "b")]);
    for mode in [Mode::Sync, Mode::Backup] {
        assert_eq!(found(None, "x", mode), expected(1));
        assert_eq!(found(Some(&doubted), "x", mode), expected(4));
        assert_eq!(found(Some(&deleted), "x", mode), expected(4));
        assert_eq!(found(Some(&lives), "old", mode), expected(4));
    }
}

#[test]
fn nobody_doubts_a_path_that_lives() {
    let before = record(1, file("x"), &[(A, 1, "a")]);
    let mut edited = after(&before, A, &seen(file("yy"), "a2"));
    let copy = edited.clone();
    doubt(&before, &mut edited, &[B]);
    assert_eq!(edited, copy);
}

#[test]
fn what_was_lost_comes_back_from_the_others() {
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(after(&before, A, &Observed::Lost), record(2, file("x"), &[(B, 2, "b")]));
    let alone = record(2, file("x"), &[(A, 2, "a")]);
    assert_eq!(decide(Some(&alone), A, Mode::Sync, &Observed::Lost), None);
}

#[test]
fn a_rotten_copy_is_set_aside_only_where_a_good_one_is_left() {
    let rotten = Observed::Rotten(State { content: file("y"), tag: tag("a") });
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 2, "b")]);
    assert_eq!(after(&before, A, &rotten), record(2, file("x"), &[(A, 0, "a"), (B, 2, "b")]));
    let sound = Observed::Rotten(State { content: file("x"), tag: tag("a") });
    assert_eq!(after(&before, A, &sound), before);
    let changed_since = Observed::Rotten(State { content: file("y"), tag: tag("a0") });
    assert_eq!(after(&before, A, &changed_since), before);
    let alone = record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]);
    assert_eq!(after(&alone, A, &rotten), alone);
}

/// What the driver tells before it places the large content `text` as `revision`.
fn fetched(revision: u64, text: &str) -> Observed {
    Observed::Fetched { revision, content: file(text) }
}

#[test]
fn a_checksum_told_before_a_content_is_placed_is_learned_for_the_revision_it_speaks_of() {
    let unknown = record(1, unhashed("x"), &[(A, 1, "a")]);
    assert_eq!(after(&unknown, B, &fetched(1, "x")), record(1, file("x"), &[(A, 1, "a")]));
    let renumbered = record(1, unhashed("another"), &[(A, 1, "a")]);
    assert_eq!(after(&renumbered, B, &fetched(1, "x")), renumbered, "the store was lost");
    let deleted = tombstone(2, unhashed("x"), &[(B, 1, "b")]);
    assert_eq!(after(&deleted, B, &fetched(1, "x")), tombstone(2, file("x"), &[(B, 1, "b")]));
}

#[test]
fn a_large_content_placed_but_never_told_is_an_old_revision_and_no_conflict() {
    let first = record(1, unhashed("x"), &[(A, 1, "a")]);
    let late = edit(&first, &fetched(1, "x"), true);
    let overtaken = edit(&first, &fetched(1, "x"), false);
    for now in [late, overtaken] {
        assert_eq!(now.ancestors, [(1, Checksum::of(b"x"))]);
        let found = decide(Some(&now), B, Mode::Sync, &seen(file("x"), "b"));
        assert_eq!(found.expect("remembered").holder(B).map(|held| held.revision), Some(1));
    }
}

/// A edits a file of B's service, `before` or after B told `fetched`.
fn edit(record: &Record, fetched: &Observed, before: bool) -> Record {
    let edited = seen(unhashed("second"), "a2");
    let steps = if before { [(B, fetched), (A, &edited)] } else { [(A, &edited), (B, fetched)] };
    steps.iter().fold(record.clone(), |now, (service, observed)| {
        decide(Some(&now), *service, Mode::Sync, observed).expect("remembered")
    })
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
