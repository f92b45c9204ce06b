//! Changes: the cursor, what it is kept with, and what is told of it.

use super::*;

#[tokio::test]
async fn what_was_written_here_is_not_hinted_at_and_what_is_edited_then_is() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let hints = Hints::default();
    let watched = async {
        place(&plug, "own", b"bytes").await.expect("it is placed");
        place(&plug, "edited", b"bytes").await.expect("it is placed");
        write_as_user(&mut fixture.server.account(), "/Onitu/edited", b"more").expect("written");
        plug.settle().await.expect("it is told");
        let told: Vec<Path> = hints.take().await.paths.into_keys().collect();
        assert_eq!(told, [at("edited")]);
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = watched => {}
    }
}

#[tokio::test]
async fn a_reset_cursor_becomes_a_rescan_and_the_watch_goes_on() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let hints = Hints::default();
    let watched = async {
        let user = |name: &str| {
            write_as_user(&mut fixture.server.account(), &format!("{ROOT}/{name}"), b"bytes")
        };
        user("before").expect("it is written");
        plug.settle().await.expect("it is told");
        fixture.server.account().epoch += 1;
        let told = timeout(LIMIT, async {
            loop {
                let told = hints.take().await;
                if told.rescan.is_some() {
                    return;
                }
            }
        });
        told.await.expect("everything is to be looked at");
        // A scan sees what changes until everything is listed; this is after that.
        plug.settle().await.expect("it is listed");
        user("after").expect("it is written");
        timeout(LIMIT, async { while !hints.take().await.paths.contains_key(&at("after")) {} })
            .await
            .expect("it is hinted at");
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = watched => {}
    }
}

#[tokio::test]
async fn what_changes_between_the_connection_and_the_watch_is_hinted_at() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    write_as_user(&mut fixture.server.account(), "/Onitu/early", b"bytes").expect("it is written");
    let hints = Hints::default();
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        told = timeout(LIMIT, hints.take()) => {
            assert!(told.expect("in time").paths.contains_key(&at("early")));
        }
    }
}

#[tokio::test]
async fn who_lists_because_of_a_hint_finds_what_it_told() {
    let fixture = Fixture::new();
    save(&fixture, "0/file");
    let plug = connected(&fixture).await;
    let hints = Hints::default();
    let watched = async {
        plug.settle().await.expect("it is told");
        for number in 0..20 {
            // Everything is known and fresh.
            plug.settle().await.expect("it is told");
            names(&plug, "").await.expect("it is listed");
            let (from, to) = (number.to_string(), (number + 1).to_string());
            let mut account = fixture.server.account();
            account.tree.relocate(&format!("/onitu/{from}"), &format!("{ROOT}/{to}"), true);
            drop(account);
            let told = timeout(LIMIT, async {
                while !hints.take().await.paths.contains_key(&at(&from)) {}
            });
            told.await.expect("it is hinted at");
            let gone = names(&plug, &from).await;
            assert_eq!(gone.expect_err("it was renamed").kind, FaultKind::NotFound);
            assert!(names(&plug, &to).await.expect("it is there").contains("file"));
        }
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = watched => {}
    }
}

