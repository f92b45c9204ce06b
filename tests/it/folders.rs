//! Folders that are missing, forbidden, full or not what they were, and drivers that don't run.

use std::path::Path;

use onitu_tests::{Files, House, found, soon, tree};

/// What the status says of a service once it is in `state`.
fn reason_of(house: &House, service: &str, state: &str) -> String {
    found(&format!("`{service}` is {state}"), || {
        let status = house.service(service)?;
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        (status["state"] == state).then_some(reason)
    })
}

#[test]
fn a_missing_folder_stops_nobody_else_and_heals_when_it_appears() {
    let mut house = House::prepared(&["a", "b"]);
    let missing = house.path().join("usb");
    house.add_service_at("usb", missing.clone());
    house.files("a").write("file", "1");
    house.up();
    let reason = reason_of(&house, "usb", "unavailable");
    assert!(reason.contains("usb"), "{reason}");
    soon("the others go on", || house.files("b").has("file"));
    let error = house.fail(&["wait", "--timeout", "500ms"], 1);
    assert!(error.contains("`usb` is unavailable"), "{error}");
    assert!(!missing.exists(), "it was made");

    std::fs::create_dir(&missing).unwrap();
    house.wait();
    house.assert_alike();
}

#[test]
fn a_folder_that_goes_away_and_comes_back_loses_nothing() {
    let house = House::new(&["a", "b", "c"]);
    for at in 0..50 {
        house.files("b").write(format!("{}/{at}", at % 4), "x");
    }
    house.wait();
    let aside = house.path().join("aside");
    std::fs::rename(house.root("b"), &aside).unwrap();
    house.files("a").write("new", "made meanwhile");
    let reason = reason_of(&house, "b", "unavailable");
    assert!(reason.contains("/b"), "{reason}");
    soon("the others go on", || house.files("c").has("new"));
    assert_eq!(tree(house.root("a")).len(), 55, "nothing was deleted");
    Files::new(&aside).write("0/0", "edited while away");
    std::fs::rename(&aside, house.root("b")).unwrap();
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("c").read("0/0").unwrap(), b"edited while away");
}

#[test]
fn a_folder_that_is_removed_with_everything_in_it_is_gone_and_not_empty() {
    let house = House::new(&["a", "b"]);
    for at in 0..200 {
        house.files("a").write(format!("{}/{at}", at % 9), "precious");
    }
    house.wait();
    std::fs::remove_dir_all(house.root("b")).unwrap();
    reason_of(&house, "b", "unavailable");
    std::fs::create_dir(house.root("b")).unwrap();
    let reason = reason_of(&house, "b", "unavailable");
    assert!(!reason.is_empty());
    house.fail(&["wait", "--timeout", "1s"], 1);
    // What was unlinked before the marker was, may count as deleted by its user. It is in the trash.
    let kept = tree(house.root("a")).len();
    let mut trashed = 0;
    let mut waiting = vec![house.root("a").join(".onitu/trash")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            trashed += usize::from(entry.path().is_file() && entry.file_name() != "index");
            if entry.path().is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    assert!(kept + trashed >= 200, "{kept} left, {trashed} in the trash");
}

#[test]
fn a_folder_that_may_not_be_written_stops_nobody_else_and_heals() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.files("a").write("file", "1");
    house.run_as_nobody();
    std::fs::set_permissions(house.root("b"), permissions(0o555)).unwrap();
    house.up();
    soon("the others go on", || house.files("c").has("file"));
    let reason = reason_of(&house, "b", "unavailable");
    assert!(reason.to_lowercase().contains("permission") || reason.contains("writ"), "{reason}");
    std::fs::set_permissions(house.root("b"), permissions(0o755)).unwrap();
    house.wait();
    house.assert_alike();
}

