//! What statements mean, alone and together.

use super::*;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

fn place_at(text: &str, at: &str, holders: &[u16]) -> Placement {
    let at = path(at);
    let holders: Vec<ServiceId> = holders.iter().copied().map(ServiceId).collect();
    rules(text).place(&file(&at, 1), &services(&["laptop", "nas", "s3"]), &holders)
}

fn stay(placement: &Placement) -> Option<Vec<u16>> {
    placement.stay.as_deref().map(numbers)
}

#[test]
fn only_on_places_and_restricts() {
    let text = "sync everything to laptop, s3\nkeep \"Private/**\" only on laptop, nas";
    let private = place_at(text, "Private/a", &[1]);
    assert_eq!(numbers(&private.targets), [1, 2]);
    assert_eq!(private.only.as_deref().map(numbers), Some(vec![1, 2]));
    assert_eq!(stay(&private), Some(vec![1, 2]));
    let other = place_at(text, "a", &[1]);
    assert_eq!((numbers(&other.targets), other.only, other.stay), (vec![1, 3], None, None));
}

#[test]
fn a_restricted_directory_restricts_all_below_it() {
    for glob in ["Private", "**/Private", "Pri*", "Private/**"] {
        let text = format!("sync everything to s3\nkeep \"{glob}\" only on nas");
        for at in ["Private", "Private/a", "Private/deep/down"] {
            assert_eq!(numbers(&place_at(&text, at, &[]).targets), [2], "{at} of {glob}");
        }
        assert_eq!(numbers(&place_at(&text, "Public/a", &[]).targets), [3]);
    }
}

#[test]
fn of_several_restrictions_all_hold() {
    let text = "keep \"a/**\" only on laptop, nas\nkeep \"**/*.key\" only on nas, s3";
    let both = place_at(text, "a/b.key", &[]);
    assert_eq!((numbers(&both.targets), stay(&both)), (vec![2], Some(vec![2])));
}

#[test]
fn what_no_service_may_hold_is_given_to_nobody_and_taken_from_nobody() {
    let text = "sync everything to s3\nkeep \"a/**\" only on laptop\nkeep \"**/*.key\" only on nas";
    let nobody = place_at(text, "a/b.key", &[1, 3]);
    assert_eq!((numbers(&nobody.targets), nobody.only, nobody.stay), (vec![], Some(vec![]), None));
}

#[test]
fn never_beats_everything_and_covers_what_is_below() {
    let text = "sync everything to nas\nkeep \"a.tmp\" only on s3\nmove \"**/*.tmp\" to laptop\n\
                never sync \"**/*.tmp\", \"**/.git/**\", \"build\"";
    for at in ["a.tmp", "d/a.tmp", "x.tmp/y", "d/.git", ".git/x/y", "build", "build/x"] {
        let excluded = Placement { excluded: true, ..Placement::default() };
        assert_eq!(place_at(text, at, &[1, 2, 3]), excluded, "{at}");
        assert!(rules(text).excludes(&path(at)), "{at}");
    }
    for at in ["a.tmpx", "git", "d/build", "builds/x"] {
        assert_eq!(numbers(&place_at(text, at, &[]).targets), [2], "{at}");
        assert!(!rules(text).excludes(&path(at)), "{at}");
    }
    assert!(rules("never sync everything").excludes(&path("a")));
    assert!(!Rules::everywhere().excludes(&path("a")));
}

#[test]
fn move_takes_the_place_of_sync_and_then_removes_elsewhere() {
    let text = "sync everything to laptop, s3\nmove \"Camera/**\" to nas";
    let moved = place_at(text, "Camera/a.jpg", &[1]);
    assert_eq!((numbers(&moved.targets), stay(&moved)), (vec![2], Some(vec![2])));
    assert_eq!(moved.only, None, "others may have it on its way");
    assert_eq!(stay(&place_at(text, "a.jpg", &[1])), None);
    let at = path("Camera");
    let directory = Facts { kind: Some(Kind::Directory), ..file(&at, 0) };
    let there = rules(text).place(&directory, &services(&["laptop", "nas", "s3"]), &[]);
    assert_eq!((numbers(&there.targets), there.stay), (vec![1, 2, 3], None), "it isn't moved away");
}

