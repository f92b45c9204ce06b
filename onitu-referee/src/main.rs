//! The Referee process.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use onitu_core::bus::ZeroBus;
use onitu_core::{clock, store::RedisStore};
use onitu_referee::{Arguments, Referee};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("ONITU_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let store = Arc::new(RedisStore::connect(&arguments.redis).await.context("the store")?);
    let bus = Arc::new(ZeroBus::new(arguments.runtime));
    match Referee::new(store, bus, clock::now_ms()).run().await? {}
}
