//! Telling what may have changed: inotify, one thread, one watch per directory.
//!
//! `docs/design/0003-watching.md` says why it isn't the crate `notify`. The thread sleeps until
//! the kernel has something to tell; only what can't be watched is polled.

mod kernel;
mod stream;
mod tree;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::{Fault, Hints};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{AtFlags, Mode, OFlags};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use crate::client::Root;
use crate::disk::{openat, unlinkat};
use crate::fault::{fault, lost, unavailable};

/// So long may the kernel take to tell of a file that was made to see whether it does.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the watch goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most directories that are watched.
    pub(crate) watches_max: usize,
    /// Pause between two looks at what isn't watched.
    pub(crate) poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { watches_max: usize::MAX, poll: Duration::from_secs(30) }
    }
}

/// The watch of one root.
pub(crate) struct Watch {
    root: Arc<Root>,
    limits: Limits,
    progress: watch::Sender<Progress>,
    cookies_given: AtomicU64,
}

/// The watch that was begun last, and how far it is.
///
/// One that is stopped may end only after the next was begun: what it says then doesn't count.
struct Progress {
    turn: u64,
    stage: Stage,
}

/// How far a watch is.
#[derive(Clone)]
enum Stage {
    /// Nobody watches.
    Off,
    /// Watches are being set.
    Beginning,
    /// What happens is told; a cookie comes back.
    Listening(Arc<Cookies>),
    /// Nothing can be watched.
    Polling,
}

/// Files made to see when the kernel tells of them, by name.
#[derive(Default)]
struct Cookies {
    waiting: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

impl Cookies {
    fn wait_for(&self, name: &str) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(name.to_owned(), sender);
        receiver
    }

    fn arrived(&self, name: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.remove(name) {
            // Whoever waited may have given up.
            let _ = sender.send(());
        }
    }

    fn all_arrived(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain().for_each(
            |(_, sender)| {
                let _ = sender.send(());
            },
        );
    }
}

/// Ends the thread when dropped.
struct Stop {
    wake: Arc<OwnedFd>,
    stopped: Arc<AtomicBool>,
    turn: Turn,
}

/// One watch's say in how far the watch of the root is.
#[derive(Clone)]
struct Turn {
    turn: u64,
    progress: watch::Sender<Progress>,
}

impl Turn {
    /// Begins, in place of whoever had the say before.
    fn begin(progress: &watch::Sender<Progress>) -> Self {
        let mut turn = 0;
        progress.send_modify(|progress| {
            turn = progress.turn + 1;
            *progress = Progress { turn, stage: Stage::Beginning };
        });
        Self { turn, progress: progress.clone() }
    }

    /// Does nothing once this watch was stopped or another has begun.
    fn set(&self, to: Stage) {
        self.progress.send_if_modified(|progress| {
            let own = progress.turn == self.turn && !matches!(progress.stage, Stage::Off);
            if own {
                progress.stage = to;
            }
            own
        });
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.turn.set(Stage::Off);
        // A counter that is full already wakes the thread as well.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Watch {
    /// The watch of `root`, not begun yet.
    pub(crate) fn new(root: Arc<Root>, limits: Limits) -> Self {
        let progress = watch::Sender::new(Progress { turn: 0, stage: Stage::Off });
        Self { root, limits, progress, cookies_given: 0.into() }
    }

    /// Watches until dropped or impossible.
    pub(crate) async fn run(&self, hints: Hints) -> Result<(), Fault> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| fault("watch", self.root.shown(), errno))?;
        let stop = Stop {
            wake: Arc::new(wake),
            stopped: Arc::new(AtomicBool::new(false)),
            turn: Turn::begin(&self.progress),
        };
        let control = kernel::Control {
            wake: Arc::clone(&stop.wake),
            stopped: Arc::clone(&stop.stopped),
            turn: stop.turn.clone(),
        };
        let (root, limits) = (Arc::clone(&self.root), self.limits);
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                // Nobody listens any more if it was stopped.
                let _ = done.send(stream::run(&root, limits, &hints, control));
            })
            .map_err(|error| unavailable(format!("can't start a thread: {error}")))?;
        let outcome = ended.await.map_err(|_| lost("the watch"));
        drop(stop);
        outcome?
    }

    /// Returns when everything that happened before was hinted at, as far as it is watched.
    pub(crate) async fn settle(&self) -> Result<(), Fault> {
        let mut progress = self.progress.subscribe();
        loop {
            let now = progress.borrow_and_update().stage.clone();
            match now {
                Stage::Polling => return Ok(()),
                Stage::Listening(cookies) => {
                    let name = self.cookies_given.fetch_add(1, Ordering::Relaxed);
                    let name = format!("{name:x}");
                    let arrived = cookies.wait_for(&name);
                    self.touch(name).await?;
                    let told = tokio::time::timeout(SETTLE_TIMEOUT, async {
                        tokio::select! {
                            arrived = arrived => arrived.is_ok(),
                            // Another watch has begun: that one is to tell.
                            _ = progress.changed() => false,
                        }
                    });
                    match told.await {
                        Ok(true) => return Ok(()),
                        Ok(false) => {}
                        Err(_) => return Err(self.is_deaf()),
                    }
                }
                // However long that takes: it is as many system calls as there are directories.
                Stage::Beginning => progress.changed().await.map_err(|_| self.is_off())?,
                Stage::Off => {
                    let begun = tokio::time::timeout(SETTLE_TIMEOUT, progress.changed()).await;
                    begun.map_err(|_| self.is_off())?.map_err(|_| self.is_off())?;
                }
            }
        }
    }

    fn is_off(&self) -> Fault {
        unavailable(format!("`{}` isn't watched", self.root.shown()))
    }

    fn is_deaf(&self) -> Fault {
        unavailable(format!(
            "the kernel doesn't tell of changes in `{}`: is it a network file system?",
            self.root.shown()
        ))
    }

    /// Makes the file `name` and removes it again: the kernel tells of both.
    async fn touch(&self, name: String) -> Result<(), Fault> {
        let root = Arc::clone(&self.root);
        let touched = spawn_blocking(move || {
            let cookies = root.areas().cookies();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            openat(cookies, &name, flags, Mode::from_raw_mode(0o600))?;
            unlinkat(cookies, &name, AtFlags::empty())
        });
        let touched = touched.await.map_err(|_| lost("a call"))?;
        touched.map_err(|errno| fault("write in", self.root.shown(), errno))
    }
}
