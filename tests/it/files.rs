//! Files: made, edited, removed, and what of them travels.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use onitu_tests::{House, Must, modified_ns, set_modified_ns, soon};

/// Makes, edits and removes files in every folder, and looks after each step.
fn what_is_done_in_one_folder_is_done_in_all(services: &[&str]) {
    let house = House::new(services);
    for name in services {
        let files = house.files(name);
        files.write(format!("new from {name}.txt"), format!("by {name}"));
        files.write(format!("common/to edit by {name}.txt"), "before");
        files.write(format!("to remove by {name}"), "gone soon");
    }
    house.wait();
    house.assert_alike();
    // Each one touches what another one made.
    for (at, name) in services.iter().enumerate() {
        let other = services[(at + 1) % services.len()];
        let files = house.files(name);
        files.write(format!("common/to edit by {other}.txt"), format!("after, by {name}"));
        files.remove(format!("to remove by {other}"));
    }
    house.wait();
    house.assert_alike();
    for name in services {
        let files = house.files(name);
        assert_eq!(
            files.read(format!("new from {name}.txt")).unwrap(),
            format!("by {name}").as_bytes()
        );
        assert!(files.read(format!("common/to edit by {name}.txt")).unwrap().starts_with(b"after"));
        assert!(!files.has(format!("to remove by {name}")));
    }
    let status = house.status();
    assert_eq!(status["conflicts"], 0, "{status:#}");
    assert_eq!(status["entries"], 2 * services.len() + 1, "{status:#}");
}

#[test]
fn two_folders_hold_the_same_after_every_kind_of_edit() {
    what_is_done_in_one_folder_is_done_in_all(&["a", "b"]);
}

#[test]
fn three_folders_hold_the_same_after_every_kind_of_edit() {
    what_is_done_in_one_folder_is_done_in_all(&["a", "b", "c"]);
}

#[test]
fn five_folders_hold_the_same_after_every_kind_of_edit() {
    what_is_done_in_one_folder_is_done_in_all(&["a", "b", "c", "d", "e"]);
}

#[test]
fn what_is_there_before_the_first_start_arrives() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        for file in 0..50 {
            house
                .files(name)
                .write(format!("{name}/{}/{file}", file % 7), vec![at as u8; file * 100]);
        }
    }
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 3 * (50 + 7 + 1));
}

#[test]
fn a_deleted_file_is_deleted_on_the_others_and_kept_in_their_trash() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("letter.txt", "dear");
    house.wait();
    house.files("a").remove("letter.txt");
    house.wait();
    house.assert_alike();
    assert!(!house.files("b").has("letter.txt"));
    let mut kept = Vec::new();
    let mut waiting = vec![house.root("b").join(".onitu/trash")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                kept.push(std::fs::read(entry.path()).unwrap());
            }
        }
    }
    assert!(kept.iter().any(|bytes| bytes == b"dear"), "{kept:?}");
}

#[test]
fn a_file_made_again_after_its_deletion_is_everywhere() {
    let house = House::new(&["a", "b"]);
    for round in 0..20 {
        house.files("a").write("again", format!("round {round}"));
        if round % 3 == 0 {
            house.wait();
        }
        house.files("a").remove("again");
        if round % 5 == 0 {
            house.wait();
        }
    }
    house.files("a").write("again", "at last");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("again").unwrap(), b"at last");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn times_to_the_nanosecond_and_the_executable_bit_travel() {
    let house = House::new(&["a", "b", "c"]);
    let files = house.files("a");
    files.write("script.sh", "#!/bin/sh\n");
    files.chmod("script.sh", 0o755);
    files.write("old.txt", "from 1999");
    set_modified_ns(&files.at("old.txt"), 915_148_800_123_456_789);
    files.write("epoch", "as archives have it that are made twice alike");
    set_modified_ns(&files.at("epoch"), 0);
    house.wait();
    house.assert_alike();
    assert_eq!(modified_ns(&house.files("c").at("epoch")), 0);
    assert_eq!(modified_ns(&house.files("c").at("old.txt")), 915_148_800_123_456_789);

    // Alone, on a file that is everywhere already, and from another side.
    let files = house.files("b");
    let inode = house.files("a").inode("old.txt");
    files.chmod("script.sh", 0o644);
    files.chmod("old.txt", 0o744);
    set_modified_ns(&files.at("script.sh"), 1_000_000_000_000_000_001);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").mode("script.sh") & 0o100, 0);
    assert_eq!(house.files("a").mode("old.txt") & 0o100, 0o100);
    assert_eq!(house.files("a").inode("old.txt"), inode, "no byte was copied for a bit");
}

