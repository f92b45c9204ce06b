//! The decision: the only room that writes records.
//!
//! [`decide`] says what an observation makes of a record, [`order`] what a record makes a service
//! do; both are pure. [`round`] strings them together for many events at once, still without I/O.
//! [`serve`] is the loop around them: it hears the drivers, commits, and sends orders. It never
//! sees a byte of any content.

#[cfg(feature = "process")]
mod arguments;
pub mod decide;
mod ignoring;
pub mod order;
mod peer;
mod quota;
pub mod round;
pub mod serve;
mod sweep;
mod world;

#[cfg(feature = "process")]
pub use arguments::Arguments;
pub use serve::Referee;
pub use world::World;
