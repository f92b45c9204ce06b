//! Two Onitu and one bucket.

use std::path::Path;
use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Hints, Plug};
use onitu_test_s3::Bucket;
use serde_json::json;
use tokio::time::timeout;

use super::{bucket, connect_with};
use crate::S3;

const LIMIT: Duration = Duration::from_mins(1);

async fn onitu(bucket: &Bucket, home: &Path) -> Result<S3, Fault> {
    connect_with(bucket, &json!({ "lease_s": 2, "poll_s": 3_600 }), Some(home)).await
}

fn refused(told: Result<S3, Fault>) -> Fault {
    let fault = told.map(drop).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("another Onitu") && fault.message.contains("`prefix`"));
    fault
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_onitu_waits_until_the_first_gives_no_more_signs() {
    for conditions in ["all", "none"] {
        let bucket = bucket(&json!({ "conditions": conditions }));
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = onitu(&bucket, one.path()).await.unwrap();
        let second = async {
            let mut locks = std::collections::BTreeSet::new();
            while locks.len() < 5 {
                refused(onitu(&bucket, other.path()).await);
                locks.insert(bucket.read(".onitu/lock").unwrap());
            }
        };
        tokio::select! {
            // The watch is set before anything is done.
            biased;
            end = first.watch(Hints::default()) => panic!("the first gave up: {end:?}"),
            done = timeout(LIMIT, second) => done.unwrap(),
        }
        // Its own next start has nothing to wait for.
        drop(first);
        drop(onitu(&bucket, one.path()).await.unwrap());
        let taken_over = async {
            while let Err(fault) = onitu(&bucket, other.path()).await {
                refused(Err(fault));
            }
        };
        timeout(LIMIT, taken_over).await.unwrap();
        refused(onitu(&bucket, one.path()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_lock_taken_over_stops() {
    let bucket = bucket(&json!({}));
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = onitu(&bucket, one.path()).await.unwrap();
    bucket.remove(".onitu/lock");
    drop(onitu(&bucket, other.path()).await.unwrap());
    let end = timeout(LIMIT, first.watch(Hints::default())).await.unwrap().unwrap_err();
    assert!(end.message.contains("another Onitu"), "{end}");
}
