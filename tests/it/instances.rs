//! Two Onitu on one folder: the second one waits, says for whom, and takes over when it may.

use onitu_tests::{Files, House, Signal, found, signal_to, tree};

/// What the status says of a service once it is in `state`.
fn reason_of(house: &House, service: &str, state: &str) -> String {
    found(&format!("`{service}` is {state}"), || {
        let status = house.service(service)?;
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        (status["state"] == state).then_some(reason)
    })
}

/// A house that runs with the services `mine` and `shared`, and another one, not started, whose
/// service `shared` has the same folder.
fn two_houses() -> (House, House) {
    let first = House::new(&["mine", "shared"]);
    for at in 0..50 {
        first.files("mine").write(format!("{}/{at}", at % 4), format!("of the first, {at}"));
    }
    first.wait();
    let mut second = House::prepared(&["theirs"]);
    second.add_service_at("shared", first.root("shared").to_owned());
    second.files("theirs").write("of the second", "theirs");
    // What would be a conflict if both worked in the folder.
    second.files("theirs").write("0/0", "another content");
    (first, second)
}

#[test]
fn a_second_onitu_waits_for_the_folder_and_takes_over_when_the_first_is_stopped() {
    let (mut first, mut second) = two_houses();
    let before = tree(first.root("shared"));
    second.up();
    let reason = reason_of(&second, "shared", "unavailable");
    let driver = first.pid_of("driver-shared");
    assert!(reason.contains(&format!("process {driver} on ")), "{reason}");
    assert!(reason.contains("stop that one"), "{reason}");
    let error = second.fail(&["wait", "--timeout", "1s"], 1);
    assert!(error.contains("`shared` is unavailable"), "{error}");
    // The first one goes on as if it were alone.
    first.files("mine").write("later", "edited meanwhile");
    first.wait();
    first.assert_alike();
    assert!(!first.files("shared").has("of the second"));
    assert_eq!(tree(second.root("theirs")).len(), 3, "nothing was taken from the folder");

    first.stop();
    second.wait();
    second.assert_same_contents();
    let files = second.files("shared");
    let names = tree(second.root("shared"));
    for path in before.keys() {
        assert!(names.contains_key(path), "{} is gone", path.display());
    }
    let contents: Vec<_> = names.keys().filter_map(|path| files.read(path)).collect();
    for content in ["of the first, 0", "another content", "theirs", "edited meanwhile"] {
        assert!(contents.contains(&content.as_bytes().to_vec()), "{content:?} is lost");
    }
    let conflicts = second.json(&["conflicts", "--json"]);
    assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts}");
}

#[test]
fn a_killed_onitu_leaves_no_lock_behind() {
    let (mut first, mut second) = two_houses();
    second.up();
    reason_of(&second, "shared", "unavailable");
    first.kill9("supervisor");
    second.wait();
    second.assert_same_contents();
    // The first one comes back, and now has to wait itself.
    first.up();
    let reason = reason_of(&first, "shared", "unavailable");
    assert!(
        reason.contains(&format!("process {} on ", second.pid_of("driver-shared"))),
        "{reason}"
    );
    second.stop();
    first.wait();
    first.assert_same_contents();
    assert!(first.files("mine").has("of the second"));
    assert_eq!(first.files("mine").read("1/1").unwrap(), b"of the first, 1");
}

#[test]
fn a_driver_that_hangs_still_has_its_folder() {
    let (mut first, mut second) = two_houses();
    let driver = first.pid_of("driver-shared");
    signal_to(driver, Signal::STOP);
    second.up();
    reason_of(&second, "shared", "unavailable");
    signal_to(driver, Signal::CONT);
    first.files("mine").write("later", "after it hung");
    first.wait();
    first.assert_alike();
    first.stop();
    second.wait();
    second.assert_same_contents();
}

#[test]
fn a_folder_inside_another_ones_is_refused_and_the_outer_one_waits_for_the_inner() {
    let mut outer = House::prepared(&["a"]);
    let root = outer.path().join("outer");
    std::fs::create_dir_all(root.join("deep/inner")).unwrap();
    outer.add_service_at("outer", root.clone());
    let mut inner = House::prepared(&["b"]);
    inner.add_service_at("inner", root.join("deep/inner"));
    Files::new(&root).write("deep/inner/file", "of the inner one");
    Files::new(&root).write("deep/beside", "of the outer one");

    outer.up();
    outer.wait();
    inner.up();
    let reason = reason_of(&inner, "inner", "unavailable");
    assert!(reason.contains("lies in") && reason.contains("`outer`"), "{reason}");
    assert!(!inner.files("b").has("file") && !root.join("deep/inner/.onitu/service").exists());

    outer.stop();
    inner.wait();
    inner.assert_alike();
    outer.up();
    let reason = reason_of(&outer, "outer", "unavailable");
    assert!(reason.contains("`deep/inner`") && reason.contains("`inner`"), "{reason}");
    assert!(outer.files("a").has("deep/inner/file"), "nothing was deleted");
    inner.files("b").write("file", "edited");
    inner.wait();
    inner.stop();
    outer.wait();
    assert_eq!(outer.files("a").read("deep/inner/file").unwrap(), b"edited");
}

#[test]
fn a_folder_that_changes_its_state_directory_is_adopted_without_a_transfer() {
    let (mut first, mut second) = two_houses();
    first.stop();
    second.files("theirs").remove("0/0");
    second.files("theirs").remove("of the second");
    let before = tree(first.root("shared"));
    second.up();
    second.wait();
    assert_eq!(tree(second.root("shared")), before);
    assert_eq!(second.files("theirs").read("1/1").unwrap(), b"of the first, 1");
    assert_eq!(second.status()["conflicts"], 0);
}
