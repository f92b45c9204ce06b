use onitu_core::{Checksum, Content, Tag, Wish, need};

use super::*;

const A: ServiceId = ServiceId(1);
const B: ServiceId = ServiceId(2);

fn tag(text: &str) -> Tag {
    Tag::of(text.as_bytes())
}

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

fn record(revision: u64, gone: bool, holders: &[(ServiceId, u64, &str)]) -> Record {
    let content = Content {
        kind: Kind::File,
        size: 1,
        mtime_ns: 1,
        executable: false,
        checksum: Some(Checksum::of(b"x")),
        media: None,
    };
    let mut record = Record { revision, gone, ..Record::new(content) };
    for (service, revision, held) in holders {
        record.set_holder(*service, *revision, tag(held));
    }
    record
}

struct Asked {
    record: Record,
    moved: Option<Record>,
    children: Children,
    fresh: bool,
}

impl Asked {
    fn of(record: Record) -> Self {
        Self { record, moved: None, children: Children::None, fresh: true }
    }

    fn plan(&self, sources: &[Origin]) -> Plan {
        let question = Question {
            path: &path("old"),
            record: &self.record,
            service: B,
            need: need(&self.record, B, &Wish::of(vec![B])),
            moved: self.moved.as_ref(),
            children: self.children,
            fresh: self.fresh,
        };
        plan(&question, sources)
    }
}

const FROM_A: &[Origin] = &[Origin { service: A, tag: Tag([1; 6]) }];

#[test]
fn a_missing_file_is_pulled_and_an_old_one_replaced() {
    let missing = Asked::of(record(2, false, &[(A, 2, "a")]));
    assert!(matches!(
        missing.plan(FROM_A),
        Plan::Do(Action::Pull { revision: 2, expect: None, .. })
    ));
    let old = Asked::of(record(2, false, &[(A, 2, "a"), (B, 1, "b")]));
    let Plan::Do(Action::Pull { expect, sources, .. }) = old.plan(FROM_A) else {
        panic!("no pull")
    };
    assert_eq!((expect, sources.as_slice()), (Some(tag("b")), FROM_A));
}

#[test]
fn without_a_source_a_pull_waits() {
    let missing = Asked::of(record(2, false, &[(A, 2, "a")]));
    assert!(matches!(missing.plan(&[]), Plan::Wait(_)));
}

#[test]
fn a_directory_needs_no_source() {
    let mut asked = Asked::of(record(2, false, &[(A, 2, "a")]));
    asked.record.content = Content::DIRECTORY;
    assert_eq!(asked.plan(&[]), Plan::Do(Action::MakeDirectory { revision: 2, expect: None }));
}

#[test]
fn a_file_that_stands_under_its_old_name_is_renamed() {
    let mut asked = Asked::of(record(1, false, &[(A, 1, "a")]));
    asked.record.moved = Some(path("former"));
    asked.moved = Some(record(4, true, &[(B, 3, "b")]));
    let Plan::Do(Action::Rename { from, expect_from, expect, .. }) = asked.plan(FROM_A) else {
        panic!("no rename")
    };
    assert_eq!((from, expect_from, expect), (path("former"), tag("b"), None));
}

#[test]
fn a_doubtful_rename_is_a_pull() {
    let mut asked = Asked::of(record(1, false, &[(A, 1, "a")]));
    asked.record.moved = Some(path("former"));
    let still_there = record(3, false, &[(A, 3, "a"), (B, 3, "b")]);
    let behind = record(4, true, &[(B, 2, "b")]);
    let mut other = record(4, true, &[(B, 3, "b")]);
    other.content.checksum = Some(Checksum::of(b"y"));
    let mut unhashed = record(4, true, &[(B, 3, "b")]);
    unhashed.content.checksum = None;
    // The old name's end may be on its way, for a moment.
    asked.moved = Some(still_there.clone());
    assert!(matches!(asked.plan(FROM_A), Plan::Wait(_)));
    asked.fresh = false;
    for former in [None, Some(still_there), Some(behind), Some(other), Some(unhashed)] {
        asked.moved = former;
        assert!(matches!(asked.plan(FROM_A), Plan::Do(Action::Pull { .. })), "{:?}", asked.moved);
    }
}

#[test]
fn a_deleted_file_is_removed() {
    let asked = Asked::of(record(3, true, &[(B, 2, "b")]));
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::Remove { expect: tag("b") }));
}

