//! The real bus: ZeroMQ over unix sockets in one private directory.
//!
//! The crate below (pure Rust, `zeromq`) carries bytes well and forgives nothing, so each room here
//! mends what it lacks: [`address`] takes over a dead process' socket and waits for a peer that
//! isn't there, [`news`] finds a publisher that came back, [`asks`] asks again over a new socket
//! and knows its answers by a number, [`dealer`] and [`router`] find out that a peer is dead. What a frame of
//! the bus' own says is written at the top of each. There is no encryption and the crate believes
//! any frame length it is told: the directory must be closed to other users.

mod address;
mod asks;
mod contents;
mod dealer;
mod news;
mod router;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Interval, MissedTickBehavior};

use self::address::Address;
use super::{Bus, BusError, Dealer, Endpoint, Publisher, Replier, Requester, Router, Subscriber};
use crate::limits::SILENCE_MS;

/// The bus of real processes.
#[derive(Debug, Clone)]
pub struct ZeroBus {
    dir: PathBuf,
    pace: Pace,
}

impl ZeroBus {
    /// A bus whose sockets are files in `runtime_dir`, which must exist and be closed to others.
    ///
    /// The path of a socket may have 107 bytes at most, so it should be a short one.
    pub fn new(runtime_dir: PathBuf) -> Self {
        let patience = Duration::from_millis(SILENCE_MS);
        let pace = Pace { tick: patience / 5, silence_ticks: 5, idle_ticks: 30, patience };
        Self { dir: runtime_dir, pace }
    }

    /// The same, but looking after its connections every `tick`, so that tests needn't wait.
    #[cfg(test)]
    pub(crate) fn with_tick(runtime_dir: PathBuf, tick: Duration) -> Self {
        let mut bus = Self::new(runtime_dir);
        bus.pace.tick = tick;
        bus.pace.patience = Duration::from_secs(1);
        bus
    }

    fn address(&self, at: &Endpoint) -> Address {
        Address::new(&self.dir, at)
    }
}

/// How often connections are looked after. Ticks are counted rather than time, so that a process
/// that was itself stopped for a while doesn't take its peers for dead.
#[derive(Debug, Clone, Copy)]
struct Pace {
    tick: Duration,
    /// A peer that said nothing for so many ticks is given up.
    silence_ticks: u32,
    /// A connection that carried nothing for so many ticks is no longer looked after.
    idle_ticks: u32,
    /// How long a dealer's messages wait for a router.
    patience: Duration,
}

impl Pace {
    fn interval(self) -> Interval {
        let mut interval =
            tokio::time::interval_at(tokio::time::Instant::now() + self.tick, self.tick);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    }
}

#[async_trait]
impl Bus for ZeroBus {
    async fn publisher(&self, at: &Endpoint) -> Result<Publisher, BusError> {
        news::publisher(&self.address(at), self.pace).await
    }

    fn subscriber(&self, at: &Endpoint, topics: &[String]) -> Subscriber {
        news::subscriber(self.address(at), self.pace, topics)
    }

    async fn replier(&self, at: &Endpoint) -> Result<Replier, BusError> {
        asks::replier(&self.address(at)).await
    }

    fn requester(&self, at: &Endpoint) -> Requester {
        asks::requester(self.address(at))
    }

    async fn router(&self, at: &Endpoint) -> Result<Router, BusError> {
        router::router(&self.address(at), self.pace).await
    }

    fn dealer(&self, at: &Endpoint) -> Dealer {
        dealer::dealer(self.address(at), self.pace)
    }
}
