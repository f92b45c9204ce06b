use onitu_core::Path;

use super::*;

fn share(paths: &[&str], files: u64, bytes: u64) -> Share {
    let examples = paths.iter().map(|path| Path::new(path).expect("valid")).collect();
    Share { files, bytes, examples }
}

fn plan(in_force: bool) -> Plan {
    let nothing = ServicePlan { name: "usb".to_owned(), ..ServicePlan::default() };
    let laptop = ServicePlan {
        name: "laptop".to_owned(),
        removed: share(&["a/one.iso", "a/two.iso", "b/three.iso"], 1_200, 48_000_000_000),
        directories: 2,
        ..ServicePlan::default()
    };
    let nas = ServicePlan {
        name: "nas".to_owned(),
        copied: share(&["a/two.iso"], 1, 3_000_000_000),
        renamed: share(&["b/three.iso"], 1, 0),
        ..ServicePlan::default()
    };
    Plan {
        id: "3fa2bc-91bc04de77".to_owned(),
        in_force,
        waits_for_reload: false,
        services: vec![laptop, nas, nothing],
        one_copy: share(&["a/one.iso", "a/two.iso", "b/three.iso"], 1_200, 48_000_000_000),
        unplaced: share(&["x\u{1b}[2J"], 1, 5),
        forgotten: Share::default(),
        pending: 3,
    }
}

#[test]
fn a_plan_says_what_each_service_gets_and_loses() {
    insta::assert_snapshot!(text(&plan(true), Paint::Plain), @r"
    laptop
      removes 1,200 files          44.7 GiB  a/one.iso, a/two.iso, b/three.iso …
      removes 2 empty directories
    nas
      gets 1 file     2.7 GiB  a/two.iso
      renames 1 file      0 B  b/three.iso
    1,200 files will have one copy only (a/one.iso, a/two.iso, b/three.iso …)
    1 file no statement places: they stay where they are (x\u{1b}[2J)
    3 changes under way: it may come out otherwise when they are done
    plan 3fa2bc-91bc04de77: `onitu apply 3fa2bc-91bc04de77` has what is to be removed removed, each file once every service that should have it does
    ");
}

#[test]
fn a_plan_of_other_rules_says_what_has_to_come_first() {
    insta::assert_snapshot!(next(&plan(false)), @"plan 3fa2bc-91bc04de77: once these rules are the configuration's and reloaded, `onitu apply 3fa2bc-91bc04de77` has the rest removed");
}

#[test]
fn a_plan_that_changes_nothing_says_so() {
    let plan = Plan { id: "000000-0000000000".to_owned(), in_force: true, ..Plan::default() };
    insta::assert_snapshot!(text(&plan, Paint::Plain), @r"
    no file is copied, renamed or removed
    plan 000000-0000000000: nothing waits for `onitu apply`
    ");
}
