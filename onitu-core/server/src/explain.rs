//! Why a path is where it is: from its record, the rules and the services' states. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onitu_core::control::Supposed;
use onitu_core::ignore::{Ignoring, Source};
use onitu_core::rules::{Facts, type_by_name};
use onitu_core::status::{
    Explanation, HolderStatus, PendingStatus, ServiceState, ServiceStatus, StatementStatus, Status,
    UnableStatus,
};
use onitu_core::store::{Registry, StoreError};
use onitu_core::{
    Fault, FaultKind, InForce, Kind, Mode, Need, Path, Record, Service, ServiceId, Wish, clock,
    need,
};

use crate::core::Core;
use crate::name;
use crate::overview;

/// Most problems of a service that are searched for the path.
const PROBLEMS_SEARCHED_MAX: usize = 10_000;

/// Everything an explanation is computed from.
pub(crate) struct Question<'a> {
    pub(crate) path: &'a Path,
    /// What is to be supposed of it.
    pub(crate) supposed: &'a Supposed,
    pub(crate) registry: &'a Registry,
    pub(crate) in_force: &'a InForce,
    /// What is ignored everywhere.
    pub(crate) ignoring: &'a Ignoring,
    pub(crate) record: Option<&'a Record>,
    /// How the services are.
    pub(crate) status: &'a Status,
    /// Why orders at the path failed.
    pub(crate) faults: &'a [(ServiceId, Fault)],
    /// Since when services have had work to do there, in milliseconds since the epoch.
    pub(crate) since_ms: &'a BTreeMap<ServiceId, u64>,
    /// The file the rules stand in, and their first line.
    pub(crate) rules_place: Option<&'a (PathBuf, usize)>,
}

impl Core {
    /// Explains a path. An error when the store is away, a service is supposed that doesn't exist,
    /// or the stored rules can't be read.
    pub(crate) async fn explain(&self, supposed: &Supposed) -> Result<Explanation, String> {
        let away = |error: StoreError| overview::store_away(&error);
        let (registry, path) = (self.registry(), &supposed.path);
        if let Some(from) = &supposed.from {
            name::meant(&registry, Some(from))?;
        }
        let in_force = InForce::new(&registry);
        if in_force.rules().is_none() {
            let hint = "run `onitu check`, then `onitu reload`";
            return Err(format!("the rules that are registered can't be read: {hint}"));
        }
        let records = self.store.get(std::slice::from_ref(path)).await.map_err(away)?;
        let mut faults = Vec::new();
        for service in &registry.services {
            let found = self.store.problems(service.id, PROBLEMS_SEARCHED_MAX).await;
            let here = found.map_err(away)?.into_iter().filter(|(at, _)| at == path);
            faults.extend(here.map(|(_, fault)| (service.id, fault)));
        }
        let since_ms = self.store.pending_since(path).await.map_err(away)?;
        let status = overview::status(&self.parts().await);
        let ignoring = self.store.ignoring(0).await.map_err(away)?;
        let ignoring = Ignoring::compile(&ignoring.unwrap_or_default());
        Ok(explanation(&Question {
            path,
            supposed,
            registry: &registry,
            in_force: &in_force,
            ignoring: &ignoring,
            record: records.first().and_then(Option::as_ref),
            status: &status,
            faults: &faults,
            since_ms: &since_ms,
            rules_place: self.rules_place().as_ref(),
        }))
    }
}

