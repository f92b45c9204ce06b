//! Objects in an archive: held, restored on demand, never lost.

use onitu_plug::{FaultKind, Plug};
use serde_json::json;

use super::{at, bucket, connect, list, look, place, read, usual};

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_object_is_held_and_asked_for_when_it_is_read() {
    let bucket = bucket(&json!({}));
    let plug =
        connect(&bucket, &json!({ "restore_tier": "Bulk", "restore_days": 3 })).await.unwrap();
    bucket.write_class("cold", b"bytes", "GLACIER");
    bucket.write("warm", b"bytes");
    bucket.set(&json!({ "frozen": true }));
    assert_eq!(list(&plug, "").await.unwrap(), ["cold", "warm"]);
    let state = look(&plug, "cold").await;
    for _ in 0..3 {
        let fault = plug.read(&at("cold"), state.tag, 0).await.map(drop).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
        for word in ["archive", "3 days", "up to two days"] {
            assert!(fault.message.contains(word), "{fault}");
        }
        assert!(fault.retry_after_ms.is_some());
        // Nothing else waits for it.
        let warm = look(&plug, "warm").await;
        assert_eq!(read(&plug, "warm", &warm).await.unwrap(), b"bytes");
    }
    assert_eq!(bucket.counts().get("RESTORE"), Some(&1), "it was asked for more than once");
    bucket.set(&json!({ "frozen": false }));
    assert_eq!(read(&plug, "cold", &state).await.unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_restore_is_told_which_right_is_missing() {
    let (bucket, plug) = usual().await;
    bucket.write_class("cold", b"bytes", "DEEP_ARCHIVE");
    bucket.refuse("RESTORE", "cold", 1, 403, "AccessDenied");
    let state = look(&plug, "cold").await;
    let fault = plug.read(&at("cold"), state.tag, 0).await.map(drop).unwrap_err();
    assert!(fault.message.contains("`s3:RestoreObject`"), "{fault}");
}

/// It can't be copied to the trash, so it is restored first.
#[tokio::test(flavor = "multi_thread")]
async fn an_archived_object_isnt_removed_or_replaced_before_it_can_be_kept() {
    let (bucket, plug) = usual().await;
    bucket.write_class("cold", b"bytes", "GLACIER");
    bucket.set(&json!({ "frozen": true }));
    let state = look(&plug, "cold").await;
    let removed = plug.remove(&at("cold"), state.tag).await.unwrap_err();
    let replaced = place(&plug, "cold", b"new", Some(state.tag)).await.unwrap_err();
    let renamed = plug.rename(&at("cold"), state.tag, &at("colder"), None).await.unwrap_err();
    for fault in [removed, replaced, renamed] {
        assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
        assert!(fault.message.contains("asked to restore"), "{fault}");
    }
    assert_eq!(bucket.read("cold").unwrap(), b"bytes");
    assert_eq!(bucket.read("colder"), None);
    bucket.set(&json!({ "frozen": false }));
    plug.remove(&at("cold"), state.tag).await.unwrap();
    assert_eq!(bucket.read("cold"), None);
    assert!(bucket.below(".onitu/trash/").values().any(|kept| kept == b"bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_versioned_bucket_an_archived_object_goes_and_stays_as_a_version() {
    let bucket = bucket(&json!({ "versioned": true }));
    let plug = connect(&bucket, &json!({})).await.unwrap();
    for name in ["gone", "new", "kept", "moved"] {
        bucket.write_class(name, name.as_bytes(), "GLACIER");
    }
    bucket.set(&json!({ "frozen": true }));
    let state = look(&plug, "gone").await;
    plug.remove(&at("gone"), state.tag).await.unwrap();
    assert_eq!(plug.look(&at("gone")).await.unwrap(), None);
    let state = look(&plug, "new").await;
    let new = place(&plug, "new", b"other", Some(state.tag)).await.unwrap();
    assert_eq!(read(&plug, "new", &new).await.unwrap(), b"other");
    assert_eq!(bucket.versions("gone"), [b"gone"]);
    assert_eq!(bucket.versions("new"), [&b"new"[..], b"other"]);
    // What couldn't be put back isn't replaced by a rename, for which the engine has another way.
    let (kept, new) = (look(&plug, "kept").await, look(&plug, "new").await);
    let renamed = plug.rename(&at("new"), new.tag, &at("kept"), Some(kept.tag)).await;
    assert_eq!(renamed.unwrap_err().kind, FaultKind::Unsupported);
    assert_eq!(bucket.read("kept").unwrap(), b"kept");
}

/// Else the driver couldn't read what is its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_class_is_for_users_files_alone() {
    let bucket = bucket(&json!({}));
    let options = json!({ "storage_class": "GLACIER", "part_bytes": 100_000 });
    let plug = connect(&bucket, &options).await.unwrap();
    place(&plug, "d/small", b"bytes", None).await.unwrap();
    place(&plug, "d/large", &vec![7; 250_000], None).await.unwrap();
    for (key, class) in [
        ("d/small", "GLACIER"),
        ("d/large", "GLACIER"),
        ("d/", "STANDARD"),
        (".onitu/service", "STANDARD"),
    ] {
        assert_eq!(bucket.about(key)["class"], class, "{key}");
    }
    connect(&bucket, &options).await.unwrap().check().await.unwrap();
}
