//! Rules about media types: what a name doesn't tell, the content does.

use onitu_tests::House;
use serde_json::Value;

/// The beginning of every PNG, as much as tells it, and something behind it.
fn png(what: &str) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0"[..], what.as_bytes()]
        .concat()
}

fn explained(house: &House, path: &str) -> Value {
    house.json(&["explain", path, "--json"])
}

#[test]
fn a_picture_without_an_extension_goes_where_pictures_go_and_a_text_in_its_place_no_further() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync everything to a\nsync everything where type is image/* to b");
    let a = house.files("a");
    a.write("photo", png("beach"));
    // Too large to be read before it travels: its first bytes tell.
    a.write("Scans/large.2026", [png("scan"), vec![7; 300_000]].concat());
    a.write("README", "not a picture");
    a.write("noise", [0, 1, 2, 254, 255]);
    a.write("text.png", "the name tells, whatever is in it");
    a.write("picture.txt", png("the name tells"));
    house.up();
    house.wait();
    let b = house.files("b");
    assert_eq!(b.read("photo").unwrap(), png("beach"));
    assert!(b.has("Scans/large.2026") && b.has("text.png"));
    assert!(!b.has("README") && !b.has("noise") && !b.has("picture.txt"));
    assert_eq!(explained(&house, "photo")["media"], "image/png");
    assert_eq!(explained(&house, "README")["media"], "text/plain");
    assert_eq!(explained(&house, "noise")["media"], "");
    assert_eq!(explained(&house, "picture.txt")["media"], "text/plain", "the name tells");
    assert!(house.say(&["explain", "noise"]).contains("of no known type"));

    // Under another name that tells nothing it is the same picture, and isn't sent again.
    let inode = b.inode("photo");
    a.rename("photo", "picture");
    house.wait();
    assert_eq!((b.inode("picture"), b.has("photo")), (inode, false));
    assert_eq!(explained(&house, "picture")["media"], "image/png");

    // Overwritten by a text it is no target of b's any more: what b has of it keeps getting its
    // changes, but if it is removed there it isn't put back, nor is the next of its kind.
    a.write("picture", "a text by now");
    a.write("note", "a text from the beginning");
    house.wait();
    let told = explained(&house, "picture");
    assert_eq!(
        (&told["media"], &told["targets"]),
        (&"text/plain".into(), &serde_json::json!(["a"]))
    );
    assert_eq!(b.read("picture").unwrap(), b"a text by now");
    assert!(!b.has("note"));

    // And a text that becomes a picture gets there, the plan of other rules knows it too.
    a.write("note", png("at last"));
    house.wait();
    assert_eq!(b.read("note").unwrap(), png("at last"));
    house
        .write("other.rules", "sync everything to a\nmove \"note\" where type is image/png to b\n");
    let other = house.path().join("other.rules").display().to_string();
    let plan = house.say(&["plan", "--rules", &other]);
    assert!(plan.contains("note"), "{plan}");
    house.stop();
    house.up();
    house.wait();
    assert_eq!(explained(&house, "note")["media"], "image/png");
}

#[test]
fn a_file_that_was_renamed_from_a_name_that_told_its_type_gets_one_by_a_deep_verification() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync everything to a\nsync \"Kept/*\" where not type is image/* to b");
    house.up();
    house.wait();
    let a = house.files("a");
    a.write("list.txt", "one, two");
    a.make_dir("Kept");
    house.wait();
    a.rename("list.txt", "Kept/list");
    house.wait();
    // Nobody has read it since: it meets neither a type nor its contrary.
    let told = explained(&house, "Kept/list");
    assert_eq!((&told["media"], &told["targets"]), (&Value::Null, &serde_json::json!(["a"])));
    assert!(house.say(&["explain", "Kept/list"]).contains("not known of this file"));
    house.say(&["verify", "--deep", "a"]);
    house.wait();
    assert_eq!(explained(&house, "Kept/list")["media"], "text/plain");
    assert_eq!(house.files("b").read("Kept/list").unwrap(), b"one, two");
}
