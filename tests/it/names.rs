//! Names of every kind a file system allows, and the one kind that can't travel.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use onitu_tests::{House, Must, soon, tree};
use serde_json::Value;

const HOSTILE: [&str; 120] = [
    // Control characters, and what looks like an end.
    "line\nbreak",
    "\n",
    "tab\tand\r",
    "Icon\r",
    "\u{1}",
    "\u{8}\u{8}\u{8}",
    "\u{1}\u{7f}\u{1b}[31m",
    "\u{7f}",
    "\u{85}next line",
    "\u{2028}line separator",
    "\u{1b}]0;title\u{7}",
    // Shells, globs, escapes, other programs' syntax.
    "\"double\" and 'single'",
    "*.[a-z]{x,y}?",
    "*",
    "?",
    "~",
    "~root",
    "$HOME `id` ;&|",
    "$(id)",
    "back\\slash\\x41",
    "%s%n%00",
    "%2e%2e%2f",
    "&amp;<b>",
    "{02}:d:",
    "[onitu]",
    "#",
    "!",
    "a=b",
    "'",
    "\"",
    "`",
    "\\",
    "a,b",
    "@photos",
    // Dashes, dots and spaces.
    "-rf",
    "-",
    "--",
    "--help",
    ".hidden",
    "..hidden",
    "...",
    "....",
    "a..b",
    ". ",
    " .",
    " ",
    "trailing space ",
    "trailing dot.",
    "trailing dots...",
    " leading space",
    "two  spaces",
    "\u{a0}no-break",
    "\u{3000}wide",
    // What other systems keep for themselves, or can't hold.
    "CON",
    "con",
    "NUL",
    "nul.txt",
    "aux.txt",
    "COM1",
    "lpt9.tar.gz",
    "PRN.",
    "CONIN$",
    "a:b|c<d>e",
    "C:",
    "C:\\evil",
    "..\\..\\evil",
    "\\\\server\\share",
    "file:stream",
    "desktop.ini",
    "Thumbs.db",
    ".DS_Store",
    "._resource",
    "lost+found",
    ".git",
    "~$letter.docx",
    "#auto#",
    ".#lock",
    "file~",
    "0",
    "NaN",
    "null",
    "true",
    // Letters: composed, look-alikes, direction, nothing to see, the last ones there are.
    "é composed",
    "e\u{301} decomposed",
    "é",
    "e\u{301}",
    "A",
    "\u{391}",
    "\u{410}",
    "\u{ff21}",
    "K",
    "\u{212a}",
    "\u{c5}",
    "\u{212b}",
    "ß",
    "ẞ",
    "ﬁ",
    "fi",
    "İ",
    "ı",
    "…",
    "a\u{2044}b",
    "a\u{2215}b",
    "\u{202e}txt.exe",
    "\u{200b}",
    "zero\u{200d}width\u{feff}",
    "\u{ad}soft",
    "\u{fffd}",
    "\u{fffe}",
    "\u{10ffff}",
    "emoji 🦀👩‍👩‍👧",
    // Like Onitu's own.
    ".onitux",
    ".Onitu",
    "onitu",
    "service",
    "resume-1-x",
    "swap-1-0000018c-12345678",
    "a (conflict nas 1234567).txt",
    "a (conflict a 1234567)",
    "(conflict b 0000000)",
];

/// Names that are no text, as the kernel has them and as they are shown.
const NO_TEXT: [(&[u8], &str); 5] = [
    (b"\xff", r"\xFF"),
    (b"caf\xE9.txt", r"caf\xE9.txt"),
    (b"overlong \xc0\xaf", r"overlong \xC0\xAF"),
    (b"surrogate \xed\xa0\x80", r"surrogate \xED\xA0\x80"),
    (b"cut off \xe2\x82", r"cut off \xE2\x82"),
];

/// A house in which no name is junk.
fn house(services: &[&str]) -> House {
    let mut house = House::prepared(services);
    house.add_setting("ignore_junk = false");
    house.up();
    house.wait();
    house
}

