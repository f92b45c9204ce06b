//! The storage as its user has it: edited behind the driver's back, never failing by chance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use onitu_plug::{Abilities, Fault, FaultKind, Hint, Path};

use crate::abilities::{Able, Everything};
use crate::faults::{Dice, Faults};
use crate::storage::{Storage, Work};
use crate::tree::{Body, Directory, Thing};

/// The storages of this process that have a name, for [`MemoryService::named`].
static NAMED: Mutex<BTreeMap<String, MemoryService>> = Mutex::new(BTreeMap::new());

/// A storage in memory. Cloning gives another handle to the same one; it lives as long as any
/// handle, so that it outlives the crashes of drivers over it.
///
/// The methods that edit are a user's: they take effect at once, make missing parents, move
/// nothing to the trash, and hint to the driver that watches. They fail only where a file system
/// would refuse (a file in place of a parent, a directory in place of a file), and then change
/// nothing.
#[derive(Clone)]
pub struct MemoryService {
    storage: Arc<Mutex<Storage>>,
}

impl Default for MemoryService {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryService").field("tree", &self.tree()).finish()
    }
}

impl MemoryService {
    /// An empty storage that can do everything.
    pub fn new() -> Self {
        Self::of::<Everything>()
    }

    /// An empty storage with the abilities of `A`.
    pub fn of<A: Able>() -> Self {
        Self::able(A::ABILITIES)
    }

    /// An empty storage with these abilities. Its driver tells them when it is connected; its
    /// manifest may claim others.
    pub fn able(abilities: Abilities) -> Self {
        Self { storage: Arc::new(Mutex::new(Storage::new(abilities))) }
    }

    /// What the storage can do.
    pub fn abilities(&self) -> Abilities {
        self.with(|storage| storage.tree.abilities())
    }

