//! Two edits of one file: both contents are kept, on every service.

use onitu_tests::{House, tree};
use serde_json::Value;

/// Every folder has exactly these contents among its files, in any order.
fn assert_contents(house: &House, expected: &[&str]) {
    house.assert_same_contents();
    let mut expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
    expected.sort();
    let files = house.files(&house.services()[0]);
    let paths = tree(files.at("").as_path()).into_keys();
    let mut found: Vec<String> =
        paths.filter_map(|path| String::from_utf8(files.read(path)?).ok()).collect();
    found.sort();
    assert_eq!(found, expected);
}

/// A house whose services edit `letter.txt` in turn while it is stopped.
fn edited_apart(services: &[&str], edits: &[(&str, &str)]) -> House {
    let mut house = House::prepared(services);
    house.files(services[0]).write("letter.txt", "before");
    house.up();
    house.wait();
    house.stop();
    for (service, text) in edits {
        house.files(service).write("letter.txt", text);
    }
    house.up();
    house.wait();
    house
}

fn conflicts(house: &House) -> Vec<Value> {
    house.json(&["conflicts", "--json"]).as_array().unwrap().clone()
}

#[test]
fn both_contents_are_kept_everywhere_under_the_name_the_design_gives() {
    let house = edited_apart(&["a", "b"], &[("a", "by a"), ("b", "by b")]);
    assert_contents(&house, &["by a", "by b"]);
    let conflicts = conflicts(&house);
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    let [path, kept, service] =
        ["path", "kept", "service"].map(|it| conflicts[0][it].as_str().unwrap());
    assert_eq!(path, "letter.txt");
    // `printf 'by a' | sha1sum` and the same of `by b`.
    let digits = if service == "a" { "0c75e03" } else { "a7d8bd0" };
    let name = format!("letter (conflict {service} {digits}).txt");
    assert_eq!(kept, name);
    let loser = house.files("a").read(kept).unwrap();
    assert_eq!(loser, format!("by {service}").as_bytes());
    let date = conflicts[0]["date"].as_str().unwrap();
    assert!(date.starts_with("20") && date.contains('T') && date.ends_with('Z'), "{date}");
    assert_eq!(house.status()["conflicts"], 1);
    assert!(house.say(&["conflicts"]).contains("letter.txt"));
}

#[test]
fn three_edits_of_one_file_are_all_kept() {
    let edits = [("a", "by a"), ("b", "by b"), ("c", "by c")];
    let house = edited_apart(&["a", "b", "c"], &edits);
    assert_contents(&house, &["by a", "by b", "by c"]);
    assert_eq!(conflicts(&house).len(), 2);
}

#[test]
fn five_edits_of_one_file_are_all_kept() {
    let edits = [("a", "by a"), ("b", "by b"), ("c", "by c"), ("d", "by d"), ("e", "by e")];
    let house = edited_apart(&["a", "b", "c", "d", "e"], &edits);
    assert_contents(&house, &["by a", "by b", "by c", "by d", "by e"]);
    assert_eq!(conflicts(&house).len(), 4);
}

#[test]
fn the_same_edit_on_both_sides_is_no_conflict() {
    let house = edited_apart(&["a", "b", "c"], &[("a", "same"), ("b", "same"), ("c", "same")]);
    assert_contents(&house, &["same"]);
    assert_eq!(conflicts(&house), [] as [Value; 0]);
}

#[test]
fn a_third_service_that_has_not_edited_gets_both() {
    let house = edited_apart(&["a", "b", "c"], &[("a", "by a"), ("b", "by b")]);
    assert_contents(&house, &["by a", "by b"]);
    assert_eq!(conflicts(&house).len(), 1);
}

#[test]
fn an_edit_beats_a_deletion() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for name in ["one", "two"] {
        house.files("a").write(name, "before");
    }
    house.up();
    house.wait();
    house.stop();
    house.files("a").remove("one");
    house.files("b").write("one", "edited by b");
    house.files("c").remove("two");
    house.files("a").write("two", "edited by a");
    house.up();
    house.wait();
    assert_contents(&house, &["edited by b", "edited by a"]);
    assert_eq!(conflicts(&house).len(), 0);
}