/// What rules are to look at: what is on record, or supposed instead.
fn facts<'a>(question: &Question<'a>) -> Facts<'a> {
    let Supposed { size, age_s, from, media, .. } = question.supposed;
    let now_ns = clock::now_ns();
    let mut facts = Facts::of(question.path, question.record, now_ns);
    facts.origin = question.record.and_then(|record| record.origin);
    if let Some(age_s) = age_s {
        let age_ns = i64::try_from(*age_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        facts.mtime_ns = Some(now_ns.saturating_sub(age_ns));
    }
    facts.size = size.or(facts.size);
    facts.media = media.as_deref().or(facts.media);
    let origin = from.as_ref().and_then(|from| question.registry.by_name(from));
    facts.origin = origin.map(|service| service.id).or(facts.origin);
    if size.is_some() || age_s.is_some() || media.is_some() {
        facts.kind = facts.kind.filter(|kind| *kind != Kind::Directory).or(Some(Kind::File));
    }
    facts
}

/// The explanation. Deterministic.
pub(crate) fn explanation(question: &Question) -> Explanation {
    let Question { path, registry, record, .. } = question;
    let facts = facts(question);
    let held = record.map(|it| it.holders.iter().map(|held| held.service).collect::<Vec<_>>());
    let mut wish = question.in_force.wish_of(&facts, &held.unwrap_or_default());
    let (ignored, excluded) = (ignored(question), wish.excluded);
    if ignored.is_some() {
        wish = Wish { excluded: true, ..Wish::default() };
    }
    let names = |ids: &[ServiceId]| ids.iter().map(|id| name::of(registry, *id)).collect();
    let ms = |at_ns: i64| u64::try_from(at_ns / 1_000_000).unwrap_or(0);
    Explanation {
        path: Path::clone(path),
        revision: record.map_or(0, |record| record.revision),
        gone: record.is_some_and(|record| record.gone),
        kind: record.map(|record| record.content.kind),
        size: record.map_or(0, |record| record.content.size),
        checksum: record.and_then(|record| Some(record.content.checksum?.to_string())),
        media: media(&facts),
        holders: record.map_or_else(Vec::new, |record| holders(registry, record)),
        targets: names(&wish.targets),
        only: wish.only.as_deref().map(names),
        excluded,
        ignored,
        changes_at_ms: wish.changes_at_ns.map(ms),
        rules_file: question.rules_place.map(|(file, _)| file.display().to_string()),
        statements: statements(question, &facts),
        pending: pending(question, &wish),
        unable: unable(question, &wish),
    }
}

/// What each statement says of it, by its line in the file where that is known.
fn statements(question: &Question, facts: &Facts) -> Vec<StatementStatus> {
    let Some(rules) = question.in_force.rules() else { return Vec::new() };
    let before = question.rules_place.map_or(0, |(_, first_line)| first_line.saturating_sub(1));
    let mut statements = rules.statements(facts, &question.registry.services);
    for statement in statements.iter_mut().filter(|statement| statement.line > 0) {
        statement.line += before;
    }
    statements
}

/// The media type of a file, as far as it is known: its name tells it, or else its content.
fn media(facts: &Facts<'_>) -> Option<String> {
    let is_file = facts.kind.is_none_or(|kind| kind == Kind::File);
    let told = type_by_name(facts.path.name()).or(facts.media).filter(|_| is_file);
    told.map(str::to_owned)
}

/// Why the path is ignored, if it is. Of one that nobody knows, a file is thought first.
fn ignored(question: &Question) -> Option<String> {
    let Question { path, ignoring, record, .. } = question;
    let reason = match record {
        Some(record) => ignoring.why(path, record.content.kind),
        None => ignoring.why(path, Kind::File).or_else(|| ignoring.why(path, Kind::Directory)),
    };
    reason.map(|mut reason| {
        if let (Source::Rule { line, file, .. }, Some((place, first_line))) =
            (&mut reason.source, question.rules_place)
        {
            *line += first_line.saturating_sub(1);
            *file = Some(place.display().to_string());
        }
        reason.explain(path)
    })
}

fn holders(registry: &Registry, record: &Record) -> Vec<HolderStatus> {
    let of = |holder: &onitu_core::Holder| HolderStatus {
        service: name::of(registry, holder.service),
        revision: holder.revision,
        current: record.is_current_on(holder.service),
        leaving: record.is_leaving(holder.service),
    };
    record.holders.iter().map(of).collect()
}

