//! `onitu trash list` and `onitu restore`: what was removed or replaced can be had back.

use std::path::Path;

use onitu_tests::{House, soon};
use serde_json::Value;

/// The lines of `onitu trash list`.
#[track_caller]
fn listed(house: &House, arguments: &[&str]) -> Vec<Value> {
    let list = house.json(&[&["trash", "list", "--json"], arguments].concat());
    list.as_array().unwrap().clone()
}

/// Which paths of which services are in the trash, sorted.
#[track_caller]
fn paths(house: &House) -> Vec<String> {
    let lines = listed(house, &[]);
    let mut paths: Vec<String> = lines
        .iter()
        .map(|it| format!("{}:{}", it["service"].as_str().unwrap(), it["path"].as_str().unwrap()))
        .collect();
    paths.sort_unstable();
    paths
}

/// Restores, waits until it is everywhere, and looks for conflicts.
#[track_caller]
fn restore(house: &House, arguments: &[&str]) -> String {
    let said = house.say(&[&["restore"], arguments].concat());
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
    said
}

/// Every folder holds these bytes there.
#[track_caller]
fn assert_everywhere(house: &House, path: &str, bytes: &str) {
    for service in house.services() {
        let found = house.files(&service).read(path).map(String::from_utf8);
        assert_eq!(found, Some(Ok(bytes.to_owned())), "`{path}` on `{service}`");
    }
}

#[test]
fn a_deleted_file_is_restored_everywhere() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("d/letter.txt", "dear");
    house.files("a").chmod("d/letter.txt", 0o755);
    house.wait();
    house.files("a").remove_all("d");
    house.wait();
    let lines = listed(&house, &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((&line["service"], &line["path"]), (&"b".into(), &"d/letter.txt".into()));
    assert_eq!((&line["why"], &line["size"]), (&"removed".into(), &4.into()));
    let text = house.say(&["trash", "list", "d"]);
    assert!(text.contains("4 B  b  d/letter.txt  removed"), "{text}");

    let said = restore(&house, &["d/letter.txt"]);
    assert!(said.starts_with("restored `d/letter.txt` from the trash of `b` of 20"), "{said}");
    assert_everywhere(&house, "d/letter.txt", "dear");
    assert_eq!(house.files("a").mode("d/letter.txt") & 0o111, 0o111);
    assert_eq!(paths(&house), [""; 0]);
    // It is a file like any other.
    house.files("b").write("d/letter.txt", "dearest");
    house.wait();
    house.assert_alike();
}

#[test]
fn a_replaced_content_is_restored_and_restoring_again_goes_back() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("file", "old");
    house.wait();
    house.files("a").write("file", "edited");
    house.wait();
    assert_eq!(paths(&house), ["b:file", "c:file"]);
    let said = restore(&house, &["file"]);
    assert!(said.contains("what stood there is in the trash now"), "{said}");
    assert_everywhere(&house, "file", "old");
    restore(&house, &["file"]);
    assert_everywhere(&house, "file", "edited");
    restore(&house, &["file"]);
    assert_everywhere(&house, "file", "old");
    let why: Vec<Value> = listed(&house, &[]).iter().map(|it| it["why"].clone()).collect();
    assert!(why.contains(&"restored".into()), "{why:?}");
}

#[test]
fn a_time_picks_the_content_that_stood_there_then() {
    let house = House::new(&["a", "b"]);
    let mut times = Vec::new();
    for content in ["first", "second", "third", "fourth"] {
        house.files("a").write("file", content);
        house.wait();
        times.push(jiff::Timestamp::now().to_string());
        // Times are told in milliseconds.
        let told = jiff::Timestamp::now().as_millisecond();
        soon("the next millisecond", || jiff::Timestamp::now().as_millisecond() > told);
    }
    assert_eq!(listed(&house, &[]).len(), 3);
    restore(&house, &["file", "--at", &times[1]]);
    assert_everywhere(&house, "file", "second");
    restore(&house, &["file", "--at", &times[0]]);
    assert_everywhere(&house, "file", "first");
    restore(&house, &["file", "--at", &times[2]]);
    assert_everywhere(&house, "file", "third");
    // What stands there has not gone to a trash since.
    let said = restore(&house, &["file", "--at", "now"]);
    assert!(said.contains("has not changed since"), "{said}");
    assert_everywhere(&house, "file", "third");
    let said = house.fail(&["restore", "file", "--at", "some time"], 2);
    assert!(said.contains("2 hours ago"), "{said}");
}

