//! What the simulation asks of the store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;

/// A store whose operations take ten milliseconds before and ten after they take effect.
fn slow() -> MemoryStore {
    let store = MemoryStore::new();
    store.set_delay(|| (Duration::from_millis(10), Duration::from_millis(10)));
    store
}

/// Gives up a commit of two shards after `limit`, and counts what of it took effect.
async fn give_up_after(store: &MemoryStore, limit: Duration) -> usize {
    let both = commits(&[(path("a/x"), Some(record(1))), (path("c/x"), Some(record(1)))]);
    assert_eq!(both.len(), 2);
    let given_up = tokio::time::timeout(limit, store.commit(both)).await;
    assert!(given_up.is_err());
    store.snapshot().len()
}

#[tokio::test]
async fn a_commit_that_is_given_up_took_effect_or_not_but_never_half() {
    tokio::time::pause();
    assert_eq!(give_up_after(&slow(), Duration::from_millis(5)).await, 0);
    assert_eq!(give_up_after(&slow(), Duration::from_millis(15)).await, 1);
    assert_eq!(give_up_after(&slow(), Duration::from_millis(25)).await, 1);
    assert_eq!(give_up_after(&slow(), Duration::from_millis(35)).await, 2);
}

#[tokio::test]
async fn an_unavailable_store_answers_nothing_and_keeps_what_it_has() {
    let store = MemoryStore::new();
    write(&store, &[(path("a"), Some(record(1)))]).await;
    store.set_available(false);
    assert!(matches!(store.get(&[path("a")]).await, Err(StoreError::Unavailable(_))));
    let again = commits(&[(path("a"), Some(record(2)))]);
    assert!(matches!(store.commit(again).await, Err(StoreError::Unavailable(_))));
    assert!(store.incarnation().await.is_err() && store.streams().await.is_err());
    store.set_available(true);
    assert_eq!(store.get(&[path("a")]).await.unwrap(), [Some(record(1))]);
}

/// Whether the next operation finds its connection broken, as with Redis.
async fn is_broken_once(store: &MemoryStore) -> bool {
    matches!(store.incarnation().await, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_restart_fails_what_is_under_way_and_keeps_what_was_done() {
    tokio::time::pause();
    let store = slow();
    let run = store.incarnation().await.unwrap().run;
    let writer = store.clone();
    let commit = commits(&[(path("a"), Some(record(1)))]);
    let write = tokio::spawn(async move { writer.commit(commit).await });
    tokio::time::sleep(Duration::from_millis(15)).await;
    store.restart();
    assert!(matches!(write.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(is_broken_once(&store).await);
    assert_eq!(store.get(&[path("a")]).await.unwrap(), [Some(record(1))]);
    assert_ne!(store.incarnation().await.unwrap().run, run);
}

#[tokio::test]
async fn a_restart_can_lose_the_last_writes() {
    let store = MemoryStore::new();
    store.set_up().await.unwrap();
    write(&store, &[(path("a"), Some(record(1)))]).await;
    let before = store.incarnation().await.unwrap();
    let checkpoint = store.checkpoint();
    write(&store, &[(path("a"), Some(record(2)))]).await;
    store.restart_at(checkpoint);
    assert!(is_broken_once(&store).await);
    assert_eq!(store.get(&[path("a")]).await.unwrap(), [Some(record(1))]);
    let after = store.incarnation().await.unwrap();
    assert_eq!(after.generation, before.generation);
    assert_ne!(after.run, before.run);
}

#[tokio::test]
async fn flushing_loses_everything_and_shows_in_the_incarnation() {
    let store = MemoryStore::new();
    let first = store.set_up().await.unwrap();
    write(&store, &[(path("a"), Some(record(1)))]).await;
    store.flush_all();
    assert_eq!(store.snapshot(), BTreeMap::new());
    assert_eq!(store.incarnation().await.unwrap().generation, None);
    assert_ne!(store.set_up().await.unwrap(), first);
}

#[tokio::test]
async fn each_commit_of_a_call_is_delayed_by_itself() {
    tokio::time::pause();
    let store = MemoryStore::new();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    store.set_delay(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        (Duration::ZERO, Duration::ZERO)
    });
    let both = commits(&[(path("a/x"), Some(record(1))), (path("c/x"), Some(record(1)))]);
    store.commit(both).await.unwrap();
    store.get(&[]).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
