//! A driver for services that the crate `opendal` reaches; today those with WebDAV.
//!
//! `plug` is the whole of what Onitu sees. `client` has each request in the driver's own words;
//! `fence` stands between opendal and the network and sees to it that nothing is ever overwritten;
//! `ways` refuses services that can't be used safely, and `probe` servers that don't keep their
//! word. `folder` is what stands at a path, `state` how it is told apart. `list` and `read` are what
//! their names say; `write` sends bytes to where nobody looks, `swap` changes names, `trash` keeps
//! what it takes away; `watch` lists again and again.

mod client;
mod fault;
mod fence;
mod folder;
mod list;
mod marker;
mod name;
mod options;
mod plug;
mod probe;
mod read;
mod state;
mod swap;
mod trash;
mod watch;
mod ways;
mod write;

pub use options::{Options, Secret};
pub use plug::Opendal;
pub use read::OpendalSource;
pub use write::OpendalSink;
