//! What a service can't ever keep is told, counted, and nothing to wait for: a folder with links
//! and names that Dropbox doesn't take, which is here a server that speaks as Dropbox does.

use onitu_test_dropbox::{Server, lower};
use onitu_tests::{House, soon};
use serde_json::{Value, json};

/// A house with the folder `laptop` and the service `cloud`, in step.
fn house() -> (House, Server) {
    let (mut house, server) = crate::dropbox::house();
    house.up();
    house.wait();
    (house, server)
}

fn read(server: &Server, path: &str) -> Option<String> {
    let all = server.account().tree.all();
    let bytes = all.get(&format!("/Onitu/{path}"))?.as_ref()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn unable(house: &House) -> u64 {
    house.service("cloud").unwrap()["unable"].as_u64().unwrap()
}

/// Why the cloud can't keep a path.
fn why(house: &House, path: &str) -> String {
    let told: Value = house.json(&["explain", path, "--json"]);
    assert_eq!(told["pending"], json!([]), "{told}");
    assert_eq!(told["unable"][0]["service"], "cloud", "{told}");
    told["unable"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn links_keep_wait_from_nothing_and_are_told_where_there_are_none() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    laptop.write("notes", "written when it was a file");
    laptop.write("other", "a file");
    laptop.link("link", "other");
    laptop.make_dir("d");
    laptop.link("d/inside", "../other");
    let told = house.tell(&["wait", "--timeout", "60s"]);
    assert!(told.contains("`cloud` can't keep 2 paths"), "{told}");
    assert_eq!(unable(&house), 2);
    assert_eq!(house.status()["pending"], 0);
    let status = house.say(&["status"]);
    assert!(status.contains("CAN'T BE KEPT\ncloud: 2 paths"), "{status}");
    assert_eq!(why(&house, "link"), "`cloud` keeps no symbolic links");
    assert!(house.say(&["explain", "link"]).contains("can't be kept on"));
    // A file that becomes a link: what the cloud has of it stays, and comes back to nobody.
    laptop.remove("notes");
    laptop.link("notes", "other");
    house.wait();
    for _ in 0..2 {
        assert_eq!(read(&server, "notes").as_deref(), Some("written when it was a file"));
        assert!(why(&house, "notes").ends_with("what it has of revision 1 stays there"));
        assert_eq!(std::fs::read_link(laptop.at("notes")).unwrap(), std::path::Path::new("other"));
        assert_eq!((unable(&house), house.status()["conflicts"].as_u64()), (3, Some(0)));
        house.stop();
        house.up();
        house.wait();
    }
    // A link that becomes a file is copied, and one that is deleted is deleted.
    laptop.remove("link");
    laptop.write("link", "a file now");
    laptop.remove("notes");
    laptop.remove("d/inside");
    let told = house.tell(&["wait", "--timeout", "60s"]);
    assert!(!told.contains("can't keep"), "{told}");
    assert_eq!(read(&server, "link").as_deref(), Some("a file now"));
    assert_eq!(read(&server, "notes"), None);
    assert_eq!(unable(&house), 0);
}

#[test]
fn an_older_file_that_is_deleted_in_the_cloud_deletes_no_link() {
    let (house, server) = house();
    let laptop = house.files("laptop");
    laptop.write("x", "a file");
    house.wait();
    laptop.remove("x");
    laptop.link("x", "elsewhere");
    house.wait();
    server.account().tree.delete(&lower("/Onitu/x")).unwrap();
    soon("the deletion is noticed", || {
        house.json(&["explain", "x", "--json"])["holders"].as_array().unwrap().len() == 1
    });
    house.wait();
    assert!(laptop.has("x"));
    assert_eq!(why(&house, "x"), "`cloud` keeps no symbolic links");
}

#[test]
fn a_name_that_is_refused_for_good_is_a_problem_and_nothing_to_wait_for() {
    let (house, server) = house();
    let laptop = house.files("laptop");
    // With its mark it has more letters than Dropbox takes.
    let name = "x".repeat(254) + " ";
    laptop.write(&name, "bytes");
    laptop.write("file", "more bytes");
    let told = house.tell(&["wait", "--timeout", "60s"]);
    assert!(told.contains("`cloud` can't keep 1 path"), "{told}");
    assert_eq!(read(&server, "file").as_deref(), Some("more bytes"));
    let cloud = house.service("cloud").unwrap();
    assert_eq!((&cloud["unable"], &cloud["pending"]), (&json!(1), &json!(0)));
    let problem = cloud["problems"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(why(&house, &name), problem);
    // Other rules, or none, are another question.
    house.say(&["reload"]);
    house.wait();
    assert_eq!(unable(&house), 1);
    laptop.rename(&name, "short");
    house.wait();
    assert_eq!(read(&server, "short").as_deref(), Some("bytes"));
    assert_eq!(unable(&house), 0);
    assert_eq!(house.service("cloud").unwrap()["problems"], json!([]));
}
