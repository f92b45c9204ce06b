//! The conformance suite: every promise that the trait [`Plug`] makes, as a test any driver runs.
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
//! Each case has a storage of its own and runs on a runtime of its own, with a limit in time. A
//! case that needs an ability the manifest denies answers [`Verdict::NotApplicable`], which is
//! checked against the manifest and shown; one that needs a door the subject doesn't have answers
//! [`Verdict::NoDoor`] and is shown. Nothing is passed over in silence.
//!
//! The suite tells apart what a driver must do from how it does it: it asks only through the
//! trait, and edits only through the subject. It doesn't measure speed.

pub mod cases;
mod folder;
mod hearing;
mod promise;
mod runner;
mod scene;
mod subject;
mod suite;
mod through;

pub use folder::Folder;
pub use promise::{Broken, Promise, Verdict};
pub use runner::{keep, verdict};
pub use scene::{Scene, at, file};
pub use subject::{Door, Subject};
