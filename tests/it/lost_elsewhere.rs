//! How contents were lost in the first Onitu and in programs of its kind, each tried here.
//! `docs/guarantees.md` lists them all, with those that other tests try already.

use std::path::Path;

use onitu_tests::{
    Files, House, Signal, found, modified_ns, set_modified_ns, signal_to, soon, tree,
};

/// Changes what two services hold while neither can know of the other's change.
fn apart(house: &House, change: impl Fn(&str, &Files)) {
    let driver = house.pid_of("driver-b");
    signal_to(driver, Signal::STOP);
    for service in ["a", "b"] {
        change(service, &house.files(service));
    }
    signal_to(driver, Signal::CONT);
    house.wait();
}

#[test]
fn a_root_missing_at_the_start_is_not_made_anew_and_deletes_none_of_twenty_files() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for at in 0..20 {
        house.files("a").write(format!("{}/{at}", at % 3), format!("precious {at}"));
    }
    house.up();
    house.wait();
    house.stop();
    let before = tree(house.root("a"));
    let aside = house.path().join("aside");
    std::fs::rename(house.root("b"), &aside).unwrap();
    house.up();
    soon("b is unavailable", || {
        house.service("b").is_some_and(|service| service["state"] == "unavailable")
    });
    house.files("a").write("new", "made meanwhile");
    soon("the others go on", || house.files("c").has("new"));
    assert!(!house.root("b").exists(), "it was made anew");
    house.files("a").remove("new");
    soon("deletions of users go on", || !house.files("c").has("new"));
    assert_eq!([tree(house.root("a")), tree(house.root("c"))], [before.clone(), before]);
    std::fs::rename(&aside, house.root("b")).unwrap();
    house.wait();
    house.assert_alike();
}

#[test]
fn a_transfer_and_a_deletion_that_failed_are_tried_again_and_not_forgotten() {
    let mut house = House::prepared(&["a", "b"]);
    for name in ["old", "other"] {
        house.files("a").write(format!("closed/{name}"), "in step");
    }
    house.run_as_nobody();
    house.up();
    house.wait();
    house.files("b").chmod("closed", 0o555);
    house.files("a").write("closed/new", "can't be placed");
    house.files("a").remove("closed/old");
    soon("both are told", || {
        let problems = house.service("b").map(|service| service["problems"].clone());
        let told = |path| {
            problems.iter().filter_map(|it| it.as_array()).flatten().any(|it| it["path"] == path)
        };
        told("closed/new") && told("closed/old")
    });
    assert!(house.files("b").has("closed/old") && !house.files("a").has("closed/old"));
    house.files("b").chmod("closed", 0o755);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("closed/new").unwrap(), b"can't be placed");
    assert!(!house.files("a").has("closed/old"), "it came back");
}

#[test]
fn thirty_files_renamed_and_made_again_under_the_old_name_at_once_all_arrive() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    (0..30).for_each(|at| files.write(format!("{at}"), format!("first {at}")));
    house.wait();
    for at in 0..30 {
        files.rename(format!("{at}"), format!("moved {at}"));
        files.write(format!("{at}"), format!("second {at}"));
    }
    house.wait();
    house.assert_alike();
    for at in 0..30 {
        let read = |name| house.files("b").read(name).unwrap();
        assert_eq!(read(format!("moved {at}")), format!("first {at}").as_bytes());
        assert_eq!(read(format!("{at}")), format!("second {at}").as_bytes());
    }
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn three_hundred_queued_files_outlive_kill9_of_everything_and_of_their_target_alone() {
    let mut house = House::new(&["a", "b"]);
    for (round, victim) in ["supervisor", "driver-b"].into_iter().enumerate() {
        for at in 0..300 {
            house.files("a").write(format!("{round}/{at}"), format!("{at}").repeat(at));
        }
        house.kill9(victim);
        if victim == "supervisor" {
            house.assert_nothing_runs();
            house.up();
        }
        house.wait();
        house.assert_alike();
    }
    let status = house.status();
    assert_eq!(status["entries"], 602, "{status:#}");
    assert_eq!(status["conflicts"], 0, "{status:#}");
}

