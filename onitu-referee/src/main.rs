//! The Referee process.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use onitu_core::bus::ZeroBus;
use onitu_core::{clock, store::RedisStore};
use onitu_referee::{Arguments, Referee};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let store = Arc::new(RedisStore::connect(&arguments.redis).await.context("the store")?);
    let bus = Arc::new(ZeroBus::new(arguments.runtime));
    match Referee::new(store, bus, clock::now_ms()).run().await? {}
}
