//! Symbolic links travel as links, and are followed nowhere.

use std::path::Path;

use onitu_tests::{House, Thing, soon, tree};

#[test]
fn links_of_every_kind_travel_as_links() {
    let house = House::new(&["a", "b", "c"]);
    let files = house.files("a");
    files.write("directory/file", "content");
    let absolute = house.path().join("entries.toml");
    let links = [
        ("to a file", Path::new("directory/file")),
        ("to a directory", Path::new("directory")),
        ("dangling", Path::new("nowhere/at/all")),
        ("absolute", &absolute),
        ("upwards", Path::new("../../..")),
        ("to itself", Path::new("to itself")),
        ("directory/inside", Path::new("../directory/file")),
    ];
    for (name, target) in links {
        files.link(name, target);
    }
    house.wait();
    house.assert_alike();
    for (name, target) in links {
        assert_eq!(std::fs::read_link(house.files("c").at(name)).unwrap(), target);
    }
    // Nothing behind a link was taken for something in the folder.
    assert_eq!(house.status()["entries"], 2 + links.len());
}

#[test]
fn a_link_that_points_elsewhere_does_so_everywhere() {
    let house = House::new(&["a", "b"]);
    house.files("a").link("current", "v1");
    house.wait();
    house.files("a").link("current.new", "version-2");
    house.files("a").rename("current.new", "current");
    house.wait();
    house.assert_alike();
    assert_eq!(std::fs::read_link(house.files("b").at("current")).unwrap(), Path::new("version-2"));
    house.files("b").remove("current");
    house.wait();
    house.assert_alike();
    assert!(!house.files("a").has("current"));
}

#[test]
fn a_link_becomes_a_file_and_a_directory_and_a_link_again() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("target/file", "behind the link");
    files.link("thing", "target");
    house.wait();
    files.remove("thing");
    files.write("thing", "a file");
    house.wait();
    house.assert_alike();
    files.remove("thing");
    files.write("thing/inside", "in a directory");
    house.wait();
    house.assert_alike();
    files.remove_all("thing");
    files.link("thing", "target");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("target/file").unwrap(), b"behind the link");
}

#[test]
fn what_a_link_to_outside_points_at_is_never_touched() {
    let house = House::new(&["a", "b"]);
    let outside = house.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "mine").unwrap();
    house.files("a").link("door", &outside);
    house.wait();
    // Removed as a link, and everything that is below it stays.
    house.files("b").remove("door");
    house.wait();
    assert!(!house.files("a").has("door"));
    assert_eq!(std::fs::read(outside.join("precious")).unwrap(), b"mine");
}

/// While files arrive in `b/inbox`, somebody puts a link to the outside in place of a directory.
#[test]
fn a_link_put_in_place_of_a_directory_leads_no_file_outside() {
    let mut house = House::prepared(&["a"]);
    // The link leads outside from here only, so that the test itself can't write through it.
    let [room, outside] = ["room/b", "room/outside"].map(|name| house.path().join(name));
    std::fs::create_dir_all(&room).unwrap();
    std::fs::create_dir(&outside).unwrap();
    house.add_service_at("b", room);
    house.files("a").make_dir("inbox");
    house.up();
    house.wait();
    let (here, there) = (house.files("a"), house.files("b"));
    let sender = std::thread::spawn(move || {
        // Fails from when the link has come here.
        (0..300)
            .filter(|at| std::fs::write(here.at(format!("inbox/{at}")), "hello").is_ok())
            .count()
    });
    soon("the first one arrives", || there.has("inbox/0"));
    there.rename("inbox", "aside");
    there.link("inbox", "../outside");
    let sent = sender.join().unwrap();
    house.wait();
    house.assert_same_contents();
    let written: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
    assert!(written.is_empty(), "{written:?}");
    let things = tree(house.root("a")).into_values();
    let arrived = things.filter(|thing| matches!(thing, Thing::File { .. })).count();
    assert_eq!(arrived, sent, "every file is somewhere");
}