    /// The storage of this process that has the name, made with the abilities of `A` when it is
    /// first asked for.
    pub fn named<A: Able>(name: &str) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        named.entry(name.to_owned()).or_insert_with(Self::of::<A>).clone()
    }

    /// Runs `work` under the lock, which is never held over an await.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Storage) -> R) -> R {
        work(&mut self.storage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on the storage misbehaves like this, with dice thrown anew.
    pub fn misbehave(&self, faults: Faults) {
        self.with(|storage| storage.dice = Dice::new(faults));
    }

    /// From now on the storage behaves, but for the lag of its listings. Hints that are late or
    /// owed are told at once.
    pub fn behave(&self) {
        self.with(|storage| {
            storage.dice = Dice::new(Faults::default());
            // Where listings lag behind, what they don't show yet is hinted at when they do.
            if storage.lag.most.is_zero() {
                storage.news.deliver(None);
            }
        });
    }

    /// Takes the storage away from its drivers, or brings it back: until then every call is
    /// `Unavailable`. Its user goes on; what they do meanwhile is not hinted at.
    pub fn set_online(&self, online: bool) {
        self.with(|storage| storage.online = online);
    }

    /// From now on a listing may show for up to `most` what stood there before a change, an entry
    /// that was removed or none where one was made. A look at a path always tells the truth.
    pub fn set_list_lag(&self, most: Duration) {
        self.with(|storage| {
            storage.lag.most = most;
            storage.news.lag = most;
        });
    }

    /// Moves the clock that times its files, forward or back.
    pub fn jump_clock(&self, by_ns: i64) {
        self.with(|storage| storage.jump_clock(by_ns));
    }

    /// Lets all files together have at most so many bytes; beyond, writing is `Full`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.with(|storage| storage.capacity = bytes);
    }

    /// Writes a whole file, in place if there is one.
    pub fn write(
        &self,
        path: &Path,
        bytes: impl Into<Bytes>,
        executable: bool,
    ) -> Result<(), Fault> {
        let bytes = bytes.into();
        self.edit(path, move |held| {
            *held = bytes;
            executable
        })
    }

    /// Flips one bit of a file, and nothing else about it: no time, no tag, no hint. Whether there
    /// is such a file, with at least one byte.
    pub fn rot(&self, path: &Path) -> bool {
        self.with(|storage| {
            let body = storage.tree.node_mut(path).map(|node| &mut node.body);
            let Some(Body::File { bytes, .. }) = body else { return false };
            let mut rotten = bytes.to_vec();
            let at = rotten.len() / 2;
            let Some(byte) = rotten.get_mut(at) else { return false };
            *byte ^= 1;
            *bytes = rotten.into();
            true
        })
    }

    /// Writes at the end of a file, which is made if it isn't there.
    pub fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let was_executable = self
            .thing(path)
            .is_some_and(|thing| matches!(thing, Thing::File { executable, .. } if executable));
        self.edit(path, |held| {
            *held = [held, bytes].concat().into();
            was_executable
        })
    }

    fn edit(&self, path: &Path, change: impl FnOnce(&mut Bytes) -> bool) -> Result<(), Fault> {
        self.with(|storage| {
            let path = &storage.tree.spelled(path);
            storage.remember(path);
            let (now_ns, moved) = storage.tick();
            let version = storage.tree.next_version();
            if let Some(node) = storage.tree.node_mut(path) {
                let Body::File { bytes, executable } = &mut node.body else {
                    return Err(refused(path, "it is no file"));
                };
                *executable = change(bytes);
                if moved {
                    (node.mtime_ns, node.version) = (now_ns, version);
                }
            } else {
                let mut bytes = Bytes::new();
                let executable = change(&mut bytes);
                storage.tree.put(path, Body::File { bytes, executable }, now_ns)?;
            }
            storage.tell(path, Hint::Written);
            Ok(())
        })
    }

    /// Saves as editors do: a new file is renamed over the old one.
    pub fn save(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<(), Fault> {
        let body = Body::File { bytes: bytes.into(), executable: false };
        self.put(path, body, Hint::Changed)
    }

    /// Makes a directory; one that is there is fine.
    pub fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        match self.thing(path) {
            Some(Thing::Directory) => Ok(()),
            _ => self.put(path, Body::Directory(Directory::default()), Hint::Tree),
        }
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        self.put(path, Body::Symlink(target.to_owned()), Hint::Changed)
    }

    /// Makes something that is neither file, directory nor link.
    pub fn make_strange(&self, path: &Path) -> Result<(), Fault> {
        self.put(path, Body::Strange, Hint::Changed)
    }

    fn put(&self, path: &Path, body: Body, hint: Hint) -> Result<(), Fault> {
        self.with(|storage| {
            let path = &storage.tree.spelled(path);
            let standing = storage.tree.find(path);
            if standing.is_some_and(|it| storage.tree.directory(it).is_some()) {
                return Err(refused(path, "it is a directory"));
            }
            storage.remember(path);
            let now_ns = storage.tick().0;
            storage.tree.put(path, body, now_ns)?;
            storage.tell(path, hint);
            Ok(())
        })
    }

    /// Makes something in `directory` whose name is no UTF-8.
    pub fn make_unnameable(&self, directory: &Path, name: &[u8]) -> Result<(), Fault> {
        self.make_directory(directory)?;
        self.with(|storage| {
            if let Some(Body::Directory(held)) =
                storage.tree.node_mut(directory).map(|node| &mut node.body)
            {
                held.unnameable.push(name.to_owned());
            }
            storage.tell(&storage.tree.spelled(directory), Hint::Tree);
        });
        Ok(())
    }

    /// Removes what is at the path, with all that is in it; nothing there is fine.
    pub fn remove(&self, path: &Path) {
        let Some(everything) = self.take(path) else { return };
        self.with(|storage| {
            for below in everything.iter().rev() {
                storage.tell(below, Hint::Changed);
            }
        });
    }

    /// Moves what is at the path to somewhere else, out of the storage. Only its top is hinted at.
    pub fn take_out(&self, path: &Path) {
        let Some(everything) = self.take(path) else { return };
        if let Some(path) = everything.first() {
            self.with(|storage| storage.tell(path, Hint::Tree));
        }
    }

    fn take(&self, path: &Path) -> Option<Vec<Path>> {
        self.with(|storage| {
            let path = &storage.tree.spelled(path);
            storage.remember(path);
            let number = storage.tree.detach(path)?;
            let everything = storage.tree.walk(path, number);
            storage.tree.forget(number);
            storage.tree.prune(path);
            Some(everything.into_iter().map(|(path, _)| path).collect())
        })
    }

    /// Renames what is at `from`, in place of a file at `to`. Nothing at `from` is `NotFound`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.with(|storage| {
            let missing = || Fault::new(FaultKind::NotFound, format!("`{from}` is not there"));
            let number = storage.tree.find(from).ok_or_else(missing)?;
            let from = &storage.tree.spelled(from);
            let to = &storage.tree.spelled_anew(to, number);
            if from == to {
                return Ok(());
            }
            if to.is_within(from) || from.is_root() {
                return Err(refused(to, "it is inside of what is to be renamed"));
            }
            let standing = storage.tree.find(to).filter(|standing| *standing != number);
            if standing.is_some_and(|it| storage.tree.directory(it).is_some()) {
                return Err(refused(to, "it is a directory"));
            }
            if storage.tree.is_blocked(to) {
                let message = format!("a parent of `{to}` is no directory");
                return Err(Fault::new(FaultKind::NotADirectory, message));
            }
            storage.move_node(from, number, to)
        })
    }

    /// Sets the time of a file's last change; nothing there is fine.
    pub fn touch(&self, path: &Path, mtime_ns: i64) {
        self.with(|storage| {
            let path = &storage.tree.spelled(path);
            storage.remember(path);
            if let Some(node) = storage.tree.node_mut(path) {
                node.mtime_ns = mtime_ns;
                storage.tell(path, Hint::Changed);
            }
        });
    }

    /// Sets a file's executable bit; nothing there is fine.
    pub fn set_executable(&self, path: &Path, to: bool) {
        self.with(|storage| {
            let path = &storage.tree.spelled(path);
            storage.remember(path);
            let body = storage.tree.node_mut(path).map(|node| &mut node.body);
            if let Some(Body::File { executable, .. }) = body {
                *executable = to;
                storage.tell(path, Hint::Changed);
            }
        });
    }

    /// What is at the path.
    pub fn thing(&self, path: &Path) -> Option<Thing> {
        self.with(|storage| {
            let number = storage.tree.find(path)?;
            storage.tree.node(number).map(crate::tree::Node::thing)
        })
    }

    /// The bytes of the file at the path.
    pub fn read(&self, path: &Path) -> Option<Bytes> {
        match self.thing(path)? {
            Thing::File { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// Everything below the root.
    pub fn tree(&self) -> BTreeMap<Path, Thing> {
        self.with(|storage| {
            let root = Path::root();
            let number = storage.tree.find(&root).unwrap_or_default();
            let all = storage.tree.walk(&root, number).into_iter().skip(1);
            all.filter_map(|(path, number)| Some((path, storage.tree.node(number)?.thing())))
                .collect()
        })
    }

    /// What drivers removed or replaced, oldest first, with the path it had.
    pub fn trash(&self) -> Vec<(Path, Bytes)> {
        self.with(|storage| storage.trash.contents())
    }

    /// How many half-written files wait to be resumed.
    pub fn half_written(&self) -> usize {
        self.with(|storage| storage.parts.len())
    }

    /// For which paths half-written files wait to be resumed.
    pub fn half_written_paths(&self) -> Vec<Path> {
        self.with(|storage| storage.parts.paths())
    }

    /// What drivers did so far, also where it failed.
    pub fn work(&self) -> Work {
        self.with(|storage| storage.work.clone())
    }
}

fn refused(path: &Path, why: &str) -> Fault {
    Fault::new(FaultKind::Denied, format!("`{path}` can't be changed so: {why}"))
}
