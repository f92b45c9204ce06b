//! A driver's main.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use onitu_core::bus::ZeroBus;
use onitu_core::store::{RedisStore, Store};
use onitu_core::{Fault, FaultKind, Service};
use tracing_subscriber::EnvFilter;

use crate::plug::Plug;
use crate::session::{Post, keep};

const RETRY: Duration = Duration::from_millis(200);
/// The longest a driver may take to end its blocking work when it is told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The command line every driver has.
#[derive(Parser)]
#[command(version, about = "A driver of Onitu; `onitu up` starts it.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print name, options and abilities as JSON.
    Manifest,
    /// Carry out what another process asks for, over stdin and stdout; for tests of the driver.
    Exercise,
    /// Connect one service.
    Run {
        /// Its name in `entries.toml`.
        #[arg(long)]
        service: String,
        /// Private directory of the sockets.
        #[arg(long)]
        runtime: PathBuf,
        /// The metadata store.
        #[arg(long)]
        redis: String,
        /// Of the options, so that a change of them starts the driver anew.
        #[arg(long)]
        fingerprint: Option<String>,
    },
}

/// The whole `main` of a driver: answers `manifest`, or runs one service until SIGTERM, or lets
/// itself be exercised until stdin ends.
///
/// Exit codes: 0 stopped as asked, 1 could not begin (with a message on stderr), 2 bad command
/// line.
pub fn run<P: Plug>() -> ExitCode {
    match Arguments::parse().command {
        Command::Manifest => print_manifest::<P>(),
        Command::Exercise => {
            begin_log("warn");
            crate::exercise::serve::<P>()
        }
        Command::Run { service, runtime, redis, fingerprint: _ } => {
            begin_log("info");
            let threads =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let Ok(threads) = threads else {
                tracing::error!("can't start threads");
                return ExitCode::FAILURE;
            };
            let code = threads.block_on(serve::<P>(service, runtime, redis));
            threads.shutdown_timeout(STOP_LIMIT);
            code
        }
    }
}

/// What is logged goes to stderr; `level` where the environment says nothing.
fn begin_log(level: &str) {
    let filter = EnvFilter::try_from_env("ONITU_LOG").unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

#[allow(clippy::print_stdout, reason = "the manifest is this command's data")]
fn print_manifest<P: Plug>() -> ExitCode {
    match serde_json::to_string_pretty(&P::manifest()) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve<P: Plug>(service: String, runtime: PathBuf, redis: String) -> ExitCode {
    let work = async {
        let (store, service) = register(&redis, &service).await?;
        let bus = Arc::new(ZeroBus::new(runtime));
        let options = serde_json::Value::Object(service.options.clone().into_iter().collect());
        let post = Post { service, store, bus };
        let never = keep::<P, _>(post, move |setting| {
            let options = serde_json::from_value::<P::Options>(options.clone());
            async move {
                let options = options
                    .map_err(|error| Fault::new(FaultKind::Unavailable, error.to_string()))?;
                P::connect(options, setting).await
            }
        })
        .await;
        match never {}
    };
    tokio::select! {
        end = work => match end {
            Ok(never) => never,
            Err(error) => {
                let error: String = error;
                tracing::error!("{error}");
                ExitCode::FAILURE
            }
        },
        () = stopped() => ExitCode::SUCCESS,
    }
}

/// Waits for the store and for the Core to register the service there.
async fn register(redis: &str, name: &str) -> Result<(Arc<dyn Store>, Service), String> {
    let store = loop {
        match RedisStore::connect(redis).await {
            Ok(store) => break store,
            Err(error) if error.may_pass() => {
                tracing::debug!("{error}");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    loop {
        if let Ok(Some(registry)) = store.registry().await {
            match registry.by_name(name) {
                Some(service) => return Ok((Arc::new(store), service.clone())),
                None => return Err(format!("no service `{name}` is registered")),
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
