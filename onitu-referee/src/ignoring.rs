//! Which ignore files there are, and what is published of them.
//!
//! The records say which ignore files live and with which content; what that content says, drivers
//! have told before they told of the file. Both together, with the rules and the setting for junk,
//! are the set that everybody goes by. A set is only followed by another when every path that the
//! first one ignores has been forgotten: else a record that nobody kept up to date would make what
//! is looked at again seem deleted.

use std::collections::BTreeMap;

use onitu_core::ignore::{
    FILE_BYTES_MAX, FILES_MAX, IgnoreSet, IgnoreText, Ignoring, TEXTS_BYTES_MAX, file_in,
    is_ignore_file,
};
use onitu_core::store::{Registry, Store, StoreError};
use onitu_core::{Checksum, Kind, Path, Record, clock};

/// Most ignore files that are remembered, the first by path: those beyond have no effect anyway.
const LIVING_MAX: usize = 2 * FILES_MAX;

/// The ignore files of all records, and the set that was published.
#[derive(Default)]
pub(crate) struct Files {
    published: IgnoreSet,
    /// By their directory.
    living: BTreeMap<Path, Checksum>,
    /// Whether those may be others than are published.
    stale: bool,
    /// Whether nobody has told what some of them say.
    is_missing: bool,
}

impl Files {
    /// What was published before, if anything was.
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let published = store.ignoring(0).await?.unwrap_or_default();
        Ok(Self { published, stale: true, ..Self::default() })
    }

    /// What is in force.
    pub(crate) fn published(&self) -> &IgnoreSet {
        &self.published
    }

    /// All records are about to be gone through.
    pub(crate) fn begin(&mut self) {
        self.living.clear();
        self.stale = true;
    }

    /// Some time has passed: what nobody had told by then may be told by now.
    pub(crate) fn look_again(&mut self) {
        self.stale |= self.is_missing;
    }

    /// What the record of a path is now.
    pub(crate) fn note(&mut self, path: &Path, record: Option<&Record>) {
        let Some(directory) = path.parent().filter(|_| is_ignore_file(path)) else { return };
        let usable = |record: &&Record| {
            !record.gone
                && record.content.kind == Kind::File
                && record.content.size <= FILE_BYTES_MAX
        };
        self.stale = true;
        match record.filter(usable).map(|record| record.content.checksum) {
            Some(Some(checksum)) => drop(self.living.insert(directory, checksum)),
            // Its driver is about to tell.
            Some(None) => {}
            None => drop(self.living.remove(&directory)),
        }
        while self.living.len() > LIVING_MAX {
            self.living.pop_last();
        }
    }

    /// Publishes what is to be ignored from now on, if that is something else than before. To be
    /// called only while all records have been gone through since the last time.
    pub(crate) async fn publish(
        &mut self,
        store: &dyn Store,
        registry: &Registry,
    ) -> Result<Option<Ignoring>, StoreError> {
        let mut set = IgnoreSet {
            version: self.published.version,
            keeps_junk: registry.keeps_junk,
            rules: registry.rules.clone(),
            services: registry.names(),
            files: self.published.files.clone(),
            unused: self.published.unused.clone(),
        };
        if std::mem::take(&mut self.stale) {
            let filled = self.fill(&mut set, store).await;
            self.stale = filled.is_err();
            filled?;
        }
        if self.published.version != 0 && set.says_the_same(&self.published) {
            return Ok(None);
        }
        // By the clock too: a store that was lost knows no version before.
        set.version = clock::now_ms().max(self.published.version + 1);
        store.set_ignoring(&set).await?;
        let ignoring = Ignoring::compile(&set);
        tracing::info!(version = set.version, files = set.files.len(), "what is ignored changed");
        self.published = set;
        Ok(Some(ignoring))
    }

    /// What the living files say. One whose text nobody has told keeps what it said before.
    async fn fill(&mut self, set: &mut IgnoreSet, store: &dyn Store) -> Result<(), StoreError> {
        let mut texts: BTreeMap<(Path, Checksum), IgnoreText> = BTreeMap::new();
        for ((_, path), text) in store.ignore_texts().await? {
            texts.insert((path, text.checksum), text);
        }
        let before = std::mem::take(&mut set.files);
        set.unused.clear();
        let was_missing = std::mem::take(&mut self.is_missing);
        let mut bytes = 0;
        for (directory, sum) in &self.living {
            let file = file_in(directory);
            let told = texts.remove(&(file.clone(), *sum));
            let Some(text) = told.or_else(|| before.get(directory).cloned()) else {
                if !was_missing {
                    tracing::warn!(%file, "nobody has told yet what this ignore file says");
                }
                self.is_missing = true;
                continue;
            };
            bytes += text.text.len();
            if set.files.len() < FILES_MAX && bytes <= TEXTS_BYTES_MAX {
                set.files.insert(directory.clone(), text);
            } else {
                set.unused.push(file);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use onitu_core::store::MemoryStore;
    use onitu_core::{Content, ServiceId, Tag};

    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).expect("a path")
    }

    fn record(text: &[u8]) -> Record {
        let checksum = Some(Checksum::of(text));
        let size = text.len() as u64;
        let content = Content { kind: Kind::File, size, checksum, ..Content::DIRECTORY };
        let mut record = Record::new(content);
        record.set_holder(ServiceId(1), 1, Tag::of(text));
        record
    }

    async fn tell(store: &MemoryStore, service: u16, file: &str, text: &[u8]) {
        let text = IgnoreText::of(text);
        store.set_ignore_text(ServiceId(service), &path(file), &text).await.expect("noted");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_recorded_content_says_is_published_once_and_outlives_the_referee() {
        let (store, registry) = (MemoryStore::new(), Registry::default());
        let mut files = Files::load(&store).await.expect("loaded");
        let first = files.publish(&store, &registry).await.expect("published").expect("the first");
        assert!(first.covers(&path("a/.DS_Store"), Kind::File));
        assert!(files.publish(&store, &registry).await.expect("asked").is_none(), "nothing new");

        // Two services say two things; the record says which of them counts.
        tell(&store, 1, "d/.onituignore", b"old").await;
        tell(&store, 2, "d/.onituignore", b"new").await;
        files.note(&path("d/.onituignore"), Some(&record(b"new")));
        files.note(&path("d/other"), Some(&record(b"old")));
        let second = files.publish(&store, &registry).await.expect("published").expect("another");
        assert!(second.covers(&path("d/new"), Kind::File) && second.version() > first.version());
        assert!(!second.covers(&path("d/old"), Kind::File));

        let mut later = Files::load(&store).await.expect("loaded");
        later.note(&path("d/.onituignore"), Some(&record(b"new")));
        assert!(later.publish(&store, &registry).await.expect("asked").is_none());
        later.note(&path("d/.onituignore"), None);
        let third = later.publish(&store, &registry).await.expect("published").expect("another");
        assert!(!third.covers(&path("d/new"), Kind::File) && third.version() > second.version());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_whose_text_nobody_told_says_what_it_said() {
        let (store, registry) = (MemoryStore::new(), Registry::default());
        let mut files = Files::load(&store).await.expect("loaded");
        tell(&store, 1, ".onituignore", b"x").await;
        files.note(&path(".onituignore"), Some(&record(b"x")));
        files.publish(&store, &registry).await.expect("published").expect("the first");
        files.note(&path(".onituignore"), Some(&record(b"unheard")));
        assert!(files.publish(&store, &registry).await.expect("asked").is_none());
        let large = Content { size: FILE_BYTES_MAX + 1, ..record(b"x").content };
        files.note(&path(".onituignore"), Some(&Record::new(large)));
        let without = files.publish(&store, &registry).await.expect("published").expect("less");
        assert!(!without.covers(&path("x"), Kind::File), "one that is too large has no effect");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_files_are_told_and_the_first_of_them_hold() {
        let (store, registry) = (MemoryStore::new(), Registry::default());
        let mut files = Files::load(&store).await.expect("loaded");
        for at in 0..=FILES_MAX {
            let file = format!("d{at:05}/.onituignore");
            tell(&store, 1, &file, b"x").await;
            files.note(&path(&file), Some(&record(b"x")));
        }
        let set = files.publish(&store, &registry).await.expect("published").expect("a set");
        assert!(set.covers(&path("d00000/x"), Kind::File));
        assert!(!set.covers(&path(&format!("d{FILES_MAX:05}/x")), Kind::File));
        assert_eq!(set.problems().len(), 1);
        assert!(files.publish(&store, &registry).await.expect("asked").is_none());
    }
}