#[test]
fn a_renamed_file_waits_for_its_rename_but_not_for_ever() {
    let mut asked = Asked::of(record(3, true, &[(B, 2, "b")]));
    asked.record.moved = Some(path("new"));
    assert!(matches!(asked.plan(FROM_A), Plan::Wait(_)));
    let mut new = record(1, false, &[(A, 1, "a")]);
    new.moved = Some(path("old"));
    asked.moved = Some(new.clone());
    assert!(matches!(asked.plan(FROM_A), Plan::Wait(_)));
    asked.fresh = false;
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::Remove { expect: tag("b") }));
    asked.fresh = true;
    new.set_holder(B, 1, tag("n"));
    asked.moved = Some(new);
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::Remove { expect: tag("b") }));
}

#[test]
fn a_directory_goes_after_its_content() {
    let mut asked = Asked::of(record(3, true, &[(B, 2, "b")]));
    asked.record.content = Content::DIRECTORY;
    asked.children = Children::Going;
    assert!(matches!(asked.plan(FROM_A), Plan::Wait(_)));
    asked.children = Children::Living;
    assert_eq!(asked.plan(FROM_A), Plan::Keep);
    asked.children = Children::None;
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::Remove { expect: tag("b") }));
}

#[test]
fn a_foreign_content_is_set_aside_once_it_can_be_compared() {
    let asked = Asked::of(record(2, false, &[(A, 2, "a"), (B, 0, "b")]));
    let unless = Some(Checksum::of(b"x"));
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::SetAside { expect: tag("b"), unless }));
    let mut unhashed = Asked::of(record(2, false, &[(A, 2, "a"), (B, 0, "b")]));
    unhashed.record.content.checksum = None;
    assert!(matches!(unhashed.plan(FROM_A), Plan::Wait(_)));
    let at_tombstone = Asked::of(record(3, true, &[(B, 0, "b")]));
    assert_eq!(
        at_tombstone.plan(FROM_A),
        Plan::Do(Action::SetAside { expect: tag("b"), unless: None })
    );
}

#[test]
fn a_holder_is_asked_for_a_checksum_that_somebody_waits_for() {
    let mut asked = Asked::of(record(2, false, &[(A, 0, "a"), (B, 2, "b")]));
    asked.record.content.checksum = None;
    assert_eq!(asked.plan(&[]), Plan::Do(Action::Hash { expect: tag("b") }));
}

#[test]
fn nothing_needed_is_nothing_done() {
    let asked = Asked::of(record(2, false, &[(A, 2, "a"), (B, 2, "b")]));
    assert_eq!(asked.plan(FROM_A), Plan::Nothing);
}

#[test]
fn what_is_in_a_deleted_directory_goes_with_it_unless_it_was_made_elsewhere_meanwhile() {
    let tombstone = record(3, true, &[(B, 2, "d")]);
    let seen_below = |inside: &[Record]| below(B, &tombstone, inside.iter());
    assert_eq!(seen_below(&[]), Children::None);
    assert_eq!(seen_below(&[record(3, true, &[(A, 2, "x")])]), Children::None);
    assert_eq!(seen_below(&[record(3, true, &[(B, 2, "x")])]), Children::Going);
    // Deleted on A together with its directory; that event comes a moment later.
    assert_eq!(seen_below(&[record(2, false, &[(A, 2, "x"), (B, 2, "y")])]), Children::Going);
    // A file took the directory's place on A; what was in it goes a moment later.
    let file = record(3, false, &[(A, 3, "f"), (B, 2, "d")]);
    let inside = [record(2, false, &[(A, 2, "x"), (B, 2, "y")])];
    assert_eq!(below(B, &file, inside.iter()), Children::Going);
    // Made on B in the directory that A deleted.
    assert_eq!(seen_below(&[record(1, false, &[(B, 1, "y")])]), Children::Living);
}

#[test]
fn what_was_behind_a_deleted_directory_is_removed_as_what_it_is() {
    let mut asked = Asked::of(record(5, true, &[(A, 4, "a"), (B, 2, "a file")]));
    asked.record.content = Content::DIRECTORY;
    asked.children = Children::Living;
    assert_eq!(asked.plan(FROM_A), Plan::Do(Action::Remove { expect: tag("a file") }));
}