/// Everything below a directory, as listings tell it.
async fn everything(plug: &Dropbox, directory: &str) -> BTreeSet<String> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![directory.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for name in names(plug, &directory).await.expect("it is listed") {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let state = plug.look(&at(&path)).await.expect("known").expect("it is there");
            if state.content.kind == onitu_plug::Kind::Directory {
                waiting.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

/// All but what is Onitu's own, without the root.
fn expected(fixture: &Fixture) -> BTreeSet<String> {
    let all = tree(fixture).into_iter();
    all.map(|path| path[ROOT.len() + 1..].to_owned()).collect()
}

fn save(fixture: &Fixture, path: &str) {
    write_as_user(&mut fixture.server.account(), &format!("{ROOT}/{path}"), b"bytes")
        .expect("it is written");
}

#[tokio::test]
async fn a_restart_asks_only_for_what_is_new() {
    let fixture = Fixture::new();
    for number in 0..3_000 {
        save(&fixture, &format!("d{}/e{}/{number}", number % 7, number % 5));
    }
    let plug = connected(&fixture).await;
    assert_eq!(names(&plug, "d1/e1").await.expect("listed").len(), 3_000 / 35 + 1);
    let pages = |fixture: &Fixture| {
        count(fixture, "files/list_folder") + count(fixture, "files/list_folder/continue")
    };
    assert!(pages(&fixture) <= 6, "{} pages for 3,000 files", pages(&fixture));
    drop(plug);
    save(&fixture, "d1/e1/new");
    fixture.server.account().tree.delete("/onitu/d2");
    fixture.server.account().tree.relocate("/onitu/d3", "/Onitu/Renamed", true);
    let before = pages(&fixture);
    let plug = fixture.connect(true).await.expect("it is there");
    let listed = names(&plug, "").await.expect("it is listed");
    assert_eq!(listed, ["Renamed", "d0", "d1", "d4", "d5", "d6"].map(str::to_owned).into());
    assert!(names(&plug, "d1/e1").await.expect("listed").contains("new"));
    assert_eq!(names(&plug, "Renamed/e3").await.expect("listed").len(), 3_000 / 35 + 1);
    // What may be left of removals, what is new, and whether more is, once for each of the three.
    assert!(pages(&fixture) - before <= 6, "{} pages after a restart", pages(&fixture) - before);
    assert_eq!(everything(&plug, "Renamed/e3").await.len(), 3_000 / 35 + 1);
}

#[tokio::test]
async fn a_snapshot_that_is_lost_damaged_or_reset_is_listed_anew() {
    let fixture = Fixture::new();
    for path in ["a/b/c", "a/d", "e"] {
        save(&fixture, path);
    }
    drop(connected(&fixture).await);
    let snapshot = fixture.state_dir().join("snapshot.redb");
    let damages: [&dyn Fn(); 3] = [
        &|| std::fs::remove_file(&snapshot).expect("it was there"),
        &|| std::fs::write(&snapshot, [7; 10_000]).expect("it is damaged"),
        &|| fixture.server.account().epoch += 1,
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        damage();
        save(&fixture, &format!("a/new {number}"));
        fixture.server.account().tree.delete(&format!("/onitu/a/new {}", number.wrapping_sub(1)));
        let plug = fixture.connect(true).await.expect("it is there");
        assert_eq!(everything(&plug, "").await, expected(&fixture), "{number}");
    }
}

#[tokio::test]
async fn the_cursor_moves_on_only_with_what_it_told() {
    let fixture = Fixture::new();
    save(&fixture, "before");
    let plug = connected(&fixture).await;
    let hints = Hints::default();
    let watched = async {
        plug.settle().await.expect("it is told");
        for number in 0..1_200 {
            save(&fixture, &format!("many/{number}"));
        }
        // The first page of 500 changes is told; then the connection is lost for good.
        let lost = Told {
            route: "files/list_folder/continue".to_owned(),
            after: 1,
            times: 99,
            trouble: Trouble::Reset,
        };
        fixture.server.account().faults.add(lost);
        plug.settle().await.expect_err("it isn't all told");
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => assert!(ended.is_err(), "{ended:?}"),
        () = watched => {}
    }
    drop(plug);
    fixture.server.account().faults.clear();
    let plug = fixture.connect(true).await.expect("it is there");
    assert_eq!(names(&plug, "many").await.expect("listed").len(), 1_200);
}

#[tokio::test]
async fn another_folder_of_the_account_has_another_snapshot() {
    let fixture = Fixture::new();
    save(&fixture, "a");
    fixture.server.account().tree.make_folder("/Other");
    drop(connected(&fixture).await);
    let mut options = fixture.options();
    options["root"] = json!("/Other");
    let options = serde_json::from_value(options).expect("options");
    let setting = Setting {
        service: "conformance".to_owned(),
        known: false,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: Some(fixture.state_dir()),
    };
    let plug = Dropbox::connect(options, setting).await.expect("it is there");
    assert!(names(&plug, "").await.expect("it is listed").is_empty());
}
