//! Twins on a storage that folds names: both are there, whatever becomes of either.

mod fixture;
#[path = "fixture/exact.rs"]
mod wrapped;

use std::collections::BTreeMap;

use onitu_driver_memory::{Folding, Memory, MemoryService};
use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Found, Hint, Hints, Kind, Path, Plug, Sink, Source,
    State, Twins, twin,
};

mod exact {
    use crate::wrapped::Exact;
    onitu_conformance::suite!(Exact<onitu_driver_memory::Folding>);
}

mod untouched {
    use crate::wrapped::Exact;
    onitu_conformance::suite!(Exact<onitu_driver_memory::Everything>);
}

/// A folding storage and the runtime's view of it.
struct Scene {
    service: MemoryService,
    plug: Twins<Memory<Folding>>,
}

fn at(text: &str) -> Path {
    Path::new(text).expect("a path")
}

/// `path` with its last name encoded.
fn held(path: &str) -> Path {
    let path = at(path);
    let name = twin::encode(path.name()).expect("short");
    path.parent().expect("not the root").join(&name).expect("a path")
}

fn file(bytes: &[u8]) -> Content {
    let (size, checksum) = (bytes.len() as u64, Some(Checksum::of(bytes)));
    Content { kind: Kind::File, size, mtime_ns: 7, executable: false, checksum, media: None }
}

impl Scene {
    fn set() -> Self {
        let service = MemoryService::of::<Folding>();
        Self { plug: Twins::over(Memory::begin(service.clone())), service }
    }

    /// The same storage after a restart.
    fn restarted(self) -> Self {
        Self { plug: Twins::over(Memory::begin(self.service.clone())), service: self.service }
    }

    async fn place(&self, path: &str, bytes: &'static str) -> Result<State, Fault> {
        let (path, content) = (at(path), file(bytes.as_bytes()));
        let expect = self.plug.look(&path).await?.map(|state| state.tag);
        let mut sink = self.plug.write(&path, &content, 1).await?;
        sink.resumed().await?;
        sink.write(Bytes::from(bytes)).await?;
        sink.place(content, expect).await
    }

    async fn there(&self, path: &str) -> State {
        self.plug.look(&at(path)).await.expect("a look").unwrap_or_else(|| panic!("no `{path}`"))
    }

    async fn read(&self, path: &str) -> Option<String> {
        let state = self.plug.look(&at(path)).await.expect("a look")?;
        let mut source = self.plug.read(&at(path), state.tag, 0).await.expect("a source");
        let bytes = source.next(1_000).await.expect("bytes");
        Some(String::from_utf8(bytes.to_vec()).expect("text"))
    }

    async fn remove(&self, path: &str) {
        self.plug.remove(&at(path), self.there(path).await.tag).await.expect("removed");
    }

    /// What a listing tells: entries by name, and the names of problems.
    async fn list(&self, directory: &str) -> (BTreeMap<String, Kind>, Vec<String>) {
        let (sender, mut pages) = tokio::sync::mpsc::channel(100);
        self.plug.list(&at(directory), sender).await.expect("a listing");
        let (mut entries, mut problems) = (BTreeMap::new(), Vec::new());
        while let Some(page) = pages.recv().await {
            for found in page {
                match found {
                    Found::Entry { name, state } => {
                        let twice = entries.insert(name, state.content.kind);
                        assert_eq!(twice, None, "listed twice");
                    }
                    Found::Problem { name, .. } => problems.push(name),
                }
            }
        }
        (entries, problems)
    }

    async fn names(&self, directory: &str) -> Vec<String> {
        let (entries, problems) = self.list(directory).await;
        assert_eq!(problems, Vec::<String>::new());
        entries.into_keys().collect()
    }
}

#[tokio::test]
async fn two_twins_are_both_there_with_bytes_of_their_own() {
    let scene = Scene::set();
    for (one, other) in [("a.txt", "A.txt"), ("caf\u{e9}", "cafe\u{301}")] {
        scene.place(one, "one").await.expect("placed");
        scene.place(other, "other").await.expect("placed");
        scene.place(other, "another").await.expect("edited");
        assert_eq!(scene.read(one).await.as_deref(), Some("one"));
        assert_eq!(scene.read(other).await.as_deref(), Some("another"));
        assert_eq!(scene.service.read(&held(other)).expect("held"), "another");
    }
    assert_eq!(scene.names("").await, ["A.txt", "a.txt", "cafe\u{301}", "caf\u{e9}"]);
}