#[test]
fn an_edit_beats_a_deletion_that_had_already_been_carried_out() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("letter", "before");
    house.wait();
    house.say(&["pause", "c"]);
    house.files("c").write("letter", "edited while away");
    house.files("a").remove("letter");
    soon_gone(&house, "b", "letter");
    house.say(&["resume", "c"]);
    house.wait();
    assert_contents(&house, &["edited while away"]);
}

fn soon_gone(house: &House, service: &str, path: &str) {
    onitu_tests::soon("the deletion arrives", || !house.files(service).has(path));
}

#[test]
fn edits_on_both_sides_at_the_same_moment_lose_nothing() {
    let house = House::new(&["a", "b"]);
    for at in 0..40 {
        house.files("a").write(format!("file {at}"), "before");
    }
    house.wait();
    let [one, other] = ["a", "b"].map(|name| {
        let files = house.files(name);
        std::thread::spawn(move || {
            for at in 0..40 {
                files.write(format!("file {at}"), format!("{name} wrote {at}"));
            }
        })
    });
    one.join().unwrap();
    other.join().unwrap();
    house.wait();
    house.assert_same_contents();
    // Whoever saw the other's content and overwrote it knew it; what stands there is one of them,
    // and each conflict has its other content.
    for at in 0..40 {
        let text = house.files("a").read(format!("file {at}")).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!([format!("a wrote {at}"), format!("b wrote {at}")].contains(&text), "{text}");
    }
    for conflict in conflicts(&house) {
        assert!(house.files("b").has(conflict["kept"].as_str().unwrap()), "{conflict}");
    }
}

#[test]
fn a_file_against_a_directory_keeps_both() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("thing", "a file");
    house.files("b").write("thing/inside", "in a directory");
    house.up();
    house.wait();
    assert_contents(&house, &["a file", "in a directory"]);
    assert_eq!(house.files("a").read("thing/inside").unwrap(), b"in a directory");
    assert_eq!(conflicts(&house).len(), 1);
}

#[test]
fn a_conflict_copy_is_a_file_like_any_other() {
    let house = edited_apart(&["a", "b"], &[("a", "by a"), ("b", "by b")]);
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    house.files("b").write(&kept, "merged");
    house.wait();
    assert_eq!(house.files("a").read(&kept).unwrap(), b"merged");
    house.files("a").rename(&kept, "letter.txt");
    house.wait();
    assert_contents(&house, &["merged"]);
}

#[test]
fn the_same_conflict_again_with_another_content_is_kept_again() {
    let mut house = edited_apart(&["a", "b"], &[("a", "by a"), ("b", "by b")]);
    house.stop();
    house.files("a").write("letter.txt", "by a, second");
    house.files("b").write("letter.txt", "by b, second");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert_eq!(tree(house.root("a")).len(), 3);
}

#[test]
fn renames_of_one_file_to_two_names_keep_the_content() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("letter", "once");
    house.up();
    house.wait();
    house.stop();
    house.files("a").rename("letter", "letter of a");
    house.files("b").rename("letter", "letter of b");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert!(!house.files("a").has("letter"));
    let [one, other] = ["letter of a", "letter of b"].map(|it| house.files("a").read(it));
    assert_eq!((one.unwrap(), other.unwrap()), (b"once".to_vec(), b"once".to_vec()));
}

#[test]
fn links_that_point_to_different_places_are_both_kept() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").link("current", "v1");
    house.files("b").link("current", "v2");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert_eq!(tree(house.root("a")).len(), 2);
}

#[test]
fn a_deletion_that_is_told_after_an_edit_has_travelled_is_undone() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").write("letter", "before");
    house.wait();
    house.say(&["pause", "c"]);
    house.files("a").write("letter", "edited by a");
    onitu_tests::soon("it arrives", || {
        house.files("b").read("letter").as_deref() == Some(b"edited by a")
    });
    house.files("c").remove("letter");
    house.say(&["resume", "c"]);
    house.wait();
    assert_contents(&house, &["edited by a"]);
    assert_eq!(conflicts(&house).len(), 0);
}

