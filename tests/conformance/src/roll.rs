//! The cases as a list, for who runs them otherwise than as tests.

use std::future::Future;
use std::pin::Pin;

use crate::promise::Promise;
use crate::subject::Subject;

/// A case over the storage of one kind of subject.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The method or matter that it is about.
    pub room: &'static str,
    /// The sentence that it proves, with `_` for spaces.
    pub name: &'static str,
    /// Runs it over a fresh storage; may be called again.
    pub run: fn() -> Pin<Box<dyn Future<Output = Promise> + Send>>,
}

/// Every case of the suite, in order.
#[expect(clippy::vec_init_then_push, reason = "a macro pushes them, room by room")]
pub fn roll<S: Subject>() -> Vec<Case> {
    let mut roll = Vec::new();
    crate::suite! { @each (@name roll S) }
    roll
}
