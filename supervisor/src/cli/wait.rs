//! `onitu wait`: returns when every service is in step.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::ServiceState;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::render::{counted, plain};
use crate::context::CORE_SOCKET;
use crate::{Context, Failure, connection};

/// How often the Core is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often an Onitu that isn't there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Longest wait: a week is as good as for ever, and no clock overflows.
const TIMEOUT_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// What may follow `onitu wait`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long to wait at most: `500ms`, `60s`, `5m`, `1h`.
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
    timeout: Duration,
}

/// Asks the Core until it says that nothing is going on, or until the time is over.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    // A configuration that can't be found doesn't get better by waiting.
    context.config_file()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let find = || context.instance().map(|(instance, _)| instance.runtime_dir);
    match runtime.block_on(wait(args.timeout, find)) {
        Ok(()) => {
            tell_what_is_left(context);
            Ok(ExitCode::SUCCESS)
        }
        Err(going_on) => {
            let after = shown(args.timeout);
            Err(Failure::failed(format!("not in step after {after}: {}", plain(&going_on))).into())
        }
    }
}

/// Everything is in step but what waits for a person, and what can't be kept: says so.
fn tell_what_is_left(context: &Context) {
    let status = context.core().and_then(|mut core| core.ask(&ToCore::Status));
    let Ok(FromCore::Status(status)) = status else { return };
    for service in status.services.iter().filter(|it| it.state == ServiceState::Held) {
        let reason = service.reason.as_deref().unwrap_or("see `onitu status`");
        super::report(&format!("held: `{}`: {}", plain(&service.name), plain(reason)));
    }
    for service in status.services.iter().filter(|it| it.unable > 0) {
        let (name, count) = (plain(&service.name), counted(service.unable, "path"));
        super::report(&format!("`{name}` can't keep {count}: `onitu explain PATH` says why"));
    }
}

/// Waits at most `limit` for the Onitu whose runtime directory `find` finds; what was still going
/// on when the time was over. One that isn't there yet may come.
async fn wait(limit: Duration, find: impl Fn() -> Result<PathBuf, Failure>) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    let mut going_on = "the Core has not answered yet".to_owned();
    loop {
        let pace = match find() {
            Ok(runtime_dir) => {
                match timeout_at(deadline, settled(&runtime_dir.join(CORE_SOCKET))).await {
                    Ok(None) => return Ok(()),
                    Ok(Some(said)) => going_on = said,
                    Err(_) => return Err(going_on),
                }
                ASK_EVERY
            }
            Err(failure) => {
                going_on = failure.to_string().trim_start_matches("error: ").replace('\n', "; ");
                LOOK_EVERY
            }
        };
        let next = Instant::now() + pace;
        if next > deadline {
            sleep_until(deadline).await;
            return Err(going_on);
        }
        sleep_until(next).await;
    }
}

/// What is still going on; [`None`] when everything is in step.
async fn settled(core: &std::path::Path) -> Option<String> {
    match connection::ask(core, &ToCore::Settled).await {
        Ok(FromCore::Settled(going_on)) => going_on,
        Ok(FromCore::Error { message, .. }) => Some(message),
        Ok(other) => Some(connection::unexpected(&other).to_string()),
        Err(error) => Some(format!("the Core can't be asked: {error}")),
    }
}

/// Reads `500ms`, `60s`, `5m`, `1h`; a number alone means seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let factor_ms = match unit.trim() {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is written `500ms`, `60s`, `5m` or `1h`".to_owned()),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "a time begins with a whole number: `500ms`, `60s`, `5m`, `1h`".to_owned())?;
    match count.checked_mul(factor_ms) {
        Some(ms) if ms <= TIMEOUT_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err("at most a week".to_owned()),
    }
}

fn shown(limit: Duration) -> String {
    let ms = limit.as_millis();
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

#[cfg(test)]
mod tests;
