use std::collections::BTreeSet;

use serde_json::json;
use tokio::sync::mpsc;

use super::*;

fn folder(path: &str) -> Value {
    let name = path.rsplit('/').next().expect("a name");
    json!({
        ".tag": "folder", "name": name, "path_lower": path.to_lowercase(), "path_display": path,
        "id": format!("id:{path}"),
    })
}

fn file(path: &str) -> Value {
    let mut file = folder(path);
    file[".tag"] = json!("file");
    file["rev"] = json!("0123456789");
    file["size"] = json!(7);
    file["client_modified"] = json!("2020-09-13T12:26:40Z");
    file
}

fn deleted(path: &str) -> Value {
    json!({ ".tag": "deleted", "name": path, "path_lower": path.to_lowercase() })
}

fn reached(cursor: &str) -> Reached {
    Reached { cursor: cursor.to_owned(), is_complete: true }
}

async fn apply_all(snapshot: &Snapshot, told: Vec<Value>) {
    let own = [folder("/Onitu/.onitu"), file("/Onitu/.onitu/service")];
    let told = own.into_iter().chain(told).collect();
    snapshot.apply("/Onitu", told, reached("next")).await.expect("it is kept");
}

async fn names(snapshot: &Snapshot, directory: &str) -> Option<BTreeSet<String>> {
    let (sender, mut receiver) = mpsc::channel(100);
    let directory = Path::new(directory).unwrap_or_else(|_| Path::root());
    let is_known = snapshot.list(&directory, "/service", &sender).await.expect("it is read");
    drop(sender);
    let mut names = BTreeSet::new();
    while let Some(page) = receiver.recv().await {
        names.extend(page.into_iter().map(|found| match found {
            Found::Entry { name, .. } | Found::Problem { name, .. } => name,
        }));
    }
    is_known.then_some(names)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn opened(home: &tempfile::TempDir, whose: &str) -> Snapshot {
    Snapshot::open(home.path(), whose.to_owned()).await.expect("it opens")
}

#[tokio::test]
async fn what_the_cursor_tells_is_kept_with_the_cursor() {
    let home = tempfile::tempdir().expect("a directory");
    let snapshot = opened(&home, "ada").await;
    assert_eq!(snapshot.reached().await.expect("read"), Reached::default());
    let told = ["/Onitu/A", "/Onitu/A/b", "/Onitu/A-b", "/Onitu/A/b/c"].map(folder);
    apply_all(&snapshot, [told.to_vec(), vec![file("/Onitu/A/b/f"), file("/Onitu/x")]].concat())
        .await;
    drop(snapshot);
    let snapshot = opened(&home, "ada").await;
    assert_eq!(snapshot.reached().await.expect("read"), reached("next"));
    assert_eq!(names(&snapshot, "").await, Some(set(&["A", "A-b", "x"])));
    assert_eq!(names(&snapshot, "A/b").await, Some(set(&["c", "f"])));
    // What is deleted takes with it what is below, and nothing beside.
    apply_all(&snapshot, vec![deleted("/onitu/a")]).await;
    assert_eq!(names(&snapshot, "").await, Some(set(&["A-b", "x"])));
    assert_eq!(names(&snapshot, "A/b").await, None);
    // A folder that is told again has only what is told of it.
    apply_all(&snapshot, vec![folder("/Onitu/a")]).await;
    assert_eq!(names(&snapshot, "a").await, Some(set(&[])));
}

#[tokio::test]
async fn only_what_is_spelled_so_is_known() {
    let home = tempfile::tempdir().expect("a directory");
    let snapshot = opened(&home, "ada").await;
    apply_all(&snapshot, vec![folder("/Onitu/Docs"), file("/Onitu/Docs/A"), file("/Onitu/f")])
        .await;
    for unknown in ["docs", "nothing", "f", "Docs/A"] {
        assert_eq!(names(&snapshot, unknown).await, None, "{unknown}");
    }
    assert_eq!(names(&snapshot, "Docs").await, Some(set(&["A"])));
    // A file in a folder's place has nothing below it.
    apply_all(&snapshot, vec![file("/Onitu/Docs")]).await;
    assert_eq!(names(&snapshot, "Docs").await, None);
    apply_all(&snapshot, vec![folder("/Onitu/Docs")]).await;
    assert_eq!(names(&snapshot, "Docs").await, Some(set(&[])));
}

#[tokio::test]
async fn without_the_marker_nothing_is_known() {
    let home = tempfile::tempdir().expect("a directory");
    let snapshot = opened(&home, "ada").await;
    apply_all(&snapshot, vec![folder("/Onitu/Docs")]).await;
    snapshot.apply("/Onitu", vec![deleted("/onitu/.onitu")], reached("x")).await.expect("kept");
    assert_eq!((names(&snapshot, "").await, names(&snapshot, "Docs").await), (None, None));
    apply_all(&snapshot, Vec::new()).await;
    snapshot.apply("/Onitu", vec![deleted("/onitu")], reached("y")).await.expect("kept");
    assert_eq!(names(&snapshot, "").await, None);
}

#[tokio::test]
async fn one_of_another_folder_or_one_that_is_damaged_is_thrown_away() {
    let home = tempfile::tempdir().expect("a directory");
    for damage in [None, Some(0), Some(100), Some(5_000)] {
        let snapshot = opened(&home, "ada").await;
        apply_all(&snapshot, vec![folder("/Onitu/Docs")]).await;
        drop(snapshot);
        let file = home.path().join("snapshot.redb");
        if let Some(kept) = damage {
            let bytes = std::fs::read(&file).expect("it is there");
            std::fs::write(&file, [&bytes[..kept], &[7; 100]].concat()).expect("damaged");
        }
        let whose = if damage.is_none() { "bob" } else { "ada" };
        let snapshot = opened(&home, whose).await;
        assert_eq!(snapshot.reached().await.expect("read"), Reached::default(), "{damage:?}");
        assert_eq!(names(&snapshot, "Docs").await, None);
    }
}
