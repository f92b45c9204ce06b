//! The end: in order, within a bound, and nothing left.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::place::{HANGS, IDLES, Place, runs, signal, soon};

#[test]
fn sigterm_stops_the_drivers_first_and_the_metadata_server_last() {
    let place = Place::new();
    let mut up = place.up();
    let own = up.own();
    let runtime_dir = up.instance().runtime_dir;
    up.run(&["nas"], &place.program("driver", IDLES));
    up.process("driver-nas");
    let log = || place.read("state/log/onitu.log");
    let started = |name: &str| log().contains(&format!(" {name}: started"));
    let all = || started("core") && started("referee") && started("driver-nas");
    soon("all have started", || all().then_some(()));

    let status = up.end(Signal::TERM);

    assert_eq!(status.code(), Some(0));
    let ended = place.read("bin/ended");
    let mut order: Vec<_> = ended.lines().collect();
    order[1..].sort_unstable();
    assert_eq!(order, ["driver", "onitu-core", "onitu-referee"]);
    assert!(log().contains("redis: ") && log().contains("ready to exit"), "{}", log());
    assert!(!own.into_iter().any(runs));
    assert!(!runtime_dir.exists());
    assert!(!place.state().join("instance.json").exists());
    assert_eq!(place.read("stderr"), "");
}

#[test]
fn programs_that_do_not_obey_are_killed_within_the_bound() {
    let place = Place::new();
    place.program("onitu-core", HANGS);
    place.program("onitu-referee", HANGS);
    let mut up = place.up();
    let mut pids = up.own().to_vec();
    up.run(&["a", "b", "c"], &place.program("driver", HANGS));
    pids.extend(["driver-a", "driver-b", "driver-c"].map(|name| up.process(name)));
    let since = Instant::now();
    let status = up.end(Signal::INT);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(!pids.into_iter().any(runs));
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    let place = Place::new();
    let mut up = place.up();
    let mut pids = up.own().to_vec();
    up.run(&["a"], &place.program("driver", HANGS));
    pids.push(up.process("driver-a"));
    let log = || place.read("state/log/onitu.log");
    signal(up.pid(), Signal::INT);
    soon("it stops", || log().contains("supervisor: stopping").then_some(()));
    let since = Instant::now();
    let status = up.end(Signal::INT);
    assert_eq!(status.code(), Some(1));
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    soon("no process is left", || (!pids.iter().any(|pid| runs(*pid))).then_some(()));
    insta::assert_snapshot!(place.read("stderr"), @r#"
    killed before everything had stopped
    "#);
}

#[test]
fn it_can_be_stopped_while_it_starts() {
    let place = Place::new();
    place.program("redis-server", HANGS);
    let mut up = place.up();
    let pid = up.process("redis");
    assert_eq!(up.end(Signal::TERM).code(), Some(0));
    assert!(!runs(pid));
}
