//! Gives contents to the services that want them: the sending half of a transfer.
//!
//! One task listens; each transfer asked for is a task of its own that reads the storage once,
//! under the credit its puller grants. Small files are read whole and leave together. Nothing is
//! decided here: whether a path may be read at all was decided by whoever gave the order, and
//! whether it is still in the state that was promised is the storage's word ([`Plug::read`]).
//!
//! What is bounded: transfers that wait or run ([`TRANSFERS_MAX`]), reads at once
//! ([`READS_MAX`]), streams ([`STREAMS_MAX`]), bytes sent to one puller and not yet confirmed
//! ([`PEER_BYTES_MAX`]), bytes of small files not yet handed to the bus ([`WHOLE_BYTES_MAX`]), and
//! the time a stream waits for a puller that says nothing ([`PATIENCE`]).

mod gate;
mod gather;
mod give;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use onitu_core::bus::{BusError, Frames, Peer, Router};
use onitu_core::message::{Answer, Ask, Open, decode, encode};
use onitu_core::{Fault, FaultKind};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use self::gate::Gate;
use self::gather::Ready;
use self::give::Job;
use crate::hints::Hints;
use crate::plug::Plug;

/// Most transfers that wait or run; more are refused with [`FaultKind::RateLimited`].
const TRANSFERS_MAX: usize = 4_096;
/// Most paths that are opened, or small files that are read, at once.
const READS_MAX: usize = 64;
/// Most contents that are streamed at once; each holds an open source.
const STREAMS_MAX: usize = 256;
/// Most bytes sent to one puller that it has not confirmed by new credit.
const PEER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of small files that were read and not yet handed to the bus.
const WHOLE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A puller that gives neither credit nor a sign of life for so long has gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so long a refused puller may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers everything asked on `router` until the bus is closed. A path that is not as the asker
/// was told is left to `hints`: it has changed, and perhaps nobody has seen it. Dropping the future ends all
/// transfers; their pullers see silence and go elsewhere.
pub(crate) async fn serve<P: Plug>(
    plug: Arc<P>,
    mut router: Router,
    hints: Hints,
) -> Result<Infallible, BusError> {
    let (ready, waiting) = mpsc::channel(2 * TRANSFERS_MAX);
    let out = router.sender();
    let mut tasks = JoinSet::new();
    tasks.spawn(gather::run(waiting, out.clone()));
    let giver = Arc::new(Giver {
        plug,
        hints,
        out,
        ready,
        reads: Semaphore::new(READS_MAX),
        streams: Semaphore::new(STREAMS_MAX),
        whole_bytes: Arc::new(Semaphore::new(WHOLE_BYTES_MAX)),
        gates: Mutex::default(),
    });
    let mut desk = Desk { giver, tasks, peers: BTreeMap::new(), complained: false };
    loop {
        tokio::select! {
            biased;
            Some(_) = desk.tasks.join_next() => {}
            heard = router.recv() => {
                let (peer, frames) = heard?;
                desk.hear(peer, &frames);
            }
        }
    }
}

/// Identifies a transfer here: ids are unique only on their puller's socket.
type Key = (Peer, u64);

/// What all transfers of a service share.
struct Giver<P> {
    plug: Arc<P>,
    hints: Hints,
    out: mpsc::Sender<(Peer, Frames)>,
    ready: mpsc::Sender<(Peer, Ready)>,
    reads: Semaphore,
    streams: Semaphore,
    whole_bytes: Arc<Semaphore>,
    gates: Mutex<BTreeMap<Key, Arc<Gate>>>,
}

impl<P> Giver<P> {
    fn gates<T>(&self, change: impl FnOnce(&mut BTreeMap<Key, Arc<Gate>>) -> T) -> T {
        change(&mut self.gates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says no, without ever waiting. A refusal lost because the bus is stuck is noticed by the
    /// puller as silence.
    fn refuse(&self, peer: &Peer, id: u64, fault: Fault) {
        if self.ready.try_send((peer.clone(), Ready::Refused { id, fault })).is_err() {
            debug!(id, "a refusal could not be queued");
        }
    }
}

/// Takes what is asked and hands it to tasks; never waits, so that credit is always heard.
struct Desk<P> {
    giver: Arc<Giver<P>>,
    tasks: JoinSet<()>,
    peers: BTreeMap<Peer, Weak<Semaphore>>,
    complained: bool,
}

impl<P: Plug> Desk<P> {
    fn hear(&mut self, peer: Peer, frames: &Frames) {
        let head = frames.first().map_or(&[][..], |frame| frame);
        match decode(head) {
            Ok(Ask::Open { opens }) => {
                for open in opens {
                    self.open(&peer, open);
                }
            }
            Ok(Ask::Credit { id, bytes, chunk_bytes }) => {
                if let Some(gate) = self.gate(peer, id) {
                    gate.give(bytes, chunk_bytes);
                }
            }
            Ok(Ask::Close { id }) => {
                if let Some(gate) = self.gate(peer, id) {
                    gate.close();
                }
            }
            Ok(Ask::Ping) => {
                // An asker whose queue is full hears chunks instead.
                let _ = self.giver.out.try_send((peer, vec![encode(&Answer::Pong)]));
            }
            Err(error) if self.complained => debug!(%error, "a message was dropped"),
            Err(error) => {
                self.complained = true;
                warn!(%error, "a message of a puller was dropped; further ones are not told");
            }
        }
    }

    fn gate(&self, peer: Peer, id: u64) -> Option<Arc<Gate>> {
        self.giver.gates(|gates| gates.get(&(peer, id)).cloned())
    }

    fn open(&mut self, peer: &Peer, open: Open) {
        let gate = Arc::new(Gate::new(open.credit_bytes, open.chunk_bytes));
        let key = (peer.clone(), open.id);
        let verdict = self.giver.gates(|gates| {
            if gates.contains_key(&key) {
                // Heard twice: the first one is at work.
                return Verdict::Known;
            }
            if gates.len() >= TRANSFERS_MAX {
                return Verdict::Full;
            }
            gates.insert(key.clone(), gate.clone());
            Verdict::Taken
        });
        match verdict {
            Verdict::Known => {}
            Verdict::Full => self.giver.refuse(peer, open.id, too_many(TRANSFERS_MAX)),
            Verdict::Taken => {
                let ledger = self.ledger(peer);
                let place = Place { giver: self.giver.clone(), key, gate };
                self.tasks.spawn(Job { place, open, ledger }.run());
            }
        }
    }

    /// Counts what `peer` has not confirmed, over all its transfers.
    fn ledger(&mut self, peer: &Peer) -> Arc<Semaphore> {
        if let Some(ledger) = self.peers.get(peer).and_then(Weak::upgrade) {
            return ledger;
        }
        self.peers.retain(|_, ledger| ledger.strong_count() > 0);
        let ledger = Arc::new(Semaphore::new(PEER_BYTES_MAX));
        self.peers.insert(peer.clone(), Arc::downgrade(&ledger));
        ledger
    }
}

enum Verdict {
    Taken,
    Known,
    Full,
}

/// A transfer's place among those that run; given up when its task ends, however it ends.
struct Place<P> {
    giver: Arc<Giver<P>>,
    key: Key,
    gate: Arc<Gate>,
}

impl<P> Drop for Place<P> {
    fn drop(&mut self) {
        self.giver.gates(|gates| gates.remove(&self.key));
    }
}

fn too_many(bound: usize) -> Fault {
    Fault::new(FaultKind::RateLimited, format!("{bound} transfers are under way already"))
        .retry_after(RETRY_AFTER)
}
