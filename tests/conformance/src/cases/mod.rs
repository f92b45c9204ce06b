//! The cases, a room for each method or matter of the trait.
//!
//! A case is a function over a [`Scene`](crate::Scene), named as the sentence that it proves. The
//! first line of its documentation is the promise as the trait makes it; what follows is the
//! reason, which is what happens to a user's files where the promise is broken. [`suite!`] makes a
//! test of each; a single one is run by [`verdict`](crate::verdict).
//!
//! [`suite!`]: crate::suite

pub mod attributes;
pub mod connecting;
pub mod crowds;
pub mod directories;
pub mod links;
pub mod listing;
pub mod looking;
pub mod manifest;
pub mod names;
pub mod placing;
pub mod reading;
pub mod removing;
pub mod renaming;
pub mod trash;
pub mod twins;
pub mod watching;
pub mod writing;
