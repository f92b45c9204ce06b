//! How much a puller lets one transfer send, and what it has not confirmed yet.

use std::sync::{Mutex, PoisonError};

use onitu_core::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CREDIT_BYTES};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::timeout;

use super::PATIENCE;

/// Most credit one transfer can hold, whatever its puller says.
const CREDIT_MAX: u32 = 2 * CREDIT_BYTES;

/// One transfer's credit; shared by the task that hears of it and the task that spends it.
pub(super) struct Gate {
    state: Mutex<State>,
    given: Notify,
    closed: Notify,
}

struct State {
    credit: u32,
    chunk: u32,
    /// Of the puller's ledger: one for each byte sent and not confirmed.
    unconfirmed: Option<OwnedSemaphorePermit>,
}

impl Gate {
    pub(super) fn new(credit: u32, chunk: u32) -> Self {
        let state =
            State { credit: credit.min(CREDIT_MAX), chunk: clamp(chunk), unconfirmed: None };
        Self { state: Mutex::new(state), given: Notify::new(), closed: Notify::new() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The puller has taken `bytes` and wants as many more; 0 is a sign of life.
    pub(super) fn give(&self, bytes: u32, chunk: u32) {
        self.with(|state| {
            state.credit = state.credit.saturating_add(bytes).min(CREDIT_MAX);
            state.chunk = clamp(chunk);
            if let Some(unconfirmed) = &mut state.unconfirmed {
                let confirmed = unconfirmed.num_permits().min(bytes as usize);
                drop(unconfirmed.split(confirmed));
            }
        });
        self.given.notify_one();
    }

    /// The puller wants nothing more.
    pub(super) fn close(&self) {
        self.closed.notify_one();
    }

    /// Returns when the puller wants nothing more.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Waits until something may be sent and tells how much at once; [`None`] if the puller has
    /// gone.
    pub(super) async fn allowance(&self) -> Option<u32> {
        loop {
            let allowed = self.with(|state| state.credit.min(state.chunk));
            if allowed > 0 {
                return Some(allowed);
            }
            timeout(PATIENCE, self.given.notified()).await.ok()?;
        }
    }

    /// Notes that the bytes of `permit` are on their way.
    pub(super) fn spend(&self, permit: OwnedSemaphorePermit) {
        self.with(|state| {
            let bytes = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
            state.credit = state.credit.saturating_sub(bytes);
            match &mut state.unconfirmed {
                Some(unconfirmed) => unconfirmed.merge(permit),
                empty => *empty = Some(permit),
            }
        });
    }

    /// After the end: returns when the puller has gone.
    pub(super) async fn linger(&self) {
        while timeout(PATIENCE, self.given.notified()).await.is_ok() {}
    }
}

fn clamp(chunk: u32) -> u32 {
    chunk.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
}
