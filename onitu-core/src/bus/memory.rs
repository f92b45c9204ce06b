//! The bus inside one process, for tests and the simulation.
//!
//! It keeps the promises of [`super`] and no others: what the real bus may lose, double, delay or
//! break, this one does on demand ([`Weather`]). All chance comes from one seed, all waiting goes
//! through `tokio::time` and every map is ordered, so on one thread with a paused clock the same
//! seed gives the same run. A listener whose handle is dropped is a process that crashed.

mod asks;
mod contents;
mod news;
mod underway;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{Bus, BusError, Dealer, Endpoint, Publisher, Replier, Requester, Router, Subscriber};

/// What goes wrong, and how often: probabilities from 0 to 1. The default is calm.
#[derive(Debug, Clone, PartialEq)]
pub struct Weather {
    /// One subscriber misses one piece of news.
    pub lose_news: f64,
    /// One subscriber hears one piece of news twice.
    pub double_news: f64,
    /// News that was delayed may be overtaken by later news.
    pub reorder_news: bool,
    /// A request is never heard: the asker times out.
    pub lose_request: f64,
    /// A request is heard, its answer lost: the asker times out.
    pub lose_answer: f64,
    /// A message between dealer and router breaks their connection instead of arriving.
    pub reset_dealer: f64,
    /// Any message, request or answer arrives later, by a time within `delay_by`.
    pub delay: f64,
    /// How much later.
    pub delay_by: RangeInclusive<Duration>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            lose_news: 0.0,
            double_news: 0.0,
            reorder_news: false,
            lose_request: 0.0,
            lose_answer: 0.0,
            reset_dealer: 0.0,
            delay: 0.0,
            delay_by: Duration::ZERO..=Duration::ZERO,
        }
    }
}

/// A bus in memory; clones share it.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

impl MemoryBus {
    /// A calm bus without anybody on it, whose chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            weather: Weather::default(),
            ids: 0,
            listeners: BTreeMap::new(),
            subscribers: BTreeMap::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// From now on the weather is so; what is already under way arrives as it was decided.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.state().weather = weather;
    }

    /// The weather as it is.
    pub fn weather(&self) -> Weather {
        self.shared.state().weather.clone()
    }
}

/// What all handles of one bus share.
struct Shared {
    state: Mutex<State>,
    /// Told whenever a listener came or went.
    changed: Notify,
}

struct State {
    rng: fastrand::Rng,
    weather: Weather,
    /// The last id given; ids also tell the listeners of one endpoint apart.
    ids: u64,
    /// As on the real bus, whoever listens last at an endpoint has it.
    listeners: BTreeMap<String, (u64, Door)>,
    subscribers: BTreeMap<(String, u64), news::Hearing>,
}

/// Where a listener hears those who connect.
enum Door {
    News,
    Asks(mpsc::Sender<asks::Asked>),
    Contents(mpsc::Sender<contents::Incoming>),
}

impl Door {
    fn asks(&self) -> Option<mpsc::Sender<asks::Asked>> {
        if let Self::Asks(door) = self { Some(door.clone()) } else { None }
    }

    fn contents(&self) -> Option<mpsc::Sender<contents::Incoming>> {
        if let Self::Contents(door) = self { Some(door.clone()) } else { None }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what happens with the probability `of` the weather happens now.
    fn chance(&self, of: impl Fn(&Weather) -> f64) -> bool {
        self.state().chance(of)
    }

    /// When a message that sets out now arrives.
    fn arrival(&self) -> Instant {
        self.state().arrival()
    }

    /// The listener at `endpoint` with its id, as soon as there is one of the right kind.
    async fn door<T>(&self, endpoint: &str, kind: impl Fn(&Door) -> Option<T>) -> (u64, T) {
        let find = |state: &State| {
            let (id, door) = state.listeners.get(endpoint)?;
            Some((*id, kind(door)?))
        };
        self.until(find).await
    }

    /// Waits until listener `id` is no longer the one at `endpoint`.
    async fn gone(&self, endpoint: &str, id: u64) {
        self.until(|state| {
            let there = state.listeners.get(endpoint).is_some_and(|(there, _)| *there == id);
            (!there).then_some(())
        })
        .await;
    }

    async fn until<T>(&self, find: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = find(&self.state()) {
                return found;
            }
            changed.await;
        }
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn chance(&mut self, of: impl Fn(&Weather) -> f64) -> bool {
        let probability = of(&self.weather);
        probability > 0.0 && self.rng.f64() < probability
    }

    fn arrival(&mut self) -> Instant {
        if !self.chance(|weather| weather.delay) {
            return Instant::now();
        }
        let (least, most) = (*self.weather.delay_by.start(), *self.weather.delay_by.end());
        Instant::now() + least + most.saturating_sub(least).mul_f64(self.rng.f64())
    }
}

/// A listener's presence at its endpoint; ends with its task.
struct Presence {
    shared: Arc<Shared>,
    endpoint: String,
    id: u64,
}

impl Presence {
    fn new(shared: &Arc<Shared>, endpoint: &Endpoint, door: Door) -> Self {
        let mut state = shared.state();
        let id = state.id();
        state.listeners.insert(endpoint.0.clone(), (id, door));
        drop(state);
        shared.changed.notify_waiters();
        Self { shared: shared.clone(), endpoint: endpoint.0.clone(), id }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.listeners.get(&self.endpoint).is_some_and(|(id, _)| *id == self.id) {
            state.listeners.remove(&self.endpoint);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publisher(&self, at: &Endpoint) -> Result<Publisher, BusError> {
        Ok(news::publisher(&self.shared, at))
    }

    fn subscriber(&self, at: &Endpoint, topics: &[String]) -> Subscriber {
        news::subscriber(&self.shared, at, topics)
    }

    async fn replier(&self, at: &Endpoint) -> Result<Replier, BusError> {
        Ok(asks::replier(&self.shared, at))
    }

    fn requester(&self, at: &Endpoint) -> Requester {
        asks::requester(&self.shared, at)
    }

    async fn router(&self, at: &Endpoint) -> Result<Router, BusError> {
        Ok(contents::router(&self.shared, at))
    }

    fn dealer(&self, at: &Endpoint) -> Dealer {
        contents::dealer(&self.shared, at)
    }
}
