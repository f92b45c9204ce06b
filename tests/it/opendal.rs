//! A driver that isn't Onitu's: `docs/examples/opendal`, built outside of the workspace and found on
//! `PATH`. A folder beside one behind a WebDAV server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onitu_test_webdav::{Dav, PASSWORD, USER};
use onitu_tests::{Files, House, Thing, soon, tree};
use tempfile::TempDir;

/// A house with the folder `here`, and `there`, which is reached through the server.
struct Both {
    house: House,
    server: Dav,
    /// Of the server, which is none of the house's processes.
    home: TempDir,
    here: Files,
    there: Files,
}

/// The example's program. Cargo builds nothing outside of the workspace for a test, `make` does.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|it| it.ends_with("debug") || it.ends_with("release"));
    let program = target.unwrap().parent().unwrap().join("opendal/debug/onitu-driver-opendal");
    assert!(program.is_file(), "`{}` isn't built: run `make driver` first", program.display());
    program
}

fn both() -> Both {
    let mut house = House::prepared(&["here"]);
    // Installed where any program may be, and not beside `onitu`.
    let bin = house.path().join("third-party");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(program(), bin.join("onitu-driver-opendal")).unwrap();
    house.set_path_variable(&format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    let home = TempDir::with_prefix("webdav-").unwrap();
    let there = home.path().join("top/there");
    std::fs::create_dir_all(&there).unwrap();
    let server = Dav::start(&home.path().join("top"), home.path());
    house.add_service_at("there", "there".into());
    house.set_driver("there", "opendal");
    let lines = [
        "scheme = \"webdav\"".to_owned(),
        format!("endpoint = \"{}\"", server.endpoint()),
        format!("username = \"{USER}\""),
        format!("password = \"{PASSWORD}\""),
        "poll = \"1s\"".to_owned(),
    ];
    house.set_options("there", &lines.each_ref().map(String::as_str));
    let (here, there) = (house.files("here"), Files::new(there));
    Both { house, server, home, here, there }
}

/// Every path of a folder, with the bytes of files.
fn held(files: &Files) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let found = tree(&files.at("")).into_iter();
    found
        .map(|(path, thing)| {
            let bytes = if thing == Thing::Directory { None } else { files.read(&path) };
            (path, bytes)
        })
        .collect()
}

impl Both {
    #[track_caller]
    fn assert_same_contents(&self) {
        let (here, there) = (held(&self.here), held(&self.there));
        let names = |held: &BTreeMap<PathBuf, _>| held.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&here), names(&there));
        let other = here.iter().filter(|(path, bytes)| there.get(*path) != Some(bytes));
        let other: Vec<&Path> = other.map(|(path, _)| path.as_path()).collect();
        assert!(other.is_empty(), "{other:?} differ");
    }

    fn state(&self) -> String {
        let service = self.house.service("there").unwrap_or_default();
        service["state"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_driver_that_was_installed_on_the_path_is_found_by_its_name() {
    let both = both();
    let told = both.house.say(&["drivers"]);
    assert!(told.contains("opendal") && told.contains("endpoint"), "{told}");
    both.house.say(&["check"]);
}

#[test]
fn what_is_made_edited_renamed_and_deleted_on_one_side_is_so_on_the_other() {
    let mut both = both();
    both.here.write("old/letter.txt", "from here");
    both.here.write("empty", "");
    both.there.write("photos/cat.jpg", vec![7; 3_000_000]);
    both.house.up();
    both.house.wait();
    both.assert_same_contents();
    let Both { here, there, .. } = &both;

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
    both.house.wait();
    both.assert_same_contents();
    assert_eq!(both.house.status()["conflicts"], 0);
}

#[test]
fn edits_on_both_sides_keep_both_contents_on_both() {
    let mut both = both();
    both.here.write("letter.txt", "before");
    both.house.up();
    both.house.wait();
    both.house.stop();
    both.here.write("letter.txt", "by this one");
    both.there.write("letter.txt", "by that one");
    both.house.up();
    both.house.wait();
    both.assert_same_contents();
    let conflicts = both.house.json(&["conflicts", "--json"]);
    assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts}");
    let kept = conflicts[0]["kept"].as_str().unwrap();
    let mut texts = [both.here.read("letter.txt").unwrap(), both.here.read(kept).unwrap()];
    texts.sort();
    assert_eq!(texts, [b"by that one".to_vec(), b"by this one".to_vec()]);
}

#[test]
fn a_server_that_dies_is_unavailable_and_catches_up_alone() {
    let mut both = both();
    both.here.write("kept.txt", "stays");
    both.house.up();
    both.house.wait();
    both.server.close();
    soon("the server to be missed", || both.state() == "unavailable");
    both.here.write("meanwhile.txt", "from here");
    both.there.write("too.txt", "from there");
    both.server.reopen();
    soon("both to catch up", || both.there.has("meanwhile.txt") && both.here.has("too.txt"));
    both.house.wait();
    both.assert_same_contents();
    assert!(both.here.has("kept.txt") && both.there.has("kept.txt"));
}

#[test]
fn a_folder_that_is_gone_from_the_server_deletes_nothing() {
    let mut both = both();
    for number in 0..20 {
        both.here.write(format!("file {number}"), "bytes");
    }
    both.house.up();
    both.house.wait();
    let (there, away) = (both.there.at(""), both.home.path().join("away"));
    std::fs::rename(&there, &away).unwrap();
    soon("it to be missed", || both.state() == "unavailable");
    // An empty folder in its place is another one.
    std::fs::create_dir(&there).unwrap();
    soon("that to be told", || {
        let service = both.house.service("there").unwrap_or_default();
        service["reason"].as_str().is_some_and(|reason| reason.contains("lost its marker"))
    });
    assert_eq!((both.state().as_str(), held(&both.here).len()), ("unavailable", 20));
    assert!(held(&both.there).is_empty());
    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    soon("it to be back", || both.state() == "ready");
    both.house.wait();
    both.assert_same_contents();
    assert_eq!(held(&both.here).len(), 20);
}
