//! `onitu status`: how the services are.

mod table;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::Status;

use super::render::Paint;
use crate::{Context, Failure, connection};

/// How often `--watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What may follow `onitu status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON; with `--watch` one line each second.
    #[arg(long)]
    json: bool,
    /// Shows it again every second until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let status = ask(context)?;
    if args.watch {
        return watch(context, args.json, status);
    }
    if args.json {
        super::say_json(&status)?;
    } else {
        print(&table::render(&status, Paint::for_stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(context: &Context) -> Result<Status, Failure> {
    match context.core()?.ask(&ToCore::Status)? {
        FromCore::Status(status) => Ok(*status),
        other => Err(connection::unexpected(&other)),
    }
}

/// Goes on for ever; an Onitu that is stopped meanwhile is told, and shown again when it is back.
fn watch(context: &Context, json: bool, first: Status) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut pace = {
        let _time = runtime.enter();
        tokio::time::interval(WATCH_EVERY)
    };
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is now.
    runtime.block_on(pace.tick());
    let mut status: Result<Status, Failure> = Ok(first);
    loop {
        match &status {
            Ok(status) if json => super::say(serde_json::to_string(status)?)?,
            Ok(status) => print(&screen(&table::render(status, Paint::for_stdout())))?,
            Err(failure) => super::report(&failure.to_string()),
        }
        runtime.block_on(pace.tick());
        status = ask(context);
    }
}

/// `text` on an emptied screen, if there is one; else with an empty line below it.
fn screen(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\x1b[H\x1b[2J{text}")
    } else {
        format!("{text}\n")
    }
}

fn print(text: &str) -> std::io::Result<()> {
    let mut to = std::io::stdout().lock();
    to.write_all(text.as_bytes())?;
    to.flush()
}
