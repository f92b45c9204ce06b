//! Conflicts: what stands at both of their paths now, and their end when a person asks for it.

use std::time::Duration;

use onitu_core::control::FromCore;
use onitu_core::limits::RESOLVE_MAX;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::resolve::{Keep, Resolution, ResolveRequest, Way};
use onitu_core::status::{ConflictStatus, SideStatus};
use onitu_core::store::{Conflict, Registry, StoreError};
use onitu_core::{FaultKind, Holder, Kind, Mode, Path, Record, Service};
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::answer::{away, failed};
use crate::core::Core;
use crate::name;

/// Records that are read at once.
const RECORDS_AT_ONCE: usize = 512;
/// What a driver is given to rename or remove one file.
const RESOLVE_LIMIT: Duration = Duration::from_secs(20);
/// What was done is awaited in the records so long, so that it shows at once.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
const RECORD_PAUSE: Duration = Duration::from_millis(5);
/// Conflicts are looked through for those that have ended by themselves so often at most.
const TEND_PAUSE: Duration = Duration::from_secs(10);

impl Core {
    /// Every conflict with what stands at its two paths now.
    pub(crate) async fn conflicts(&self) -> Result<FromCore, StoreError> {
        let registry = self.registry();
        let conflicts = self.store.conflicts().await?;
        let mut statuses = Vec::with_capacity(conflicts.len());
        for chunk in conflicts.chunks(RECORDS_AT_ONCE / 2) {
            for (conflict, [record, copy]) in chunk.iter().zip(self.both_records(chunk).await?) {
                statuses.push(shown(&registry, conflict, record.as_ref(), copy.as_ref()));
            }
        }
        Ok(FromCore::Conflicts(statuses))
    }

    /// Ends the conflicts whose two contents have become the same, now and then.
    pub(crate) async fn tend_conflicts(&self) -> Result<(), StoreError> {
        let is_due = self.conflicts_tended().is_none_or(|at| at.elapsed() >= TEND_PAUSE);
        if !is_due || self.store.counts().await?.conflicts == 0 {
            return Ok(());
        }
        let registry = self.registry();
        for chunk in self.store.conflicts().await?.chunks(RECORDS_AT_ONCE / 2) {
            for (conflict, records) in chunk.iter().zip(self.both_records(chunk).await?) {
                let [Some(record), Some(copy)] = records else { continue };
                let is_same = record.content.same_bytes(&copy.content) == Some(true);
                if is_same && !record.gone && !copy.gone {
                    let said = self.resolve_one(&registry, conflict, &Keep::Both).await;
                    info!(path = %conflict.path, "both contents are the same: {}", said.message);
                }
            }
        }
        self.set_conflicts_tended(Instant::now());
        Ok(())
    }

    /// The records of the path and of the copy of each conflict.
    async fn both_records(
        &self,
        conflicts: &[Conflict],
    ) -> Result<Vec<[Option<Record>; 2]>, StoreError> {
        let paths: Vec<Path> =
            conflicts.iter().flat_map(|it| [it.path.clone(), it.kept.clone()]).collect();
        let mut records = self.store.get(&paths).await?.into_iter();
        Ok(conflicts.iter().map(|_| [records.next().flatten(), records.next().flatten()]).collect())
    }

    /// Ends conflicts, one after the other: one that fails doesn't keep the others.
    pub(crate) async fn resolve(&self, kept: &[Path], keep: &Keep) -> FromCore {
        if kept.len() > RESOLVE_MAX {
            return failed(format!("at most {RESOLVE_MAX} conflicts are ended by one request"));
        }
        let registry = self.registry();
        if let Keep::Service(name) = keep
            && let Err(message) = name::meant(&registry, Some(name))
        {
            return failed(format!("{message}\nhint: or `--keep both`, or `--keep newest`"));
        }
        let conflicts = match self.store.conflicts().await {
            Ok(conflicts) => conflicts,
            Err(error) => return away(&error),
        };
        let mut resolutions = Vec::with_capacity(kept.len());
        for kept in kept {
            resolutions.push(match conflicts.iter().find(|conflict| conflict.kept == *kept) {
                Some(conflict) => self.resolve_one(&registry, conflict, keep).await,
                None => Resolution {
                    path: kept.clone(),
                    kept: kept.clone(),
                    done: None,
                    message: "it is no conflict any more".to_owned(),
                },
            });
        }
        FromCore::Resolved(resolutions)
    }

