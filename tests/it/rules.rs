//! Rules place files, and changing them deletes nothing.

use onitu_tests::{House, soon, tree};

#[test]
fn a_rule_puts_only_what_it_names_on_a_service() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.set_rules("sync everything to a\nsync \"Photos/**\" to b\nsync \"**/*.txt\" to c");
    for path in ["Photos/cat.jpg", "Photos/deep/dog.jpg", "Photos/list.txt", "letter.txt", "x.bin"]
    {
        house.files("a").write(path, path);
    }
    house.up();
    house.wait();
    let names = |service: &str| -> Vec<String> {
        let files = house.files(service);
        let paths = tree(house.root(service)).into_keys();
        paths.filter(|path| files.read(path).is_some()).map(|it| it.display().to_string()).collect()
    };
    assert_eq!(names("b"), ["Photos/cat.jpg", "Photos/deep/dog.jpg", "Photos/list.txt"]);
    assert_eq!(names("c"), ["Photos/list.txt", "letter.txt"]);

    // What b makes outside of its share goes to whom the rules name, and stays on b.
    house.files("b").write("note.txt", "from b");
    house.files("b").write("Photos/cat.jpg", "edited on b");
    house.wait();
    assert_eq!(house.files("a").read("note.txt").unwrap(), b"from b");
    assert_eq!(house.files("a").read("Photos/cat.jpg").unwrap(), b"edited on b");
    assert!(house.files("c").has("note.txt") && house.files("b").has("note.txt"));
}

#[test]
fn new_rules_take_effect_at_a_reload_and_delete_nothing() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync everything to a\nsync \"Photos/**\" to b");
    house.files("a").write("Photos/cat.jpg", "cat");
    house.files("a").write("Music/song", "la");
    house.up();
    house.wait();
    assert!(!house.files("b").has("Music"));
    house.set_rules("sync everything to a\nsync \"Music/**\" to b");
    house.say(&["reload"]);
    house.wait();
    assert_eq!(house.files("b").read("Music/song").unwrap(), b"la");
    assert_eq!(house.files("b").read("Photos/cat.jpg").unwrap(), b"cat");
    // A holder keeps getting what changes, and new files go where the rules say now.
    house.files("a").write("Photos/cat.jpg", "cat, edited");
    house.files("a").write("Photos/dog.jpg", "dog");
    house.wait();
    assert_eq!(house.files("b").read("Photos/cat.jpg").unwrap(), b"cat, edited");
    assert!(!house.files("b").has("Photos/dog.jpg"));
}

#[test]
fn a_file_moved_into_the_share_of_a_service_arrives_and_one_moved_out_of_it_goes() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync everything to a\nsync \"Photos/**\" to b");
    house.files("a").write("incoming/cat.jpg", "cat");
    house.files("a").write("Photos/dog.jpg", "dog");
    house.up();
    house.wait();
    house.files("a").rename("incoming/cat.jpg", "Photos/cat.jpg");
    house.files("a").rename("Photos/dog.jpg", "incoming/dog.jpg");
    house.wait();
    assert_eq!(house.files("b").read("Photos/cat.jpg").unwrap(), b"cat");
    assert!(!house.files("b").has("Photos/dog.jpg"));
    assert_eq!(house.files("a").read("incoming/dog.jpg").unwrap(), b"dog");
}

#[test]
fn a_rule_names_a_service_that_comes_later() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_rules("sync everything to a, b, nas");
    house.files("a").write("file", "1");
    house.up();
    house.wait();
    assert!(
        house.text_of("stderr").contains("unknown service `nas`"),
        "{}",
        house.text_of("stderr")
    );
    house.add_service("nas");
    house.say(&["reload"]);
    soon("it arrives", || house.files("nas").has("file"));
    house.wait();
    house.assert_alike();
}