#[test]
fn a_file_whose_first_source_is_stopped_comes_from_another_holder() {
    let house = House::new(&["a", "b", "c"]);
    house.say(&["pause", "c"]);
    soon("c is paused", || house.service("c").is_some_and(|it| it["state"] == "paused"));
    house.files("a").write("large", vec![7; 5 << 20]);
    house.files("a").write("small", "7");
    soon("b has both", || {
        house.service("b").is_some_and(|it| it["files"] == 2 && it["pending"] == 0)
    });
    house.say(&["pause", "a"]);
    soon("a is paused", || house.service("a").is_some_and(|it| it["state"] == "paused"));
    house.say(&["resume", "c"]);
    soon("c has the large one", || {
        house.files("c").read("large") == house.files("b").read("large")
    });
    soon("and the small one", || house.files("c").read("small").is_some());
    house.say(&["resume", "a"]);
    house.wait();
    house.assert_alike();
}

#[test]
fn eighty_files_edited_on_both_sides_keep_both_contents_and_a_conflict_of_a_conflict_its_name() {
    let house = House::new(&["a", "b"]);
    (0..80).for_each(|at| house.files("a").write(format!("{at}.txt"), "before"));
    house.wait();
    apart(&house, |service, files| {
        (0..80).for_each(|at| files.write(format!("{at}.txt"), format!("{service} wrote {at}")));
    });
    house.assert_same_contents();
    let contents = |house: &House| {
        let names = tree(house.root("a")).into_keys().map(|it| it.into_os_string().into_string());
        let names: Vec<String> = names.map(Result::unwrap).collect();
        let read = |name: &String| String::from_utf8(house.files("b").read(name).unwrap()).unwrap();
        let mut contents: Vec<String> = names.iter().map(read).collect();
        contents.sort();
        (names, contents)
    };
    let mut written: Vec<String> = ["a", "b"]
        .iter()
        .flat_map(|it| (0..80).map(move |at| format!("{it} wrote {at}")))
        .collect();
    written.sort();
    let (names, found) = contents(&house);
    assert_eq!(found, written, "silently overwritten");

    let copy = names.iter().find(|name| name.contains("(conflict")).unwrap();
    apart(&house, |service, files| files.write(copy, format!("{service} edited the copy")));
    house.assert_same_contents();
    let (names, found) = contents(&house);
    assert!(["a", "b"].iter().all(|it| found.contains(&format!("{it} edited the copy"))));
    let grown: Vec<_> = names.iter().filter(|it| it.matches("(conflict").count() > 1).collect();
    assert!(grown.is_empty(), "{grown:?}");
}

