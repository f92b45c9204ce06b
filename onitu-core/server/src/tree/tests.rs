use onitu_core::store::MemoryStore;

use super::*;
use crate::tests::{path, put, record, registry};

async fn walk(store: &MemoryStore, start: &str) -> Result<Vec<Vec<Entry>>, String> {
    let registry = Arc::new(registry(&["laptop", "nas"]));
    let start = Path::new(start).unwrap();
    let walk = Walk::new(Arc::new(store.clone()), registry, start).await;
    let mut walk = walk.map_err(|error| error.to_string())?;
    let mut pages = Vec::new();
    loop {
        let page = walk.page().await.unwrap();
        if page.is_empty() {
            return Ok(pages);
        }
        pages.push(page);
    }
}

async fn paths(store: &MemoryStore, start: &str) -> Vec<String> {
    let pages = walk(store, start).await.unwrap();
    pages.concat().iter().map(|entry| entry.path.to_string()).collect()
}

async fn small_tree() -> MemoryStore {
    let store = MemoryStore::new();
    let file = |text: &str| record(Kind::File, text, &[1, 2]);
    let dir = record(Kind::Directory, "", &[1, 2]);
    let mut gone = file("gone");
    gone.gone = true;
    let mut gone_dir = dir.clone();
    gone_dir.gone = true;
    put(
        &store,
        &[
            ("b.txt", file("bee")),
            ("a", dir.clone()),
            ("a/2.txt", file("two")),
            ("a/1", dir.clone()),
            ("a/1/x", file("x")),
            ("a/gone.txt", gone),
            ("empty", dir),
            ("z", gone_dir),
            ("z/left.txt", file("left")),
        ],
    )
    .await;
    store
}

#[tokio::test]
async fn parents_come_before_children_and_names_in_order() {
    let store = small_tree().await;
    let expected = ["a", "a/1", "a/1/x", "a/2.txt", "b.txt", "empty", "z/left.txt"];
    assert_eq!(paths(&store, "").await, expected);
    assert_eq!(paths(&store, "a").await, expected[..4]);
    assert_eq!(paths(&store, "a/1/x").await, ["a/1/x"]);
    assert_eq!(paths(&store, "empty").await, ["empty"]);
}

#[tokio::test]
async fn an_entry_has_what_the_record_has() {
    let pages = walk(&small_tree().await, "b.txt").await.unwrap();
    let expected = Entry {
        path: path("b.txt"),
        kind: Kind::File,
        size: 3,
        mtime_ns: 7,
        holders: vec!["laptop".to_owned(), "nas".to_owned()],
    };
    assert_eq!(pages, [[expected]]);
}

#[tokio::test]
async fn what_does_not_exist_or_is_deleted_is_named() {
    let store = small_tree().await;
    assert_eq!(walk(&store, "nope/x").await.unwrap_err(), "`nope/x` doesn't exist");
    assert_eq!(walk(&store, "a/gone.txt").await.unwrap_err(), "`a/gone.txt` doesn't exist");
}

#[tokio::test]
async fn an_empty_store_has_an_empty_tree() {
    assert!(walk(&MemoryStore::new(), "").await.unwrap().is_empty());
}

#[tokio::test]
async fn many_directories_come_once_each_and_in_bounded_pages() {
    let store = MemoryStore::new();
    let mut expected = Vec::new();
    for number in 0..150 {
        let directory = format!("d{number:03}");
        put(
            &store,
            &[
                (&directory, record(Kind::Directory, "", &[1])),
                (&format!("{directory}/one"), record(Kind::File, "1", &[1])),
                (&format!("{directory}/two"), record(Kind::File, "2", &[1])),
            ],
        )
        .await;
        expected.push(directory.clone());
        expected.push(format!("{directory}/one"));
        expected.push(format!("{directory}/two"));
    }
    assert_eq!(paths(&store, "").await, expected);
    let pages = walk(&store, "").await.unwrap();
    assert!(pages.iter().all(|page| page.len() <= PAGE_ENTRIES_MAX));
    assert!(pages.len() > 1);
}
