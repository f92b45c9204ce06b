use onitu_core::{ServiceId, Tag};

use super::*;
use crate::tests::{path, record, registry};

const A: &str = "a.txt";

fn conflict(service: u16) -> Conflict {
    // `printf mine | sha1sum`
    let kept = path("a (conflict nas 8034c43).txt");
    Conflict { path: path(A), kept, service: ServiceId(service), at_ms: 1_000 }
}

fn aged(text: &str, mtime_ns: i64, holders: &[u16]) -> Record {
    let mut record = record(Kind::File, text, holders);
    record.content.mtime_ns = mtime_ns;
    record
}

fn meant(record: Option<&Record>, copy: &Record, keep: &str) -> Result<Way, String> {
    let registry = registry(&["laptop", "nas", "usb"]);
    way(&registry, &conflict(2), record, copy, &Keep::from(keep))
}

#[test]
fn a_service_means_the_content_it_wrote_or_the_one_it_holds() {
    let (now, copy) = (aged("theirs", 5, &[1, 2]), aged("mine", 7, &[1, 2]));
    assert_eq!(meant(Some(&now), &copy, "nas"), Ok(Way::TakeCopy));
    assert_eq!(meant(Some(&now), &copy, "laptop"), Ok(Way::RemoveCopy));
    let neither = meant(Some(&now), &copy, "usb").unwrap_err();
    assert!(neither.contains("neither") && neither.contains("`usb`"), "{neither}");
    let nothing = meant(None, &copy, "laptop").unwrap_err();
    assert!(nothing.contains("--keep nas"), "{nothing}");
    assert_eq!(meant(None, &copy, "nas"), Ok(Way::TakeCopy));
}

#[test]
fn the_newest_is_the_one_changed_last_and_a_draw_changes_nothing() {
    let copy = aged("mine", 7, &[1, 2]);
    for (mtime_ns, way) in [(5, Way::TakeCopy), (7, Way::RemoveCopy), (9, Way::RemoveCopy)] {
        let now = aged("theirs", mtime_ns, &[1, 2]);
        assert_eq!(meant(Some(&now), &copy, "newest"), Ok(way));
        assert_eq!(meant(Some(&now), &copy, "both"), Ok(Way::KeepBoth));
    }
    assert_eq!(meant(None, &copy, "newest"), Ok(Way::TakeCopy));
}

#[test]
fn only_a_service_that_holds_both_and_may_be_written_to_is_asked() {
    let mut registry = registry(&["laptop", "nas", "usb", "sd"]);
    registry.services[0].mode = Mode::Source;
    registry.services[2].paused = true;
    let mut copy = aged("mine", 7, &[1, 2, 3, 4]);
    let able = |record: Option<&Record>, copy: &Record| -> Vec<String> {
        able(&registry, record, copy).map(|service| service.name.clone()).collect()
    };
    let now = aged("theirs", 5, &[1, 2, 3]);
    assert_eq!(able(Some(&now), &copy), ["nas"]);
    assert_eq!(able(None, &copy), ["nas", "sd"]);
    copy.set_holder(ServiceId(2), 0, Tag::of(b"x"));
    assert!(able(Some(&now), &copy).is_empty());
}

#[test]
fn both_sides_are_shown_as_they_are_now() {
    let registry = registry(&["laptop", "nas"]);
    let (now, copy) = (aged("theirs", 5, &[1, 2]), aged("mine", 7, &[2]));
    let status = shown(&registry, &conflict(2), Some(&now), Some(&copy));
    assert_eq!(status.date, "1970-01-01T00:00:01Z");
    let (at_path, at_kept) = (status.at_path.unwrap(), status.at_kept.unwrap());
    assert_eq!((at_path.size, at_path.mtime_ns, at_path.edited), (6, 5, false));
    assert_eq!(at_path.services, ["laptop", "nas"]);
    assert_eq!((at_kept.size, at_kept.services, at_kept.edited), (4, vec!["nas".into()], false));

    let (now, copy) = (aged("again", 2_000_000_000, &[1]), aged("other", 7, &[2]));
    let status = shown(&registry, &conflict(2), Some(&now), Some(&copy));
    assert!(status.at_path.unwrap().edited && status.at_kept.unwrap().edited);

    let gone = Record { gone: true, ..now };
    let status = shown(&registry, &conflict(2), Some(&gone), None);
    assert_eq!((status.at_path, status.at_kept), (None, None));
}
