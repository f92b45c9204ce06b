//! `at`: a service whose root stands at a directory of the tree.

use onitu_tests::{House, soon, tree};

fn house() -> House {
    let mut house = House::prepared(&["laptop", "phone"]);
    house.add_option("phone", "at = \"Photos/phone\"");
    house
}

/// Everything below a service's folder, as text.
fn names(house: &House, service: &str) -> Vec<String> {
    tree(house.root(service)).into_keys().map(|it| it.display().to_string()).collect()
}

#[test]
fn a_service_that_stands_at_a_directory_holds_that_directory_and_nothing_else() {
    let mut house = house();
    let (laptop, phone) = (house.files("laptop"), house.files("phone"));
    phone.write("a.jpg", "a");
    phone.write("trip/b.jpg", "b");
    laptop.write("letter.txt", "not for the phone");
    laptop.write("Photos/other.jpg", "nor this");
    laptop.write("Photos/phone/c.jpg", "but this");
    house.up();
    house.wait();
    assert_eq!(laptop.read("Photos/phone/a.jpg").unwrap(), b"a");
    assert_eq!(laptop.read("Photos/phone/trip/b.jpg").unwrap(), b"b");
    assert_eq!(names(&house, "phone"), ["a.jpg", "c.jpg", "trip", "trip/b.jpg"]);

    // Edits, renames within, and a rename across its border, both ways.
    phone.write("trip/b.jpg", "b, edited");
    laptop.rename("Photos/phone/a.jpg", "Photos/phone/trip/a.jpg");
    house.wait();
    assert_eq!(laptop.read("Photos/phone/trip/b.jpg").unwrap(), b"b, edited");
    assert_eq!(names(&house, "phone"), ["c.jpg", "trip", "trip/a.jpg", "trip/b.jpg"]);
    laptop.rename("Photos/phone/c.jpg", "kept.jpg");
    laptop.rename("Photos/other.jpg", "Photos/phone/other.jpg");
    house.wait();
    assert_eq!(names(&house, "phone"), ["other.jpg", "trip", "trip/a.jpg", "trip/b.jpg"]);
    assert_eq!(laptop.read("kept.jpg").unwrap(), b"but this");

    // What a person asks for is spoken of by the tree's paths.
    laptop.remove("Photos/phone/other.jpg");
    house.wait();
    assert!(!phone.has("other.jpg"));
    let trash = house.json(&["trash", "list", "--service", "phone", "--json"]).to_string();
    assert!(trash.contains("Photos/phone/other.jpg"), "{trash}");
    house.say(&["restore", "Photos/phone/other.jpg", "--service", "phone"]);
    house.wait();
    assert_eq!(laptop.read("Photos/phone/other.jpg").unwrap(), b"nor this");
    let why = house.json(&["explain", "letter.txt", "--json"]);
    assert_eq!(why["targets"].to_string(), "[\"laptop\"]");
}

#[test]
fn the_directory_at_which_a_service_stands_cannot_be_removed_elsewhere() {
    let mut house = house();
    let (laptop, phone) = (house.files("laptop"), house.files("phone"));
    house.up();
    house.wait();
    phone.write("a.jpg", "a");
    house.wait();
    laptop.remove_all("Photos");
    house.wait();
    assert!(!phone.has("a.jpg"), "what was in it is deleted");
    soon("the directory is back", || laptop.has("Photos/phone"));
}

#[test]
fn edits_on_both_sides_keep_both_under_a_name_within_the_directory() {
    let mut house = house();
    let (laptop, phone) = (house.files("laptop"), house.files("phone"));
    phone.write("a.jpg", "of the phone");
    laptop.write("Photos/phone/a.jpg", "of the laptop");
    house.up();
    house.wait();
    let on_phone = names(&house, "phone");
    assert_eq!(on_phone.len(), 2, "{on_phone:?}");
    for name in &on_phone {
        assert_eq!(laptop.read(format!("Photos/phone/{name}")), phone.read(name), "{name}");
    }
}

#[test]
fn a_service_that_is_given_another_place_deletes_nothing_there_and_back() {
    let mut house = House::prepared(&["laptop", "phone"]);
    let (laptop, phone) = (house.files("laptop"), house.files("phone"));
    for at in 0..30 {
        laptop.write(format!("{at}.jpg"), format!("{at}"));
    }
    house.up();
    house.wait();
    house.assert_alike();
    house.set_options("phone", &["at = \"Photos\""]);
    house.say(&["reload"]);
    house.wait();
    for at in 0..30 {
        let (name, bytes) = (format!("{at}.jpg"), format!("{at}").into_bytes());
        assert_eq!(laptop.read(&name).as_ref(), Some(&bytes), "where it was");
        assert_eq!(phone.read(&name).as_ref(), Some(&bytes));
        assert_eq!(laptop.read(format!("Photos/{at}.jpg")).as_ref(), Some(&bytes), "met anew");
    }
    // What is deleted at the new place isn't deleted at the old one when the service is back there.
    laptop.remove("Photos/7.jpg");
    house.wait();
    assert!(!phone.has("7.jpg"));
    house.set_options("phone", &[]);
    house.say(&["reload"]);
    house.wait();
    assert_eq!(laptop.read("7.jpg").unwrap(), b"7");
    assert_eq!(phone.read("7.jpg").unwrap(), b"7");
    house.assert_same_contents();
}

#[test]
fn a_file_is_moved_to_a_service_that_stands_at_a_directory_and_others_stay() {
    let mut house = house();
    house.set_rules("sync everything to laptop, phone\nmove \"**/*.jpg\" to phone");
    house.up();
    house.wait();
    let (laptop, phone) = (house.files("laptop"), house.files("phone"));
    laptop.write("Photos/phone/a.jpg", "inside");
    laptop.write("Photos/b.jpg", "outside");
    house.wait();
    assert_eq!(phone.read("a.jpg").unwrap(), b"inside");
    assert!(!laptop.has("Photos/phone/a.jpg"));
    assert_eq!(laptop.read("Photos/b.jpg").unwrap(), b"outside", "it can't be on the phone");
    assert_eq!(names(&house, "phone"), ["a.jpg"]);
}
