//! What `onitu up` tells while it runs: one line when the services are connected, and how things
//! go on a terminal.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::{ServiceState, ServiceStatus, Status};
use tokio::time::{Instant, sleep};

use crate::process::Log;
use crate::{cli, connection};

#[cfg(test)]
mod tests;

/// How often the Core is asked until the line is printed or the patience is over.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often it is asked for the display while something is going on, and after the patience.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked for the display while nothing is going on.
const IDLE_EVERY: Duration = Duration::from_secs(4);
/// How long services that aren't connected hold the line back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the line, then keeps the display up to date if there is one. Never ends by itself.
pub async fn watch(core: &Path, state_dir: &Path, log: &Log) -> Infallible {
    let screen = log.screen();
    let mut opening = Opening::default();
    loop {
        let Ok(FromCore::Status(status)) = connection::ask(core, &ToCore::Status).await else {
            // It is starting, or starting again; the job says why.
            sleep(ASK_EVERY).await;
            continue;
        };
        if !opening.is_done {
            for warning in opening.warnings(&status) {
                log.say(&warning);
            }
            if let Some(line) = opening.line(&status, state_dir) {
                // Nobody may listen any more; that is no reason to stop.
                let _ = screen.apart(|| cli::say(&line));
                log.note(&line);
            }
        }
        screen.show(progress(&status));
        match (opening.is_done, screen.has_progress()) {
            (false, _) if !opening.is_over() => sleep(ASK_EVERY).await,
            (false, _) => sleep(SHOW_EVERY).await,
            (true, true) => sleep(if is_busy(&status) { SHOW_EVERY } else { IDLE_EVERY }).await,
            (true, false) => std::future::pending().await,
        }
    }
}

/// The time until the line is printed.
#[derive(Debug, Default)]
struct Opening {
    /// When the Core first told about the services.
    since: Option<Instant>,
    warned: bool,
    is_done: bool,
}

impl Opening {
    fn is_over(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
    }

    /// Once, when the patience is over: who isn't connected, and why.
    fn warnings(&mut self, status: &Status) -> Vec<String> {
        if !self.is_over() || std::mem::replace(&mut self.warned, true) {
            return Vec::new();
        }
        let away = status.services.iter().filter(|service| !is_connected(service));
        away.map(|service| {
            format!("warning: `{}` isn't connected: {}", service.name, reason(service, status))
        })
        .collect()
    }

    /// The line, when it is time for it.
    fn line(&mut self, status: &Status, state_dir: &Path) -> Option<String> {
        let connected: Vec<&str> = status
            .services
            .iter()
            .filter(|service| is_connected(service))
            .map(|service| service.name.as_str())
            .collect();
        let is_over = self.is_over();
        let all = connected.len() == status.services.len();
        let some = !connected.is_empty();
        if !(all || (some && is_over)) {
            return None;
        }
        self.is_done = true;
        let what = if some { connected.join(", ") } else { "no service".to_owned() };
        Some(format!("onitu: keeping in step: {what} (state {})", short(state_dir).display()))
    }
}

fn is_connected(service: &ServiceStatus) -> bool {
    match service.state {
        ServiceState::Scanning
        | ServiceState::Ready
        | ServiceState::Paused
        | ServiceState::Held => true,
        ServiceState::Starting | ServiceState::Unavailable => false,
    }
}

fn reason(service: &ServiceStatus, status: &Status) -> String {
    let process = format!("driver-{}", service.name);
    let process = status.processes.iter().find(|it| it.name == process);
    let ended = process.and_then(|it| it.last_exit.clone());
    let reason = service.reason.clone().or(ended.map(|how| format!("its driver ended ({how})")));
    reason.unwrap_or_else(|| "its driver hasn't answered yet".to_owned())
}

/// A path below the working directory as `./…`.
fn short(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_owned(), |below| Path::new(".").join(below))
}

fn is_busy(status: &Status) -> bool {
    let still = |it: &ServiceStatus| {
        matches!(it.state, ServiceState::Ready | ServiceState::Paused | ServiceState::Held)
    };
    status.pending > 0 || !status.services.iter().all(still)
}

/// One line for the display.
fn progress(status: &Status) -> String {
    let mut parts: Vec<String> = status.services.iter().map(service).collect();
    if status.pending > 0 {
        parts.push(format!("{} pending", status.pending));
    }
    let transfers = status.services.iter().flat_map(|service| &service.transfers);
    let (count, rate) =
        transfers.fold((0, 0), |(count, rate), it| (count + 1, rate + it.bytes_per_s));
    if count > 0 {
        let plural = if count == 1 { "" } else { "s" };
        let rate = indicatif::BinaryBytes(rate);
        parts.push(format!("{count} transfer{plural}, {rate}/s"));
    }
    if status.conflicts > 0 {
        parts.push(format!("{} conflicts", status.conflicts));
    }
    parts.join(" · ")
}

fn service(service: &ServiceStatus) -> String {
    let name = &service.name;
    match service.state {
        ServiceState::Starting => format!("{name} starting"),
        ServiceState::Scanning => format!("{name} scanning, {} seen", service.scanned),
        ServiceState::Ready => format!("{name} {} files", service.files),
        ServiceState::Paused => format!("{name} paused"),
        ServiceState::Held => format!("{name} held"),
        ServiceState::Unavailable => format!("{name} unavailable"),
    }
}
