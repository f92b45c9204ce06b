//! The cases, some at once.

use std::any::Any;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval};

use super::arguments::Arguments;
use super::{Refusal, progress, tell};
use crate::promise::{Broken, Promise};
use crate::{Case, Installed, Subject, roll};

/// Between two looks whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// A driver that needs longer to connect for the first time hangs.
const CONNECT_LIMIT: Duration = Duration::from_mins(1);

/// A case and what it found.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Where it stands in the suite.
    pub(super) at: usize,
    pub(super) case: Case,
    pub(super) promise: Promise,
    pub(super) took: Duration,
}

/// Makes one storage and connects, so that a wrong option is told once.
pub(super) async fn try_out() -> Result<(), Refusal> {
    let connect = async { Installed::fresh().await.connect(false).await.map(drop) };
    let connected = tokio::time::timeout(CONNECT_LIMIT, connect).await.map_err(|_| {
        Refusal::failed(format!("the driver connects nothing within {} s", CONNECT_LIMIT.as_secs()))
    })?;
    connected.map_err(|fault| {
        let text = format!("a fresh storage can't be connected ({:?}): {fault}", fault.kind);
        Refusal::failed(text)
    })
}

/// Runs the cases that are wanted; broken ones are told at once, too.
pub(super) async fn cases(
    arguments: &Arguments,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Outcome>, Refusal> {
    let all = roll::<Installed>();
    let wanted = arguments.cases.as_ref().map(|pattern| pattern.replace(' ', "_"));
    let is_wanted = |case: &Case| {
        wanted.as_ref().is_none_or(|it| case.name.contains(it) || case.room.contains(it))
    };
    let chosen: Vec<Case> = all.into_iter().filter(is_wanted).collect();
    if chosen.is_empty() {
        let pattern = arguments.cases.as_deref().unwrap_or_default();
        return Err(Refusal::misused(format!("no case has `{pattern}` in its room or name")));
    }
    let (count, done) = (chosen.len(), AtomicUsize::new(0));
    let places = Arc::new(Semaphore::new(usize::from(arguments.jobs)));
    let mut running = JoinSet::new();
    for (at, case) in chosen.into_iter().enumerate() {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let began = Instant::now();
            let promise = run(case).await;
            Outcome { at, case, promise, took: began.elapsed() }
        });
    }
    let mut outcomes = Vec::new();
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let outcome = ended.map_err(|error| Refusal::failed(error.to_string()))?;
                    if let Err(broken) = &outcome.promise {
                        tell(&format!("broken: {}: {broken}", outcome.case.name.replace('_', " ")));
                    }
                    outcomes.push(outcome);
                    progress(&format!("{} of {count} cases", done.fetch_add(1, Ordering::Relaxed) + 1));
                }
            },
            _ = looks.tick() => if stop.load(Ordering::SeqCst) {
                // Each case has its storage and its process, which end with it.
                running.shutdown().await;
                return Err(Refusal::failed("interrupted"));
            },
        }
    }
    progress("");
    outcomes.sort_by_key(|outcome| outcome.at);
    Ok(outcomes)
}

/// A case that panics is broken like any other.
async fn run(case: Case) -> Promise {
    // A set, so that the case ends with whoever waits for it.
    let mut running = JoinSet::new();
    running.spawn((case.run)());
    let ended = running.join_next().await;
    let ended = ended.unwrap_or_else(|| Ok(Err(Broken::new("it didn't run"))));
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => Err(Broken::new(format!("it panicked: {}", words_of(panic.as_ref())))),
        Err(error) => Err(Broken::new(error.to_string())),
    })
}

/// What a panic says.
pub(super) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked without a word".to_owned())
}

/// Panics are told with what they broke, not by the thread.
pub(super) fn silence_panics() {
    panic::set_hook(Box::new(|_| {}));
}
