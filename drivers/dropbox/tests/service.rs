//! What only Dropbox does: tokens that expire, requests for patience, cursors that are reset,
//! answers that are lost, uploads that outlive the driver.

mod fixture;

use std::collections::BTreeSet;
use std::time::Duration;

use fixture::{Fixture, ROOT};
use onitu_conformance::{Subject, at, file};
use onitu_driver_dropbox::Dropbox;
use onitu_plug::{
    Content, Fault, FaultKind, Found, Hints, Path, Plug, Setting, Sink, Source, State,
};
use onitu_test_dropbox::{Fault as Told, Trouble, write_as_user};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

const MIB: usize = 1024 * 1024;
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

async fn connected(fixture: &Fixture) -> Dropbox {
    fixture.connect(false).await.expect("it is there")
}

async fn begun(
    plug: &Dropbox,
    path: &str,
    bytes: &[u8],
    key: u64,
) -> (u64, <Dropbox as Plug>::Sink) {
    let mut sink = plug.write(&at(path), &file(bytes), key).await.expect("a sink");
    let (written, _) = sink.resumed().await.expect("what is there");
    (written, sink)
}

async fn place(plug: &Dropbox, path: &str, bytes: &[u8]) -> Result<State, Fault> {
    let (_, mut sink) = begun(plug, path, bytes, fastrand::u64(..)).await;
    sink.write(bytes.to_vec().into()).await?;
    sink.place(file(bytes), None).await
}

