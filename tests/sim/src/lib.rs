//! Seeded simulation (design §6, style "Tests"): the real Referee and the real drivers' runtime,
//! over a store, a bus, a clock and services in memory, on one thread.
//!
//! A seed decides everything: how many services there are, what their users do, what crashes, what
//! is lost, doubled or late. After every step nothing incomplete may stand under a user's name
//! (I3); when the faults end everything must come to rest, with the same tree on every service
//! (I2), no content lost that no user gave up (I1, and I4 by its consequence), records that agree
//! with the services, and no work left. The same seed gives the same log, step for step (I6).

pub mod careless;
mod check;
mod command;
mod house;
#[cfg(test)]
mod levels;
mod run;
mod user;

pub use command::{Command, command};
pub use run::{Report, Scenario, simulate};
