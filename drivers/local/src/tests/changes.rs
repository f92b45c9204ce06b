//! Removing, renaming, attributes and directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn what_is_removed_goes_to_the_trash() {
    let home = home().await;
    home.write("d/file", b"bytes");
    std::os::unix::fs::symlink("target", home.at("d/link")).expect("a link");
    for name in ["d/file", "d/link"] {
        home.local.remove(&path(name), home.tag(name).await).await.expect("removed");
        assert_eq!(home.state(name).await, None);
    }
    let kept = [("d/file", b"bytes".to_vec()), ("d/link", b"target".to_vec())];
    assert_eq!(home.trash(), kept.map(|(name, bytes)| (name.to_owned(), bytes)));
    assert!(home.at("d").exists());
}

#[tokio::test]
async fn only_the_expected_state_is_removed_and_what_is_gone_is_fine() {
    let home = home().await;
    home.write("file", b"one");
    let tag = home.tag("file").await;
    home.write("file", b"two!");
    assert_eq!(kind_of(home.local.remove(&path("file"), tag).await), FaultKind::Changed);
    assert_eq!(home.bytes("file"), b"two!");
    for gone in ["gone", "no/such/directory", "file/below"] {
        home.local.remove(&path(gone), tag).await.expect("already gone");
    }
    assert_eq!(home.trash(), []);
}

#[tokio::test]
async fn only_an_empty_directory_is_removed() {
    let home = home().await;
    home.write("full/file", b"x");
    fs::create_dir(home.at("empty")).expect("mkdir");
    let (full, empty) = (home.tag("full").await, home.tag("empty").await);
    assert_eq!(kind_of(home.local.remove(&path("full"), full).await), FaultKind::NotEmpty);
    assert_eq!(kind_of(home.local.remove(&path("empty"), full).await), FaultKind::Changed);
    home.local.remove(&path("empty"), empty).await.expect("removed");
    assert_eq!(home.names("").await, ["full"]);
    let root = home.tag("").await;
    assert_eq!(kind_of(home.local.remove(&Path::root(), root).await), FaultKind::Denied);
}

#[tokio::test]
async fn a_rename_moves_the_bytes_and_keeps_the_tag() {
    let home = home().await;
    home.write("a", b"bytes");
    let tag = home.tag("a").await;
    let state = home.local.rename(&path("a"), tag, &path("x/y/b"), None).await.expect("renamed");
    assert_eq!(state.tag, tag);
    assert_eq!((home.bytes("x/y/b"), home.state("a").await), (b"bytes".to_vec(), None));
}

#[tokio::test]
async fn a_rename_sends_what_it_replaces_to_the_trash() {
    let home = home().await;
    home.write("a", b"new");
    home.write("b", b"old");
    let (a, b) = (home.tag("a").await, home.tag("b").await);
    home.local.rename(&path("a"), a, &path("b"), Some(b)).await.expect("renamed");
    assert_eq!((home.bytes("b"), home.state("a").await), (b"new".to_vec(), None));
    assert_eq!(home.trash(), [("b".to_owned(), b"old".to_vec())]);
}

#[tokio::test]
async fn a_rename_from_or_to_another_state_changes_nothing() {
    let home = home().await;
    home.write("a", b"one");
    home.write("b", b"two");
    let (a, b) = (home.tag("a").await, home.tag("b").await);
    for (from, to, expect) in [("a", "b", None), ("a", "b", Some(a)), ("a", "c", Some(b))] {
        let outcome = home.local.rename(&path(from), a, &path(to), expect).await;
        assert_eq!(kind_of(outcome), FaultKind::Changed);
    }
    let outcome = home.local.rename(&path("a"), b, &path("c"), None).await;
    assert_eq!(kind_of(outcome), FaultKind::Changed);
    let outcome = home.local.rename(&path("gone"), b, &path("c"), None).await;
    assert_eq!(kind_of(outcome), FaultKind::Changed);
    assert_eq!((home.bytes("a"), home.bytes("b")), (b"one".to_vec(), b"two".to_vec()));
    assert_eq!(home.names("").await, ["a", "b"]);
}

