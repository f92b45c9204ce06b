//! One transfer, from the storage to the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use onitu_core::limits::{CHUNK_BYTES_MAX, INLINE_BYTES_MAX};
use onitu_core::message::{Answer, Open, Whole, encode};
use onitu_core::{Checksum, Content, Fault, FaultKind, Hasher};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::debug;

use super::gather::Ready;
use super::{Giver, Place, STREAMS_MAX, too_many};
use crate::hints::Hint;
use crate::plug::{Plug, Source};

/// While the storage gives little at a time, or what the puller already has is read for the
/// checksum, the puller hears this often that the work goes on. Of a storage that gives nothing it
/// hears nothing.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// A transfer that was asked for.
pub(super) struct Job<P> {
    pub(super) place: Place<P>,
    pub(super) open: Open,
    pub(super) ledger: Arc<Semaphore>,
}

/// Why a transfer ends before its end.
enum Stop {
    /// The puller is told.
    Refuse(Fault),
    /// Nobody is there to be told: the puller has gone, or the bus.
    Gone,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Refuse(fault)
    }
}

impl<P: Plug> Job<P> {
    /// Carries the transfer out, until it is done, refused, closed or its puller has gone.
    pub(super) async fn run(self) {
        let stopped = tokio::select! {
            biased;
            () = self.place.gate.closed() => return,
            ended = self.give() => ended,
        };
        let (peer, id) = &self.place.key;
        match stopped {
            Ok(()) => {}
            Err(Stop::Refuse(fault)) => {
                if matches!(fault.kind, FaultKind::Changed | FaultKind::NotFound) {
                    self.giver().hints.tell(self.open.path.clone(), Hint::Changed);
                }
                self.giver().refuse(peer, *id, fault);
            }
            Err(Stop::Gone) => debug!(id, path = %self.open.path, "a puller has gone"),
        }
    }

    fn giver(&self) -> &Giver<P> {
        &self.place.giver
    }

    async fn give(&self) -> Result<(), Stop> {
        let reading = permit(&self.giver().reads).await?;
        let Open { path, tag, offset, .. } = &self.open;
        let source = self.giver().plug.read(path, *tag, *offset).await?;
        let content = source.content();
        if *offset == 0 && content.size <= INLINE_BYTES_MAX {
            return self.give_whole(source, content).await;
        }
        drop(reading);
        let _streaming =
            self.giver().streams.try_acquire().map_err(|_| Stop::Refuse(too_many(STREAMS_MAX)))?;
        self.stream(source, content).await
    }

    async fn give_whole(&self, mut source: P::Source, mut content: Content) -> Result<(), Stop> {
        let size = u32::try_from(content.size).unwrap_or(u32::MAX);
        let permit = owned_permits(&self.giver().whole_bytes, size.max(1)).await?;
        let bytes = if size == 0 { Bytes::new() } else { self.fill(&mut source, 0, size).await? };
        self.expect_end(&mut source, bytes.len() as u64, content.size).await?;
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let checksum = hasher.finish();
        self.compare(checksum);
        content.checksum = Some(checksum);
        let (peer, id) = &self.place.key;
        let ready = Ready::Whole { whole: Whole { id: *id, content }, bytes, permit };
        self.giver().ready.send((peer.clone(), ready)).await.map_err(|_| Stop::Gone)
    }

    async fn stream(&self, mut source: P::Source, content: Content) -> Result<(), Stop> {
        let id = self.open.id;
        let mut offset = self.open.offset;
        if offset > content.size {
            return Err(self.differs(offset, content.size).into());
        }
        self.send(&Answer::Opened { id, content }, None).await?;
        let mut hasher = self.hash_prefix().await?;
        let mut last = Bytes::new();
        while offset < content.size {
            let allowed = self.place.gate.allowance().await.ok_or(Stop::Gone)?;
            let left = u32::try_from(content.size - offset).unwrap_or(u32::MAX);
            let wanted = allowed.min(left);
            let permit = owned_permits(&self.ledger, wanted).await?;
            // The chunk before, already on its way, is hashed while the storage is reading.
            let hashing = async { hasher.update(&last) };
            let filling = self.fill(&mut source, offset, wanted);
            let (filled, ()) = tokio::join!(biased; filling, hashing);
            let bytes = filled?;
            if bytes.len() != wanted as usize {
                return Err(self.differs(offset + bytes.len() as u64, content.size).into());
            }
            self.place.gate.spend(permit);
            self.send(&Answer::Chunk { id, offset }, Some(bytes.clone())).await?;
            offset += bytes.len() as u64;
            last = bytes;
        }
        hasher.update(&last);
        self.expect_end(&mut source, offset, content.size).await?;
        let checksum = hasher.finish();
        self.compare(checksum);
        self.send(&Answer::End { id, checksum }, None).await?;
        // What is on its way counts until the puller has confirmed it.
        self.place.gate.linger().await;
        Ok(())
    }

