//! What only a real server shows: restarts, stalls, encodings, others at work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::server::{Server, until};
use super::*;

/// A commit fails rather than waits; this is well below what a person calls a hang.
const FAST: Duration = Duration::from_millis(500);

fn files(directory: &str, count: u64, revision: u64) -> Vec<(Path, Option<Record>)> {
    let name = |number| path(&format!("{directory}/f{number}"));
    (0..count).map(|number| (name(number), Some(record(revision)))).collect()
}

#[tokio::test]
async fn buckets_stay_listpacks_and_nothing_is_left_of_a_directory_that_is_gone() {
    let server = Server::start();
    let store = server.store().await;
    let all = files("big", 3000, 1);
    for batch in all.chunks(500) {
        write(&store, batch).await;
    }
    let keys: Vec<String> = server.ask(&["KEYS", "{??}:d:*"]).await;
    assert!((12..=24).contains(&keys.len()), "{} buckets for 3,000 names", keys.len());
    let mut names = 0;
    for key in &keys {
        let encoding: String = server.ask(&["OBJECT", "ENCODING", key]).await;
        let length: u64 = server.ask(&["HLEN", key]).await;
        assert_eq!(encoding, "listpack", "{key:?} with {length} names");
        assert!(length <= 400, "{length} names in one bucket");
        names += length;
    }
    assert_eq!(names, 3000);
    let gone: Vec<_> = all.iter().map(|(path, _)| (path.clone(), None)).collect();
    for batch in gone.chunks(700) {
        write(&store, batch).await;
    }
    assert_eq!(server.ask::<Vec<String>>(&["KEYS", "*"]).await, Vec::<String>::new());
}

