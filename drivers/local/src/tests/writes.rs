//! Writing and placing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use onitu_plug::Hasher;

use super::*;

#[tokio::test]
async fn what_is_placed_has_its_bytes_mtime_and_permissions() {
    let home = home().await;
    for (name, bytes) in [("empty", vec![]), ("small", noise(5_000)), ("a/b/large", noise(3 << 20))]
    {
        let content = Content { executable: name == "small", ..file(&bytes) };
        let state = home.place(name, content, &bytes, None).await.expect("placed");
        assert_eq!(state.content, content);
        let seen = home.state(name).await.expect("there");
        assert_eq!((seen.tag, seen.content.mtime_ns), (state.tag, content.mtime_ns));
        assert_eq!(home.bytes(name), bytes);
        assert_eq!(mtime_ns(home.at(name)), content.mtime_ns);
        assert_eq!(mode(home.at(name)) & 0o700, if name == "small" { 0o700 } else { 0o600 });
    }
    home.assert_clean();
}

#[tokio::test]
async fn a_time_before_1970_is_kept() {
    let home = home().await;
    let content = Content { mtime_ns: -1_500_000_001, ..file(b"old") };
    let state = home.place("old", content, b"old", None).await.expect("placed");
    assert_eq!(state.content.mtime_ns, -1_500_000_001);
    assert_eq!(mtime_ns(home.at("old")), -1_500_000_001);
}

#[tokio::test]
async fn the_time_1970_itself_is_kept() {
    let home = home().await;
    home.write("there", b"there");
    let there = fs::File::open(home.at("there")).expect("there");
    there.set_modified(std::time::UNIX_EPOCH).expect("set");
    let state = home.state("there").await.expect("there");
    assert_ne!(state.content.mtime_ns, 0, "that means nothing");
    let content = Content { mtime_ns: state.content.mtime_ns, ..file(b"here") };
    let placed = home.place("here", content, b"here", None).await.expect("placed");
    assert_eq!(mtime_ns(home.at("here")), 0);
    assert_eq!(placed.content.mtime_ns, state.content.mtime_ns);
}

#[tokio::test]
async fn what_came_without_a_time_is_not_dated_1970() {
    let home = home().await;
    home.write("as of now", b"");
    let now_ns = mtime_ns(home.at("as of now"));
    for size in [10, 2 << 20] {
        let bytes = noise(size);
        let content = Content { mtime_ns: 0, ..file(&bytes) };
        let expect = home.state("file").await.map(|state| state.tag);
        let state = home.place("file", content, &bytes, expect).await;
        let told_ns = state.expect("placed").content.mtime_ns;
        assert!(told_ns >= now_ns - 1_000_000_000, "{told_ns} was before {now_ns}");
        assert_eq!(mtime_ns(home.at("file")), told_ns);
    }
}

#[tokio::test]
async fn what_is_replaced_goes_to_the_trash_and_lends_its_permissions() {
    let home = home().await;
    for (name, size) in [("small", 10), ("large", 2 << 20)] {
        home.write(name, b"before");
        fs::set_permissions(home.at(name), fs::Permissions::from_mode(0o640)).expect("chmod");
        let expect = home.tag(name).await;
        let content = Content { executable: true, ..file(&noise(size)) };
        home.place(name, content, &noise(size), Some(expect)).await.expect("placed");
        assert_eq!(home.bytes(name), noise(size));
        assert_eq!(mode(home.at(name)), 0o750);
    }
    let before = b"before".to_vec();
    assert_eq!(home.trash(), [("large".to_owned(), before.clone()), ("small".to_owned(), before)]);
    home.assert_clean();
}

#[tokio::test]
async fn nothing_is_replaced_that_is_not_what_was_expected() {
    let home = home().await;
    home.write("file", b"the user's");
    let tag = home.tag("file").await;
    home.write("file", b"the user's newer");
    for size in [10, 2 << 20] {
        let bytes = noise(size);
        assert_eq!(kind_of(home.put("file", &bytes, Some(tag)).await), FaultKind::Changed);
        assert_eq!(kind_of(home.put("file", &bytes, None).await), FaultKind::Changed);
        assert_eq!(kind_of(home.put("gone", &bytes, Some(tag)).await), FaultKind::Changed);
        assert_eq!(kind_of(home.put("no/parent", &bytes, Some(tag)).await), FaultKind::Changed);
    }
    assert_eq!(home.bytes("file"), b"the user's newer");
    assert!(!home.at("no").exists());
    assert_eq!(home.trash(), []);
    home.assert_clean();
}

