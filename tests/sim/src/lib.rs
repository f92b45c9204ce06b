//! Seeded simulation (design §6, style "Tests"): the real Referee and the real drivers' runtime,
//! over a store, a bus, a clock and services in memory, on one thread.
//!
//! A seed decides everything: how many services there are and what they can do, which rules are in
//! force, what users do, what crashes, what is lost, doubled or late. After every step no content
//! may be lost (I1), nothing incomplete stand under a user's name (I3), nothing be overwritten
//! unseen (I4), nothing be where no rule placed it (I5) or under a name nobody gave (I7). When the
//! faults end everything must come to rest: every target holds what is recorded, byte for byte
//! (I2), the records say what the services hold, the counts add up, no work is left, and a second
//! run of everything writes nothing. The same seed gives the same log, step for step (I6).

mod alone;
mod books;
pub mod careless;
mod check;
mod command;
mod house;
#[cfg(test)]
mod levels;
mod nature;
mod permit;
mod rest;
mod room;
mod run;
mod scene;
mod special;
mod standing;
mod trouble;
mod user;

pub use command::{Command, command};
pub use run::{Report, Scenario, simulate};
