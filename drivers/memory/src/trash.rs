//! The trash of a storage: what its driver removed or replaced, until it is put back or too much.

use std::collections::VecDeque;

use bytes::Bytes;
use onitu_plug::{
    Checksum, Fault, FaultKind, Kind, Path, State, Tag, TrashPage, TrashQuery, Trashed, Why,
};

use crate::storage::{Storage, changed};
use crate::tree::{Body, Thing};

/// Most things the trash keeps; the oldest go first.
const TRASH_MAX: usize = 65_536;

/// Everything that was thrown away, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    kept: VecDeque<Buried>,
    ids: u64,
}

#[derive(Debug)]
struct Buried {
    id: u64,
    path: Path,
    thing: Thing,
    at_ms: u64,
    why: Why,
}

impl Buried {
    fn bytes(&self) -> Bytes {
        match &self.thing {
            Thing::File { bytes, .. } => bytes.clone(),
            Thing::Symlink { target } => Bytes::from(target.clone()),
            Thing::Directory | Thing::Strange => Bytes::new(),
        }
    }

    fn told(&self) -> Trashed {
        let (kind, mtime_ns) = match &self.thing {
            Thing::File { mtime_ns, .. } => (Kind::File, *mtime_ns),
            _ => (Kind::Symlink, 0),
        };
        Trashed {
            id: self.id.to_string(),
            path: self.path.clone(),
            at_ms: self.at_ms,
            kind,
            size: self.bytes().len() as u64,
            mtime_ns,
            why: self.why,
        }
    }
}

impl Trash {
    /// Path and bytes of everything, oldest first.
    pub(crate) fn contents(&self) -> Vec<(Path, Bytes)> {
        self.kept.iter().map(|buried| (buried.path.clone(), buried.bytes())).collect()
    }

    fn bury(&mut self, path: &Path, thing: Thing, at_ms: u64, why: Why) {
        self.ids += 1;
        self.kept.push_back(Buried { id: self.ids, path: path.clone(), thing, at_ms, why });
        while self.kept.len() > TRASH_MAX {
            self.kept.pop_front();
        }
    }

    fn at(&self, id: &str) -> Result<usize, Fault> {
        let id =
            id.parse().ok().and_then(|id| self.kept.binary_search_by_key(&id, |it| it.id).ok());
        let missing = || Fault::new(FaultKind::NotFound, "it is no longer in the trash");
        id.ok_or_else(missing)
    }

    /// As [`onitu_plug::Plug::trash`].
    pub(crate) fn page(&self, query: &TrashQuery) -> TrashPage {
        let before: u64 = query.cursor.as_ref().map_or(u64::MAX, |it| it.parse().unwrap_or(0));
        let mut items = self.kept.iter().rev().filter(|it| {
            it.id < before && it.at_ms > query.after_ms && it.path.is_within(&query.below)
        });
        let items: Vec<_> = items.by_ref().take(query.limit).map(Buried::told).collect();
        let is_full = items.len() == query.limit;
        TrashPage { next: items.last().filter(|_| is_full).map(|last| last.id.clone()), items }
    }

    /// As [`onitu_plug::Plug::hash_trashed`].
    pub(crate) fn hash(&self, id: &str) -> Result<Checksum, Fault> {
        Ok(Checksum::of(&self.kept[self.at(id)?].bytes()))
    }
}

impl Storage {
    /// Keeps what is about to go, where the storage has a trash.
    pub(crate) fn bury(&mut self, path: &Path, number: Option<u64>, why: Why) {
        let thing = number.and_then(|number| self.tree.node(number)).map(crate::tree::Node::thing);
        let state = number.and_then(|number| self.tree.state(path, number).ok());
        if let (Some(Thing::File { bytes, .. }), Some(state)) = (&thing, state)
            && !self.told.contains(&state.tag)
        {
            self.work.unseen.push((path.clone(), bytes.clone()));
        }
        let thing = thing.filter(|it| matches!(it, Thing::File { .. } | Thing::Symlink { .. }));
        if let Some(thing) = thing.filter(|_| self.tree.abilities().trash) {
            self.trash.bury(path, thing, self.now_ms(), why);
        }
    }

    /// As [`onitu_plug::Plug::restore`].
    pub(crate) fn restore(
        &mut self,
        id: &str,
        path: &Path,
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let at = self.trash.at(id)?;
        let replaced = self.expect(path, expect)?;
        if replaced.is_some_and(|number| self.tree.directory(number).is_some()) {
            return Err(changed(path));
        }
        self.refuse_blocked(path)?;
        let Some(buried) = self.trash.kept.remove(at) else { return Err(changed(path)) };
        self.bury(path, replaced, Why::Restored);
        let (body, mtime_ns) = match buried.thing {
            Thing::File { bytes, executable, mtime_ns } => {
                (Body::File { bytes, executable }, mtime_ns)
            }
            Thing::Symlink { target } => (Body::Symlink(target), 0),
            Thing::Directory | Thing::Strange => return Err(changed(path)),
        };
        let number = self.tree.put(path, body, mtime_ns)?;
        self.tell(path, onitu_plug::Hint::Changed);
        self.tree.state(path, number)
    }
}