#[tokio::test]
async fn a_parent_that_is_a_file_is_told() {
    let home = home().await;
    home.write("file", b"x");
    for size in [10, 2 << 20] {
        let outcome = home.put("file/below/it", &noise(size), None).await;
        assert_eq!(kind_of(outcome), FaultKind::NotADirectory);
    }
    assert_eq!(home.bytes("file"), b"x");
}

#[tokio::test]
async fn an_empty_directory_is_replaced_and_a_full_one_is_not() {
    let home = home().await;
    fs::create_dir_all(home.at("empty")).expect("mkdir");
    home.write("full/file", b"x");
    let (empty, full) = (home.tag("empty").await, home.tag("full").await);
    home.put("empty", b"now a file", Some(empty)).await.expect("placed");
    assert_eq!(home.bytes("empty"), b"now a file");
    let refused = home.put("full", b"now a file", Some(full)).await;
    assert_eq!(kind_of(refused), FaultKind::NotEmpty);
    assert_eq!(home.bytes("full/file"), b"x");
    home.assert_clean();
}

#[tokio::test]
async fn links_are_placed_as_links() {
    let home = home().await;
    let target = "../else where/é";
    let state = home.place("d/link", link(target), target.as_bytes(), None).await.expect("placed");
    assert_eq!(fs::read_link(home.at("d/link")).expect("a link").to_str(), Some(target));
    assert_eq!(home.state("d/link").await, Some(state));
    let new = home.place("d/link", link("b"), b"b", Some(state.tag)).await.expect("placed");
    assert_ne!(new.tag, state.tag);
    assert_eq!(home.get("d/link", new.tag, 100).await.expect("read"), b"b");
    assert_eq!(home.trash(), [("d/link".to_owned(), target.as_bytes().to_vec())]);
}

#[tokio::test]
async fn more_bytes_than_promised_are_not_placed_as_if_they_were_right() {
    let home = home().await;
    for size in [100, 300 << 10] {
        let content = file(&noise(size));
        let mut sink = home.local.write(&path("file"), &content, 1).await.expect("begun");
        sink.write(noise(200 << 10).into()).await.expect("written");
        assert_eq!(kind_of(sink.place(content, None).await), FaultKind::Corrupt);
    }
    assert!(!home.at("file").exists());
    home.assert_clean();
}

#[tokio::test]
async fn an_interrupted_write_is_taken_up_again_with_its_key_only() {
    let home = home().await;
    let bytes = noise(4 << 20);
    let content = file(&bytes);
    let begin = async |key| home.local.write(&path("large"), &content, key).await.expect("begun");
    let mut sink = begin(7).await;
    assert_eq!(sink.resumed().await.expect("nothing yet").0, 0);
    sink.write(Bytes::copy_from_slice(&bytes[..3 << 20])).await.expect("written");
    drop(sink);
    assert!(!home.at("large").exists());

    let mut other = begin(8).await;
    assert_eq!(other.resumed().await.expect("another key").0, 0);
    drop(other);

    let mut sink = begin(7).await;
    let (length, mut hasher) = sink.resumed().await.expect("resumed");
    assert_eq!(length, 3 << 20);
    hasher.update(&bytes[3 << 20..]);
    assert_eq!(hasher.finish(), Checksum::of(&bytes));
    sink.write(Bytes::copy_from_slice(&bytes[3 << 20..])).await.expect("written");
    sink.place(content, None).await.expect("placed");
    assert_eq!(home.bytes("large"), bytes);
    home.assert_clean();
}

#[tokio::test]
async fn what_is_resumed_is_what_is_on_the_disk() {
    let home = home().await;
    let content = file(&noise(4 << 20));
    let mut sink = home.local.write(&path("large"), &content, 7).await.expect("begun");
    sink.write(noise(2 << 20).into()).await.expect("written");
    drop(sink);
    let temp = fs::read_dir(home.at(".onitu/tmp")).expect("there").flatten().next().expect("one");
    fs::write(temp.path(), vec![0; 2 << 20]).expect("a damaged leftover");
    let mut sink = home.local.write(&path("large"), &content, 7).await.expect("begun");
    let (length, hasher) = sink.resumed().await.expect("resumed");
    assert_eq!((length, hasher.finish()), (2 << 20, Checksum::of(&vec![0; 2 << 20])));
}

