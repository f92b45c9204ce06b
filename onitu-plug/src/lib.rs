//! The doorway between a storage and Onitu: the trait [`Plug`] and the runtime around it.
//!
//! A driver implements [`Plug`] and calls `run::<ItsPlug>()` as its whole `main`.

mod announce;
mod brake;
mod calls;
mod carry;
mod claim;
mod control;
pub mod exercise;
mod filter;
mod forward;
mod hints;
mod implied;
mod limited;
mod look;
mod media;
mod mount;
mod orders;
mod plug;
mod read;
mod resolve;
mod retries;
#[cfg(feature = "process")]
mod run;
mod scan;
mod serve;
mod service;
mod session;
mod transfer;
mod trash;
mod twins;
mod verify;
mod watching;

pub use bytes::Bytes;
pub use calls::Calls;
pub use hints::{Gathered, Hint, Hints};
pub use mount::Mounted;
pub use onitu_core::manifest::{Abilities, Manifest, OptionKind, OptionSpec};
pub use onitu_core::message::VERSION as PROTOCOL_VERSION;
pub use onitu_core::trash::{TrashPage, TrashQuery, Trashed, Why};
pub use onitu_core::{
    Checksum, Content, Fault, FaultKind, Hasher, InvalidPath, Kind, Path, State, Tag, clock,
    conflict, date, limits, twin,
};
pub use plug::{Found, Listing, Plug, Setting, Sink, Source};
#[cfg(feature = "process")]
pub use run::run;
pub use session::{Post, keep};
pub use twins::{TwinSink, Twins};
