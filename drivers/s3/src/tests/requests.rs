//! How many requests things take: each of them costs time and money.

use onitu_plug::{Checksum, FaultKind, Hints, Path, Plug};
use onitu_test_s3::Fresh;
use serde_json::{Value, json};

use super::{at, bucket, connect, list, look, place, usual};
use crate::S3;

/// While it is watched, and nobody lists who isn't asked to: on a slow machine that would count.
async fn quietly_watched<T>(task: impl AsyncFnOnce(&Fresh, &S3, &Hints) -> T) -> T {
    let bucket = bucket(&json!({}));
    let plug = connect(&bucket, &json!({ "poll_s": 3_600 })).await.unwrap();
    let hints = Hints::default();
    let begun = async {
        plug.settle().await.unwrap();
        task(&bucket, &plug, &hints).await
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        end = plug.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
        told = begun => told,
    }
}

/// What was asked since the last time.
fn counts(bucket: &Fresh) -> Value {
    let counts = json!(bucket.counts());
    bucket.set(&json!({ "counts": {} }));
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_of_a_directory_are_sent_with_one_request_each() {
    quietly_watched(async |bucket, plug, _| {
        let known = place(plug, "d/known", b"bytes", None).await.unwrap();
        bucket.write("d/f 000/below", b"in the way");
        counts(bucket);
        for number in 1..300 {
            let path = format!("d/f {number:03}");
            // As the runtime does: it looks, and then places.
            assert_eq!(plug.look(&at(&path)).await.unwrap(), None);
            place(plug, &path, b"bytes", None).await.unwrap();
        }
        let asked = counts(bucket);
        assert_eq!(asked["PUT"], 299);
        assert_eq!(asked.get("HEAD"), None, "{asked}");
        assert!(asked["LIST"].as_u64().unwrap() <= 2, "{asked}");
        // What was placed is known anew, at once.
        let first = look(plug, "d/f 001").await;
        assert_eq!(first.content.checksum, Some(Checksum::of(b"bytes")));
        assert_eq!(look(plug, "d/known").await.tag, known.tag);
        assert!(plug.look(&at("d/f 000")).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_others_are_found_and_looked_at_without_a_request_for_each() {
    quietly_watched(async |bucket, plug, hints| {
        for number in 0..1_500 {
            bucket.write(&format!("many/{}/{number:04}", number % 3), b"bytes");
        }
        counts(bucket);
        plug.settle().await.unwrap();
        assert_eq!(counts(bucket), json!({ "LIST": 2 }));
        let told: Vec<Path> = hints.take().await.paths.into_keys().collect();
        assert_eq!(told.len(), 1_500 + 4);
        for path in &told {
            plug.look(path).await.unwrap().expect("it is there");
        }
        let asked = counts(bucket);
        assert!(asked.get("HEAD").is_none() && asked["LIST"].as_u64() <= Some(4), "{asked}");
        // Those that are looked at again, or were never told of: a listing tells of many.
        for number in 0..1_500 {
            assert_eq!(
                look(plug, &format!("many/{}/{number:04}", number % 3)).await.content.size,
                5
            );
        }
        let asked = counts(bucket);
        assert!(asked.get("HEAD").is_none() && asked["LIST"].as_u64() <= Some(12), "{asked}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_after_a_listing_told_of_it_is_seen_once_the_watch_has_told() {
    quietly_watched(async |bucket, plug, _| {
        bucket.write("d/a", b"first");
        bucket.write("d/b", b"first");
        plug.settle().await.unwrap();
        let before = look(plug, "d/a").await;
        bucket.write("d/b", b"second");
        bucket.remove("d/a");
        plug.settle().await.unwrap();
        assert_eq!(look(plug, "d/b").await.content.size, 6);
        assert_eq!(plug.look(&at("d/a")).await.unwrap(), None);
        bucket.write("d/a", b"first");
        plug.settle().await.unwrap();
        assert_eq!(look(plug, "d/a").await.tag, before.tag);
        bucket.write("d/c/x", b"below");
        bucket.write("d/c/y", b"below");
        plug.settle().await.unwrap();
        assert!(plug.look(&at("d/c")).await.unwrap().is_some());
        bucket.remove("d/c/x");
        bucket.remove("d/c/y");
        plug.settle().await.unwrap();
        assert_eq!(plug.look(&at("d/c")).await.unwrap(), None);
    })
    .await;
}

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
async fn a_file_alone_takes_three_requests_up_and_two_down() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_everything_takes_one_request_for_a_thousand_objects_however_they_lie() {
    quietly_watched(async |bucket, plug, _| {
        for number in 0..1_500 {
            bucket.write(&format!("d{}/e{}/{number:04}", number % 30, number % 7), b"bytes");
        }
        bucket.write("empty/", b"");
        bucket.write("twin", b"an object");
        bucket.write("twin/below", b"another");
        counts(bucket);
        let (mut waiting, mut files) = (vec![String::new()], 0);
        while let Some(directory) = waiting.pop() {
            for name in list(plug, &directory).await.unwrap() {
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                match path.rsplit('/').next().unwrap() {
                    "!twin" => {}
                    name if name.parse::<u32>().is_ok() => files += 1,
                    _ => waiting.push(path),
                }
            }
        }
        assert_eq!(files, 1_500);
        assert_eq!(counts(bucket), json!({ "LIST": 2 }));
        // A scan sees what has changed before it.
        bucket.remove("empty/");
        bucket.write("new/file", b"bytes");
        assert!(list(plug, "").await.unwrap().contains(&"new".to_owned()));
        assert_eq!(list(plug, "new").await.unwrap(), ["file"]);
        assert!(list(plug, "empty").await.is_err());
        assert_eq!(list(plug, "new/file").await.unwrap_err().kind, FaultKind::NotADirectory);
    })
    .await;
}