#[test]
fn nothing_is_removed_elsewhere_while_a_named_service_cant_get_it() {
    let unknown = |text: &str| {
        let rules = Rules::parse(text, &names()).0.expect("only warnings");
        rules.place(&file(&path("a"), 1), &services(&["laptop", "nas", "s3"]), &[ServiceId(1)])
    };
    for text in ["move everything to nas, nsa", "keep everything only on nas, nsa"] {
        let placed = unknown(text);
        assert_eq!((numbers(&placed.targets), placed.stay), (vec![2], None), "{text}");
    }
    let only = unknown("keep everything only on nsa");
    assert_eq!((only.targets, only.only, only.stay), (vec![], Some(vec![]), None));
    let mut services = services(&["laptop", "nas", "s3"]);
    services[1].mode = Mode::Source;
    let at = path("a");
    for text in ["move everything to nas", "keep everything only on laptop, nas"] {
        let placed = rules(text).place(&file(&at, 1), &services, &[ServiceId(1)]);
        assert_eq!(placed.stay, None, "{text}");
    }
    let placed = rules("keep everything only on laptop, nas").place(
        &file(&at, 1),
        &services,
        &[ServiceId(1), ServiceId(2)],
    );
    assert_eq!(stay(&placed), Some(vec![1, 2]), "the source has it already");
}

#[test]
fn copies_stay_where_they_are_and_else_go_in_listed_order() {
    let text = "keep 2 copies of \"a/**\" on any of s3, laptop, nas";
    let table: [(&[u16], [u16; 2]); 6] = [
        (&[], [1, 3]),
        (&[2], [2, 3]),
        (&[1, 2], [1, 2]),
        (&[2, 3], [2, 3]),
        (&[1, 2, 3], [1, 3]),
        (&[9], [1, 3]),
    ];
    for (holders, expected) in table {
        let placed = place_at(text, "a/b", holders);
        assert_eq!(numbers(&placed.targets), expected, "held by {holders:?}");
        let promised = Copies { wanted: 2, candidates: [1, 2, 3].map(ServiceId).to_vec() };
        assert_eq!((placed.copies, placed.stay), (vec![promised], None));
    }
    assert_eq!(place_at(text, "b", &[]), Placement::default());
}

#[test]
fn copies_prefer_who_gets_it_anyway_and_avoid_who_is_paused() {
    let with_sync = "sync everything to nas\nkeep 2 copies of everything on any of laptop, s3, nas";
    assert_eq!(numbers(&place_at(with_sync, "a", &[]).targets), [1, 2]);
    let mut services = services(&["laptop", "nas", "s3"]);
    services[0].paused = true;
    let rules = rules("keep 2 copies of everything on any of laptop, s3, nas");
    let at = path("a");
    let targets =
        |holders: &[ServiceId]| numbers(&rules.place(&file(&at, 1), &services, holders).targets);
    assert_eq!(targets(&[]), [2, 3]);
    assert_eq!(targets(&[ServiceId(1)]), [1, 3], "a pause doesn't make it copied again");
}

#[test]
fn copies_need_candidates_that_may_hold_it() {
    let text = "keep 2 copies of everything on any of laptop, nas, s3\nkeep \"p\" only on s3";
    let placed = place_at(text, "p", &[1]);
    assert_eq!(numbers(&placed.targets), [3]);
    assert_eq!(placed.copies, [Copies { wanted: 1, candidates: vec![ServiceId(3)] }]);
    let all = place_at("keep 2 copies of everything on any of nas", "a", &[]);
    assert_eq!((numbers(&all.targets), all.copies[0].wanted), (vec![2], 1));
}

#[test]
fn a_move_leaves_the_copies_that_are_promised() {
    let text = "move everything to nas\nkeep 2 copies of everything on any of s3, laptop";
    let placed = place_at(text, "a", &[1]);
    assert_eq!((numbers(&placed.targets), stay(&placed)), (vec![1, 2, 3], Some(vec![1, 2, 3])));
    let text = "move everything to nas, s3\nkeep 2 copies of everything on any of laptop, nas, s3";
    let placed = place_at(text, "a", &[1, 3]);
    assert_eq!((numbers(&placed.targets), stay(&placed)), (vec![2, 3], Some(vec![2, 3])));
}

