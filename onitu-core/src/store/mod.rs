//! The truth: records, pending work, streams and the registry, behind one trait.
//!
//! The Referee alone writes records ([`Store::commit`]), the Core alone writes the registry, a
//! driver alone its own report; everybody reads. [`MemoryStore`] is for tests and the simulation;
//! `RedisStore` (feature `redis`) is the real one. Keys and encodings: `docs/protocol.md`.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::memory::{Checkpoint, MemoryStore};
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
use crate::ignore::{IgnoreSet, IgnoreText};
use crate::status::Report;
use crate::{Fault, Path, Record, Service, ServiceId, Shard};

/// The store can't be used just now, or holds what can't be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke: whether the last write took effect is unknown. Try again.
    #[error("the store can't be reached: {0}")]
    Unavailable(String),
    /// It can be read but takes no writes, because it can't keep them: the disk is full, most
    /// often. Try again.
    #[error(
        "the store can't write its file ({0}): make room on the disk of the state directory; it \
         goes on by itself"
    )]
    Full(String),
    /// It was written by a newer Onitu.
    #[error(
        "the store was written by a newer Onitu (layout {found}, this one knows {known}): update"
    )]
    Newer {
        /// In the store.
        found: u32,
        /// Of this program.
        known: u32,
    },
    /// A value is damaged.
    #[error("the store holds a damaged value at `{key}`: {reason}")]
    Damaged {
        /// Where.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// Whether it may pass by itself: what was tried is tried again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}

/// Which store this is. Either part changes when what was known may have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// Chosen when an empty store was first set up by the Core; nothing in an empty one.
    pub generation: Option<String>,
    /// Of the server process (Redis `run_id`): after a restart the last second may be missing.
    pub run: String,
}

/// How far a service's events were committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stream {
    /// The driver's incarnation: the greatest that was committed, so each must be greater than the
    /// one before (a driver takes the time at which it started).
    pub epoch: u64,
    /// Last committed sequence number per shard.
    pub last: [u64; Shard::COUNT],
}

/// Puts together what each shard knows of the services' streams: the greatest epoch counts, and
/// in a shard that has seen nothing of it yet, nothing was committed.
fn combine_streams(
    parts: impl Iterator<Item = (ServiceId, Shard, (u64, u64))>,
) -> BTreeMap<ServiceId, Stream> {
    let mut streams: BTreeMap<ServiceId, Stream> = BTreeMap::new();
    for (service, shard, (epoch, sequence)) in parts {
        let stream = streams.entry(service).or_default();
        if epoch > stream.epoch {
            *stream = Stream { epoch, ..Stream::default() };
        }
        if epoch == stream.epoch {
            stream.last[shard.index()] = sequence;
        }
    }
    streams
}

/// What one transaction changes in one shard: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// New records; [`None`] forgets the path.
    pub records: BTreeMap<Path, Option<Record>>,
    /// Whether a service has work to do at a path. The store notes since when.
    pub pending: BTreeMap<(ServiceId, Path), bool>,
    /// Whether a service can't keep what a path holds, so that nothing is pending there.
    pub unable: BTreeMap<(ServiceId, Path), bool>,
    /// Why work at a path fails, or that it no longer does.
    pub problems: BTreeMap<(ServiceId, Path), Option<Fault>>,
    /// Conflicts by the path of the copy; [`None`] ends one.
    pub conflicts: BTreeMap<Path, Option<Conflict>>,
    /// How far the events of a service are committed with this: epoch and sequence number.
    pub streams: BTreeMap<ServiceId, (u64, u64)>,
    /// What is added to the counts.
    pub counts: CountsChange,
}

/// A change of [`Counts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountsChange {
    /// Living records.
    pub entries: i64,
    /// Paths held, by service.
    pub held: BTreeMap<ServiceId, i64>,
    /// Bytes on record of these paths, by service.
    pub bytes: BTreeMap<ServiceId, i64>,
}

/// Sums over all records, kept by the commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Living records.
    pub entries: u64,
    /// Paths held, by service.
    pub held: BTreeMap<ServiceId, u64>,
    /// Bytes on record of these paths, by service.
    pub bytes: BTreeMap<ServiceId, u64>,
    /// Paths with work to do, by service.
    pub pending: BTreeMap<ServiceId, u64>,
    /// Paths that can't be kept, by service.
    pub unable: BTreeMap<ServiceId, u64>,
    /// Conflicts not ended.
    pub conflicts: u64,
}

/// A conflict that was settled by keeping both contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The path both wanted.
    pub path: Path,
    /// Where the content that lost the name is kept.
    pub kept: Path,
    /// The service it came from.
    pub service: ServiceId,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
}

/// The configured services and rules, as registered by the Core.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// One more for each change.
    pub version: u64,
    /// By number.
    pub services: Vec<Service>,
    /// The rules' text; [`None`] means everything goes everywhere.
    pub rules: Option<String>,
    /// What a person has approved of removing: nothing is removed because of rules but what these
    /// and [`Self::rules`] all have removed. Empty: nothing is.
    #[serde(default)]
    pub approved: Vec<String>,
    /// Whether junk ([`crate::ignore`]) is synchronized like anything else.
    #[serde(default)]
    pub keeps_junk: bool,
}

impl Registry {
    /// The service of this name.
    pub fn by_name(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The names of all services, in their order.
    pub fn names(&self) -> Vec<String> {
        self.services.iter().map(|service| service.name.clone()).collect()
    }

    /// The services on which something can stand at `path`.
    pub fn reaching(&self, path: &Path) -> Cow<'_, [Service]> {
        reaching(&self.services, path)
    }

