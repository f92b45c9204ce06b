//! The tree below a path, in order and page by page, so that a million entries need little memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use onitu_core::status::Entry;
use onitu_core::store::{Registry, Store, StoreError};
use onitu_core::{Kind, Path, Record};

use crate::name;

/// Most entries of one page.
const PAGE_ENTRIES_MAX: usize = 256;
/// Most directories that are read in one round trip.
const AHEAD_MAX: usize = 32;
/// How far ahead such directories are looked for, in names.
const AHEAD_NAMES_MAX: usize = 1_024;

/// A walk over the living records below a path. Parents come before their children and the names
/// of one directory in order; its memory is bounded by the directories on the way down.
pub(crate) struct Walk {
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    /// The entry of the starting point, if it has one.
    first: Option<Entry>,
    /// The open directories, outermost first.
    open: Vec<Directory>,
}

struct Directory {
    path: Path,
    rest: VecDeque<(String, Record)>,
    /// Contents of sub-directories still to come, read ahead.
    ahead: BTreeMap<Path, BTreeMap<String, Record>>,
}

impl Directory {
    /// The sub-directories that come next.
    fn next_directories(&self) -> impl Iterator<Item = Path> + '_ {
        self.rest
            .iter()
            .take(AHEAD_NAMES_MAX)
            .filter(|(_, record)| record.content.kind == Kind::Directory)
            .filter_map(|(name, _)| self.path.join(name).ok())
            .take(AHEAD_MAX - 1)
    }
}

/// Why a path can't be walked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// Nothing is known of it.
    #[error("`{0}` doesn't exist")]
    NotFound(Path),
    /// The store is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Walk {
    /// Begins at `start`: a directory, a file or the root.
    pub(crate) async fn new(
        store: Arc<dyn Store>,
        registry: Arc<Registry>,
        start: Path,
    ) -> Result<Self, WalkError> {
        let mut walk = Self { store, registry, first: None, open: Vec::new() };
        if !start.is_root() {
            let records = walk.store.get(std::slice::from_ref(&start)).await?;
            let Some(record) = records.into_iter().flatten().find(|record| !record.gone) else {
                return Err(WalkError::NotFound(start));
            };
            walk.first = Some(walk.entry(start.clone(), &record));
            if record.content.kind != Kind::Directory {
                return Ok(walk);
            }
        }
        let listed = walk.store.list(std::slice::from_ref(&start)).await?;
        walk.enter(start, listed.into_iter().next().unwrap_or_default());
        Ok(walk)
    }

    /// The next entries; an empty page is the end.
    pub(crate) async fn page(&mut self) -> Result<Vec<Entry>, StoreError> {
        let mut page: Vec<Entry> = self.first.take().into_iter().collect();
        while page.len() < PAGE_ENTRIES_MAX {
            let Some((path, record)) = self.next() else { break };
            if !record.gone {
                page.push(self.entry(path.clone(), &record));
            }
            // A directory whose removal is under way may still have living children.
            if record.content.kind == Kind::Directory {
                let listed = self.listed(&path).await?;
                self.enter(path, listed);
            }
        }
        Ok(page)
    }

    fn next(&mut self) -> Option<(Path, Record)> {
        while let Some(directory) = self.open.last_mut() {
            // A name that makes no legal path was never written; skipping it loses nothing.
            if let Some((name, record)) = directory.rest.pop_front() {
                if let Ok(path) = directory.path.join(&name) {
                    return Some((path, record));
                }
            } else {
                self.open.pop();
            }
        }
        None
    }

    fn enter(&mut self, path: Path, records: BTreeMap<String, Record>) {
        let rest = records.into_iter().collect();
        self.open.push(Directory { path, rest, ahead: BTreeMap::new() });
    }

    /// What is inside `path`, a sub-directory of the innermost open directory.
    async fn listed(&mut self, path: &Path) -> Result<BTreeMap<String, Record>, StoreError> {
        let Some(directory) = self.open.last_mut() else { return Ok(BTreeMap::new()) };
        if let Some(records) = directory.ahead.remove(path) {
            return Ok(records);
        }
        let mut wanted = vec![path.clone()];
        wanted.extend(directory.next_directories());
        let mut listed = self.store.list(&wanted).await?.into_iter();
        let records = listed.next().unwrap_or_default();
        directory.ahead = wanted.into_iter().skip(1).zip(listed).collect();
        Ok(records)
    }

    fn entry(&self, path: Path, record: &Record) -> Entry {
        let holders = record
            .current_holders()
            .map(|holder| name::of(&self.registry, holder.service))
            .collect();
        Entry {
            path,
            kind: record.content.kind,
            size: record.content.size,
            mtime_ns: record.content.mtime_ns,
            holders,
        }
    }
}

#[cfg(test)]
mod tests;
