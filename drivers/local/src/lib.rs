//! The local driver: a folder of this machine.
//!
//! `plug` is the whole of what Onitu sees. `client` opens things beneath the root and nowhere
//! else, `state` tells what stands at a name, `read` and `write` move bytes, `commit` is the one
//! thread that changes names (`change`, `swap`) and makes it durable (`flush`), `area` keeps
//! temporary files and the `trash` (from which `restore` puts things back), `watch` listens to inotify. Nothing here remembers anything
//! about single files, so memory doesn't grow with their number (the watch's map of directories
//! aside).

mod area;
mod change;
mod client;
mod commit;
mod disk;
mod echo;
mod fault;
mod flush;
mod list;
mod lock;
mod marker;
mod mounts;
mod name;
mod options;
mod plug;
mod read;
mod restore;
mod spelling;
mod state;
mod swap;
mod temp;
mod trash;
mod watch;
mod write;

pub use options::Options;
pub use plug::Local;
pub use read::LocalSource;
pub use write::LocalSink;

#[cfg(test)]
mod tests;
