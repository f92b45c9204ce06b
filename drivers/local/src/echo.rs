//! Onitu's own renames, so that the watch doesn't take them for a user's saving of a file, after
//! which all its bytes would have to be compared.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use onitu_plug::Path;

/// Most renames that the watch has not told of yet. Beyond, files are compared in vain: correct,
/// only slower.
const RENAMES_MAX: usize = 4_096;

/// Paths that Onitu itself has renamed something to.
#[derive(Default)]
pub(crate) struct Echo(Mutex<BTreeSet<Path>>);

impl Echo {
    /// Something is about to be renamed to `path`.
    pub(crate) fn expect(&self, path: &Path) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= RENAMES_MAX {
            paths.clear();
        }
        paths.insert(path.clone());
    }

    /// Whether a rename to `path` was Onitu's own; asked once for each.
    pub(crate) fn take(&self, path: &Path) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path)
    }
}
