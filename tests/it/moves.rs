//! Rules that take files away from a service: only what was approved of, and never too early.

use std::time::Duration;

use onitu_tests::{House, set_modified_ns, soon, within};

const MOVE: &str = "sync everything to laptop, nas\nmove \"Archive/**\" to nas";

/// The id of the plan of the rules in force.
fn plan(house: &House) -> String {
    house.json(&["plan", "--json"])["id"].as_str().unwrap().to_owned()
}

/// How a service holds a path, as `explain` tells it.
fn holder(house: &House, path: &str, service: &str) -> serde_json::Value {
    let told = house.json(&["explain", path, "--json"]);
    let holders = told["holders"].as_array().unwrap();
    holders.iter().find(|it| it["service"] == service).cloned().unwrap_or_default()
}

#[test]
fn a_moved_file_leaves_its_service_when_the_other_has_it_and_can_be_had_back() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules(MOVE);
    house.up();
    house.wait();
    house.files("laptop").write("Archive/2025/tax.pdf", "numbers");
    house.files("laptop").write("letter.txt", "dear");
    house.wait();
    assert_eq!(house.files("nas").read("Archive/2025/tax.pdf").unwrap(), b"numbers");
    assert!(!house.files("laptop").has("Archive/2025/tax.pdf"));
    assert!(house.files("laptop").has("letter.txt") && house.files("nas").has("letter.txt"));
    assert!(house.say(&["trash", "list"]).contains("Archive/2025/tax.pdf"));
    // An edit where it is now is no reason for it to come back.
    house.files("nas").write("Archive/2025/tax.pdf", "other numbers");
    house.wait();
    assert!(!house.files("laptop").has("Archive/2025/tax.pdf"));
    // Nothing is taken for a deletion by a scan either.
    house.stop();
    house.up();
    house.wait();
    assert_eq!(house.files("nas").read("Archive/2025/tax.pdf").unwrap(), b"other numbers");
}

#[test]
fn nothing_leaves_while_the_service_that_should_have_it_is_away() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules(MOVE);
    house.up();
    house.wait();
    house.say(&["pause", "nas"]);
    house.files("laptop").write("Archive/a.bin", "bytes");
    soon("it is noticed", || house.status()["pending"] != 0);
    assert!(!within(Duration::from_secs(4), || !house.files("laptop").has("Archive/a.bin")));
    let told = house.say(&["explain", "Archive/a.bin"]);
    assert!(told.contains("waits until `nas` has revision 1"), "{told}");
    house.say(&["resume", "nas"]);
    house.wait();
    assert!(house.files("nas").has("Archive/a.bin") && !house.files("laptop").has("Archive/a.bin"));
}

#[test]
fn a_file_that_only_two_of_three_may_hold_never_comes_to_the_third_and_goes_from_there() {
    let mut house = House::prepared(&["laptop", "nas", "cloud"]);
    house.set_rules(
        "sync everything to laptop, nas, cloud\nkeep \"Private/**\" only on laptop, nas",
    );
    house.up();
    house.wait();
    house.files("laptop").write("Private/diary.txt", "dear diary");
    house.files("cloud").write("Private/upload.txt", "by mistake");
    house.files("cloud").write("Public/x", "y");
    house.wait();
    for service in ["laptop", "nas"] {
        assert_eq!(house.files(service).read("Private/diary.txt").unwrap(), b"dear diary");
        assert_eq!(house.files(service).read("Private/upload.txt").unwrap(), b"by mistake");
    }
    assert!(!house.files("cloud").has("Private"), "not even the empty directory");
    assert!(house.files("laptop").has("Public/x"));
    let told = house.json(&["explain", "Private/new.txt", "--json"]);
    assert_eq!(told["only"], serde_json::json!(["laptop", "nas"]));
}

#[test]
fn a_reload_adds_and_what_it_would_remove_waits_for_the_plan_to_be_applied() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules("sync everything to laptop\nsync \"Music/**\" to nas");
    house.files("laptop").write("Archive/a.bin", "bytes");
    house.files("laptop").write("Music/song", "la");
    house.up();
    house.wait();
    house.set_rules(MOVE);
    let said = house.tell(&["reload"]);
    assert!(said.contains("onitu plan"), "{said}");
    house.wait();
    assert!(house.files("nas").has("Archive/a.bin") && house.files("laptop").has("Archive/a.bin"));
    let first = plan(&house);
    let told = house.say(&["plan"]);
    assert!(told.contains("removes 1 file") && told.contains(&first), "{told}");
    // The world changes: one file more would go.
    house.files("laptop").write("Archive/b.bin", "bytes");
    house.wait();
    let refusal = house.fail(&["apply", &first], 1);
    assert!(refusal.contains("the world changed since: run `onitu plan` again"), "{refusal}");
    assert!(house.files("laptop").has("Archive/a.bin"));
    // What holds it back outlives everything but the state directory.
    house.stop();
    house.up();
    house.wait();
    house.redis(&["FLUSHALL"]);
    soon("all is known again", || house.status()["entries"] == 5);
    house.wait();
    assert!(house.files("laptop").has("Archive/a.bin"));
    let applied = house.json(&["apply", &plan(&house), "--json"]);
    assert!(applied["message"].as_str().is_some_and(|it| it.starts_with("2 files")), "{applied}");
    house.wait();
    assert!(!house.files("laptop").has("Archive/a.bin"));
    assert!(!house.files("laptop").has("Archive/b.bin"));
    assert!(house.files("nas").has("Archive/a.bin") && house.files("nas").has("Archive/b.bin"));
    // What was approved of survives the loss of the store, too.
    house.redis(&["FLUSHALL"]);
    soon("all is known again", || house.status()["entries"] == 5);
    house.files("laptop").write("Archive/c.bin", "bytes");
    house.wait();
    assert!(!house.files("laptop").has("Archive/c.bin") && house.files("nas").has("Archive/c.bin"));
}

