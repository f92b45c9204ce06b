//! Names, folders, times, renames and removals.

use super::*;

#[tokio::test]
async fn a_path_is_exact_though_dropbox_shows_its_folders_in_other_letters() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().tree.shows_parents_lower = true;
    place(&plug, "Docs/Inner/A.txt", b"bytes").await.expect("it is placed");
    assert!(plug.look(&at("Docs/Inner/A.txt")).await.expect("known").is_some());
    for twin in ["docs/Inner/A.txt", "Docs/inner/A.txt", "Docs/Inner/a.txt"] {
        assert!(plug.look(&at(twin)).await.expect("known").is_none(), "{twin}");
        let fault = place(&plug, twin, b"other").await.expect_err("its twin is there");
        assert_eq!(fault.kind, FaultKind::Taken, "{twin}");
    }
    let hints = Hints::default();
    write_as_user(&mut fixture.server.account(), "/onitu/DOCS/inner/a.TXT", b"more")
        .expect("it is");
    let watched = async {
        plug.settle().await.expect("it is told");
        let told: Vec<Path> = hints.take().await.paths.into_keys().collect();
        assert!(told.contains(&at("Docs/Inner/A.txt")), "{told:?}");
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = watched => {}
    }
}

#[tokio::test]
async fn names_that_dropbox_refuses_are_held_under_others() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let odd = ["a\\b", "trailing ", ".DS_Store", "e\u{301}", "\u{e9}", "plain"];
    for name in odd {
        place(&plug, &format!("odd/{name}"), name.as_bytes()).await.expect("it is placed");
    }
    for name in odd {
        let there = read(&plug, &format!("odd/{name}")).await.expect("it is there");
        assert_eq!(there, name.as_bytes());
    }
    let expected: BTreeSet<String> = odd.map(str::to_owned).into();
    assert_eq!(names(&plug, "odd").await.expect("it is listed"), expected);
    let held = tree(&fixture);
    assert!(held.contains(&format!("{ROOT}/odd/a%5Cb (onitu)")), "{held:?}");
}

#[tokio::test]
async fn a_time_is_set_by_sending_the_bytes_once_more() {
    let fixture = Fixture::new();
    let content = bytes(9 * MIB);
    let plug = connected(&fixture).await;
    let before = place(&plug, "a", &content).await.expect("it is placed");
    let wanted = Content { mtime_ns: 1_700_000_000_500_000_000, ..before.content };
    let after = plug.set_attributes(&at("a"), before.tag, &wanted).await.expect("it is set");
    assert_eq!(after.content.mtime_ns, 1_700_000_000_000_000_000);
    assert_ne!(after.tag, before.tag);
    assert_eq!(plug.look(&at("a")).await.expect("known"), Some(after));
    assert_eq!(read(&plug, "a").await.expect("it is there"), content);
    let again = plug.set_attributes(&at("a"), after.tag, &wanted).await.expect("nothing to do");
    assert_eq!(again, after);
}

#[tokio::test]
async fn a_removal_of_a_folder_that_a_crash_interrupted_loses_nothing() {
    let fixture = Fixture::new();
    drop(connected(&fixture).await);
    {
        // As it is after the folder was moved aside, with what came in the last instant.
        let mut account = fixture.server.account();
        let aside = "/Onitu/.onitu/removed/0123456789abcdef/Docs/Old";
        write_as_user(&mut account, &format!("{aside}/late"), b"late").expect("it is written");
        account.tree.make_folder("/Onitu/.onitu/removed/fedcba9876543210");
    }
    let plug = fixture.connect(true).await.expect("it is there");
    assert_eq!(read(&plug, "Docs/Old/late").await.expect("it is back"), b"late");
    let left = fixture.server.account().tree.all();
    assert!(!left.keys().any(|path| path.contains("removed/")), "{left:?}");
}

#[tokio::test]
async fn what_comes_into_a_folder_while_it_is_removed_stays() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let made = plug.make_directory(&at("Docs/Old"), None).await.expect("it is made");
    // The move takes its time, and somebody saves a file meanwhile.
    trouble(&fixture, "files/move_v2", 1, Trouble::Late(500));
    let path = at("Docs/Old");
    let late = async {
        while count(&fixture, "files/move_v2") == 0 {
            tokio::task::yield_now().await;
        }
        write_as_user(&mut fixture.server.account(), "/Onitu/Docs/Old/late", b"late")
    };
    let (removed, late) = tokio::join!(plug.remove(&path, made.tag), late);
    late.expect("it is written");
    assert_eq!(removed.map_err(|fault| fault.kind), Err(FaultKind::NotEmpty));
    assert_eq!(read(&plug, "Docs/Old/late").await.expect("it is there"), b"late");
}

#[tokio::test]
async fn a_rename_over_something_leaves_no_moment_without_either() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let from = place(&plug, "from", b"bytes").await.expect("it is placed");
    let to = place(&plug, "to", b"other").await.expect("it is placed");
    // The last call is the one that removes the old name, and it isn't answered well.
    trouble(&fixture, "files/delete_v2", 9, Trouble::Reset);
    let renamed = plug.rename(&at("from"), from.tag, &at("to"), Some(to.tag)).await;
    assert_eq!(renamed.map_err(|fault| fault.kind), Err(FaultKind::Unavailable));
    for name in ["from", "to"] {
        assert_eq!(read(&plug, name).await.expect("it is there"), b"bytes");
    }
    fixture.server.account().faults.clear();
    let to = plug.look(&at("to")).await.expect("known").expect("there");
    // Edited in the last instant, the old name stays.
    trouble(&fixture, "files/delete_v2", 1, Trouble::Late(300));
    let edit = async {
        while count(&fixture, "files/delete_v2") < 2 {
            tokio::task::yield_now().await;
        }
        write_as_user(&mut fixture.server.account(), "/Onitu/from", b"edited")
    };
    let (before, after) = (at("from"), at("to"));
    let (renamed, edited) =
        tokio::join!(plug.rename(&before, from.tag, &after, Some(to.tag)), edit);
    edited.expect("it is written");
    assert_eq!(renamed.map_err(|fault| fault.kind), Err(FaultKind::Changed));
    assert_eq!(read(&plug, "from").await.expect("it is there"), b"edited");
}

