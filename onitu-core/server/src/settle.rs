//! Whether everything is in step: two looks with the pending work between them.
//!
//! A driver that is idle has announced, and seen committed, everything that happened before it was
//! asked. If then nothing is pending, and a second look finds every driver idle and not one step
//! further, nothing happened in between either.

use std::collections::BTreeMap;
use std::time::Duration;

use onitu_core::Service;
use onitu_core::limits::REQUEST_TIMEOUT_MS;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{REFEREE, Report, ServiceState, ServiceStatus};
use tokio::task::JoinSet;

use crate::core::Core;
use crate::overview::{status, store_away};
use crate::parts::Parts;

/// What a driver answered to whether it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing is under way; a number that grows with everything that happens.
    Idle(u64),
    /// Something is under way.
    Busy,
    /// It can't tell, for this reason.
    Refused(String),
    /// No answer in time.
    Nothing,
}

/// What each driver that runs answered, by service.
pub(crate) type Look = BTreeMap<String, Heard>;

impl Core {
    /// What is still going on, or [`None`] when every service is in step.
    pub(crate) async fn going_on(&self) -> Option<String> {
        // The cheap answer first: it is the usual one while something is going on.
        if let Some(answer) = going_on(&self.parts().await) {
            return Some(answer);
        }
        let first = self.look().await;
        if let Some(answer) = busy(&first) {
            return Some(answer);
        }
        if let Some(answer) = going_on(&self.parts().await) {
            return Some(answer);
        }
        let second = self.look().await;
        busy(&second).or_else(|| moved(&first, &second))
    }

    /// Asks all drivers that should run, at the same time.
    async fn look(&self) -> Look {
        let mut asked = JoinSet::new();
        for service in self.registry().services.iter().filter(|service| !service.paused) {
            let requester = self.requester(service.id);
            let name = service.name.clone();
            asked.spawn(async move {
                let patience = Duration::from_millis(REQUEST_TIMEOUT_MS);
                let answer = requester.request(encode(&Request::Settle), patience).await;
                (name, answer.map_or(Heard::Nothing, |reply| heard(&reply)))
            });
        }
        asked.join_all().await.into_iter().collect()
    }
}

fn heard(reply: &[u8]) -> Heard {
    match decode(reply) {
        Ok(Reply::Settled { idle: true, activity }) => Heard::Idle(activity),
        Ok(Reply::Settled { idle: false, .. }) => Heard::Busy,
        Ok(Reply::Refused(fault)) => Heard::Refused(fault.message),
        _ => Heard::Nothing,
    }
}

/// What is going on as far as states, scans and pending work tell it.
///
/// An unavailable service is never in step, for nobody knows what it holds; a paused one is,
/// unless something waits for it.
pub(crate) fn going_on(parts: &Parts) -> Option<String> {
    let stored = match &parts.stored {
        Ok(stored) => stored,
        Err(error) => return Some(store_away(error)),
    };
    if !parts.established {
        return Some("the services are being registered".to_owned());
    }
    let noted = stored.reports.get(&REFEREE).map(|report| report.epoch);
    if noted.is_some_and(|version| version < parts.registry.version) {
        return Some("what the changed services and rules mean is being worked out".to_owned());
    }
    let ignoring = stored.ignoring.as_ref().map_or(0, |set| set.version);
    let is_behind = |report: &Report| report.ignoring < ignoring;
    if stored.reports.get(&REFEREE).is_some_and(is_behind) {
        return Some("what is ignored from now on is being worked out".to_owned());
    }
    let mut said_parts = Vec::new();
    for service in &status(parts).services {
        let id = parts.registry.by_name(&service.name).map(|known: &Service| known.id);
        let report = id.and_then(|id| stored.reports.get(&id));
        let is_scanned = report.is_some_and(|report| report.scans > 0)
            && !parts.doubtful.contains(&service.name);
        said_parts.extend(of_state(service, is_scanned));
        if report.is_some_and(is_behind) && service.state != ServiceState::Paused {
            said_parts.push(format!("`{}` has yet to hear what is ignored", service.name));
        }
        said_parts.extend(of_pending(service));
    }
    said(&said_parts)
}

fn of_state(service: &ServiceStatus, is_scanned: bool) -> Option<String> {
    let name = &service.name;
    match service.state {
        ServiceState::Paused => None,
        // What is held waits for a person; everything else was seen.
        ServiceState::Ready | ServiceState::Held if is_scanned => None,
        ServiceState::Ready | ServiceState::Held => {
            Some(format!("`{name}` has not been scanned yet"))
        }
        ServiceState::Starting => Some(format!("`{name}` is starting")),
        ServiceState::Scanning => {
            Some(format!("`{name}` is scanning ({} paths so far)", service.scanned))
        }
        ServiceState::Unavailable => {
            let reason = service.reason.as_deref().unwrap_or("its driver gave no reason");
            Some(format!("`{name}` is unavailable: {reason}"))
        }
    }
}

fn of_pending(service: &ServiceStatus) -> Option<String> {
    let changes = match service.pending {
        0 => return None,
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    let paused = if service.state == ServiceState::Paused { ", which is paused" } else { "" };
    let problem = service
        .problems
        .first()
        .map_or_else(String::new, |problem| format!(" (`{}`: {})", problem.path, problem.message));
    Some(format!("{changes} pending on `{}`{paused}{problem}", service.name))
}

/// What the drivers have under way.
pub(crate) fn busy(look: &Look) -> Option<String> {
    let busy = look.iter().filter_map(|(name, heard)| match heard {
        Heard::Idle(_) => None,
        Heard::Busy => Some(format!("`{name}` is busy")),
        Heard::Refused(reason) => Some(format!("`{name}` can't tell: {reason}")),
        Heard::Nothing => Some(format!("`{name}` is not answering")),
    });
    said(&busy.collect::<Vec<_>>())
}

/// What happened between two looks that both found everybody idle.
pub(crate) fn moved(first: &Look, second: &Look) -> Option<String> {
    let moved = second.iter().filter(|(name, heard)| first.get(*name) != Some(heard));
    let missing = first.keys().filter(|name| !second.contains_key(*name));
    let names = moved.map(|(name, _)| name).chain(missing);
    said(&names.map(|name| format!("something just happened on `{name}`")).collect::<Vec<_>>())
}

fn said(parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests;
