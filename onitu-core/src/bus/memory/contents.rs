//! Dealers and routers in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::underway::Underway;
use super::{Door, Presence, Shared};
use crate::bus::dealing::{bytes_of, reset};
use crate::bus::{
    Dealer, Delivery, Endpoint, Frames, Peer, QUEUE_CHUNKS, QUEUE_MESSAGES, Router, TaskGuard, fits,
};
use crate::limits::SILENCE_MS;

/// As many as ZeroMQ keeps for one peer.
const BACKLOG_MESSAGES: usize = 100_000;

/// What a router hears of its dealers.
pub(super) enum Incoming {
    Connected(Peer, mpsc::Sender<Frames>),
    Message(Peer, Frames),
    /// The dealer closes; told when everything before was heard.
    Closing(oneshot::Sender<()>),
}

pub(super) fn router(shared: &Arc<Shared>, at: &Endpoint) -> Router {
    let (heard, hearing) = mpsc::channel(QUEUE_MESSAGES);
    let (out, saying) = mpsc::channel(QUEUE_MESSAGES);
    let (door, arriving) = mpsc::channel(QUEUE_MESSAGES);
    let presence = Presence::new(shared, at, Door::Contents(door));
    let task = tokio::spawn(async move {
        let _presence = presence;
        route(arriving, saying, heard).await;
    });
    Router { heard: hearing, out, _task: TaskGuard(task) }
}

async fn route(
    mut arriving: mpsc::Receiver<Incoming>,
    mut saying: mpsc::Receiver<(Peer, Frames)>,
    heard: mpsc::Sender<(Peer, Frames)>,
) {
    let mut peers = BTreeMap::new();
    let mut waiting: Option<(Peer, Frames)> = None;
    loop {
        tokio::select! {
            biased;
            said = saying.recv() => match said {
                Some((peer, frames)) => say(&mut peers, &peer, frames),
                None => return,
            },
            permit = heard.reserve(), if waiting.is_some() => match (permit, waiting.take()) {
                (Ok(permit), Some(message)) => permit.send(message),
                _ => return,
            },
            incoming = arriving.recv(), if waiting.is_none() => match incoming {
                Some(Incoming::Connected(peer, inbox)) => {
                    peers.retain(|_, inbox: &mut mpsc::Sender<Frames>| !inbox.is_closed());
                    peers.insert(peer, inbox);
                }
                Some(Incoming::Message(peer, frames)) => waiting = Some((peer, frames)),
                Some(Incoming::Closing(heard)) => { let _ = heard.send(()); }
                None => return,
            },
        }
    }
}

fn say(peers: &mut BTreeMap<Peer, mpsc::Sender<Frames>>, peer: &Peer, frames: Frames) {
    if let Err(error) = fits(bytes_of(&frames)) {
        tracing::error!(%error, "a message to a dealer was dropped");
    } else if let Some(inbox) = peers.get(peer)
        && inbox.try_send(frames).is_err()
    {
        // Without the sender the dealer finds its connection broken.
        peers.remove(peer);
    }
}

pub(super) fn dealer(shared: &Arc<Shared>, at: &Endpoint) -> Dealer {
    let (heard, hearing) = mpsc::channel(QUEUE_CHUNKS);
    let (out, saying) = mpsc::channel(QUEUE_MESSAGES);
    let (shared, endpoint) = (shared.clone(), at.0.clone());
    let task = tokio::spawn(async move { deal(&shared, &endpoint, saying, heard).await });
    Dealer { endpoint: at.0.clone(), heard: hearing, out, _task: TaskGuard(task) }
}

async fn deal(
    shared: &Shared,
    endpoint: &str,
    mut saying: mpsc::Receiver<Frames>,
    heard: mpsc::Sender<Delivery>,
) {
    while let Some(first) = saying.recv().await {
        let patience = Duration::from_millis(SILENCE_MS);
        let door = tokio::time::timeout(patience, shared.door(endpoint, Door::contents)).await;
        if let Ok((_, door)) = door {
            let mut connection = Connection::new(shared, door);
            if connection.carry(first, &mut saying, &heard).await == Some(()) {
                return;
            }
        }
        reset(&mut saying, &heard).await;
    }
}

/// One connection of a dealer, from its first message until it breaks.
struct Connection<'a> {
    shared: &'a Shared,
    door: mpsc::Sender<Incoming>,
    peer: Peer,
    to_router: Underway<Frames>,
    to_dealer: Underway<Frames>,
}

impl<'a> Connection<'a> {
    fn new(shared: &'a Shared, door: mpsc::Sender<Incoming>) -> Self {
        let peer = Peer(Bytes::copy_from_slice(&shared.state().id().to_be_bytes()));
        let (to_router, to_dealer) = (Underway::new(), Underway::new());
        Self { shared, door, peer, to_router, to_dealer }
    }

    /// Carries messages both ways. [`None`] when the connection broke.
    async fn carry(
        &mut self,
        first: Frames,
        saying: &mut mpsc::Receiver<Frames>,
        heard: &mpsc::Sender<Delivery>,
    ) -> Option<()> {
        let (inbox, mut arriving) = mpsc::channel(BACKLOG_MESSAGES);
        self.door.send(Incoming::Connected(self.peer.clone(), inbox)).await.ok()?;
        self.set_out(first)?;
        let mut waiting: Option<Frames> = None;
        let mut closing = false;
        loop {
            if closing && self.to_router.len() == 0 {
                let (closed, acknowledged) = oneshot::channel();
                self.door.send(Incoming::Closing(closed)).await.ok()?;
                return acknowledged.await.ok();
            }
            tokio::select! {
                biased;
                frames = self.to_router.next() => {
                    self.door.send(Incoming::Message(self.peer.clone(), frames)).await.ok()?;
                }
                permit = heard.reserve(), if waiting.is_some() => {
                    permit.ok()?.send(Delivery::Message(waiting.take()?));
                }
                frames = self.to_dealer.next(), if waiting.is_none() => waiting = Some(frames),
                frames = saying.recv(), if !closing && self.to_router.len() < QUEUE_MESSAGES => {
                    match frames {
                        Some(frames) => self.set_out(frames)?,
                        None => closing = true,
                    }
                }
                frames = arriving.recv(), if self.to_dealer.len() < QUEUE_MESSAGES => {
                    let frames = frames?;
                    self.survive()?;
                    self.to_dealer.push(self.shared.arrival(), true, frames);
                }
            }
        }
    }

    fn set_out(&mut self, frames: Frames) -> Option<()> {
        if let Err(error) = fits(bytes_of(&frames)) {
            tracing::error!(%error, "a message to a router was dropped, with its connection");
            return None;
        }
        self.survive()?;
        self.to_router.push(self.shared.arrival(), true, frames);
        Some(())
    }

    /// [`None`] when the weather breaks the connection.
    fn survive(&self) -> Option<()> {
        (!self.shared.chance(|weather| weather.reset_dealer)).then_some(())
    }
}