#[tokio::test]
async fn an_edit_in_the_instant_of_a_rename_is_not_taken_for_what_was_renamed() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let from = place(&plug, "from", b"bytes").await.expect("it is placed");
    trouble(&fixture, "files/move_v2", 1, Trouble::Late(300));
    let edit = async {
        while count(&fixture, "files/move_v2") == 0 {
            tokio::task::yield_now().await;
        }
        write_as_user(&mut fixture.server.account(), "/Onitu/from", b"edited")
    };
    let (before, after) = (at("from"), at("to"));
    let (renamed, edited) = tokio::join!(plug.rename(&before, from.tag, &after, None), edit);
    edited.expect("it is written");
    assert_eq!(renamed.map_err(|fault| fault.kind), Err(FaultKind::Changed));
    assert_eq!(read(&plug, "from").await.expect("it is back"), b"edited");
    assert!(plug.look(&at("to")).await.expect("known").is_none());
}

#[tokio::test]
async fn the_folder_is_not_made_anew_where_it_was_deleted() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    place(&plug, "a", b"bytes").await.expect("it is placed");
    fixture.server.account().tree.delete("/onitu");
    for fault in [
        plug.check().await.expect_err("it is gone"),
        plug.look(&at("a")).await.expect_err("unknown is not absent"),
        place(&plug, "b", b"bytes").await.expect_err("there is no place for it"),
        plug.make_directory(&at("d"), None).await.expect_err("nor for this"),
        names(&plug, "").await.expect_err("it isn't empty"),
    ] {
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    }
    assert_eq!(tree(&fixture).len(), 0);
}

#[tokio::test]
async fn a_teams_folders_are_reached_by_their_namespace() {
    let fixture = Fixture::new();
    {
        let mut account = fixture.server.account();
        account.has_team = true;
        account.tree.make_folder("/Team Folder");
        account.tree.make_parents("/Ada Lovelace/x").expect("room");
    }
    let connect = async |namespace: &str, root: &str| {
        let mut options = fixture.options();
        options["namespace"] = json!(namespace);
        options["root"] = json!(root);
        let options = serde_json::from_value(options).expect("options");
        let setting = Setting {
            service: "team".to_owned(),
            known: false,
            trash_days: 30,
            trash_size_bytes: None,
            state_dir: None,
        };
        Dropbox::connect(options, setting).await
    };
    let plug = connect("root", "/Team Folder").await.expect("it is there");
    place(&plug, "a", b"bytes").await.expect("it is placed");
    assert!(fixture.server.account().tree.get("/Team Folder/a").is_some());
    let fault = connect("home", "/Team Folder").await.map(drop).expect_err("it isn't at home");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    let fault = connect("999", "/Team Folder").await.map(drop).expect_err("there is none");
    assert!(fault.message.contains("namespace"), "{fault}");
}

#[tokio::test]
async fn each_refusal_is_told_as_what_it_is() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let there = place(&plug, "a", b"bytes").await.expect("it is placed");
    let union = |tags: &[&str]| {
        let inner = json!({ ".tag": tags[tags.len() - 1] });
        tags[..tags.len() - 1]
            .iter()
            .rev()
            .fold(inner, |inner, tag| json!({ ".tag": tag, (*tag): inner }))
    };
    let refuse = |route: &str, tags: &[&str]| {
        trouble(&fixture, route, 1, Trouble::Refused(union(tags)));
    };
    refuse("files/download", &["path", "restricted_content"]);
    let fault = read(&plug, "a").await.expect_err("it isn't given out");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    for (tag, kind) in [
        ("malformed_path", FaultKind::InvalidName),
        ("disallowed_name", FaultKind::InvalidName),
        ("insufficient_space", FaultKind::Full),
        ("no_write_permission", FaultKind::Denied),
        ("team_folder", FaultKind::Denied),
    ] {
        refuse("files/upload", &["path", tag]);
        let fault = place(&plug, "b", b"bytes").await.expect_err("it is refused");
        assert_eq!(fault.kind, kind, "{fault}");
    }
    refuse("files/move_v2", &["too_many_files"]);
    let fault = plug.rename(&at("a"), there.tag, &at("c"), None).await.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
    refuse("files/get_metadata", &["path", "restricted_content"]);
    let fault = plug.look(&at("a")).await.expect_err("unknown is not absent");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    assert_eq!(read(&plug, "a").await.expect("nothing happened to it"), b"bytes");
}

#[tokio::test]
async fn what_dropbox_has_forgotten_is_not_in_the_trash() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let state = place(&plug, "a", b"bytes").await.expect("it is placed");
    plug.remove(&at("a"), state.tag).await.expect("it is removed");
    let query = onitu_plug::TrashQuery { below: at(""), after_ms: 0, cursor: None, limit: 10 };
    let item = plug.trash(&query).await.expect("a page").items.pop().expect("it is there");
    fixture.server.account().tree.forget_revisions();
    let fault = plug.hash_trashed(&item.id).await.expect_err("nobody has it");
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    let fault = plug.restore(&item.id, &at("a"), None).await.expect_err("nobody has it");
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    assert!(plug.look(&at("a")).await.expect("known").is_none());
}