#[test]
fn every_hostile_name_arrives_byte_for_byte_or_is_told_for_that_file_alone() {
    let house = house(&["a", "b", "c"]);
    let files = house.files("a");
    for name in HOSTILE {
        files.write(name, format!("file {name}"));
        files.write(format!("directories/{name}/{name}"), "inside");
        files.link(format!("directories/link to {name}"), name);
    }
    for (name, _) in NO_TEXT {
        std::fs::write(house.root("a").join(OsStr::from_bytes(name)), "no text").unwrap();
    }
    let reserved = [".onitu-tmp-mine", "directories/.onitu-tmp-9"];
    for name in reserved {
        files.write(name, "whose?");
    }
    files.write("directories/.onitu/service", "of a user, and no marker");
    house.wait();
    for name in HOSTILE {
        for other in ["b", "c"] {
            assert_eq!(house.files(other).read(name).unwrap(), format!("file {name}").as_bytes());
        }
    }
    soon("the others are told", || {
        let service = house.service("a").unwrap();
        let problems = service["problems"].as_array().unwrap();
        let told: Vec<_> = problems.iter().filter_map(|it| it["path"].as_str()).collect();
        let expected = NO_TEXT.iter().map(|(_, shown)| *shown).chain(reserved);
        expected.clone().all(|name| told.contains(&name)) && told.len() == expected.count()
    });
    for name in reserved {
        assert_eq!(files.read(name).unwrap(), b"whose?");
        files.remove(name);
    }
    for (name, _) in NO_TEXT {
        std::fs::remove_file(house.root("a").join(OsStr::from_bytes(name))).unwrap();
    }
    soon("they are problems no more", || house.service("a").unwrap()["problems_total"] == 0);
    house.assert_alike();
    assert_eq!(house.status()["entries"], HOSTILE.len() * 4 + 3);
    let listed = house.json(&["ls", "--json"]);
    let paths: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|entry| entry["path"].as_str()).collect();
    for name in HOSTILE {
        assert!(paths.contains(&name), "{name:?} isn't in {paths:?}");
        let explained = house.json(&["explain", "--json", "--", name]);
        assert_eq!(explained["path"], name);
        assert_eq!(explained["holders"].as_array().unwrap().len(), 3, "{explained}");
    }
}

#[test]
fn names_like_conflict_copies_are_kept_apart_from_real_ones() {
    let mut house = House::prepared(&["a", "b"]);
    house.files("a").write("note (conflict b 1234567).txt", "a user's, who likes such names");
    house.files("a").write("note.txt", "from a");
    house.files("b").write("note.txt", "from b");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.status()["entries"], 3);
    let names = tree(house.root("a"));
    let contents: Vec<_> = names.keys().filter_map(|name| house.files("a").read(name)).collect();
    for content in ["a user's, who likes such names", "from a", "from b"] {
        assert!(contents.contains(&content.as_bytes().to_vec()), "{names:?}");
    }
}

#[test]
fn hostile_names_are_renamed_and_removed() {
    let house = house(&["a", "b"]);
    let files = house.files("a");
    for name in HOSTILE {
        files.write(format!("{name}1"), "x");
        files.write(format!("d/{name}"), "y");
    }
    house.wait();
    for name in HOSTILE {
        files.rename(format!("{name}1"), format!("{name}2"));
        files.remove(format!("d/{name}"));
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], HOSTILE.len() + 1);
}

#[test]
fn names_that_differ_in_case_or_composition_only_are_different_files() {
    let house = House::new(&["a", "b"]);
    for (at, name) in ["readme", "README", "Readme", "\u{e9}", "e\u{301}"].iter().enumerate() {
        house.files("a").write(name, format!("number {at}"));
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 5);
    assert_eq!(house.files("b").read("e\u{301}").unwrap(), b"number 4");
}