/// Who can't keep it, for good: because it is a link, or because it was refused.
fn unable(question: &Question, wish: &Wish) -> Vec<UnableStatus> {
    let Some(record) = question.record else { return Vec::new() };
    let mut unable = Vec::new();
    for service in question.registry.services.iter().filter(|it| it.mode != Mode::Source) {
        let why = match need(record, service.id, wish) {
            Need::Unable => format!("`{}` keeps no symbolic links", service.name),
            Need::Place => match refusal(question, service.id) {
                Some(fault) => fault.message.clone(),
                None => continue,
            },
            _ => continue,
        };
        let kept = record.holder(service.id).map_or_else(String::new, |held| {
            format!("; what it has of revision {} stays there", held.revision)
        });
        unable.push(UnableStatus { service: service.name.clone(), reason: why + &kept });
    }
    unable
}

/// Why `service` has refused for good to keep it, if it has. What the Referee still counts as
/// pending it will ask for again, whatever the service said: the first word isn't always the last.
fn refusal<'a>(question: &Question<'a>, service: ServiceId) -> Option<&'a Fault> {
    if question.since_ms.contains_key(&service) {
        return None;
    }
    let is_final =
        |fault: &Fault| matches!(fault.kind, FaultKind::Unsupported | FaultKind::InvalidName);
    let mut faults = question.faults.iter().filter(|(id, _)| *id == service);
    faults.find(|(_, fault)| is_final(fault)).map(|(_, fault)| fault)
}

fn pending(question: &Question, wish: &Wish) -> Vec<PendingStatus> {
    let mut pending = Vec::new();
    for service in &question.registry.services {
        let status = question.status.services.iter().find(|status| status.name == service.name);
        if let Some(record) = question.record {
            let need = need(record, service.id, wish);
            let is_refused = need == Need::Place && refusal(question, service.id).is_some();
            if let Some(work) = work(need, record).filter(|_| !is_refused) {
                let reason = reason(question, service, status, record, need);
                let since_ms = question.since_ms.get(&service.id).copied();
                pending.push(PendingStatus {
                    service: service.name.clone(),
                    work,
                    reason,
                    since_ms,
                });
            }
            if need != Need::Evict {
                pending.extend(removal(question, service, record, wish));
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
                since_ms: None,
            });
        }
    }
    pending
}

/// The removal of what the rules have elsewhere, while it waits.
fn removal(
    question: &Question,
    service: &Service,
    record: &Record,
    wish: &Wish,
) -> Option<PendingStatus> {
    record.holder(service.id).filter(|_| !record.gone)?;
    let reason = if wish.unapproved.contains(&service.id) {
        "waits for `onitu apply`: `onitu plan` tells what it would do".to_owned()
    } else if wish.evicted.contains(&service.id) {
        let lacks = |id: &&ServiceId| !record.is_current_on(**id) || record.is_leaving(**id);
        let missing: Vec<_> = wish
            .targets
            .iter()
            .filter(lacks)
            .map(|id| format!("`{}`", name::of(question.registry, *id)))
            .collect();
        if missing.is_empty() {
            "waits until enough copies are left without it".to_owned()
        } else {
            format!("waits until {} has revision {}", missing.join(" and "), record.revision)
        }
    } else {
        return None;
    };
    let work = "remove it, because the rules have it elsewhere".to_owned();
    let since_ms = question.since_ms.get(&service.id).copied();
    Some(PendingStatus { service: service.name.clone(), work, reason, since_ms })
}

fn work(need: Need, record: &Record) -> Option<String> {
    let work = match need {
        Need::Nothing | Need::Unable => return None,
        Need::Place => format!("get revision {}", record.revision),
        Need::Remove => "remove it".to_owned(),
        Need::Evict => "remove it, because the rules have it elsewhere".to_owned(),
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