async fn read(plug: &Dropbox, path: &str) -> Result<Vec<u8>, Fault> {
    let state = plug.look(&at(path)).await?.expect("it is there");
    let mut source = plug.read(&at(path), state.tag, 0).await?;
    let mut all = Vec::new();
    loop {
        let bytes = source.next(100_000).await?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

async fn names(plug: &Dropbox, directory: &str) -> Result<BTreeSet<String>, Fault> {
    let (sender, mut receiver) = mpsc::channel(100);
    plug.list(&at(directory), sender).await?;
    let mut names = BTreeSet::new();
    while let Some(page) = receiver.recv().await {
        names.extend(page.into_iter().map(|found| match found {
            Found::Entry { name, .. } | Found::Problem { name, .. } => name,
        }));
    }
    Ok(names)
}

fn trouble(fixture: &Fixture, route: &str, times: u32, trouble: Trouble) {
    let fault = Told { route: route.to_owned(), after: 0, times, trouble };
    fixture.server.account().faults.add(fault);
}

fn count(fixture: &Fixture, route: &str) -> usize {
    fixture.server.account().faults.count(route)
}

/// Every path below the root as it is shown there, without Onitu's own.
fn tree(fixture: &Fixture) -> Vec<String> {
    let all = fixture.server.account().tree.all().into_keys();
    let own = format!("{ROOT}/.onitu");
    all.filter(|path| !path.starts_with(&own) && path != ROOT).collect()
}

/// Bytes of which no two blocks are alike.
fn bytes(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_a_revoked_one_is_told_with_the_remedy() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().tokens.expire();
    place(&plug, "a", b"bytes").await.expect("it is refreshed on the way");
    assert_eq!(read(&plug, "a").await.expect("it is there"), b"bytes");
    assert_eq!(count(&fixture, "oauth2/token"), 1);
    fixture.server.account().tokens.revoke();
    let fault = plug.check().await.expect_err("nobody may call");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("onitu auth dropbox"), "{fault}");
    let fault = plug.look(&at("b")).await.expect_err("unknown is not absent");
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn tokens_that_cant_be_read_are_told_and_not_shown() {
    let fixture = Fixture::new();
    let tokens = fixture.home.path().join("token.json");
    for text in ["{ \"refresh_token\": secret", "{}"] {
        std::fs::write(&tokens, text).expect("it is written");
        let fault = fixture.connect(false).await.map(drop).expect_err("there is no token");
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert!(fault.message.contains("token.json") && !fault.message.contains("secret"));
    }
}

#[tokio::test]
async fn patience_is_had_as_long_as_dropbox_asks_for_and_no_longer_than_a_call_may_take() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    trouble(&fixture, "files/upload", 2, Trouble::TooManyWrites(0));
    trouble(&fixture, "files/get_metadata", 1, Trouble::TooManyRequests(1));
    let began = tokio::time::Instant::now();
    place(&plug, "a", b"bytes").await.expect("it waited");
    assert!(began.elapsed() >= Duration::from_secs(1), "Dropbox asked for a second");
    assert_eq!(count(&fixture, "files/upload"), 4, "the marker, two refused and one accepted");
    trouble(&fixture, "files/get_metadata", 1, Trouble::TooManyRequests(600));
    let fault = plug.look(&at("a")).await.expect_err("ten minutes are too long");
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert!(fault.retry_after_ms.is_some_and(|ms| ms > 500_000), "{fault:?}");
    // And all others wait, too.
    let calls = fixture.server.account().faults.calls.len();
    let fault = plug.look(&at("b")).await.expect_err("it is still too early");
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert_eq!(fixture.server.account().faults.calls.len(), calls, "nobody called");
}

#[tokio::test]
async fn files_that_are_ready_together_are_committed_in_one_call() {
    let fixture = Fixture::new();
    let plug = std::sync::Arc::new(connected(&fixture).await);
    fixture.server.account().faults.writes_max = Some(1);
    trouble(&fixture, "files/upload", 1, Trouble::Late(300));
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let plug = std::sync::Arc::clone(&plug);
            tokio::spawn(async move { place(&plug, &format!("many/{number}"), b"bytes").await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("it is placed");
    }
    assert_eq!(tree(&fixture).len(), 51);
    let commits =
        count(&fixture, "files/upload") + count(&fixture, "files/upload_session/finish_batch_v2");
    assert!(commits <= 12, "{commits} calls for 50 files");
}

#[tokio::test]
async fn files_that_go_together_are_deleted_in_few_calls_each_in_its_own_state() {
    let fixture = Fixture::new();
    let plug = std::sync::Arc::new(connected(&fixture).await);
    let mut tags = Vec::new();
    for number in 0..30 {
        tags.push(place(&plug, &format!("many/{number}"), b"bytes").await.expect("placed").tag);
    }
    write_as_user(&mut fixture.server.account(), "/Onitu/many/7", b"edited")
        .expect("it is written");
    fixture.server.account().faults.writes_max = Some(1);
    fixture.server.account().job_polls = Some(2);
    trouble(&fixture, "files/delete_v2", 1, Trouble::Late(300));
    let tasks: Vec<_> = tags
        .into_iter()
        .enumerate()
        .map(|(number, tag)| {
            let plug = std::sync::Arc::clone(&plug);
            tokio::spawn(async move { plug.remove(&at(&format!("many/{number}")), tag).await })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let removed = task.await.expect("no panic").map_err(|fault| fault.kind);
        assert_eq!(removed, if number == 7 { Err(FaultKind::Changed) } else { Ok(()) });
    }
    assert_eq!(tree(&fixture), [format!("{ROOT}/many"), format!("{ROOT}/many/7")]);
    let calls = count(&fixture, "files/delete_v2") + count(&fixture, "files/delete_batch");
    assert!(calls <= 6, "{calls} calls for 29 files");
}

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
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = watched => {}
    }
}

#[tokio::test]
async fn a_killed_upload_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let content = bytes(20 * MIB + 17);
    let plug = connected(&fixture).await;
    let (written, mut sink) = begun(&plug, "large", &content, 7).await;
    assert_eq!(written, 0);
    sink.write(content[..14 * MIB].to_vec().into()).await.expect("it is sent");
    // Its third block is on its way: wait for it as a crash would not.
    while fixture.server.account().faults.calls.iter().filter(|it| it.contains("append")).count()
        < 2
    {
        tokio::task::yield_now().await;
    }
    drop(sink);
    drop(plug);
    let plug = fixture.connect(true).await.expect("it is there");
    let (written, mut sink) = begun(&plug, "large", &content, 7).await;
    assert!(written >= 8 * MIB as u64 && written <= 12 * MIB as u64, "{written} bytes are there");
    let rest = usize::try_from(written).expect("small");
    sink.write(content[rest..].to_vec().into()).await.expect("it is sent");
    sink.place(file(&content), None).await.expect("it is whole");
    assert_eq!(read(&plug, "large").await.expect("it is there"), content);
    let left =
        std::fs::read_dir(fixture.home.path().join("token.json.uploads")).expect("it is there");
    assert_eq!(left.count(), 0, "nothing of it is remembered");
}

#[tokio::test]
async fn an_upload_that_dropbox_has_forgotten_begins_anew() {
    let fixture = Fixture::new();
    let content = bytes(10 * MIB);
    let plug = connected(&fixture).await;
    let (_, mut sink) = begun(&plug, "large", &content, 7).await;
    sink.write(content.clone().into()).await.expect("it is sent");
    fixture.server.account().sessions.expire();
    let fault = sink.place(file(&content), None).await.expect_err("there is nothing to finish");
    assert_ne!(fault.kind, FaultKind::Bug, "{fault}");
    let (written, mut sink) = begun(&plug, "large", &content, 7).await;
    assert_eq!(written, 0);
    sink.write(content.clone().into()).await.expect("it is sent");
    sink.place(file(&content), None).await.expect("it is whole");
}

