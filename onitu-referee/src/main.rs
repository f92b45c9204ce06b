//! The Referee process.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use onitu_core::bus::ZeroBus;
use onitu_core::{clock, store::RedisStore};
use onitu_referee::Referee;

/// Decides what goes where; started by `onitu up`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Private directory of the sockets.
    #[arg(long)]
    runtime: PathBuf,
    /// The metadata store.
    #[arg(long)]
    redis: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let store = Arc::new(RedisStore::connect(&arguments.redis).await.context("the store")?);
    let bus = Arc::new(ZeroBus::new(arguments.runtime));
    match Referee::new(store, bus, clock::now_ms()).run().await? {}
}
