//! A driver's requests to its service: bounded, and repeated when they fail for a moment.
//!
//! The one place of Onitu that knows backoff, jitter and a service's own waiting time. A driver
//! makes one [`Calls`] for each thing that counts requests (an account, a bucket, a host) and
//! passes every request through it. It doesn't know what a request does: whether it may be sent
//! twice is said by whoever makes it, with [`Calls::run`] or [`Calls::once`]. What fails for good
//! is told to the runtime, which tries again later and elsewhere.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_core::{Fault, FaultKind};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The longest pause before the first repetition; each further one may be twice as long,
const FIRST: Duration = Duration::from_millis(200);
/// up to this.
const LAST: Duration = Duration::from_secs(10);
/// Most times a request is sent while the service can't be reached,
const ATTEMPTS_MAX: u32 = 5;
/// and longest time for which a call is kept waiting by pauses. What a service asks for beyond is
/// told to the caller at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many requests have to succeed in a row before one more may be under way, after the service
/// had asked for patience.
const TRUST: u32 = 32;

/// Requests to one service. Cheap to share by reference; made anew with each connection.
pub struct Calls {
    state: Mutex<State>,
    freed: Notify,
    made: AtomicU64,
}

struct State {
    most: usize,
    /// How many may be under way now: fewer after the service has asked for patience.
    window: usize,
    under_way: usize,
    succeeded: u32,
    /// Nothing is sent before.
    not_before: Option<Instant>,
}

impl Calls {
    /// With at most `most` requests under way (at least one).
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { most, window: most, under_way: 0, succeeded: 0, not_before: None };
        Self { state: Mutex::new(state), freed: Notify::new(), made: AtomicU64::default() }
    }

    /// Sends a request that may be sent more than once: `call` is called again after a pause while
    /// it fails with `RateLimited` or `Unavailable`.
    ///
    /// - The pause is drawn from zero to a bound that doubles (200 ms to 10 s): full jitter, see
    ///   "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    /// - A fault's own [`Fault::retry_after_ms`] is waited for instead, and by all other calls too;
    ///   fewer requests are then sent side by side, until many have succeeded.
    /// - `Unavailable` is given up after five attempts, either after 30 s of pauses. Other faults
    ///   are told at once.
    ///
    /// # Errors
    ///
    /// The last attempt's.
    pub async fn run<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            let fault = match self.attempt(began, call()).await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            attempts += 1;
            let Some(pause) = pause_after(&fault, attempts, fastrand::f64()) else {
                return Err(fault);
            };
            let until = Instant::now() + pause;
            if until - began > PATIENCE {
                return Err(fault);
            }
            sleep_until(until).await;
        }
    }

    /// Sends a request that must not be sent twice: it waits its turn as in [`Calls::run`], and its
    /// first outcome is told.
    ///
    /// # Errors
    ///
    /// The call's; `RateLimited` without having sent it if the service asks for more patience than
    /// 30 s.
    pub async fn once<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.attempt(Instant::now(), call).await
    }

    /// How many requests were sent since the connection was made.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    async fn attempt<T>(
        &self,
        began: Instant,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let turn = self.enter(began).await?;
        self.made.fetch_add(1, Ordering::Relaxed);
        let outcome = call.await;
        match &outcome {
            Err(fault) if fault.kind == FaultKind::RateLimited => self.slow_down(fault),
            Err(_) => {}
            Ok(_) => self.succeeded(),
        }
        drop(turn);
        outcome
    }

    /// Waits until one more request may be sent.
    async fn enter(&self, began: Instant) -> Result<Turn<'_>, Fault> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            let wait = {
                let mut state = self.state();
                match state.not_before {
                    Some(until) if until > Instant::now() => Some(until),
                    _ if state.under_way < state.window => {
                        state.not_before = None;
                        state.under_way += 1;
                        return Ok(Turn(self));
                    }
                    _ => None,
                }
            };
            match wait {
                Some(until) if until - began > PATIENCE => {
                    let left = until.saturating_duration_since(Instant::now());
                    let text =
                        format!("the service asks to be left alone for {} s", left.as_secs());
                    return Err(Fault::new(FaultKind::RateLimited, text).retry_after(left));
                }
                Some(until) => sleep_until(until).await,
                None => freed.await,
            }
        }
    }

    fn slow_down(&self, fault: &Fault) {
        let mut state = self.state();
        // Once for all those that were under way together.
        let now = Instant::now();
        let held = state.not_before.is_some_and(|until| until > now);
        if !held {
            state.window = (state.window / 2).max(1);
        }
        state.succeeded = 0;
        let until = now + fault.retry_after_ms.map_or(FIRST, Duration::from_millis);
        state.not_before = state.not_before.max(Some(until));
    }

    fn succeeded(&self) {
        let mut state = self.state();
        state.succeeded += 1;
        if state.succeeded >= TRUST && state.window < state.most {
            state.succeeded = 0;
            state.window += 1;
            drop(state);
            self.freed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls").field("made", &self.made()).finish_non_exhaustive()
    }
}

/// The right to one request; given back even if the call is dropped.
struct Turn<'a>(&'a Calls);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.freed.notify_one();
    }
}

/// How long to wait before the request is sent again, if it may be: after the `attempts`th one
/// failed with `fault`, `random` being drawn from 0 to 1.
fn pause_after(fault: &Fault, attempts: u32, random: f64) -> Option<Duration> {
    match fault.kind {
        FaultKind::RateLimited => {}
        FaultKind::Unavailable if attempts < ATTEMPTS_MAX => {}
        _ => return None,
    }
    let bound = FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(LAST);
    let drawn = bound.mul_f64(random);
    // Not all that were told the same time come back in the same instant.
    Some(fault.retry_after_ms.map_or(drawn, |ms| Duration::from_millis(ms) + drawn.min(FIRST)))
}

#[cfg(test)]
mod tests;
