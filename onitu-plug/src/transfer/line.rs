//! The connection to one source, shared by all transfers from it.
//!
//! A task hears the source and routes its answers by id; another one speaks, so that opens which
//! arrive while a message is being handed over leave together in the next. Both work on a
//! [`Mailbox`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use onitu_core::bus::{Dealer, Delivery, Frames};
use onitu_core::message::{Answer, Ask, MessageError, Open, decode, encode};
use onitu_core::{Checksum, Content, Fault};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

/// Most opens in one message.
const OPENS_MAX: usize = 512;
/// Most answers that wait for one transfer; with the bytes granted, the bound of its memory.
const HEARD_MAX: usize = 512;
/// Most closes that wait for transfers nobody here knows.
const CLOSES_MAX: usize = 4_096;

/// A connection and its tasks; dropped, everything waiting on it ends.
pub(super) struct Line {
    mailbox: Arc<Mailbox>,
    _tasks: JoinSet<()>,
}

impl Line {
    pub(super) fn new(dealer: Dealer) -> Self {
        let mailbox = Arc::new(Mailbox::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(speak(mailbox.clone(), dealer.sender()));
        tasks.spawn(hear(mailbox.clone(), dealer));
        Self { mailbox, _tasks: tasks }
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

async fn speak(mailbox: Arc<Mailbox>, out: mpsc::Sender<Frames>) {
    loop {
        mailbox.work.notified().await;
        // Transfers that begin in this turn of the runtime come along.
        tokio::task::yield_now().await;
        while let Some(ask) = mailbox.take() {
            if out.send(vec![encode(&ask)]).await.is_err() {
                return mailbox.close();
            }
        }
    }
}

async fn hear(mailbox: Arc<Mailbox>, mut dealer: Dealer) {
    let mut complained = false;
    while let Ok(delivery) = dealer.recv().await {
        match delivery {
            Delivery::Reset => mailbox.reset(),
            Delivery::Message(frames) => match mailbox.route(frames) {
                Ok(()) => {}
                Err(error) if complained => debug!(%error, "an answer was dropped"),
                Err(error) => {
                    complained = true;
                    warn!(%error, "an answer of a source was dropped; further ones are not told");
                }
            },
        }
    }
    mailbox.close();
}

/// What a transfer hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// All of it.
    Whole(Content, Bytes),
    /// Its bytes will follow.
    Opened(Content),
    /// The bytes at this offset.
    Chunk(u64, Bytes),
    /// That was all.
    End(Checksum),
    /// It can't begin or go on.
    Refused(Fault),
    /// The source doesn't keep to its credit; it is not heard any more.
    Excess,
    /// The connection was lost; it must be opened anew.
    Reset,
}

/// What goes out and who waits for what comes in.
pub(super) struct Mailbox {
    state: Mutex<MailState>,
    work: Notify,
}

struct MailState {
    waiting: BTreeMap<u64, Waiting>,
    opens: Vec<Open>,
    credits: BTreeMap<u64, (u32, u32)>,
    closes: BTreeSet<u64>,
    used: Instant,
    closed: bool,
}

struct Waiting {
    heard: mpsc::Sender<Heard>,
    /// Bytes granted and not yet heard.
    granted: u64,
}

impl Mailbox {
    fn new() -> Self {
        let state = MailState {
            waiting: BTreeMap::new(),
            opens: Vec::new(),
            credits: BTreeMap::new(),
            closes: BTreeSet::new(),
            used: Instant::now(),
            closed: false,
        };
        Self { state: Mutex::new(state), work: Notify::new() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut MailState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn touch(&self) {
        self.with(|state| state.used = Instant::now());
    }

    pub(super) fn is_idle_for(&self, time: Duration) -> bool {
        self.with(|state| state.waiting.is_empty() && state.used.elapsed() >= time)
    }

    /// Begins a transfer. On a closed connection it hears the end at once.
    pub(super) fn open(self: &Arc<Self>, open: Open) -> Ticket {
        let id = open.id;
        let (heard, answers) = mpsc::channel(HEARD_MAX);
        self.with(|state| {
            if !state.closed {
                let granted = u64::from(open.credit_bytes);
                state.waiting.insert(id, Waiting { heard, granted });
                state.opens.push(open);
            }
        });
        self.work.notify_one();
        Ticket { mailbox: self.clone(), id, answers }
    }

    /// The next message to send, opens first.
    fn take(&self) -> Option<Ask> {
        self.with(|state| {
            if !state.opens.is_empty() {
                let count = state.opens.len().min(OPENS_MAX);
                return Some(Ask::Open { opens: state.opens.drain(..count).collect() });
            }
            if let Some(id) = state.closes.pop_first() {
                return Some(Ask::Close { id });
            }
            let (id, (bytes, chunk_bytes)) = state.credits.pop_first()?;
            Some(Ask::Credit { id, bytes, chunk_bytes })
        })
    }

    fn route(&self, frames: Frames) -> Result<(), MessageError> {
        let mut frames = frames.into_iter();
        let answer: Answer = decode(&frames.next().unwrap_or_default())?;
        self.with(|state| match answer {
            Answer::Whole { items } => {
                for (item, body) in items.into_iter().zip(frames) {
                    let bytes = body.len();
                    state.deliver(item.id, Heard::Whole(item.content, body), bytes);
                }
            }
            Answer::Opened { id, content } => state.deliver(id, Heard::Opened(content), 0),
            Answer::Chunk { id, offset } => {
                let body = frames.next().unwrap_or_default();
                let bytes = body.len();
                state.deliver(id, Heard::Chunk(offset, body), bytes);
            }
            Answer::End { id, checksum } => state.deliver(id, Heard::End(checksum), 0),
            Answer::Refused { id, fault } => state.deliver(id, Heard::Refused(fault), 0),
            Answer::Pong => {}
        });
        if self.with(|state| !state.closes.is_empty()) {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Everything under way is void: whoever waits has to open again, under a new id.
    fn reset(&self) {
        self.with(|state| {
            for (_, waiting) in std::mem::take(&mut state.waiting) {
                // A transfer whose queue is full learns it by the queue's end.
                let _ = waiting.heard.try_send(Heard::Reset);
            }
            state.opens.clear();
            state.credits.clear();
            state.closes.clear();
        });
    }

    fn close(&self) {
        self.with(|state| {
            state.closed = true;
            state.waiting.clear();
            state.opens.clear();
        });
    }
}

impl MailState {
    fn deliver(&mut self, id: u64, heard: Heard, bytes: usize) {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            // Given up here; what came after the close needs no second one.
            if matches!(heard, Heard::Opened(_)) && self.closes.len() < CLOSES_MAX {
                self.closes.insert(id);
            }
            return;
        };
        let granted = waiting.granted.checked_sub(bytes as u64);
        let heard = if granted.is_some() { heard } else { Heard::Excess };
        waiting.granted = granted.unwrap_or(0);
        let over = matches!(heard, Heard::Excess);
        if waiting.heard.try_send(heard).is_err() || over {
            warn!(id, "a source sent more than was asked for; the transfer is given up");
            self.waiting.remove(&id);
            self.closes.insert(id);
        }
    }
}

/// One opening of a transfer; dropped, the source is told that nothing more is wanted.
pub(super) struct Ticket {
    mailbox: Arc<Mailbox>,
    id: u64,
    answers: mpsc::Receiver<Heard>,
}

impl Ticket {
    /// The next answer; [`None`] when the connection was closed for good.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        self.answers.recv().await
    }

    /// Lets the source send `bytes` more; 0 says that this side lives.
    pub(super) fn credit(&self, bytes: u32, chunk_bytes: u32) {
        self.mailbox.with(|state| {
            if let Some(waiting) = state.waiting.get_mut(&self.id) {
                waiting.granted += u64::from(bytes);
                let credit = state.credits.entry(self.id).or_default();
                *credit = (credit.0.saturating_add(bytes), chunk_bytes);
            }
        });
        self.mailbox.work.notify_one();
    }

    /// The source has said its last word: it needs no close.
    pub(super) fn over(self) {
        self.mailbox.with(|state| state.waiting.remove(&self.id));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let speak = self.mailbox.with(|state| {
            state.credits.remove(&self.id);
            // After a reset, or told already, there is nobody to tell.
            if state.waiting.remove(&self.id).is_none() {
                return false;
            }
            let unsent = state.opens.len();
            state.opens.retain(|open| open.id != self.id);
            unsent == state.opens.len() && state.closes.insert(self.id)
        });
        if speak {
            self.mailbox.work.notify_one();
        }
    }
}
