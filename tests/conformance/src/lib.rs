//! The conformance suite: every promise that the trait [`Plug`](onitu_plug::Plug) makes, as
//! a test that any driver runs.
//!
//! A driver's `tests/conformance.rs` names a [`Subject`], the storage under test with the way its
//! user edits it, and the macro [`suite!`] makes one test of each case:
//!
//! ```
//! //! The driver keeps every promise of the trait.
//! # mod driver { pub type Plug = onitu_driver_memory::Memory; }
//! use onitu_conformance::{Subject, suite};
//! use serde_json::{Value, json};
//!
//! struct Fixture(tempfile::TempDir);
//!
//! impl Subject for Fixture {
//!     type Plug = driver::Plug;
//!
//!     async fn fresh() -> Self {
//!         Self(tempfile::tempdir().expect("a temporary folder"))
//!     }
//!
//!     fn options(&self) -> Value {
//!         json!({ "storage": self.0.path() })
//!     }
//! }
//!
//! suite!(Fixture);
//! ```
//!
//! # What a case answers
//!
//! - [`Verdict::Kept`]: the promise holds.
//! - [`Verdict::NotApplicable`]: it is about an ability that the manifest denies. The runner checks
//!   that the manifest does deny it, so a driver can't excuse itself, and shows it.
//! - [`Verdict::Able`]: the other way round, checked and shown as well.
//! - [`Verdict::NoDoor`]: the subject has no way to bring about what the case needs. Shown.
//! - [`Broken`]: the promise is broken. It says what was found and where in the suite.
//!
//! Nothing is passed over in silence.
//!
//! # Doors
//!
//! A subject with two methods runs most of the suite. Each further method opens a door to more:
//!
//! | method | what it lets the suite ask |
//! |---|---|
//! | [`Subject::has_door`] with `write` and the other edits | races with a user who doesn't wait for the driver |
//! | [`Subject::make_strange`] | what becomes of pipes, devices and sockets |
//! | [`Subject::make_unnameable`] | what becomes of names that are no paths |
//! | [`Subject::take_away`], [`Subject::bring_back`] | whether a storage that is away looks empty |
//! | [`Subject::lose_marker`] | whether another storage in its place is taken for it |
//! | [`Subject::limit_space`] | what happens when it is full |
//! | [`Subject::trash`] | whether what was replaced or removed can be brought back |
//!
//! [`Folder`] opens nearly all of them for any driver whose storage is a folder.
//!
//! # What it is not
//!
//! It asks only through the trait, and edits only through the subject; how a driver keeps its
//! promises is its own business. It doesn't measure speed, and it can't pull the plug out of the
//! wall. Each case has a storage and a runtime of its own, and a limit in time.

pub mod cases;
mod folder;
mod hearing;
mod installed;
#[cfg(feature = "program")]
pub mod program;
mod promise;
mod remote;
mod roll;
mod runner;
mod scene;
mod subject;
mod suite;
mod through;
mod yard;

pub use folder::{Anywhere, Folder, Ground};
pub use installed::{FOLDER, FRESH, Installed, Storage, Template, install};
pub use promise::{Broken, Promise, Verdict};
pub use remote::{Process, Remote, RemoteSink, RemoteSource, exercise};
pub use roll::{Case, roll};
pub use runner::{keep, verdict};
pub use scene::{Scene, at, file};
pub use subject::{Door, Subject};
