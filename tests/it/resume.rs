//! A large transfer that is interrupted goes on from what is already there, whoever was killed.

use std::io::Write;
use std::path::PathBuf;

use onitu_tests::{Files, House, inode, runs, soon, written_bytes};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 160 * MIB;
/// Of that much at least the transfer's middle is made.
const BEGUN: u64 = 16 * MIB;
/// What a driver writes beside the file: its log, messages, bookkeeping.
const BESIDE: u64 = 12 * MIB;

/// A MiB unlike any other of the films.
fn block(version: u8, number: u64) -> Vec<u8> {
    let mut bytes = vec![version; 1 << 20];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Writes a film of `SIZE` bytes beside the folder; [`show`] moves it in.
fn shoot(files: &Files, version: u8) {
    let mut file = std::fs::File::create(files.at(format!("../film {version}"))).unwrap();
    for number in 0..SIZE / MIB {
        file.write_all(&block(version, number)).unwrap();
    }
}

fn show(files: &Files, version: u8) {
    files.rename(format!("../film {version}"), "film");
}

fn is_shown(files: &Files, version: u8) -> bool {
    let film = files.read("film").unwrap();
    let mut blocks = (0..).zip(film.chunks(1 << 20));
    film.len() as u64 == SIZE && blocks.all(|(number, bytes)| bytes == block(version, number))
}

/// The part of the film that has arrived in `b`, under its temporary name.
fn part(house: &House) -> Option<(PathBuf, u64)> {
    let tmp = std::fs::read_dir(house.root("b").join(".onitu/tmp")).ok()?.flatten();
    let parts = tmp.filter(|it| it.file_name().to_string_lossy().starts_with("resume-"));
    parts.filter_map(|it| Some((it.path(), it.metadata().ok()?.len()))).max_by_key(|it| it.1)
}

/// A house in which the film is on its way from `a` to `b` when `victim` is killed; the part that
/// has arrived by then, its inode and its length.
fn interrupted(victim: &str) -> (House, u64, u64) {
    let house = House::new(&["a", "b"]);
    for version in [1, 2] {
        shoot(&house.files("a"), version);
    }
    show(&house.files("a"), 1);
    soon("a part is there", || part(&house).is_some_and(|(_, length)| length >= BEGUN));
    let killed = house.strike(victim);
    soon("it is dead", || !runs(killed));
    let (path, length) = part(&house).expect("the film had already arrived: make it longer");
    assert!(length < SIZE, "nothing is left to be sent: make the film longer");
    let inode = inode(&path);
    (house, inode, length)
}

#[test]
fn a_transfer_whose_receiver_was_killed_goes_on_from_its_durable_offset() {
    let (house, part_inode, length) = interrupted("driver-b");
    house.wait();
    house.assert_alike();
    assert!(is_shown(&house.files("b"), 1));
    assert_eq!(house.files("b").inode("film"), part_inode, "it was begun anew");
    let written = written_bytes(house.pid_of("driver-b"));
    assert!(written < SIZE - length + BESIDE, "{written} bytes written after {length} were there");
}

/// The receiver outlives `victim`, and writes each byte once.
fn goes_on_in_the_same_driver(victim: &str) {
    let (house, part_inode, _) = interrupted(victim);
    house.wait();
    house.assert_alike();
    assert!(is_shown(&house.files("b"), 1));
    assert_eq!(house.files("b").inode("film"), part_inode, "it was begun anew");
    let written = written_bytes(house.pid_of("driver-b"));
    assert!(written < SIZE + BESIDE, "{written} bytes written, by a driver that went on running");
}

#[test]
fn a_transfer_whose_source_was_killed_goes_on_from_its_durable_offset() {
    goes_on_in_the_same_driver("driver-a");
}

#[test]
fn a_transfer_goes_on_while_the_referee_is_killed_and_nothing_is_sent_twice() {
    goes_on_in_the_same_driver("referee");
}

#[test]
fn a_transfer_that_everything_was_killed_under_goes_on_from_its_durable_offset() {
    let (mut house, part_inode, length) = interrupted("supervisor");
    house.ended(std::time::Duration::from_secs(10));
    house.assert_nothing_runs();
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").inode("film"), part_inode, "it was begun anew");
    let written = written_bytes(house.pid_of("driver-b"));
    assert!(written < SIZE - length + BESIDE, "{written} bytes written after {length} were there");
}

#[test]
fn a_film_that_was_changed_in_between_is_sent_from_its_beginning_and_never_mixed() {
    for victim in ["driver-b", "driver-a"] {
        let (house, _, length) = interrupted(victim);
        show(&house.files("a"), 2);
        house.wait();
        house.assert_alike();
        assert!(is_shown(&house.files("b"), 2), "two films are mixed");
        let before = if victim == "driver-b" { 0 } else { length };
        let written = written_bytes(house.pid_of("driver-b"));
        assert!(written > before + SIZE, "{written} bytes written: it has the other's beginning");
        assert_eq!(house.status()["conflicts"], 0);
    }
}
