//! Listens to a driver's hints.
//!
//! A hint may come early or late, doubled, for a directory instead of the file, or as a rescan:
//! whatever makes the runtime look at a path counts as a hint at it. Only what never comes is
//! missed, and that is known after a limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{Fault, Hint, Hints, Path, Plug};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::promise::Broken;
use crate::scene::{Scene, at};
use crate::subject::Subject;

/// A hint that takes longer doesn't come.
const LIMIT: Duration = Duration::from_secs(10);

/// A driver's watch on a task of its own, and what it told so far. Ends when dropped.
pub(crate) struct Hearing<P: Plug> {
    /// The driver that watches, asked to settle.
    plug: Arc<P>,
    /// Where the driver leaves its hints.
    hints: Hints,
    /// The watch itself; it ends only when it is broken.
    task: JoinHandle<Result<(), Fault>>,
    /// Every path that was heard of, with the strongest hint.
    heard: BTreeMap<Path, Hint>,
    /// Whether everything is to be looked at.
    rescan: bool,
}

impl<P: Plug> Drop for Hearing<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<P: Plug> Hearing<P> {
    /// Watches, and returns when the watch is known to hear. What was heard until then is
    /// forgotten.
    pub(crate) async fn begin<S: Subject<Plug = P>>(scene: &Scene<S>) -> Result<Self, Broken> {
        let hints = Hints::default();
        let (plug, told) = (Arc::clone(&scene.plug), hints.clone());
        let task = tokio::spawn(async move { plug.watch(told).await });
        let plug = Arc::clone(&scene.plug);
        let mut hearing = Self { plug, hints, task, heard: BTreeMap::new(), rescan: false };
        let end = Instant::now() + LIMIT;
        for number in 0_u32.. {
            let probe = at(&format!("probe-{number}"));
            scene.subject.write(&probe, b"can you hear me").await?;
            hearing.plug.settle().await?;
            let _ = hearing.listen(Duration::from_millis(200)).await;
            if hearing.covers(&probe) {
                break;
            }
            if Instant::now() > end {
                return Err(Broken::new("the watch never heard of a file that was written"));
            }
        }
        hearing.forget().await?;
        Ok(hearing)
    }

    /// Hears everything that is under way and forgets it.
    pub(crate) async fn forget(&mut self) -> Result<(), Broken> {
        self.plug.settle().await?;
        while self.listen(Duration::from_millis(50)).await {}
        self.heard.clear();
        self.rescan = false;
        Ok(())
    }

    /// Holds if each of the paths is hinted at, sooner or later.
    pub(crate) async fn hears_of(&mut self, paths: &[&str]) -> Result<(), Broken> {
        self.plug.settle().await?;
        let end = Instant::now() + LIMIT;
        loop {
            let Some(missing) = paths.iter().find(|path| !self.covers(&at(path))) else {
                return Ok(());
            };
            let left = end.saturating_duration_since(Instant::now());
            if !self.listen(left).await {
                let message = format!("`{missing}` changed, but no hint told of it");
                return Err(Broken::new(message));
            }
        }
    }

    /// Waits for the next hints; false if none came in time.
    pub(crate) async fn listen(&mut self, limit: Duration) -> bool {
        let Ok(gathered) = timeout(limit, self.hints.take()).await else { return false };
        self.rescan |= gathered.rescan.is_some();
        for (path, hint) in gathered.paths {
            let held = self.heard.entry(path).or_insert(hint);
            *held = (*held).max(hint);
        }
        true
    }

    /// Whether what was heard makes the runtime look at the path.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let below = |(heard, hint): (&Path, &Hint)| *hint == Hint::Tree && path.is_within(heard);
        self.rescan || self.heard.contains_key(path) || self.heard.iter().any(below)
    }

    /// The paths that were heard of.
    pub(crate) fn heard(&self) -> impl Iterator<Item = &Path> {
        self.heard.keys()
    }

    /// Whether the watch has ended by itself.
    pub(crate) fn ended(&self) -> bool {
        self.task.is_finished()
    }
}
