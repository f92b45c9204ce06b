//! `onitu conflicts resolve`: each way to end a conflict, one or many.

use onitu_tests::{Files, House, Must, set_modified_ns, soon, tree};
use serde_json::Value;

/// A house in which `paths` were edited on both sides, the edit of `newer` a minute later.
fn in_conflict(paths: &[String], newer: &str) -> House {
    let mut house = House::prepared(&["a", "b"]);
    for path in paths {
        house.files("a").write(path, "before");
    }
    house.up();
    house.wait();
    house.stop();
    for path in paths {
        for service in ["a", "b"] {
            house.files(service).write(path, format!("by {service}"));
            let minute = if service == newer { 29_000_001 } else { 29_000_000 };
            set_modified_ns(&house.files(service).at(path), minute * 60_000_000_000);
        }
    }
    house.up();
    house.wait();
    assert_eq!(conflicts(&house).len(), paths.len());
    house
}

fn one(newer: &str) -> House {
    in_conflict(&["d/letter.txt".to_owned()], newer)
}

fn conflicts(house: &House) -> Vec<Value> {
    house.json(&["conflicts", "--json"]).as_array().unwrap().clone()
}

/// The service whose content lost the name, and the one whose content has it.
fn sides(house: &House) -> (String, String) {
    let lost = conflicts(house)[0]["service"].as_str().unwrap().to_owned();
    let won = if lost == "a" { "b" } else { "a" };
    (lost, won.to_owned())
}

fn resolve(house: &House, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["conflicts", "resolve", "--json"], arguments].concat();
    house.json(&arguments).as_array().unwrap().clone()
}

/// Everywhere is exactly this, and no conflict.
#[track_caller]
fn assert_only(house: &House, path: &str, content: &str) {
    house.wait();
    house.assert_alike();
    let files = house.files("a");
    let found: Vec<_> =
        tree(house.root("a")).into_keys().filter(|it| is_file(&files, it)).collect();
    assert_eq!(found, [std::path::PathBuf::from(path)]);
    assert_eq!(files.read(path).unwrap(), content.as_bytes());
    assert_eq!(conflicts(house), [] as [Value; 0]);
    assert_eq!(house.status()["conflicts"], 0);
}

fn is_file(files: &Files, path: &std::path::Path) -> bool {
    files.at(path).is_file()
}

/// What is in the trash of a service, with all days together.
fn trashed(house: &House, service: &str) -> Vec<Vec<u8>> {
    let trash = house.root(service).join(".onitu/trash");
    let mut found = Vec::new();
    let mut waiting = vec![trash];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.must("an entry").path();
            if path.is_dir() { waiting.push(path) } else { found.extend(std::fs::read(path).ok()) }
        }
    }
    found
}

#[test]
fn a_conflict_shows_both_sides_with_size_time_and_services() {
    let house = one("a");
    let conflict = &conflicts(&house)[0];
    for side in ["at_path", "at_kept"] {
        let side = &conflict[side];
        assert_eq!((&side["kind"], &side["size"]), (&"file".into(), &4.into()), "{conflict:#}");
        assert_eq!(side["services"], serde_json::json!(["a", "b"]));
        assert_eq!(side["edited"], false);
    }
    let (lost, _) = sides(&house);
    let minute: i64 = if lost == "a" { 29_000_001 } else { 29_000_000 };
    assert_eq!(conflict["at_kept"]["mtime_ns"], minute * 60_000_000_000);
    let kept = conflict["kept"].as_str().unwrap().to_owned();
    let text = house.say(&["conflicts"]);
    assert!(text.contains(&kept) && text.contains("4 B") && text.contains("on a, b"), "{text}");

    house.files("a").write(&kept, "merged by hand");
    house.files("b").remove("d/letter.txt");
    house.wait();
    let conflict = &conflicts(&house)[0];
    assert_eq!(
        (&conflict["at_path"], &conflict["at_kept"]["edited"]),
        (&Value::Null, &true.into())
    );
}

#[test]
fn the_content_that_lost_the_name_may_take_it() {
    let house = one("a");
    let (lost, won) = sides(&house);
    let done = resolve(&house, &["d/letter.txt", "--keep", &lost]);
    assert_eq!((done.len(), &done[0]["done"]), (1, &"take_copy".into()), "{done:?}");
    assert_only(&house, "d/letter.txt", &format!("by {lost}"));
    let other = format!("by {won}").into_bytes();
    assert!(trashed(&house, "a").contains(&other) || trashed(&house, "b").contains(&other));
}

#[test]
fn the_content_that_has_the_name_may_keep_it() {
    let house = one("a");
    let (lost, won) = sides(&house);
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    let done = resolve(&house, &[&kept, "--keep", &won]);
    assert_eq!(done[0]["done"], "remove_copy");
    assert_only(&house, "d/letter.txt", &format!("by {won}"));
    let other = format!("by {lost}").into_bytes();
    assert!(trashed(&house, "a").contains(&other) && trashed(&house, "b").contains(&other));
}

#[test]
fn the_newest_is_kept_whoever_has_the_name() {
    for newer in ["a", "b"] {
        let house = one(newer);
        resolve(&house, &["d", "--keep", "newest"]);
        assert_only(&house, "d/letter.txt", &format!("by {newer}"));
    }
}

