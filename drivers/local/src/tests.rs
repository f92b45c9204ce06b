//! The driver on real folders. Each module is one of its promises.

mod changes;
mod durability;
mod links;
mod lists;
mod locks;
mod ordering;
mod reads;
mod roots;
mod trash;
mod watches;
mod writes;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Found, Kind, Path, Plug, Setting, Sink, Source,
    State, Tag,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{Local, Options};

/// A driver on a folder of its own.
pub(crate) struct Home {
    pub(crate) local: Local,
    pub(crate) folder: TempDir,
}

pub(crate) fn setting(known: bool) -> Setting {
    Setting {
        service: "home".to_owned(),
        known,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: None,
    }
}

pub(crate) fn path(text: &str) -> Path {
    Path::new(text).expect("a valid path")
}

pub(crate) async fn home() -> Home {
    let folder = TempDir::new().expect("a temporary folder");
    let local = connect(folder.path(), false).await.expect("connects");
    Home { local, folder }
}

pub(crate) async fn connect(
    folder: impl Into<PathBuf> + Send,
    known: bool,
) -> Result<Local, Fault> {
    Local::connect(Options::new(folder), setting(known)).await
}

/// A file of these bytes, as another service describes it.
pub(crate) fn file(bytes: &[u8]) -> Content {
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 1_600_000_000_123_456_789,
        executable: false,
        checksum: Some(Checksum::of(bytes)),
        media: None,
    }
}

/// A link to this target.
pub(crate) fn link(target: &str) -> Content {
    Content { kind: Kind::Symlink, mtime_ns: 0, ..file(target.as_bytes()) }
}

impl Home {
    /// Where the user sees `name`.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As a user would.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let at = self.at(name);
        fs::create_dir_all(at.parent().expect("inside the folder")).expect("directories");
        fs::write(at, bytes).expect("a user's file");
    }

    /// As a user would.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).expect("a user's file")
    }

    pub(crate) async fn state(&self, name: &str) -> Option<State> {
        self.local.look(&path(name)).await.expect("can be looked at")
    }

    pub(crate) async fn tag(&self, name: &str) -> Tag {
        self.state(name).await.expect("is there").tag
    }

    pub(crate) async fn place(
        &self,
        name: &str,
        content: Content,
        bytes: &[u8],
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let mut sink = self.local.write(&path(name), &content, 1).await?;
        for piece in bytes.chunks(1024 * 1024) {
            sink.write(Bytes::copy_from_slice(piece)).await?;
        }
        sink.place(content, expect).await
    }

    pub(crate) async fn put(
        &self,
        name: &str,
        bytes: &[u8],
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        self.place(name, file(bytes), bytes, expect).await
    }

    pub(crate) async fn get(&self, name: &str, tag: Tag, max: u32) -> Result<Vec<u8>, Fault> {
        drain(self.local.read(&path(name), tag, 0).await?, max).await
    }

    pub(crate) async fn list(&self, name: &str) -> Result<Vec<Found>, Fault> {
        let (listing, mut pages) = mpsc::channel(1);
        let directory = path(name);
        let gathered = async {
            let mut found = Vec::new();
            while let Some(page) = pages.recv().await {
                found.extend(page);
            }
            found
        };
        let (told, mut found) = tokio::join!(self.local.list(&directory, listing), gathered);
        found.sort_by(|one, two| name_of(one).cmp(name_of(two)));
        told.map(|()| found)
    }

    pub(crate) async fn names(&self, name: &str) -> Vec<String> {
        let found = self.list(name).await.expect("can be listed");
        found.iter().map(|found| name_of(found).to_owned()).collect()
    }

    /// What the trash holds: (path it had, bytes).
    pub(crate) fn trash(&self) -> Vec<(String, Vec<u8>)> {
        let mut kept = Vec::new();
        for day in fs::read_dir(self.at(".onitu/trash")).expect("a trash").flatten() {
            let Ok(index) = fs::read_to_string(day.path().join("index")) else { continue };
            for line in index.lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                let thing = day.path().join(line["id"].as_str().expect("an id"));
                let Ok(found) = thing.symlink_metadata() else { continue };
                let bytes = if found.is_symlink() {
                    let target = fs::read_link(&thing).expect("a link");
                    target.into_os_string().into_encoded_bytes()
                } else {
                    fs::read(&thing).expect("a file")
                };
                kept.push((line["path"].as_str().expect("a path").to_owned(), bytes));
            }
        }
        kept.sort();
        kept
    }

    /// Nothing temporary is left.
    pub(crate) fn assert_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.at(".onitu/tmp")).expect("there").flatten().collect();
        assert!(left.is_empty(), "left in .onitu/tmp: {left:?}");
    }
}

pub(crate) async fn drain(mut source: impl Source, max: u32) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    loop {
        let piece = source.next(max).await?;
        assert!(piece.len() <= max as usize);
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(piece);
    }
}

pub(crate) fn name_of(found: &Found) -> &str {
    match found {
        Found::Entry { name, .. } | Found::Problem { name, .. } => name,
    }
}

pub(crate) fn kind_of<T: std::fmt::Debug>(outcome: Result<T, Fault>) -> FaultKind {
    outcome.expect_err("should have failed").kind
}

/// Some bytes that are not the same anywhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Without the right to go past permissions that root has: this thread and those it starts.
pub(crate) fn without_privileges() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).expect("capabilities");
    let all = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    sets.effective.remove(all);
    set_capabilities(None, sets).expect("fewer capabilities");
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < limit, "not in 20 s: {what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn mode(at: PathBuf) -> u32 {
    fs::metadata(at).expect("there").permissions().mode() & 0o7777
}

pub(crate) fn mtime_ns(at: PathBuf) -> i64 {
    let found = fs::metadata(at).expect("there");
    found.mtime() * 1_000_000_000 + found.mtime_nsec()
}
