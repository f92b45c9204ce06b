use super::*;
use crate::{Checksum, Content, Tag};

const A: ServiceId = ServiceId(1);
const B: ServiceId = ServiceId(2);
const C: ServiceId = ServiceId(3);

fn record(gone: bool, checksum: bool, holders: &[(ServiceId, u64)]) -> Record {
    let checksum = checksum.then(|| Checksum::of(b"abc"));
    let content = Content {
        kind: Kind::File,
        size: 3,
        mtime_ns: 0,
        executable: false,
        checksum,
        media: None,
    };
    let mut record = Record { revision: 3, gone, ..Record::new(content) };
    for &(service, revision) in holders {
        record.set_holder(service, revision, Tag::of(b""));
    }
    record
}

fn live(holders: &[(ServiceId, u64)]) -> Record {
    record(false, true, holders)
}

fn bare(holders: &[(ServiceId, u64)]) -> Record {
    record(false, false, holders)
}

#[test]
fn every_cell() {
    let dead = |holders: &[_]| record(true, true, holders);
    let table = [
        ("current", live(&[(A, 3)]), A, true, Need::Nothing),
        ("absent target", live(&[(A, 3)]), B, true, Need::Place),
        ("absent, no target", live(&[(A, 3)]), B, false, Need::Nothing),
        ("behind target", live(&[(A, 3), (B, 2)]), B, true, Need::Place),
        ("behind, no target any more", live(&[(A, 3), (B, 2)]), B, false, Need::Place),
        ("foreign", live(&[(A, 3), (B, 0)]), B, true, Need::SetAside),
        ("foreign before the checksum", bare(&[(A, 3), (B, 0)]), B, true, Need::AwaitChecksum),
        ("asked for the checksum", bare(&[(A, 3), (B, 0)]), A, true, Need::Hash),
        ("nobody left to ask", bare(&[(A, 2), (B, 0)]), B, true, Need::Hash),
        ("nobody has the newest", live(&[(A, 2)]), A, true, Need::Hash),
        ("nobody has the newest", live(&[(A, 2)]), B, true, Need::Place),
        ("nobody asks", bare(&[(A, 3)]), A, true, Need::Nothing),
        ("deleted elsewhere", dead(&[(B, 2)]), B, true, Need::Remove),
        ("deleted here", dead(&[(B, 2)]), A, true, Need::Nothing),
        ("foreign at a deleted path", dead(&[(B, 0)]), B, true, Need::SetAside),
    ];
    for (name, record, service, target, expected) in table {
        let wish = Wish::of(if target { vec![service] } else { Vec::new() });
        assert_eq!(need(&record, service, &wish), expected, "{name}");
    }
}

/// That A holds it, and B doesn't.
fn moved() -> Wish {
    Wish { evicted: vec![B, C], ..Wish::of(vec![A]) }
}

#[test]
fn every_cell_of_a_service_that_is_to_have_it_no_more() {
    let away = |mut record: Record, who| {
        record.set_leaving(who, 7);
        record
    };
    let directory = |holders: &[_]| Record { content: Content::DIRECTORY, ..live(holders) };
    let two = || Wish { evicted: vec![C], ..Wish::of(vec![A, B]) };
    let copies = || Wish { copies: vec![(2, vec![A, C])], ..moved() };
    let table = [
        ("the target holds it", live(&[(A, 3), (B, 3)]), B, moved(), Need::Evict),
        ("and is leaving already", away(live(&[(A, 3), (B, 3)]), B), B, moved(), Need::Evict),
        ("it is behind", live(&[(A, 3), (B, 2)]), B, moved(), Need::Evict),
        ("it has lost a conflict", live(&[(A, 3), (B, 0)]), B, moved(), Need::SetAside),
        ("the target has nothing", live(&[(B, 3)]), B, moved(), Need::Nothing),
        ("the target is behind", live(&[(A, 2), (B, 3)]), B, moved(), Need::Nothing),
        ("both are, and another isn't", live(&[(A, 2), (B, 2), (C, 3)]), B, moved(), Need::Place),
        ("the target lost it again", away(live(&[(B, 3)]), B), B, moved(), Need::Hash),
        ("the target is in doubt", away(live(&[(A, 3), (B, 3)]), A), B, moved(), Need::Nothing),
        ("the target tells", away(live(&[(A, 3), (B, 3)]), A), A, moved(), Need::Hash),
        ("nothing was verified", bare(&[(A, 3), (B, 2)]), B, moved(), Need::Nothing),
        ("the target is to verify", bare(&[(A, 3), (B, 2)]), A, moved(), Need::Hash),
        ("one of two targets", live(&[(A, 3), (C, 3)]), C, two(), Need::Nothing),
        ("both targets", live(&[(A, 3), (B, 3), (C, 3)]), C, two(), Need::Evict),
        (
            "no target",
            live(&[(A, 3), (B, 3)]),
            B,
            Wish { targets: vec![], ..moved() },
            Need::Nothing,
        ),
        ("too few copies", live(&[(A, 3), (B, 3)]), B, copies(), Need::Nothing),
        ("a directory", directory(&[(A, 3), (B, 3)]), B, moved(), Need::Evict),
        ("it was deleted", record(true, true, &[(A, 2), (B, 2)]), B, moved(), Need::Remove),
    ];
    for (name, record, service, wish, expected) in table {
        assert_eq!(need(&record, service, &wish), expected, "{name}");
    }
}

