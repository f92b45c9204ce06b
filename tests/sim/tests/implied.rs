//! A storage that keeps neither empty directories nor attributes, beside one that does.

use onitu_driver_memory::{Able, Bucket, MemoryService};

#[allow(dead_code, reason = "other tests need the rest")]
mod calm;
use calm::{Calm, path};

/// A folder and a bucket, in step.
async fn pair() -> (Calm, MemoryService, MemoryService) {
    let services = vec![MemoryService::new(), MemoryService::able(Bucket::ABILITIES)];
    let calm = Calm::over(services, |_| {}).await;
    let (folder, bucket) = (calm.services[0].clone(), calm.services[1].clone());
    (calm, folder, bucket)
}

fn names(service: &MemoryService) -> Vec<String> {
    service.tree().into_keys().map(|path| path.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_empty_directory_waits_for_nothing_where_none_can_be_kept() {
    let (calm, folder, bucket) = pair().await;
    folder.make_directory(&path("a/b")).expect("made");
    calm.wait().await;
    assert_eq!((names(&folder).len(), names(&bucket).len()), (2, 0));
    folder.save(&path("a/b/file"), "bytes").expect("saved");
    calm.wait().await;
    assert_eq!(names(&bucket), ["a", "a/b", "a/b/file"]);
    folder.remove(&path("a"));
    calm.wait().await;
    assert_eq!((names(&folder).len(), names(&bucket).len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_file_of_a_directory_goes_and_the_directory_stays_where_it_can() {
    let (calm, folder, bucket) = pair().await;
    folder.save(&path("a/b/file"), "bytes").expect("saved");
    calm.wait().await;
    bucket.remove(&path("a/b/file"));
    calm.wait().await;
    assert_eq!(names(&folder), ["a", "a/b"]);
    assert!(names(&bucket).is_empty());
    bucket.save(&path("a/b/other"), "bytes").expect("saved");
    calm.wait().await;
    assert_eq!(names(&folder), ["a", "a/b", "a/b/other"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_takes_the_place_of_a_directory_that_is_not_shown_and_back() {
    let (calm, folder, bucket) = pair().await;
    folder.make_directory(&path("thing")).expect("made");
    calm.wait().await;
    folder.remove(&path("thing"));
    folder.save(&path("thing"), "a file").expect("saved");
    calm.wait().await;
    assert_eq!(bucket.read(&path("thing")).as_deref(), Some(&b"a file"[..]));
    folder.remove(&path("thing"));
    folder.make_directory(&path("thing")).expect("made");
    calm.wait().await;
    assert_eq!((names(&folder).len(), names(&bucket).len()), (1, 0));
    // From the other side, too.
    bucket.save(&path("thing"), "a file again").expect("saved");
    calm.wait().await;
    let read = |service: &MemoryService, name: &str| service.read(&path(name));
    let kept: Vec<_> = names(&folder).into_iter().filter_map(|it| read(&folder, &it)).collect();
    assert_eq!(kept, ["a file again"], "{:?}", names(&folder));
}

#[tokio::test(start_paused = true)]
async fn a_restart_and_a_rename_of_directories_leave_nothing_to_do() {
    let (mut calm, folder, bucket) = pair().await;
    folder.make_directory(&path("old/empty")).expect("made");
    folder.save(&path("old/full/file"), "bytes").expect("saved");
    calm.wait().await;
    calm.restart(1).await;
    calm.wait().await;
    assert_eq!(names(&folder), ["old", "old/empty", "old/full", "old/full/file"]);
    folder.rename(&path("old"), &path("new")).expect("renamed");
    calm.wait().await;
    assert_eq!(names(&folder), ["new", "new/empty", "new/full", "new/full/file"]);
    assert_eq!(names(&bucket), ["new", "new/full", "new/full/file"]);
}

#[tokio::test(start_paused = true)]
async fn attributes_that_can_not_be_kept_are_no_work() {
    let (calm, folder, bucket) = pair().await;
    folder.save(&path("file"), "bytes").expect("saved");
    calm.wait().await;
    folder.set_executable(&path("file"), true);
    folder.touch(&path("file"), 1_600_000_000_000_000_000);
    calm.wait().await;
    let record = calm.record("file").await.expect("recorded");
    assert!(record.content.executable && record.holders.len() == 2, "{record:?}");
    assert_eq!(bucket.read(&path("file")).as_deref(), Some(&b"bytes"[..]));
}