fn permissions(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[test]
fn a_full_disk_is_told_keeps_what_is_there_and_goes_on_with_room() {
    let mut house = House::prepared(&["a", "b", "small"]);
    let small = house.root("small").to_owned();
    if !house.mount(&small, 4 << 20) {
        return;
    }
    house.files("small").write("known", "x".repeat(100_000));
    house.up();
    house.wait();
    house.files("a").write("too large", vec![1; 8 << 20]);
    house.files("a").write("known", "y".repeat(50_000));
    soon("the others go on", || house.files("b").has("too large"));
    soon("it is told", || {
        let service = house.service("small").unwrap();
        let problems = service["problems"].as_array().unwrap();
        problems.iter().any(|it| {
            it["path"] == "too large" && it["message"].as_str().unwrap().contains("No space")
        })
    });
    soon("what fits arrives", || {
        house.files("small").read("known") == house.files("a").read("known")
    });
    assert!(!house.files("small").has("too large"), "nothing incomplete under a name");
    house.fail(&["wait", "--timeout", "500ms"], 1);

    house.files("a").write("too large", vec![2; 1 << 20]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.service("small").unwrap()["problems_total"], 0);
}

#[test]
fn a_driver_that_is_not_installed_is_told() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_driver("b", "s9");
    let error = house.fail(&["up"], 78);
    assert!(error.contains("`s9`") && error.contains("entries.toml:"), "{error}");
}

#[test]
fn a_driver_that_ends_at_once_stops_nobody_else() {
    let mut house = House::prepared(&["a", "b", "c"]);
    let manifest = house.path().join("manifest.json");
    let local = std::process::Command::new(driver_local()).arg("manifest").output().unwrap();
    let text = String::from_utf8(local.stdout).unwrap().replace("\"local\"", "\"crash\"");
    std::fs::write(&manifest, text).unwrap();
    let script = format!(
        "if [ \"$1\" = manifest ]; then cat '{}'; exit; fi\necho 'no such luck' >&2; exit 3",
        manifest.display()
    );
    house.add_program("onitu-driver-crash", &script);
    house.set_driver("c", "crash");
    house.files("a").write("file", "1");
    house.up();
    soon("the others go on", || house.files("b").has("file"));
    let reason = reason_of(&house, "c", "unavailable");
    assert!(reason.contains("no such luck"), "{reason}");
    let status = house.status();
    let processes = status["processes"].as_array().unwrap();
    let crashing = processes.iter().find(|it| it["name"] == "driver-c").unwrap();
    assert!(crashing["restarts"].as_u64().unwrap() > 0, "{crashing}");

    house.set_driver("c", "local");
    house.say(&["reload"]);
    house.wait();
    house.assert_alike();
}

/// Beside the test's own directory, as the harness knows too.
fn driver_local() -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("onitu-driver-local")
}

#[test]
fn a_folder_replaced_by_another_one_is_not_taken_for_it() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("precious", "keep me");
    house.wait();
    let aside = house.path().join("aside");
    std::fs::rename(house.root("b"), &aside).unwrap();
    std::fs::create_dir(house.root("b")).unwrap();
    house.files("b").write("stranger", "of another disk");
    reason_of(&house, "b", "unavailable");
    assert!(house.files("a").has("precious") && !house.files("a").has("stranger"));
    std::fs::remove_dir_all(house.root("b")).unwrap();
    std::fs::rename(&aside, house.root("b")).unwrap();
    house.wait();
    house.assert_alike();
}

#[test]
fn the_folder_of_another_service_is_refused() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("file", "1");
    house.wait();
    house.stop();
    // The two folders are given to each other's names.
    let (a, b) = (house.root("a").to_owned(), house.root("b").to_owned());
    for (name, root) in [("a", &b), ("b", &a)] {
        house.remove_service(name);
        house.add_service_at(name, Path::to_owned(root));
    }
    house.up();
    let reason = reason_of(&house, "b", "unavailable");
    assert!(reason.contains("`a`") || reason.contains("belongs"), "{reason}");
}
