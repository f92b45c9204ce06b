//! Too many removals, or replaced contents, wait for a person.

use onitu_tests::{House, Signal, found, signal_to, soon, tree};

/// Two folders in step with `count` files, some of them in directories.
fn house(count: usize) -> House {
    filled(House::prepared(&["a", "b"]), count)
}

fn filled(mut house: House, count: usize) -> House {
    for at in 0..count {
        house.files("a").write(name(at), format!("precious {at}"));
    }
    house.up();
    house.wait();
    house.assert_alike();
    house
}

fn name(at: usize) -> String {
    match at % 4 {
        0 => format!("{at}"),
        1 => format!("album/{at}"),
        _ => format!("album/{}/{at}", at % 4),
    }
}

fn files_in(house: &House, service: &str) -> usize {
    tree(house.root(service)).keys().filter(|path| house.root(service).join(path).is_file()).count()
}

/// Waits until everything is in step, and tells what is held on `service` then.
#[track_caller]
fn held(house: &House, service: &str) -> (u64, u64, u64) {
    let said = house.tell(&["wait", "--timeout", "60s"]);
    let status = house.service(service).unwrap();
    assert_eq!(status["state"], "held", "{status}\n{}", house.log());
    assert!(said.contains(&format!("held: `{service}`: ")), "{said}");
    let count = |name: &str| status["held"][name].as_u64().unwrap();
    (count("removed"), count("changed"), count("of"))
}

#[track_caller]
fn is_ready(house: &House, service: &str) {
    let status = house.service(service).unwrap();
    assert_eq!(status["state"], "ready", "{status}");
    assert!(status["held"].is_null(), "{status}");
}

/// 30 of 40 files are removed in `a`.
fn remove_most(house: &House) {
    for at in 0..30 {
        house.files("a").remove(name(at));
    }
}

#[test]
fn too_many_removals_are_held_until_they_are_approved() {
    let house = house(40);
    remove_most(&house);
    assert_eq!(held(&house, "a"), (30, 0, 40));
    assert_eq!(files_in(&house, "b"), 40, "something was removed elsewhere");
    let reason = house.service("a").unwrap()["reason"].to_string();
    assert!(reason.contains("30 of 40 files were removed") && reason.contains("onitu approve a"));

    // Everything else goes on, both ways.
    house.files("a").write("new", "made meanwhile");
    house.files("a").write(name(35), "edited meanwhile");
    house.files("b").write("of b", "b's");
    house.files("b").rename(name(36), "renamed");
    house.files("a").rename(name(37), "renamed here");
    house.wait();
    let there = house.files("b");
    assert_eq!(there.read("new").unwrap(), b"made meanwhile");
    assert_eq!(there.read(name(35)).unwrap(), b"edited meanwhile");
    assert!(there.has("renamed here") && !there.has(name(37)));
    assert!(house.files("a").has("of b") && house.files("a").has("renamed"));
    assert_eq!(held(&house, "a").0, 30);

    let said = house.say(&["approve", "a"]);
    assert!(said.contains("30 of 40 files were removed"), "{said}");
    house.wait();
    house.assert_alike();
    assert_eq!(files_in(&house, "b"), 12);
    is_ready(&house, "a");
    assert!(house.fail(&["approve", "a"], 1).contains("isn't held"));
    assert!(house.fail(&["approve", "nobody"], 1).contains("no service is called"));
}

#[test]
fn rejected_removals_come_back_where_they_were_removed() {
    let house = house(40);
    house.files("a").make_dir("album/empty");
    house.wait();
    let before = tree(house.root("b"));
    house.files("a").remove_all("album");
    assert_eq!(held(&house, "a"), (30, 0, 40));
    let decision = house.json(&["approve", "a", "--reject", "--yes", "--json"]);
    assert_eq!(
        (&decision["verdict"], &decision["held"]["removed"]),
        (&"reject".into(), &30.into())
    );
    assert_eq!(decision["directories"][0]["path"], "album");
    house.wait();
    house.assert_alike();
    assert_eq!(tree(house.root("b")), before);
    assert!(house.files("a").has("album/empty"));
    is_ready(&house, "a");
}

