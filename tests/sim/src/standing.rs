//! A storage and where in the tree it stands (`at`): everything here is told and done by the tree's
//! paths, whatever the storage calls them.

use std::ops::Deref;

use bytes::Bytes;
use onitu_core::Path;
use onitu_driver_memory::{MemoryService, Thing};
use onitu_plug::{Fault, FaultKind};

use crate::user::Tree;

/// A storage that stands at a directory of the tree, which may be the tree's root. What has no path
/// in it (faults, clocks, counts) is the storage's own.
#[derive(Clone)]
pub(crate) struct Standing {
    storage: MemoryService,
    at: Path,
}

impl Deref for Standing {
    type Target = MemoryService;

    fn deref(&self) -> &MemoryService {
        &self.storage
    }
}

impl Standing {
    pub(crate) fn new(storage: MemoryService, at: Path) -> Self {
        Self { storage, at }
    }

    /// The storage itself, for its driver.
    pub(crate) fn storage(&self) -> MemoryService {
        self.storage.clone()
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    /// Whether the path is the directory at which it stands, or one that leads there: these are
    /// there without being in the storage.
    pub(crate) fn is_virtual(&self, path: &Path) -> bool {
        !self.at.is_root() && !path.is_root() && self.at.is_within(path)
    }

    /// The storage's own name of what its users can change.
    fn own(&self, path: &Path) -> Option<Path> {
        if self.at.is_root() {
            return Some(path.clone());
        }
        let below = path.as_str().strip_prefix(self.at.as_str())?.strip_prefix('/')?;
        Path::new(below).ok()
    }

    fn inside(&self, path: &Path) -> Result<Path, Fault> {
        let outside = || Fault::new(FaultKind::Denied, format!("`{path}` is not in `{}`", self.at));
        self.own(path).ok_or_else(outside)
    }

    /// Whether its users can have anything at the path.
    pub(crate) fn has_room_for(&self, path: &Path) -> bool {
        self.own(path).is_some()
    }

    /// That path, or what it is called here if it is outside.
    pub(crate) fn reached(&self, path: Path) -> Path {
        if self.has_room_for(&path) {
            return path;
        }
        self.at.join(path.as_str()).unwrap_or(path)
    }

    /// Everything that is there, and the directories that lead to it.
    pub(crate) fn tree(&self) -> Tree {
        if self.at.is_root() {
            return self.storage.tree();
        }
        let held = self.storage.tree().into_iter();
        let mut tree: Tree =
            held.filter_map(|(path, it)| Some((self.at.join(path.as_str()).ok()?, it))).collect();
        let above = std::iter::successors(Some(self.at.clone()), Path::parent);
        tree.extend(above.filter(|it| !it.is_root()).map(|it| (it, Thing::Directory)));
        tree
    }

    pub(crate) fn thing(&self, path: &Path) -> Option<Thing> {
        if self.is_virtual(path) {
            return Some(Thing::Directory);
        }
        self.storage.thing(&self.own(path)?)
    }

    pub(crate) fn half_written_paths(&self) -> Vec<Path> {
        let paths = self.storage.half_written_paths().into_iter();
        paths.filter_map(|path| self.at.join(path.as_str()).ok()).collect()
    }

    pub(crate) fn write(&self, path: &Path, bytes: Bytes, executable: bool) -> Result<(), Fault> {
        self.storage.write(&self.inside(path)?, bytes, executable)
    }

    pub(crate) fn save(&self, path: &Path, bytes: Bytes) -> Result<(), Fault> {
        self.storage.save(&self.inside(path)?, bytes)
    }

    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.storage.append(&self.inside(path)?, bytes)
    }

    pub(crate) fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        self.storage.symlink(&self.inside(path)?, target)
    }

    pub(crate) fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        self.storage.make_directory(&self.inside(path)?)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.storage.rename(&self.inside(from)?, &self.inside(to)?)
    }

    pub(crate) fn remove(&self, path: &Path) {
        if let Some(own) = self.own(path) {
            self.storage.remove(&own);
        }
    }

    pub(crate) fn set_executable(&self, path: &Path, to: bool) {
        if let Some(own) = self.own(path) {
            self.storage.set_executable(&own, to);
        }
    }

    pub(crate) fn touch(&self, path: &Path, mtime_ns: i64) {
        if let Some(own) = self.own(path) {
            self.storage.touch(&own, mtime_ns);
        }
    }
}
