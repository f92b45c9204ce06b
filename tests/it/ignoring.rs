//! What is ignored: by ignore files that travel, by default, and what happens when that changes.

use onitu_tests::{Files, House, soon, tree};
use serde_json::Value;

/// `ignored` of `onitu explain`, if it says so.
fn why(house: &House, path: &str) -> Option<String> {
    house.json(&["explain", path, "--json"])["ignored"].as_str().map(str::to_owned)
}

fn text(files: &Files, path: &str) -> String {
    String::from_utf8(files.read(path).expect(path)).expect(path)
}

/// Something else on each service.
fn own(files: &Files) -> String {
    files.at("").display().to_string()
}

fn entries(house: &House) -> Value {
    house.status()["entries"].clone()
}

#[test]
fn an_ignore_file_travels_and_holds_on_every_service() {
    let house = House::new(&["a", "b", "c"]);
    let (a, b, c) = (house.files("a"), house.files("b"), house.files("c"));
    a.write(".onituignore", "# what is built\n*.o\nbuild/\n");
    house.wait();
    assert!(b.has(".onituignore") && c.has(".onituignore"), "it is a file like any other");
    a.write("main.c", "int main;");
    for files in [&a, &b, &c] {
        files.write("main.o", own(files));
        files.write("build/deep/out", own(files));
    }
    house.wait();
    for files in [&a, &b, &c] {
        let own = own(files);
        assert_eq!(text(files, "main.o"), own, "everybody keeps their own");
        assert_eq!(text(files, "build/deep/out"), own);
    }
    assert_eq!(entries(&house), 2, "the ignore file and `main.c`");
    let line = "ignored, for `build` is ignored by `.onituignore`, line 3: `build/`";
    assert_eq!(why(&house, "build/deep/out").as_deref(), Some(line));
    assert_eq!(why(&house, "main.c"), None);
    assert!(house.say(&["explain", "x.o"]).contains("ignored by `.onituignore`, line 2: `*.o`"));
    b.remove("main.o");
    b.remove_all("build");
    house.wait();
    assert!(a.has("main.o") && c.has("build/deep/out"), "nobody heard of it");
}

#[test]
fn what_is_ignored_later_is_forgotten_and_deleted_nowhere_and_taken_back_is_met_anew() {
    let mut house = House::new(&["a", "b", "c"]);
    let (a, b, c) = (house.files("a"), house.files("b"), house.files("c"));
    for at in 0..40 {
        a.write(format!("log/{at}.log"), format!("line {at}"));
    }
    a.write("kept.txt", "kept");
    house.wait();
    house.assert_alike();

    b.write(".onituignore", "log/\n");
    house.wait();
    assert_eq!(entries(&house), 2);
    b.remove_all("log");
    c.write("log/7.log", "of c alone");
    c.write("log/new.log", "new");
    house.wait();
    assert_eq!(text(&a, "log/7.log"), "line 7", "neither removed nor overwritten");
    assert!(!a.has("log/new.log") && !b.has("log"));

    // Also what was deleted while nothing ran doesn't count as deleted once it is taken back.
    house.stop();
    a.remove("log/3.log");
    house.up();
    house.wait();
    assert_eq!(text(&c, "log/3.log"), "line 3");

    c.write(".onituignore", "");
    house.wait();
    for at in (0..40).filter(|at| *at != 7) {
        assert_eq!(text(&b, &format!("log/{at}.log")), format!("line {at}"));
    }
    house.assert_same_contents();
    let names = tree(house.root("a")).into_keys().map(|it| it.display().to_string());
    let seven: Vec<_> = names.filter(|it| it.starts_with("log/7")).collect();
    assert_eq!(seven.len(), 2, "two contents met, and both are kept: {seven:?}");
    assert_eq!(text(&a, "log/new.log"), "new");
}

#[test]
fn an_ignore_file_that_is_removed_ends_it() {
    let house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write("d/.onituignore", "*\n!keep\n");
    a.write("d/keep", "kept");
    a.write("d/other", "other");
    house.wait();
    assert!(b.has("d/keep") && !b.has("d/other"));
    b.remove("d/.onituignore");
    house.wait();
    assert_eq!(text(&b, "d/other"), "other");
    assert!(!a.has("d/.onituignore"));
    house.assert_alike();
}

