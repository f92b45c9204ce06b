//! Changes that a queue tells of, and what happens when it doesn't.

use std::time::Duration;

use onitu_plug::{Hints, Path, Plug};
use onitu_test_s3::{Bucket, Fresh};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{at, bucket, connect, place};
use crate::S3;

const LIMIT: Duration = Duration::from_mins(1);

/// A bucket with a queue, and the driver that is connected to both and hardly ever lists.
async fn heard(differing: Value) -> (Fresh, S3) {
    let bucket = bucket(&json!({ "queue": true }));
    let mut options = json!({ "queue": bucket.queue(), "poll_s": 3_600 });
    options.as_object_mut().unwrap().extend(differing.as_object().unwrap().clone());
    let plug = connect(&bucket, &options).await.unwrap();
    (bucket, plug)
}

/// Does something while the driver watches.
async fn watched<T>(plug: &S3, hints: &Hints, work: impl Future<Output = T>) -> T {
    tokio::select! {
        // It watches before anything is done.
        biased;
        end = plug.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
        done = timeout(LIMIT, work) => done.expect("nothing was heard in time"),
    }
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The paths told of, until the one that is waited for.
async fn paths(hints: &Hints, last: &str) -> Vec<Path> {
    let mut told = Vec::new();
    while !told.contains(&at(last)) {
        told.extend(hints.take().await.paths.into_keys());
    }
    told
}

/// What is shown, as soon as it has all of the words.
async fn notice(hints: &Hints, words: &[&str]) {
    loop {
        if let Some(Some(text)) = hints.take().await.notice
            && words.iter().all(|word| text.contains(word))
        {
            return;
        }
    }
}

fn lists(bucket: &Bucket) -> u64 {
    bucket.counts().get("LIST").copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_heard_from_the_queue_without_a_listing() {
    let (bucket, plug) = heard(json!({ "prefix": "in a/part" })).await;
    let hints = Hints::default();
    watched(&plug, &hints, async {
        plug.settle().await.unwrap();
        bucket.set(&json!({ "counts": {} }));
        bucket.write("in a/part/über all/a b+c", b"bytes");
        let mut told = paths(&hints, "über all/a b+c").await;
        told.sort();
        assert_eq!(told, [at("über all"), at("über all/a b+c")]);
        bucket.remove("in a/part/über all/a b+c");
        assert!(paths(&hints, "über all/a b+c").await.contains(&at("über all")));
        bucket.write("elsewhere", b"bytes");
        bucket.write("in a/part/.onitu/trash/x", b"bytes");
        bucket.write("in a/part/last", b"bytes");
        assert_eq!(paths(&hints, "last").await, [at("last")]);
        until(|| bucket.queued() == 0).await;
    })
    .await;
    assert_eq!(lists(&bucket), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_changed_ourselves_is_not_told() {
    let (bucket, plug) = heard(json!({})).await;
    bucket.unplug();
    let event = |name: &str, key: &str, etag: Option<String>| {
        let object = json!({ "key": key, "size": 5, "eTag": etag });
        let about = json!({ "bucket": { "name": bucket.name() }, "object": object });
        bucket.send(&json!({ "Records": [{ "eventName": name, "s3": about }] }).to_string());
    };
    let hints = Hints::default();
    let told = watched(&plug, &hints, async {
        plug.settle().await.unwrap();
        place(&plug, "d/made", b"bytes", None).await.unwrap();
        let gone = place(&plug, "d/gone", b"bytes", None).await.unwrap();
        plug.remove(&at("d/gone"), gone.tag).await.unwrap();
        let made = plug.bucket().requests.head("d/made").await.unwrap().unwrap();
        event("ObjectCreated:Put", "d/made", Some(made.etag));
        event("ObjectCreated:Put", "d/", None);
        event("ObjectRemoved:Delete", "d/gone", None);
        until(|| bucket.queued() == 0).await;
        event("ObjectCreated:Put", "d/made", Some("another".to_owned()));
        paths(&hints, "d/made").await
    });
    assert_eq!(Box::pin(told).await, [at("d/made")]);
}

/// It is what we left there, and yet it was something else in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_made_as_it_was_before_is_told() {
    let (bucket, plug) = heard(json!({})).await;
    let hints = Hints::default();
    let told = watched(&plug, &hints, async {
        plug.settle().await.unwrap();
        place(&plug, "file", b"bytes", None).await.unwrap();
        until(|| bucket.queued() == 0).await;
        for bytes in [b"other", b"bytes"] {
            bucket.write("file", bytes);
            paths(&hints, "file").await;
            until(|| bucket.queued() == 0).await;
        }
    });
    Box::pin(told).await;
}

/// What a process that died had heard and not told, and what the queue lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_loses_is_found_by_a_listing_and_said() {
    let (bucket, plug) = heard(json!({})).await;
    let hints = Hints::default();
    watched(&plug, &hints, async {
        // The driver's own changes were heard of when it connected.
        until(|| bucket.queued() == 0).await;
        plug.settle().await.unwrap();
        bucket.unplug();
        bucket.write("lost", b"bytes");
        plug.settle().await.unwrap();
        notice(&hints, &["s3:ObjectCreated:*", "listing"]).await;
        // It is heard again, and the notice is taken back.
        let event = json!({ "Records": [{
            "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": bucket.name() }, "object": { "key": "heard" } },
        }] });
        bucket.send(&event.to_string());
        while hints.take().await.notice != Some(None) {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cant_be_read_is_told_with_the_remedy_and_listings_go_on() {
    let missing = bucket(&json!({}));
    let denied = bucket(&json!({ "queue": true }));
    denied.set(&json!({ "faults": [
        { "kind": "ReceiveMessage", "times": 99, "status": 403, "code": "AccessDenied" }
    ] }));
    for (bucket, words) in [
        (&missing, ["create the queue", "`queue`", "listing"]),
        (&denied, ["`sqs:ReceiveMessage`", "credentials", "listing"]),
    ] {
        let options = json!({ "queue": bucket.queue(), "poll_s": 1 });
        let plug = connect(bucket, &options).await.unwrap();
        let hints = Hints::default();
        watched(&plug, &hints, async {
            notice(&hints, &words).await;
            bucket.write("found", b"bytes");
            paths(&hints, "found").await;
        })
        .await;
    }
    let broken = connect(&missing, &json!({ "queue": "my-queue" })).await.map(drop).unwrap_err();
    assert!(broken.message.contains("https://sqs."), "{broken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_messages_stay_in_their_queue() {
    let (theirs, bucket) = (bucket(&json!({ "queue": true })), bucket(&json!({})));
    // The test that S3 sends when notifications are switched on is nobody's.
    theirs.send("an order for shoes");
    theirs.write("news", b"of another bucket");
    assert_eq!(theirs.queued(), 3);
    let options = json!({ "queue": theirs.queue(), "poll_s": 3_600 });
    let plug = connect(&bucket, &options).await.unwrap();
    let hints = Hints::default();
    watched(&plug, &hints, notice(&hints, &["a queue of its own"])).await;
    assert_eq!(theirs.queued(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_is_dropped_from_our_own_queue() {
    let (bucket, plug) = heard(json!({})).await;
    let hints = Hints::default();
    bucket.write("heard", b"bytes");
    bucket.send("broken");
    watched(&plug, &hints, async {
        paths(&hints, "heard").await;
        until(|| bucket.queued() == 0).await;
    })
    .await;
}
