//! What breaks while Onitu runs: it is told with what to do about it, nothing is lost, and when it
//! is mended everything catches up by itself.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use onitu_tests::{
    House, Must, Signal, found, modified_ns, set_modified_ns, signal_to, soon, tree,
};

/// Whether a problem of `service` with `path` is told, in these words.
fn is_told(house: &House, service: &str, path: &str, words: &str) -> bool {
    let Some(service) = house.service(service) else { return false };
    let problems = service["problems"].as_array().unwrap();
    let message = |it: &serde_json::Value| it["message"].as_str().unwrap_or_default().to_owned();
    problems.iter().any(|it| it["path"] == path && message(it).contains(words))
}

/// Waits until `service` is unavailable for a reason in which one of `words` stands.
fn is_unavailable(house: &House, service: &str, words: &[&str]) {
    soon(&format!("`{service}` is unavailable because of {words:?}"), || {
        let Some(service) = house.service(service) else { return false };
        let reason = service["reason"].as_str().unwrap_or_default();
        service["state"] == "unavailable" && words.iter().any(|word| reason.contains(word))
    });
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).must("chmod");
}

/// Fills the disk on which `directory` is.
fn fill(directory: &Path) -> std::path::PathBuf {
    let filler = directory.join("filler");
    let mut file = File::create(&filler).unwrap();
    for size in [1 << 20, 4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    filler
}

#[test]
fn a_full_disk_under_the_state_directory_is_told_and_costs_no_file() {
    let mut house = House::prepared(&["a", "b"]);
    let state = house.state_dir();
    std::fs::create_dir(&state).unwrap();
    if !house.mount(&state, 16 << 20) {
        return;
    }
    for at in 0..50 {
        house.files("a").write(format!("known/{at}"), format!("{at}"));
    }
    house.up();
    house.wait();
    let filler = fill(&state);
    for at in 0..300 {
        house.files("a").write(format!("new/{at}"), format!("new {at}"));
        if at < 50 {
            house.files("b").write(format!("known/{at}"), format!("edited {at}"));
        }
    }
    for name in ["a", "b"] {
        is_unavailable(&house, name, &["can't write its file"]);
    }
    let status = house.say(&["status"]);
    assert!(status.contains("make room"), "{status}");
    let error = house.fail(&["wait", "--timeout", "1s"], 1);
    assert!(error.contains("make room"), "{error}");

    std::fs::remove_file(filler).unwrap();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 352);
    assert_eq!(house.status()["conflicts"], 0);
    assert_eq!(house.files("a").read("known/7").unwrap(), b"edited 7");
    house.stop();
}

fn remount(at: &Path, how: &str) -> bool {
    let options = format!("remount,{how}");
    let output = Command::new("mount").args(["-o", &options]).arg(at).output();
    output.must("start `mount`").status.success()
}

#[test]
fn a_folder_that_becomes_read_only_is_told_and_goes_on_when_it_is_writable() {
    let mut house = House::prepared(&["a", "b", "c"]);
    let root = house.root("b").to_owned();
    if !house.mount(&root, 16 << 20) {
        return;
    }
    house.files("a").write("known", "1");
    house.up();
    house.wait();
    // A file system can't be made so while something on it is open for writing.
    soon("it is read-only", || {
        house.kill9("driver-b");
        remount(&root, "ro")
    });
    house.files("a").write("new", "made meanwhile");
    house.files("a").write("known", "edited meanwhile");
    soon("the others go on", || house.files("c").has("new"));
    is_unavailable(&house, "b", &["Read-only"]);
    let status = house.service("b").unwrap();
    assert!(status["reason"].as_str().unwrap().contains("writable"), "{status}");
    assert!(remount(&root, "rw"));
    house.wait();
    house.assert_alike();
}

#[test]
fn a_folder_whose_permission_is_lost_is_unknown_and_goes_on_when_it_is_given_back() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for at in 0..30 {
        house.files("a").write(format!("{}/{at}", at % 3), format!("{at}"));
    }
    house.run_as_nobody();
    house.up();
    house.wait();
    let before = tree(house.root("a"));
    chmod(house.root("b"), 0o000);
    house.kill9("driver-b");
    is_unavailable(&house, "b", &["can't be read"]);
    house.files("a").write("new", "made meanwhile");
    soon("the others go on", || house.files("c").has("new"));
    assert_eq!(tree(house.root("a")).len(), before.len() + 1, "nothing was deleted");
    chmod(house.root("b"), 0o755);
    house.wait();
    house.assert_alike();
}

