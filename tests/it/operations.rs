//! `reload`, `pause`, `resume`, `rescan`.

use onitu_tests::{House, Signal, runs, signal_to, soon};

#[test]
fn a_reload_adds_and_removes_a_service_and_leaves_the_other_drivers_alone() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("file", "1");
    house.wait();
    let pids = ["driver-a", "driver-b", "redis", "core", "referee"].map(|it| house.pid_of(it));
    house.add_service("c");
    assert!(house.tell(&["reload"]).contains("`c`"));
    house.wait();
    house.assert_alike();
    let third = house.pid_of("driver-c");

    house.remove_service("c");
    house.say(&["reload"]);
    soon("its driver ends", || !runs(third));
    house.files("b").write("file", "22");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("file").unwrap(), b"22");
    let left = std::fs::read(house.path().join("c/file")).unwrap();
    assert_eq!(left, b"1", "a removed service keeps its files as they were");
    let same = ["driver-a", "driver-b", "redis", "core", "referee"].map(|it| house.pid_of(it));
    assert_eq!(same, pids);
    assert!(house.service("c").is_none());
}

#[test]
fn a_service_that_comes_back_catches_up() {
    let mut house = House::new(&["a", "b", "c"]);
    house.files("a").write("file", "1");
    house.wait();
    let root = house.root("c").to_owned();
    house.remove_service("c");
    house.say(&["reload"]);
    house.wait();
    house.files("a").write("file", "edited meanwhile");
    house.files("a").write("new", "made meanwhile");
    house.wait();
    house.add_service_at("c", root);
    house.say(&["reload"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("c").read("file").unwrap(), b"edited meanwhile");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_reload_by_sighup_does_the_same() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("file", "1");
    house.add_service("c");
    signal_to(house.supervisor(), Signal::HUP);
    soon("the third one has it", || house.files("c").has("file"));
    house.wait();
    house.assert_alike();
}

#[test]
fn a_wrong_configuration_changes_nothing_at_a_reload() {
    let house = House::new(&["a", "b"]);
    let right = house.text_of("entries.toml");
    house.write("entries.toml", &right.replace("[services.b]", "[services.b]\ndrivr = \"x\""));
    let error = house.fail(&["reload"], 78);
    assert!(error.contains("drivr") && error.contains("-->"), "{error}");
    house.files("a").write("goes", "on");
    house.wait();
    house.assert_alike();
}

#[test]
fn a_reload_without_a_change_says_so() {
    let house = House::new(&["a", "b"]);
    assert!(house.tell(&["reload"]).contains("nothing changed"));
}

#[test]
fn a_paused_service_is_left_alone_and_catches_up() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("file", "before");
    house.wait();
    house.say(&["pause", "b"]);
    soon("it is paused", || house.service("b").unwrap()["state"] == "paused");
    house.files("a").write("file", "after");
    house.files("a").write("new", "1");
    house.files("b").write("own", "2");
    soon("the third has it", || house.files("c").has("new"));
    let error = house.fail(&["wait", "--timeout", "1s"], 1);
    assert!(error.contains("paused"), "{error}");
    assert_eq!(house.files("b").read("file").unwrap(), b"before");
    assert!(!house.files("b").has("new") && !house.files("a").has("own"));
    assert_eq!(house.service("b").unwrap()["pid"], serde_json::Value::Null);
    assert!(house.service("b").unwrap()["pending"].as_u64().unwrap() >= 2);

    house.say(&["resume", "b"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("own").unwrap(), b"2");
}

#[test]
fn a_pause_survives_the_end_of_everything() {
    let mut house = House::new(&["a", "b"]);
    house.say(&["pause", "b"]);
    house.stop();
    house.files("a").write("file", "1");
    house.up();
    soon("a has seen it", || {
        house.service("b").is_some_and(|it| it["state"] == "paused" && it["pending"] == 1)
    });
    assert!(!house.files("b").has("file"));
    house.say(&["resume"]);
    house.wait();
    house.assert_alike();
}

#[test]
fn everything_may_be_paused_at_once() {
    let house = House::new(&["a", "b"]);
    let pids = ["a", "b"].map(|it| house.service(it).unwrap()["pid"].as_u64().unwrap());
    house.say(&["pause"]);
    // The answer comes before they have ended, and until then they see what is written.
    soon("the drivers have ended", || {
        pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    house.files("a").write("from a", "1");
    house.files("b").write("from b", "2");
    house.wait();
    assert!(!house.files("b").has("from a"));
    house.say(&["resume"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 2);
}

#[test]
fn a_rescan_compares_everything_and_changes_nothing() {
    let house = House::new(&["a", "b"]);
    for at in 0..50 {
        house.files("a").write(format!("{}/{at}", at % 5), "x");
    }
    house.wait();
    let scanned = |service: &str| house.service(service).unwrap()["scanned"].as_u64().unwrap();
    house.say(&["rescan", "b"]);
    house.wait();
    soon("it has looked at every path", || scanned("b") == 55);
    house.say(&["rescan"]);
    house.wait();
    soon("it has looked at every path", || scanned("a") == 55);
    house.assert_alike();
}

#[test]
fn a_service_nobody_knows_is_told() {
    let house = House::new(&["laptop", "nas"]);
    for command in ["pause", "resume", "rescan"] {
        let error = house.fail(&[command, "laptob"], 1);
        assert!(error.contains("laptob"), "{error}");
    }
}

#[test]
fn a_source_is_never_written_to_and_a_backup_takes_no_change() {
    let mut house = House::prepared(&["camera", "vault"]);
    house.add_option("camera", "mode = \"source\"");
    house.add_option("vault", "mode = \"backup\"");
    house.files("camera").write("picture", "as taken");
    house.up();
    house.wait();
    house.files("vault").write("own", "made in the vault");
    house.files("vault").write("picture", "altered in the vault");
    house.wait();
    assert_eq!(house.files("vault").read("picture").unwrap(), b"as taken");
    assert_eq!(onitu_tests::tree(house.root("camera")).len(), 1);
    let kept = onitu_tests::tree(house.root("vault")).into_keys();
    let kept: Vec<_> = kept.filter_map(|path| house.files("vault").read(path)).collect();
    for content in ["made in the vault", "altered in the vault"] {
        assert!(kept.contains(&content.as_bytes().to_vec()), "`{content}` is lost: {kept:?}");
    }
    house.files("vault").remove("picture");
    house.wait();
    assert_eq!(house.files("vault").read("picture").unwrap(), b"as taken");
}