#[tokio::test]
async fn after_a_restart_twins_are_what_they_were() {
    let scene = Scene::set();
    scene.place("Docs/a", "one").await.expect("placed");
    scene.place("docs/A", "other").await.expect("placed");
    scene.place("docs/a", "third").await.expect("placed");
    let tag = scene.there("docs/a").await.tag;
    let scene = scene.restarted();
    assert_eq!(scene.there("docs/a").await.tag, tag, "the first look of all finds it");
    assert_eq!(scene.read("docs/A").await.as_deref(), Some("other"));
    assert_eq!(scene.names("").await, ["Docs", "docs"]);
    assert_eq!(scene.names("docs").await, ["A", "a"]);
    assert_eq!(scene.names("Docs").await, ["a"]);
}

#[tokio::test]
async fn removing_either_twin_leaves_the_other() {
    let scene = Scene::set();
    for name in ["a", "A"] {
        scene.place("a", "one").await.expect("placed");
        scene.place("A", "other").await.expect("placed");
        let left = if name == "a" { ("A", "other") } else { ("a", "one") };
        scene.remove(name).await;
        assert_eq!(scene.read(name).await, None);
        assert_eq!(scene.read(left.0).await.as_deref(), Some(left.1));
        assert_eq!(scene.names("").await, [left.0]);
        scene.remove(left.0).await;
    }
    assert!(scene.service.tree().is_empty());
}