#[tokio::test]
async fn a_directory_is_renamed_as_a_whole() {
    let home = home().await;
    home.write("d/file", b"x");
    let tag = home.tag("d").await;
    home.local.rename(&path("d"), tag, &path("e/f"), None).await.expect("renamed");
    assert_eq!(home.bytes("e/f/file"), b"x");
    let into_itself = home.local.rename(&path("e"), home.tag("e").await, &path("e/g"), None).await;
    assert_eq!(kind_of(into_itself), FaultKind::Unsupported);
    assert_eq!(home.bytes("e/f/file"), b"x");
}

#[tokio::test]
async fn attributes_change_without_the_bytes() {
    let home = home().await;
    home.write("file", b"bytes");
    fs::set_permissions(home.at("file"), fs::Permissions::from_mode(0o640)).expect("chmod");
    let tag = home.tag("file").await;
    let content = Content { executable: true, ..file(b"bytes") };
    let state = home.local.set_attributes(&path("file"), tag, &content).await.expect("set");
    assert_eq!(state.content, content);
    assert_eq!(home.tag("file").await, state.tag);
    assert_eq!((mode(home.at("file")), mtime_ns(home.at("file"))), (0o750, content.mtime_ns));
    let again = home.local.set_attributes(&path("file"), tag, &content).await;
    assert_eq!(kind_of(again), FaultKind::Changed);
}

#[tokio::test]
async fn a_directory_is_made_with_its_parents_or_was_there() {
    let home = home().await;
    let made = home.local.make_directory(&path("a/b/c"), None).await.expect("made");
    assert_eq!(home.state("a/b/c").await, Some(made));
    let again = home.local.make_directory(&path("a/b/c"), None).await.expect("there");
    assert_eq!(again, made);
    home.write("file", b"x");
    let refused = home.local.make_directory(&path("file"), None).await;
    assert_eq!(kind_of(refused), FaultKind::Changed);
    let below = home.local.make_directory(&path("file/d"), None).await;
    assert_eq!(kind_of(below), FaultKind::NotADirectory);
    let state = home.local.make_directory(&path("file"), Some(home.tag("file").await)).await;
    assert_eq!(home.state("file").await, Some(state.expect("replaced")));
    assert_eq!(home.trash(), [("file".to_owned(), b"x".to_vec())]);
    home.assert_clean();
}

/// A user who saves a file all the time, against an Onitu that replaces it all the time: each
/// replacement that succeeded has taken exactly one text from the name, and kept it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_in_the_last_instant_is_never_lost() {
    let home = home().await;
    home.write("f", b"user -1");
    let folder = home.folder.path().to_owned();
    // Each of another length: two of one length in one clock tick may have one tag.
    let text = |round: usize| format!("user {round} {}", ".".repeat(round));
    // On a busy machine Onitu may not get its turn for long.
    let (has_replaced, replaced_once) = std::sync::mpsc::channel();
    let user = std::thread::spawn(move || {
        let mut has_replaced = false;
        for round in 0..20_000 {
            let new = folder.join(".saving");
            fs::write(&new, text(round)).expect("saves");
            fs::rename(&new, folder.join("f")).expect("replaces");
            has_replaced |= replaced_once.try_recv().is_ok();
            if has_replaced && round >= 2_000 {
                return round;
            }
        }
        19_999
    });
    let mut replaced = 0;
    while !user.is_finished() {
        let Some(state) = home.state("f").await else { continue };
        let ours = format!("onitu {replaced}");
        if home.put("f", ours.as_bytes(), Some(state.tag)).await.is_ok() {
            replaced += 1;
            let _ = has_replaced.send(());
        }
    }
    let rounds = user.join().expect("the user is done");
    let mut kept: Vec<Vec<u8>> = home.trash().into_iter().map(|(_, bytes)| bytes).collect();
    let names = home.names("").await;
    kept.extend(names.iter().filter(|name| *name != "f").map(|name| home.bytes(name)));
    assert_eq!(kept.len(), replaced, "{names:?}");
    assert!(replaced > 0, "no replacement ever succeeded");
    kept.push(home.bytes("f"));
    assert!(kept.iter().any(|last| last == text(rounds).as_bytes()), "the last edit was lost");
    home.assert_clean();
}