#[test]
fn a_directory_is_restored_with_what_was_in_it() {
    let mut house = House::prepared(&["a", "b"]);
    house.add_option("a", "max_delete = \"100 %\"");
    house.up();
    house.wait();
    for number in 0..300 {
        house.files("a").write(format!("d/{}/{number}", number % 7), format!("content {number}"));
    }
    house.files("a").write("d/kept", "kept");
    house.files("a").write("other", "other");
    house.wait();
    house.files("a").write("d/kept", "edited");
    for number in 0..7 {
        house.files("a").remove_all(format!("d/{number}"));
    }
    house.files("a").remove("other");
    house.wait();
    let said = restore(&house, &["d"]);
    assert!(said.contains("and 200 paths more"), "{said}");
    for number in 0..300 {
        let path = format!("d/{}/{number}", number % 7);
        assert_everywhere(&house, &path, &format!("content {number}"));
    }
    // What is there is left alone; what stood elsewhere isn't meant.
    assert_everywhere(&house, "d/kept", "edited");
    assert!(!house.files("a").has("other"));
    let said = house.fail(&["restore", "d"], 1);
    assert!(said.contains("everything of `d`") || said.contains("no trash has"), "{said}");
    // Everything, wherever it stood.
    restore(&house, &["."]);
    assert_everywhere(&house, "other", "other");
}

#[test]
fn a_directory_is_restored_as_it_was_at_a_time() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("d/edited", "good");
    house.files("a").write("d/removed", "good");
    house.wait();
    let then = jiff::Timestamp::now().to_string();
    let told = jiff::Timestamp::now().as_millisecond();
    soon("the next millisecond", || jiff::Timestamp::now().as_millisecond() > told);
    house.files("a").write("d/edited", "scrambled");
    house.files("a").remove("d/removed");
    house.wait();
    house.files("a").write("d/edited", "scrambled again");
    house.wait();
    restore(&house, &["d", "--at", &then]);
    assert_everywhere(&house, "d/edited", "good");
    assert_everywhere(&house, "d/removed", "good");
}

#[test]
fn a_restored_file_is_not_deleted_again_by_a_service_that_was_away() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("file", "precious");
    house.files("a").write("edited", "before");
    house.wait();
    house.say(&["pause", "c"]);
    soon("it is paused", || house.service("c").unwrap()["state"] == "paused");
    house.files("a").remove("file");
    house.files("a").write("edited", "after");
    soon("it is deleted", || !house.files("b").has("file"));
    soon("it is edited", || house.files("b").read("edited").is_some_and(|it| it == b"after"));
    assert!(house.files("c").has("file"), "c still has to remove it");
    let output = house.run(&["restore", "file", "edited"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("the trash of `c` was not read"), "{said}");
    soon("it is back", || house.files("a").has("file"));
    house.say(&["resume", "c"]);
    house.wait();
    house.assert_alike();
    assert_everywhere(&house, "file", "precious");
    assert_everywhere(&house, "edited", "before");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn restoring_the_same_content_twice_is_refused() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("file", "once");
    house.wait();
    house.files("a").remove("file");
    house.wait();
    assert_eq!(paths(&house), ["b:file", "c:file"]);
    restore(&house, &["file"]);
    assert_eq!(paths(&house).len(), 1, "it is put back from one of them");
    let said = house.fail(&["restore", "file"], 1);
    assert!(said.contains("`file` holds that content already"), "{said}");
    assert_everywhere(&house, "file", "once");
}

#[test]
fn a_content_is_restored_beside_what_stands_there() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("file", "old");
    house.wait();
    house.files("a").write("file", "new");
    house.wait();
    let said = house.fail(&["restore", "file", "--to", "file"], 1);
    assert!(said.contains("`file` exists"), "{said}");
    let said = restore(&house, &["file", "--to", "copies/of file"]);
    assert!(said.contains("restored `file` as `copies/of file`"), "{said}");
    assert_everywhere(&house, "file", "new");
    assert_everywhere(&house, "copies/of file", "old");
    house.files("b").remove_all("copies");
    house.wait();
    let said = restore(&house, &["copies", "--to", "again"]);
    assert!(said.contains("again/of file"), "{said}");
    assert_everywhere(&house, "again/of file", "old");
    house.fail(&["restore", "a", "b", "--to", "c"], 1);
}

#[test]
fn what_no_trash_has_is_told_with_what_to_do() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("there", "x");
    house.wait();
    let said = house.fail(&["restore", "never"], 1);
    assert!(said.contains("error: no trash has `never`"), "{said}");
    assert!(said.contains("`b` keeps what Onitu removes or replaces there for 30 days"), "{said}");
    let said = house.fail(&["restore", "there"], 1);
    assert!(said.contains("hint: it exists, on `a`, `b`"), "{said}");
    let said = house.fail(&["restore", "there", "--service", "nobody"], 1);
    assert!(said.contains("no service is called `nobody`"), "{said}");
    assert!(house.tell(&["trash", "list"]).contains("nothing is in the trash"));
    assert_eq!(listed(&house, &[]).len(), 0);
    // One that can be is restored, one that can't is told, and the exit code says so.
    house.files("a").remove("there");
    house.wait();
    house.fail(&["restore", "never", "there"], 1);
    house.wait();
    assert_everywhere(&house, "there", "x");
}

