//! Runs seeds until one fails.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    onitu_sim::command(&onitu_sim::Command::parse())
}