    /// Reads exactly `max` bytes at `offset` unless the source ends before; a source that gives
    /// them in one piece is not copied.
    async fn fill(&self, source: &mut P::Source, offset: u64, max: u32) -> Result<Bytes, Stop> {
        let mut told = Instant::now();
        let first = source.next(max).await?;
        if first.is_empty() || first.len() >= max as usize {
            return Ok(first);
        }
        let mut gathered = BytesMut::with_capacity(max as usize);
        gathered.extend_from_slice(&first);
        while gathered.len() < max as usize {
            if told.elapsed() >= SIGN_OF_LIFE {
                let sign = Answer::Chunk { id: self.open.id, offset };
                self.send(&sign, Some(Bytes::new())).await?;
                told = Instant::now();
            }
            let left = max - u32::try_from(gathered.len()).unwrap_or(max);
            let next = source.next(left).await?;
            if next.is_empty() {
                break;
            }
            gathered.extend_from_slice(&next);
        }
        Ok(gathered.freeze())
    }

    /// Bytes that aren't the recorded ones, under the recorded tag: the path must be read again.
    fn compare(&self, checksum: Checksum) {
        if self.open.checksum.is_some_and(|recorded| recorded != checksum) {
            self.giver().hints.tell(self.open.path.clone(), Hint::Doubted);
        }
    }

    /// Hashes what the puller already has, so that the checksum at the end is of the whole.
    async fn hash_prefix(&self) -> Result<Hasher, Stop> {
        let mut hasher = Hasher::default();
        let Open { id, path, tag, offset, .. } = &self.open;
        if *offset == 0 {
            return Ok(hasher);
        }
        let mut source = self.giver().plug.read(path, *tag, 0).await?;
        let size = source.content().size;
        let mut told = Instant::now();
        let mut done = 0;
        while done < *offset {
            let max = u32::try_from(offset - done).unwrap_or(u32::MAX).min(CHUNK_BYTES_MAX);
            let bytes = source.next(max).await?;
            if bytes.is_empty() || bytes.len() > max as usize {
                return Err(self.differs(done, size).into());
            }
            hasher.update(&bytes);
            done += bytes.len() as u64;
            if told.elapsed() >= SIGN_OF_LIFE {
                self.send(&Answer::Chunk { id: *id, offset: *offset }, Some(Bytes::new())).await?;
                told = Instant::now();
            }
            // A source that never waits would keep the others from running.
            tokio::task::yield_now().await;
        }
        Ok(hasher)
    }

    /// Asks the source for the end, which is also where it tells of a change.
    async fn expect_end(&self, source: &mut P::Source, at: u64, size: u64) -> Result<(), Stop> {
        let more = source.next(1).await?;
        if at == size && more.is_empty() {
            return Ok(());
        }
        Err(self.differs(at + more.len() as u64, size).into())
    }

    fn differs(&self, at: u64, size: u64) -> Fault {
        let path = &self.open.path;
        let text = format!("`{path}` was {size} bytes long when opened, and differs at byte {at}");
        Fault::new(FaultKind::Changed, text)
    }

    async fn send(&self, answer: &Answer, body: Option<Bytes>) -> Result<(), Stop> {
        let mut frames = vec![encode(answer)];
        frames.extend(body);
        let peer = self.place.key.0.clone();
        self.giver().out.send((peer, frames)).await.map_err(|_| Stop::Gone)
    }
}

/// The semaphores here are never closed; if one were, the process is ending.
async fn permit(of: &Semaphore) -> Result<SemaphorePermit<'_>, Stop> {
    of.acquire().await.map_err(|_| Stop::Gone)
}

async fn owned_permits(of: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Stop> {
    of.clone().acquire_many_owned(count).await.map_err(|_| Stop::Gone)
}