#[test]
fn the_trash_is_listed_by_service_path_and_number() {
    let house = House::new(&["a", "b", "c"]);
    for name in ["d/one", "d/two", "three"] {
        house.files("a").write(name, name);
    }
    house.wait();
    for name in ["d/one", "d/two", "three"] {
        house.files("a").remove(name);
        house.wait();
    }
    assert_eq!(listed(&house, &[]).len(), 6);
    assert_eq!(listed(&house, &["--service", "b"]).len(), 3);
    assert_eq!(listed(&house, &["d"]).len(), 4);
    let newest = listed(&house, &["--limit", "2"]);
    assert!(newest.iter().all(|it| it["path"] == "three"), "{newest:?}");
    let dates: Vec<String> = listed(&house, &[])
        .iter()
        .map(|it| jiff_ms(it["date"].as_str().unwrap()))
        .map(|ms| format!("{ms:020}"))
        .collect();
    assert!(dates.is_sorted_by(|one, two| one >= two), "{dates:?}");
    restore(&house, &["three", "--service", "c"]);
    assert_eq!(listed(&house, &["--service", "c"]).len(), 2);
}

fn jiff_ms(date: &str) -> i64 {
    date.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn the_trash_of_a_backup_brings_back_what_the_others_lost() {
    let mut house = House::prepared(&["laptop", "vault"]);
    house.add_option("vault", "mode = \"backup\"");
    house.up();
    house.files("laptop").write("d/file", "first");
    house.files("laptop").write("edited", "before");
    house.wait();
    house.files("laptop").remove_all("d");
    house.files("laptop").write("edited", "after");
    house.wait();
    restore(&house, &["d", "edited"]);
    assert_everywhere(&house, "d/file", "first");
    assert_everywhere(&house, "edited", "before");
}

#[test]
fn the_trash_never_appears_on_another_service_whatever_is_done() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("file", "x");
    house.wait();
    house.files("a").remove("file");
    house.wait();
    house.say(&["rescan"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 0);
    for arguments in [&["restore", ".onitu"][..], &["restore", "file", "--to", ".onitu/x"][..]] {
        house.fail(arguments, 1);
    }
    restore(&house, &["file"]);
    assert_eq!(house.status()["entries"], 1);
}

#[test]
fn a_file_is_restored_from_the_trash_of_a_disk_mounted_below_the_folder() {
    let mut house = House::prepared(&["a", "b"]);
    let disk = house.files("b").at("photos");
    house.files("b").make_dir("photos");
    if !house.mount(&disk, 8 << 20) {
        return;
    }
    house.up();
    house.files("a").write("photos/2026/cat.jpg", "a cat");
    house.files("a").write("letter", "dear");
    house.wait();
    house.files("a").remove("photos/2026/cat.jpg");
    house.files("a").remove("letter");
    house.wait();
    assert!(Path::new(&disk).join(".onitu-tmp-files/trash").is_dir());
    assert_eq!(paths(&house), ["b:letter", "b:photos/2026/cat.jpg"]);
    house.say(&["restore", "photos/2026/cat.jpg", "letter"]);
    house.wait();
    assert_eq!(house.files("a").read("photos/2026/cat.jpg").unwrap(), b"a cat");
    assert_eq!(house.files("b").read("photos/2026/cat.jpg").unwrap(), b"a cat");
    assert_everywhere(&house, "letter", "dear");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn the_oldest_is_purged_when_the_trash_is_larger_than_it_may_be() {
    let mut house = House::prepared(&["a", "b"]);
    house.add_option("b", "trash_size = \"3 kB\"");
    house.up();
    for name in ["one", "two", "three", "four"] {
        house.files("a").write(name, vec![b'x'; 1_000]);
    }
    house.wait();
    for name in ["one", "two", "three", "four"] {
        house.files("a").remove(name);
        house.wait();
    }
    let kept = ["b:four", "b:three", "b:two"];
    soon("the oldest is purged", || paths(&house) == kept);
    house.fail(&["restore", "one"], 1);
    restore(&house, &["two"]);
}

#[test]
fn a_restoration_survives_the_death_of_every_process() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("file", "x");
    house.wait();
    house.files("a").remove("file");
    house.wait();
    house.say(&["restore", "file"]);
    for name in ["driver-b", "referee", "redis"] {
        house.kill9(name);
    }
    house.wait();
    house.assert_alike();
    assert_everywhere(&house, "file", "x");
}
