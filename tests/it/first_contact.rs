//! A service that already has files when Onitu meets it, or meets it again.

use onitu_tests::{House, set_modified_ns, tree};

#[test]
fn equal_trees_need_no_transfer_and_keep_their_inodes() {
    let mut house = House::prepared(&["a", "b"]);
    for service in ["a", "b"] {
        for at in 0..100 {
            house.files(service).write(format!("{}/{at}", at % 9), format!("the same {at}"));
        }
    }
    let file = house.files("b").at("1/1");
    set_modified_ns(&file, 1_500_000_000_000_000_000);
    let inode = house.files("b").inode("1/1");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.files("b").inode("1/1"), inode);
    assert_eq!(house.status()["entries"], 109);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_service_added_while_it_runs_is_merged() {
    let mut house = House::new(&["a", "b"]);
    house.files("a").write("equal", "the same");
    house.files("a").write("different", "as a and b know it");
    house.files("a").write("unknown/to c", "new for c");
    house.wait();
    let drivers = ["driver-a", "driver-b"].map(|name| house.pid_of(name));

    house.add_service("c");
    house.files("c").write("equal", "the same");
    house.files("c").write("different", "as c knows it");
    house.files("c").write("only/in c", "new for the others");
    let inode = house.files("c").inode("equal");
    house.say(&["reload"]);
    house.wait();

    house.assert_same_contents();
    assert_eq!(house.files("c").inode("equal"), inode, "what was there wasn't copied");
    assert_eq!(house.files("a").read("different").unwrap(), b"as a and b know it");
    let conflicts = house.json(&["conflicts", "--json"]);
    assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts:#}");
    assert_eq!(conflicts[0]["service"], "c");
    let kept = conflicts[0]["kept"].as_str().unwrap();
    assert!(kept.starts_with("different (conflict c ") && kept.ends_with(')'), "{kept}");
    assert_eq!(house.files("b").read(kept).unwrap(), b"as c knows it");
    assert_eq!(drivers, ["driver-a", "driver-b"].map(|name| house.pid_of(name)));
}

#[test]
fn a_state_directory_that_was_deleted_costs_nothing_but_knowledge() {
    let mut house = House::prepared(&["a", "b", "c"]);
    for at in 0..60 {
        house.files(["a", "b", "c"][at % 3]).write(format!("{}/{at}", at % 5), format!("{at}"));
    }
    house.up();
    house.wait();
    house.stop();
    let before = tree(house.root("a"));
    std::fs::remove_dir_all(house.state_dir()).unwrap();
    house.files("b").write("new", "made meanwhile");
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(tree(house.root("a")).len(), before.len() + 1);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn an_empty_folder_in_the_place_of_a_known_one_deletes_nothing() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("precious", "keep me");
    house.up();
    house.wait();
    house.stop();
    // As an unmounted disk looks: the same name, and neither marker nor files.
    let root = house.root("b").to_owned();
    std::fs::rename(&root, house.path().join("disk")).unwrap();
    std::fs::create_dir(&root).unwrap();
    house.up();
    onitu_tests::soon("b is unavailable", || {
        house.service("b").is_some_and(|service| service["state"] == "unavailable")
    });
    let reason = house.service("b").unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("marker"), "{reason}");
    house.fail(&["wait", "--timeout", "1s"], 1);
    assert_eq!(house.files("a").read("precious").unwrap(), b"keep me");
    assert!(tree(&root).is_empty());

    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(house.path().join("disk"), &root).unwrap();
    house.wait();
    house.assert_alike();
}