#[test]
fn names_of_255_bytes_travel() {
    let house = House::new(&["a", "b"]);
    let long = "n".repeat(255);
    let wide = format!("{}.txt", "é".repeat(125));
    let files = house.files("a");
    files.write(&long, "long");
    files.write(&wide, "wide");
    files.write(format!("{}/{}", "d".repeat(255), "f".repeat(255)), "both");
    house.wait();
    house.assert_alike();
    files.rename(&long, "m".repeat(255));
    files.write(&wide, "wide, edited");
    house.wait();
    house.assert_alike();
}

#[test]
fn two_contents_of_a_name_of_255_bytes_are_both_kept() {
    let mut house = House::prepared(&["a", "b"]);
    let name = format!("{}.txt", "n".repeat(251));
    house.files("a").write(&name, "from a");
    house.files("b").write(&name, "from b");
    house.up();
    house.wait();
    house.assert_same_contents();
    assert_eq!(house.status()["entries"], 2);
    let conflicts = house.json(&["conflicts", "--json"]);
    let kept = conflicts[0]["kept"].as_str().must("where it is kept");
    let both = [&*name, kept].map(|it| house.files("a").read(it).unwrap());
    assert!(both.contains(&b"from a".to_vec()) && both.contains(&b"from b".to_vec()));
}

#[test]
fn paths_of_nearly_4000_bytes_travel() {
    let house = House::new(&["a", "b"]);
    let root_bytes = house.root("a").as_os_str().len().max(house.root("b").as_os_str().len());
    // The kernel takes 4,095 bytes in one call, the folder's own path included.
    let room = 4_095 - root_bytes - "/.onitu/..".len();
    let mut path = "d".repeat(200);
    while path.len() + 260 < room {
        path = format!("{path}/{}", "d".repeat(200));
    }
    path = format!("{path}/{}", "f".repeat((room - path.len() - 1).min(255)));
    assert!(path.len() > 3_700, "{}", path.len());
    house.files("a").write(&path, "deep");
    house.wait();
    house.assert_alike();
    house.files("b").write(&path, "deep, and edited");
    house.wait();
    assert_eq!(house.files("a").read(&path).unwrap(), b"deep, and edited");
    house.files("a").remove_all("d".repeat(200));
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 0);
}

#[test]
fn two_hundred_levels_of_directories_travel_are_renamed_and_removed() {
    let house = House::new(&["a", "b"]);
    let deep = vec!["x"; 200].join("/");
    house.files("a").write(format!("{deep}/bottom"), "here");
    house.wait();
    house.assert_alike();
    house.files("a").rename("x", "y");
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 201);
    house.files("b").remove_all("y");
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["entries"], 0);
}

#[test]
fn a_name_that_is_not_utf8_is_told_and_the_others_travel() {
    let house = House::new(&["a", "b"]);
    let odd = OsStr::from_bytes(b"caf\xE9.txt");
    std::fs::write(house.root("a").join(odd), "latin").unwrap();
    std::fs::create_dir(house.root("a").join(OsStr::from_bytes(b"d\xff"))).unwrap();
    std::fs::write(house.root("a").join(OsStr::from_bytes(b"d\xff/inside")), "x").unwrap();
    house.files("a").write("beside", "travels");
    house.wait();
    assert_eq!(house.files("b").read("beside").unwrap(), b"travels");
    let problems = || house.service("a").unwrap()["problems"].clone();
    let names = |problems: &Value, text: &str| {
        let list = problems.as_array().unwrap();
        list.iter()
            .any(|it| it["path"] == text && it["message"].as_str().unwrap().contains("UTF-8"))
    };
    soon("both names are told", || {
        let problems = problems();
        names(&problems, r"caf\xE9.txt") && names(&problems, r"d\xFF")
    });
    assert_eq!(house.status()["entries"], 1);

    std::fs::rename(house.root("a").join(odd), house.root("a").join("café.txt")).unwrap();
    house.wait();
    assert_eq!(house.files("b").read("café.txt").unwrap(), b"latin");
    soon("it is a problem no more", || !names(&problems(), r"caf\xE9.txt"));
}