#[tokio::test]
async fn readers_never_miss_a_name_while_its_directory_is_split_and_joined() {
    let server = Server::start();
    let (store, reader) = (server.store().await, server.store().await);
    let stay = files("d", 100, 1);
    let paths: Vec<Path> = stay.iter().map(|(path, _)| path.clone()).collect();
    write(&store, &stay).await;
    let done = AtomicBool::new(false);
    let writing = async {
        for round in 0..3 {
            let come: Vec<_> = (0..2000)
                .map(|number| (path(&format!("d/{round}-{number}")), Some(record(1))))
                .collect();
            for batch in come.chunks(150) {
                write(&store, batch).await;
            }
            let go: Vec<_> = come.iter().map(|(path, _)| (path.clone(), None)).collect();
            for batch in go.chunks(400) {
                write(&store, batch).await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    let reading = async {
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) {
            let got = reader.get(&paths).await.unwrap();
            assert!(got.iter().all(Option::is_some), "get missed a name");
            let listed = reader.list(&[path("d"), path("none")]).await.unwrap();
            assert!(paths.iter().all(|path| listed[0].contains_key(path.name())), "list missed");
            assert!(directories(&reader).await.contains(&path("d")));
            rounds += 1;
        }
        rounds
    };
    let ((), rounds) = tokio::join!(writing, reading);
    assert!(rounds > 10, "only {rounds} rounds of reading");
}

#[tokio::test]
async fn a_large_directory_is_told_once_even_if_its_first_bucket_is_empty() {
    let server = Server::start();
    let store = server.store().await;
    write(&store, &files("big", 3000, 1)).await;
    assert_eq!(directories(&store).await, [path("big")]);
    let first = format!("{{{}}}:d:big", Shard::of_directory("big"));
    server.ask::<()>(&["DEL", &first]).await;
    assert!(directories(&store).await.contains(&path("big")));
}

#[tokio::test]
async fn flushall_is_seen_as_another_incarnation() {
    let server = Server::start();
    let store = server.store().await;
    let generation = store.set_up().await.unwrap();
    let before = store.incarnation().await.unwrap();
    server.ask::<()>(&["FLUSHALL"]).await;
    let after = store.incarnation().await.unwrap();
    assert_eq!((after.generation, &after.run), (None, &before.run));
    assert_ne!(store.set_up().await.unwrap(), generation);
}

#[tokio::test]
async fn a_restart_of_the_server_fails_commands_fast_and_then_mends_itself() {
    let mut server = Server::start();
    let store = server.store().await;
    store.set_up().await.unwrap();
    write(&store, &[(path("d/x"), Some(record(1)))]).await;
    let before = store.incarnation().await.unwrap();
    server.kill();
    for _ in 0..20 {
        let since = Instant::now();
        let answer = store.get(&[path("d/x")]).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        assert!(since.elapsed() < FAST, "a command waited for {:?}", since.elapsed());
    }
    server.start_again();
    let mut tries = 0;
    until("the same store works again", || {
        tries += 1;
        async { store.streams().await.is_ok() }
    })
    .await;
    assert!(tries < 2000, "{tries} tries");
    assert_eq!(store.get(&[path("d/x")]).await.unwrap(), [Some(record(1))]);
    let after = store.incarnation().await.unwrap();
    assert_eq!(after.generation, before.generation);
    assert_ne!(after.run, before.run);
    // The bounds that keep buckets small are set again, too.
    let bound: Vec<String> = server.ask(&["CONFIG", "GET", "hash-max-listpack-value"]).await;
    assert_eq!(bound[1], "512");
}

/// Writes one revision after the other into `names` of a directory, with as many entries counted,
/// until the server fails it.
async fn write_until_it_fails(store: &RedisStore, names: u64) {
    for revision in 1.. {
        let mut commits = commits(&files("d", names, revision));
        commits[0].1.streams.insert(ServiceId(1), (1, revision));
        commits[0].1.counts.entries = 1;
        if store.commit(commits).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_when_the_server_is_killed() {
    let mut server = Server::start();
    let store = server.store().await;
    store.set_up().await.unwrap();
    for round in 1..=4u64 {
        let before = store.counts().await.unwrap().entries;
        let writing = write_until_it_fails(&store, 300);
        let killing = async {
            until("some are written", || async {
                store.counts().await.is_ok_and(|counts| counts.entries > before + round)
            })
            .await;
            server.kill();
        };
        tokio::join!(writing, killing);
        server.start_again();
        until("it is back", || async { store.streams().await.is_ok() }).await;
        let revision =
            store.streams().await.unwrap()[&ServiceId(1)].last.iter().copied().max().unwrap();
        let listed = &store.list(&[path("d")]).await.unwrap()[0];
        assert_eq!(listed.len(), 300);
        assert!(listed.values().all(|record| record.revision == revision), "half a commit");
    }
}

#[tokio::test]
async fn what_was_given_up_never_overtakes_what_came_later() {
    let server = Server::start();
    let store = server.store().await;
    let commit = |revision| {
        let mut commits = commits(&[(path("d/x"), Some(record(revision)))]);
        commits[0].1.streams.insert(ServiceId(1), (1, revision));
        commits[0].1.counts.entries = 1;
        commits
    };
    let at = Shard::of_directory("d").index();
    store.commit(commit(1)).await.unwrap();
    server.signal("STOP");
    let since = Instant::now();
    let answer = store.commit(commit(2)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(since.elapsed() < Duration::from_secs(4), "gave up after {:?}", since.elapsed());
    server.signal("CONT");
    until("it answers", || async { store.streams().await.is_ok() }).await;
    // What is read now is the truth: nothing that is still under way can change it.
    let reached = store.streams().await.unwrap()[&ServiceId(1)].last[at];
    store.commit(commit(reached + 1)).await.unwrap();
    for _ in 0..20 {
        let stream = store.streams().await.unwrap()[&ServiceId(1)];
        assert_eq!(stream.last[at], reached + 1);
        assert_eq!(store.counts().await.unwrap().entries, reached + 1);
        assert_eq!(store.get(&[path("d/x")]).await.unwrap()[0], Some(record(reached + 1)));
    }
}

#[tokio::test]
async fn a_newer_layout_is_refused_politely() {
    let server = Server::start();
    let store = server.store().await;
    store.set_up().await.unwrap();
    server.ask::<()>(&["HSET", "meta", "layout", "5"]).await;
    let Err(error) = RedisStore::connect(&server.url()).await else { panic!("it connected") };
    assert!(matches!(error, StoreError::Newer { found: 5, known: 4 }));
    assert!(error.to_string().ends_with("update"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_never_taken_for_absent() {
    let server = Server::start();
    let store = server.store().await;
    let key = format!("{{{}}}:d:d", Shard::of_directory("d"));
    server.ask::<()>(&["HSET", &key, "x", "\u{3}"]).await;
    let Err(StoreError::Damaged { key, .. }) = store.get(&[path("d/x")]).await else {
        panic!("a damaged record was read")
    };
    assert_eq!(key, "d/x");
    assert!(matches!(store.list(&[path("d")]).await, Err(StoreError::Damaged { .. })));
    let key = format!("{{{}}}:d:e", Shard::of_directory("e"));
    server.ask::<()>(&["SET", &key, "x"]).await;
    assert!(matches!(store.get(&[path("e/x")]).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_missing_server_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("redis+unix://{}/nobody", directory.path().display());
    let since = Instant::now();
    let answer = RedisStore::connect(&url).await;
    assert!(matches!(answer.err(), Some(StoreError::Unavailable(_))));
    assert!(since.elapsed() < FAST);
    assert!(RedisStore::connect("not a url").await.is_err());
}