#[tokio::test]
async fn a_rename_makes_a_twin_plain_or_encoded_as_there_is_room() {
    let scene = Scene::set();
    scene.place("a", "one").await.expect("placed");
    let other = scene.place("A", "other").await.expect("placed");
    let moved = scene.plug.rename(&at("A"), other.tag, &at("b"), None).await.expect("renamed");
    assert_eq!(scene.service.read(&at("b")).expect("plain"), "other");
    scene.plug.rename(&at("b"), moved.tag, &at("sub/A"), None).await.expect("renamed");
    assert_eq!(scene.service.read(&at("sub/A")).expect("plain"), "other");
    let tag = scene.there("sub/A").await.tag;
    scene.plug.rename(&at("sub/A"), tag, &at("A"), None).await.expect("renamed");
    assert_eq!(scene.service.read(&held("A")).expect("encoded"), "other");
    assert_eq!(scene.read("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_corrected_spelling_needs_no_encoded_name() {
    let scene = Scene::set();
    let old = scene.place("readme", "bytes").await.expect("placed");
    scene.plug.rename(&at("readme"), old.tag, &at("README"), None).await.expect("renamed");
    assert_eq!(scene.names("").await, ["README"]);
    assert!(scene.service.tree().contains_key(&at("README")));
}

#[tokio::test]
async fn a_directory_made_for_a_twin_is_encoded_and_all_below_it_is_plain() {
    let scene = Scene::set();
    scene.plug.make_directory(&at("docs"), None).await.expect("made");
    scene.plug.make_directory(&at("Docs"), None).await.expect("made");
    scene.place("Docs/deep/er/file", "bytes").await.expect("placed");
    let held = held("Docs").join("deep").and_then(|it| it.join("er")).expect("a path");
    assert_eq!(scene.service.read(&held.join("file").expect("a path")).expect("held"), "bytes");
    assert_eq!(scene.names("docs").await, Vec::<String>::new());
    let tag = scene.there("docs").await.tag;
    scene.plug.remove(&at("docs"), tag).await.expect("the plain one is empty");
    assert_eq!(scene.read("Docs/deep/er/file").await.as_deref(), Some("bytes"));
}

#[tokio::test]
async fn a_users_name_that_looks_encoded_is_not_mistaken() {
    let scene = Scene::set();
    let looks = format!("{}", held("A"));
    scene.place("a", "one").await.expect("placed");
    scene.place("A", "other").await.expect("placed");
    // As it may come from a service that once had a copy of this one.
    scene.place(&looks, "third").await.expect("placed");
    scene.place("x (twin 12345678)", "fourth").await.expect("placed");
    for (path, bytes) in [("a", "one"), ("A", "other"), (looks.as_str(), "third")] {
        assert_eq!(scene.read(path).await.as_deref(), Some(bytes), "{path}");
    }
    assert_eq!(scene.names("").await, ["A", looks.as_str(), "a", "x (twin 12345678)"]);
    assert!(scene.service.tree().contains_key(&at("x (twin 12345678)")), "no mark, no code");
}

#[tokio::test]
async fn what_a_user_makes_beside_an_encoded_file_counts_and_loses_nothing() {
    let scene = Scene::set();
    scene.place("a", "one").await.expect("placed");
    scene.place("A", "other").await.expect("placed");
    scene.service.remove(&at("a"));
    scene.service.save(&at("A"), "a user's").expect("saved");
    assert_eq!(scene.read("A").await.as_deref(), Some("a user's"));
    let (entries, problems) = scene.list("").await;
    assert_eq!(entries.into_keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(problems, [held("A").to_string()], "and the admin is told");
    assert_eq!(scene.service.read(&held("A")).expect("still there"), "other");
}

#[tokio::test]
async fn a_directory_that_a_user_makes_beside_an_encoded_one_hides_nothing() {
    let scene = Scene::set();
    scene.place("docs/file", "one").await.expect("placed");
    scene.place("Docs/file", "other").await.expect("placed");
    scene.place("Docs/second", "second").await.expect("placed");
    scene.service.remove(&at("docs"));
    scene.service.save(&at("Docs/third"), "third").expect("saved");
    for (path, bytes) in [("file", "other"), ("second", "second"), ("third", "third")] {
        assert_eq!(scene.read(&format!("Docs/{path}")).await.as_deref(), Some(bytes), "{path}");
    }
    assert_eq!(scene.names("").await, ["Docs"]);
    assert_eq!(scene.names("Docs").await, ["file", "second", "third"]);
}

#[tokio::test]
async fn a_twin_that_appears_while_a_file_is_written_costs_a_second_attempt() {
    let scene = Scene::set();
    let content = file(b"other");
    let mut sink = scene.plug.write(&at("A"), &content, 1).await.expect("begun");
    sink.write(Bytes::from("other")).await.expect("written");
    scene.service.save(&at("a"), "one").expect("saved");
    let placed = sink.place(content, None).await.map_err(|fault| fault.kind);
    assert_eq!(placed, Err(FaultKind::Cancelled), "and no `Taken` is told to the engine");
    scene.place("A", "other").await.expect("placed");
    assert_eq!(scene.read("a").await.as_deref(), Some("one"));
    assert_eq!(scene.read("A").await.as_deref(), Some("other"));
}

#[tokio::test]
async fn a_name_too_long_for_a_mark_is_reported_for_that_file_alone() {
    let scene = Scene::set();
    let (small, large) = ("n".repeat(250), "N".repeat(250));
    scene.place(&small, "one").await.expect("placed");
    let placed = scene.place(&large, "other").await.map_err(|fault| fault.kind);
    assert_eq!(placed, Err(FaultKind::InvalidName));
    let made = scene.plug.make_directory(&at(&large), None).await.map_err(|fault| fault.kind);
    assert_eq!(made, Err(FaultKind::InvalidName));
    assert_eq!(scene.read(&small).await.as_deref(), Some("one"));
    assert_eq!(scene.read(&large).await, None);
}

#[tokio::test]
async fn hints_name_the_path_that_is_meant() {
    let scene = Scene::set();
    scene.place("docs/a", "one").await.expect("placed");
    scene.place("Docs/A", "other").await.expect("placed");
    let hints = Hints::default();
    let edit = async {
        // Lets the watch begin first.
        tokio::task::yield_now().await;
        let in_encoded = held("Docs").join("A").expect("a path");
        scene.service.write(&in_encoded, "edited", false).expect("edited");
        hints.take().await
    };
    let gathered = tokio::select! {
        biased;
        end = scene.plug.watch(hints.clone()) => panic!("{end:?}"),
        gathered = edit => gathered,
    };
    assert_eq!(gathered.paths, BTreeMap::from([(at("Docs/A"), Hint::Written)]));
    assert_eq!(scene.read("Docs/A").await.as_deref(), Some("edited"));
}
