//! The metadata server emptied, stopped or broken: knowledge is lost, never a file.

use onitu_tests::{House, Signal, signal_to, soon, tree};

/// A house with files that came from every service.
fn filled(services: &[&str]) -> House {
    let house = House::new(services);
    for service in services {
        for at in 0..60 {
            house
                .files(service)
                .write(format!("{service}/{}/{at}", at % 6), format!("{service} {at}"));
        }
    }
    house.wait();
    house.assert_alike();
    house
}

#[test]
fn emptied_while_it_runs_nothing_is_lost_and_the_counts_come_back() {
    let house = filled(&["a", "b", "c"]);
    let before = (tree(house.root("a")), house.status()["entries"].clone());
    let drivers = ["driver-a", "driver-b", "driver-c"].map(|name| house.pid_of(name));
    assert_eq!(house.redis(&["FLUSHALL"]), "+OK\r\n");
    soon("the counts come back", || house.status()["entries"] == before.1);
    house.wait();
    house.assert_alike();
    assert_eq!(tree(house.root("a")), before.0);
    let status = house.status();
    assert_eq!(status["conflicts"], 0);
    for service in status["services"].as_array().unwrap() {
        assert_eq!(service["files"], before.1, "{service}");
    }
    // And it goes on: an edit, a deletion and a rename.
    house.files("b").write("a/0/0", "edited after");
    house.files("c").remove("b/1/1");
    house.files("a").rename("c/2", "c/two");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("a/0/0").unwrap(), b"edited after");
    assert_eq!(house.status()["entries"], before.1.as_u64().unwrap() - 1);
    let same = ["driver-a", "driver-b", "driver-c"].map(|name| house.pid_of(name));
    assert_eq!(same, drivers, "nobody had to be started again");
}

#[test]
fn emptied_while_files_are_edited_no_content_is_lost() {
    let house = filled(&["a", "b"]);
    for at in 0..60 {
        house.files("a").write(format!("a/{}/{at}", at % 6), format!("edited {at}"));
        house.files("b").write(format!("new/{at}"), format!("new {at}"));
        if at == 30 {
            house.redis(&["FLUSHALL"]);
        }
    }
    house.wait();
    house.assert_same_contents();
    // The old content may be kept beside the new one; the new one is never lost.
    let files = house.files("b");
    let contents: Vec<_> =
        tree(house.root("b")).into_keys().filter_map(|path| files.read(path)).collect();
    for at in 0..60 {
        let (edited, new) = (format!("edited {at}"), format!("new {at}"));
        assert!(contents.contains(&edited.into_bytes()), "the edit of {at} is lost");
        assert!(contents.contains(&new.into_bytes()), "the new file {at} is lost");
    }
}

#[test]
fn emptied_again_and_again_nothing_is_deleted() {
    let house = filled(&["a", "b"]);
    let before = tree(house.root("b"));
    for _ in 0..10 {
        house.redis(&["FLUSHALL"]);
    }
    let entries = before.len();
    soon("the counts come back", || house.status()["entries"] == entries);
    house.wait();
    house.assert_alike();
    assert_eq!(tree(house.root("b")), before);
}

#[test]
fn a_metadata_server_that_hangs_for_a_while_costs_only_the_while() {
    let house = filled(&["a", "b"]);
    let redis = house.pid_of("redis");
    signal_to(redis, Signal::STOP);
    house.files("a").write("a/0/0", "edited while it hung");
    house.files("b").remove("b/0/0");
    house.fail(&["wait", "--timeout", "3s"], 1);
    signal_to(redis, Signal::CONT);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("a/0/0").unwrap(), b"edited while it hung");
    assert!(!house.files("a").has("b/0/0"));
}

#[test]
fn a_broken_append_only_file_is_told_with_the_remedy() {
    let mut house = filled(&["a", "b"]);
    house.stop();
    let manifest = house.state_dir().join("redis/appendonlydir/appendonly.aof.manifest");
    std::fs::write(manifest, "nonsense\n").unwrap();
    let error = house.fail(&["up"], 1);
    assert!(
        error.contains("metadata server") && error.contains("losing that loses no file"),
        "{error}"
    );
    std::fs::remove_dir_all(house.state_dir().join("redis")).unwrap();
    house.up();
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}
