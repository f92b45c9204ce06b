//! The doorway between a storage and Onitu: the trait [`Plug`] and the runtime around it.
//!
//! A driver implements [`Plug`] and calls `run::<ItsPlug>()` as its whole `main`.

mod hints;
mod plug;

pub use bytes::Bytes;
pub use hints::{Hint, Hints};
pub use onitu_core::manifest::{Abilities, Manifest, OptionKind, OptionSpec};
pub use onitu_core::{
    Checksum, Content, Fault, FaultKind, Hasher, InvalidPath, Kind, Path, State, Tag, conflict,
    limits,
};
pub use plug::{Found, Listing, Plug, Setting, Sink, Source};
