//! Which content a person means who wants something back, and having it put back.
//!
//! It is put back on a service whose trash has it; from there it travels like any edit. Where the
//! path lives, that must be a service which holds the current revision: what is put over an older
//! one would be a conflict.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use onitu_core::control::FromCore;
use onitu_core::message::{Reply, Request};
use onitu_core::store::StoreError;
use onitu_core::trash::{
    PAGE_ITEMS_MAX, RESTORES_MAX, Restore, RestoreOutcome, RestoreQuestion, Restored,
    RestoredStatus,
};
use onitu_core::{Kind, Path, Record, ServiceId, clock};
use tokio::sync::mpsc::Sender;

use crate::answer::failed;
use crate::core::Core;
use crate::name;
use crate::overview::store_away;
use crate::register::quoted;
use crate::trash::{Found, Trashes, date};

/// Most files of one directory that are put back by one command.
const PATHS_MAX: usize = 50_000;
/// A driver is asked so often (it answers within half a second) how far it is: two hours.
const ASKED_MAX: usize = 4 * 60 * 60;

/// What was chosen for each path.
#[derive(Default)]
struct Chosen {
    /// For the path that was asked for itself.
    exact: Option<(Found, bool)>,
    /// For paths below it; each with whether something is to be replaced.
    below: BTreeMap<Path, (Found, bool)>,
    /// A trash has the path itself, but of a service that doesn't hold what stands there now.
    unfit: Option<Found>,
    /// There is more below the path than one command takes.
    is_cut: bool,
}

impl Core {
    /// Puts back what `question` means, and tells of each path; the last answer is
    /// [`FromCore::Done`] or an error.
    pub(crate) async fn restore(&self, question: RestoreQuestion, to: Sender<FromCore>) {
        let mut notes: Vec<String> = Vec::new();
        for path in &question.paths {
            let one = One { core: self, question: &question, path };
            match one.restore(&to, &mut notes).await {
                Ok(()) => {}
                Err(message) => {
                    let lost = to.send(failed(message)).await.is_err();
                    tracing::debug!(lost, "a restoration ended");
                    return;
                }
            }
        }
        notes.sort_unstable();
        notes.dedup();
        // Whoever asked may have gone.
        let _ = to.send(FromCore::Done(notes.join("\n"))).await;
    }
}

/// The restoration of one path.
struct One<'a> {
    core: &'a Core,
    question: &'a RestoreQuestion,
    path: &'a Path,
}

