//! Directories: empty ones, many at once, and moved across the border of the folder.

use std::path::Path;

use onitu_tests::{House, Thing, tree};

#[test]
fn empty_directories_travel_and_go_away_again() {
    let house = House::new(&["a", "b", "c"]);
    house.files("a").make_dir("empty/inner/most");
    house.wait();
    house.assert_alike();
    assert!(house.files("c").at("empty/inner/most").is_dir());
    std::fs::remove_dir(house.files("b").at("empty/inner/most")).unwrap();
    house.wait();
    house.assert_alike();
    assert!(!house.files("a").has("empty/inner/most") && house.files("a").has("empty/inner"));
}

#[test]
fn forty_new_directories_made_at_once_with_500_files_miss_none() {
    let house = House::new(&["a", "b"]);
    for at in 0..500 {
        house.files("a").write(format!("d{}/e{}/f{at}", at % 40, at % 3), format!("{at}"));
    }
    house.wait();
    house.assert_alike();
    let things = tree(house.root("b")).into_values();
    assert_eq!(things.filter(|thing| matches!(thing, Thing::File { .. })).count(), 500);
}

#[test]
fn a_thousand_files_right_after_a_chain_of_directories_miss_none() {
    let house = House::new(&["a", "b"]);
    let chain = "one/two/three/four/five/six/seven/eight/nine/ten";
    house.files("a").make_dir(chain);
    for at in 0..1000 {
        // In every directory of the chain, the deepest first.
        let above = chain.split('/').count() - at % 10;
        let directory: Vec<&str> = chain.split('/').take(above).collect();
        std::fs::write(house.files("a").at(format!("{}/f{at}", directory.join("/"))), "x").unwrap();
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 1010);
}

#[test]
fn a_large_tree_removed_at_once_is_removed_everywhere() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.add_option("b", "max_delete = \"100 %\"");
    house.up();
    house.wait();
    for at in 0..400 {
        house.files("a").write(format!("big/{}/{}/{at}", at % 5, at % 8), "x");
    }
    house.files("a").write("stays", "here");
    house.wait();
    house.assert_alike();
    house.files("b").remove_all("big");
    house.wait();
    house.assert_alike();
    assert_eq!(tree(house.root("c")).len(), 1);
    assert_eq!(house.status()["entries"], 1);
}

#[test]
fn what_is_moved_out_of_the_folder_is_removed_elsewhere_and_back_in_it_returns() {
    let mut house = House::prepared(&["a", "b"]);
    house.add_option("a", "max_delete = \"100 %\"");
    house.up();
    house.wait();
    let files = house.files("a");
    for at in 0..30 {
        files.write(format!("box/{}/{at}", at % 3), format!("{at}"));
    }
    files.write("single", "alone");
    house.wait();
    let outside = house.path().join("outside");
    std::fs::rename(files.at("box"), &outside).unwrap();
    std::fs::rename(files.at("single"), house.path().join("single")).unwrap();
    house.wait();
    house.assert_alike();
    assert!(tree(house.root("b")).is_empty());

    // What is moved in was never told of by an event for each file.
    std::fs::rename(&outside, files.at("box again")).unwrap();
    std::fs::rename(house.path().join("single"), files.at("single again")).unwrap();
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("box again/1/4").unwrap(), b"4");
    assert_eq!(house.files("b").read("single again").unwrap(), b"alone");

    // And is watched from then on.
    files.write("box again/1/4", "changed");
    house.wait();
    assert_eq!(house.files("b").read("box again/1/4").unwrap(), b"changed");
}

#[test]
fn a_directory_that_was_moved_is_watched_under_its_new_name() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("old/inner/file", "1");
    house.wait();
    files.rename("old", "new");
    house.wait();
    files.write("new/inner/file", "2");
    files.write("new/inner/deeper/another", "3");
    // The old name belongs to somebody else now.
    files.write("old/inner/file", "4");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("new/inner/file").unwrap(), b"2");
    assert_eq!(house.files("b").read("old/inner/file").unwrap(), b"4");
}

#[test]
fn a_file_replaced_by_a_directory_and_back_is_what_it_is_everywhere() {
    let house = House::new(&["a", "b", "c"]);
    let files = house.files("a");
    files.write("thing", "a file");
    house.wait();
    files.remove("thing");
    files.write("thing/inside", "a directory");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("c").read("thing/inside").unwrap(), b"a directory");
    house.files("b").remove_all("thing");
    house.files("b").write("thing", "a file again");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("thing").unwrap(), b"a file again");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_directory_removed_here_stays_while_something_new_is_in_it_there() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("shared/old", "old");
    house.wait();
    house.say(&["pause", "b"]);
    house.files("b").write("shared/new", "new");
    house.files("a").remove_all("shared");
    house.say(&["resume", "b"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("shared/new").unwrap(), b"new");
    assert!(!house.files("a").has("shared/old"));
}

#[test]
fn a_copied_tree_arrives_while_the_original_is_removed() {
    let house = House::new(&["a", "b"]);
    for at in 0..100 {
        house.files("a").write(format!("original/{at}"), format!("content {at}"));
    }
    house.wait();
    let files = house.files("a");
    files.make_dir("copy");
    for at in 0..100 {
        let names = [format!("original/{at}"), format!("copy/{at}")];
        std::fs::copy(files.at(Path::new(&names[0])), files.at(&names[1])).unwrap();
        files.remove(&names[0]);
    }
    house.wait();
    house.assert_alike();
    assert!(house.files("b").has("copy/99") && !house.files("b").has("original/99"));
}
