//! The trashes of the services, read as one: the newest first, whoever has it.
//!
//! A page of each service is held at a time. A service that can't be asked is told of and keeps
//! nobody else from being read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::control::FromCore;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{ServiceState, ServiceStatus};
use onitu_core::trash::{
    PAGE_ITEMS_MAX, TrashPage, TrashQuery, TrashQuestion, Trashed, TrashedStatus,
};
use onitu_core::{FaultKind, Path, Service, ServiceId};
use tokio::sync::mpsc::Sender;

use crate::answer::failed;
use crate::core::Core;
use crate::name;
use crate::overview::status;

/// A driver has so long to answer: a disk that sleeps has to wake up.
const PATIENCE: Duration = Duration::from_secs(15);

/// The trash of one service on its way from the newest to the oldest.
struct Shelf {
    service: Service,
    name: Arc<str>,
    items: VecDeque<Trashed>,
    query: TrashQuery,
    is_over: bool,
}

/// Those of several services.
pub(crate) struct Trashes<'a> {
    core: &'a Core,
    shelves: Vec<Shelf>,
    /// What a person has to know: whose trash was not read, and why.
    pub(crate) notes: Vec<String>,
    /// Names of services that keep none.
    pub(crate) without: Vec<String>,
}

/// A thing in a trash, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) service: ServiceId,
    pub(crate) name: Arc<str>,
    pub(crate) item: Trashed,
}

impl Core {
    /// Tells what the trashes hold, in pages; the last answer is [`FromCore::Done`] or an error.
    pub(crate) async fn trash(&self, question: TrashQuestion, to: Sender<FromCore>) {
        let answer = match self.list_trash(question, &to).await {
            Ok(notes) => FromCore::Done(notes.join("\n")),
            Err(message) => failed(message),
        };
        // Whoever asked may have gone.
        let _ = to.send(answer).await;
    }

    async fn list_trash(
        &self,
        question: TrashQuestion,
        to: &Sender<FromCore>,
    ) -> Result<Vec<String>, String> {
        let TrashQuestion { below, service, limit } = question;
        let mut trashes = self.trashes(service.as_deref(), &below, 0).await?;
        let mut left = limit.unwrap_or(u64::MAX);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PAGE_ITEMS_MAX);
            let page = trashes.next(most).await;
            if page.is_empty() {
                break;
            }
            left -= page.len() as u64;
            let page = page.into_iter().map(trashed_status).collect();
            if to.send(FromCore::Trash(page)).await.is_err() {
                break;
            }
        }
        let without = trashes.without.iter().map(|name| format!("`{name}` keeps no trash"));
        Ok(trashes.notes.into_iter().chain(without).collect())
    }

    /// The trashes of the service called `only`, or of all: what stood at or `below` a path and
    /// went after a time.
    pub(crate) async fn trashes(
        &self,
        only: Option<&str>,
        below: &Path,
        after_ms: u64,
    ) -> Result<Trashes<'_>, String> {
        let registry = self.registry();
        let status = status(&self.parts().await);
        let mut trashes =
            Trashes { core: self, shelves: Vec::new(), notes: Vec::new(), without: Vec::new() };
        for service in name::meant(&registry, only)? {
            let how = status.services.iter().find(|status| status.name == service.name);
            if let Some(why) = how.and_then(why_away) {
                trashes.notes.push(format!("the trash of `{}` was not read: {why}", service.name));
                continue;
            }
            let (below, limit) = (below.clone(), PAGE_ITEMS_MAX);
            let query = TrashQuery { below, after_ms, cursor: None, limit };
            let name = Arc::from(service.name.as_str());
            let service = service.clone();
            trashes.shelves.push(Shelf {
                service,
                name,
                items: VecDeque::new(),
                query,
                is_over: false,
            });
        }
        Ok(trashes)
    }

    /// Asks a driver; why it doesn't answer, as the end of a sentence.
    pub(crate) async fn ask(&self, service: ServiceId, request: &Request) -> Result<Reply, String> {
        let asked = self.requester(service).request(encode(request), PATIENCE).await;
        match asked.map(|reply| decode(&reply)) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(format!("it gave {error}")),
            Err(error) => Err(format!("it can't be asked: {error}")),
        }
    }
}

/// Why a service's driver need not be asked, if so.
fn why_away(how: &ServiceStatus) -> Option<String> {
    let reason = how.reason.as_deref().unwrap_or("no reason was given");
    match how.state {
        ServiceState::Paused => Some("it is paused".to_owned()),
        ServiceState::Unavailable => Some(format!("it is unavailable: {reason}")),
        ServiceState::Starting => Some("it is starting".to_owned()),
        ServiceState::Scanning | ServiceState::Ready | ServiceState::Held => None,
    }
}

impl Trashes<'_> {
    /// The next `most` things, or all that are left.
    pub(crate) async fn next(&mut self, most: usize) -> Vec<Found> {
        let mut found = Vec::new();
        while found.len() < most {
            for at in 0..self.shelves.len() {
                self.fill(at).await;
            }
            let at_ms = |shelf: &Shelf| shelf.items.front().map(|item| item.at_ms);
            let Some(newest) = self.shelves.iter_mut().max_by_key(|shelf| at_ms(shelf)) else {
                break;
            };
            let Some(item) = newest.items.pop_front() else { break };
            found.push(Found { service: newest.service.id, name: newest.name.clone(), item });
        }
        found
    }

    /// The services whose trashes are read.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.shelves.iter().map(|shelf| &shelf.service)
    }

    /// Gets pages until there is something on the shelf, or nothing more to get.
    async fn fill(&mut self, at: usize) {
        let read = &mut self.shelves[at];
        while read.items.is_empty() && !read.is_over {
            let asked = self.core.ask(read.service.id, &Request::Trash(read.query.clone())).await;
            let name = &read.service.name;
            let why = match asked {
                Ok(Reply::Trash(TrashPage { items, next })) => {
                    read.items.extend(items);
                    read.is_over = next.is_none();
                    read.query.cursor = next;
                    continue;
                }
                Ok(Reply::Refused(fault)) if fault.kind == FaultKind::Unsupported => {
                    self.without.push(name.clone());
                    read.is_over = true;
                    continue;
                }
                Ok(Reply::Refused(fault)) => fault.message,
                Ok(_) => "it answered something else".to_owned(),
                Err(why) => why,
            };
            self.notes.push(format!("the trash of `{name}` was not read to its end: {why}"));
            read.is_over = true;
        }
    }
}

fn trashed_status(found: Found) -> TrashedStatus {
    let Found { name, item, .. } = found;
    TrashedStatus {
        service: name.to_string(),
        path: item.path,
        kind: item.kind,
        size: item.size,
        mtime_ns: item.mtime_ns,
        date: date(item.at_ms),
        why: item.why,
    }
}

/// A time in RFC 3339.
pub(crate) fn date(at_ms: u64) -> String {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}
