//! `kill -9` of each process while files travel: everything arrives, nobody helps, nothing is left.

use std::time::Duration;

use onitu_tests::{House, Signal, runs, signal_to, soon, within};

/// Kills `victim` again and again while 500 files travel from one folder to the others.
fn nothing_is_lost_when_it_is_killed(services: &[&str], victim: &str, times: usize) {
    let mut house = House::new(services);
    house.files("a").write("known", "in step");
    house.wait();
    let files = house.files("a");
    for kill in 0..times {
        for at in 0..500 / times {
            files
                .write(format!("batch {kill}/{}/{at}", at % 10), format!("{kill} {at}").repeat(at));
        }
        files.append("known", format!(", edited {kill}"));
        let killed = house.kill9(victim);
        assert!(!runs(killed) || victim != "supervisor");
        soon("it is started again", || house.pid_of(victim) != killed);
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
    let status = house.status();
    let entries = 500 / times * times + times * 11 + 1;
    assert_eq!(status["entries"], entries, "{status:#}");
    house.stop();
}

#[test]
fn the_driver_that_sends() {
    nothing_is_lost_when_it_is_killed(&["a", "b"], "driver-a", 2);
}

#[test]
fn the_driver_that_receives() {
    nothing_is_lost_when_it_is_killed(&["a", "b"], "driver-b", 2);
}

#[test]
fn one_of_three_drivers() {
    nothing_is_lost_when_it_is_killed(&["a", "b", "c"], "driver-c", 2);
}

#[test]
fn the_referee() {
    nothing_is_lost_when_it_is_killed(&["a", "b"], "referee", 2);
}

#[test]
fn the_referee_of_five_services() {
    nothing_is_lost_when_it_is_killed(&["a", "b", "c", "d", "e"], "referee", 1);
}

#[test]
fn the_core() {
    nothing_is_lost_when_it_is_killed(&["a", "b"], "core", 2);
}

#[test]
fn the_metadata_server() {
    nothing_is_lost_when_it_is_killed(&["a", "b"], "redis", 2);
}

#[test]
fn the_metadata_server_of_three_services() {
    nothing_is_lost_when_it_is_killed(&["a", "b", "c"], "redis", 1);
}

#[test]
fn the_supervisor_and_none_of_the_others_is_left() {
    let mut house = House::new(&["a", "b"]);
    let files = house.files("a");
    for at in 0..500 {
        files.write(format!("{}/{at}", at % 20), format!("{at}"));
    }
    house.kill9("supervisor");
    house.assert_nothing_runs();
    files.write("19/19", "edited while nothing ran");
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 520);
    assert_eq!(house.status()["conflicts"], 0);
    house.stop();
}

#[test]
fn a_file_edited_again_after_each_kill_of_who_receives_it_is_no_conflict() {
    // What is small has a checksum from the first; a large one's is known after its transfer.
    for size in [30, 200_000] {
        let house = House::new(&["a", "b", "c"]);
        let text = |edit: u32| format!("edit {edit} ").repeat(size / 7).into_bytes();
        for edit in 0..5 {
            house.files("a").write("letter", text(edit));
            soon("it arrives", || house.files("b").read("letter") == Some(text(edit)));
            house.strike("driver-b");
        }
        house.files("a").write("letter", text(5));
        house.wait();
        house.assert_alike();
        assert_eq!(house.files("b").read("letter"), Some(text(5)));
        assert_eq!(house.status()["entries"], 1);
        assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
    }
}

#[test]
fn a_large_file_edited_when_its_receiver_died_before_it_could_tell_is_no_conflict() {
    const SIZE: usize = 64 << 20;
    let house = House::new(&["a", "b"]);
    house.files("a").write("film", vec![1; SIZE]);
    let arrived = || {
        let tmp = std::fs::read_dir(house.root("b").join(".onitu/tmp")).unwrap().flatten();
        let parts = tmp.filter_map(|entry| entry.metadata().ok()).map(|it| it.len() as usize);
        if house.files("b").has("film") { SIZE } else { parts.max().unwrap_or(0) }
    };
    soon("it is on its way", || arrived() > 1 << 20);
    // Nobody hears what the receiver tells, and the checksum was known to nobody before.
    signal_to(house.pid_of("referee"), Signal::STOP);
    soon("all of it is there", || arrived() == SIZE);
    let is_placed = within(Duration::from_secs(2), || house.files("b").has("film"));
    assert!(!is_placed, "it was placed before anybody knew its checksum");
    house.strike("driver-b");
    house.strike("referee");
    house.files("a").write("film", vec![2; SIZE / 2]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("film"), Some(vec![2; SIZE / 2]));
    assert_eq!(house.status()["entries"], 1);
    assert_eq!(house.json(&["conflicts", "--json"]), serde_json::json!([]));
}

#[test]
fn a_file_deleted_after_the_kill_of_who_receives_it_stays_deleted() {
    for size in [30, 200_000] {
        let house = House::new(&["a", "b"]);
        for edit in 0..4 {
            house.files("a").write("letter", vec![edit; size]);
            soon("it arrives", || house.files("b").has("letter"));
            house.strike("driver-b");
            house.files("a").remove("letter");
            soon("it goes", || !house.files("b").has("letter"));
        }
        house.wait();
        house.assert_alike();
        assert_eq!(house.status()["entries"], 0);
    }
}

#[test]
fn a_large_file_goes_on_when_its_driver_is_killed_in_the_middle() {
    for victim in ["driver-a", "driver-b"] {
        let mut house = House::new(&["a", "b"]);
        house.files("a").write("film", vec![7; 120 << 20]);
        let arriving = || {
            let tmp = std::fs::read_dir(house.root("b").join(".onitu/tmp")).unwrap().flatten();
            tmp.filter_map(|entry| entry.metadata().ok()).any(|it| it.len() > 1 << 20)
        };
        soon("it is on its way", || arriving() || house.files("b").has("film"));
        house.kill9(victim);
        house.wait();
        house.assert_alike();
        house.stop();
    }
}

#[test]
fn every_process_at_once() {
    let mut house = House::new(&["a", "b", "c"]);
    for at in 0..200 {
        house.files("a").write(format!("a/{at}"), format!("{at}"));
        house.files("b").write(format!("b/{at}"), format!("{at}"));
    }
    for victim in ["driver-a", "driver-b", "driver-c", "referee", "redis", "core"] {
        house.kill9(victim);
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 402);
    house.stop();
}

#[test]
fn deletions_and_renames_under_way_are_carried_out() {
    for victim in ["referee", "driver-b", "redis"] {
        let mut house = House::new(&["a", "b"]);
        for at in 0..100 {
            house.files("a").write(format!("old/{at}"), format!("{at}"));
            house.files("a").write(format!("gone/{at}"), format!("{at}"));
        }
        house.wait();
        house.files("a").rename("old", "new");
        house.files("a").remove_all("gone");
        house.kill9(victim);
        house.wait();
        house.assert_alike();
        assert!(!house.files("b").has("gone") && !house.files("b").has("old"));
        assert_eq!(house.status()["entries"], 101);
    }
}
