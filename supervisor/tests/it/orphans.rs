//! No process is left behind, however the supervisor ends.

use std::process::Command;

use rustix::process::Signal;

use crate::place::{IDLES, Place, runs, signal, soon};

#[test]
fn a_killed_supervisor_leaves_no_process_behind() {
    let place = Place::new();
    let mut up = place.up();
    let mut pids = up.own().to_vec();
    up.run(&["nas"], &place.program("driver", IDLES));
    pids.push(up.process("driver-nas"));
    assert!(pids.iter().all(|pid| runs(*pid)));

    up.end(Signal::KILL);

    soon("no process is left", || (!pids.iter().any(|pid| runs(*pid))).then_some(()));
}

#[test]
fn what_a_killed_supervisor_left_behind_is_removed_by_the_next() {
    let place = Place::new();
    let mut up = place.up();
    up.own();
    let left = up.instance().runtime_dir;
    up.end(Signal::KILL);
    assert!(left.exists());
    let said = place.answer(&["status"]);
    assert!(said.starts_with("exit code: 1") && said.contains("Onitu isn't running"), "{said}");

    let mut up = place.up();
    assert_ne!(up.instance().runtime_dir, left);
    assert!(!left.exists());
    up.own();
    assert!(up.end(Signal::TERM).success());
}

#[test]
fn a_child_whose_parent_is_gone_does_not_start() {
    let place = Place::new();
    // The shell is its parent, and the number is another's.
    let answer = place.answer(&["tied", "--parent", "1", "--", "touch", "started"]);
    insta::assert_snapshot!(answer, @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: its parent, process 1, is gone
    "#);
    assert!(!place.path().join("started").exists());
}

#[test]
fn ctrl_c_in_the_terminal_reaches_the_supervisor_alone() {
    let place = Place::new();
    let up = place.up();
    for pid in up.own() {
        let group = Command::new("ps").args(["-o", "pgid=", "-p", &pid.to_string()]).output();
        let group = String::from_utf8(group.unwrap().stdout).unwrap();
        assert_eq!(group.trim(), pid.to_string());
    }
}

#[test]
fn what_a_killed_driver_had_started_ends_with_it() {
    let place = Place::new();
    let up = place.up();
    let body = "trap '' TERM\nsh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 0.05; done' &\nwait\n";
    up.run(&["nas"], &place.program("driver", body));
    let child: u32 = soon("child", || place.read("child").trim().parse().ok());
    assert!(runs(child));
    up.run(&[], &place.program("driver", body));
    soon("the child's end", || (!runs(child)).then_some(()));
    signal(up.pid(), Signal::TERM);
}
