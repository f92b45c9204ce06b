//! A large file that changes in one place: what is sent of it, and what the server copies.

use onitu_plug::{FaultKind, Plug};
use onitu_test_s3::Bucket;
use serde_json::{Value, json};

use super::{at, bucket, connect_with, pattern, place, read};

const PART: usize = 100_000;

fn in_parts() -> Value {
    json!({ "part_bytes": PART })
}

fn sent(bucket: &Bucket) -> u64 {
    bucket.bytes().get("PART").copied().unwrap_or(0)
}

fn copied(bucket: &Bucket) -> u64 {
    bucket.counts().get("PARTCOPY").copied().unwrap_or(0)
}

fn forget_counts(bucket: &Bucket) {
    bucket.set(&json!({ "counts": {}, "bytes": {} }));
}

/// With the sizes of real life: eight parts of 8 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_file_with_one_change_one_part_is_sent() {
    let (bucket, home) = (bucket(&json!({})), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &json!({}), Some(home.path())).await.unwrap();
    let mut bytes = pattern(64 << 20);
    let first = place(&plug, "film", &bytes, None).await.unwrap();
    // Another process: what is known is on the disk.
    let plug = connect_with(&bucket, &json!({}), Some(home.path())).await.unwrap();
    forget_counts(&bucket);
    bytes[20 << 20] ^= 1;
    let second = place(&plug, "film", &bytes, Some(first.tag)).await.unwrap();
    assert_eq!((sent(&bucket), copied(&bucket)), (8 << 20, 7));
    assert!(bucket.read("film").unwrap() == bytes);
    // It is known of the new object too; a last part that grew is another one.
    forget_counts(&bucket);
    bytes.extend_from_slice(b"the end");
    place(&plug, "film", &bytes, Some(second.tag)).await.unwrap();
    assert_eq!((sent(&bucket), copied(&bucket)), (7, 8));
    assert!(bucket.read("film").unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_got_shorter_or_shifted_is_whole() {
    let (bucket, home) = (bucket(&json!({})), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &in_parts(), Some(home.path())).await.unwrap();
    let bytes = pattern(5 * PART + 17);
    let mut state = place(&plug, "file", &bytes, None).await.unwrap();
    let shifted = [b"x", &bytes[..]].concat();
    for next in [&bytes[..3 * PART + 5], &shifted, &bytes, &bytes] {
        state = place(&plug, "file", next, Some(state.tag)).await.unwrap();
        assert_eq!(read(&plug, "file", &state).await.unwrap(), next);
    }
}

/// Somebody else has replaced the object; what is known is of another one.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_an_object_that_somebody_else_has_changed() {
    let (bucket, home) = (bucket(&json!({})), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &in_parts(), Some(home.path())).await.unwrap();
    let bytes = pattern(4 * PART);
    let first = place(&plug, "file", &bytes, None).await.unwrap();
    bucket.write("file", &vec![7; 4 * PART]);
    let refused = place(&plug, "file", &bytes, Some(first.tag)).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Changed);
    let theirs = plug.look(&at("file")).await.unwrap().unwrap();
    forget_counts(&bucket);
    let state = place(&plug, "file", &bytes, Some(theirs.tag)).await.unwrap();
    assert_eq!(sent(&bucket), 4 * PART as u64);
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
}

/// Where nobody could tell whether the object is still the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_is_sent_all_parts() {
    let (bucket, home) = (bucket(&json!({ "conditions": "none" })), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &in_parts(), Some(home.path())).await.unwrap();
    let bytes = pattern(4 * PART);
    let first = place(&plug, "file", &bytes, None).await.unwrap();
    forget_counts(&bucket);
    let state = place(&plug, "file", &bytes, Some(first.tag)).await.unwrap();
    assert_eq!(sent(&bucket), 4 * PART as u64);
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_copies_no_parts_is_sent_all_of_them() {
    let (bucket, home) = (bucket(&json!({})), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &in_parts(), Some(home.path())).await.unwrap();
    let bytes = pattern(4 * PART);
    let first = place(&plug, "file", &bytes, None).await.unwrap();
    forget_counts(&bucket);
    bucket.refuse("PARTCOPY", "file", 99, 501, "NotImplemented");
    let state = place(&plug, "file", &bytes, Some(first.tag)).await.unwrap();
    assert_eq!(sent(&bucket), 4 * PART as u64);
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_what_is_known_costs_only_the_saving() {
    let (bucket, home) = (bucket(&json!({})), tempfile::tempdir().unwrap());
    let plug = connect_with(&bucket, &in_parts(), Some(home.path())).await.unwrap();
    let bytes = pattern(4 * PART);
    let first = place(&plug, "file", &bytes, None).await.unwrap();
    std::fs::remove_dir_all(home.path().join("parts")).unwrap();
    forget_counts(&bucket);
    let second = place(&plug, "file", &bytes, Some(first.tag)).await.unwrap();
    assert_eq!((sent(&bucket), copied(&bucket)), (4 * PART as u64, 0));
    forget_counts(&bucket);
    let third = place(&plug, "file", &bytes, Some(second.tag)).await.unwrap();
    assert_eq!((sent(&bucket), copied(&bucket)), (0, 4));
    assert_eq!(read(&plug, "file", &third).await.unwrap(), bytes);
}