#[test]
fn empty_files_and_files_of_every_size_around_the_bounds_arrive_whole() {
    let house = House::new(&["a", "b"]);
    let bounds = [1_u32, 64 << 10, 128 << 10, 1 << 20, 4 << 20, 8 << 20];
    for bound in bounds {
        for size in [bound - 1, bound, bound + 1] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            house.files("a").write(format!("{size} bytes"), bytes);
        }
    }
    house.wait();
    house.assert_alike();
    assert!(house.files("b").has("0 bytes"));
}

#[test]
fn a_file_of_300_mebibytes_arrives_whole() {
    let house = House::new(&["a", "b"]);
    let size = 300 << 20;
    let file = File::create(house.files("a").at("disk.img")).unwrap();
    file.set_len(size).unwrap();
    for at in [0, size / 3, size - 9] {
        file.write_all_at(b"something", at).unwrap();
    }
    drop(file);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").at("disk.img").metadata().unwrap().len(), size);
}

#[test]
fn edits_of_the_same_size_one_right_after_the_other_all_arrive() {
    let house = House::new(&["a", "b"]);
    for round in 0..200_u32 {
        house.files("a").write("counter", format!("{round:04}"));
    }
    house.wait();
    assert_eq!(house.files("b").read("counter").unwrap(), b"0199");
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn an_edit_of_the_same_size_with_its_time_put_back_is_seen() {
    let house = House::new(&["a", "b"]);
    let at = house.files("a").at("ledger");
    std::fs::write(&at, "one").unwrap();
    set_modified_ns(&at, 1_600_000_000_000_000_000);
    house.wait();
    std::fs::write(&at, "two").unwrap();
    set_modified_ns(&at, 1_600_000_000_000_000_000);
    house.wait();
    assert_eq!(house.files("b").read("ledger").unwrap(), b"two");
    house.assert_alike();
}

#[test]
fn a_file_that_is_edited_while_it_travels_arrives_as_it_was_left() {
    let house = House::new(&["a", "b", "c"]);
    for round in 0..6_u8 {
        house.files("a").write("growing", vec![round; (2 + usize::from(round)) << 20]);
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("c").read("growing").unwrap(), vec![5; 7 << 20]);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_file_truncated_to_nothing_is_empty_everywhere() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("notes", "a lot");
    house.wait();
    File::create(house.files("b").at("notes")).unwrap();
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").at("notes").metadata().unwrap().size(), 0);
}

#[test]
fn a_file_that_is_never_closed_arrives_all_the_same() {
    use std::io::Write;
    let house = House::new(&["a", "b"]);
    let mut open = File::create(house.files("a").at("journal")).unwrap();
    for (line, all) in [("first\n", "first\n"), ("second\n", "first\nsecond\n")] {
        open.write_all(line.as_bytes()).unwrap();
        let arrived = || house.files("b").read("journal").as_deref() == Some(all.as_bytes());
        soon("what was written arrives", arrived);
    }
    drop(open);
    house.wait();
    house.assert_alike();
}

#[test]
fn a_hole_and_ten_thousand_lines_are_the_same_bytes_everywhere() {
    let house = House::new(&["a", "b"]);
    let file = File::create(house.files("a").at("sparse")).unwrap();
    for line in 0..10_000_u64 {
        file.write_all_at(b"line\n", line * 997).must("write");
    }
    drop(file);
    house.wait();
    house.assert_alike();
}
