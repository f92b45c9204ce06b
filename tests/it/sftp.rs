//! A folder beside one on another machine, reached by SSH: OpenSSH's own server on loopback.

use onitu_test_sshd::Sshd;
use onitu_tests::{House, soon};

/// A house with the folder `here`, and `there`, which is reached through the server.
fn house(server: &Sshd) -> House {
    house_with(server, "1s", &[])
}

fn house_with(server: &Sshd, poll: &str, further: &[&str]) -> House {
    let mut house = House::prepared(&["here", "there"]);
    house.set_driver("there", "sftp");
    set(&mut house, server, poll, further);
    house
}

fn set(house: &mut House, server: &Sshd, poll: &str, further: &[&str]) {
    let (key, known) = (server.private_key(), server.known_hosts());
    for line in [
        "host = \"127.0.0.1\"".to_owned(),
        format!("port = {}", server.port()),
        format!("user = \"{}\"", server.user()),
        format!("private_key = \"{}\"", key.display()),
        format!("known_hosts = \"{}\"", known.display()),
        format!("poll = \"{poll}\""),
    ] {
        house.add_option("there", &line);
    }
    for line in further {
        house.add_option("there", line);
    }
}

#[test]
fn what_is_made_edited_renamed_and_deleted_on_one_side_is_so_on_the_other() {
    let server = Sshd::start();
    let mut house = house(&server);
    let (here, there) = (house.files("here"), house.files("there"));
    here.write("old/letter.txt", "from here");
    there.write("photos/cat.jpg", vec![7; 3_000_000]);
    house.up();
    house.wait();
    house.assert_same_contents();

    there.write("old/letter.txt", "edited there");
    here.write("photos/cat.jpg", vec![8; 3_000_001]);
    soon("both edits to travel", || {
        here.read("old/letter.txt").as_deref() == Some(b"edited there")
            && there.read("photos/cat.jpg").is_some_and(|it| it.first() == Some(&8))
    });

    here.rename("old", "new");
    there.rename("photos/cat.jpg", "photos/kitten.jpg");
    soon("both renames to travel", || {
        there.has("new/letter.txt") && !there.has("old") && here.has("photos/kitten.jpg")
    });

    here.remove("new/letter.txt");
    there.remove("photos/kitten.jpg");
    soon("both deletions to travel", || {
        !there.has("new/letter.txt") && !here.has("photos/kitten.jpg")
    });
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn edits_on_both_sides_keep_both_contents_on_both() {
    let server = Sshd::start();
    let mut house = house(&server);
    house.files("here").write("letter.txt", "before");
    house.up();
    house.wait();
    house.stop();
    house.files("here").write("letter.txt", "by this one");
    house.files("there").write("letter.txt", "by that one");
    house.up();
    house.wait();
    house.assert_same_contents();
    let conflicts = house.json(&["conflicts", "--json"]);
    assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts}");
    let kept = conflicts[0]["kept"].as_str().unwrap();
    let here = house.files("here");
    let mut texts = [here.read("letter.txt").unwrap(), here.read(kept).unwrap()];
    texts.sort();
    assert_eq!(texts, [b"by that one".to_vec(), b"by this one".to_vec()]);
}

#[test]
fn a_server_that_goes_away_is_unavailable_and_catches_up_alone() {
    let server = Sshd::start();
    let mut house = house(&server);
    let (here, there) = (house.files("here"), house.files("there"));
    here.write("kept.txt", "stays");
    house.up();
    house.wait();
    server.close();
    let state = |house: &House| house.service("there").unwrap()["state"].clone();
    soon("the server to be missed", || state(&house) == "unavailable");
    here.write("meanwhile.txt", "from here");
    there.write("too.txt", "from there");
    server.reopen();
    soon("both to catch up", || there.has("meanwhile.txt") && here.has("too.txt"));
    house.wait();
    house.assert_same_contents();
    assert!(here.has("kept.txt") && there.has("kept.txt"));
}

