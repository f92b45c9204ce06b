//! What the harness does with errors: it fails the test and says what it tried.

use std::fmt::Debug;

/// A result, or the end of the test.
pub trait Must<T> {
    /// The value; panics with `what` and the error.
    #[track_caller]
    fn must(self, what: &str) -> T;
}

impl<T, E: Debug> Must<T> for Result<T, E> {
    fn must(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error:?}"),
        }
    }
}

impl<T> Must<T> for Option<T> {
    fn must(self, what: &str) -> T {
        match self {
            Some(value) => value,
            None => panic!("{what}: there is none"),
        }
    }
}
