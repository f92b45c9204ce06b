//! Keeps the driver's own looks away from the instant in which a name is empty because something
//! is being put in the place of something else.

use std::hash::{DefaultHasher, Hash, Hasher};

use onitu_plug::Path;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Paths share locks; few enough to forget, many enough that a wait is rare.
const LOCKS: usize = 256;

/// Locks for paths.
pub(crate) struct Gate(Vec<RwLock<()>>);

impl Default for Gate {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| RwLock::new(())).collect())
    }
}

impl Gate {
    /// Nothing is exchanged at `path` while the answer lives.
    pub(crate) async fn look(&self, path: &Path) -> RwLockReadGuard<'_, ()> {
        self.of(path).read().await
    }

    /// Nobody looks at `path` while the answer lives.
    pub(crate) async fn exchange(&self, path: &Path) -> RwLockWriteGuard<'_, ()> {
        self.of(path).write().await
    }

    fn of(&self, path: &Path) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        path.as_str().hash(&mut hasher);
        &self.0[(hasher.finish() % LOCKS as u64) as usize]
    }
}