#[test]
fn rejected_removals_of_what_only_one_had_come_back_as_others_still_have_it() {
    let house = house(40);
    house.tell(&["pause", "b"]);
    for at in 0..30 {
        house.files("a").write(name(at), format!("edited {at}, and nobody got it"));
    }
    soon("the edits are known", || house.service("b").is_some_and(|it| it["pending"] == 30));
    remove_most(&house);
    soon("they are held", || house.service("a").is_some_and(|it| it["held"]["removed"] == 30));
    house.tell(&["approve", "a", "--reject", "--yes"]);
    house.tell(&["resume", "b"]);
    house.wait();
    house.assert_alike();
    assert_eq!(files_in(&house, "a"), 40);
    assert_eq!(house.files("a").read(name(3)).unwrap(), b"precious 3");
}

#[test]
fn a_folder_that_was_emptied_while_stopped_is_held_and_again_after_a_restart() {
    let mut house = house(40);
    house.stop();
    for at in 0..40 {
        house.files("a").remove(name(at));
    }
    house.up();
    assert_eq!(held(&house, "a"), (40, 0, 40));
    house.stop();
    house.up();
    assert_eq!(held(&house, "a"), (40, 0, 40));
    let killed = house.kill9("driver-a");
    found("the driver is back and has judged again", || {
        let status = house.service("a")?;
        (status["state"] == "held" && status["pid"] != killed).then_some(())
    });
    assert_eq!(files_in(&house, "b"), 40);
    house.tell(&["approve", "a", "--reject"]);
    house.wait();
    house.assert_alike();
    assert_eq!(files_in(&house, "a"), 40);
}

#[test]
fn a_small_folder_is_not_braked() {
    let house = house(20);
    for at in 0..20 {
        house.files("a").remove(name(at));
    }
    house.wait();
    is_ready(&house, "a");
    assert_eq!(files_in(&house, "b"), 0);
}

#[test]
fn up_to_half_of_the_files_may_go_at_once() {
    let house = house(40);
    for at in 0..20 {
        house.files("a").remove(name(at));
    }
    house.wait();
    is_ready(&house, "a");
    assert_eq!(files_in(&house, "b"), 20);
    // With those of the last minute this one is too much.
    house.files("a").remove(name(20));
    assert_eq!(held(&house, "a"), (1, 0, 40));
    house.files("a").write(name(20), "precious again");
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
}

#[test]
fn the_limit_is_set_by_the_entry() {
    let mut house = House::prepared(&["a", "b"]);
    house.add_option("a", "max_delete = 3");
    let house = filled(house, 8);
    for at in 0..4 {
        house.files("a").remove(name(at));
    }
    assert_eq!(held(&house, "a"), (4, 0, 8));
    assert_eq!(files_in(&house, "b"), 8);
    // The other side has the default.
    for at in 4..8 {
        house.files("b").remove(name(at));
    }
    house.tell(&["wait"]);
    assert_eq!(files_in(&house, "a"), 0);
}

#[test]
fn renamed_directories_are_not_braked_live_or_stopped() {
    let mut house = house(300);
    house.files("a").rename("album", "photos");
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    house.stop();
    house.files("a").rename("photos", "pictures");
    house.up();
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert!(house.files("b").has("pictures") && !house.files("b").has("photos"));
}

#[test]
fn many_files_renamed_one_by_one_are_not_braked() {
    let mut house = House::prepared(&["a", "b"]);
    for at in 0..700 {
        house.files("a").write(format!("old {at}"), format!("precious {at}"));
    }
    house.up();
    house.wait();
    for at in 0..700 {
        house.files("a").rename(format!("old {at}"), format!("new {at}"));
    }
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert!(house.files("b").has("new 699"));
}

