//! The Dropbox driver: a folder of a Dropbox account.
//!
//! `plug` is the whole of what Onitu sees. `client` makes calls and knows of hosts, waiting and
//! `token`s; `fault` says what its refusals mean. `state` reads what Dropbox tells of a file,
//! `name` writes the names that it can't hold, `spelling` makes sure that a path is spelled as it
//! was asked for. `list` and `read` are what their names say; `write` sends bytes, a large content
//! in a `session` that `resume` remembers, small ones together by `gather`, and `commit` puts them in
//! their places, many in one call; `change` moves and removes, and `trash` writes down what. `feed`
//! has the cursor of changes, which `snapshot` keeps with what it told; `watch` waits for more, but
//! for the driver's own `echo`; `marker` knows the folder again. `auth` asks a person for tokens.
//! No number of files makes any of it larger in memory.

mod auth;
mod change;
mod client;
mod commit;
mod echo;
mod fault;
mod feed;
mod folder;
mod gather;
mod hash;
mod list;
mod marker;
mod name;
mod options;
mod plug;
mod read;
mod resume;
mod session;
mod snapshot;
mod spelling;
mod state;
mod token;
mod trash;
mod watch;
mod write;

pub use auth::auth;
pub use options::Options;
pub use plug::Dropbox;
pub use read::DropboxSource;
pub use write::DropboxSink;
