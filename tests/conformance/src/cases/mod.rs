//! The cases, a room for each method or matter of the trait.

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
pub mod watching;
pub mod writing;
