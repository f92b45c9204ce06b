//! A storage that keeps no symbolic links, beside one that does: known from its manifest, or found
//! out because it refuses them.

use std::time::Duration;

use onitu_core::store::Store;
use onitu_core::{KEEPS_SYMLINKS, ServiceId};
use onitu_driver_memory::{Able, Bucket, Everything, MemoryService, Thing};
use onitu_plug::Abilities;

#[allow(dead_code, reason = "other tests need the rest")]
mod calm;
use calm::{Calm, path};

const FOLDER: usize = 0;
const STORAGE: usize = 1;

/// As able as a folder but for links, and as little able as a bucket.
const STORAGES: [Abilities; 2] =
    [Abilities { symlinks: false, ..Everything::ABILITIES }, Bucket::ABILITIES];

/// A folder and a storage without links, in step, in every way.
async fn pairs() -> Vec<Calm> {
    let mut pairs = Vec::new();
    for abilities in STORAGES {
        for is_told in [true, false] {
            let services = vec![MemoryService::new(), MemoryService::able(abilities)];
            let pair = Calm::over(services, |service| {
                if is_told && service.id == ServiceId(2) {
                    service.options.insert(KEEPS_SYMLINKS.to_owned(), false.into());
                }
            });
            pairs.push(pair.await);
        }
    }
    pairs
}

/// How many paths the storage can't keep.
async fn unable(calm: &Calm) -> u64 {
    let counts = calm.store.counts().await.expect("a store");
    counts.unable.get(&ServiceId(2)).copied().unwrap_or(0)
}

fn link(calm: &Calm, at: &str) {
    calm.services[FOLDER].remove(&path(at));
    calm.services[FOLDER].symlink(&path(at), "target").expect("linked");
}

fn save(calm: &Calm, service: usize, at: &str, text: &'static str) {
    calm.services[service].save(&path(at), text).expect("saved");
}

fn read(calm: &Calm, service: usize, at: &str) -> Option<String> {
    let bytes = calm.services[service].read(&path(at));
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
}

fn is_link(calm: &Calm, at: &str) -> bool {
    matches!(calm.services[FOLDER].thing(&path(at)), Some(Thing::Symlink { .. }))
}

/// What a service has, without its directories.
fn files(calm: &Calm, service: usize) -> Vec<String> {
    let tree = calm.services[service].tree().into_iter();
    let files = tree.filter(|(_, thing)| *thing != Thing::Directory);
    files.map(|(path, _)| path.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_link_waits_for_nothing_and_is_copied_when_it_becomes_a_file() {
    for calm in pairs().await {
        link(&calm, "d/link");
        save(&calm, FOLDER, "d/file", "bytes");
        calm.wait().await;
        assert_eq!(unable(&calm).await, 1);
        assert_eq!(files(&calm, STORAGE), ["d/file"]);
        link(&calm, "d/another");
        calm.wait().await;
        assert_eq!(unable(&calm).await, 2);
        calm.services[FOLDER].remove(&path("d/another"));
        calm.services[FOLDER].remove(&path("d/link"));
        save(&calm, FOLDER, "d/link", "a file now");
        calm.wait().await;
        assert_eq!(unable(&calm).await, 0);
        assert_eq!(read(&calm, STORAGE, "d/link").as_deref(), Some("a file now"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_becomes_a_link_is_kept_where_there_are_none_and_does_not_come_back() {
    for mut calm in pairs().await {
        save(&calm, FOLDER, "x", "the old file");
        calm.wait().await;
        link(&calm, "x");
        calm.wait().await;
        for _ in 0..2 {
            assert!(is_link(&calm, "x"));
            assert_eq!(read(&calm, STORAGE, "x").as_deref(), Some("the old file"));
            assert_eq!((unable(&calm).await, files(&calm, FOLDER).len()), (1, 1));
            calm.restart(STORAGE).await;
            calm.restart(FOLDER).await;
            tokio::time::sleep(Duration::from_mins(3)).await;
            calm.wait().await;
        }
        calm.services[FOLDER].remove(&path("x"));
        save(&calm, FOLDER, "x", "a new file");
        calm.wait().await;
        assert_eq!(read(&calm, STORAGE, "x").as_deref(), Some("a new file"));
        link(&calm, "x");
        calm.wait().await;
        calm.services[FOLDER].remove(&path("x"));
        calm.wait().await;
        assert!(files(&calm, STORAGE).is_empty(), "what was deleted is deleted");
        assert_eq!(unable(&calm).await, 0);
        assert!(calm.conflicts().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_file_that_is_removed_where_there_are_no_links_removes_no_link() {
    for calm in pairs().await {
        save(&calm, FOLDER, "x", "the old file");
        calm.wait().await;
        link(&calm, "x");
        calm.wait().await;
        calm.services[STORAGE].remove(&path("x"));
        calm.wait().await;
        assert!(is_link(&calm, "x"));
        assert_eq!((unable(&calm).await, files(&calm, STORAGE).len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_file_that_is_edited_where_there_are_no_links_is_kept_beside_the_link() {
    for calm in pairs().await {
        save(&calm, FOLDER, "x", "the old file");
        calm.wait().await;
        link(&calm, "x");
        calm.wait().await;
        save(&calm, STORAGE, "x", "edited there");
        calm.wait().await;
        assert!(is_link(&calm, "x"));
        let conflicts = calm.conflicts().await;
        let kept = conflicts.first().expect("a conflict").kept.to_string();
        for service in [FOLDER, STORAGE] {
            assert_eq!(read(&calm, service, &kept).as_deref(), Some("edited there"));
        }
        assert_eq!((unable(&calm).await, conflicts.len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_becomes_a_link_and_a_directory_again_leaves_nothing_to_do() {
    for calm in pairs().await {
        save(&calm, FOLDER, "d/x", "bytes");
        calm.wait().await;
        link(&calm, "d");
        calm.wait().await;
        assert!(is_link(&calm, "d"));
        assert_eq!((unable(&calm).await, files(&calm, STORAGE).len()), (1, 0));
        calm.services[FOLDER].remove(&path("d"));
        save(&calm, FOLDER, "d/x", "again");
        calm.wait().await;
        assert_eq!(read(&calm, STORAGE, "d/x").as_deref(), Some("again"));
        assert_eq!(unable(&calm).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_made_in_a_directory_that_is_a_link_elsewhere_is_lost_nowhere() {
    for calm in pairs().await {
        save(&calm, FOLDER, "d/x", "bytes");
        calm.wait().await;
        link(&calm, "d");
        calm.wait().await;
        save(&calm, STORAGE, "d/y", "made there");
        calm.wait().await;
        // A directory keeps its name, for what is in it can't change its own.
        assert_eq!(read(&calm, FOLDER, "d/y").as_deref(), Some("made there"));
        let conflicts = calm.conflicts().await;
        assert!(is_link(&calm, conflicts[0].kept.as_str()), "{conflicts:?}");
        assert_eq!((conflicts.len(), unable(&calm).await), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_store_forgets_neither_the_link_nor_what_can_not_be_kept() {
    for mut calm in pairs().await {
        save(&calm, FOLDER, "x", "the old file");
        link(&calm, "y");
        calm.wait().await;
        link(&calm, "x");
        calm.wait().await;
        calm.store.restart();
        // The first request over the old connection fails.
        let _ = calm.store.counts().await;
        calm.restart(STORAGE).await;
        calm.wait().await;
        assert_eq!(unable(&calm).await, 2);
        assert!(is_link(&calm, "x") && is_link(&calm, "y"));
        assert_eq!(read(&calm, STORAGE, "x").as_deref(), Some("the old file"));
    }
}