#[test]
fn every_cell_of_a_service_that_may_never_hold_it() {
    let only = || Wish { only: Some(vec![A]), ..Wish::of(vec![A]) };
    let table = [
        ("absent", live(&[(A, 3)]), Need::Nothing),
        ("absent, and yet a target", live(&[(A, 3)]), Need::Nothing),
        ("behind", live(&[(A, 3), (B, 2)]), Need::Nothing),
        ("current", live(&[(A, 3), (B, 3)]), Need::Nothing),
        ("foreign", live(&[(A, 3), (B, 0)]), Need::SetAside),
        ("deleted", record(true, true, &[(B, 2)]), Need::Remove),
    ];
    for (name, record, expected) in table {
        let targets = if name.ends_with("target") { vec![A, B] } else { vec![A] };
        assert_eq!(need(&record, B, &Wish { targets, ..only() }), expected, "{name}");
    }
}

#[test]
fn what_is_excluded_asks_nothing_of_anybody() {
    let wish = Wish { excluded: true, ..moved() };
    for record in [live(&[(A, 3), (B, 2)]), live(&[(B, 0)]), record(true, true, &[(B, 2)])] {
        for service in [A, B, C] {
            assert_eq!(need(&record, service, &wish), Need::Nothing);
        }
    }
}

#[test]
fn a_service_that_can_not_keep_it_has_nothing_to_do_but_to_give_way() {
    let wish = |target: bool| {
        let targets = if target { vec![A, B] } else { vec![A] };
        Wish { unable: vec![B], ..Wish::of(targets) }
    };
    let dead = |holders: &[_]| record(true, true, holders);
    let table = [
        ("absent", live(&[(A, 3)]), true, Need::Unable),
        ("no target", live(&[(A, 3)]), false, Need::Nothing),
        ("it has what stood there before", live(&[(A, 3), (B, 2)]), true, Need::Unable),
        ("and is no target any more", live(&[(A, 3), (B, 2)]), false, Need::Unable),
        ("it keeps it all the same", live(&[(A, 3), (B, 3)]), true, Need::Nothing),
        ("another content of its own", live(&[(A, 3), (B, 0)]), true, Need::SetAside),
        ("deleted", dead(&[(B, 2)]), true, Need::Remove),
        ("deleted, and never there", dead(&[(A, 3)]), true, Need::Nothing),
        ("nobody has it any more", live(&[(B, 2)]), true, Need::Hash),
    ];
    for (name, record, target, expected) in table {
        assert_eq!(need(&record, B, &wish(target)), expected, "{name}");
    }
    let forbidden = Wish { only: Some(vec![A]), ..wish(false) };
    assert_eq!(need(&live(&[(A, 3), (B, 2)]), B, &forbidden), Need::Nothing);
    let moved = Wish { unable: vec![A], ..moved() };
    assert_eq!(need(&live(&[(B, 3)]), B, &moved), Need::Nothing, "it can't come where it is to go");
    assert!(!Need::Unable.is_work() && !Need::Nothing.is_work() && Need::Place.is_work());
}
