//! Looks at all folders all the time, whatever runs or doesn't: nothing incomplete may ever stand
//! under a user's name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::content::{Nature, nature};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// A thread that looks, until this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    ends: AtomicBool,
    /// Files that were read.
    reads: AtomicU64,
    /// Contents that their user writes in place: parts of them stand in his folder, and may travel.
    in_place: Mutex<BTreeSet<u64>>,
    /// What stood under a name and wasn't whole, a line each.
    wrong: Mutex<Vec<String>>,
}

/// The state of a file: another one means that it must be read again.
type Mark = (u64, u64, i64, i64);

impl Watcher {
    /// Begins to look at these folders.
    pub(super) fn new(roots: Vec<PathBuf>) -> Watcher {
        let seen = Arc::new(Seen::default());
        let shared = seen.clone();
        let thread = std::thread::spawn(move || {
            let mut known = BTreeMap::new();
            while !shared.ends.load(Ordering::Relaxed) {
                for root in &roots {
                    let mut now = BTreeMap::new();
                    shared.look_below(root, &known, &mut now);
                    known.retain(|path: &PathBuf, _| !path.starts_with(root));
                    known.append(&mut now);
                }
                std::thread::park_timeout(EVERY);
            }
        });
        Watcher { seen, thread: Some(thread) }
    }

    /// From now on parts of this content, and empty files, are what their user makes.
    pub(super) fn may_be_partial(&self, id: u64) {
        lock(&self.seen.in_place).insert(id);
    }

    /// What was found incomplete so far.
    pub(super) fn wrong(&self) -> Vec<String> {
        lock(&self.seen.wrong).clone()
    }

    /// How many files were read so far.
    pub(super) fn reads(&self) -> u64 {
        self.seen.reads.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.seen.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Seen {
    /// Reads what isn't `known`. What vanishes meanwhile is no concern of this thread.
    fn look_below(
        &self,
        directory: &Path,
        known: &BTreeMap<PathBuf, Mark>,
        now: &mut BTreeMap<PathBuf, Mark>,
    ) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() {
                if path.file_name().is_none_or(|name| name != ".onitu") {
                    self.look_below(&path, known, now);
                }
            } else if known.get(&path) == Some(&mark(&metadata)) || self.is_right(&path) {
                now.insert(path, mark(&metadata));
            }
        }
    }

    /// Reads one file; false if it changed meanwhile, so that it has to be looked at again.
    fn is_right(&self, path: &Path) -> bool {
        let Ok(mut file) = File::open(path) else { return false };
        let Ok(before) = file.metadata() else { return false };
        let mut bytes = Vec::new();
        let is_read = file.read_to_end(&mut bytes).is_ok();
        if !is_read || file.metadata().map_or(true, |after| mark(&after) != mark(&before)) {
            return false;
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        let in_place = lock(&self.in_place);
        let is_right = match nature(&bytes) {
            Nature::Whole(_) => true,
            Nature::Part(id) => in_place.contains(&id),
            // In place, every file is empty first.
            Nature::Empty => !in_place.is_empty(),
            Nature::Foreign => false,
        };
        if !is_right {
            let (size, what) = (bytes.len(), nature(&bytes));
            lock(&self.wrong).push(format!("`{}` was {what:?}, {size} bytes", path.display()));
        }
        true
    }
}

fn mark(metadata: &Metadata) -> Mark {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::content::content;
    use super::*;
    use crate::{Must, soon};

    #[test]
    fn a_part_is_noticed_unless_its_user_writes_it() {
        let root = TempDir::new().must("a directory");
        let watcher = Watcher::new(vec![root.path().to_owned()]);
        std::fs::write(root.path().join("whole"), content(1, 5000)).must("write");
        soon("it is read", || watcher.reads() > 0);
        assert_eq!(watcher.wrong(), [] as [String; 0]);
        watcher.may_be_partial(2);
        let part = |id| content(id, 5000)[..4096].to_vec();
        std::fs::write(root.path().join("begun by its user"), part(2)).must("write");
        soon("it is read", || watcher.reads() > 1);
        assert_eq!(watcher.wrong(), [] as [String; 0]);
        std::fs::create_dir(root.path().join("below")).must("a directory");
        std::fs::write(root.path().join("below/part"), part(3)).must("write");
        soon("it is noticed", || watcher.wrong().iter().any(|it| it.contains("below/part")));
    }
}
