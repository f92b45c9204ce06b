//! How large chunks should be, from how long they took.

use std::time::Duration;

use onitu_core::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use tokio::time::Instant;

/// The first chunks, before anything is known.
const FIRST_BYTES: u32 = 256 * 1024;
/// A chunk that takes less is too small: its message costs more than its bytes.
const SHORT: Duration = Duration::from_millis(50);
/// A chunk that takes longer is too large: a change or a cancellation is noticed late.
const LONG: Duration = Duration::from_millis(100);

/// Doubles and halves the chunk size until a chunk takes between [`SHORT`] and [`LONG`].
pub(super) struct Pace {
    chunk: u32,
    max: u32,
    bytes: u64,
    since: Instant,
}

impl Pace {
    /// For a window of `credit` bytes: two chunks fit, one on its way while the other is written.
    pub(super) fn new(credit: u32) -> Self {
        let max = (credit / 2).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        Self { chunk: FIRST_BYTES.min(max), max, bytes: 0, since: Instant::now() }
    }

    /// The size to ask for.
    pub(super) fn chunk_bytes(&self) -> u32 {
        self.chunk
    }

    /// Begins to measure anew: what passed was no transfer.
    pub(super) fn restart(&mut self) {
        self.bytes = 0;
        self.since = Instant::now();
    }

    /// Notes that `bytes` more have arrived and were written.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        // Smaller pieces than asked for are measured together.
        if self.bytes < u64::from(self.chunk) {
            return;
        }
        let chunks = u32::try_from(self.bytes / u64::from(self.chunk)).unwrap_or(u32::MAX);
        let took = self.since.elapsed() / chunks;
        if took < SHORT {
            self.chunk = (self.chunk * 2).min(self.max);
        } else if took > LONG {
            self.chunk = (self.chunk / 2).max(CHUNK_BYTES_MIN);
        }
        self.restart();
    }
}
