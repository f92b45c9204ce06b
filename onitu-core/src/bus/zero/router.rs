//! The routing side of contents; [`super::contents`] says what is said.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use zeromq::{RouterSendHalf, RouterSocket, SocketRecv, SocketSend, ZmqMessage};

use super::Pace;
use super::address::Address;
use super::contents::{Kind, wrap};
use crate::bus::{BusError, Frames, Peer, QUEUE_MESSAGES, Router, TaskGuard};

/// A dealer whose queue is full has so long to make room.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// Most dealers that are told unasked that this side lives.
const PEERS_MAX: usize = 1_024;

pub(super) async fn router(address: &Address, pace: Pace) -> Result<Router, BusError> {
    let socket = address.bind::<RouterSocket>().await?;
    let (heard, hearing) = mpsc::channel(QUEUE_MESSAGES);
    let (out, saying) = mpsc::channel(QUEUE_MESSAGES);
    let task = tokio::spawn(route(socket, pace, saying, heard));
    Ok(Router { heard: hearing, out, _task: TaskGuard(task) })
}

async fn route(
    socket: RouterSocket,
    pace: Pace,
    mut saying: mpsc::Receiver<(Peer, Frames)>,
    heard: mpsc::Sender<(Peer, Frames)>,
) {
    let (send, mut recv) = socket.split();
    let mut exit = Exit { send };
    let mut ticks = pace.interval();
    let mut peers = BTreeSet::new();
    let mut waiting: Option<(Peer, Frames)> = None;
    loop {
        tokio::select! {
            said = saying.recv() => match said {
                Some((peer, frames)) => exit.say(peer, frames).await,
                None => return,
            },
            permit = heard.reserve(), if waiting.is_some() => match (permit, waiting.take()) {
                (Ok(permit), Some(message)) => permit.send(message),
                _ => return,
            },
            message = recv.recv(), if waiting.is_none() => {
                let Ok(message) = message else { return };
                let Some((peer, kind, frames)) = read(message) else { continue };
                if !peers.contains(&peer.0) {
                    if peers.len() >= PEERS_MAX {
                        peers.clear();
                    }
                    peers.insert(peer.0.clone());
                }
                match kind {
                    Kind::Message => waiting = Some((peer, frames)),
                    Kind::Ping => exit.tell(&peer.0, Kind::Pong).await,
                    Kind::Bye => exit.tell(&peer.0, Kind::Bye).await,
                    Kind::Pong => {}
                }
            }
            // Pings aren't read while there is no room for messages.
            _ = ticks.tick(), if waiting.is_some() => {
                for peer in &peers {
                    exit.tell(peer, Kind::Pong).await;
                }
            }
        }
    }
}

/// Who said what. [`None`] for what a later version may say.
fn read(message: ZmqMessage) -> Option<(Peer, Kind, Frames)> {
    let mut frames = message.into_vecdeque();
    let peer = Peer(frames.pop_front()?);
    let kind = Kind::read(&frames.pop_front()?)?;
    Some((peer, kind, frames.into()))
}

/// The way to the dealers.
struct Exit {
    send: RouterSendHalf,
}

impl Exit {
    async fn say(&mut self, peer: Peer, frames: Frames) {
        match wrap(frames) {
            Ok(message) => self.send(&peer.0, message).await,
            Err(error) => tracing::error!(%error, "a message to a dealer was dropped"),
        }
    }

    async fn tell(&mut self, peer: &Bytes, kind: Kind) {
        self.send(peer, kind.message()).await;
    }

    /// A dealer that went away is no error.
    async fn send(&mut self, peer: &Bytes, mut message: ZmqMessage) {
        message.push_front(peer.clone());
        let _ = tokio::time::timeout(SEND_LIMIT, self.send.send(message)).await;
    }
}
