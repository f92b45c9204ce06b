//! The bus: news by PUB/SUB, orders by REQ/REP, contents by DEALER/ROUTER.
//!
//! One module hides ZeroMQ and adds what its crate lacks: sockets made anew after a failure, time
//! limits, bounded queues, an acknowledged close. Nothing above names a ZeroMQ type. Every handle
//! here is a pair of bounded channels; a task behind it owns the socket and ends when the handle
//! is dropped. [`MemoryBus`] carries messages inside one process, with losses on demand, for tests
//! and the simulation; `ZeroBus` (feature `zeromq`) is the real one.
//!
//! News may be lost or heard twice (it is only news, the truth is in the store); a request is
//! answered or fails within its time; a dealer's messages arrive in order or it is told
//! [`Delivery::Reset`]. See `docs/design/0002-the-bus.md` for what was measured.

mod dealing;
mod memory;
#[cfg(feature = "zeromq")]
mod zero;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

pub use self::memory::{MemoryBus, Weather};
#[cfg(feature = "zeromq")]
pub use self::zero::ZeroBus;

/// Where a socket is: on the real bus the name of a file in the runtime directory.
///
/// By convention `s3.pub`, `s3.rep` and `s3.router` are the sockets of service number 3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(pub String);

impl Endpoint {
    /// Where `service` publishes its events.
    pub fn news(service: crate::ServiceId) -> Self {
        Self(format!("s{service}.pub"))
    }

    /// Where `service` takes orders.
    pub fn orders(service: crate::ServiceId) -> Self {
        Self(format!("s{service}.rep"))
    }

    /// Where `service` answers the Core; apart from the orders, so that neither waits for the other.
    pub fn control(service: crate::ServiceId) -> Self {
        Self(format!("s{service}.ctl"))
    }

    /// Where `service` gives contents.
    pub fn contents(service: crate::ServiceId) -> Self {
        Self(format!("s{service}.router"))
    }
}

/// What the bus could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The address can't be used.
    #[error("can't listen at `{endpoint}`: {reason}")]
    Bind {
        /// Where.
        endpoint: String,
        /// What the system said.
        reason: String,
    },
    /// No answer in time, or nobody there.
    #[error("no answer from `{0}` in time")]
    Timeout(String),
    /// A message above [`crate::limits::MESSAGE_BYTES_MAX`]; it was not sent.
    #[error("a message of {0} bytes is too large for the bus")]
    TooLarge(usize),
    /// The task behind the handle has ended.
    #[error("the bus is closed")]
    Closed,
}

/// Messages that wait in a handle's channel; whoever says more waits.
pub(crate) const QUEUE_MESSAGES: usize = 256;
/// The same for what a dealer hears, of which each may be a chunk of a file.
pub(crate) const QUEUE_CHUNKS: usize = 16;

/// Refuses what is too large for the bus.
pub(crate) fn fits(bytes: usize) -> Result<(), BusError> {
    if bytes > crate::limits::MESSAGE_BYTES_MAX {
        return Err(BusError::TooLarge(bytes));
    }
    Ok(())
}

/// One message of several frames.
pub type Frames = Vec<Bytes>;

/// Publishes news; a subscriber that is slow or away misses some.
pub struct Publisher {
    pub(crate) out: mpsc::Sender<(String, Bytes)>,
    pub(crate) _task: TaskGuard,
}

impl Publisher {
    /// Publishes `payload` under `topic`; waits only while the own queue is full.
    pub async fn send(
        &self,
        topic: impl Into<String> + Send,
        payload: Bytes,
    ) -> Result<(), BusError> {
        let topic = topic.into();
        fits(topic.len() + payload.len())?;
        self.out.send((topic, payload)).await.map_err(|_| BusError::Closed)
    }
}

/// Hears one publisher, before it exists and after it came back.
pub struct Subscriber {
    pub(crate) news: mpsc::Receiver<(String, Bytes)>,
    pub(crate) _task: TaskGuard,
}

impl Subscriber {
    /// The next message: topic and payload. May be dropped while waiting without a loss.
    pub async fn recv(&mut self) -> Result<(String, Bytes), BusError> {
        self.news.recv().await.ok_or(BusError::Closed)
    }
}

/// Asks one replier.
pub struct Requester {
    pub(crate) endpoint: String,
    pub(crate) out: mpsc::Sender<Call>,
    pub(crate) _task: TaskGuard,
}

/// A request on its way to the task that owns the socket.
pub(crate) struct Call {
    pub(crate) payload: Bytes,
    /// Closed as soon as nobody waits for the answer any more.
    pub(crate) answer: oneshot::Sender<Bytes>,
}

