//! The Referee's command line.

use std::path::PathBuf;

use clap::Parser;

/// Decides what goes where; started by `onitu up`.
#[derive(Debug, Parser)]
#[command(name = "onitu-referee", version)]
pub struct Arguments {
    /// Private directory of the sockets.
    #[arg(long)]
    pub runtime: PathBuf,
    /// The metadata store.
    #[arg(long)]
    pub redis: String,
}
