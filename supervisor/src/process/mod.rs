//! Keeps the other programs running.
//!
//! A [`Job`] keeps one program running: it starts it again when it ends, ever more slowly if it
//! ends at once, and stops it when told. What a program is (a [`Launch`]: a real process whose
//! output goes to the [`Log`]) is behind a trait, so that a job is tested without one. The
//! [`House`] is all jobs of an instance; the Core directs it through [`control`].
//!
//! What isn't here: what the programs do. The house knows their names and arguments only.

mod child;
pub mod control;
mod house;
mod job;
mod log;
pub mod redis;
mod screen;
pub mod tied;

pub use child::{Launch, Surroundings};
pub use house::{CORE, House, REDIS, REFEREE};
pub use job::{Child, Job, Program, STOP_GRACE};
pub use log::Log;
pub use screen::Screen;