#[tokio::test]
async fn a_discarded_or_small_write_leaves_nothing() {
    let home = home().await;
    for (size, dropped) in [(4 << 20, false), (300 << 10, true), (100, true), (100, false)] {
        let content = file(&noise(size));
        let mut sink = home.local.write(&path("file"), &content, 7).await.expect("begun");
        sink.write(noise(size.min(2 << 20)).into()).await.expect("written");
        if dropped {
            drop(sink);
        } else {
            sink.discard().await;
        }
        home.assert_clean();
    }
    assert_eq!(home.names("").await, [""; 0]);
}

#[tokio::test]
async fn many_small_files_wait_in_bounded_memory() {
    let home = home().await;
    let bytes = noise(128 << 10);
    let mut sinks = Vec::new();
    for number in 0..100 {
        let name = format!("file {number}");
        let mut sink = home.local.write(&path(&name), &file(&bytes), 1).await.expect("begun");
        sink.write(Bytes::copy_from_slice(&bytes)).await.expect("written");
        sinks.push(sink);
    }
    let spilled = fs::read_dir(home.at(".onitu/tmp")).expect("there").count();
    assert_eq!(spilled, 100 - (8 << 20) / (128 << 10));
    for sink in sinks {
        sink.place(file(&bytes), None).await.expect("placed");
    }
    assert_eq!(home.names("").await.len(), 100);
    assert!((0..100).all(|number| home.bytes(&format!("file {number}")) == bytes));
    home.assert_clean();
}

#[tokio::test]
async fn the_hash_of_nothing_is_told_for_a_small_file() {
    let home = home().await;
    let mut sink = home.local.write(&path("a"), &file(b"x"), 1).await.expect("begun");
    let (length, hasher) = sink.resumed().await.expect("resumed");
    assert_eq!((length, hasher.finish()), (0, Hasher::default().finish()));
}

#[tokio::test]
async fn the_longest_names_and_paths_work() {
    let home = home().await;
    let name = "n".repeat(255);
    let mut long: Vec<_> = (0..15).map(|_| name.as_str()).collect();
    let rest = "r".repeat(255);
    long.push(&rest);
    let long = long.join("/");
    assert_eq!(long.len(), 4_095);
    let state = home.put(&long, b"deep", None).await.expect("placed");
    assert_eq!(home.state(&long).await.map(|seen| seen.tag), Some(state.tag));
    assert_eq!(home.get(&long, state.tag, 100).await.expect("read"), b"deep");
    let parent = path(&long).parent().expect("a parent");
    assert_eq!(home.names(parent.as_str()).await, [rest.as_str()]);
    home.local.rename(&path(&long), state.tag, &path("up"), None).await.expect("renamed");
    home.local.rename(&path("up"), state.tag, &path(&long), None).await.expect("renamed");
    home.local.remove(&path(&long), state.tag).await.expect("removed");
    assert_eq!(home.trash(), [(long, b"deep".to_vec())]);
}

#[tokio::test]
async fn onitus_own_names_are_refused_and_invisible() {
    let home = home().await;
    home.write(".onitu-tmp-files/x", b"x");
    home.write("d/.onitu-tmp-9", b"x");
    for own in [".onitu", ".onitu/service", ".onitu-tmp-files/x", "d/.onitu-tmp-9"] {
        assert_eq!(home.state(own).await, None, "{own}");
        assert_eq!(kind_of(home.put(own, b"x", None).await), FaultKind::InvalidName);
        let made = home.local.make_directory(&path(own), None).await;
        assert_eq!(kind_of(made), FaultKind::InvalidName);
    }
    assert_eq!(kind_of(home.list(".onitu").await), FaultKind::NotFound);
    assert_eq!(home.names("").await, ["d"]);
    // Onitu makes no such name: it is somebody's, who is told.
    let found = home.list("d").await.expect("listed");
    let [Found::Problem { name, fault }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((name.as_str(), fault.kind), (".onitu-tmp-9", FaultKind::InvalidName));
}
