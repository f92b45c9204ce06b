//! From the parts to `onitu status`: a pure function.

use onitu_core::ignore::Ignoring;
use onitu_core::status::{
    Problem, ProcessStatus, RedisStatus, Report, ServiceState, ServiceStatus, Status,
};
use onitu_core::store::StoreError;
use onitu_core::{Service, ServiceId};

use crate::parts::{Parts, Stored};
use crate::register::process_name;

/// A driver that said nothing of itself for so long is not answering, in milliseconds.
const REPORT_AGE_MAX_MS: u64 = 10_000;
/// Most problems of a service that are shown.
const PROBLEMS_SHOWN_MAX: usize = 100;

/// What `onitu status` shows.
pub(crate) fn status(parts: &Parts) -> Status {
    let nothing = Stored::default();
    let stored = parts.stored.as_ref().unwrap_or(&nothing);
    let mut services: Vec<_> =
        parts.registry.services.iter().map(|service| of_service(service, parts, stored)).collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    Status {
        entries: stored.counts.entries,
        conflicts: stored.counts.conflicts,
        pending: services.iter().map(|service| service.pending).sum(),
        redis: RedisStatus { used_memory_bytes: stored.used_memory_bytes },
        services,
        processes: parts.processes.clone().unwrap_or_default(),
        problems: ignore_problems(stored),
    }
}

/// Lines of ignore files that have no effect.
fn ignore_problems(stored: &Stored) -> Vec<Problem> {
    let set = stored.ignoring.as_ref().filter(|it| !it.files.is_empty() || !it.unused.is_empty());
    let problems = set.map_or_else(Vec::new, |set| Ignoring::compile(set).problems().to_vec());
    problems.into_iter().take(PROBLEMS_SHOWN_MAX).collect()
}

fn of_service(service: &Service, parts: &Parts, stored: &Stored) -> ServiceStatus {
    let process = process(parts, service);
    let report = current_report(stored, service.id, process);
    let (state, reason) = state(service, parts, process, report);
    let none = Report::default();
    let report = report.unwrap_or(&none);
    let failing = stored.problems.get(&service.id).map_or(&[][..], Vec::as_slice);
    let failures = failing
        .iter()
        .map(|(path, fault)| Problem { path: path.to_string(), message: fault.message.clone() });
    ServiceStatus {
        name: service.name.clone(),
        driver: service.driver.clone(),
        state,
        reason,
        files: stored.counts.held.get(&service.id).copied().unwrap_or(0),
        used_bytes: stored.counts.bytes.get(&service.id).copied().unwrap_or(0),
        quota_bytes: service.quota_bytes(),
        pending: stored.counts.pending.get(&service.id).copied().unwrap_or(0),
        unable: stored.counts.unable.get(&service.id).copied().unwrap_or(0),
        pid: process.and_then(|process| process.pid),
        scanned: report.scanned,
        problems: report
            .problems
            .iter()
            .cloned()
            .chain(failures)
            .take(PROBLEMS_SHOWN_MAX)
            .collect(),
        problems_total: report.problems_total.max(report.problems.len() as u64)
            + failing.len() as u64,
        transfers: report.transfers.clone(),
        held: report.held,
        verify: report.verify.clone(),
    }
}

/// The supervisor's word on the driver of `service`.
fn process<'a>(parts: &'a Parts, service: &Service) -> Option<&'a ProcessStatus> {
    let name = process_name(&service.name);
    parts.processes.iter().flatten().find(|process| process.name == name)
}

/// What the process that runs now said of itself: a report of one that ended is of no worth.
pub(crate) fn current_report<'a>(
    stored: &'a Stored,
    service: ServiceId,
    process: Option<&ProcessStatus>,
) -> Option<&'a Report> {
    let pid = process?.pid?;
    stored.reports.get(&service).filter(|report| report.pid == pid)
}

fn state(
    service: &Service,
    parts: &Parts,
    process: Option<&ProcessStatus>,
    report: Option<&Report>,
) -> (ServiceState, Option<String>) {
    if service.paused {
        let reason = format!("paused: `onitu resume {}` lets it go on", service.name);
        return (ServiceState::Paused, Some(reason));
    }
    if let Err(error) = &parts.stored {
        return (ServiceState::Unavailable, Some(store_away(error)));
    }
    if let Some(reason) = parts.missing.get(&service.name) {
        return (ServiceState::Unavailable, Some(reason.clone()));
    }
    let Some(process) = process else {
        let reason = match parts.processes {
            None => "the supervisor is not answering",
            Some(_) => "its driver is about to be started",
        };
        return (ServiceState::Starting, Some(reason.to_owned()));
    };
    match (process.pid, report) {
        (Some(_), Some(report)) => (report.state, said(report, parts.now_ms)),
        _ => without_report(process),
    }
}

/// What a person is told while the store is away.
pub(crate) fn store_away(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => {
            format!("the metadata store (redis) is away and being restarted: {reason}")
        }
        error => error.to_string(),
    }
}

/// A driver that ended before and has said nothing since is not starting but failing.
fn without_report(process: &ProcessStatus) -> (ServiceState, Option<String>) {
    match (&process.last_exit, process.pid) {
        (Some(exit), None) => {
            let reason = format!("its driver ended and will be started again: {exit}");
            (ServiceState::Unavailable, Some(reason))
        }
        (Some(exit), Some(_)) if process.restarts > 0 => {
            let reason = format!("its driver was started again after it had ended: {exit}");
            (ServiceState::Unavailable, Some(reason))
        }
        _ => (ServiceState::Starting, None),
    }
}

fn said(report: &Report, now_ms: u64) -> Option<String> {
    let age_ms = now_ms.saturating_sub(report.at_ms);
    if age_ms <= REPORT_AGE_MAX_MS {
        return report.reason.clone();
    }
    let silence = format!("its driver is not answering for {} s", age_ms / 1_000);
    Some(match &report.reason {
        Some(reason) => format!("{silence}; before that: {reason}"),
        None => silence,
    })
}

#[cfg(test)]
mod tests;
