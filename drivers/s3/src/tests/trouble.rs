//! What goes wrong between a bucket and whoever configured it, and what they are told.

use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Plug, TrashQuery};
use serde_json::{Value, json};

use super::{at, bucket, connect, list, look, place, read, usual};

async fn refused(differing: Value, faults: Value) -> Fault {
    let bucket = bucket(&json!({}));
    bucket.set(&json!({ "faults": faults }));
    let fault = connect(&bucket, &differing).await.map(drop).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    fault
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_configured_it_wrongly_is_told_what_to_do() {
    let says = |fault: Fault, words: &[&str]| {
        for word in words {
            assert!(fault.message.contains(word), "`{word}` should be in: {fault}");
        }
    };
    says(
        refused(json!({ "bucket": "none-of-that-name" }), json!([])).await,
        &["create the bucket"],
    );
    says(refused(json!({ "access_key_id": "wrong" }), json!([])).await, &["`access_key_id`"]);
    says(refused(json!({ "endpoint": "http://127.0.0.1:9" }), json!([])).await, &["`endpoint`"]);
    for (code, status, word) in [
        ("SignatureDoesNotMatch", 403, "`secret_access_key`"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("ExpiredToken", 400, "renew"),
        ("AccessDenied", 403, "credentials"),
        ("PermanentRedirect", 301, "`region`"),
    ] {
        let fault = json!([{ "kind": "ANY", "times": 9, "status": status, "code": code }]);
        says(refused(json!({}), fault).await, &[word]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_what_is_told() {
    let secrets = json!({ "access_key_id": "WHO-ASKS", "secret_access_key": "HUSH", "session_token": "TOKEN" });
    let told = refused(secrets.clone(), json!([])).await.message;
    let mut options = json!({ "bucket": "b" });
    options.as_object_mut().unwrap().extend(secrets.as_object().unwrap().clone());
    let shown = format!("{:?}", serde_json::from_value::<crate::Options>(options).unwrap());
    for secret in ["WHO-ASKS", "HUSH", "TOKEN"] {
        assert!(!told.contains(secret) && !shown.contains(secret), "{told} {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_another_service_is_refused() {
    let (bucket, plug) = usual().await;
    drop(plug);
    bucket.write(".onitu/service", br#"{"service":"another","id":"0"}"#);
    let fault = connect(&bucket, &json!({})).await.map(drop).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("`another`"), "{fault}");
}

/// The request was carried out, its answer was lost, and the second attempt met its own work.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_loses_nothing() {
    let (bucket, plug) = usual().await;
    let old = place(&plug, "file", b"old", None).await.unwrap();
    let lose = |kind: &str| {
        bucket.set(&json!({ "faults": [
            { "kind": kind, "key": "file", "times": 1, "after": true, "status": 500, "code": "InternalError" }
        ] }));
    };
    lose("PUT");
    let placed = place(&plug, "file", b"new", Some(old.tag)).await;
    assert_eq!(placed.unwrap_err().kind, FaultKind::Changed);
    assert_eq!(bucket.read("file").unwrap(), b"new");
    let in_trash = || bucket.below(".onitu/trash/").into_values().collect::<Vec<_>>();
    assert_eq!(in_trash(), [b"old"], "what was replaced can be had back");
    lose("DELETE");
    let new = look(&plug, "file").await;
    plug.remove(&at("file"), new.tag).await.unwrap();
    assert_eq!(bucket.read("file"), None);
    assert!(in_trash().contains(&b"new".to_vec()));
}

/// A copy may take longer than a proxy before the server waits; some servers fail after their work.
#[tokio::test(flavor = "multi_thread")]
async fn copies_to_the_trash_whose_answers_are_always_lost_are_not_made_again_and_again() {
    let bucket = bucket(&json!({}));
    let plug = connect(&bucket, &json!({ "part_bytes": 100_000 })).await.unwrap();
    let in_parts = vec![7; 250_000];
    let old = place(&plug, "file", &in_parts, None).await.unwrap();
    bucket.set(&json!({ "faults": [
        { "kind": "COPY", "key": "file", "times": 99, "after": true, "status": 504, "code": "" }
    ] }));
    let new = place(&plug, "file", b"new", Some(old.tag)).await.unwrap();
    let in_trash = || bucket.below(".onitu/trash/").into_values().collect::<Vec<_>>();
    assert_eq!(in_trash(), std::slice::from_ref(&in_parts));
    plug.remove(&at("file"), new.tag).await.unwrap();
    assert_eq!(bucket.read("file"), None);
    assert_eq!(in_trash(), [b"new".to_vec(), in_parts]);
}

/// What wasn't copied isn't replaced, nor removed.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_can_not_copy_stays() {
    let (bucket, plug) = usual().await;
    let old = place(&plug, "file", b"old", None).await.unwrap();
    bucket.refuse("COPY", "file", 99, 504, "");
    let fault = place(&plug, "file", b"new", Some(old.tag)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    let fault = plug.remove(&at("file"), old.tag).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert_eq!(bucket.read("file").unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_patience_is_given_it() {
    let (bucket, plug) = usual().await;
    // A hiccup is not even noticed.
    bucket.refuse("HEAD", "file", 1, 500, "InternalError");
    assert_eq!(plug.look(&at("file")).await.unwrap(), None);
    let slow_down = |seconds: u32| {
        bucket.set(&json!({ "faults": [
            { "kind": "HEAD", "times": 1, "status": 503, "code": "SlowDown",
              "headers": { "Retry-After": seconds.to_string() } }
        ] }));
    };
    slow_down(1);
    let began = tokio::time::Instant::now();
    assert_eq!(plug.look(&at("file")).await.unwrap(), None);
    assert!(began.elapsed() >= Duration::from_secs(1));
    slow_down(300);
    let fault = plug.look(&at("file")).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.retry_after_ms),
        (FaultKind::RateLimited, Some(300_000)),
        "{fault}"
    );
    // All others are kept waiting as well, and that is told at once.
    assert_eq!(plug.look(&at("other")).await.unwrap_err().kind, FaultKind::RateLimited);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_with_a_page_that_fails_is_not_complete() {
    let (bucket, plug) = usual().await;
    for number in 0..1_500 {
        bucket.write(&format!("{number:04}"), b"");
    }
    bucket.set(&json!({ "faults": [
        { "kind": "LIST", "times": 9, "skip": 1, "status": 500, "code": "InternalError" }
    ] }));
    assert_eq!(list(&plug, "").await.unwrap_err().kind, FaultKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_versioned_bucket_is_as_good() {
    let bucket = bucket(&json!({ "versioned": true }));
    let plug = connect(&bucket, &json!({})).await.unwrap();
    let first = place(&plug, "file", b"first", None).await.unwrap();
    let second = place(&plug, "file", b"second", Some(first.tag)).await.unwrap();
    assert_eq!(read(&plug, "file", &second).await.unwrap(), b"second");
    plug.remove(&at("file"), second.tag).await.unwrap();
    assert_eq!(plug.look(&at("file")).await.unwrap(), None);
    let third = place(&plug, "file", b"third", None).await.unwrap();
    assert_eq!(read(&plug, "file", &third).await.unwrap(), b"third");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_is_kept_within_its_bounds() {
    let (bucket, plug) = usual().await;
    for number in 0..4 {
        let name = format!("file {number}");
        let state = place(&plug, &name, &[number; 100], None).await.unwrap();
        plug.remove(&at(&name), state.tag).await.unwrap();
    }
    let query = TrashQuery { below: at(""), after_ms: 0, cursor: None, limit: 100 };
    let paths = async || -> Vec<String> {
        let page = plug.trash(&query).await.unwrap();
        page.items.into_iter().map(|item| item.path.to_string()).collect()
    };
    plug.bucket().purge(1_000_000, None).await.unwrap();
    assert_eq!(paths().await.len(), 4);
    plug.bucket().purge(1_000_000, Some(250)).await.unwrap();
    assert_eq!(paths().await, ["file 3", "file 2"], "the oldest go first");
    plug.bucket().purge(u64::MAX, None).await.unwrap();
    assert!(paths().await.is_empty() && bucket.below(".onitu/trash/").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_told_how_to_encrypt() {
    let bucket = bucket(&json!({}));
    let key = "arn:aws:kms:us-east-1:123456789012:key/mine";
    let options = json!({ "encryption": "aws:kms", "kms_key_id": key, "part_bytes": 100_000 });
    let plug = connect(&bucket, &options).await.unwrap();
    let small = place(&plug, "small", b"bytes", None).await.unwrap();
    place(&plug, "large", &vec![7; 250_000], None).await.unwrap();
    plug.rename(&at("small"), small.tag, &at("renamed"), None).await.unwrap();
    for name in ["large", "renamed", ".onitu/service"] {
        let about = bucket.about(name);
        assert_eq!(
            (&about["encryption"], &about["kms"]),
            (&json!("aws:kms"), &json!(key)),
            "{name}"
        );
    }
}
