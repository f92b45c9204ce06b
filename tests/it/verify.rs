//! `onitu verify`: what a service holds is compared with the records, and what is rotten is set
//! aside and fetched again.

use std::os::unix::fs::FileExt;

use onitu_tests::{Files, House, Must, modified_ns, set_modified_ns, soon};
use serde_json::Value;

/// Flips a bit of a file behind everybody's back: same size, time and inode.
fn rot(files: &Files, path: &str) {
    let file = files.at(path);
    let before = modified_ns(&file);
    let mut bytes = files.read(path).must(path);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    let open = std::fs::File::options().write(true).open(&file).must("open");
    open.write_all_at(&bytes[at..=at], at as u64).must("write a byte");
    drop(open);
    set_modified_ns(&file, before);
}

/// A house in step with some files, then stopped.
fn stopped(services: &[&str]) -> House {
    let mut house = House::prepared(services);
    house.files(services[0]).write("photo.jpg", vec![7; 300_000]);
    house.files(services[0]).write("notes/small.txt", "small");
    house.files(services[0]).write("notes/other.txt", "other");
    house.files(services[0]).link("link", "photo.jpg");
    house.up();
    house.wait();
    house.stop();
    house
}

/// The report of each service by `onitu verify … --json`, and the exit code.
fn verified(house: &House, arguments: &[&str]) -> (Vec<Value>, i32) {
    let output = house.run(&[&["verify", "--json"], arguments].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let all: Value = serde_json::from_slice(&output.stdout).must(&error);
    (all.as_array().must("an array").clone(), output.status.code().must("an exit code"))
}

fn count(report: &Value, what: &str) -> u64 {
    report["verify"][what].as_u64().must(what)
}

#[test]
fn a_rotten_copy_is_found_by_a_deep_verification_set_aside_and_repaired() {
    let mut house = stopped(&["a", "b"]);
    let good = house.files("a").read("photo.jpg").unwrap();
    rot(&house.files("b"), "photo.jpg");
    let rotten = house.files("b").read("photo.jpg").unwrap();
    house.up();
    house.wait();
    assert_eq!(house.files("b").read("photo.jpg").unwrap(), rotten, "nobody can have noticed");

    let (shallow, code) = verified(&house, &[]);
    assert_eq!((code, shallow.len()), (0, 2), "{shallow:?}");
    assert_eq!((count(&shallow[1], "checked"), count(&shallow[1], "files")), (5, 0));

    let (deep, code) = verified(&house, &["--deep", "b"]);
    assert_eq!((code, deep.len()), (1, 1), "{deep:?}");
    assert_eq!((count(&deep[0], "rotten"), count(&deep[0], "unrepairable")), (1, 0), "{deep:?}");
    assert_eq!(deep[0]["verify"]["findings"][0]["path"], "photo.jpg");
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.files("b").read("photo.jpg").unwrap(), good);
    let conflicts = house.json(&["conflicts", "--json"]);
    let kept = conflicts[0]["kept"].as_str().unwrap();
    assert!(kept.starts_with("photo (conflict b "), "{kept}");
    assert_eq!(house.files("a").read(kept).unwrap(), rotten, "nothing is thrown away");

    let (again, code) = verified(&house, &["--deep"]);
    assert_eq!(code, 0, "{again:?}");
    assert_eq!(count(&again[0], "files"), 5);
    soon("it is no problem any more", || house.service("b").unwrap()["problems_total"] == 0);
}

