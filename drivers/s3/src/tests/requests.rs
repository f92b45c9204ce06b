//! How many requests things take: each of them costs time and money.

use onitu_plug::{Hints, Plug};
use serde_json::json;

use super::{at, bucket, connect, list, look, place, usual};

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_takes_one_request_for_a_thousand_objects_and_none_for_each() {
    let (bucket, plug) = usual().await;
    for number in 0..2_050 {
        bucket.write(&format!("many/{number:04}"), b"");
    }
    bucket.set(&json!({ "counts": {} }));
    assert_eq!(list(&plug, "many").await.unwrap().len(), 2_050);
    assert_eq!(json!(bucket.counts()), json!({ "LIST": 3 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_takes_three_requests_up_and_two_down() {
    let (bucket, plug) = usual().await;
    place(&plug, "d/first", b"bytes", None).await.unwrap();
    bucket.set(&json!({ "counts": {} }));
    // As the runtime does: it looks, and then places.
    assert_eq!(plug.look(&at("d/file")).await.unwrap(), None);
    let state = place(&plug, "d/file", b"bytes", None).await.unwrap();
    assert_eq!(json!(bucket.counts()), json!({ "HEAD": 1, "LIST": 1, "PUT": 1 }));
    bucket.set(&json!({ "counts": {} }));
    super::read(&plug, "d/file", &state).await.unwrap();
    assert_eq!(json!(bucket.counts()), json!({ "GET": 1, "HEAD": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_placed_ourselves_is_not_hinted_at_and_the_trash_is_not_listed() {
    let bucket = bucket(&json!({}));
    // On a slow machine a listing that nobody asked for would be counted too.
    let plug = connect(&bucket, &json!({ "poll_s": 3_600 })).await.unwrap();
    for number in 0..1_200 {
        bucket.write(&format!(".onitu/trash/{number:04}"), b"");
    }
    bucket.write("!", b"before the trash");
    let hints = Hints::default();
    let watched = async {
        plug.settle().await.unwrap();
        let file = place(&plug, "d/file", b"bytes", None).await.unwrap();
        bucket.set(&json!({ "counts": {} }));
        plug.settle().await.unwrap();
        assert_eq!(json!(bucket.counts()), json!({ "LIST": 2 }));
        plug.remove(&at("d/file"), file.tag).await.unwrap();
        plug.settle().await.unwrap();
        bucket.write("users", b"bytes");
        plug.settle().await.unwrap();
        hints.take().await.paths.into_keys().collect::<Vec<_>>()
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        end = plug.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
        heard = watched => assert_eq!(heard, [at("users")]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_computed_the_checksum_itself() {
    let (bucket, plug) = usual().await;
    let placed = place(&plug, "file", b"bytes", None).await.unwrap();
    assert_eq!(look(&plug, "file").await.content.checksum, placed.content.checksum);
    bucket.write("file", b"other");
    assert_eq!(look(&plug, "file").await.content.checksum, None);
}
