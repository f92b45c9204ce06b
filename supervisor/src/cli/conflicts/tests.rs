use onitu_core::Path;

use super::*;

fn side(size: u64, mtime_s: i64, services: &[&str], edited: bool) -> SideStatus {
    SideStatus {
        kind: Kind::File,
        size,
        mtime_ns: mtime_s * 1_000_000_000,
        services: services.iter().map(|name| (*name).to_owned()).collect(),
        edited,
    }
}

pub(super) fn conflict(path: &str, kept: &str, date: &str) -> ConflictStatus {
    ConflictStatus {
        path: Path::new(path).expect("legal"),
        kept: Path::new(kept).expect("legal"),
        service: "nas".to_owned(),
        date: date.to_owned(),
        at_path: Some(side(2_000, 1_795_359_960, &["laptop", "nas"], false)),
        at_kept: Some(side(20, 1_795_356_360, &["nas"], true)),
    }
}

#[test]
fn where_no_times_are_kept_none_is_told() {
    let mut conflict = conflict("a", "a (conflict nas a9993e3)", "2026-11-22T15:06:00Z");
    conflict.at_kept = Some(side(20, 0, &["nas"], false));
    let text = text(&[conflict], &TimeZone::UTC);
    assert!(text.contains("20 B") && !text.contains("1970"), "{text}");
}

#[test]
fn conflicts_for_a_person() {
    let mut conflicts = [
        conflict("a.txt", "a (conflict nas a9993e3).txt", "2026-11-22T15:06:00.25Z"),
        conflict("d/long name", "d/long name (conflict nas 1234567)", "yesterday"),
        conflict("thing", "thing (conflict nas 7654321)", "2026-11-22T15:06:00Z"),
    ];
    conflicts[1].at_path = None;
    conflicts[2].at_path =
        Some(SideStatus { kind: Kind::Directory, services: Vec::new(), ..side(0, 0, &[], false) });
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    insta::assert_snapshot!(text(&conflicts, &zone), @r"
    a.txt: in conflict since 2026-11-22 16:06
      a.txt                         keeps the name      1.9 KiB  2026-11-22 16:06  on laptop, nas
      a (conflict nas a9993e3).txt  the content of nas     20 B  2026-11-22 15:06  on nas, edited since

    d/long name: in conflict since yesterday
      d/long name                         keeps the name            gone
      d/long name (conflict nas 1234567)  the content of nas  20 B  2026-11-22 15:06  on nas, edited since

    thing: in conflict since 2026-11-22 16:06
      thing                         keeps the name      directory                    nowhere yet
      thing (conflict nas 7654321)  the content of nas       20 B  2026-11-22 15:06  on nas, edited since
    ");
}
