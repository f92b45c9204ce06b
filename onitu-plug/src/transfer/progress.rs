//! What is told of large transfers while they are under way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_core::Path;
use onitu_core::status::TransferStatus;
use tokio::time::Instant;

/// The rate is measured over this time.
const WINDOW: Duration = Duration::from_secs(5);
/// Two samples are at least this far apart.
const STEP: Duration = Duration::from_millis(500);

/// All large transfers under way.
#[derive(Default)]
pub(super) struct Board(Mutex<BTreeMap<u64, Row>>);

struct Row {
    path: Path,
    from: String,
    size: u64,
    done: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Board {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<u64, Row>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a transfer until the answer is dropped. `done` bytes are there already.
    pub(super) fn show(
        self: &Arc<Self>,
        id: u64,
        (path, from): (&Path, &str),
        size: u64,
        done: u64,
    ) -> Shown {
        let samples = VecDeque::from([(Instant::now(), done)]);
        let row = Row { path: path.clone(), from: from.to_owned(), size, done, samples };
        self.with(|rows| rows.insert(id, row));
        Shown { board: self.clone(), id }
    }

    /// All transfers, largest first.
    pub(super) fn statuses(&self) -> Vec<TransferStatus> {
        let mut statuses: Vec<_> = self.with(|rows| rows.values().map(Row::status).collect());
        statuses.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.path.cmp(&b.path)));
        statuses
    }
}

impl Row {
    fn reached(&mut self, done: u64) {
        self.done = done;
        let now = Instant::now();
        if self.samples.back().is_none_or(|(at, _)| now - *at >= STEP) {
            self.samples.push_back((now, done));
        }
        // The oldest sample kept is the last one that is older than the window.
        while self.samples.get(1).is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn status(&self) -> TransferStatus {
        let (since, before) = self.samples.front().copied().unwrap_or((Instant::now(), self.done));
        let elapsed_ms = since.elapsed().as_millis().max(1);
        let moved = u128::from(self.done.saturating_sub(before));
        let bytes_per_s = u64::try_from(moved * 1000 / elapsed_ms).unwrap_or(u64::MAX);
        let left = self.size.saturating_sub(self.done);
        TransferStatus {
            path: self.path.clone(),
            from: self.from.clone(),
            done_bytes: self.done,
            size_bytes: self.size,
            bytes_per_s,
            eta_s: (bytes_per_s > 0).then(|| left.div_ceil(bytes_per_s)),
        }
    }
}

/// A transfer that is shown.
pub(super) struct Shown {
    board: Arc<Board>,
    id: u64,
}

impl Shown {
    /// `done` bytes are here now.
    pub(super) fn reached(&self, done: u64) {
        self.board.with(|rows| {
            if let Some(row) = rows.get_mut(&self.id) {
                row.reached(done);
            }
        });
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.board.with(|rows| rows.remove(&self.id));
    }
}
