//! Renames: nothing is sent again, which the inode of the destination's file proves.

use std::collections::BTreeMap;

use onitu_tests::{Files, House};

/// The inodes of `names` in `directory`.
fn inodes(files: &Files, directory: &str, names: &[String]) -> BTreeMap<String, u64> {
    names.iter().map(|name| (name.clone(), files.inode(format!("{directory}/{name}")))).collect()
}

/// A file is renamed in one folder, and in all others without a copy.
fn a_rename_is_a_rename(services: &[&str], from: &str, to: &str) {
    let house = House::new(services);
    let files = house.files(services[0]);
    files.write(from, "the same");
    files.make_dir("other/place");
    house.wait();
    let others = &services[1..];
    let before: Vec<u64> = others.iter().map(|it| house.files(it).inode(from)).collect();

    files.rename(from, to);
    house.wait();

    house.assert_alike();
    let after: Vec<u64> = others.iter().map(|it| house.files(it).inode(to)).collect();
    assert_eq!(after, before, "it was copied instead of renamed");
    assert!(!house.files(others[0]).has(from));
}

#[test]
fn a_renamed_file_is_not_sent_again() {
    a_rename_is_a_rename(&["a", "b"], "one.txt", "two.txt");
}

#[test]
fn a_file_moved_to_another_directory_is_not_sent_again() {
    a_rename_is_a_rename(&["a", "b", "c"], "here/one.txt", "other/place/two.txt");
}

#[test]
fn a_file_renamed_among_five_folders_is_not_sent_again() {
    a_rename_is_a_rename(&["a", "b", "c", "d", "e"], "one.txt", "other/one.txt");
}

/// A directory with `count` files is renamed in one folder, and in all others without a copy.
fn a_directory_is_renamed(services: &[&str], count: usize, from: &str, to: &str) {
    let house = House::new(services);
    let files = house.files(services[0]);
    let names: Vec<String> = (0..count).map(|at| format!("sub {}/{at}.txt", at % 7)).collect();
    for name in &names {
        files.write(format!("{from}/{name}"), format!("this is {name}"));
    }
    files.make_dir("other/place");
    house.wait();
    house.assert_alike();
    let before: Vec<_> =
        services[1..].iter().map(|it| inodes(&house.files(it), from, &names)).collect();

    files.rename(from, to);
    house.wait();

    house.assert_alike();
    for (service, before) in services[1..].iter().zip(before) {
        let after = inodes(&house.files(service), to, &names);
        let copied = names.iter().filter(|name| before[*name] != after[*name]).count();
        assert_eq!(copied, 0, "{copied} of {count} files were copied to `{service}`");
        assert!(!house.files(service).has(from));
    }
}

#[test]
fn a_renamed_directory_of_300_files_is_not_sent_again() {
    a_directory_is_renamed(&["a", "b"], 300, "album", "photos");
}

#[test]
fn a_directory_moved_below_another_is_not_sent_again() {
    a_directory_is_renamed(&["a", "b", "c"], 60, "deep/album", "other/place/photos");
}

#[test]
fn two_files_swapped_by_three_renames_are_swapped_everywhere() {
    let house = House::new(&["a", "b", "c"]);
    let files = house.files("a");
    files.write("left", "L");
    files.write("right", "R, and longer");
    house.wait();
    files.rename("left", "between");
    files.rename("right", "left");
    files.rename("between", "right");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("c").read("right").unwrap(), b"L");
    assert_eq!(house.files("c").read("left").unwrap(), b"R, and longer");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn two_directories_swapped_by_three_renames_are_swapped_everywhere() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    for name in 0..20 {
        files.write(format!("left/{name}"), format!("left {name}"));
        files.write(format!("right/{}", name + 10), format!("right {name}"));
    }
    house.wait();
    files.rename("left", "between");
    files.rename("right", "left");
    files.rename("between", "right");
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
    assert_eq!(house.files("b").read("left/10").unwrap(), b"right 0");
}

#[test]
fn a_file_renamed_over_another_replaces_it_everywhere() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("new", "new content");
    files.write("old", "old");
    house.wait();
    files.rename("new", "old");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("old").unwrap(), b"new content");
    assert!(!house.files("b").has("new"));
}

#[test]
fn a_file_renamed_again_and_again_ends_under_its_last_name() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("name 0", "restless");
    house.wait();
    for round in 0..50 {
        files.rename(format!("name {round}"), format!("name {}", round + 1));
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 1);
}

#[test]
fn a_file_that_is_edited_right_after_its_rename_arrives_with_its_new_content() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    for name in 0..30 {
        files.write(format!("draft {name}"), format!("draft {name}"));
    }
    house.wait();
    for name in 0..30 {
        files.rename(format!("draft {name}"), format!("final {name}"));
        files.append(format!("final {name}"), ", finished");
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("final 7").unwrap(), b"draft 7, finished");
}

#[test]
fn only_the_letters_case_of_a_name_may_change() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("Photos/Cat.JPG", "miaow");
    house.wait();
    house.files("a").rename("Photos/Cat.JPG", "Photos/cat.jpg");
    house.files("a").rename("Photos", "photos");
    house.wait();
    house.assert_alike();
    assert!(house.files("b").has("photos/cat.jpg") && !house.files("b").has("Photos"));
}