    async fn resolve_one(
        &self,
        registry: &Registry,
        conflict: &Conflict,
        keep: &Keep,
    ) -> Resolution {
        let (done, message) = match self.try_resolve(registry, conflict, keep).await {
            Ok((way, message)) => (Some(way), message),
            Err(message) => (None, message),
        };
        let (path, kept) = (conflict.path.clone(), conflict.kept.clone());
        Resolution { path, kept, done, message }
    }

    async fn try_resolve(
        &self,
        registry: &Registry,
        conflict: &Conflict,
        keep: &Keep,
    ) -> Result<(Way, String), String> {
        let Conflict { path, kept, .. } = conflict;
        let records = self.both_records(std::slice::from_ref(conflict)).await;
        let records = records.map_err(|error| error.to_string())?;
        let [record, copy] = records.into_iter().next().unwrap_or_default();
        let record = record.filter(|record| !record.gone);
        let copy = copy.filter(|record| !record.gone);
        let copy = copy.ok_or_else(|| format!("`{kept}` is gone, and with it the conflict"))?;
        let way = way(registry, conflict, record.as_ref(), &copy, keep)?;
        let mut why = None;
        for service in able(registry, record.as_ref(), &copy) {
            let Some(expect_kept) = copy.holder(service.id).map(|holder| holder.tag) else {
                continue;
            };
            let expect = record.as_ref().and_then(|record| record.holder(service.id));
            let expect = expect.map(|holder| holder.tag);
            let (path, kept) = (path.clone(), kept.clone());
            let asked = ResolveRequest { path, expect, kept, expect_kept, way };
            match self.ask_to_resolve(service, asked).await {
                Ok(()) => {
                    self.await_record(conflict, way).await;
                    return Ok((way, said(registry, conflict, way, record.is_some())));
                }
                Err(Refusal::Final(message)) => return Err(message),
                Err(Refusal::TryAnother(message)) => why = Some(message),
            }
        }
        Err(why.unwrap_or_else(|| {
            "no running service holds both contents and may be written to; see `onitu status`"
                .to_owned()
        }))
    }

    async fn ask_to_resolve(
        &self,
        service: &Service,
        asked: ResolveRequest,
    ) -> Result<(), Refusal> {
        let request = encode(&Request::Resolve(Box::new(asked)));
        let name = &service.name;
        match self.requester(service.id).request(request, RESOLVE_LIMIT).await.map(|it| decode(&it))
        {
            Ok(Ok(Reply::Done)) => Ok(()),
            Ok(Ok(Reply::Refused(fault))) if fault.kind == FaultKind::Unsupported => {
                Err(Refusal::TryAnother(fault.message))
            }
            Ok(Ok(Reply::Refused(fault))) => Err(Refusal::Final(fault.message)),
            Ok(Ok(_)) => Err(Refusal::TryAnother(format!("`{name}` answered something else"))),
            Ok(Err(error)) => Err(Refusal::TryAnother(format!("`{name}` gave {error}"))),
            // Whether it was done is unknown: nobody else may try.
            Err(error) => Err(Refusal::Final(format!("`{name}` can't be asked: {error}"))),
        }
    }

    /// Waits until the records tell what was done, as long as that is worth it.
    async fn await_record(&self, conflict: &Conflict, way: Way) {
        let deadline = Instant::now() + RECORD_LIMIT;
        while Instant::now() < deadline {
            let is_told = if way == Way::KeepBoth {
                let listed = self.store.conflicts().await;
                listed.map(|all| !all.iter().any(|it| it.kept == conflict.kept))
            } else {
                let record = self.store.get(std::slice::from_ref(&conflict.kept)).await;
                record.map(|it| it.into_iter().flatten().all(|record| record.gone))
            };
            if is_told.unwrap_or(false) {
                return;
            }
            sleep(RECORD_PAUSE).await;
        }
    }
}

enum Refusal {
    Final(String),
    TryAnother(String),
}