#[test]
fn the_only_copy_that_rots_is_told_and_left_as_it_is() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync \"shared/**\" to a, b");
    house.files("a").write("mine", "mine, and nobody else's");
    house.files("a").write("shared/file", "both");
    house.up();
    house.wait();
    house.stop();
    rot(&house.files("a"), "mine");
    let rotten = house.files("a").read("mine").unwrap();
    house.up();
    house.wait();
    let told = house.run(&["verify", "--deep", "a"]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("a: not sound") && text.contains("1 rotten"), "{text}");
    assert!(text.contains("no other service has them"), "{text}");
    house.wait();
    assert_eq!(house.files("a").read("mine").unwrap(), rotten);
    assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
    soon("it is a problem", || house.service("a").unwrap()["problems"][0]["path"] == "mine");

    // A scan reads no bytes, so it doesn't end the problem; whoever touches the file does.
    house.say(&["rescan"]);
    house.wait();
    assert_eq!(house.service("a").unwrap()["problems_total"], 1);
    let file = house.files("a").at("mine");
    set_modified_ns(&file, modified_ns(&file) + 1_000_000_000);
    house.wait();
    soon("it is kept", || house.service("a").unwrap()["problems_total"] == 0);
    assert_eq!(verified(&house, &["--deep", "a"]).1, 0);
}

#[test]
fn rot_on_every_service_loses_neither_content() {
    let mut house = stopped(&["a", "b"]);
    rot(&house.files("b"), "notes/small.txt");
    let of_b = house.files("b").read("notes/small.txt").unwrap();
    house.up();
    house.wait();
    assert_eq!(verified(&house, &["--deep"]).1, 1);
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.files("b").read("notes/small.txt").unwrap(), b"small");
    let conflicts = house.json(&["conflicts", "--json"]);
    let kept = conflicts[0]["kept"].as_str().unwrap();
    assert_eq!(house.files("a").read(kept).unwrap(), of_b);
}

#[test]
fn the_parts_of_a_tree_are_everything_exactly_once() {
    let house = House::new(&["a", "b"]);
    for at in 0..200 {
        house.files("a").write(format!("d{}/file {at}", at % 7), format!("{at}"));
    }
    house.wait();
    let (whole, _) = verified(&house, &["--deep", "b"]);
    assert_eq!((count(&whole[0], "checked"), count(&whole[0], "files")), (207, 200));
    let mut paths = 0;
    let mut files = 0;
    for number in 1..=5 {
        let part = format!("{number}/5");
        let (part, code) = verified(&house, &["--deep", "b", "--part", &part]);
        assert_eq!(code, 0, "{part:?}");
        assert!(count(&part[0], "checked") < 100, "{part:?}");
        paths += count(&part[0], "checked");
        files += count(&part[0], "files");
    }
    assert_eq!((paths, files), (207, 200));
    let error = house.fail(&["verify", "--part", "6/5"], 2);
    assert!(error.contains("3/30"), "{error}");
}

#[test]
fn a_change_that_no_watcher_saw_is_found_and_travels() {
    let mut house = House::prepared(&["a", "b"]);
    let outside = Files::new(house.path());
    house.files("a").write("seen", "as it was");
    // Written through a name outside the folder, the kernel tells nobody who watches the folder.
    std::fs::hard_link(house.files("a").at("seen"), outside.at("other name")).unwrap();
    house.up();
    house.wait();
    outside.write("other name", "as it is now, and longer");
    house.wait();
    assert_eq!(house.files("b").read("seen").unwrap(), b"as it was", "nobody can have noticed");
    let (report, code) = verified(&house, &["a"]);
    assert_eq!((code, count(&report[0], "changed")), (0, 1), "{report:?}");
    house.wait();
    assert_eq!(house.files("b").read("seen").unwrap(), b"as it is now, and longer");
}

#[test]
fn a_file_that_can_not_be_read_is_told_and_the_others_are_verified() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("locked", "nobody may read it later");
    house.files("a").write("open", "everybody may");
    house.run_as_nobody();
    house.up();
    house.wait();
    house.stop();
    let before = modified_ns(&house.files("a").at("locked"));
    house.files("a").chmod("locked", 0o200);
    set_modified_ns(&house.files("a").at("locked"), before);
    house.up();
    house.wait();
    let (report, code) = verified(&house, &["--deep", "a"]);
    assert_eq!(code, 1, "{report:?}");
    assert_eq!((count(&report[0], "unreadable"), count(&report[0], "rotten")), (1, 0));
    assert_eq!(count(&report[0], "files"), 2);
    assert_eq!(report[0]["verify"]["findings"][0]["path"], "locked");
    house.files("a").chmod("locked", 0o644);
    assert_eq!(verified(&house, &["--deep", "a"]).1, 0);
}

