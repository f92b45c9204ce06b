//! A driver in another language: the Python example of the protocol, between two local folders.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onitu_test_python::python;
use onitu_tests::{Files, House, soon, within};

/// Its folder is the service `py`; `a` and `b` are local ones.
const SERVICES: [&str; 3] = ["a", "b", "py"];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/python")
}

/// Installed as anybody would: a program of the right name in a directory of programs.
fn install(house: &House) {
    let python = python("python-driver", &example().join("requirements.txt"));
    let program = example().join("onitu-driver-pyfolder");
    let script = format!("exec '{}' '{}' \"$@\"", python.display(), program.display());
    house.add_program("onitu-driver-pyfolder", &script);
}

fn prepared() -> House {
    let mut house = House::prepared(&SERVICES);
    install(&house);
    house.set_driver("py", "pyfolder");
    house
}

fn house() -> House {
    let mut house = prepared();
    house.up();
    house.wait();
    house
}

#[test]
fn it_is_found_by_name_and_tells_what_it_can() {
    let house = prepared();
    let told = house.say(&["drivers"]);
    assert!(told.contains("pyfolder"), "{told}");
    house.say(&["check"]);
}

#[test]
fn it_keeps_every_promise_of_a_storage_and_loses_nothing_in_chaos() {
    let house = prepared();
    let test = ["driver", "test", "pyfolder", "--option", "root={folder}"];
    let told = house.say(&[&test[..], &["--rounds", "2", "--seed", "5"]].concat());
    assert!(told.contains(", 0 broken\n"), "{told}");
    let chaos = told.lines().last().unwrap();
    assert!(chaos.ends_with(" kills: nothing lost, everything in step"), "{told}");
}

#[test]
fn files_travel_both_ways_and_edits_deletions_and_renames_follow() {
    let house = house();
    let [a, py] = ["a", "py"].map(|name| house.files(name));
    a.write("from/a.txt", "made in a");
    py.write("from/py.txt", "made in py");
    py.make_dir("empty directory");
    py.write("tool", "#!/bin/sh");
    py.chmod("tool", 0o755);
    a.write("empty", "");
    house.wait();
    house.assert_alike();
    assert_eq!(py.read("from/a.txt").unwrap(), b"made in a");

    a.write("from/py.txt", "edited in a");
    py.write("from/a.txt", "edited in py, and longer");
    py.rename("tool", "renamed tool");
    a.rename("empty", "from/moved");
    house.wait();
    house.assert_alike();
    assert_eq!(py.read("from/py.txt").unwrap(), b"edited in a");
    assert!(py.has("from/moved") && a.has("renamed tool"));

    py.remove("from/a.txt");
    a.remove("from/py.txt");
    py.remove_all("empty directory");
    house.wait();
    house.assert_alike();
    assert!(!a.has("from/a.txt") && !py.has("from/py.txt") && !a.has("empty directory"));
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_change_is_noticed_without_being_asked_for() {
    let mut house = prepared();
    house.add_option("py", "poll = \"1s\"");
    house.up();
    house.wait();
    house.files("py").write("unasked", "seen by polling");
    soon("the file arrives", || house.files("b").has("unasked"));
    house.files("py").remove("unasked");
    soon("the file goes", || !house.files("b").has("unasked"));
}

#[test]
fn contents_of_many_chunks_and_many_small_ones_arrive_whole() {
    let house = house();
    let bytes = |seed: u64, size: usize| {
        let mut numbers = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| numbers.u8(..)).take(size).collect::<Vec<u8>>()
    };
    house.files("a").write("to py", bytes(1, 24_000_001));
    house.files("py").write("from py", bytes(2, 17_000_003));
    for number in 0..300 {
        house.files("a").write(format!("many/{number}"), format!("of a, {number}"));
        house.files("py").write(format!("more/{number}"), format!("of py, {number}"));
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("py").read("to py").unwrap(), bytes(1, 24_000_001));
    assert_eq!(house.files("b").read("from py").unwrap(), bytes(2, 17_000_003));
}

#[test]
fn edits_on_both_sides_keep_both_contents() {
    let mut house = house();
    house.files("a").write("d/note.txt", "first");
    house.wait();
    house.stop();
    house.files("a").write("d/note.txt", "edited in a");
    house.files("py").write("d/note.txt", "edited in py");
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 1);
    let found = house.json(&["conflicts", "--json"]);
    let kept = found[0]["kept"].as_str().unwrap();
    let py = house.files("py");
    let mut both = [py.read("d/note.txt").unwrap(), py.read(kept).unwrap()];
    both.sort();
    assert_eq!(both, [b"edited in a".to_vec(), b"edited in py".to_vec()], "{kept}");
}

