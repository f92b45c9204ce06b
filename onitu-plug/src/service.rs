//! What the tasks of one session share: the service as this process knows it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_core::manifest::Abilities;
use onitu_core::message::Event;
use onitu_core::status::Problem;
use onitu_core::store::{Cursor, Store, StoreError};
use onitu_core::{Content, Fault, FaultKind, Mode, Path, Record, ServiceId, Tag};

use crate::announce::Announcer;
use crate::brake::Brake;
use crate::claim::Claims;
use crate::filter::Filter;
use crate::hints::Hints;
use crate::plug::Plug;
use crate::retries::Retries;

/// Most problems kept for the status; what is beyond is only counted.
const PROBLEMS_MAX: usize = 1_000;
pub(crate) const STORE_RETRY_FIRST: Duration = Duration::from_millis(50);
const STORE_RETRY_LAST: Duration = Duration::from_secs(1);

/// One service during one session, and what is known of it.
pub(crate) struct Shared<P> {
    pub(crate) plug: Arc<P>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) announcer: Announcer,
    pub(crate) claims: Claims,
    pub(crate) hints: Hints,
    pub(crate) id: ServiceId,
    pub(crate) name: String,
    pub(crate) mode: Mode,
    /// The names of all services, for messages to people.
    pub(crate) names: Mutex<BTreeMap<ServiceId, String>>,
    pub(crate) problems: Problems,
    pub(crate) retries: Retries,
    pub(crate) brake: Brake,
    pub(crate) filter: Filter,
    pub(crate) abilities: Abilities,
    /// Things under way that a settled service hasn't: looks, scans, orders.
    pub(crate) busy: AtomicUsize,
    /// Completed scans of everything.
    pub(crate) scans: AtomicU64,
    /// Paths the running or last scan has seen.
    pub(crate) scanned: AtomicU64,
}

/// Counts something under way while it lives.
pub(crate) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<P: Plug> Shared<P> {
    /// The name of a service.
    pub(crate) fn name_of(&self, id: ServiceId) -> String {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&id).cloned().unwrap_or_else(|| format!("service {id}"))
    }

    /// What the service holds, with what it can't keep taken from what it should hold: a storage
    /// without an executable bit doesn't take it from anybody.
    pub(crate) fn as_kept(&self, mut content: Content, wanted: Option<&Content>) -> Content {
        if let Some(wanted) = wanted.filter(|wanted| wanted.kind == content.kind) {
            if !self.abilities.executable {
                content.executable = wanted.executable;
            }
            if !self.abilities.mtime {
                content.mtime_ns = wanted.mtime_ns;
            }
        }
        content
    }

    /// Something is under way until the answer is dropped.
    pub(crate) fn begin(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy(&self.busy)
    }

    /// Announces `events`; what was found wrong with the bytes at their paths is no longer there.
    pub(crate) async fn announce(&self, mut events: Vec<Event>) {
        self.tell_ignore_files(&mut events).await;
        let news =
            events.iter().filter(|event| matches!(event, Event::Seen { .. } | Event::Gone { .. }));
        news.for_each(|event| self.problems.mended(event.path().as_str()));
        self.announcer.announce(events).await;
    }

    /// The records of `paths`; waits while the store is away.
    pub(crate) async fn records(&self, paths: &[Path]) -> Result<Vec<Option<Record>>, Fault> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut pause = STORE_RETRY_FIRST;
        loop {
            match self.store.get(paths).await {
                Ok(records) => return Ok(records),
                Err(error) => wait_for_store(error, &mut pause).await?,
            }
        }
    }

    /// The records directly inside `directories`; waits while the store is away.
    pub(crate) async fn listings(
        &self,
        directories: &[Path],
    ) -> Result<Vec<BTreeMap<String, Record>>, Fault> {
        let mut pause = STORE_RETRY_FIRST;
        loop {
            match self.store.list(directories).await {
                Ok(listings) => return Ok(listings),
                Err(error) => wait_for_store(error, &mut pause).await?,
            }
        }
    }

    /// Some directories that have records, and where to go on; waits while the store is away.
    pub(crate) async fn directories(
        &self,
        from: &Cursor,
    ) -> Result<(Vec<Path>, Option<Cursor>), Fault> {
        let mut pause = STORE_RETRY_FIRST;
        loop {
            match self.store.directories(from).await {
                Ok(found) => return Ok(found),
                Err(error) => wait_for_store(error, &mut pause).await?,
            }
        }
    }

    /// The tag under which this service is known to hold `path`, given its record and what was
    /// `announced` of it before the record was read: an event that was committed and forgotten
    /// since would be known to neither.
    #[allow(clippy::option_option, reason = "as `Announcer::known`")]
    pub(crate) fn known_tag(
        &self,
        path: &Path,
        announced: Option<Option<Tag>>,
        record: Option<&Record>,
    ) -> Option<Tag> {
        match self.announcer.known(path).or(announced) {
            Some(tag) => tag,
            None => record.and_then(|record| record.holder(self.id)).map(|holder| holder.tag),
        }
    }
}

pub(crate) async fn wait_for_store(error: StoreError, pause: &mut Duration) -> Result<(), Fault> {
    if !error.may_pass() {
        return Err(Fault::new(FaultKind::Unavailable, error.to_string()));
    }
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(STORE_RETRY_LAST);
    Ok(())
}

/// Paths that can't be synchronized from here, and why.
#[derive(Default)]
pub(crate) struct Problems(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    by_name: BTreeMap<String, String>,
    /// Found by reading bytes, which no scan does: they stay until something else is there.
    lasting: BTreeMap<String, String>,
    /// How many more there were than are kept.
    beyond: u64,
}

impl Problems {
    pub(crate) fn note(&self, name: &str, fault: &Fault) {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.by_name.len() < PROBLEMS_MAX || listed.by_name.contains_key(name) {
            listed.by_name.insert(name.to_owned(), fault.message.clone());
        } else {
            listed.beyond += 1;
        }
    }

    /// Notes what was found by reading the bytes at a path.
    pub(crate) fn keep(&self, name: &str, fault: &Fault) {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.lasting.len() < PROBLEMS_MAX || listed.lasting.contains_key(name) {
            listed.lasting.insert(name.to_owned(), fault.message.clone());
        }
    }

    /// The bytes at a path are others now, or were read and are right.
    pub(crate) fn mended(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lasting.remove(name);
    }

    pub(crate) fn clear(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_name.remove(name);
    }

    /// Forgets all of them: a scan finds again what is still wrong.
    pub(crate) fn clear_all(&self) {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listed.by_name.clear();
        listed.beyond = 0;
    }

    /// The first `limit` of them, and how many there are.
    pub(crate) fn list(&self, limit: usize) -> (Vec<Problem>, u64) {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = listed.lasting.iter().chain(&listed.by_name).take(limit);
        let shown =
            shown.map(|(path, message)| Problem { path: path.clone(), message: message.clone() });
        let total = (listed.lasting.len() + listed.by_name.len()) as u64 + listed.beyond;
        (shown.collect(), total)
    }
}