#[tokio::test]
async fn a_block_whose_answer_was_lost_is_not_sent_twice() {
    let fixture = Fixture::new();
    let content = bytes(13 * MIB);
    let plug = connected(&fixture).await;
    trouble(&fixture, "files/upload_session/append_v2", 2, Trouble::LostAnswer);
    let (_, mut sink) = begun(&plug, "large", &content, 7).await;
    sink.write(content.clone().into()).await.expect("it is sent");
    sink.place(file(&content), None).await.expect("it is whole");
    assert_eq!(read(&plug, "large").await.expect("it is there"), content);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_made_again_blindly() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    trouble(&fixture, "files/upload", 1, Trouble::LostAnswer);
    let fault = place(&plug, "a", b"bytes").await.expect_err("nothing is known");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    // It was placed, and a user edits it: the next attempt leaves that alone.
    write_as_user(&mut fixture.server.account(), "/Onitu/a", b"edited").expect("it is written");
    let fault = place(&plug, "a", b"bytes").await.expect_err("something is there");
    assert_eq!(fault.kind, FaultKind::Changed);
    assert_eq!(read(&plug, "a").await.expect("it is there"), b"edited");
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_ended() {
    let fixture = Fixture::new();
    let content = bytes(300_000);
    let plug = connected(&fixture).await;
    place(&plug, "a", &content).await.expect("it is placed");
    trouble(&fixture, "files/download", 1, Trouble::CutOff(123_456));
    assert_eq!(read(&plug, "a").await.expect("it is there"), content);
    assert_eq!(count(&fixture, "files/download"), 2);
    trouble(&fixture, "files/download", 1, Trouble::Reset);
    assert_eq!(read(&plug, "a").await.expect("it is there"), content);
}

#[tokio::test]
async fn calls_that_only_ask_are_repeated_when_their_answer_is_lost() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    place(&plug, "a", b"bytes").await.expect("it is placed");
    trouble(&fixture, "files/get_metadata", 1, Trouble::Reset);
    trouble(&fixture, "files/get_metadata", 1, Trouble::Status(503));
    assert!(plug.look(&at("a")).await.expect("the third one is answered").is_some());
    trouble(&fixture, "files/get_metadata", 9, Trouble::Status(500));
    let fault = plug.look(&at("nothing")).await.expect_err("unknown is not absent");
    assert_eq!(fault.kind, FaultKind::Unavailable);
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
        user("after").expect("it is written");
        timeout(LIMIT, async { while !hints.take().await.paths.contains_key(&at("after")) {} })
            .await
            .expect("it is hinted at");
    };
    tokio::select! {
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
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        told = timeout(LIMIT, hints.take()) => {
            assert!(told.expect("in time").paths.contains_key(&at("early")));
        }
    }
}

#[tokio::test]
async fn dropbox_says_how_long_to_wait_before_it_is_asked_for_changes_again() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().backoff_s = Some(3_600);
    let hints = Hints::default();
    let watched = async {
        write_as_user(&mut fixture.server.account(), "/Onitu/a", b"bytes").expect("it is written");
        while count(&fixture, "files/list_folder/longpoll") == 0 {
            tokio::task::yield_now().await;
        }
        // Whoever needs to know doesn't wait for that.
        plug.settle().await.expect("it is told");
        assert!(hints.take().await.paths.contains_key(&at("a")));
        assert_eq!(count(&fixture, "files/list_folder/longpoll"), 1);
    };
    tokio::select! {
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        done = timeout(LIMIT, watched) => done.expect("in time"),
    }
}

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
async fn a_rename_over_something_is_left_to_the_engine() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let from = place(&plug, "from", b"bytes").await.expect("it is placed");
    let to = place(&plug, "to", b"other").await.expect("it is placed");
    let renamed = plug.rename(&at("from"), from.tag, &at("to"), Some(to.tag)).await;
    assert_eq!(renamed.map_err(|fault| fault.kind), Err(FaultKind::Unsupported));
    assert_eq!(read(&plug, "to").await.expect("it is there"), b"other");
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
async fn a_large_file_isnt_begun_where_there_is_no_room() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().tree.capacity = Some(1_000_000);
    let content = Content { size: 100 * MIB as u64, ..file(b"") };
    let fault = plug.write(&at("large"), &content, 7).await.map(drop).expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full);
}
