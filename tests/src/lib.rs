//! Harness of the tests with real processes: a [`House`] is a private directory with folders, a
//! configuration and the real `onitu up`.
//!
//! It tests nothing by itself; `tests/it` does. What it can't do ends by a panic that says what was
//! going on, with the last lines of Onitu's log.

#![allow(clippy::missing_panics_doc, reason = "every function here panics to fail the test")]

mod condition;
mod crashes;
mod files;
mod house;
mod mount;
mod must;
mod process;
mod programs;
mod running;
mod tree;

pub use condition::{eventually, found, soon, within};
pub use crashes::{Cast, Crashes, Round};
pub use files::{Files, inode, modified_ns, set_modified_ns};
pub use house::House;
pub use mount::SmallDisk;
pub use must::Must;
pub use process::{runs, signal_to, ticks, written_bytes};
pub use rustix::process::Signal;
pub use tree::{Thing, differences, tree};
