//! What was placed, lost or found rotten without an edit, and what a person restored.

use super::*;

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
