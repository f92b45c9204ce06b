//! Single paths that can't be read, or never stand still: they stop nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onitu_tests::{House, found, soon, tree};

fn problem_at(house: &House, service: &str, path: &str) -> Option<String> {
    let service = house.service(service)?;
    let problems = service["problems"].as_array()?;
    let problem = problems.iter().find(|it| it["path"] == path)?;
    problem["message"].as_str().map(str::to_owned)
}

#[test]
fn a_file_that_may_not_be_read_is_told_and_travels_once_it_may() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("secret", "nobody may read this");
    house.files("a").write("beside", "travels");
    house.files("a").write("closed/inside", "nobody may look in there");
    house.run_as_nobody();
    house.files("a").chmod("secret", 0o000);
    house.files("a").chmod("closed", 0o000);
    house.up();
    soon("the others travel", || house.files("b").has("beside"));
    let message = found("it is told", || problem_at(&house, "a", "secret"));
    assert!(message.contains("ermission"), "{message}");
    soon("the directory is told", || problem_at(&house, "a", "closed").is_some());
    assert!(!house.files("b").has("secret"));
    house.files("a").chmod("secret", 0o644);
    house.files("a").chmod("closed", 0o755);
    soon("it arrives", || house.files("b").has("secret") && house.files("b").has("closed/inside"));
    house.wait();
    house.assert_alike();
}

#[test]
fn a_directory_that_can_not_be_read_any_more_deletes_nothing() {
    let mut house = House::prepared(&["a", "b"]);
    for at in 0..30 {
        house.files("a").write(format!("closed/{at}"), format!("{at}"));
    }
    house.run_as_nobody();
    house.up();
    house.wait();
    house.files("a").chmod("closed", 0o000);
    house.say(&["rescan", "a"]);
    soon("it is told", || problem_at(&house, "a", "closed").is_some());
    house.files("a").write("after", "1");
    soon("the others travel", || house.files("b").has("after"));
    assert_eq!(std::fs::read_dir(house.files("b").at("closed")).unwrap().count(), 30);
    house.files("a").chmod("closed", 0o755);
    house.say(&["rescan", "a"]);
    house.wait();
    house.assert_alike();
}

#[test]
fn a_file_that_changes_all_the_time_hinders_nobody_and_arrives_in_the_end() {
    let house = House::new(&["a", "b"]);
    let stop = Arc::new(AtomicBool::new(false));
    let (files, told) = (house.files("a"), stop.clone());
    let writer = std::thread::spawn(move || {
        let mut lines = 0_u64;
        while !told.load(Ordering::Relaxed) {
            files.append("log", format!("line {lines}\n"));
            lines += 1;
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        }
    });
    for at in 0..100 {
        house.files("a").write(format!("beside/{at}"), format!("{at}"));
    }
    soon("the others travel", || {
        (0..100).all(|at| {
            house.files("b").read(format!("beside/{at}")).as_deref()
                == Some(format!("{at}").as_bytes())
        })
    });
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn sockets_and_pipes_are_told_and_left_alone() {
    let house = House::new(&["a", "b"]);
    let _socket = std::os::unix::net::UnixListener::bind(house.files("a").at("socket")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(house.files("a").at("pipe")).status();
    assert!(made.unwrap().success());
    house.files("a").write("beside", "travels");
    house.wait();
    soon("both are told", || {
        ["socket", "pipe"].iter().all(|path| problem_at(&house, "a", path).is_some())
    });
    assert!(house.files("b").has("beside"));
    assert!(!house.files("b").has("socket") && !house.files("b").has("pipe"));
}

#[test]
fn what_onitu_keeps_for_itself_never_travels() {
    let house = House::new(&["a", "b"]);
    house.files("a").write(".onitu/own", "not yours");
    house.files("a").write("deeper/.onitu/file", "the user's");
    house.wait();
    house.assert_alike();
    assert!(!house.files("b").has(".onitu/own"));
    assert_eq!(house.files("b").read("deeper/.onitu/file").unwrap(), b"the user's");
    assert_eq!(house.status()["entries"], 3);
}

#[test]
fn a_file_that_vanishes_at_once_leaves_nothing_behind() {
    let house = House::new(&["a", "b"]);
    for at in 0..300 {
        house.files("a").write(format!("short {at}"), "x");
        house.files("a").remove(format!("short {at}"));
    }
    house.wait();
    house.assert_alike();
    let left: Vec<_> = tree(house.root("a")).into_keys().collect();
    assert!(left.is_empty(), "they came back: {left:?}");
    let status = house.status();
    assert_eq!(status["entries"], 0);
    assert_eq!(status["services"][0]["problems_total"], 0, "{status:#}");
}