/// What `keep` means for this conflict.
fn way(
    registry: &Registry,
    conflict: &Conflict,
    record: Option<&Record>,
    copy: &Record,
    keep: &Keep,
) -> Result<Way, String> {
    let from = name::of(registry, conflict.service);
    let path = &conflict.path;
    match (keep, record) {
        (Keep::Both, _) => Ok(Way::KeepBoth),
        (Keep::Newest, None) => Ok(Way::TakeCopy),
        (Keep::Newest, Some(record)) if record.content.mtime_ns < copy.content.mtime_ns => {
            Ok(Way::TakeCopy)
        }
        (Keep::Newest, Some(_)) => Ok(Way::RemoveCopy),
        (Keep::Service(name), _) if *name == from => Ok(Way::TakeCopy),
        (Keep::Service(name), None) => Err(format!(
            "nothing is at `{path}` any more, so there is nothing of `{name}` to keep; \
             `--keep {from}` gives the copy its name, `--keep both` leaves it as it is"
        )),
        (Keep::Service(name), Some(record)) => {
            // It may be behind by the conflict at the same path that was ended before.
            let held = registry.by_name(name).and_then(|service| record.holder(service.id));
            if held.is_some_and(|held| held.revision != Holder::FOREIGN) {
                return Ok(Way::RemoveCopy);
            }
            Err(format!(
                "neither content is one of `{name}`: the copy is from `{from}`, and `{path}` is \
                 not there"
            ))
        }
    }
}

/// The services that can do it: they hold both as they are now, may be written to, and their
/// changes are taken.
fn able<'a>(
    registry: &'a Registry,
    record: Option<&'a Record>,
    copy: &'a Record,
) -> impl Iterator<Item = &'a Service> {
    registry.services.iter().filter(move |service| {
        let holds_path = match record {
            Some(record) => record.is_current_on(service.id),
            None => true,
        };
        let takes_part = service.mode == Mode::Sync && !service.paused;
        takes_part && holds_path && copy.is_current_on(service.id)
    })
}

fn said(registry: &Registry, conflict: &Conflict, way: Way, was_there: bool) -> String {
    let from = name::of(registry, conflict.service);
    match way {
        Way::TakeCopy if was_there => {
            format!("the content of `{from}` took the name; the other one went to the trash")
        }
        Way::TakeCopy => format!("the content of `{from}` took the name, at which nothing was"),
        Way::RemoveCopy => format!("stays as it is; the content of `{from}` went to the trash"),
        Way::KeepBoth => format!("both stay: the content of `{from}` is `{}`", conflict.kept),
    }
}

fn shown(
    registry: &Registry,
    conflict: &Conflict,
    record: Option<&Record>,
    copy: Option<&Record>,
) -> ConflictStatus {
    let at_ms = i64::try_from(conflict.at_ms).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::MAX);
    let is_later = |record: &Record| record.content.mtime_ns / 1_000_000 > at_ms;
    ConflictStatus {
        path: conflict.path.clone(),
        kept: conflict.kept.clone(),
        service: name::of(registry, conflict.service),
        date: date.to_string(),
        at_path: record.and_then(|record| side(registry, record, is_later(record))),
        at_kept: copy.and_then(|copy| side(registry, copy, !is_as_named(&conflict.kept, copy))),
    }
}

fn side(registry: &Registry, record: &Record, edited: bool) -> Option<SideStatus> {
    let services = record.current_holders().map(|holder| name::of(registry, holder.service));
    (!record.gone).then(|| SideStatus {
        kind: record.content.kind,
        size: record.content.size,
        mtime_ns: record.content.mtime_ns,
        services: services.collect(),
        edited: edited && record.content.kind != Kind::Directory,
    })
}

/// Whether the copy's name still ends in the first digits of its checksum.
fn is_as_named(kept: &Path, copy: &Record) -> bool {
    let Some(checksum) = copy.content.checksum else { return true };
    let mark = kept.name().rsplit_once(" (conflict ").and_then(|(_, rest)| rest.split_once(')'));
    let digits = mark.and_then(|(mark, _)| mark.rsplit_once(' '));
    digits.is_none_or(|(_, digits)| checksum.to_string().starts_with(digits))
}

#[cfg(test)]
mod tests;