#[test]
fn a_tree_that_brings_its_ignore_file_along_never_shows_what_that_hides() {
    let mut house = House::prepared(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write(".onituignore", "secret/\n");
    a.write("secret/key", "a key");
    a.write("project/.onituignore", "/target\n");
    for at in 0..300 {
        a.write(format!("project/target/{at}"), "built");
    }
    a.write("project/main.rs", "fn main");
    house.up();
    house.wait();
    assert!(b.has("project/main.rs") && b.has("project/.onituignore"));
    assert!(!b.has("secret") && !b.has("project/target"));
    // Nor does it after everything that was known is lost.
    house.redis(&["FLUSHALL"]);
    a.write("later", "later");
    soon("the later file is there", || b.has("later"));
    house.wait();
    assert!(!b.has("secret") && !b.has("project/target"));
    house.stop();
}

#[test]
fn junk_is_ignored_by_default_and_synchronized_if_wanted() {
    let mut house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    let junk = [".DS_Store", "d/Thumbs.db", "d/~$letter.docx", ".notes.txt.swp", ".~lock.x.ods#"];
    for name in junk {
        a.write(name, "junk");
    }
    a.write("notes.txt", "notes");
    house.wait();
    assert_eq!(text(&b, "notes.txt"), "notes");
    for name in junk {
        assert!(!b.has(name), "{name}");
        assert!(why(&house, name).is_some_and(|why| why.contains("by default (junk")), "{name}");
    }
    house.add_setting("ignore_junk = false");
    house.say(&["reload"]);
    house.wait();
    for name in junk {
        assert_eq!(text(&b, name), "junk", "{name}");
    }
    house.assert_alike();
}

#[test]
fn a_broken_line_is_told_and_the_others_hold() {
    let house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write(".onituignore", "[z-a]\n*.o\n");
    a.write("x.o", "o");
    a.write("x.c", "c");
    house.wait();
    assert!(b.has("x.c") && !b.has("x.o"));
    let problems = house.status()["problems"].clone();
    assert_eq!(problems[0]["path"], ".onituignore");
    assert!(problems[0]["message"].as_str().is_some_and(|it| it.contains("line 1")), "{problems}");
    assert!(house.say(&["status"]).contains(".onituignore: line 1 has no effect"));
}

#[test]
fn a_directory_with_something_ignored_in_it_stays_when_it_is_removed_elsewhere() {
    let house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write(".onituignore", "cache/\n");
    a.write("d/x", "x");
    house.wait();
    b.write("d/cache/1", "of b");
    house.wait();
    a.remove_all("d");
    house.wait();
    assert_eq!(text(&b, "d/cache/1"), "of b");
    assert!(!b.has("d/x") && !a.has("d/x"), "what isn't ignored went");
    assert!(a.has("d"), "the directory is on all services or on none");
    soon("it is told why", || {
        let told = house.service("b").map(|it| it["problems"].to_string()).unwrap_or_default();
        told.contains("`d/cache` is left in it here, which is ignored")
    });
}

#[test]
fn what_is_ignored_is_in_nobodys_way_and_is_not_overwritten() {
    let house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write(".onituignore", "out/\n");
    house.wait();
    b.write("out/mine", "of b");
    a.write("out", "a file, which isn't ignored");
    a.write("other", "other");
    soon("the other file is there", || b.has("other"));
    soon("it is told", || {
        let told = house.service("b").map(|it| it["problems"].to_string()).unwrap_or_default();
        told.contains("is left alone: rename it")
    });
    assert_eq!(text(&b, "out/mine"), "of b");
    b.remove_all("out");
    house.wait();
    assert_eq!(text(&b, "out"), "a file, which isn't ignored");
}

#[test]
fn what_the_rules_exclude_is_left_alone_where_it_is_and_met_anew_when_they_dont() {
    let mut house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write("x.tmp", "before the rule");
    a.write("d/.git/config", "of a");
    a.write("y", "y");
    house.wait();
    house.set_rules("sync everything to a, b\nnever sync \"**/*.tmp\", \"**/.git/**\"");
    house.say(&["reload"]);
    house.wait();
    assert_eq!(entries(&house), 2, "`y` and `d`");
    let line = why(&house, "d/.git/config").expect("ignored");
    assert!(line.contains("`d/.git` is ignored by "), "{line}");
    assert!(line.contains("entries.toml:") && line.contains(": `never sync"), "{line}");
    b.remove("x.tmp");
    a.write("new.tmp", "new");
    b.write("d/.git/config", "of b");
    house.wait();
    assert!(a.has("x.tmp") && !b.has("new.tmp"));
    assert_eq!(text(&a, "d/.git/config"), "of a");
    house.set_rules("sync everything to a, b");
    house.say(&["reload"]);
    house.wait();
    assert_eq!(text(&b, "x.tmp"), "before the rule");
    assert_eq!(text(&b, "new.tmp"), "new");
    house.assert_same_contents();
    let kept = [text(&a, "d/.git/config"), text(&b, "d/.git/config")];
    assert_eq!(kept[0], kept[1], "one keeps the name, the other one is kept under another");
    assert_eq!(house.json(&["conflicts", "--json"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_ignored_is_in_no_plan_and_no_apply_removes_it() {
    let mut house = House::new(&["a", "b"]);
    let (a, b) = (house.files("a"), house.files("b"));
    a.write(".onituignore", "*.log\n");
    house.wait();
    a.write("Archive/kept.txt", "to be moved");
    a.write("Archive/x.log", "of its own");
    house.wait();
    house.set_rules("sync everything to a, b\nmove \"Archive/**\" to b");
    house.say(&["reload"]);
    house.wait();
    let plan = house.json(&["plan", "--json"]);
    assert!(plan.to_string().contains("Archive/kept.txt"), "{plan}");
    assert!(!plan.to_string().contains("x.log"), "{plan}");
    house.say(&["apply", plan["id"].as_str().unwrap()]);
    house.wait();
    soon("it has left", || !a.has("Archive/kept.txt"));
    assert_eq!(text(&b, "Archive/kept.txt"), "to be moved");
    assert_eq!(text(&a, "Archive/x.log"), "of its own");
    assert!(!b.has("Archive/x.log"));
}