#[test]
fn files_put_back_or_renamed_are_no_longer_held() {
    let house = house(40);
    let aside = house.path().join("aside");
    let album = house.files("a").at("album");
    // Out of the folder: as if removed.
    std::fs::rename(&album, &aside).unwrap();
    assert_eq!(held(&house, "a").0, 30);
    let inode = house.files("b").inode(name(1));
    std::fs::rename(&aside, house.files("a").at("photos")).unwrap();
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert_eq!(house.files("b").inode("photos/1"), inode, "it was sent instead of renamed");
    assert_eq!(files_in(&house, "b"), 40);
}

#[test]
fn removals_on_both_sides_are_held_on_both() {
    let house = house(40);
    for at in 0..30 {
        house.files("a").remove(name(at));
        house.files("b").remove(name(at));
    }
    assert_eq!(held(&house, "a").0, 30);
    assert_eq!(held(&house, "b").0, 30);
    house.tell(&["approve", "a", "--yes"]);
    house.wait();
    is_ready(&house, "a");
    is_ready(&house, "b");
    house.assert_alike();
    assert_eq!(files_in(&house, "a"), 10);
}

#[test]
fn what_others_removed_in_the_same_minute_does_not_make_the_folder_smaller() {
    let house = house(60);
    for at in 0..30 {
        house.files("b").remove(name(at));
    }
    house.wait();
    assert_eq!(files_in(&house, "a"), 30);
    // More than half of what is left, but not of what there was.
    for at in 30..48 {
        house.files("a").remove(name(at));
    }
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert_eq!(files_in(&house, "b"), 12);
}

#[test]
fn what_was_edited_elsewhere_comes_back_and_is_not_held() {
    let house = house(40);
    remove_most(&house);
    held(&house, "a");
    for at in 0..30 {
        house.files("b").write(name(at), format!("edited in b: {at}"));
    }
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert_eq!(files_in(&house, "a"), 40);
}

#[test]
fn a_folder_that_is_removed_as_a_whole_removes_nothing_elsewhere() {
    let house = house(60);
    std::fs::remove_dir_all(house.root("a")).unwrap();
    soon("it is unavailable", || house.service("a").is_some_and(|it| it["state"] == "unavailable"));
    assert_eq!(files_in(&house, "b"), 60);
}

#[test]
fn a_deletion_that_is_stopped_and_goes_on_is_held_as_a_whole() {
    let mut house = house(40);
    // The driver sleeps through half of it.
    let driver = house.pid_of("driver-a");
    for at in 0..15 {
        house.files("a").remove(name(at));
    }
    signal_to(driver, Signal::STOP);
    for at in 15..30 {
        house.files("a").remove(name(at));
    }
    signal_to(driver, Signal::CONT);
    let (removed, _, of) = held(&house, "a");
    assert_eq!((removed, of), (30, 40));
    assert_eq!(files_in(&house, "b"), 40);
    house.stop();
}

#[test]
fn mass_encryption_is_held_if_wanted() {
    let mut house = House::prepared(&["a", "b"]);
    house.add_option("a", "max_change = \"30%\"");
    let house = filled(house, 40);
    for at in 0..30 {
        house.files("a").write(name(at), format!("ciphertext {at}"));
    }
    assert_eq!(held(&house, "a"), (0, 30, 40));
    assert_eq!(house.files("b").read(name(3)).unwrap(), b"precious 3");
    house.files("a").write("new", "goes on");
    house.wait();
    assert!(house.files("b").has("new"));

    house.tell(&["approve", "a", "--reject"]);
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    for at in 0..30 {
        assert_eq!(house.files("a").read(name(at)).unwrap(), format!("precious {at}").into_bytes());
    }

    // Some edits are everyday; many that are meant are approved.
    for at in 0..30 {
        house.files("a").write(name(at), format!("revised {at}"));
    }
    assert_eq!(held(&house, "a").1, 30);
    house.tell(&["approve", "a"]);
    house.wait();
    is_ready(&house, "a");
    house.assert_alike();
    assert_eq!(house.files("b").read(name(29)).unwrap(), b"revised 29");
    house.files("b").write(name(1), "one more");
    house.files("a").write(name(2), "another");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read(name(2)).unwrap(), b"another");
    assert_eq!(house.status()["conflicts"], 0);
}
