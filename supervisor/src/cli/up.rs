//! `onitu up`: runs an instance in the foreground.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use onitu_core::control::{FromCore, Instance, ToCore};
use onitu_core::entries::Entries;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::context::CORE_SOCKET;
use crate::process::{CORE, House, Log, REDIS, REFEREE, Screen, Surroundings, control, redis};
use crate::runtime_dir::RuntimeDir;
use crate::{Context, Failure, connection, instance, watch};

/// How often the metadata server may end before it ever answered, until that is told as a failure.
const REDIS_FAILURES_MAX: u64 = 3;

/// What may follow `onitu up`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Everything that was found out before anything is started.
struct Plan {
    config: PathBuf,
    entries: Entries,
    /// Nothing when the configuration names a server.
    redis: Option<PathBuf>,
    core: PathBuf,
    referee: PathBuf,
    verbose: u8,
}

/// Keeps the services in step until SIGTERM or Ctrl-C.
pub fn run(context: &Context, _args: &Args) -> anyhow::Result<ExitCode> {
    let plan = plan(context)?;
    // One thread: the kernel ties processes to the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    runtime.block_on(live(plan))
}

fn plan(context: &Context) -> anyhow::Result<Plan> {
    let (file, entries) = context.load()?;
    let own = |name: &str| {
        context.places().program(name).ok_or_else(|| {
            Failure::failed(format!(
                "`{name}` is missing\nhint: it belongs beside `onitu`; install Onitu again"
            ))
        })
    };
    let redis = match &entries.redis {
        Some(_) => None,
        None => Some(context.places().program(redis::PROGRAM).ok_or_else(|| {
            Failure::failed(format!("`{}` is not installed\nhint: {}", redis::PROGRAM, redis::HINT))
        })?),
    };
    Ok(Plan {
        config: std::path::absolute(&file)?,
        redis,
        core: own("onitu-core")?,
        referee: own("onitu-referee")?,
        verbose: context.verbose(),
        entries,
    })
}

/// The life of an instance.
async fn live(plan: Plan) -> anyhow::Result<ExitCode> {
    let Signals { mut end, mut hangup } = Signals::listen()?;
    let state_dir = &plan.entries.state_dir;
    let mut held = instance::Held::take(state_dir)?;
    let runtime_dir = RuntimeDir::create(&RuntimeDir::bases())?;
    let log_dir = state_dir.join("log");
    instance::make_private(&log_dir)?;
    let log = Log::open(&log_dir, Screen::new(plan.verbose > 0))
        .with_context(|| format!("can't write the log in `{}`", log_dir.display()))?;
    let house = Arc::new(House::new(Arc::new(surroundings(&plan, log.clone()))));
    let listener = control::listen(runtime_dir.path())
        .with_context(|| format!("can't listen in `{}`", runtime_dir.path().display()))?;
    held.announce(&Instance {
        pid: std::process::id(),
        runtime_dir: runtime_dir.path().to_owned(),
        config: plan.config.clone(),
    })?;
    log.note(&format!(
        "process {} starts; sockets in `{}`",
        std::process::id(),
        runtime_dir.path().display()
    ));

    let outcome = tokio::select! {
        outcome = work(&plan, runtime_dir.path(), &house, &log) => outcome.map(|never| match never {}),
        () = control::serve(listener, house.clone()) => Ok(()),
        () = reload_on_hangup(&mut hangup, runtime_dir.path(), &log) => Ok(()),
        () = end.asked() => Ok(()),
    };
    log.screen().clear();
    log.note("stopping");
    tokio::select! {
        () = house.close() => {}
        // Dropping the house and this process kills what is left.
        () = end.asked() => {
            log.say("killed before everything had stopped");
            return Ok(ExitCode::FAILURE);
        }
    }
    log.note("stopped");
    outcome.map(|()| ExitCode::SUCCESS)
}

fn surroundings(plan: &Plan, log: Log) -> Surroundings {
    let mut environment: Vec<(OsString, OsString)> = vec![("NO_COLOR".into(), "1".into())];
    if plan.verbose > 1 {
        environment.push(("ONITU_LOG".into(), "debug".into()));
    }
    // By this name it is the running program even after an update replaced the file.
    Surroundings { log, tie: PathBuf::from("/proc/self/exe"), environment }
}

/// Starts everything in order, and shows how it goes; ends only by a failure.
async fn work(
    plan: &Plan,
    runtime_dir: &Path,
    house: &House,
    log: &Log,
) -> anyhow::Result<Infallible> {
    let redis_url = match (&plan.entries.redis, &plan.redis) {
        (Some(url), _) => url.clone(),
        (None, Some(program)) => {
            log.screen().show("metadata: starting");
            start_redis(plan, program, runtime_dir, house).await?;
            redis::url(runtime_dir)
        }
        (None, None) => anyhow::bail!("there is no metadata server"),
    };
    let common: Vec<OsString> =
        vec!["--runtime".into(), runtime_dir.into(), "--redis".into(), redis_url.into()];
    let mut core = common.clone();
    core.extend(["--config".into(), plan.config.clone().into()]);
    core.extend(["--state".into(), plan.entries.state_dir.clone().into()]);
    house.start(CORE, plan.core.clone(), core);
    house.start(REFEREE, plan.referee.clone(), common);
    Ok(watch::watch(&runtime_dir.join(CORE_SOCKET), &plan.entries.state_dir, log).await)
}

async fn start_redis(
    plan: &Plan,
    program: &Path,
    runtime_dir: &Path,
    house: &House,
) -> anyhow::Result<()> {
    let data_dir = plan.entries.state_dir.join("redis");
    instance::make_private(&data_dir)?;
    house.start(REDIS, program.to_owned(), redis::arguments(runtime_dir, &data_dir));
    tokio::select! {
        () = redis::ready(runtime_dir) => Ok(()),
        how = house.failed(REDIS, REDIS_FAILURES_MAX) => Err(Failure::failed(format!(
            "the metadata server `{}` doesn't start: {how}\n\
             hint: `{}` says more; its data is in `{}`, and losing that loses no file: moved \
             away, everything is compared anew",
            program.display(),
            plan.entries.state_dir.join("log/onitu.log").display(),
            data_dir.display()
        ))
        .into()),
    }
}

/// SIGHUP means `onitu reload`; if it comes because the terminal was closed, it means the end.
async fn reload_on_hangup(hangup: &mut Signal, runtime_dir: &Path, log: &Log) {
    let had_terminal = std::io::stderr().is_terminal();
    while hangup.recv().await.is_some() {
        if had_terminal && !std::io::stderr().is_terminal() {
            return;
        }
        let said = match connection::ask(&runtime_dir.join(CORE_SOCKET), &ToCore::Reload).await {
            Ok(FromCore::Done(sentence)) => format!("reloaded: {sentence}"),
            Ok(FromCore::Error { message, .. }) => message,
            Ok(other) => connection::unexpected(&other).to_string(),
            Err(error) => format!("warning: can't reload, the Core doesn't answer: {error}"),
        };
        log.say(&said);
    }
}

/// The signals, listened to from the beginning.
struct Signals {
    end: End,
    hangup: Signal,
}

/// The signals that end the program.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("can't listen to signals");
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        let hangup = listen(SignalKind::hangup())?;
        Ok(Signals { end: End { terminate, interrupt }, hangup })
    }
}

impl End {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
