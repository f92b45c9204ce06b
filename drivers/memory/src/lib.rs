//! A driver whose service lives in memory, for tests and the simulation.
//!
//! [`MemoryService`] is the storage: it outlives the driver's crashes, shows a user's view of
//! itself to whoever edits it, and can be told to misbehave ([`Faults`]), always the same way for
//! the same seed. [`Memory`] is the driver over it. It keeps every promise of the trait as long as
//! no fault is asked for; it keeps nothing when the process ends.

mod abilities;
mod faults;
mod lag;
mod options;
mod part;
mod plug;
mod service;
mod sink;
mod source;
mod storage;
mod trash;
mod tree;
mod watch;

pub use abilities::{Able, Bucket, Everything, Folding};
pub use faults::Faults;
pub use options::MemoryOptions;
pub use plug::Memory;
pub use service::MemoryService;
pub use sink::MemorySink;
pub use source::MemorySource;
pub use storage::Work;
pub use tree::Thing;
