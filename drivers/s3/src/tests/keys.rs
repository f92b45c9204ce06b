//! Keys that are no paths, and objects that stand in each other's way.

use onitu_plug::{FaultKind, Kind, Plug};
use serde_json::json;

use super::{at, connect, list, look, place, usual};

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cant_be_paths_are_problems_beside_the_rest() {
    let (bucket, plug) = usual().await;
    for key in ["/leading", "a//b", "../up", "./here", "d/../e", "marked/", "odd/", "  ", "fine"] {
        bucket.write(key, if key == "odd/" { b"bytes" } else { b"" });
    }
    let all = ["!  ", "!.", "!..", "!/", "a", "d", "fine", "marked", "odd"];
    assert_eq!(list(&plug, "").await.unwrap(), all);
    assert_eq!(list(&plug, "a").await.unwrap(), ["!/"]);
    assert_eq!(list(&plug, "d").await.unwrap(), ["!.."]);
    assert_eq!(list(&plug, "odd").await.unwrap(), ["!/"]);
    assert!(list(&plug, "marked").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_and_others_below_it_are_a_problem_and_neither_is_gone() {
    let (bucket, plug) = usual().await;
    for key in ["both", "both-and", "both/below", "other/x"] {
        bucket.write(key, b"bytes");
    }
    assert_eq!(list(&plug, "").await.unwrap(), ["!both", "both-and", "other"]);
    assert_eq!(look(&plug, "both").await.content.kind, Kind::File);
    assert_eq!(look(&plug, "both/below").await.content.kind, Kind::File);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_file_leaves_its_directory() {
    let (bucket, plug) = usual().await;
    bucket.write("made elsewhere/file", b"bytes");
    let state = look(&plug, "made elsewhere/file").await;
    plug.remove(&at("made elsewhere/file"), state.tag).await.unwrap();
    assert_eq!(look(&plug, "made elsewhere").await.content.kind, Kind::Directory);
    let placed = place(&plug, "a/b/file", b"bytes", None).await.unwrap();
    plug.rename(&at("a/b/file"), placed.tag, &at("file"), None).await.unwrap();
    assert_eq!(list(&plug, "a").await.unwrap(), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_renamed_with_all_that_is_in_it() {
    let (bucket, plug) = usual().await;
    for name in ["old/a", "old/b/c", "old/b/d"] {
        place(&plug, name, name.as_bytes(), None).await.unwrap();
    }
    plug.make_directory(&at("old/empty"), None).await.unwrap();
    let tag = look(&plug, "old").await.tag;
    plug.rename(&at("old"), tag, &at("x/new"), None).await.unwrap();
    assert_eq!(list(&plug, "").await.unwrap(), ["x"]);
    assert_eq!(list(&plug, "x/new").await.unwrap(), ["a", "b", "empty"]);
    assert_eq!(bucket.read("x/new/b/d").unwrap(), b"old/b/d");
    let into_itself = plug.rename(&at("x"), tag, &at("x/y"), None).await;
    assert_eq!(into_itself.unwrap_err().kind, FaultKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_prefix_is_seen_and_touched() {
    let (bucket, _) = usual().await;
    let plug = connect(&bucket, &json!({ "prefix": "mine" })).await.unwrap();
    for key in ["mine/a", "mine too/b", "other"] {
        bucket.write(key, b"bytes");
    }
    assert_eq!(list(&plug, "").await.unwrap(), ["a"]);
    place(&plug, "c", b"bytes", None).await.unwrap();
    assert_eq!(bucket.read("mine/c").unwrap(), b"bytes");
}
