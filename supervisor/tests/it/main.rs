//! The real program with a real metadata server; the other programs are small shell scripts, and
//! the test plays the Core.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends by a panic")]

mod commands;
mod orphans;
mod place;
mod starting;
mod stopping;
mod supervising;
