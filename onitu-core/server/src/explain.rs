//! Why a path is where it is: from its record, the rules and the services' states. Pure.

use std::collections::BTreeSet;

use onitu_core::rules::Rules;
use onitu_core::status::{
    Explanation, HolderStatus, PendingStatus, ServiceState, ServiceStatus, Status,
};
use onitu_core::store::{Registry, StoreError};
use onitu_core::{Fault, Need, Path, Record, Service, ServiceId, need};

use crate::core::Core;
use crate::name;
use crate::overview;

/// Most problems of a service that are searched for the path.
const PROBLEMS_SEARCHED_MAX: usize = 10_000;

/// Everything an explanation is computed from.
pub(crate) struct Question<'a> {
    pub(crate) path: &'a Path,
    pub(crate) registry: &'a Registry,
    pub(crate) rules: &'a Rules,
    pub(crate) record: Option<&'a Record>,
    /// How the services are.
    pub(crate) status: &'a Status,
    /// Why orders at the path failed.
    pub(crate) faults: &'a [(ServiceId, Fault)],
}

impl Core {
    /// Explains `path`. An error when the store is away, or the stored rules can't be read.
    pub(crate) async fn explain(&self, path: &Path) -> Result<Explanation, String> {
        let away = |error: StoreError| overview::store_away(&error);
        let registry = self.registry();
        let names: Vec<String> =
            registry.services.iter().map(|service| service.name.clone()).collect();
        let rules = parse_rules(registry.rules.as_deref(), &names)?;
        let records = self.store.get(std::slice::from_ref(path)).await.map_err(away)?;
        let mut faults = Vec::new();
        for service in &registry.services {
            let found = self.store.problems(service.id, PROBLEMS_SEARCHED_MAX).await;
            let here = found.map_err(away)?.into_iter().filter(|(at, _)| at == path);
            faults.extend(here.map(|(_, fault)| (service.id, fault)));
        }
        let status = overview::status(&self.parts().await);
        Ok(explanation(&Question {
            path,
            registry: &registry,
            rules: &rules,
            record: records.first().and_then(Option::as_ref),
            status: &status,
            faults: &faults,
        }))
    }
}

fn parse_rules(text: Option<&str>, names: &[String]) -> Result<Rules, String> {
    let Some(text) = text else { return Ok(Rules::everywhere()) };
    let (rules, _) = Rules::parse(text, names);
    rules.ok_or_else(|| {
        "the rules that are registered can't be read: run `onitu check`, then `onitu reload`"
            .to_owned()
    })
}

/// The explanation. Deterministic.
pub(crate) fn explanation(question: &Question) -> Explanation {
    let Question { path, registry, rules, record, .. } = question;
    let targets: BTreeSet<ServiceId> =
        rules.targets(path, &registry.services).into_iter().collect();
    let names = |id: &ServiceId| name::of(registry, *id);
    Explanation {
        path: Path::clone(path),
        revision: record.map_or(0, |record| record.revision),
        gone: record.is_some_and(|record| record.gone),
        kind: record.map(|record| record.content.kind),
        size: record.map_or(0, |record| record.content.size),
        checksum: record.and_then(|record| Some(record.content.checksum?.to_string())),
        holders: record.map_or_else(Vec::new, |record| holders(registry, record)),
        targets: targets.iter().map(names).collect(),
        statements: rules.statements(path),
        pending: pending(question, &targets),
    }
}

fn holders(registry: &Registry, record: &Record) -> Vec<HolderStatus> {
    let of = |holder: &onitu_core::Holder| HolderStatus {
        service: name::of(registry, holder.service),
        revision: holder.revision,
        current: record.is_current_on(holder.service),
    };
    record.holders.iter().map(of).collect()
}

fn pending(question: &Question, targets: &BTreeSet<ServiceId>) -> Vec<PendingStatus> {
    let mut pending = Vec::new();
    for service in &question.registry.services {
        let status = question.status.services.iter().find(|status| status.name == service.name);
        if let Some(record) = question.record {
            let need = need(record, service.id, targets.contains(&service.id));
            if let Some(work) = work(need, record) {
                let reason = reason(question, service, status, record, need);
                pending.push(PendingStatus { service: service.name.clone(), work, reason });
            }
        }
        // What can't be read there has no part in the record, and still is a reason.
        let unread = status.and_then(|status| {
            let failed = question.faults.iter().any(|(id, _)| *id == service.id);
            let found = status.problems.iter().find(|it| it.path == question.path.as_str());
            found.filter(|_| !failed)
        });
        if let Some(problem) = unread {
            pending.push(PendingStatus {
                service: service.name.clone(),
                work: "take what stands there".to_owned(),
                reason: problem.message.clone(),
            });
        }
    }
    pending
}

fn work(need: Need, record: &Record) -> Option<String> {
    let work = match need {
        Need::Nothing => return None,
        Need::Place => format!("get revision {}", record.revision),
        Need::Remove => "remove it".to_owned(),
        Need::SetAside => "rename its own content to a conflict name".to_owned(),
        Need::AwaitChecksum => "compare its own content".to_owned(),
        Need::Hash if record.is_orphan() => {
            format!("tell what it has: nobody holds revision {} any more", record.revision)
        }
        Need::Hash => "tell the checksum of its content".to_owned(),
    };
    Some(work)
}

/// Why work is not done yet: the nearest cause first.
fn reason(
    question: &Question,
    service: &Service,
    status: Option<&ServiceStatus>,
    record: &Record,
    need: Need,
) -> String {
    if let Some(reason) = status.and_then(service_reason) {
        return reason;
    }
    if let Some(transfer) = status
        .and_then(|status| status.transfers.iter().find(|transfer| &transfer.path == question.path))
    {
        let percent = transfer.done_bytes * 100 / transfer.size_bytes.max(1);
        return format!("being transferred from `{}`, {percent} % done", transfer.from);
    }
    if let Some((_, fault)) = question.faults.iter().find(|(id, _)| *id == service.id) {
        return fault.message.clone();
    }
    match need {
        Need::Place => source_reason(question, record),
        Need::AwaitChecksum => {
            let holders: Vec<_> = record
                .current_holders()
                .map(|holder| format!("`{}`", name::of(question.registry, holder.service)))
                .collect();
            format!("waits until {} has told its checksum", holders.join(" or "))
        }
        _ => "its turn comes".to_owned(),
    }
}

fn service_reason(status: &ServiceStatus) -> Option<String> {
    let why = status.reason.as_deref();
    match status.state {
        ServiceState::Ready | ServiceState::Scanning | ServiceState::Held => None,
        ServiceState::Paused => Some(why.unwrap_or("paused").to_owned()),
        ServiceState::Starting => Some("the service is starting".to_owned()),
        ServiceState::Unavailable => {
            Some(format!("the service is unavailable: {}", why.unwrap_or("no reason given")))
        }
    }
}

/// Whether somebody who has the content can give it.
fn source_reason(question: &Question, record: &Record) -> String {
    let mut away = Vec::new();
    for holder in record.current_holders() {
        let name = name::of(question.registry, holder.service);
        let status = question.status.services.iter().find(|status| status.name == name);
        match status.map(|status| status.state) {
            Some(ServiceState::Ready | ServiceState::Scanning | ServiceState::Held) => {
                return "its turn comes".to_owned();
            }
            _ => away.push(format!("`{name}`")),
        }
    }
    match &away[..] {
        [] => "no service holds the current revision any more".to_owned(),
        [one] => format!("only {one} holds it, which is not available"),
        many => format!("only {} hold it, which are not available", many.join(" and ")),
    }
}

#[cfg(test)]
mod tests;
