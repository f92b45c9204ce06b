//! Waiting for changes: the feed is asked for what is new whenever Dropbox says that something is,
//! and whenever somebody has to know.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Hints};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::fault::Refusal;
use crate::feed::Feed;
use crate::folder::Folder;

/// After a long poll that was refused for another reason than a cursor that was reset.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// Most that wait at once until everything is told.
const SETTLERS_MAX: usize = 64;

/// Who waits until everything is told.
type Settler = oneshot::Sender<()>;

/// The watch of one connection.
#[derive(Default)]
pub(crate) struct Watch {
    turn: Mutex<Turn>,
}

/// One that is dropped ends when its task gets round to it, perhaps after the next has begun: each
/// has a number, and only the last one's end counts.
#[derive(Default)]
struct Turn {
    number: u64,
    set: Set,
}

/// Whether a watch is set.
#[derive(Default, Clone)]
enum Set {
    #[default]
    Unset,
    Told(mpsc::Sender<Settler>),
    /// It failed: what it would have told isn't known.
    Broken,
}

/// Says that there is no watch any more, if it is dropped.
struct Unset<'a> {
    watch: &'a Watch,
    feed: &'a Feed,
    number: u64,
    then: Set,
}

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        let mut turn = self.watch.turn();
        if turn.number == self.number {
            turn.set = std::mem::take(&mut self.then);
            self.feed.ignore();
        }
    }
}

impl Watch {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<'a>(
        &'a self,
        feed: &'a Feed,
        hints: &Hints,
        settlers: mpsc::Sender<Settler>,
    ) -> Unset<'a> {
        let mut turn = self.turn();
        turn.number += 1;
        turn.set = Set::Told(settlers);
        feed.listen(hints);
        Unset { watch: self, feed, number: turn.number, then: Set::Unset }
    }

    /// Tells `hints` of all changes until dropped.
    pub(crate) async fn run(
        &self,
        folder: &Folder,
        feed: &Feed,
        hints: Hints,
    ) -> Result<(), Fault> {
        let (settlers, waiting) = mpsc::channel(SETTLERS_MAX);
        let mut unset = self.begin(feed, &hints, settlers);
        let ended = follow(folder, feed, waiting).await;
        unset.then = Set::Broken;
        ended
    }

    /// Returns when everything is told that was changed before.
    pub(crate) async fn settle(&self) -> Result<(), Fault> {
        let set = self.turn().set.clone();
        if let Set::Told(settlers) = set {
            let (done, told) = oneshot::channel();
            if settlers.send(done).await.is_ok() && told.await.is_ok() {
                return Ok(());
            }
        }
        match self.turn().set {
            Set::Broken => Err(Fault::new(FaultKind::Unavailable, "the watch has ended")),
            Set::Unset | Set::Told(_) => Ok(()),
        }
    }
}

/// Tells what is new whenever something is, or when somebody waits for it.
async fn follow(
    folder: &Folder,
    feed: &Feed,
    mut waiting: mpsc::Receiver<Settler>,
) -> Result<(), Fault> {
    // What changed since the connection; and a first listing is ended.
    feed.catch_up(folder).await?;
    loop {
        let asked = feed.cursor().await;
        let mut woken = std::pin::pin!(woken(folder, &asked));
        loop {
            let mut settling = Vec::new();
            tokio::select! {
                biased;
                one = waiting.recv() => settling.extend(one),
                () = &mut woken => {}
            }
            let is_woken = settling.is_empty();
            while let Ok(one) = waiting.try_recv() {
                settling.push(one);
            }
            feed.catch_up(folder).await?;
            for one in settling {
                // Who no longer waits has given up.
                let _ = one.send(());
            }
            if is_woken {
                break;
            }
        }
    }
}

/// Returns when something may have changed.
async fn woken(folder: &Folder, cursor: &str) {
    loop {
        match folder.client.poll(cursor).await {
            Ok((changes, backoff)) => {
                // Before the next call of any kind, Dropbox says.
                sleep(backoff).await;
                if changes {
                    return;
                }
            }
            // Pauses were made meanwhile, more of them than anybody should wait for at once.
            Err(Refusal::Lost(_)) => {}
            Err(Refusal::Busy(wait)) => sleep(wait).await,
            // Asking for the changes tells more of it.
            Err(refusal) => {
                if !refusal.is("reset") {
                    sleep(REFUSED_PAUSE).await;
                }
                return;
            }
        }
    }
}