#[test]
fn what_was_changed_while_it_was_stopped_is_found() {
    let mut house = house();
    let py = house.files("py");
    for name in ["stays", "goes", "changes", "old name", "d/e/below"] {
        py.write(name, format!("first of {name}"));
    }
    house.wait();
    house.stop();
    py.remove("goes");
    py.write("changes", "now something else");
    py.rename("old name", "new name");
    py.rename("d", "moved");
    py.write("new", "made while nobody looked");
    house.files("a").write("from a", "the same");
    house.up();
    house.wait();
    house.assert_alike();
    let a = house.files("a");
    assert!(!a.has("goes") && !a.has("old name") && !a.has("d"));
    assert_eq!(a.read("changes").unwrap(), b"now something else");
    assert_eq!(a.read("new name").unwrap(), b"first of old name");
    assert_eq!(a.read("moved/e/below").unwrap(), b"first of d/e/below");
    assert!(py.has("from a"));
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let mut house = house();
    let [a, py] = ["a", "py"].map(|name| house.files(name));
    py.write("kept", "by py");
    house.wait();
    for round in 0..4 {
        a.write("large", vec![round; 9_000_000 + usize::from(round)]);
        for number in 0..40 {
            a.write(format!("r{round}/a{number}"), format!("{number} of a"));
            py.write(format!("r{round}/p{number}"), format!("{number} of py"));
        }
        py.write("kept", format!("by py in round {round}"));
        if round > 0 {
            a.remove(format!("r{}/a7", round - 1));
            py.remove(format!("r{}/p7", round - 1));
        }
        // In the middle of its work.
        soon("the first file arrives", || py.has(format!("r{round}/a0")));
        house.kill9("driver-py");
    }
    let is_back = || house.service("py").is_some_and(|it| it["state"] == "ready");
    assert!(within(Duration::from_mins(1), is_back), "the driver is back");
    house.wait();
    house.assert_alike();
    assert_eq!(py.read("large").unwrap(), vec![3; 9_000_003]);
    assert_eq!(a.read("kept").unwrap(), b"by py in round 3");
    assert!(!py.has("r2/a7") && !a.has("r2/p7") && a.has("r3/p7") && py.has("r3/a7"));
    assert_eq!(house.status()["conflicts"], 0);
    // What was left half written may be taken up again for a week; nothing else is left.
    for left in std::fs::read_dir(house.root("py").join(".onitu/tmp")).unwrap() {
        let name = left.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("w-"), "{name} was left");
    }
}

#[test]
fn a_folder_that_goes_away_deletes_nothing_and_is_told() {
    let house = house();
    house.files("py").write("file", "precious");
    house.wait();
    let (root, away) = (house.root("py").to_owned(), house.path().join("away"));
    std::fs::rename(&root, &away).unwrap();
    soon("it is told", || house.service("py").is_some_and(|it| it["state"] == "unavailable"));
    // An empty directory, as under a disk that isn't mounted.
    std::fs::create_dir(&root).unwrap();
    house.files("a").write("meanwhile", "made while it was away");
    soon("the others go on", || house.files("b").has("meanwhile"));
    assert!(house.files("a").has("file") && Files::new(&root).read("meanwhile").is_none());
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    house.wait();
    house.assert_alike();
}

#[test]
fn half_of_the_files_removed_at_once_are_held_until_a_person_decides() {
    let house = house();
    let (a, py) = (house.files("a"), house.files("py"));
    for number in 0..40 {
        py.write(format!("d/{number}"), format!("{number}"));
    }
    house.wait();
    for number in 0..30 {
        py.remove(format!("d/{number}"));
    }
    soon("they are held", || house.service("py").is_some_and(|it| it["state"] == "held"));
    assert!((0..40).all(|number| a.has(format!("d/{number}"))));
    house.say(&["approve", "py", "--reject", "--yes"]);
    soon("they are back", || (0..40).all(|number| py.has(format!("d/{number}"))));
    house.wait();
    house.assert_alike();

    for number in 0..30 {
        py.remove(format!("d/{number}"));
    }
    soon("they are held", || house.service("py").is_some_and(|it| it["state"] == "held"));
    house.say(&["approve", "py", "--yes"]);
    soon("they go", || !a.has("d/0"));
    house.wait();
    house.assert_alike();
    assert!(a.has("d/39") && !a.has("d/29"));
}

#[test]
fn a_store_that_was_emptied_costs_nothing_but_knowledge() {
    let house = house();
    let mut text = String::new();
    for number in 0..50 {
        writeln!(text, "{number}").unwrap();
        house.files("py").write(format!("d/{number}"), &text);
    }
    house.files("a").write("other", "of a");
    house.wait();
    house.redis(&["FLUSHALL"]);
    house.files("py").write("d/new", "made just then");
    soon("it goes on", || house.files("b").has("d/new"));
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn links_and_what_the_rules_leave_out_are_let_alone() {
    let mut house = prepared();
    house.set_rules("sync everything to a, b, py\nnever sync \"**/*.tmp\"");
    house.up();
    house.wait();
    let py = house.files("py");
    py.link("link", "target");
    py.write("scratch.tmp", "not synchronized");
    py.write(".onituignore", "*.log\n");
    py.write("noise.log", "ignored by a file");
    py.write("file", "synchronized");
    house.wait();
    let a = house.files("a");
    assert!(a.has("file") && a.has(".onituignore"));
    assert!(!a.has("link") && !a.has("scratch.tmp") && !a.has("noise.log"));
    assert!(py.has("link") && py.has("scratch.tmp") && py.has("noise.log"));
    let problems = house.service("py").unwrap()["problems"].to_string();
    assert!(problems.contains("link"), "{problems}");
}
