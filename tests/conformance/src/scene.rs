//! A case's stage: a fresh storage, the driver connected to it, and the verbs cases are told in.
//!
//! The verbs act as the runtime does: `place` begins a file under a key of its own, asks what can
//! be resumed, writes in chunks of an odd size and puts it in place. Those that answer a `Fault`
//! leave it to the case what should happen; those that answer [`Broken`] know it themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::{Abilities, Checksum, Content, Fault, Found, Kind, Path, Plug, Sink, State, Tag};
use tokio::sync::mpsc;

use crate::promise::Broken;
use crate::subject::Subject;
use crate::through;

/// The mtime of files that the suite writes: whole seconds, since many protocols have no finer.
const MTIME_NS: i64 = 1_600_000_000_000_000_000;

/// Files that a user in a hurry writes at once.
const WRITES_AT_ONCE: usize = 8;

/// The driver under test, connected to a fresh storage.
pub struct Scene<S: Subject> {
    /// The storage and its user.
    pub subject: S,
    /// The driver; shared, so that tasks may use it at once.
    pub plug: Arc<S::Plug>,
}

/// A path of the suite's own.
///
/// # Panics
/// When the text is no path, which is a mistake of the case.
pub fn at(text: &str) -> Path {
    Path::new(text).unwrap_or_else(|error| unreachable!("a case names no path: {error}"))
}

/// The content of a file with these bytes: checksum and size are theirs, its time is a whole second
/// in 2020, and nobody may execute it.
pub fn file(bytes: &[u8]) -> Content {
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: MTIME_NS,
        executable: false,
        checksum: Some(Checksum::of(bytes)),
        media: None,
    }
}

impl<S: Subject> Scene<S> {
    /// A fresh storage with the driver connected.
    pub async fn set() -> Result<Self, Broken> {
        let subject = S::fresh().await;
        let plug = Arc::new(subject.connect(false).await?);
        Ok(Self { subject, plug })
    }

    /// The same storage with the driver connected anew, as after a crash: whatever the old one
    /// was doing was dropped.
    pub async fn reconnect(self) -> Result<Self, Broken> {
        let Self { subject, plug } = self;
        drop(plug);
        let plug = Arc::new(subject.connect(true).await?);
        Ok(Self { subject, plug })
    }

    /// What the driver can do with this storage.
    pub fn abilities(&self) -> Abilities {
        self.plug.abilities()
    }

    /// Begins a file as the runtime does, under a key of its own, so that nothing is resumed.
    pub async fn begin(
        &self,
        path: &str,
        content: &Content,
    ) -> Result<<S::Plug as Plug>::Sink, Fault> {
        let mut sink = self.plug.write(&at(path), content, through::fresh_key()).await?;
        sink.resumed().await?;
        Ok(sink)
    }

    /// Places a file where nothing is.
    pub async fn place(&self, path: &str, bytes: &[u8]) -> Result<State, Fault> {
        self.place_over(path, bytes, None).await
    }

    /// Places a file where `expect` stands.
    pub async fn place_over(
        &self,
        path: &str,
        bytes: &[u8],
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        self.place_content(path, file(bytes), bytes, expect).await
    }

    /// Places a symbolic link where nothing is.
    pub async fn place_link(&self, path: &str, target: &str) -> Result<State, Fault> {
        let content = Content { kind: Kind::Symlink, ..file(target.as_bytes()) };
        self.place_content(path, content, target.as_bytes(), None).await
    }

    /// Places bytes as `content` describes them, where `expect` stands.
    pub async fn place_content(
        &self,
        path: &str,
        content: Content,
        bytes: &[u8],
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let mut sink = self.begin(path, &content).await?;
        for chunk in bytes.chunks(100_003) {
            sink.write(Bytes::copy_from_slice(chunk)).await?;
        }
        sink.place(content, expect).await
    }

    /// Writes as the user, some files at once: one after the other, thousands would take minutes on
    /// a storage that is far away.
    pub async fn users_write(&self, names: &[String], bytes: &[u8]) -> Result<(), Fault> {
        for some in names.chunks(WRITES_AT_ONCE) {
            let paths: Vec<Path> = some.iter().map(|name| at(name)).collect();
            let writes = paths.iter().map(|path| self.subject.write(path, bytes));
            futures_util::future::try_join_all(writes).await?;
        }
        Ok(())
    }

    /// What the driver sees at the path.
    pub async fn look(&self, path: &str) -> Result<Option<State>, Fault> {
        self.plug.look(&at(path)).await
    }

    /// The state at the path, where something must be.
    pub async fn there(&self, path: &str) -> Result<State, Broken> {
        let found = self.look(path).await?;
        found.ok_or_else(|| Broken::new(format!("`{path}` should be there, but nothing is")))
    }

    /// Holds if nothing is at the path.
    pub async fn absent(&self, path: &str) -> Result<(), Broken> {
        match self.look(path).await? {
            None => Ok(()),
            Some(state) => Err(Broken::new(format!("nothing should be at `{path}`: {state:?}"))),
        }
    }

    /// Everything that is read of the path in the state with this tag.
    pub async fn read(&self, path: &str, state: &State) -> Result<Vec<u8>, Fault> {
        through::read(&*self.plug, &at(path), state).await
    }

    /// Holds if the path has exactly these bytes. It is looked at and read in the state that was
    /// seen, so a path that changes meanwhile is broken, too.
    pub async fn holds(&self, path: &str, bytes: &[u8]) -> Result<(), Broken> {
        let state = self.there(path).await?;
        let found = self.read(path, &state).await?;
        if found == bytes {
            return Ok(());
        }
        Err(Broken::new(format!(
            "`{path}` should hold {}, but holds {}",
            shown(bytes),
            shown(&found)
        )))
    }

    /// Everything that is found in the directory, page by page.
    pub async fn pages(&self, directory: &str) -> Result<Vec<Vec<Found>>, Fault> {
        let (sender, mut receiver) = mpsc::channel(2);
        let directory = at(directory);
        let read = async {
            let mut pages = Vec::new();
            while let Some(page) = receiver.recv().await {
                pages.push(page);
            }
            pages
        };
        let (listed, pages) = tokio::join!(self.plug.list(&directory, sender), read);
        listed.map(|()| pages)
    }

    /// Everything that is found in the directory.
    pub async fn list(&self, directory: &str) -> Result<Vec<Found>, Fault> {
        Ok(self.pages(directory).await?.into_iter().flatten().collect())
    }

    /// The names of the entries in the directory; a problem is none.
    pub async fn names(&self, directory: &str) -> Result<BTreeSet<String>, Fault> {
        let entries = self.list(directory).await?.into_iter().filter_map(|found| match found {
            Found::Entry { name, .. } => Some(name),
            Found::Problem { .. } => None,
        });
        Ok(entries.collect())
    }

    /// Holds if the trash, where it can be looked into, has these bytes.
    pub async fn trash_has(&self, bytes: &[u8]) -> Result<bool, Broken> {
        let trash = self.subject.trash().await?;
        Ok(trash.is_none_or(|trash| trash.iter().any(|it| it == bytes)))
    }
}

/// Bytes as they are shown to a person: whole if few, else their beginning.
fn shown(bytes: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    format!("{} bytes {beginning:?}", bytes.len())
}
