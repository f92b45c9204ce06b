//! The S3 driver: a bucket, or a part of one, of any S3-compatible server.
//!
//! `plug` is the whole of what Onitu sees. `client` makes the connection and says each request in
//! the driver's own words, `fault` turns a server's refusals into Onitu's, `key` turns paths into
//! keys and back. `object` writes and copies where something certain stands, whatever conditions
//! the server knows (`probe` finds out); `look` and `list` tell what is there (`nearby` for many
//! paths by one request), `read` and `write`
//! move bytes (`upload` in parts that outlive a crash), `change` renames and removes, `trash` keeps
//! what was removed below `.onitu/trash`, and `watch` finds changes by listing again and again.
//! Nothing here remembers anything about single objects but a few bounded caches, so memory doesn't
//! grow with their number.

mod archive;
mod change;
mod client;
mod connection;
mod fault;
mod key;
mod lease;
mod list;
mod look;
mod marker;
mod nearby;
mod object;
mod options;
mod plug;
mod probe;
mod queue;
mod read;
mod recent;
mod reuse;
mod trash;
mod upload;
mod watch;
mod write;

pub use options::Options;
pub use plug::S3;
pub use read::S3Source;
pub use write::S3Sink;

#[cfg(test)]
mod tests;
