//! Sends what is ready together: a lone answer leaves at once, and while it is being handed over
//! the next ones gather.

use std::collections::BTreeMap;

use bytes::Bytes;
use onitu_core::Fault;
use onitu_core::bus::{Frames, Peer};
use onitu_core::limits::INLINE_ANSWER_BYTES_MAX;
use onitu_core::message::{Answer, Whole, encode};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Most small files in one answer.
const ITEMS_MAX: usize = 1_024;

/// An answer that is complete by itself.
pub(super) enum Ready {
    /// A small file.
    Whole {
        whole: Whole,
        bytes: Bytes,
        /// Its share of [`super::WHOLE_BYTES_MAX`], given back when the bus has it.
        permit: OwnedSemaphorePermit,
    },
    /// A transfer that can't begin or go on.
    Refused { id: u64, fault: Fault },
}

/// Runs until all senders of `ready` or the bus are gone.
pub(super) async fn run(
    mut ready: mpsc::Receiver<(Peer, Ready)>,
    out: mpsc::Sender<(Peer, Frames)>,
) {
    while let Some(first) = ready.recv().await {
        // Reads that are about to end in this turn of the runtime come along.
        tokio::task::yield_now().await;
        let mut gathered: BTreeMap<Peer, Letter> = BTreeMap::new();
        let mut next = Some(first);
        while let Some((peer, item)) = next {
            let letter = gathered.entry(peer.clone()).or_default();
            if letter.is_full_for(&item) && !letter.send(&peer, &out).await {
                return;
            }
            letter.add(item);
            next = ready.try_recv().ok();
        }
        for (peer, mut letter) in gathered {
            if !letter.send(&peer, &out).await {
                return;
            }
        }
    }
}

/// What one puller gets in one go.
#[derive(Default)]
struct Letter {
    items: Vec<Whole>,
    bodies: Vec<Bytes>,
    permits: Vec<OwnedSemaphorePermit>,
    bytes: usize,
    refused: Vec<Answer>,
}

impl Letter {
    fn is_full_for(&self, item: &Ready) -> bool {
        match item {
            Ready::Whole { bytes, .. } => {
                self.items.len() >= ITEMS_MAX || self.bytes + bytes.len() > INLINE_ANSWER_BYTES_MAX
            }
            Ready::Refused { .. } => self.refused.len() >= ITEMS_MAX,
        }
    }

    fn add(&mut self, item: Ready) {
        match item {
            Ready::Whole { whole, bytes, permit } => {
                self.bytes += bytes.len();
                self.items.push(whole);
                self.bodies.push(bytes);
                self.permits.push(permit);
            }
            Ready::Refused { id, fault } => self.refused.push(Answer::Refused { id, fault }),
        }
    }

    /// Hands everything over; false if the bus is gone.
    async fn send(&mut self, peer: &Peer, out: &mpsc::Sender<(Peer, Frames)>) -> bool {
        let letter = std::mem::take(self);
        if !letter.items.is_empty() {
            let mut frames = Vec::with_capacity(1 + letter.bodies.len());
            frames.push(encode(&Answer::Whole { items: letter.items }));
            frames.extend(letter.bodies);
            if out.send((peer.clone(), frames)).await.is_err() {
                return false;
            }
        }
        for refused in letter.refused {
            if out.send((peer.clone(), vec![encode(&refused)])).await.is_err() {
                return false;
            }
        }
        true
    }
}
