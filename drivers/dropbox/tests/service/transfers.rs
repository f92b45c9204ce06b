//! Bytes up and down: together, side by side, interrupted, damaged, and where there is no room.

use super::*;

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
async fn a_killed_upload_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let content = bytes(20 * MIB + 17);
    let plug = connected(&fixture).await;
    let (written, mut sink) = begun(&plug, "large", &content, 7).await;
    assert_eq!(written, 0);
    sink.write(content[..14 * MIB].to_vec().into()).await.expect("it is sent");
    let remembered = async {
        while remembered(&fixture) < 8 * MIB as u64 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, remembered).await.expect("two blocks arrive");
    drop(sink);
    drop(plug);
    let plug = fixture.connect(true).await.expect("it is there");
    let (written, mut sink) = begun(&plug, "large", &content, 7).await;
    assert!(written >= 8 * MIB as u64 && written <= 12 * MIB as u64, "{written} bytes are there");
    let rest = usize::try_from(written).expect("small");
    sink.write(content[rest..].to_vec().into()).await.expect("it is sent");
    sink.place(file(&content), None).await.expect("it is whole");
    assert_eq!(read(&plug, "large").await.expect("it is there"), content);
    let left = std::fs::read_dir(fixture.state_dir().join("uploads")).expect("it is there");
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
async fn a_large_file_isnt_begun_where_there_is_no_room() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().tree.capacity = Some(1_000_000);
    let content = Content { size: 100 * MIB as u64, ..file(b"") };
    let fault = plug.write(&at("large"), &content, 7).await.map(drop).expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full);
}

#[tokio::test]
async fn a_large_file_goes_up_in_blocks_side_by_side() {
    let fixture = Fixture::new();
    let content = bytes(22 * MIB + 5);
    let plug = connected(&fixture).await;
    trouble(&fixture, "files/upload_session/append_v2", 1, Trouble::Late(3_000));
    let (_, mut sink) = begun(&plug, "large", &content, 7).await;
    let sent = async {
        sink.write(content.clone().into()).await.expect("it is sent");
        sink.place(file(&content), None).await.expect("it is whole")
    };
    let ahead = async {
        while count(&fixture, "files/upload_session/append_v2") < 4 {
            tokio::task::yield_now().await;
        }
        // What comes after the first one has arrived, and isn't counted without it.
        assert_eq!(remembered(&fixture), 0, "the others waited for the first one");
    };
    tokio::join!(sent, ahead);
    assert_eq!(read(&plug, "large").await.expect("it is there"), content);
    // Six appends with the last one that closes, the start and the commit.
    assert_eq!(count(&fixture, "files/upload_session/append_v2"), 6);
    assert_eq!(count(&fixture, "files/upload_session/start"), 1);
    assert!(fixture.server.account().sessions.is_empty());
}

/// Places so many files at once, each with other bytes.
async fn place_many(plug: &std::sync::Arc<Dropbox>, many: usize) -> Vec<Result<State, Fault>> {
    let place_one = |number: usize| {
        let plug = std::sync::Arc::clone(plug);
        async move { place(&plug, &format!("many/{number}"), format!("{number}").as_bytes()).await }
    };
    let tasks: Vec<_> = (0..many).map(|number| tokio::spawn(place_one(number))).collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.expect("no panic"));
    }
    told
}

#[tokio::test]
async fn small_files_that_are_ready_together_go_up_in_few_calls() {
    let fixture = Fixture::new();
    let plug = std::sync::Arc::new(connected(&fixture).await);
    trouble(&fixture, "files/upload", 1, Trouble::Late(500));
    let before = fixture.server.account().faults.calls.len();
    for placed in place_many(&plug, 200).await {
        placed.expect("it is placed");
    }
    for number in [0, 99, 199] {
        let there = read(&plug, &format!("many/{number}")).await.expect("it is there");
        assert_eq!(there, number.to_string().as_bytes());
    }
    let uploads = ["upload", "upload_session/start", "upload_session/append_batch"];
    let calls: usize = uploads.iter().map(|it| count(&fixture, &format!("files/{it}"))).sum();
    assert!(calls <= 30, "{calls} calls to send 200 files");
    let all = fixture.server.account().faults.calls.len() - before;
    assert!(all <= 500, "{all} calls for 200 files, looks and all");
}

#[tokio::test]
async fn in_a_batch_each_file_meets_its_own_conflict_and_what_was_too_much_goes_again() {
    let fixture = Fixture::new();
    let plug = std::sync::Arc::new(connected(&fixture).await);
    write_as_user(&mut fixture.server.account(), "/Onitu/many/7", b"a user's").expect("written");
    fixture.server.account().faults.busy_entries = 5;
    trouble(&fixture, "files/upload", 1, Trouble::Late(500));
    for (number, placed) in place_many(&plug, 20).await.into_iter().enumerate() {
        let expected = if number == 7 { Err(FaultKind::Changed) } else { Ok(()) };
        assert_eq!(placed.map(drop).map_err(|fault| fault.kind), expected, "{number}");
    }
    assert_eq!(read(&plug, "many/7").await.expect("it is there"), b"a user's");
    assert_eq!(tree(&fixture).len(), 21);
    assert_eq!(fixture.server.account().faults.busy_entries, 0);
}

#[tokio::test]
async fn bytes_that_were_damaged_on_the_way_are_found_out_up_and_down() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    let content = bytes(5 * MIB);
    for (route, content) in
        [("files/upload", &b"small"[..]), ("files/upload_session/append_v2", &content)]
    {
        trouble(&fixture, route, 1, Trouble::Garbled);
        let (_, mut sink) = begun(&plug, "a", content, 7).await;
        let sent = match sink.write(content.to_vec().into()).await {
            Ok(()) => sink.place(file(content), None).await.map(drop),
            Err(fault) => Err(fault),
        };
        assert_eq!(sent.map_err(|fault| fault.kind), Err(FaultKind::Corrupt), "{route}");
        assert!(plug.look(&at("a")).await.expect("known").is_none(), "{route}");
    }
    place(&plug, "a", &content).await.expect("it is placed");
    trouble(&fixture, "files/download", 1, Trouble::Garbled);
    let fault = read(&plug, "a").await.expect_err("other bytes arrived");
    assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
    assert_eq!(read(&plug, "a").await.expect("it is there"), content);
}

#[tokio::test]
async fn a_full_dropbox_is_told_and_what_was_sent_is_kept_for_when_there_is_room() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    place(&plug, "a", b"bytes").await.expect("it is placed");
    let used = fixture.server.account().tree.used();
    fixture.server.account().tree.capacity = Some(used + 100);
    let fault = place(&plug, "b", &[7; 1_000]).await.expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full);
    assert!(fault.message.contains("make room"), "{fault}");
    let content = bytes(9 * MIB);
    let (_, mut sink) = begun(&plug, "large", &content, 7).await;
    sink.write(content.clone().into()).await.expect("it is sent");
    let fault = sink.place(file(&content), None).await.expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full);
    fixture.server.account().tree.capacity = None;
    let (written, sink) = begun(&plug, "large", &content, 7).await;
    assert_eq!(written, content.len() as u64, "all of it is there");
    sink.place(file(&content), None).await.expect("it is placed");
    assert_eq!(read(&plug, "large").await.expect("it is there"), content);
}
