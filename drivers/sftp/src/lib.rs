//! The SFTP driver: a folder of another machine, reached by SSH.
//!
//! `plug` is the whole of what Onitu sees. `ssh` and `hosts` reach the server and log in, `wire`
//! knows the protocol's bytes, `lane` has many requests under way. `client` is the folder and
//! nothing outside of it, `state` tells what stands at a name, `read` and `write` move bytes,
//! `change`, `swap` and `rename` change names, `trash` keeps what they take away (and `restore`
//! puts it back), `reuse` copies on the server what is there already, `watch` makes rounds. `command` runs a program on the server, where that is wanted.

mod area;
mod change;
mod client;
mod clock;
mod command;
mod fault;
mod flush;
mod fresh;
mod gate;
mod hosts;
mod lane;
mod list;
mod lock;
mod lost;
mod marker;
mod name;
mod options;
mod plug;
mod read;
mod rename;
mod restore;
mod reuse;
mod ssh;
mod state;
mod swap;
mod temp;
mod trash;
mod watch;
mod wire;
mod write;

pub use options::{Options, Secret};
pub use plug::Sftp;
pub use read::SftpSource;
pub use write::SftpSink;