#[test]
fn a_full_disk_on_the_server_is_told_and_goes_on_with_room() {
    let server = Sshd::start();
    let mut house = house(&server);
    let root = house.root("there").to_owned();
    if !house.mount(&root, 4 << 20) {
        return;
    }
    house.up();
    house.wait();
    let (here, there) = (house.files("here"), house.files("there"));
    here.write("too large", vec![1; 8 << 20]);
    soon("it to be told", || {
        let service = house.service("there").unwrap();
        let problems = service["problems"].as_array().unwrap();
        problems.iter().any(|it| {
            it["path"] == "too large" && it["message"].as_str().unwrap().contains("disk is full")
        })
    });
    assert!(!there.has("too large"), "nothing incomplete under a name");
    here.write("too large", vec![2; 1 << 20]);
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.service("there").unwrap()["problems_total"], 0);
}

#[test]
fn a_change_on_the_server_is_here_soon_where_a_program_tells_of_it() {
    let server = Sshd::start();
    let mut house = house_with(&server, "1h", &["watch_command = \"inotifywait\""]);
    let (here, there) = (house.files("here"), house.files("there"));
    there.write("letter.txt", "before");
    house.up();
    house.wait();
    there.write("letter.txt", "edited there");
    there.write("new/photo.jpg", vec![7; 300_000]);
    soon("both to arrive without a round", || {
        here.read("letter.txt").as_deref() == Some(b"edited there")
            && here.read("new/photo.jpg").is_some_and(|it| it.len() == 300_000)
    });
    there.rename("new/photo.jpg", "cat.jpg");
    there.remove("letter.txt");
    soon("the rename and the deletion", || {
        here.has("cat.jpg") && !here.has("new/photo.jpg") && !here.has("letter.txt")
    });
    house.wait();
    house.assert_same_contents();
}

#[test]
fn a_program_that_tells_nothing_is_told_with_its_remedy_and_changes_are_found_without() {
    let server = Sshd::start();
    let mut house = house_with(&server, "1s", &["watch_command = \"no-such-program\""]);
    let (here, there) = (house.files("here"), house.files("there"));
    house.up();
    house.wait();
    soon("it to be told", || {
        let status = house.service("there").unwrap().to_string();
        status.contains("`watch_command` tells of no changes") && status.contains("not found")
    });
    there.write("letter.txt", "found by a round");
    soon("it to arrive", || here.has("letter.txt"));
}

#[test]
fn a_folder_on_a_server_is_kept_by_one_onitu_only() {
    let server = Sshd::start();
    let mut first = house(&server);
    first.up();
    first.wait();
    let mut second = House::prepared(&["elsewhere"]);
    second.add_service_at("there", first.root("there").to_owned());
    second.set_driver("there", "sftp");
    second.files("elsewhere").write("letter.txt", "of the second");
    set(&mut second, &server, "1s", &[]);
    second.up();
    soon("the second to be kept out", || {
        let is_out = |it: serde_json::Value| {
            it["state"] == "unavailable" && it.to_string().contains("used by another Onitu")
        };
        second.service("there").is_some_and(is_out)
    });
    first.files("here").write("note.txt", "of the first");
    first.wait();
    first.assert_same_contents();
    assert!(!first.files("there").has("letter.txt"), "nothing of the second");
}

#[test]
fn of_a_large_file_that_was_edited_elsewhere_the_rest_is_copied_on_the_server() {
    let server = Sshd::start();
    let mut house = house_with(&server, "1s", &["hash_command = \"sha1sum\""]);
    let (here, there) = (house.files("here"), house.files("there"));
    let mut image: Vec<u8> = (0..12_000_000_u32).map(|at| (at / 7) as u8).collect();
    here.write("image", &image);
    house.up();
    house.wait();
    image[5_000_000] ^= 1;
    here.write("image", &image);
    house.wait();
    assert!(there.read("image").unwrap() == image);
    house.assert_same_contents();
}
