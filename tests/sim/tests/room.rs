//! Rules that leave a choice, services with a quota, and orders that come to nothing.

use std::time::Duration;

use onitu_core::store::Store;
use onitu_core::{Record, ServiceId};
use onitu_driver_memory::Faults;

#[allow(dead_code, reason = "other tests need the rest")]
mod calm;
use calm::{Calm, path};

#[tokio::test(start_paused = true)]
async fn a_copy_that_failed_is_still_due_where_its_own_bytes_had_taken_the_room() {
    let mut calm = Calm::with(3, |service| {
        if service.id == ServiceId(2) {
            service.options.insert("quota_bytes".to_owned(), 100.into());
        }
    })
    .await;
    calm.govern("keep 2 copies of everything on any of s1, s2, s3").await;
    // Of its 100 bytes 40 are left while the order is under way: too few for what it brings.
    calm.services[1].set_capacity(Some(10));
    calm.services[0].write(&path("x"), "x".repeat(60), false).expect("written");
    calm.report(1).await;
    calm.services[1].set_capacity(None);
    calm.wait().await;
    let has = |number: usize| calm.services[number].thing(&path("x")).is_some();
    assert!(has(1), "it came with a later try");
    assert!(!has(2), "two copies are enough");
}

/// Returns when the record of `x` is as wanted.
async fn recorded(calm: &Calm, is_wanted: impl Fn(Option<&Record>) -> bool) {
    let reached = async {
        while !is_wanted(calm.record("x").await.as_ref()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), reached).await.expect("recorded so");
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_it_was_moved_away_counts_as_nothing() {
    let mut calm = Calm::new(2).await;
    calm.govern("move everything to s2").await;
    calm.services[1].misbehave(Faults { delay_ms_max: 2_000, ..Faults::default() });
    calm.services[0].write(&path("x"), "x", false).expect("written");
    recorded(&calm, |record| record.is_some()).await;
    calm.services[0].remove(&path("x"));
    // Only the order under way could bring it back; its driver dies.
    recorded(&calm, |record| record.is_some_and(|record| record.holders.is_empty())).await;
    calm.restart(1).await;
    calm.services[1].behave();
    calm.report(1).await;
    calm.wait().await;
    assert_eq!(calm.record("x").await, None);
    assert_eq!(calm.store.counts().await.expect("a store").entries, 0);
}
