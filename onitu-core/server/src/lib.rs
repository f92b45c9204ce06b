//! The Core process: the catalogue of services, and the answers to the command line.
//!
//! It reads `entries.toml`, writes the registry that every other process reads, tells the
//! supervisor which drivers to run, and answers on `core.sock`. It never touches a record (that is
//! the Referee's), a file (that is a driver's) or a process (that is the supervisor's).
//!
//! Rooms: [`Core`] holds the state and brings store and supervisor to what the configuration says
//! (`register` computes what that is, `scans` sees to it that lost scans are done again); `listen`
//! and `answer` speak to the command line; `parts`, `overview`, `settle`, `tree` and `explain` make
//! the answers, each with its pure half apart; `trash` and `restore` ask the drivers for theirs.

mod answer;
mod approval;
mod approve;
mod configuration;
mod conflicts;
mod core;
mod explain;
mod identity;
mod listen;
mod name;
mod overview;
mod parts;
mod plan;
mod process;
mod register;
mod restore;
mod scans;
mod settle;
mod sources;
mod supervisor;
mod trash;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use configuration::{Configuration, Configured, Remembered, Sources};
pub use core::Core;
pub use listen::{bind, serve};
pub use process::{Arguments, main};
pub use register::Place;
pub use sources::Disked;
pub use supervisor::{Supervisor, SupervisorError};
