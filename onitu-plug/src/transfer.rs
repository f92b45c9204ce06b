//! Fetches contents from the services that have them: the receiving half of a transfer.
//!
//! [`Puller::fetch`] is one whole attempt from one source: it opens the path there in the state
//! that was promised, writes what arrives to the driver's [`Sink`], grants new credit as it is
//! written, and verifies length and checksum. Which source comes first, when to try again, and when
//! to put the result in place ([`Arrived::place`]), is the caller's work.
//!
//! Bounded: bytes under way over all transfers ([`STREAM_BYTES_MAX`], [`SMALL_BYTES_MAX`]), the
//! time a source may be silent ([`SILENCE`]), new openings after a lost connection
//! ([`REOPENS_MAX`]).

mod attempt;
mod line;
mod pace;
mod progress;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint};
use onitu_core::limits::{CREDIT_BYTES, INLINE_BYTES_MAX};
use onitu_core::message::Origin;
use onitu_core::status::TransferStatus;
use onitu_core::{Checksum, Content, Fault, FaultKind, Path, ServiceId, State, Tag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::attempt::Attempt;
use self::line::{Line, Mailbox};
use self::progress::Board;
use crate::plug::{Plug, Sink};

/// Most bytes of large files that sources may have under way to this process.
const STREAM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of small files that may be under way to this process.
const SMALL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Credit of a transfer that begins while many are under way.
const LEAN_CREDIT_BYTES: u32 = 1024 * 1024;
/// A source that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(15);
/// How often one attempt begins again where it was after the connection was lost.
const REOPENS_MAX: u32 = 3;
/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_mins(3);

/// What an order asks to fetch.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Where it goes, and where it is on the source.
    pub(crate) path: Path,
    /// What it shall be: a file or link. Its checksum only if somebody has computed it.
    pub(crate) content: Content,
    /// The state to replace; [`None`]: nothing is there.
    pub(crate) expect: Option<Tag>,
    /// The revision it will hold.
    pub(crate) revision: u64,
    /// The source's name, for messages to people.
    pub(crate) source_name: String,
}

impl Wanted {
    /// Whether it travels in one answer.
    fn is_small(&self) -> bool {
        self.content.size <= INLINE_BYTES_MAX
    }

