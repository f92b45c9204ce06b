//! What a driver's watcher tells the runtime: that a path may have changed.
//!
//! Hints gather in a bounded set until the runtime looks at the paths; when the set is full they
//! become one request to scan everything, so a storm costs a scan and never memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use onitu_core::{Path, twin};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Most paths that wait to be looked at.
const PATHS_MAX: usize = 65_536;

/// How a path may have changed. The later ones cover the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// Being written, by a writer that has not closed it: look when it has been quiet.
    Writing,
    /// Something about it changed: look now.
    Changed,
    /// Read, and found to have other bytes than are recorded, though nobody said that it changed.
    /// The runtime's own; a driver that sees a change tells that.
    Doubted,
    /// Written and closed: look now, and compare the bytes even if the tag is the same.
    Written,
    /// A directory that appeared or changed as a whole: look at everything in it.
    Tree,
}

/// Where a driver leaves its hints; cheap to clone, never waits, safe from any thread.
#[derive(Clone, Default)]
pub struct Hints {
    shared: Arc<Shared>,
    /// Whether paths are told as the service spells them, and some stand for others.
    decodes: bool,
    /// The directory of the tree at which the service stands that tells them.
    at: Option<Path>,
}

#[derive(Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    arrived: Notify,
}

/// What gathered since the last look.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Paths with the strongest hint given.
    pub paths: BTreeMap<Path, Hint>,
    /// Why everything must be scanned, if it must.
    pub rescan: Option<String>,
    /// What the user should know about the watch (it polls instead, for example).
    pub notice: Option<Option<String>>,
    /// Paths with problems found by the watch, and their end.
    pub problems: Vec<(String, Option<onitu_core::Fault>)>,
}

impl Hints {
    /// The same, for a watcher that tells the names under which a service holds paths.
    pub(crate) fn decoding(&self) -> Self {
        Self { decodes: true, ..self.clone() }
    }

    /// The same, for a watcher of a service that stands at a directory of the tree.
    pub(crate) fn mounted(&self, at: &Path) -> Self {
        Self { at: Some(at.clone()).filter(|at| !at.is_root()), ..self.clone() }
    }

    /// [`None`] for a path that is too long where it would stand.
    fn meant(&self, path: Path) -> Option<Path> {
        let path = if self.decodes { twin::decode_path(&path) } else { path };
        match &self.at {
            None => Some(path),
            Some(at) if path.is_root() => Some(at.clone()),
            Some(at) => at.join(path.as_str()).ok(),
        }
    }

    /// `path` may have changed.
    pub fn tell(&self, path: Path, hint: Hint) {
        let Some(path) = self.meant(path) else { return };
        self.with(|gathered| gathered.tell(path, hint));
    }

    /// As [`Hints::tell`] for each of them, heard together: the two paths of a rename, for example.
    pub fn tell_all(&self, told: impl IntoIterator<Item = (Path, Hint)>) {
        self.with(|gathered| {
            for (path, hint) in told {
                if let Some(path) = self.meant(path) {
                    gathered.tell(path, hint);
                }
            }
        });
    }

    /// Anything may have changed: scan the whole service. `why` is logged.
    pub fn rescan(&self, why: impl Into<String>) {
        self.with(|gathered| gathered.rescan = Some(why.into()));
    }

    /// Shows a notice with the service's status, or takes it back.
    pub fn notice(&self, text: Option<String>) {
        self.with(|gathered| gathered.notice = Some(text));
    }

    /// Shows a problem with one name (as text, it may be no path), or takes it back.
    pub fn problem(&self, name: impl Into<String>, fault: Option<onitu_core::Fault>) {
        let name = match &self.at {
            None => name.into(),
            Some(at) => format!("{at}/{}", name.into()),
        };
        self.with(|gathered| {
            if gathered.problems.len() < PATHS_MAX {
                gathered.problems.push((name, fault));
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut Gathered)) {
        change(&mut self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.arrived.notify_one();
    }

    /// Waits until something gathered and takes it.
    pub async fn take(&self) -> Gathered {
        loop {
            if let Some(gathered) = self.try_take() {
                return gathered;
            }
            self.shared.arrived.notified().await;
        }
    }

    /// Takes what gathered, if anything did.
    pub(crate) fn try_take(&self) -> Option<Gathered> {
        let mut gathered = self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        (!gathered.is_empty()).then(|| std::mem::take(&mut *gathered))
    }

    /// Waits until something is to be taken, and leaves it.
    #[cfg(feature = "process")]
    pub(crate) async fn arrived(&self) {
        while self.is_empty() {
            self.shared.arrived.notified().await;
        }
    }

    /// Whether something may still be to be taken that concerns `path`.
    pub(crate) fn may_concern(&self, path: &Path) -> bool {
        let gathered = self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.rescan.is_some() || gathered.paths.contains_key(path)
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Gathered {
    fn tell(&mut self, path: Path, hint: Hint) {
        if self.paths.len() >= PATHS_MAX && !self.paths.contains_key(&path) {
            self.paths.clear();
            self.rescan = Some("too many changes at once".to_owned());
        }
        if self.rescan.is_none() || matches!(hint, Hint::Writing | Hint::Doubted | Hint::Written) {
            let held = self.paths.entry(path).or_insert(hint);
            *held = (*held).max(hint);
        }
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty()
            && self.rescan.is_none()
            && self.notice.is_none()
            && self.problems.is_empty()
    }
}