#[test]
fn both_may_stay_and_the_conflict_is_over() {
    let house = one("a");
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    let done = house.run(&["conflicts", "resolve", "d/letter.txt", "--keep", "both"]);
    assert!(done.status.success());
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(out.contains("both stay") && err.contains("1 conflict ended"), "{out}{err}");
    house.wait();
    assert_eq!((conflicts(&house).len(), &house.status()["conflicts"]), (0, &0.into()));
    house.assert_alike();
    assert!(house.files("a").has(&kept) && house.files("b").has("d/letter.txt"));

    let error = house.fail(&["conflicts", "resolve", "d/letter.txt", "--keep", "both"], 1);
    assert!(error.contains("no conflict is there"), "{error}");
}

#[test]
fn many_conflicts_are_ended_at_once() {
    let paths: Vec<String> = (0..60).map(|at| format!("d{}/file {at}", at % 4)).collect();
    let house = in_conflict(&paths, "b");
    let done = resolve(&house, &["--all", "--keep", "newest"]);
    assert_eq!(done.iter().filter(|it| !it["done"].is_null()).count(), 60, "{done:?}");
    house.wait();
    house.assert_alike();
    for path in &paths {
        assert_eq!(house.files("a").read(path).unwrap(), b"by b");
    }
    assert_eq!(tree(house.root("a")).len(), 64);
    assert_eq!((conflicts(&house).len(), &house.status()["conflicts"]), (0, &0.into()));
    assert_eq!(resolve(&house, &["--all", "--keep", "newest"]).len(), 0, "nothing is left");
}

#[test]
fn three_contents_of_one_path_come_down_to_the_wanted_one() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for service in ["a", "b", "c"] {
        house.files(service).write("letter", format!("by {service}"));
    }
    house.up();
    house.wait();
    assert_eq!(conflicts(&house).len(), 2);
    let (lost, _) = sides(&house);
    let done = resolve(&house, &["letter", "--keep", &lost]);
    assert!(done.iter().all(|it| !it["done"].is_null()), "{done:?}");
    assert_only(&house, "letter", &format!("by {lost}"));
}

#[test]
fn a_wrong_name_is_told_and_nothing_is_done() {
    let house = one("a");
    let run =
        |rest: &[&str], code: i32| house.fail(&[&["conflicts", "resolve"], rest].concat(), code);
    let error = run(&["nothing", "d/letter.txt", "--keep", "both", "--json"], 1);
    assert!(error.is_empty(), "{error}");
    assert_eq!(conflicts(&house).len(), 0, "the other one was ended all the same");

    let house = one("a");
    let run =
        |rest: &[&str], code: i32| house.fail(&[&["conflicts", "resolve"], rest].concat(), code);
    let error = run(&["d/letter.txt", "--keep", "nobody"], 1);
    assert!(error.contains("no service is called `nobody`"), "{error}");
    assert!(run(&["d/letter.txt"], 2).contains("--keep"));
    assert!(run(&["--keep", "both"], 2).contains("PATH"));
    assert_eq!(conflicts(&house).len(), 1);
}

#[test]
fn a_side_that_changed_a_moment_ago_is_not_overwritten() {
    let house = one("a");
    let (lost, _) = sides(&house);
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    // Whoever may carry it out doesn't know of the edit yet, or has just told it.
    house.files("a").write("d/letter.txt", "edited by a at the last moment");
    house.files("b").write("d/letter.txt", "edited by b at the last moment");
    house.run(&["conflicts", "resolve", "d/letter.txt", "--keep", &lost]);
    house.wait();
    house.assert_same_contents();
    let files = house.files("a");
    let mut contents: Vec<_> =
        tree(house.root("a")).into_keys().filter_map(|path| files.read(path)).collect();
    for service in ["a", "b"] {
        contents.extend(trashed(&house, service));
    }
    for text in ["edited by a at the last moment", "edited by b at the last moment"] {
        assert!(contents.contains(&text.as_bytes().to_vec()), "{text} is lost ({kept})");
    }
    assert!(contents.contains(&format!("by {lost}").into_bytes()));
}

#[test]
fn a_conflict_ends_by_itself_when_its_copy_gets_another_name() {
    let house = one("a");
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    house.files("b").rename(&kept, "d/second letter.txt");
    house.wait();
    assert_eq!((conflicts(&house).len(), &house.status()["conflicts"]), (0, &0.into()));
    house.assert_alike();
    assert!(house.files("a").has("d/second letter.txt"));
}

#[test]
fn a_conflict_ends_by_itself_when_its_copy_is_removed() {
    let house = one("a");
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    house.files("a").remove(&kept);
    house.wait();
    assert_eq!((conflicts(&house).len(), &house.status()["conflicts"]), (0, &0.into()));
}

#[test]
fn a_conflict_ends_by_itself_when_both_contents_are_the_same() {
    let house = one("a");
    let kept = conflicts(&house)[0]["kept"].as_str().unwrap().to_owned();
    let merged = house.files("a").read("d/letter.txt").unwrap();
    house.files("b").write(&kept, merged);
    house.wait();
    soon("it is ended", || conflicts(&house).is_empty() && house.status()["conflicts"] == 0);
    assert!(house.files("a").has(&kept), "whether two equal files are wanted is nobody's to say");
}

#[test]
fn a_file_against_a_directory_is_ended_by_removing_the_copy_or_keeping_both() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("thing", "a file");
    house.files("b").write("thing/inside", "in a directory");
    house.up();
    house.wait();
    let error = house.fail(&["conflicts", "resolve", "thing", "--keep", "a"], 1);
    assert!(error.contains("is a directory"), "{error}");
    assert_eq!(conflicts(&house).len(), 1);
    resolve(&house, &["thing", "--keep", "b"]);
    assert_only(&house, "thing/inside", "in a directory");
}
