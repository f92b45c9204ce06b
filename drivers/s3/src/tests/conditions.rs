//! Servers that know conditions, ignore them, or refuse them.

use onitu_plug::{FaultKind, Plug};
use serde_json::json;

use super::{at, bucket, connect, look, place, read};
use crate::object::Conditions;

const ALL: Conditions =
    Conditions { put: true, complete: true, copy: true, part_source: true, delete: true };
const NONE: Conditions =
    Conditions { put: false, complete: false, copy: false, part_source: false, delete: false };

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_heeds_is_found_out() {
    for (conditions, expected) in [("all", ALL), ("none", NONE), ("refused", NONE)] {
        let bucket = bucket(&json!({ "conditions": conditions }));
        let plug = connect(&bucket, &json!({})).await.unwrap();
        assert_eq!(plug.bucket().conditions, expected, "{conditions}");
        let left = bucket.uploads();
        assert!(left.is_empty(), "{conditions}: asking left {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten_on_any_server() {
    for conditions in ["all", "none", "refused"] {
        let bucket = bucket(&json!({ "conditions": conditions }));
        let plug = connect(&bucket, &json!({ "part_bytes": 100_000 })).await.unwrap();
        for size in [10, 250_000] {
            let name = format!("file of {size}");
            let old = place(&plug, &name, &vec![1; size], None).await.unwrap();
            bucket.write(&name, b"the user's");
            for expect in [None, Some(old.tag)] {
                let placed = place(&plug, &name, &vec![2; size], expect).await;
                assert_eq!(placed.unwrap_err().kind, FaultKind::Changed, "{conditions} {name}");
            }
            assert_eq!(bucket.read(&name).unwrap(), b"the user's");
            assert_eq!(
                plug.remove(&at(&name), old.tag).await.unwrap_err().kind,
                FaultKind::Changed
            );
            let renamed = plug.rename(&at(&name), old.tag, &at("new"), None).await;
            assert_eq!(renamed.unwrap_err().kind, FaultKind::Changed);
            let now = look(&plug, &name).await;
            bucket.write("new", b"in the way");
            let renamed = plug.rename(&at(&name), now.tag, &at("new"), None).await;
            assert_eq!(renamed.unwrap_err().kind, FaultKind::Changed);
            assert_eq!(bucket.read("new").unwrap(), b"in the way");
            let new = place(&plug, &name, &vec![3; size], Some(now.tag)).await.unwrap();
            assert_eq!(read(&plug, &name, &new).await.unwrap(), vec![3; size]);
            bucket.remove("new");
        }
        assert!(bucket.uploads().is_empty(), "{conditions}: {:?}", bucket.uploads());
    }
}

/// The window between the last look and the request is real, and the look right after sees who
/// came then.
#[tokio::test(flavor = "multi_thread")]
async fn without_conditions_an_edit_right_after_is_told() {
    let bucket = bucket(&json!({ "conditions": "none" }));
    let plug = connect(&bucket, &json!({})).await.unwrap();
    let old = place(&plug, "file", b"old", None).await.unwrap();
    // The answer to the request is held back while the user writes.
    bucket.set(&json!({ "faults": [
        { "kind": "PUT", "key": "file", "times": 1, "after": true, "status": 200, "code": "OK", "overwrite": "the user's" }
    ] }));
    let placed = place(&plug, "file", b"new", Some(old.tag)).await;
    assert_eq!(placed.unwrap_err().kind, FaultKind::Changed);
    assert_eq!(bucket.read("file").unwrap(), b"the user's");
    let trash = bucket.below(".onitu/trash/");
    assert!(trash.values().any(|bytes| bytes == b"old"), "what was replaced is lost");
}
