//! The commands: the fields of their JSON, their exit codes, and what they say when nothing runs.

use onitu_tests::{House, soon};
use serde_json::Value;

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str]) {
    let object = value.as_object().unwrap();
    for field in fields {
        assert!(object.contains_key(*field), "`{field}` is missing in {value:#}");
    }
}

#[test]
fn the_status_holds_what_the_design_lists() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("directory/file", "12345");
    house.wait();
    let status = house.status();
    assert_fields(&status, &["entries", "conflicts", "pending", "redis", "services", "processes"]);
    assert_eq!(
        (&status["entries"], &status["conflicts"], &status["pending"]),
        (&2.into(), &0.into(), &0.into())
    );
    assert!(status["redis"]["used_memory_bytes"].as_u64().unwrap() > 100_000);
    let services = status["services"].as_array().unwrap();
    assert_eq!(services.len(), 2);
    for (service, name) in services.iter().zip(["a", "b"]) {
        let fields = ["name", "driver", "state", "reason", "files", "pending", "pid", "scanned"];
        assert_fields(service, &fields);
        assert_fields(service, &["problems", "problems_total", "transfers"]);
        assert_eq!(service["name"], name);
        assert_eq!((&service["driver"], &service["state"]), (&"local".into(), &"ready".into()));
        assert_eq!((&service["files"], &service["pending"]), (&2.into(), &0.into()));
        assert_eq!(
            service["pid"].as_u64().unwrap(),
            u64::from(house.pid_of(&format!("driver-{name}")))
        );
    }
    for process in status["processes"].as_array().unwrap() {
        assert_fields(process, &["name", "pid", "restarts", "last_exit"]);
    }
    let table = house.say(&["status"]);
    assert!(table.starts_with("SERVICE") && table.contains("2 paths, nothing pending"), "{table}");
}

#[test]
fn ls_lists_the_tree_with_its_holders() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("one/two/file", "12345");
    house.files("a").write("one/z", "");
    house.files("b").link("link", "one");
    house.wait();
    let all = house.json(&["ls", "--json"]);
    let entries = all.as_array().unwrap();
    let paths: Vec<&str> = entries.iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["link", "one", "one/two", "one/two/file", "one/z"]);
    for entry in entries {
        assert_fields(entry, &["path", "kind", "size", "mtime_ns", "holders"]);
        assert_eq!(entry["holders"], serde_json::json!(["a", "b"]));
    }
    assert_eq!((&entries[3]["kind"], &entries[3]["size"]), (&"file".into(), &5.into()));
    assert_eq!(
        (&entries[0]["kind"], &entries[1]["kind"]),
        (&"symlink".into(), &"directory".into())
    );
    assert_eq!(
        entries[3]["mtime_ns"],
        onitu_tests::modified_ns(&house.files("b").at("one/two/file"))
    );
    let below = house.json(&["ls", "one/two", "--json"]);
    assert_eq!(below.as_array().unwrap().last().unwrap()["path"], "one/two/file");
    let text = house.say(&["ls"]);
    assert!(text.contains("one/two/file") || text.contains("file"), "{text}");
    house.fail(&["ls", "not/there"], 1);
}

#[test]
fn explain_says_who_holds_what_and_why() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.set_rules("sync everything to a, b");
    house.files("a").write("docs/letter", "hello\n");
    house.up();
    house.wait();
    let why = house.json(&["explain", "docs/letter", "--json"]);
    let fields = ["path", "revision", "gone", "kind", "size", "checksum", "holders", "targets"];
    assert_fields(&why, &fields);
    assert_fields(&why, &["statements", "pending"]);
    assert_eq!(
        (&why["revision"], &why["gone"], &why["size"]),
        (&1.into(), &false.into(), &6.into())
    );
    // `echo hello | sha1sum`
    assert_eq!(why["checksum"], "f572d396fae9206628714fb2ce00f72e94f2258f");
    assert_eq!(why["targets"], serde_json::json!(["a", "b"]));
    assert_eq!(why["pending"], serde_json::json!([]));
    assert_fields(&why["holders"][0], &["service", "revision", "current"]);
    assert_fields(&why["statements"][0], &["line", "text", "matches"]);
    assert_eq!(why["statements"][0]["text"], "sync everything to a, b");
    let nothing = house.json(&["explain", "never/there", "--json"]);
    assert_eq!(nothing["revision"], 0);
    assert!(house.say(&["explain", "docs/letter"]).contains("docs/letter"));
}

#[test]
fn explain_says_what_is_pending_and_why_it_is_not_done() {
    let house = House::new(&["a", "b"]);
    house.say(&["pause", "b"]);
    house.files("a").write("file", "1");
    soon("it is known", || house.json(&["explain", "file", "--json"])["revision"] == 1);
    let why = house.json(&["explain", "file", "--json"]);
    assert_fields(&why["pending"][0], &["service", "work", "reason"]);
    assert_eq!(why["pending"][0]["service"], "b");
    assert!(why["pending"][0]["reason"].as_str().unwrap().contains("paused"), "{why:#}");
}

#[test]
fn wait_fails_at_its_timeout_and_says_what_was_going_on() {
    let house = House::new(&["a", "b"]);
    house.say(&["pause", "b"]);
    house.files("a").write("file", "1");
    soon("it is known", || house.status()["pending"] == 1);
    soon("it says whom it waits for", || {
        let error = house.fail(&["wait", "--timeout", "300ms"], 1);
        error.contains("300 ms") && error.contains("pending on `b`, which is paused")
    });
}

#[test]
fn wait_may_begin_before_the_start() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("file", "1");
    let waiting = house.command(&["wait"]).spawn().unwrap();
    house.up();
    let mut waiting = waiting;
    assert!(waiting.wait().unwrap().success());
    house.assert_alike();
}

#[test]
fn every_command_that_needs_it_says_when_nothing_runs() {
    let house = House::prepared(&["a", "b"]);
    let commands: [&[&str]; 9] = [
        &["status"],
        &["status", "--json"],
        &["ls"],
        &["explain", "x"],
        &["conflicts"],
        &["reload"],
        &["rescan"],
        &["pause", "a"],
        &["resume"],
    ];
    for command in commands {
        let error = house.fail(command, 1);
        assert!(error.contains("Onitu isn't running") && error.contains("onitu up"), "{error}");
    }
    let error = house.fail(&["wait", "--timeout", "200ms"], 1);
    assert!(error.contains("isn't running"), "{error}");
}

#[test]
fn check_and_drivers_need_no_running_instance() {
    let house = House::prepared(&["a", "b"]);
    assert!(house.say(&["check"]).contains("2 services (a, b)"));
    let check = house.json(&["check", "--json"]);
    assert_fields(&check, &["config", "fine", "services", "problems"]);
    assert_eq!((&check["fine"], &check["services"][1]["name"]), (&true.into(), &"b".into()));
    assert_fields(&check["services"][0], &["name", "driver", "mode"]);
    let drivers = house.json(&["drivers", "--json"]);
    let local = drivers.as_array().unwrap().iter().find(|it| it["name"] == "local");
    assert!(local.is_some(), "{drivers:#}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let house = House::prepared(&["a", "b"]);
    for wrong in [&["upp"][..], &["wait", "--timeout", "soon"], &["ls", "--jsn"], &["explain"]] {
        house.fail(wrong, 2);
    }
}

#[test]
fn conflicts_are_an_empty_list_when_there_are_none() {
    let house = House::new(&["a", "b"]);
    assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
}