#[test]
fn a_wrong_name_a_paused_service_and_a_second_verification_are_refused() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("large", vec![1; 600_000]);
    house.wait();
    let error = house.fail(&["verify", "aa"], 1);
    assert!(error.contains("no service is called `aa`") && error.contains("`a`"), "{error}");

    let slow = ["verify", "a", "--deep", "--limit", "100 kB/s", "--detach"];
    assert!(house.tell(&slow).contains("verifying `a`"));
    let error = house.fail(&["verify", "a"], 1);
    assert!(error.contains("`a` is being verified already"), "{error}");
    assert!(house.say(&["verify", "b"]).contains("b: sound"));
    soon("it shows how far it is", || house.say(&["status"]).contains("VERIFYING"));

    house.say(&["pause", "b"]);
    let error = house.fail(&["verify", "b"], 1);
    assert!(error.contains("`b` is paused"), "{error}");
    house.say(&["resume", "b"]);
}

#[test]
fn an_interruption_ends_it_on_the_service_too() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("large", vec![1; 600_000]);
    house.wait();
    let arguments = ["verify", "a", "--deep", "--limit", "50 kB/s"];
    let mut verifying = house.command(&arguments).spawn().unwrap();
    let phase = || house.service("a").unwrap()["verify"]["phase"].clone();
    soon("it reads", || phase() == "reading");
    onitu_tests::signal_to(verifying.id(), rustix::process::Signal::INT);
    assert_eq!(verifying.wait().unwrap().code(), Some(1));
    soon("it has ended", || phase() == "ended");
    assert_eq!(house.service("a").unwrap()["verify"]["stopped"], "stopped");
    assert!(house.say(&["verify", "a"]).contains("a: sound"));
}

#[test]
fn a_service_verifies_itself_in_the_time_that_its_option_gives() {
    let mut house = stopped(&["a", "b"]);
    house.add_option("b", "verify = \"3s\"");
    let good = house.files("a").read("photo.jpg").unwrap();
    rot(&house.files("b"), "photo.jpg");
    house.up();
    soon("it is repaired", || house.files("b").read("photo.jpg").is_some_and(|it| it == good));
    house.wait();
    assert_eq!(house.json(&["conflicts", "--json"]).as_array().unwrap().len(), 1);
    let last = || house.service("b").unwrap()["verify"].clone();
    assert_eq!(last()["scheduled"], true);
    assert!(house.service("a").unwrap()["verify"].is_null());
    // A person need not wait for it.
    assert!(house.say(&["verify", "b", "--deep"]).contains("b: sound"));

    // What was done is remembered across a restart: with a month's time nothing is due at once.
    house.stop();
    house.set_options("b", &["verify = \"30d\""]);
    let id = |house: &House| house.service("b").unwrap()["verify"]["id"].clone();
    house.up();
    house.wait();
    let before = id(&house);
    assert!(before.is_u64());
    house.say(&["rescan"]);
    house.wait();
    assert_eq!(id(&house), before);
}

#[test]
fn a_copy_that_rotted_on_its_disk_reaches_nobody() {
    let mut house = House::new(&["a", "c"]);
    let bytes: Vec<u8> = (0..3_u32 << 20).map(|at| (at % 251) as u8).collect();
    for at in 0..6 {
        house.files("a").write(format!("large {at}"), &bytes);
        house.files("a").write(format!("small {at}"), &bytes[..1_000]);
    }
    house.wait();
    house.stop();
    // Of each pair of copies one rots, without a trace in its times.
    for at in 0..6 {
        for kind in ["large", "small"] {
            rot(&house.files(if at % 2 == 0 { "a" } else { "c" }), &format!("{kind} {at}"));
        }
    }
    house.add_service("b");
    house.up();
    house.wait();
    for at in 0..6 {
        assert!(house.files("b").read(format!("large {at}")).unwrap() == bytes, "large {at}");
        assert!(house.files("b").read(format!("small {at}")).unwrap() == bytes[..1_000]);
    }
}
