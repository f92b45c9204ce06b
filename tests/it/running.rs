//! The running instance: its end, the second one that is refused, and an idle one.

use std::time::Duration;

use onitu_tests::{House, Signal, signal_to, soon};

#[test]
fn sigterm_ends_everything_while_files_travel_and_they_arrive_after_the_next_start() {
    let mut house = House::new(&["a", "b", "c"]);
    for at in 0..500 {
        house.files("a").write(format!("{}/{at}", at % 9), vec![3; at * 50]);
    }
    house.stop();
    assert_eq!(house.fail(&["status"], 1).lines().count(), 2);
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 509);
}

#[test]
fn ctrl_c_ends_everything_within_the_bound() {
    let mut house = House::new(&["a", "b", "c", "d", "e"]);
    signal_to(house.supervisor(), Signal::INT);
    assert!(house.ended(Duration::from_secs(10)).success());
    house.assert_nothing_runs();
    let sockets: Vec<_> = std::fs::read_dir(house.path().join("run")).unwrap().collect();
    assert!(sockets.is_empty(), "{sockets:?}");
}

#[test]
fn one_line_says_that_all_are_connected() {
    let house = House::new(&["a", "b"]);
    soon("the line", || house.text_of("stdout").ends_with('\n'));
    assert_eq!(house.text_of("stdout"), "onitu: keeping in step: a, b (state ./state)\n");
    assert_eq!(house.text_of("stderr"), "");
}

#[test]
fn a_second_one_on_the_same_state_is_refused_with_the_number_of_the_first() {
    let house = House::new(&["a", "b"]);
    let error = house.fail(&["up"], 1);
    assert!(error.contains(&house.supervisor().to_string()), "{error}");
    house.files("a").write("still", "running");
    house.wait();
    house.assert_alike();
}

#[test]
fn a_driver_that_hangs_is_told_and_catches_up() {
    let house = House::new(&["a", "b", "c"]);
    let hanging = house.pid_of("driver-b");
    signal_to(hanging, Signal::STOP);
    for at in 0..100 {
        house.files("a").write(format!("{at}"), "for everybody");
    }
    soon("the others go on", || house.files("c").has("99"));
    let error = house.fail(&["wait", "--timeout", "1s"], 1);
    assert!(error.contains("`b`"), "{error}");
    signal_to(hanging, Signal::CONT);
    house.wait();
    house.assert_alike();
}

#[test]
fn two_of_them_run_beside_each_other() {
    let [one, other] = [House::new(&["a", "b"]), House::new(&["a", "b"])];
    one.files("a").write("whose", "the first's");
    other.files("a").write("whose", "the second's");
    one.wait();
    other.wait();
    one.assert_alike();
    other.assert_alike();
    assert_eq!(one.files("b").read("whose").unwrap(), b"the first's");
}

#[test]
fn a_state_directory_that_was_moved_is_the_same() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("known", "well");
    house.wait();
    house.stop();
    let entries = house.text_of("entries.toml").replace("./state", "./elsewhere/state");
    std::fs::create_dir(house.path().join("elsewhere")).unwrap();
    std::fs::rename(house.state_dir(), house.path().join("elsewhere/state")).unwrap();
    house.write("entries.toml", &entries);
    // Only somebody who remembers takes this for a deletion.
    house.files("b").remove("known");
    house.up();
    house.wait();
    house.assert_alike();
    assert!(!house.files("a").has("known"));
}