#[test]
fn a_directory_that_can_not_be_read_is_unknown_and_not_empty() {
    let mut house = House::prepared(&["a", "b"]);
    for at in 0..30 {
        house.files("a").write(format!("d/{}/{at}", at % 3), format!("{at}"));
    }
    house.run_as_nobody();
    house.up();
    house.wait();
    let before = tree(house.root("a"));
    // The second one may be looked into by its name, but not listed.
    for mode in [0o000, 0o111] {
        chmod(&house.files("b").at("d"), mode);
        house.say(&["rescan", "b"]);
        soon("it is told", || is_told(&house, "b", "d", "Permission denied"));
        house.kill9("driver-b");
        soon("it is told again", || is_told(&house, "b", "d", "Permission denied"));
        house.files("a").write("beside", format!("travels all the same, {mode}"));
        let edited = || house.files("b").read("beside") == house.files("a").read("beside");
        soon("the rest goes on", edited);
        let kept = tree(house.root("a"));
        assert!(before.keys().all(|path| kept.contains_key(path)), "something was deleted");
        chmod(&house.files("b").at("d"), 0o755);
        house.wait();
        house.assert_alike();
        soon("it is a problem no more", || house.service("b").unwrap()["problems_total"] == 0);
    }
}

#[test]
fn a_file_that_can_not_be_read_or_replaced_is_told_alone_and_arrives_later() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("secret", "for nobody");
    house.files("a").write("locked/file", "before");
    house.run_as_nobody();
    chmod(&house.files("a").at("secret"), 0o000);
    house.up();
    soon("it is told", || {
        is_told(&house, "a", "secret", "Permission denied")
            || is_told(&house, "b", "secret", "Permission denied")
    });
    soon("the rest arrives", || house.files("b").has("locked/file"));
    assert!(!house.files("b").has("secret"));
    chmod(&house.files("a").at("secret"), 0o644);
    house.wait();
    house.assert_alike();

    chmod(&house.files("b").at("locked"), 0o555);
    house.files("a").write("locked/file", "after");
    house.files("a").write("beside", "travels");
    soon("it is told", || is_told(&house, "b", "locked/file", "Permission denied"));
    soon("the rest arrives", || house.files("b").has("beside"));
    assert_eq!(house.files("b").read("locked/file").unwrap(), b"before");
    chmod(&house.files("b").at("locked"), 0o755);
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_source_that_vanishes_in_the_middle_is_replaced_by_the_next_holder() {
    let mut house = House::new(&["a", "c"]);
    let size = 400 << 20;
    let film = File::create(house.files("a").at("film")).unwrap();
    film.set_len(size).unwrap();
    film.write_all_at(b"the end", size - 7).unwrap();
    drop(film);
    house.wait();
    house.add_service("b");
    house.say(&["reload"]);
    let from = found("it is on its way", || {
        let transfers = house.service("b")?["transfers"].clone();
        let transfer = transfers.as_array()?.iter().find(|it| it["path"] == "film")?.clone();
        Some(transfer["from"].as_str()?.to_owned())
    });
    let source = house.pid_of(&format!("driver-{from}"));
    signal_to(source, Signal::STOP);
    soon("it came from the other one", || house.files("b").has("film"));
    signal_to(source, Signal::CONT);
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_file_that_grows_and_is_truncated_while_it_is_read_arrives_as_it_is_left() {
    let house = House::new(&["a", "b"]);
    let mut file = File::create(house.files("a").at("log")).unwrap();
    for round in 0..60_u8 {
        file.write_all(&vec![round; 1 << 20]).unwrap();
        if round % 20 == 19 {
            file.set_len(u64::from(round) * 1_000).unwrap();
        }
    }
    // A hole where the end was cut off, and the rest behind it.
    file.write_all(b"the end").unwrap();
    drop(file);
    house.wait();
    house.assert_alike();
    assert!(house.files("b").read("log").unwrap().ends_with(b"the end"));
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn times_in_the_future_the_past_and_going_back_are_only_times() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let house = House::new(&["a", "b", "c"]);
    let now = {
        house.files("a").write("now", "now");
        modified_ns(&house.files("a").at("now"))
    };
    let times = [now + 6 * HOUR_NS, now - 6 * HOUR_NS, 4_102_444_800_000_000_000, 1, -HOUR_NS];
    for (at, time) in times.iter().enumerate() {
        house.files("a").write(format!("{at}"), format!("version 0 of {at}"));
        set_modified_ns(&house.files("a").at(format!("{at}")), *time);
    }
    house.wait();
    house.assert_alike();
    // Each edit is older than what it replaces, as after a clock that was set back.
    for version in 1..4 {
        for (at, time) in times.iter().enumerate() {
            let files = house.files(["a", "b", "c"][(at + version) % 3]);
            files.write(format!("{at}"), format!("version {version} of {at}"));
            let back = i64::try_from(version).unwrap() * HOUR_NS;
            set_modified_ns(&files.at(format!("{at}")), time - back);
        }
        house.wait();
        house.assert_alike();
    }
    for at in 0..times.len() {
        let edited = house.files("b").read(format!("{at}")).unwrap();
        assert_eq!(edited, format!("version 3 of {at}").as_bytes());
        house.files("c").remove(format!("{at}"));
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 1);
    assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
}