#[test]
fn a_file_rewritten_while_it_travels_never_arrives_as_a_mixture_of_versions() {
    let mut house = House::new(&["a", "b"]);
    let files = house.files("a");
    let writer = std::thread::spawn(move || {
        (1..=8_u8).for_each(|version| files.write("film", vec![version; 24 << 20]));
    });
    let is_of_one_version = |bytes: &[u8]| bytes.windows(2).all(|pair| pair[0] == pair[1]);
    while !writer.is_finished() {
        let seen = house.files("b").read("film").unwrap_or_default();
        assert!(is_of_one_version(&seen), "a mixture of versions");
    }
    writer.join().unwrap();

    // Nor does a transfer that was cut off go on with another version.
    let arriving = |house: &House| {
        let partial = std::fs::read_dir(house.root("b").join(".onitu/tmp")).unwrap().flatten();
        partial.filter_map(|entry| entry.metadata().ok()).any(|it| it.len() > 1 << 20)
    };
    house.wait();
    house.files("a").write("other", vec![100; 60 << 20]);
    soon("it is on its way", || arriving(&house) || house.files("b").has("other"));
    house.kill9("driver-b");
    house.files("a").write("other", vec![101; 60 << 20]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("other").unwrap(), vec![101; 60 << 20]);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn an_older_version_put_back_with_its_time_and_edits_of_one_second_are_edits() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    let stamped = |text: &str, ns: i64| {
        files.write("letter.part", text);
        set_modified_ns(&files.at("letter.part"), ns);
        files.rename("letter.part", "letter");
    };
    let second = 1_500_000_000_000_000_000;
    for (text, time) in [
        ("version one", second),
        ("version two", second + 60_000_000_000),
        // As `cp -p` of a backup does.
        ("version one", second),
        // Times that a clock of whole seconds can't tell apart.
        ("version 003", second + 1_000),
        ("version 004", second + 2_000),
    ] {
        stamped(text, time);
        house.wait();
        assert_eq!(house.files("b").read("letter").unwrap(), text.as_bytes());
        assert_eq!(modified_ns(&house.files("b").at("letter")), time);
    }
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_filter_that_comes_and_goes_is_no_deletion() {
    let mut house = House::new(&["a", "b"]);
    for at in 0..20 {
        house.files("a").write(format!("kept {at}.tmp"), "made before the rule");
        house.files("b").write(format!("{at}"), "x");
    }
    house.wait();
    let before = tree(house.root("a"));
    for rules in ["sync \"letters/**\" to a, b", "sync everything to a, b"] {
        house.set_rules(rules);
        house.say(&["reload"]);
        house.wait();
        house.say(&["rescan"]);
        house.wait();
        house.assert_alike();
        assert_eq!(tree(house.root("a")), before);
    }
}

#[test]
fn a_service_long_away_does_not_bring_back_what_was_deleted_meanwhile() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for service in ["a", "b"] {
        house.add_option(service, "max_delete = \"100 %\"");
    }
    house.up();
    house.wait();
    for at in 0..40 {
        house.files("a").write(format!("{}/{at}", at % 4), format!("{at}"));
    }
    house.wait();
    house.say(&["pause", "c"]);
    soon("c is paused", || house.service("c").is_some_and(|it| it["state"] == "paused"));
    for at in 0..30 {
        house.files(["a", "b"][at % 2]).remove(format!("{}/{at}", at % 4));
    }
    house.files("b").write("0/36", "edited meanwhile");
    soon("a and b agree", || tree(house.root("a")) == tree(house.root("b")));
    house.stop();
    house.up();
    soon("a and b are at work", || {
        ["a", "b"].iter().all(|name| house.service(name).is_some_and(|it| it["state"] == "ready"))
    });
    house.say(&["resume", "c"]);
    house.wait();
    house.assert_alike();
    let left = tree(house.root("c"));
    let is_back = |at| left.contains_key(Path::new(&format!("{}/{at}", at % 4)));
    assert!(!(0..30).any(is_back), "{left:?}");
    assert_eq!(left.len(), 14);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn twins_in_case_or_composition_are_not_merged_and_one_deleted_leaves_the_other() {
    let house = House::new(&["a", "b"]);
    let twins = [["re\u{301}sume\u{301}", "r\u{e9}sum\u{e9}"], ["Photos", "photos"]];
    for [one, other] in twins {
        house.files("a").write(format!("{one}/file"), "one");
        house.files("b").write(format!("{other}/file"), "other");
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 8);
    for [one, _] in &twins {
        house.files("b").remove_all(one);
    }
    house.wait();
    house.assert_alike();
    for [one, other] in twins {
        assert!(!house.files("a").has(one));
        assert_eq!(house.files("a").read(format!("{other}/file")).unwrap(), b"other");
    }
}

#[test]
fn a_file_deleted_on_both_sides_is_gone_and_nothing_goes_round() {
    let house = House::new(&["a", "b"]);
    for at in 0..20 {
        house.files("a").write(format!("{}/{at}", at % 2), "x");
    }
    house.wait();
    apart(&house, |_, files| (0..2).for_each(|at| files.remove_all(format!("{at}"))));
    let status = found("it is at rest", || {
        let status = house.status();
        (status["entries"] == 0 && status["pending"] == 0).then_some(status)
    });
    assert_eq!(status["conflicts"], 0);
    assert!(tree(house.root("a")).is_empty() && tree(house.root("b")).is_empty());
    // The names are free again.
    house.files("b").write("0/0", "a new one");
    house.wait();
    assert_eq!(house.files("a").read("0/0").unwrap(), b"a new one");
}

#[test]
fn renames_that_cross_keep_the_content() {
    let house = House::new(&["a", "b"]);
    for at in 0..10 {
        house.files("a").write(format!("{at}"), format!("content {at}"));
        house.files("a").write(format!("other {at}"), format!("other content {at}"));
    }
    house.wait();
    // Here one name to the other, there back, and here back at once.
    apart(&house, |service, files| {
        for at in 0..10 {
            let (one, other) = (format!("{at}"), format!("free {at}"));
            files.rename(&one, &other);
            if service == "b" {
                files.rename(&other, &one);
            }
        }
    });
    for at in 0..10 {
        house.files("a").rename(format!("free {at}"), format!("{at}"));
        house.files("b").rename(format!("other {at}"), format!("away {at}"));
        house.files("b").rename(format!("away {at}"), format!("other {at}"));
    }
    house.wait();
    house.assert_same_contents();
    for at in 0..10 {
        let read = |name| house.files("b").read(name);
        assert_eq!(read(format!("{at}")), Some(format!("content {at}").into_bytes()));
        assert_eq!(read(format!("other {at}")), Some(format!("other content {at}").into_bytes()));
    }
}
