//! `limit`: how many bytes a second a service is read and written with.
//!
//! A wrapper around every driver, the innermost: whatever is read for a transfer, a checksum or a
//! verification counts, and whatever is written; reading and writing each have the whole rate.
//! Requests without contents aren't counted. Who waits has no byte more in memory for it: a
//! source gives what it has read late, a sink takes the next piece late.

mod debt;

use std::sync::Arc;
use std::time::Duration;

use onitu_core::{Content, Fault, Hasher, Limit, Path, State, Tag, clock};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use self::debt::Debt;
use crate::plug::{Plug, Setting, Sink, Source};

/// How long the longest wait is before the hours are looked at again.
const STEP: Duration = Duration::from_secs(1);
/// Reads are made no smaller than this to be spread over time.
const PIECE_BYTES_MIN: u32 = 1024;

/// A driver that is used no faster than its service's limit. The runtime wraps every driver itself.
pub(crate) struct Limited<P> {
    inner: P,
    pace: Option<Arc<Pace>>,
}

/// One service's limit, and what was used of it.
struct Pace {
    limit: Limit,
    read: Mutex<Debt>,
    written: Mutex<Debt>,
}

impl Pace {
    fn bytes_per_s(&self) -> Option<u64> {
        self.limit.at(minute_of_day())
    }

    /// Waits until what was used before is paid for, in the order of those who ask, and then owes
    /// `bytes` more.
    async fn pass(&self, debt: &Mutex<Debt>, bytes: usize) {
        let mut debt = debt.lock().await;
        while let Some(rate) = self.bytes_per_s() {
            let wait = debt.wait(rate, Instant::now());
            if wait.is_zero() {
                debt.owe(bytes);
                return;
            }
            sleep(wait.min(STEP)).await;
        }
        debt.forgive(Instant::now());
    }
}

/// Of the time zone this machine is set to.
#[cfg(feature = "process")]
fn minute_of_day() -> u16 {
    let now_ms = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX);
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::MAX);
    let now = now.to_zoned(jiff::tz::TimeZone::system());
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// In a simulation every machine is in Greenwich.
#[cfg(not(feature = "process"))]
fn minute_of_day() -> u16 {
    u16::try_from(clock::now_ms() / 60_000 % 1_440).unwrap_or_default()
}

impl<P: Plug> Limited<P> {
    /// Around a driver that is connected.
    pub(crate) fn over(inner: P, limit: Option<Limit>) -> Self {
        let pace = limit.map(|limit| {
            let now = Instant::now();
            let (read, written) = (Mutex::new(Debt::new(now)), Mutex::new(Debt::new(now)));
            Arc::new(Pace { limit, read, written })
        });
        Self { inner, pace }
    }
}

impl<P: Plug> Plug for Limited<P> {
    type Options = P::Options;
    type Source = LimitedSource<P::Source>;
    type Sink = LimitedSink<P::Sink>;

    crate::forward_plug!(
        inner: manifest, abilities, listing_lag, check, watch, settle, list, look, make_directory,
        set_attributes, rename, remove, trash, hash_trashed, restore,
    );

    async fn connect(options: P::Options, setting: Setting) -> Result<Self, Fault> {
        P::connect(options, setting).await.map(|inner| Self::over(inner, None))
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<Self::Source, Fault> {
        let inner = self.inner.read(path, tag, offset).await?;
        Ok(LimitedSource { inner, pace: self.pace.clone() })
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<Self::Sink, Fault> {
        let inner = self.inner.write(path, content, resume).await?;
        Ok(LimitedSink { inner, pace: self.pace.clone() })
    }
}

/// Reads one path no faster than allowed.
pub(crate) struct LimitedSource<S> {
    inner: S,
    pace: Option<Arc<Pace>>,
}

impl<S: Source> Source for LimitedSource<S> {
    fn content(&self) -> Content {
        self.inner.content()
    }

    async fn next(&mut self, max: u32) -> Result<crate::Bytes, Fault> {
        let Some(pace) = &self.pace else { return self.inner.next(max).await };
        // Little at a time, so that each of many readers goes on soon: who hears nothing for long
        // takes this service for dead.
        let piece = pace.bytes_per_s().map_or(max, |rate| {
            u32::try_from(rate / 16).unwrap_or(u32::MAX).max(PIECE_BYTES_MIN).min(max)
        });
        let bytes = self.inner.next(piece).await?;
        pace.pass(&pace.read, bytes.len()).await;
        Ok(bytes)
    }
}

/// Writes one path no faster than allowed.
pub(crate) struct LimitedSink<S> {
    inner: S,
    pace: Option<Arc<Pace>>,
}

impl<S: Sink> Sink for LimitedSink<S> {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        self.inner.resumed().await
    }

    async fn write(&mut self, bytes: crate::Bytes) -> Result<(), Fault> {
        if let Some(pace) = &self.pace {
            pace.pass(&pace.written, bytes.len()).await;
        }
        self.inner.write(bytes).await
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        self.inner.place(content, expect).await
    }

    async fn discard(self) {
        self.inner.discard().await;
    }
}

#[cfg(test)]
mod tests;
