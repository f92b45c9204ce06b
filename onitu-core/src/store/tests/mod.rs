//! One contract, kept by both stores, and what only one of them can show.

mod contract;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
pub mod server;

use super::*;
use crate::{Content, Tag};

/// Runs each function of [`contract`] against both stores.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::contract::$name(&super::MemoryStore::new()).await;
            })*
        }
        #[cfg(feature = "redis")]
        mod in_redis {
            $(#[tokio::test]
            async fn $name() {
                let server = super::server::Server::start();
                super::contract::$name(&server.store().await).await;
            })*
        }
    };
}

contract!(
    what_was_committed_is_read_in_the_order_asked_for,
    a_forgotten_path_is_gone_and_its_directory_with_the_last,
    tombstones_are_listed,
    names_of_any_bytes_are_kept_apart,
    a_directory_grows_to_a_thousand_names_and_shrinks_again,
    a_directory_grows_to_five_thousand_names_at_once_and_shrinks_again,
    one_call_may_hold_many_commits_of_one_directory,
    every_directory_is_told_at_least_once,
    streams_are_told_by_shard_and_the_newest_epoch_counts,
    pending_work_is_a_set_that_can_be_forgotten,
    what_can_not_be_kept_is_counted_apart_and_forgotten_together,
    problems_are_ordered_limited_and_end,
    conflicts_are_kept_until_ended,
    counts_are_sums_over_all_shards,
    a_store_is_set_up_once,
    set_up_clears_what_was_written_into_a_lost_store,
    the_registry_and_reports_are_read_back,
    what_is_ignored_is_read_back_when_it_is_another_version,
    a_service_keeps_its_number,
);

pub fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

pub fn record(revision: u64) -> Record {
    let mut record = Record {
        revision,
        gone: false,
        content: Content { size: revision * 100, ..Content::DIRECTORY },
        holders: Vec::new(),
        moved: None,
        ancestors: Vec::new(),
        origin: None,
        leaving: Vec::new(),
    };
    record.content.kind = crate::Kind::File;
    record.set_holder(ServiceId(1), revision, Tag::of(b"x"));
    record
}

/// One commit a shard that writes `records`.
pub fn commits(records: &[(Path, Option<Record>)]) -> Vec<(Shard, Commit)> {
    let mut by_shard: BTreeMap<Shard, Commit> = BTreeMap::new();
    for (path, record) in records {
        let commit = by_shard.entry(Shard::of(path)).or_default();
        commit.records.insert(path.clone(), record.clone());
    }
    by_shard.into_iter().collect()
}

pub async fn write(store: &dyn Store, records: &[(Path, Option<Record>)]) {
    store.commit(commits(records)).await.unwrap();
}

/// A commit in the shard of `directory` that does what `fill` says.
pub async fn change(store: &dyn Store, directory: &str, fill: impl FnOnce(&mut Commit)) {
    let mut commit = Commit::default();
    fill(&mut commit);
    store.commit(vec![(Shard::of_directory(directory), commit)]).await.unwrap();
}

pub async fn directories(store: &dyn Store) -> Vec<Path> {
    let mut all = Vec::new();
    let mut from = Some(Cursor::default());
    while let Some(cursor) = from {
        let (page, next) = store.directories(&cursor).await.unwrap();
        all.extend(page);
        from = next;
    }
    all
}