impl Requester {
    /// Sends `payload` and waits for the answer at most `timeout`, the time in line behind other
    /// requests of this handle included. Where the connection breaks in between, the request is
    /// sent again over a new one. So it may be heard twice, and whether one that timed out was
    /// heard is unknown: it must be harmless to ask again. One at a time.
    pub async fn request(&self, payload: Bytes, timeout: Duration) -> Result<Bytes, BusError> {
        fits(payload.len())?;
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.out.send(Call { payload, answer }).await.map_err(|_| BusError::Closed)?;
            answered.await.map_err(|_| BusError::Closed)
        };
        let timed_out = Err(BusError::Timeout(self.endpoint.clone()));
        tokio::time::timeout(timeout, asked).await.unwrap_or(timed_out)
    }
}

/// Answers requests, one after the other.
pub struct Replier {
    pub(crate) asked: mpsc::Receiver<(Bytes, ReplyTo)>,
    pub(crate) _task: TaskGuard,
}

impl Replier {
    /// The next request, and where its answer goes. Dropping the latter leaves the asker to its
    /// timeout.
    pub async fn recv(&mut self) -> Result<(Bytes, ReplyTo), BusError> {
        self.asked.recv().await.ok_or(BusError::Closed)
    }
}

/// Where the answer to one request goes.
pub struct ReplyTo(pub(crate) oneshot::Sender<Bytes>);

impl ReplyTo {
    /// Answers; an asker that went away is no error. An answer too large for the bus is dropped.
    pub fn send(self, payload: Bytes) {
        if let Err(error) = fits(payload.len()) {
            tracing::error!(%error, "an answer was dropped");
            return;
        }
        let _ = self.0.send(payload);
    }
}

/// Identifies a dealer at a router, as long as its connection lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub Bytes);

/// Speaks with many dealers.
pub struct Router {
    pub(crate) heard: mpsc::Receiver<(Peer, Frames)>,
    pub(crate) out: mpsc::Sender<(Peer, Frames)>,
    pub(crate) _task: TaskGuard,
}

impl Router {
    /// The next message and who sent it.
    pub async fn recv(&mut self) -> Result<(Peer, Frames), BusError> {
        self.heard.recv().await.ok_or(BusError::Closed)
    }

    /// A handle to answer with, for tasks of their own. A message to a dealer that went away is
    /// dropped; the sender learns of it by the credit that never comes.
    pub fn sender(&self) -> mpsc::Sender<(Peer, Frames)> {
        self.out.clone()
    }
}

/// Speaks with one router.
pub struct Dealer {
    pub(crate) endpoint: String,
    pub(crate) heard: mpsc::Receiver<Delivery>,
    pub(crate) out: mpsc::Sender<Frames>,
    pub(crate) _task: TaskGuard,
}

/// What a dealer hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message from the router.
    Message(Frames),
    /// The connection was lost, or none came about for some seconds: whatever was under way in
    /// both directions is void. The next messages go over a new one.
    Reset,
}

impl Dealer {
    /// The next message.
    pub async fn recv(&mut self) -> Result<Delivery, BusError> {
        self.heard.recv().await.ok_or(BusError::Closed)
    }

    /// A handle to speak with, for tasks of their own.
    pub fn sender(&self) -> mpsc::Sender<Frames> {
        self.out.clone()
    }

    /// Ends the connection after the router has acknowledged everything that was sent; a dealer
    /// that is merely dropped may lose its last messages. What is still heard is thrown away.
    ///
    /// # Errors
    /// [`BusError::Timeout`] when the acknowledgement didn't come within `limit`, because the
    /// router is away or a clone of [`Dealer::sender`] is still in use.
    pub async fn close(self, limit: Duration) -> Result<(), BusError> {
        let Self { endpoint, mut heard, out, _task } = self;
        drop(out);
        let ended = async {
            let mut kept = true;
            while let Some(delivery) = heard.recv().await {
                kept &= delivery != Delivery::Reset;
            }
            kept
        };
        match tokio::time::timeout(limit, ended).await {
            Ok(true) => Ok(()),
            _ => Err(BusError::Timeout(endpoint)),
        }
    }
}

/// Ends the task behind a handle when the handle goes.
pub(crate) struct TaskGuard(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes sockets. Connecting never fails and never waits: a peer that isn't there yet, or any
/// more, is tried again until it is.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Listens for subscribers.
    async fn publisher(&self, at: &Endpoint) -> Result<Publisher, BusError>;
    /// Hears the publisher at `at`, in all `topics` (prefixes).
    fn subscriber(&self, at: &Endpoint, topics: &[String]) -> Subscriber;
    /// Listens for requests.
    async fn replier(&self, at: &Endpoint) -> Result<Replier, BusError>;
    /// Asks the replier at `at`.
    fn requester(&self, at: &Endpoint) -> Requester;
    /// Listens for dealers.
    async fn router(&self, at: &Endpoint) -> Result<Router, BusError>;
    /// Speaks with the router at `at`.
    fn dealer(&self, at: &Endpoint) -> Dealer;
}

#[cfg(test)]
mod tests;
