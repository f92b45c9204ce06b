//! `quota`: what a service has no room for waits, or goes to another one.

use onitu_tests::{House, soon};

fn used(house: &House, service: &str) -> u64 {
    house.service(service).map_or(0, |it| it["used_bytes"].as_u64().unwrap_or(0))
}

fn is_told(house: &House, path: &str) {
    soon("it is told why it waits", || {
        let told = house.run(&["explain", path, "--json"]).stdout;
        String::from_utf8_lossy(&told).contains("no room in the quota of `small`")
    });
}

#[test]
fn what_has_no_room_waits_and_comes_by_itself_when_there_is_some() {
    let mut house = House::prepared(&["big", "small"]);
    house.add_option("small", "quota = \"100 kB\"");
    house.up();
    let (big, small) = (house.files("big"), house.files("small"));
    big.write("first", vec![1; 60_000]);
    house.wait();
    assert_eq!(used(&house, "small"), 60_000);
    assert!(house.say(&["status"]).contains("58.5 KiB of 97.6 KiB used"));
    big.write("second", vec![2; 60_000]);
    is_told(&house, "second");
    big.write("third", vec![3; 30_000]);
    soon("what fits comes", || small.has("third"));
    assert!(!small.has("second"));
    let status = house.service("small").unwrap();
    assert_eq!(status["quota_bytes"], 100_000);
    assert!(status["problems"].to_string().contains("second"), "{status}");
    // Also after a restart.
    house.stop();
    house.up();
    is_told(&house, "second");
    big.remove("first");
    house.wait();
    assert_eq!(small.read("second").unwrap(), vec![2; 60_000]);
    assert_eq!(used(&house, "small"), 90_000);
    house.assert_alike();
}

#[test]
fn an_update_that_has_no_room_leaves_the_old_version_until_the_quota_is_raised() {
    let mut house = House::prepared(&["big", "small"]);
    house.add_option("small", "quota = \"100 kB\"");
    house.up();
    let (big, small) = (house.files("big"), house.files("small"));
    big.write("a", vec![1; 50_000]);
    house.wait();
    big.write("a", vec![2; 150_000]);
    is_told(&house, "a");
    assert_eq!(small.read("a").unwrap(), vec![1; 50_000], "whole, as it was");
    house.set_options("small", &["quota = \"1 MB\""]);
    house.say(&["reload"]);
    house.wait();
    assert_eq!(small.read("a").unwrap(), vec![2; 150_000]);
    house.assert_alike();
}

#[test]
fn many_files_at_once_never_exceed_the_quota() {
    let mut house = House::prepared(&["big", "small"]);
    house.add_option("small", "quota = \"100 kB\"");
    let (big, small) = (house.files("big"), house.files("small"));
    for at in 0..100 {
        big.write(format!("{at}"), vec![at; 4_000]);
    }
    house.up();
    soon("it is full", || (0..100).filter(|at| small.has(format!("{at}"))).count() >= 25);
    is_told(&house, "99");
    soon("all of it counts", || used(&house, "small") == 100_000);
    let there = (0..100).filter(|at| small.has(format!("{at}"))).count();
    assert_eq!(there, 25);
}

#[test]
fn copies_that_may_be_on_any_of_some_services_go_where_there_is_room() {
    let mut house = House::prepared(&["big", "other", "small"]);
    house.add_option("small", "quota = \"10 kB\"");
    house.set_rules("sync everything to big\nkeep 1 copy of \"Archive/**\" on any of small, other");
    house.add_option("big", "mode = \"source\"");
    house.up();
    let (big, other, small) = (house.files("big"), house.files("other"), house.files("small"));
    big.write("Archive/a", vec![1; 8_000]);
    house.wait();
    assert!(small.has("Archive/a") && !other.has("Archive/a"));
    big.write("Archive/b", vec![2; 8_000]);
    house.wait();
    assert_eq!(other.read("Archive/b").unwrap(), vec![2; 8_000]);
    assert!(!small.has("Archive/b"));
}
