//! Large files: in parts, taken up again, ended when nobody does.

use onitu_plug::{FaultKind, Plug, Sink, Source};
use serde_json::{Value, json};

use super::{at, bucket, connect, content, look, pattern, place, read, usual};

const PART: usize = 100_000;

fn in_parts() -> Value {
    json!({ "part_bytes": PART, "copy_bytes_max": PART })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_parts_and_comes_back_whole() {
    let bucket = bucket(&json!({}));
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    for size in [PART + 1, 3 * PART, 5 * PART + 17] {
        let (name, bytes) = (format!("file of {size}"), pattern(size));
        let state = place(&plug, &name, &bytes, None).await.unwrap();
        assert_eq!(look(&plug, &name).await.tag, state.tag);
        assert_eq!(read(&plug, &name, &state).await.unwrap(), bytes);
        let moved = plug.rename(&at(&name), state.tag, &at("moved"), None).await.unwrap();
        assert_eq!(read(&plug, "moved", &moved).await.unwrap(), bytes);
        plug.remove(&at("moved"), moved.tag).await.unwrap();
        assert!(bucket.below(".onitu/trash/").values().any(|kept| *kept == bytes));
    }
    assert!(bucket.counts()["PARTCOPY"] > 0);
    assert!(bucket.below(".onitu/uploads/").is_empty() && bucket.uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_crash_from_the_last_part_that_arrived() {
    let bucket = bucket(&json!({}));
    let bytes = pattern(20 * PART + 5);
    let content = content(&bytes);
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    let mut sink = plug.write(&at("file"), &content, 7).await.unwrap();
    assert_eq!(sink.resumed().await.unwrap().0, 0);
    sink.write(bytes[..12 * PART + 99].to_vec().into()).await.unwrap();
    drop((sink, plug));
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    let mut sink = plug.write(&at("file"), &content, 7).await.unwrap();
    let (count, mut hasher) = sink.resumed().await.unwrap();
    let count = usize::try_from(count).unwrap();
    assert!((7 * PART..=12 * PART).contains(&count), "{count}");
    bucket.set(&json!({ "counts": {} }));
    hasher.update(&bytes[count..]);
    assert_eq!(Some(hasher.finish()), content.checksum);
    sink.write(bytes[count..].to_vec().into()).await.unwrap();
    let state = sink.place(content, None).await.unwrap();
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
    let parts = (bytes.len() - count).div_ceil(PART) as u64;
    assert_eq!(bucket.counts()["PART"], parts, "only what was missing is sent");
    assert!(bucket.uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_server_has_forgotten_begins_anew() {
    let bucket = bucket(&json!({}));
    let bytes = pattern(9 * PART);
    let content = content(&bytes);
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    let mut sink = plug.write(&at("file"), &content, 7).await.unwrap();
    sink.write(bytes[..8 * PART].to_vec().into()).await.unwrap();
    drop(sink);
    bucket.refuse("LIST", "file", 1, 404, "NoSuchUpload");
    let mut sink = plug.write(&at("file"), &content, 7).await.unwrap();
    assert_eq!(sink.resumed().await.unwrap().0, 0);
    sink.write(bytes.clone().into()).await.unwrap();
    let state = sink.place(content, None).await.unwrap();
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
    assert!(bucket.uploads().is_empty(), "the one before was left: {:?}", bucket.uploads());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_nobody_takes_up_are_ended_and_those_of_others_are_not() {
    let bucket = bucket(&json!({}));
    let bytes = pattern(5 * PART);
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    let mut sink = plug.write(&at("file"), &content(&bytes), 7).await.unwrap();
    sink.write(bytes.into()).await.unwrap();
    drop(sink);
    plug.bucket().requests.begin_upload("others", &crate::client::Label::default()).await.unwrap();
    assert_eq!(bucket.uploads().len(), 2);
    // Long before its time has come, it is kept.
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    assert_eq!(bucket.uploads().len(), 2);
    drop(plug);
    let at_once = json!({ "part_bytes": PART, "uploads_kept_s": 0 });
    connect(&bucket, &at_once).await.unwrap();
    assert_eq!(bucket.uploads(), ["others"]);
    assert!(bucket.below(".onitu/uploads/").is_empty());
}

/// The driver died between asking for an upload and writing down its id.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_id_was_never_heard_is_found_and_ended() {
    let bucket = bucket(&json!({}));
    let plug = connect(&bucket, &in_parts()).await.unwrap();
    bucket.set(&json!({ "faults": [
        { "kind": "CREATE", "key": "file", "times": 3, "after": true, "status": 400, "code": "Lost" }
    ] }));
    let begun = plug.write(&at("file"), &content(&pattern(2 * PART)), 7).await.map(drop);
    assert_eq!(begun.unwrap_err().kind, FaultKind::Unsupported);
    assert_eq!(bucket.uploads().len(), 1);
    bucket.set(&json!({ "faults": [] }));
    connect(&bucket, &json!({ "uploads_kept_s": 0 })).await.unwrap();
    assert!(bucket.uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_read_by_ranges_at_once_and_a_change_in_between_is_told() {
    let (bucket, plug) = usual().await;
    let bytes = pattern(40_000_000);
    bucket.write("file", &bytes);
    let state = look(&plug, "file").await;
    assert_eq!(read(&plug, "file", &state).await.unwrap(), bytes);
    assert_eq!(bucket.counts()["GET"], 5 + 2, "five ranges, and the marker before");
    let mut source = plug.read(&at("file"), state.tag, 0).await.unwrap();
    assert!(!source.next(1_000).await.unwrap().is_empty());
    bucket.write("file", &pattern(40_000_001));
    let end = loop {
        match source.next(1_000_000).await {
            Ok(chunk) if chunk.is_empty() => panic!("the change was not told"),
            Ok(_) => {}
            Err(fault) => break fault,
        }
    };
    assert_eq!(end.kind, FaultKind::Changed);
}
