//! What is changed while Onitu is stopped is found at its next start.

use onitu_tests::{House, modified_ns, set_modified_ns, tree};

/// A house with some files that were in step when it was stopped.
fn stopped(services: &[&str]) -> House {
    let mut house = House::prepared(services);
    for service in services {
        // Here whole directories are removed; what the brake makes of that is its own test.
        house.add_option(service, "max_delete = \"100 %\"");
    }
    let files = house.files(services[0]);
    for at in 0..40 {
        files.write(format!("album/{}/{at}", at % 4), format!("picture {at}"));
    }
    files.write("letter", "dear all");
    files.write("list", "milk");
    house.up();
    house.wait();
    house.assert_alike();
    house.stop();
    house
}

fn start(house: &mut House) {
    house.up();
    house.wait();
}

#[test]
fn edits_new_files_and_deletions_are_found() {
    let mut house = stopped(&["a", "b", "c"]);
    house.files("a").write("letter", "dear all, there is news");
    house.files("b").write("new/one", "1");
    house.files("b").remove("list");
    house.files("c").remove_all("album/2");
    house.files("c").append("album/1/1", " edited");
    start(&mut house);
    house.assert_alike();
    assert_eq!(house.files("c").read("letter").unwrap(), b"dear all, there is news");
    assert!(!house.files("a").has("list") && !house.files("b").has("album/2"));
    assert_eq!(house.files("a").read("album/1/1").unwrap(), b"picture 1 edited");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_renamed_file_and_a_renamed_directory_are_not_sent_again() {
    let mut house = stopped(&["a", "b", "c"]);
    let there = house.files("c");
    let before = (there.inode("letter"), there.inode("album/1/1"), there.inode("album/2/38"));
    house.files("a").rename("letter", "letters-sent");
    house.files("b").rename("album", "photos");
    house.files("b").rename("photos/2/38", "best");
    start(&mut house);
    house.assert_alike();
    let after = (there.inode("letters-sent"), there.inode("photos/1/1"), there.inode("best"));
    assert_eq!(after, before, "something was copied");
    assert!(!there.has("album") && !there.has("letter"));
}

#[test]
fn an_edit_of_the_same_size_is_found() {
    let mut house = stopped(&["a", "b"]);
    house.files("b").write("list", "beer");
    start(&mut house);
    house.assert_alike();
    assert_eq!(house.files("a").read("list").unwrap(), b"beer");
}

#[test]
fn a_file_that_was_only_touched_travels_as_a_time() {
    let mut house = stopped(&["a", "b"]);
    let inode = house.files("b").inode("letter");
    set_modified_ns(&house.files("a").at("letter"), 1_234_567_890_123_456_789);
    start(&mut house);
    house.assert_alike();
    assert_eq!(modified_ns(&house.files("b").at("letter")), 1_234_567_890_123_456_789);
    assert_eq!(house.files("b").inode("letter"), inode, "its bytes were sent again");
}

#[test]
fn nothing_changes_when_nothing_was_changed() {
    let mut house = stopped(&["a", "b", "c"]);
    let before: Vec<_> = ["a", "b", "c"].map(|it| tree(house.root(it))).into();
    let inode = house.files("b").inode("letter");
    for _ in 0..3 {
        start(&mut house);
        house.stop();
    }
    let after: Vec<_> = ["a", "b", "c"].map(|it| tree(house.root(it))).into();
    assert_eq!(after, before);
    assert_eq!(house.files("b").inode("letter"), inode);
}

#[test]
fn everything_deleted_on_one_side_is_deleted_and_what_is_new_there_stays() {
    let mut house = stopped(&["a", "b"]);
    house.files("a").remove_all("album");
    house.files("b").write("album/3/new", "made meanwhile");
    start(&mut house);
    house.assert_alike();
    assert_eq!(house.files("a").read("album/3/new").unwrap(), b"made meanwhile");
    assert!(!house.files("b").has("album/3/3"));
}

#[test]
fn a_file_that_became_a_directory_and_one_that_became_a_link_are_found() {
    let mut house = stopped(&["a", "b"]);
    let files = house.files("a");
    files.remove("letter");
    files.write("letter/page 1", "dear");
    files.remove("list");
    files.link("list", "letter/page 1");
    files.remove_all("album");
    files.write("album", "sold");
    start(&mut house);
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
    assert_eq!(house.files("b").read("album").unwrap(), b"sold");
}

#[test]
fn two_files_swapped_meanwhile_are_swapped_everywhere() {
    let mut house = stopped(&["a", "b"]);
    let files = house.files("a");
    files.rename("letter", "between");
    files.rename("list", "letter");
    files.rename("between", "list");
    start(&mut house);
    house.assert_alike();
    assert_eq!(house.files("b").read("letter").unwrap(), b"milk");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_file_restored_from_a_backup_with_its_old_time_is_found() {
    let mut house = stopped(&["a", "b"]);
    let at = house.files("a").at("letter");
    let time = modified_ns(&at);
    house.files("a").write("letter.restored", "DEAR ALL");
    house.files("a").rename("letter.restored", "letter");
    set_modified_ns(&at, time);
    start(&mut house);
    assert_eq!(house.files("b").read("letter").unwrap(), b"DEAR ALL");
    house.assert_alike();
}
