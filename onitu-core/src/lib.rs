//! The words of Onitu, and the two things every process shares: the store and the bus.
//!
//! This crate knows nobody else in the workspace. It defines what is said ([`message`]), what is
//! remembered ([`Record`]), where it is remembered ([`store`]) and how it is carried ([`bus`]).
//! It decides nothing (that is `onitu-referee`) and touches no user's file (that is a driver).

pub mod bus;
pub mod clock;
pub mod conflict;
mod content;
pub mod control;
pub mod date;
#[cfg(feature = "entries")]
pub mod drivers;
#[cfg(feature = "entries")]
pub mod entries;
mod fault;
pub mod held;
mod hex;
pub mod ignore;
#[cfg(feature = "rules")]
mod in_force;
pub mod limits;
pub mod manifest;
mod media;
pub mod message;
mod need;
mod path;
pub mod plan;
mod record;
pub mod resolve;
#[cfg(feature = "rules")]
pub mod rules;
mod service;
mod shard;
#[cfg(feature = "rules")]
pub mod size;
pub mod status;
pub mod store;
pub mod trash;
pub mod twin;
pub mod verify;

pub use content::{Checksum, Content, Hasher, Kind, State, Tag};
pub use fault::{Fault, FaultKind};
#[cfg(feature = "rules")]
pub use in_force::InForce;
pub use media::Media;
pub use need::{Need, Wish, need};
pub use path::{InvalidPath, Path};
pub use record::{Holder, Record, UnpackError};
pub use service::{AT, KEEPS_SYMLINKS, LIMIT, Limit, Mode, Service, ServiceId};
pub use shard::Shard;
