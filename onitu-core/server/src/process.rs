//! The process: command line, log, sockets, and the loop that tends the services.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use onitu_core::bus::ZeroBus;
use onitu_core::drivers::Places;
use onitu_core::store::{RedisStore, Store, StoreError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::configuration::{Configuration, Sources};
use crate::core::Core;
use crate::register::Place;
use crate::sources::Disked;
use crate::supervisor::Supervisor;
use crate::{listen, listen::serve};

/// How often the store is looked at.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// The first wait after it could not be looked at; doubled up to [`TEND_EVERY`].
const TEND_AGAIN: Duration = Duration::from_millis(20);
/// The exit code of a bad configuration.
const BAD_CONFIGURATION: u8 = 78;

/// The Core of Onitu; started by `onitu up`.
#[derive(Debug, Parser)]
#[command(name = "onitu-core", version)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The private directory of the sockets.
    #[arg(long, value_name = "DIR")]
    pub runtime: PathBuf,
    /// The metadata store.
    #[arg(long, value_name = "URL")]
    pub redis: String,
    /// The state directory.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
}

/// Runs the Core until it is told to end (SIGTERM).
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("ONITU_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime
        .context("the runtime can't be started")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    ended.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut end = signal(SignalKind::terminate()).context("can't listen to signals")?;
    tokio::select! {
        ended = live(arguments) => ended,
        _ = end.recv() => {
            info!("told to end");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn live(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config, runtime, redis, state } = arguments;
    let sources = Arc::new(Disked::new(config, state, Places::of_this_process()));
    let store = Arc::new(connect(&redis).await?);
    let configuration = match sources.configuration() {
        Ok(configuration) => configuration,
        Err(problems) => {
            tracing::error!("{problems}");
            let Some(registered) = registered(store.as_ref()).await else {
                return Ok(ExitCode::from(BAD_CONFIGURATION));
            };
            warn!("going on with the services that are registered");
            registered
        }
    };
    let bus = Arc::new(ZeroBus::new(runtime.clone()));
    let supervisor = Supervisor::new(runtime.join("supervisor.sock"));
    let socket = runtime.join("core.sock");
    let place = Place { runtime_dir: runtime, redis_url: redis };
    let core = Arc::new(Core::new(store, bus, supervisor, sources, place, configuration));
    let listener =
        listen::bind(&socket).with_context(|| format!("can't listen at `{}`", socket.display()))?;
    tokio::select! {
        () = tend(&core) => {}
        () = serve(core.clone(), listener) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to the store, as soon as it is there.
async fn connect(url: &str) -> Result<RedisStore, StoreError> {
    let mut wait = TEND_AGAIN;
    loop {
        match RedisStore::connect(url).await {
            Err(error) if error.may_pass() => {
                warn!("waiting for the metadata store: {error}");
                sleep(wait).await;
                wait = (wait * 2).min(TEND_EVERY);
            }
            connected => return connected,
        }
    }
}

/// What was registered before: a Core that is started again while somebody is editing the
/// configuration goes on with what was right before.
async fn registered(store: &dyn Store) -> Option<Configuration> {
    loop {
        match store.registry().await {
            Ok(registry) => return registry.map(Configuration::from),
            Err(error) => warn!("{error}"),
        }
        sleep(TEND_EVERY).await;
    }
}

/// Tends the services for ever. Nothing that is away ends it: it comes back.
async fn tend(core: &Core) {
    let mut wait = TEND_AGAIN;
    loop {
        match core.tend().await {
            Ok(()) => {
                wait = TEND_AGAIN;
                sleep(TEND_EVERY).await;
            }
            Err(error) => {
                warn!("{error}");
                sleep(wait).await;
                wait = (wait * 2).min(TEND_EVERY);
            }
        }
    }
}