#[test]
fn ages_turn_at_their_instant_which_is_told() {
    let text =
        "move \"a\" where older than 90 days to nas\nsync \"a\" where newer than 30 days to s3";
    let at = path("a");
    let placed = |now_ns| {
        let facts = Facts { mtime_ns: Some(DAY_NS), now_ns, ..file(&at, 1) };
        let placed = rules(text).place(&facts, &services(&["laptop", "nas", "s3"]), &[]);
        (numbers(&placed.targets), placed.changes_at_ns)
    };
    assert_eq!(placed(0), (vec![3], Some(31 * DAY_NS)));
    assert_eq!(placed(31 * DAY_NS - 1), (vec![3], Some(31 * DAY_NS)));
    assert_eq!(placed(31 * DAY_NS), (vec![], Some(91 * DAY_NS)));
    assert_eq!(placed(91 * DAY_NS), (vec![2], None));
    let unknown = rules(text).place(&file(&at, 1), &services(&["nas"]), &[]);
    assert_eq!(unknown, Placement::default(), "no mtime, no age");
    let elsewhere = path("b");
    let facts = Facts { mtime_ns: Some(0), ..file(&elsewhere, 1) };
    assert_eq!(rules(text).place(&facts, &services(&["nas"]), &[]).changes_at_ns, None);
}

#[test]
fn a_file_knows_where_it_was_seen_first() {
    let rules = rules(
        "move everything where from laptop to nas\nsync everything where not from laptop to s3",
    );
    let at = path("a");
    let placed = |origin: Option<u16>| {
        let facts = Facts { origin: origin.map(ServiceId), ..file(&at, 1) };
        numbers(&rules.place(&facts, &services(&["laptop", "nas", "s3"]), &[]).targets)
    };
    assert_eq!((placed(Some(1)), placed(Some(2)), placed(None)), (vec![2], vec![3], vec![]));
}

#[test]
fn types_are_told_by_the_name_and_else_by_the_content() {
    let rules = rules("sync everything where type is image/*, application/pdf to nas");
    let is_met = |at: &str, media: Option<&str>| {
        let at = path(at);
        let facts = Facts { media, ..file(&at, 1) };
        !rules.place(&facts, &services(&["nas"]), &[]).targets.is_empty()
    };
    assert!(is_met("a.PNG", None) && is_met("a.pdf", Some("text/plain")));
    assert!(!is_met("a.txt", Some("image/png")), "the name tells");
    assert!(is_met("scan", Some("image/png")) && is_met("a.qqq", Some("application/pdf")));
    assert!(!is_met("scan", None) && !is_met("scan", Some("imagery/png")));
}

#[test]
fn a_type_that_nobody_has_looked_for_meets_nothing_and_its_contrary_neither() {
    let rules = rules(
        "sync everything where type is image/* to laptop
sync everything where not type is image/* to nas",
    );
    let placed = |at: &str, media: Option<&str>| {
        let at = path(at);
        let facts = Facts { media, ..file(&at, 1) };
        numbers(&rules.place(&facts, &services(&["laptop", "nas"]), &[]).targets)
    };
    assert_eq!(placed("scan", None), [0; 0], "nobody has looked");
    assert_eq!(placed("scan", Some("image/png")), [1]);
    assert_eq!(placed("scan", Some("text/plain")), [2]);
    assert_eq!(placed("scan", Some("")), [2], "looked at, and no type that is known");
    assert_eq!((placed("a.png", None), placed("a.txt", None)), (vec![1], vec![2]));
}

#[test]
fn a_record_tells_the_type_that_the_content_was_found_to_be() {
    let at = path("scan");
    let mut content = Content { kind: Kind::File, size: 1, ..Content::DIRECTORY };
    let mut media = |found| {
        content.media = found;
        Facts::of(&at, Some(&Record::new(content)), 0).media
    };
    assert_eq!(media(None), None);
    assert_eq!(media(Media::named("image/png")), Some("image/png"));
    assert_eq!(media(Some(Media::NONE)), Some(""));
    assert_eq!(media(Some(Media::of_number(60_000))), None, "a newer version's");
    content.kind = Kind::Symlink;
    assert_eq!(Facts::of(&at, Some(&Record::new(content)), 0).media, Some(""), "a link has none");
}
