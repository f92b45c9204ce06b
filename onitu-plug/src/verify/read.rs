//! Reading files for their checksums, no faster than allowed, and making sure of what differs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onitu_core::message::Event;
use onitu_core::verify::{Finding, FindingKind};
use onitu_core::{Checksum, Content, Fault, FaultKind, Hasher, Media, Mode, State, limits};
use tokio::time::Instant;

use super::Progress;
use super::walk::{Held, left_s};
use crate::media::Head;
use crate::plug::{Plug, Source};
use crate::service::Shared;

/// Read at once, in bytes.
const READ_BYTES: u32 = limits::CHUNK_BYTES_MIN * 4;
/// Between the two readings of a file that seems rotten: what its user just did is told by then.
const DOUBT_PAUSE: Duration = Duration::from_secs(1);

/// What the bytes of a file tell.
type Told = (Checksum, Option<Media>);

/// Reads what the service holds.
pub(super) struct Reader<'a, P> {
    shared: &'a Shared<P>,
    progress: &'a Progress<'a>,
    begin: Instant,
    /// When the next bytes may be read.
    next: Mutex<Instant>,
}

impl<'a, P: Plug> Reader<'a, P> {
    pub(super) fn new(shared: &'a Shared<P>, progress: &'a Progress<'a>) -> Self {
        let begin = Instant::now();
        Self { shared, progress, begin, next: Mutex::new(begin) }
    }

    /// Reads a file and tells what is wrong with it. `Changed` if it is not in the known state any
    /// more, other faults if it can't be read.
    pub(super) async fn read(&self, held: &Held) -> Result<Option<Finding>, Fault> {
        let state = self.look(held).await?;
        let read = self.read_whole(held, &state).await?;
        match held.content.checksum {
            Some(known) if known == read.0 => {
                self.shared.problems.mended(held.path.as_str());
                match (held.content.media, read.1) {
                    (None, Some(_)) => self.learn(held, read).await,
                    _ => Ok(None),
                }
            }
            Some(known) => self.doubt(held, known, read.0).await,
            None => self.learn(held, read).await,
        }
    }

    /// What is at the path, if that is the known state.
    async fn look(&self, held: &Held) -> Result<State, Fault> {
        let state = self.shared.plug.look(&held.path).await?;
        state.filter(|state| state.tag == held.tag).ok_or_else(|| {
            Fault::new(FaultKind::Changed, format!("`{}` changed while it was read", held.path))
        })
    }

    async fn read_whole(&self, held: &Held, state: &State) -> Result<Told, Fault> {
        let mut source = self.shared.plug.read(&held.path, state.tag, 0).await?;
        let mut hasher = Hasher::default();
        let mut beginning = Head::of(&held.path, state.content.kind);
        loop {
            let bytes = source.next(READ_BYTES).await?;
            if bytes.is_empty() {
                break;
            }
            hasher.update(&bytes);
            beginning.update(&bytes);
            self.pay(bytes.len() as u64).await;
        }
        self.look(held).await?;
        Ok((hasher.finish(), beginning.media()))
    }

    /// Counts bytes that were read, and waits until the next may be.
    async fn pay(&self, bytes: u64) {
        self.progress.update(|status| {
            status.bytes += bytes;
            status.bytes_total = status.bytes_total.max(status.bytes);
            let took_ms = self.begin.elapsed().as_millis().max(1);
            let per_s = u128::from(status.bytes) * 1_000 / took_ms;
            status.bytes_per_s = u64::try_from(per_s).unwrap_or(u64::MAX);
            status.eta_s = left_s(self.begin, status.bytes, status.bytes_total);
        });
        let Some(bytes_per_s) = self.progress.job.manner.bytes_per_s else { return };
        let took_us = u128::from(bytes) * 1_000_000 / u128::from(bytes_per_s.max(1));
        let took = Duration::from_micros(u64::try_from(took_us).unwrap_or(u64::MAX));
        let until = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next = (*next).max(Instant::now()) + took;
            *next
        };
        tokio::time::sleep_until(until).await;
    }

    /// Nobody knew the checksum, or the media type where the name tells none: now they are told, and
    /// the next verification has what to compare.
    async fn learn(&self, held: &Held, (sum, media): Told) -> Result<Option<Finding>, Fault> {
        let Some(claim) = self.shared.claims.try_claim(&held.path) else { return Ok(None) };
        let mut state = self.look(held).await?;
        let now = Held::again(self.shared, &held.path).await?;
        let is_news = |now: &Content| {
            now.checksum.is_none() || now.checksum == Some(sum) && now.media.is_none()
        };
        if now.is_some_and(|now| now.tag == held.tag && is_news(&now.content)) {
            state.content = self.shared.as_kept(state.content, Some(&held.content));
            (state.content.checksum, state.content.media) = (Some(sum), media);
            let seen = Event::Seen {
                path: held.path.clone(),
                state,
                order: None,
                placed: None,
                moved_from: None,
                set_aside_from: None,
            };
            self.shared.announce(vec![seen]).await;
        }
        drop(claim);
        Ok(None)
    }

    /// Other bytes than `known` were read. They may have been written a moment ago, and be about
    /// to be told; they may have been read wrongly. Only what is the same once more is told.
    async fn doubt(
        &self,
        held: &Held,
        known: Checksum,
        first: Checksum,
    ) -> Result<Option<Finding>, Fault> {
        self.shared.plug.settle().await?;
        tokio::time::sleep(DOUBT_PAUSE).await;
        let state = self.look(held).await?;
        let (second, media) = self.read_whole(held, &state).await?;
        if second != first {
            let message = format!(
                "two readings of `{}` gave different bytes: its disk or the way to it is failing",
                held.path
            );
            return Err(Fault::new(FaultKind::Corrupt, message));
        }
        let Some(_claim) = self.shared.claims.try_claim(&held.path) else { return Ok(None) };
        let mut state = self.look(held).await?;
        let Some(now) = Held::again(self.shared, &held.path).await? else { return Ok(None) };
        if now.tag != held.tag || now.content.checksum != Some(known) {
            return Ok(None);
        }
        state.content = self.shared.as_kept(state.content, Some(&now.content));
        (state.content.checksum, state.content.media) = (Some(second), media);
        let path = held.path.clone();
        // What is never written to can't be repaired; its user has to.
        let is_repaired = now.elsewhere && self.shared.mode != Mode::Source;
        if is_repaired {
            self.shared.announce(vec![Event::Rotten { path: path.clone(), state }]).await;
        }
        let message = if is_repaired {
            "its bytes are not those that were recorded, though its size and times are: what is \
             there is kept under a conflict name, and the recorded content comes from another \
             service"
        } else if now.elsewhere {
            "its bytes are not those that were recorded, though its size and times are, and this \
             service is never written to: copy it from another service, or `touch` it to keep what \
             is there"
        } else {
            "its bytes are not those that were recorded, though its size and times are, and no \
             other service has them: restore it from a backup, or `touch` it to keep what is there"
        };
        self.shared.problems.keep(path.as_str(), &Fault::new(FaultKind::Corrupt, message));
        if !is_repaired {
            self.progress.update(|status| status.unrepairable += 1);
        }
        Ok(Some(Finding { path, kind: FindingKind::Rotten, message: message.to_owned() }))
    }
}