impl One<'_> {
    async fn restore(&self, to: &Sender<FromCore>, notes: &mut Vec<String>) -> Result<(), String> {
        let question = self.question;
        let record = self.record(self.path).await?;
        if let Some(there) = &question.to
            && self.record(there).await?.is_some_and(|record| !record.gone)
        {
            let text = format!("`{there}` exists: choose a name that nothing has");
            return self.tell(to, vec![self.failure(text)]).await;
        }
        let after_ms = question.at_ms.unwrap_or(0);
        let service = question.service.as_deref();
        let mut trashes = self.core.trashes(service, self.path, after_ms).await?;
        let chosen = self.choose(&mut trashes, record.as_ref()).await?;
        notes.append(&mut trashes.notes);
        if chosen.is_cut {
            notes.push(format!("there is more below `{}`: run the command again", self.path));
        }
        let chosen = match chosen {
            Chosen { exact: Some((found, replace)), .. } => {
                BTreeMap::from([(self.path.clone(), (found, replace))])
            }
            Chosen { below, .. } if !below.is_empty() => below,
            Chosen { unfit, .. } => {
                let status = self.nothing(record.as_ref(), unfit.as_ref(), &trashes);
                return self.tell(to, vec![status]).await;
            }
        };
        self.put_back(chosen, to).await
    }

    async fn record(&self, path: &Path) -> Result<Option<Record>, String> {
        let records = self.core.store.get(std::slice::from_ref(path)).await.map_err(away)?;
        Ok(records.into_iter().next().flatten())
    }

    /// Reads the trashes from the newest to the oldest. Without a time the newest content counts,
    /// with one the oldest of those that went after it.
    async fn choose(
        &self,
        trashes: &mut Trashes<'_>,
        record: Option<&Record>,
    ) -> Result<Chosen, String> {
        let mut chosen = Chosen::default();
        let newest = self.question.at_ms.is_none();
        let is_directory = record.is_some_and(|it| !it.gone && it.content.kind == Kind::Directory);
        loop {
            let page = trashes.next(PAGE_ITEMS_MAX).await;
            if page.is_empty() {
                return Ok(chosen);
            }
            let paths: Vec<Path> = page.iter().map(|found| found.item.path.clone()).collect();
            let records = self.core.store.get(&paths).await.map_err(away)?;
            for (found, record) in page.into_iter().zip(records) {
                let path = found.item.path.clone();
                let fit = self.fit(found.service, record.as_ref());
                if path == *self.path {
                    match fit {
                        _ if is_directory => chosen.unfit = chosen.unfit.or(Some(found)),
                        Some(replace) => {
                            chosen.exact = Some((found, replace));
                            if newest {
                                return Ok(chosen);
                            }
                        }
                        None => chosen.unfit = chosen.unfit.or(Some(found)),
                    }
                } else if let Some(replace) = fit
                    && !(newest && (replace || chosen.below.contains_key(&path)))
                {
                    if chosen.below.len() >= PATHS_MAX && !chosen.below.contains_key(&path) {
                        chosen.is_cut = true;
                    } else {
                        chosen.below.insert(path, (found, replace));
                    }
                }
            }
        }
    }

    /// Whether a service may put something at a path with this record, and then whether it
    /// replaces what stands there.
    fn fit(&self, service: ServiceId, record: Option<&Record>) -> Option<bool> {
        match record.filter(|record| !record.gone) {
            _ if self.question.to.is_some() => Some(false),
            None => Some(false),
            Some(record) if record.content.kind == Kind::Directory => None,
            Some(record) => record.is_current_on(service).then_some(true),
        }
    }

    /// Where something from `path` shall stand.
    fn place(&self, path: &Path) -> Path {
        let Some(to) = &self.question.to else { return path.clone() };
        let rest = path.as_str()[self.path.as_str().len()..].trim_start_matches('/');
        let text = match (to.as_str(), rest) {
            (to, "") => to.to_owned(),
            ("", rest) => rest.to_owned(),
            (to, rest) => format!("{to}/{rest}"),
        };
        // Too long, or the root: the driver refuses the path it had, where something stands.
        Path::new(&text).unwrap_or_else(|_| path.clone())
    }

    async fn put_back(
        &self,
        chosen: BTreeMap<Path, (Found, bool)>,
        to: &Sender<FromCore>,
    ) -> Result<(), String> {
        let is_one = chosen.contains_key(self.path);
        let mut by_service: BTreeMap<ServiceId, Vec<(Found, bool)>> = BTreeMap::new();
        for chosen in chosen.into_values() {
            by_service.entry(chosen.0.service).or_default().push(chosen);
        }
        let mut count = 0;
        for (service, all) in by_service {
            for some in all.chunks(RESTORES_MAX) {
                let outcomes = self.ask(service, some).await;
                let statuses = some.iter().zip(outcomes);
                let statuses = statuses
                    .filter_map(|((found, _), outcome)| self.status(found, outcome, is_one));
                let statuses: Vec<_> = statuses.collect();
                count += statuses.len();
                self.tell(to, statuses).await?;
            }
        }
        if count == 0 {
            let text = format!("everything of `{}` that a trash has is there", self.path);
            self.tell(to, vec![self.failure(text)]).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        service: ServiceId,
        some: &[(Found, bool)],
    ) -> Vec<Result<Restored, String>> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0x3ff;
        let id = (clock::now_ms() << 10) + count;
        let items = some.iter().map(|(found, replace)| Restore {
            id: found.item.id.clone(),
            kind: found.item.kind,
            size: found.item.size,
            path: self.place(&found.item.path),
            replace: *replace,
        });
        let request = Request::Restore { id, items: items.collect() };
        let mut why = "it takes too long; it goes on all the same".to_owned();
        for _ in 0..ASKED_MAX {
            match self.core.ask(service, &request).await {
                Ok(Reply::Restored(None)) => continue,
                Ok(Reply::Restored(Some(outcomes))) if outcomes.len() == some.len() => {
                    return outcomes.into_iter().map(Ok).collect();
                }
                Ok(Reply::Refused(fault)) => why = fault.message,
                Ok(_) => "it answered something else".clone_into(&mut why),
                Err(error) => why = error,
            }
            break;
        }
        let name = some.first().map_or("", |(found, _)| &*found.name);
        vec![Err(format!("`{name}` could not restore it: {why}")); some.len()]
    }

    /// What to tell of one; nothing of what a directory has already.
    fn status(
        &self,
        found: &Found,
        outcome: Result<Restored, String>,
        is_one: bool,
    ) -> Option<RestoredStatus> {
        let to = self.place(&found.item.path);
        let (outcome, message) = match outcome {
            Ok(Restored::Placed { replaced: false }) => (RestoreOutcome::Placed, None),
            Ok(Restored::Placed { replaced: true }) => (RestoreOutcome::Replaced, None),
            Ok(Restored::Same | Restored::Occupied) if !is_one => return None,
            Ok(Restored::Same) => {
                let text = format!(
                    "`{to}` holds that content already\nhint: `onitu trash list` shows what else \
                     there is; `--at TIME` chooses"
                );
                (RestoreOutcome::Failed, Some(text))
            }
            Ok(Restored::Occupied) => {
                let text = format!(
                    "something that Onitu doesn't know yet stands at `{to}` on `{}`\nhint: try \
                     again after `onitu wait`, or use `--to`",
                    found.name
                );
                (RestoreOutcome::Failed, Some(text))
            }
            Ok(Restored::Failed(fault)) => (RestoreOutcome::Failed, Some(fault.message)),
            Err(message) => (RestoreOutcome::Failed, Some(message)),
        };
        Some(RestoredStatus {
            path: found.item.path.clone(),
            to,
            service: Some(found.name.to_string()),
            date: Some(date(found.item.at_ms)),
            outcome,
            message,
        })
    }

    /// What to tell when there is nothing to put back.
    fn nothing(
        &self,
        record: Option<&Record>,
        unfit: Option<&Found>,
        trashes: &Trashes<'_>,
    ) -> RestoredStatus {
        let path = self.path;
        let alive = record.filter(|record| !record.gone);
        if let Some(found) = unfit {
            let name = &found.name;
            let text = if alive.is_some_and(|it| it.content.kind == Kind::Directory) {
                format!("a directory stands at `{path}` now\nhint: use `--to`")
            } else {
                format!(
                    "the trash of `{name}` has `{path}`, but `{name}` doesn't hold what stands \
                     there now\nhint: restore it beside that with `--to`, or try again after \
                     `onitu wait`"
                )
            };
            return self.failure(text);
        }
        if let (Some(_), Some(_), None) = (alive, self.question.at_ms, &self.question.to) {
            return RestoredStatus {
                outcome: RestoreOutcome::Present,
                ..self.failure(String::new())
            };
        }
        let registry = self.core.registry();
        let mut text = match self.question.at_ms {
            Some(at_ms) => format!("nothing of `{path}` went to a trash after {}", date(at_ms)),
            None => format!("no trash has `{path}`"),
        };
        let mut hint = |said: String| {
            text.push_str("\nhint: ");
            text.push_str(&said);
        };
        let holders = alive.into_iter().flat_map(Record::current_holders);
        let holders: Vec<_> = holders.map(|held| name::of(&registry, held.service)).collect();
        if !holders.is_empty() {
            hint(format!("it exists, on `{}`", holders.join("`, `")));
        }
        let with: Vec<_> =
            trashes.services().filter(|it| !trashes.without.contains(&it.name)).collect();
        for service in &with {
            let days = service.options.get("trash_days").and_then(serde_json::Value::as_u64);
            let days = days.map_or(String::new(), |days| format!(" for {days} days"));
            hint(format!("`{}` keeps what Onitu removes or replaces there{days}", service.name));
        }
        if with.is_empty() {
            hint(format!(
                "none of {} keeps a trash",
                quoted(&trashes.services().collect::<Vec<_>>())
            ));
        }
        self.failure(text)
    }

    fn failure(&self, text: String) -> RestoredStatus {
        RestoredStatus {
            path: self.path.clone(),
            to: self.question.to.clone().unwrap_or_else(|| self.path.clone()),
            service: None,
            date: None,
            outcome: RestoreOutcome::Failed,
            message: (!text.is_empty()).then_some(text),
        }
    }

    async fn tell(&self, to: &Sender<FromCore>, some: Vec<RestoredStatus>) -> Result<(), String> {
        let sent = to.send(FromCore::Restored(some)).await;
        sent.map_err(|_| "nobody listens any more".to_owned())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn away(error: StoreError) -> String {
    store_away(&error)
}

#[cfg(test)]
mod tests;