#[test]
fn a_conflict_of_a_conflict_has_no_longer_name() {
    let mut house = edited_apart(&["a", "b"], &[("a", "by a"), ("b", "by b")]);
    for again in 0..3 {
        let copies: Vec<_> = tree(house.root("a")).into_keys().collect();
        house.stop();
        for service in ["a", "b"] {
            for copy in &copies {
                house
                    .files(service)
                    .write(copy, format!("{} of {service}, {again}", copy.display()));
            }
        }
        house.up();
        house.wait();
        house.assert_same_contents();
    }
    let names: Vec<_> = tree(house.root("a")).into_keys().collect();
    assert!(names.len() > 8, "there are too few conflicts to speak of: {names:?}");
    for name in names {
        let name = name.to_str().unwrap();
        assert!(name.matches("(conflict").count() <= 1, "{name} grows");
        assert!(name.len() < "letter (conflict a ).txt".len() + 21, "{name} grows");
    }
}

#[test]
fn a_rename_against_an_edit_keeps_the_edit_under_the_old_name() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.files("a").write("letter", "before");
    house.up();
    house.wait();
    house.stop();
    house.files("a").rename("letter", "sent");
    house.files("b").write("letter", "edited by b");
    house.up();
    house.wait();
    assert_contents(&house, &["before", "edited by b"]);
    assert_eq!(house.files("c").read("letter").unwrap(), b"edited by b");
    assert_eq!(house.files("c").read("sent").unwrap(), b"before");
    assert_eq!(conflicts(&house).len(), 0);
}

#[test]
fn renames_that_cross_keep_both_contents() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for name in ["one", "two"] {
        house.files("a").write(name, format!("was {name}"));
    }
    house.up();
    house.wait();
    house.stop();
    house.files("a").rename("one", "two");
    house.files("b").rename("two", "one");
    house.up();
    house.wait();
    assert_contents(&house, &["was one", "was two"]);
}

#[test]
fn swaps_on_both_sides_are_agreed_on() {
    let mut house = House::prepared(&["a", "b"]);
    for name in ["one", "two"] {
        house.files("a").write(name, format!("was {name}"));
    }
    house.up();
    house.wait();
    house.stop();
    for service in ["a", "b"] {
        house.files(service).rename("one", "between");
        house.files(service).rename("two", "one");
        house.files(service).rename("between", "two");
    }
    house.up();
    house.wait();
    assert_contents(&house, &["was one", "was two"]);
    assert_eq!(house.files("a").read("one").unwrap(), b"was two");
    assert_eq!(conflicts(&house).len(), 0);
}

#[test]
fn two_houses_give_the_same_conflict_the_same_name() {
    let names = [(); 2].map(|()| {
        let house = House::new(&["a", "b", "c"]);
        house.files("a").write("deep/letter.tar.gz", "before");
        house.wait();
        // Who comes first keeps the name; that is the same service in both houses.
        for service in ["b", "c"] {
            house.say(&["pause", service]);
        }
        for service in ["a", "b", "c"] {
            house.files(service).write("deep/letter.tar.gz", format!("by {service}"));
        }
        for service in ["b", "c"] {
            house.say(&["resume", service]);
            onitu_tests::soon("it catches up", || {
                house
                    .service(service)
                    .is_some_and(|it| it["state"] == "ready" && it["pending"] == 0)
            });
        }
        house.wait();
        assert_contents(&house, &["by a", "by b", "by c"]);
        assert_eq!(house.files("c").read("deep/letter.tar.gz").unwrap(), b"by a");
        let paths = tree(house.root("a")).into_keys();
        paths.filter(|path| house.files("a").at(path).is_file()).collect::<Vec<_>>()
    });
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].len(), 3);
}
