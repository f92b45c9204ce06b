//! The dealing side of contents; [`super::contents`] says what is said.

use tokio::sync::mpsc;
use zeromq::{
    DealerSendHalf, DealerSocket, Socket, SocketEvent, SocketRecv, SocketSend, ZmqMessage,
};

use super::Pace;
use super::address::Address;
use super::contents::{Kind, wrap};
use crate::bus::dealing::reset;
use crate::bus::{Dealer, Delivery, Frames, QUEUE_CHUNKS, QUEUE_MESSAGES, TaskGuard};

pub(super) fn dealer(address: Address, pace: Pace) -> Dealer {
    let endpoint = address.name();
    let (heard, hearing) = mpsc::channel(QUEUE_CHUNKS);
    let (out, saying) = mpsc::channel(QUEUE_MESSAGES);
    let task = tokio::spawn(deal(address, pace, saying, heard));
    Dealer { endpoint, heard: hearing, out, _task: TaskGuard(task) }
}

async fn deal(
    address: Address,
    pace: Pace,
    mut saying: mpsc::Receiver<Frames>,
    heard: mpsc::Sender<Delivery>,
) {
    let mut tried = 0;
    while let Some(first) = saying.recv().await {
        let connected = connect(&address, &mut tried);
        if let Ok(socket) = tokio::time::timeout(pace.patience, connected).await {
            if carry(socket, pace, first, &mut saying, &heard).await.is_some() {
                return;
            }
            tried = 0;
        }
        reset(&mut saying, &heard).await;
    }
}

async fn connect(address: &Address, tried: &mut u32) -> DealerSocket {
    loop {
        address.listened(tried).await;
        let mut socket = Address::socket::<DealerSocket>();
        if socket.connect(&address.uri()).await.is_ok() {
            return socket;
        }
    }
}

/// Carries messages over one connection: all of them, acknowledged, or [`None`] when it broke.
async fn carry(
    mut socket: DealerSocket,
    pace: Pace,
    first: Frames,
    saying: &mut mpsc::Receiver<Frames>,
    heard: &mpsc::Sender<Delivery>,
) -> Option<()> {
    // The end of the connection is found out by reading, so none is missed before this.
    let mut events = socket.monitor();
    let (send, mut recv) = socket.split();
    let mut link = Link { send, pace, quiet_ticks: 0, idle_ticks: 0 };
    let mut ticks = pace.interval();
    link.say(first).await?;
    let mut waiting: Option<Frames> = None;
    let mut closing = false;
    loop {
        tokio::select! {
            frames = saying.recv(), if !closing => {
                link.wake(&mut ticks);
                if let Some(frames) = frames {
                    link.say(frames).await?;
                } else {
                    closing = true;
                    link.send(Kind::Bye.message()).await?;
                }
            }
            permit = heard.reserve(), if waiting.is_some() => {
                permit.ok()?.send(Delivery::Message(waiting.take()?));
            }
            message = recv.recv(), if waiting.is_none() => {
                let mut frames = message.ok()?.into_vec();
                link.quiet_ticks = 0;
                match Kind::read(frames.first()?) {
                    Some(Kind::Message) => {
                        link.wake(&mut ticks);
                        frames.remove(0);
                        waiting = Some(frames);
                    }
                    Some(Kind::Bye) => return Some(()),
                    Some(Kind::Ping | Kind::Pong) | None => {}
                }
            }
            event = events.recv() => {
                if matches!(event, Ok(SocketEvent::Disconnected(_)) | Err(_)) {
                    return None;
                }
            }
            _ = ticks.tick(), if link.is_watched() => link.look_after(waiting.is_some()).await?,
        }
    }
}

/// The way to the router, and how long it has been silent.
struct Link {
    send: DealerSendHalf,
    pace: Pace,
    /// Ticks since anything was heard.
    quiet_ticks: u32,
    /// Ticks since a message from above went either way.
    idle_ticks: u32,
}

impl Link {
    async fn say(&mut self, frames: Frames) -> Option<()> {
        let message = wrap(frames).inspect_err(|error| {
            tracing::error!(%error, "a message to a router was dropped, with its connection");
        });
        self.send(message.ok()?).await
    }

    /// Waits only when the crate's queue of 100,000 messages is full: then the router hangs.
    async fn send(&mut self, message: ZmqMessage) -> Option<()> {
        tokio::time::timeout(self.pace.patience, self.send.send(message)).await.ok()?.ok()
    }

    fn is_watched(&self) -> bool {
        self.idle_ticks <= self.pace.idle_ticks
    }

    /// Something goes on: the connection is looked after for a while.
    fn wake(&mut self, ticks: &mut tokio::time::Interval) {
        if !self.is_watched() {
            self.quiet_ticks = 0;
            ticks.reset();
        }
        self.idle_ticks = 0;
    }

    /// Every tick: asks a silent router whether it lives. [`None`] when it doesn't. While our own
    /// side has no room for what it says, its silence is our fault.
    async fn look_after(&mut self, full: bool) -> Option<()> {
        self.idle_ticks += 1;
        self.quiet_ticks = if full { 0 } else { self.quiet_ticks + 1 };
        if self.quiet_ticks > self.pace.silence_ticks {
            return None;
        }
        if self.quiet_ticks > 0 {
            self.send(Kind::Ping.message()).await?;
        }
        Some(())
    }
}