    /// How many bytes more those may hold that have a quota, while they hold what `counts` says.
    pub fn room(&self, counts: &Counts) -> BTreeMap<ServiceId, u64> {
        let room = |service: &Service| {
            let used = counts.bytes.get(&service.id).copied().unwrap_or(0);
            Some((service.id, service.quota_bytes()?.saturating_sub(used)))
        };
        self.services.iter().filter_map(room).collect()
    }

    /// As [`Registry::reaching`]. One that has not as many bytes of `room` as the record says isn't available for
    /// what it doesn't hold, so that another one is chosen where the rules leave a choice; those
    /// that aren't in `room` have enough.
    pub fn with_room(
        &self,
        path: &Path,
        record: &Record,
        room: &BTreeMap<ServiceId, u64>,
    ) -> Cow<'_, [Service]> {
        let mut services = self.reaching(path);
        let is_full = |service: &Service| {
            let lacks = room.get(&service.id).is_some_and(|room| *room < record.content.size);
            lacks && record.holder(service.id).is_none()
        };
        if services.iter().any(is_full) {
            for service in services.to_mut() {
                service.paused |= is_full(service);
            }
        }
        services
    }

    /// The service of this number.
    pub fn by_id(&self, id: ServiceId) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Those of `services` on which something can stand at `path`.
pub(crate) fn reaching<'a>(services: &'a [Service], path: &Path) -> Cow<'a, [Service]> {
    if services.iter().all(|service| service.reaches(path)) {
        return Cow::Borrowed(services);
    }
    Cow::Owned(services.iter().filter(|it| it.reaches(path)).cloned().collect())
}

/// A place in an iteration over all directories; begin with the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Where everything is remembered. Reads may be repeated freely; writes may be repeated with the
/// same arguments unless they say otherwise. An error never means that something is absent.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Which store this is.
    async fn incarnation(&self) -> Result<Incarnation, StoreError>;
    /// Sets up an empty store under a new generation and answers it, or answers the one it has.
    async fn set_up(&self) -> Result<String, StoreError>;

    /// The records of `paths`, in their order; [`None`] where there is none.
    async fn get(&self, paths: &[Path]) -> Result<Vec<Option<Record>>, StoreError>;
    /// The records directly inside each directory, by name, tombstones included.
    async fn list(&self, directories: &[Path])
    -> Result<Vec<BTreeMap<String, Record>>, StoreError>;
    /// Some directories that have records, and where to go on; [`None`] at the end. A directory
    /// may come twice; one that has records from beginning to end comes at least once.
    async fn directories(&self, from: &Cursor) -> Result<(Vec<Path>, Option<Cursor>), StoreError>;
    /// Carries out each commit, which touches only paths of `shard`, as one transaction; one after
    /// the other. Not to be repeated blindly after an error: read [`Store::streams`] first.
    async fn commit(&self, commits: Vec<(Shard, Commit)>) -> Result<(), StoreError>;

    /// How far each service's events were committed.
    async fn streams(&self) -> Result<BTreeMap<ServiceId, Stream>, StoreError>;
    /// At most `limit` paths at which `service` has work to do, in no order.
    async fn pending(&self, service: ServiceId, limit: usize) -> Result<Vec<Path>, StoreError>;
    /// Since when each service that has work to do at `path` has had it without a pause, in
    /// milliseconds since the epoch.
    async fn pending_since(&self, path: &Path) -> Result<BTreeMap<ServiceId, u64>, StoreError>;
    /// At most `limit` problems of `service`, ordered by path.
    async fn problems(
        &self,
        service: ServiceId,
        limit: usize,
    ) -> Result<Vec<(Path, Fault)>, StoreError>;
    /// All conflicts not ended, ordered by path.
    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError>;
    /// Sums over everything.
    async fn counts(&self) -> Result<Counts, StoreError>;
    /// Forgets what any service can't keep: it is about to be found out anew.
    async fn forget_unable(&self) -> Result<(), StoreError>;
    /// Forgets what a removed service had pending, what it couldn't keep and its problems (its
    /// holdings stay in the records, so that it catches up should it come back).
    async fn forget_pending(&self, service: ServiceId) -> Result<(), StoreError>;

    /// The services and rules; [`None`] before the Core has registered them.
    async fn registry(&self) -> Result<Option<Registry>, StoreError>;
    /// Registers services and rules.
    async fn set_registry(&self, registry: &Registry) -> Result<(), StoreError>;
    /// The number of the service called `name`, given now if it has none.
    async fn service_id(&self, name: &str) -> Result<ServiceId, StoreError>;
    /// What is ignored, as the Referee published it last; [`None`] if that is version `known`, or
    /// if it never did.
    async fn ignoring(&self, known: u64) -> Result<Option<IgnoreSet>, StoreError>;
    /// Publishes what is ignored.
    async fn set_ignoring(&self, set: &IgnoreSet) -> Result<(), StoreError>;
    /// What each driver last told that the ignore files on its service say.
    async fn ignore_texts(&self) -> Result<BTreeMap<(ServiceId, Path), IgnoreText>, StoreError>;
    /// Notes what the ignore file at `path` says on a service, before it is announced.
    async fn set_ignore_text(
        &self,
        service: ServiceId,
        path: &Path,
        text: &IgnoreText,
    ) -> Result<(), StoreError>;
    /// What each driver last said of itself.
    async fn reports(&self) -> Result<BTreeMap<ServiceId, Report>, StoreError>;
    /// Notes what a driver says of itself.
    async fn set_report(&self, service: ServiceId, report: &Report) -> Result<(), StoreError>;
    /// Fails while the store can be read but takes no writes.
    async fn check_writes(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Bytes of memory the server uses for it all, as far as it can tell.
    async fn used_memory_bytes(&self) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests;
