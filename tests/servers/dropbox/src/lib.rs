//! A server that speaks Dropbox's API v2 from memory, for tests: no test reaches the internet.
//!
//! It is written from the public specification of the API, and Dropbox's own client for Python
//! meets the same results and exceptions here as there; `tests/sdk.rs` shows it. `tree` holds
//! files and folders and the journal of changes, `list` tells it in pages and cursors, `commit`,
//! `upload` and `sessions` take bytes, `change` changes names, `revisions` knows what files were, `auth` knows tokens; `routes` says
//! which room answers what and `answer` takes a request through all of it. `faults` and `control`
//! let a test play the user and make things go wrong.
//!
//! # What it takes as given
//!
//! Where the specification leaves something open, it does what clients have reported:
//!
//! - names are composed (NFC) when they are written, and found only if they are asked for so;
//! - case is folded letter by letter; a move to a name that differs in nothing else is refused as
//!   `duplicated_or_nested_paths`;
//! - a move keeps the id of a file and gives it a new `rev`;
//! - with `strict_conflict`, a file is written anew even if its bytes are the same;
//! - deleting with a `parent_rev` that doesn't match is `path_write/conflict/file`;
//! - a revision can be downloaded after it was replaced or deleted, and restored at its path only;
//! - a piece of a concurrent session may be sent again, and nothing after the one that closes it.
//!
//! It knows one account, no sharing and no Paper, and forgets everything when it ends.

mod account;
mod answer;
mod auth;
mod change;
mod commit;
mod control;
mod errors;
mod faults;
mod hash;
mod list;
mod names;
mod revisions;
mod routes;
mod server;
mod sessions;
mod tree;
mod upload;
mod view;

pub use account::Account;
pub use answer::Held;
pub use auth::{ACCESS, APP_KEY, REFRESH};
pub use change::write_as_user;
pub use faults::{Fault, Faults, Trouble};
pub use hash::content_hash;
pub use names::{composed, lower};
pub use server::Server;
pub use tree::{File, Node, Tree};