    /// Names what an interrupted attempt wrote, so that only an attempt at the same content takes
    /// it up. The same in every process and after a restart; the checksum is no part of it, which
    /// may have become known in between. It is verified at the end.
    fn resume_key(&self) -> u64 {
        let Content { size, mtime_ns, .. } = self.content;
        let identity = format!("{}\0{}\0{size}\0{mtime_ns}", self.path, self.revision);
        let sum = Checksum::of(identity.as_bytes()).0;
        sum.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

/// On which side an attempt failed: it decides whether another source may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The source, or the way to it.
    Source,
    /// The storage that was written to.
    Here,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Where.
    pub(crate) side: Side,
    /// What.
    pub(crate) fault: Fault,
}

/// What was fetched, complete and verified, under a temporary name. Dropped, a large one stays for
/// a later attempt at the same content.
pub(crate) struct Arrived<P: Plug> {
    sink: P::Sink,
    expect: Option<Tag>,
    /// As wanted, with its checksum, and its media type where the name tells none.
    pub(crate) content: Content,
}

impl<P: Plug> Arrived<P> {
    /// Puts it in place and tells its new state, with what its bytes tell. `Changed`: the destination isn't
    /// as expected, and nothing was put in place.
    pub(crate) async fn place(self) -> Result<State, Fault> {
        let mut state = self.sink.place(self.content, self.expect).await?;
        state.content.checksum = self.content.checksum;
        state.content.media = self.content.media;
        Ok(state)
    }
}

/// Fetches contents from other services. A clone shares connections and bounds.
#[derive(Clone)]
pub(crate) struct Puller {
    shared: Arc<Shared>,
}

struct Shared {
    bus: Arc<dyn Bus>,
    lines: Mutex<BTreeMap<ServiceId, Line>>,
    ids: AtomicU64,
    streams: Arc<Semaphore>,
    smalls: Arc<Semaphore>,
    board: Arc<Board>,
}

impl Puller {
    /// Connects to sources over `bus` when they are needed.
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            shared: Arc::new(Shared {
                bus,
                lines: Mutex::default(),
                ids: AtomicU64::new(1),
                streams: Arc::new(Semaphore::new(STREAM_BYTES_MAX)),
                smalls: Arc::new(Semaphore::new(SMALL_BYTES_MAX)),
                board: Arc::default(),
            }),
        }
    }

    /// Fetches `wanted` from `from`; what has arrived is complete and verified, and waits to be put
    /// in place. May be repeated. Dropping the future cancels the transfer; what was written stays for a
    /// later attempt at the same content. When `overtaken` ends first it is `Changed`, and what was
    /// written is thrown away: nobody wants it any more.
    ///
    /// Faults of the source say its name. `Corrupt`: length or checksum are not what was promised.
    /// `Changed`: the source no longer has that state, or the destination isn't as expected.
    /// `Unavailable`: the source was silent or its connection was lost too often. Nothing was put
    /// in place in any of these cases.
    pub(crate) async fn fetch<P: Plug>(
        &self,
        plug: &P,
        wanted: &Wanted,
        from: Origin,
        overtaken: impl Future<Output = ()>,
    ) -> Result<Arrived<P>, Failure> {
        Attempt::new(self, plug, wanted, from).run(overtaken).await
    }

    /// Fetches and puts in place at once; tells the new state, checksum included.
    #[cfg(test)]
    pub(crate) async fn attempt<P: Plug>(
        &self,
        plug: &P,
        wanted: &Wanted,
        from: Origin,
    ) -> Result<State, Failure> {
        let arrived = self.fetch(plug, wanted, from, std::future::pending()).await?;
        arrived.place().await.map_err(|fault| Failure { side: Side::Here, fault })
    }

    /// The large transfers under way, largest first.
    pub(crate) fn progress(&self) -> Vec<TransferStatus> {
        self.sweep();
        self.shared.board.statuses()
    }

    fn lines<T>(&self, change: impl FnOnce(&mut BTreeMap<ServiceId, Line>) -> T) -> T {
        change(&mut self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes connections that nobody used for a while.
    fn sweep(&self) {
        self.lines(|lines| lines.retain(|_, line| !line.mailbox().is_idle_for(IDLE)));
    }

    /// The connection to `service`, made if there is none.
    fn mailbox(&self, service: ServiceId) -> Arc<Mailbox> {
        self.sweep();
        self.lines(|lines| {
            let line = lines
                .entry(service)
                .or_insert_with(|| Line::new(self.shared.bus.dealer(&Endpoint::contents(service))));
            line.mailbox().touch();
            line.mailbox().clone()
        })
    }

    fn next_id(&self) -> u64 {
        self.shared.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the memory that `wanted` may occupy on its way, and tells its credit.
    async fn reserve(&self, wanted: &Wanted) -> Result<(OwnedSemaphorePermit, u32), Fault> {
        if wanted.is_small() {
            let bytes = u32::try_from(wanted.content.size).unwrap_or(u32::MAX).max(1);
            let permit = self.shared.smalls.clone().acquire_many_owned(bytes).await;
            return Ok((permit.map_err(|_| ending())?, bytes));
        }
        // The first transfers get the whole window; the more there are, the leaner the next.
        let streams = &self.shared.streams;
        let plenty = streams.available_permits() > STREAM_BYTES_MAX / 2;
        let size = u32::try_from(wanted.content.size).unwrap_or(u32::MAX);
        let credit = size.min(if plenty { CREDIT_BYTES } else { LEAN_CREDIT_BYTES });
        let permit = streams.clone().acquire_many_owned(credit).await;
        Ok((permit.map_err(|_| ending())?, credit))
    }
}

fn ending() -> Fault {
    Fault::new(FaultKind::Cancelled, "the driver is ending")
}
