//! The house: the supervisor (`onitu up`) and the command line.
//!
//! Rooms: [`cli`] holds one file per subcommand; [`process`] keeps the other programs running;
//! [`instance`] makes sure there is one supervisor per state directory and lets commands find it;
//! [`runtime_dir`] makes the private directory of the sockets; [`connection`] speaks to the Core;
//! `watch` is what `onitu up` tells meanwhile.
//!
//! Nothing here knows what a file or a record is: that is the Core's, the Referee's and the
//! drivers' business.

pub mod cli;
pub mod connection;
mod context;
mod failure;
pub mod instance;
pub mod process;
pub mod runtime_dir;
mod watch;

pub use cli::main;
pub use connection::Connection;
pub use context::Context;
pub use failure::{BAD_CONFIGURATION, BUG, Failure};
