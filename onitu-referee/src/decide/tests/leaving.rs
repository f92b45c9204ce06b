//! Removals that rules ask for: a removal that was carried out and never told is no deletion.

use super::*;

/// A and B hold revision 3 of `x`; the driver of B, in incarnation 7, was told to remove it.
fn leaving() -> Record {
    let mut record = record(3, file("x"), &[(A, 3, "a"), (B, 3, "b")]);
    record.set_leaving(B, 7);
    record
}

fn by(epoch: u64, is_evicted: bool, record: &Record, observed: &Observed) -> Option<Record> {
    let witness = Witness { service: B, mode: Mode::Sync, epoch, is_evicted };
    let after = super::super::decide(Some(record), &witness, observed)?;
    Some(Record { origin: None, ancestors: Vec::new(), ..after })
}

#[test]
fn what_is_missing_where_it_was_to_be_removed_is_no_deletion() {
    let without = record(3, file("x"), &[(A, 3, "a")]);
    let both = record(3, file("x"), &[(A, 3, "a"), (B, 3, "b")]);
    for (name, before, epoch, is_evicted, observed) in [
        ("by a driver that lives", leaving(), 7, true, gone()),
        ("by the next one", leaving(), 8, true, gone()),
        ("under rules that have it there again", leaving(), 8, false, gone()),
        ("which the store and the driver have forgotten", both.clone(), 8, true, gone()),
    ] {
        let after = by(epoch, is_evicted, &before, &observed);
        assert_eq!(after.as_ref(), Some(&without), "{name}");
    }
    let deleted = by(7, false, &both, &gone()).expect("remembered");
    assert!(deleted.gone, "a user's deletion is one");
}

#[test]
fn a_file_that_was_renamed_before_it_could_be_removed_is_renamed() {
    let observed = Observed::Gone { moved_to: Path::new("new").ok() };
    let after = by(7, true, &leaving(), &observed).expect("remembered");
    assert!(after.gone && after.moved == Path::new("new").ok(), "{after:?}");
}

#[test]
fn what_nobody_else_has_is_forgotten_and_deletes_nothing_elsewhere() {
    let mut alone = record(3, file("x"), &[(B, 3, "b")]);
    alone.set_leaving(B, 7);
    // To be forgotten as soon as no order is under way that could bring it back.
    assert_eq!(by(8, true, &alone, &gone()), Some(record(3, file("x"), &[])));
}

#[test]
fn an_edit_by_a_driver_that_has_removed_nothing_is_an_edit() {
    let after = by(7, true, &leaving(), &seen(file("yy"), "b2")).expect("remembered");
    assert_eq!(after, record(4, file("yy"), &[(A, 3, "a"), (B, 4, "b2")]));
}

#[test]
fn what_stands_there_after_a_restart_may_be_somebody_elses() {
    let after = by(8, true, &leaving(), &seen(file("yy"), "b2")).expect("remembered");
    assert_eq!(after, record(3, file("x"), &[(A, 3, "a"), (B, 0, "b2")]), "a conflict");
    let same = by(8, true, &leaving(), &seen(file("x"), "b2")).expect("remembered");
    assert_eq!(same, record(3, file("x"), &[(A, 3, "a"), (B, 3, "b2")]));
}

#[test]
fn who_is_found_to_have_it_still_is_a_holder_again() {
    for epoch in [7, 8] {
        let after = by(epoch, false, &leaving(), &seen(file("x"), "b")).expect("remembered");
        assert_eq!(after, record(3, file("x"), &[(A, 3, "a"), (B, 3, "b")]));
    }
}

#[test]
fn the_last_that_is_left_takes_the_name() {
    let orphaned = record(3, file("x"), &[(B, 2, "b")]);
    let after = by(7, false, &orphaned, &seen(file("w"), "b")).expect("remembered");
    assert_eq!(after, record(4, file("w"), &[(B, 4, "b")]));
    let foreign = record(3, file("x"), &[(B, 0, "b")]);
    let after = by(7, false, &foreign, &seen(file("w"), "b")).expect("remembered");
    assert_eq!(after, record(4, file("w"), &[(B, 4, "b")]));
}

#[test]
fn who_is_behind_and_found_to_have_it_still_is_asked_no_more() {
    let mut behind = record(3, file("x"), &[(A, 3, "a"), (B, 2, "b")]);
    behind.set_leaving(B, 7);
    let after = by(8, true, &behind, &seen(file("w"), "b")).expect("remembered");
    assert_eq!(after, record(3, file("x"), &[(A, 3, "a"), (B, 2, "b")]));
}

#[test]
fn an_earlier_content_that_is_written_anew_into_the_empty_place_is_no_earlier_revision() {
    let mut before = leaving();
    before.ancestors = vec![(2, Checksum::of(b"w"))];
    let after = by(8, true, &before, &seen(file("w"), "b2")).expect("remembered");
    assert_eq!(after.holder(B).map(|held| held.revision), Some(Holder::FOREIGN));
}