#[test]
fn a_driver_that_was_killed_between_removing_and_telling_has_deleted_nothing() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules(MOVE);
    house.up();
    house.wait();
    house.files("laptop").write("Archive/a.bin", "bytes");
    soon("it is leaving", || holder(&house, "Archive/a.bin", "laptop")["leaving"] == true);
    house.say(&["pause", "laptop"]);
    // As the driver would have done it in its last instant.
    if house.files("laptop").has("Archive/a.bin") {
        house.files("laptop").remove("Archive/a.bin");
    }
    house.say(&["resume", "laptop"]);
    house.wait();
    assert_eq!(house.files("nas").read("Archive/a.bin").unwrap(), b"bytes");
    assert!(!house.files("laptop").has("Archive/a.bin"));
}

#[test]
fn killed_again_and_again_while_hundreds_of_files_leave_it_a_driver_deletes_none() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules(MOVE);
    house.up();
    house.wait();
    let files = house.files("laptop");
    for at in 0..300 {
        files.write(format!("Archive/{}/{at}", at % 7), format!("{at}").repeat(at));
    }
    let left = || (0..300).filter(|at| files.has(format!("Archive/{}/{at}", at % 7))).count();
    for below in [300, 200, 100] {
        within(Duration::from_secs(10), || left() < below);
        house.kill9("driver-laptop");
    }
    house.wait();
    for at in 0..300 {
        let path = format!("Archive/{}/{at}", at % 7);
        assert_eq!(house.files("nas").read(&path).unwrap(), format!("{at}").repeat(at).as_bytes());
        assert!(!files.has(&path), "{path}");
    }
    assert_eq!(house.status()["conflicts"], 0);
    assert_ne!(house.service("laptop").unwrap()["state"], "held");
}

#[test]
fn a_file_that_grows_moves_by_itself() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules("sync everything to laptop\nmove everything where size > 10 kB to nas");
    house.up();
    house.wait();
    house.files("laptop").write("log", "short");
    house.wait();
    assert!(!house.files("nas").has("log"));
    house.files("laptop").write("log", "long".repeat(5_000));
    house.wait();
    assert!(house.files("nas").has("log") && !house.files("laptop").has("log"));
}

#[test]
fn a_target_that_is_none_any_more_keeps_its_copy() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules("sync everything to laptop\nsync everything where size < 1 kB to nas");
    house.up();
    house.wait();
    house.files("laptop").write("notes", "short");
    house.wait();
    let long = "long".repeat(5_000);
    house.files("laptop").write("notes", &long);
    house.wait();
    assert_eq!(house.files("nas").read("notes").unwrap(), long.as_bytes());
}

#[test]
fn a_file_that_gets_old_moves_without_being_touched() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.set_rules("sync everything to laptop\nmove everything where older than 1 hour to nas");
    house.files("laptop").write("young", "young");
    house.files("laptop").write("old", "old");
    let now_ns = onitu_tests::modified_ns(&house.files("laptop").at("old"));
    // It comes of age some seconds from now.
    set_modified_ns(&house.files("laptop").at("old"), now_ns - 3_595_000_000_000);
    house.up();
    house.wait();
    assert!(!house.files("nas").has("old"));
    assert!(
        within(Duration::from_secs(100), || !house.files("laptop").has("old")),
        "it came of age and stayed"
    );
    assert_eq!(house.files("nas").read("old").unwrap(), b"old");
    assert!(house.files("laptop").has("young") && !house.files("nas").has("young"));
}

#[test]
fn a_path_that_rules_exclude_is_no_deletion_and_comes_back_as_it_was() {
    let mut house = House::prepared(&["laptop", "nas"]);
    house.files("laptop").write("tmp/x", "x");
    house.files("laptop").write("kept", "k");
    house.up();
    house.wait();
    house.set_rules("sync everything to laptop, nas\nnever sync \"tmp/**\"");
    house.say(&["reload"]);
    house.wait();
    soon("it is forgotten", || house.status()["entries"] == 1);
    assert!(house.files("laptop").has("tmp/x") && house.files("nas").has("tmp/x"));
    house.files("laptop").remove("tmp/x");
    house.files("laptop").write("kept", "still");
    house.wait();
    assert!(house.files("nas").has("tmp/x"), "nobody looks there");
    house.set_rules("sync everything to laptop, nas");
    house.say(&["reload"]);
    house.wait();
    assert_eq!(house.files("laptop").read("tmp/x").unwrap(), b"x");
}

#[test]
fn a_plan_of_a_file_changes_nothing_and_wrong_rules_are_refused() {
    let house = House::new(&["laptop", "nas"]);
    house.files("laptop").write("Archive/a.bin", "bytes");
    house.wait();
    house.write("new.rules", MOVE);
    let file = house.path().join("new.rules");
    let told = house.json(&["plan", "--rules", file.to_str().unwrap(), "--json"]);
    let laptop = told["services"].as_array().unwrap().iter().find(|it| it["name"] == "laptop");
    assert_eq!(laptop.unwrap()["removed"]["files"], 1);
    let refusal = house.fail(&["apply", told["id"].as_str().unwrap()], 1);
    assert!(refusal.contains("other rules than those in force"), "{refusal}");
    house.write("wrong.rules", "mvoe everything to nas");
    let file = house.path().join("wrong.rules");
    house.fail(&["plan", "--rules", file.to_str().unwrap()], 78);
    assert!(house.files("laptop").has("Archive/a.bin"));
}
