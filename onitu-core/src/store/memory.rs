//! The store in memory: for tests and for the simulation, which can make it fail, lag and forget.
//!
//! It behaves as Redis does, down to packed values, and is deterministic: the same calls in the
//! same order have the same answers. It persists nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Commit, Conflict, Counts, CountsChange, Cursor, Incarnation, Registry, Store, StoreError,
    Stream, combine_streams,
};
use crate::ignore::{IgnoreSet, IgnoreText};
use crate::status::Report;
use crate::{Fault, Path, Record, ServiceId, Shard, clock};

/// Directories in one page of [`Store::directories`]: few, so that paging is tried by small tests.
const PAGE_DIRECTORIES: usize = 16;

/// A store in memory. Clones share it, each with a connection of its own: as with Redis, a restart
/// of the server breaks it, and its next operation fails before another one connects again.
#[derive(Default)]
pub struct MemoryStore {
    inner: Arc<Inner>,
    /// The server process this connection reaches.
    connected: AtomicU64,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let run = self.server().run;
        Self { inner: self.inner.clone(), connected: AtomicU64::new(run) }
    }
}

/// What a [`MemoryStore`] held at one moment.
#[derive(Clone)]
pub struct Checkpoint(Data);

#[derive(Default)]
struct Inner {
    server: Mutex<Server>,
    delay: Mutex<Option<Arc<Delay>>>,
}

type Delay = dyn Fn() -> (Duration, Duration) + Send + Sync;

/// The pretended server process.
#[derive(Default)]
struct Server {
    away: bool,
    /// Ends every operation under way when it changes.
    run: u64,
    generations: u64,
    /// Moves with each look at pending work, so that no path is always the first.
    turn: usize,
    data: Data,
}

/// What it holds, and would have on its disk.
#[derive(Clone, Default)]
struct Data {
    generation: Option<String>,
    /// Packed records by directory and name.
    records: BTreeMap<Path, BTreeMap<String, Vec<u8>>>,
    pending: BTreeMap<ServiceId, BTreeMap<Path, u64>>,
    unable: BTreeMap<ServiceId, BTreeSet<Path>>,
    problems: BTreeMap<ServiceId, BTreeMap<Path, Fault>>,
    conflicts: BTreeMap<Path, Conflict>,
    streams: BTreeMap<(ServiceId, Shard), (u64, u64)>,
    counts: CountsChange,
    registry: Option<Registry>,
    ids: BTreeMap<String, ServiceId>,
    reports: BTreeMap<ServiceId, Report>,
    ignoring: Option<IgnoreSet>,
    ignore_texts: BTreeMap<(ServiceId, Path), IgnoreText>,
}

impl MemoryStore {
    /// An empty store that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything, as `FLUSHALL` does; the server process stays the same.
    pub fn flush_all(&self) {
        self.server().data = Data::default();
    }

    /// The server process ends and a new one takes over what the old one held. Operations under
    /// way fail, whether they took effect or not.
    pub fn restart(&self) {
        self.server().run += 1;
    }

    /// What the store holds now, for a later [`MemoryStore::restart_at`].
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.server().data.clone())
    }

    /// Restarts with what it held at `checkpoint`: the last writes never reached the disk.
    pub fn restart_at(&self, checkpoint: Checkpoint) {
        let mut server = self.server();
        server.run += 1;
        server.data = checkpoint.0;
    }

    /// Whether operations are served; all of them answer [`StoreError::Unavailable`] while not,
    /// those under way included.
    pub fn set_available(&self, available: bool) {
        self.server().away = !available;
    }

    /// Each operation, and each commit of one, waits as long as `delay` says before it takes
    /// effect and again before it answers: who gives up in between can't know which it was.
    pub fn set_delay(&self, delay: impl Fn() -> (Duration, Duration) + Send + Sync + 'static) {
        *self.inner.delay.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(delay));
    }

    /// What is published as ignored; without delay, and also while not available.
    pub fn published(&self) -> Option<IgnoreSet> {
        self.server().data.ignoring.clone()
    }

    /// All records, tombstones included; without delay, and also while not available.
    pub fn snapshot(&self) -> BTreeMap<Path, Record> {
        let server = self.server();
        let mut records = BTreeMap::new();
        for (directory, names) in &server.data.records {
            for (name, packed) in names {
                if let (Ok(path), Ok(record)) = (directory.join(name), Record::unpack(packed)) {
                    records.insert(path, record);
                }
            }
        }
        records
    }

    /// What `service` can't keep; without delay, and also while not available.
    pub fn unable(&self, service: ServiceId) -> BTreeSet<Path> {
        self.server().data.unable.get(&service).cloned().unwrap_or_default()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.inner.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one operation between its two delays.
    async fn operate<T>(
        &self,
        operation: impl FnOnce(&mut Server) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let delay = self.inner.delay.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (before, after) = delay.map_or((Duration::ZERO, Duration::ZERO), |delay| delay());
        if !before.is_zero() {
            tokio::time::sleep(before).await;
        }
        let (run, answer) = {
            let mut server = self.server();
            server.check(server.run)?;
            if self.connected.swap(server.run, Ordering::SeqCst) != server.run {
                let reason = "the connection to the simulated server broke".to_owned();
                return Err(StoreError::Unavailable(reason));
            }
            (server.run, operation(&mut server))
        };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
            self.server().check(run)?;
        }
        answer
    }
}

impl Server {
    fn check(&self, run: u64) -> Result<(), StoreError> {
        if self.away || run != self.run {
            return Err(StoreError::Unavailable("the simulated server is away".to_owned()));
        }
        Ok(())
    }
}

impl Data {
    fn apply(&mut self, shard: Shard, commit: Commit) {
        for (path, record) in commit.records {
            self.apply_record(shard, &path, record);
        }
        for ((service, path), wanted) in commit.pending {
            let paths = self.pending.entry(service).or_default();
            if wanted {
                paths.entry(path).or_insert_with(clock::now_ms);
            } else {
                paths.remove(&path);
            }
        }
        for ((service, path), unable) in commit.unable {
            let paths = self.unable.entry(service).or_default();
            if unable {
                paths.insert(path)
            } else {
                paths.remove(&path)
            };
        }
        for ((service, path), fault) in commit.problems {
            set(self.problems.entry(service).or_default(), path, fault);
        }
        for (path, conflict) in commit.conflicts {
            set(&mut self.conflicts, path, conflict);
        }
        for (service, reached) in commit.streams {
            self.streams.insert((service, shard), reached);
        }
        self.counts.entries += commit.counts.entries;
        for (service, change) in commit.counts.held {
            *self.counts.held.entry(service).or_default() += change;
        }
        for (service, change) in commit.counts.bytes {
            *self.counts.bytes.entry(service).or_default() += change;
        }
    }

    fn apply_record(&mut self, shard: Shard, path: &Path, record: Option<Record>) {
        assert!(Shard::of(path) == shard, "{path} does not belong to the shard of its commit");
        let Some(directory) = path.parent() else { unreachable!("the root has no record") };
        let names = self.records.entry(directory.clone()).or_default();
        set(names, path.name().to_owned(), record.map(|record| record.pack()));
        if names.is_empty() {
            self.records.remove(&directory);
        }
    }

    fn record(&self, path: &Path) -> Result<Option<Record>, StoreError> {
        let names = self.records.get(path.parent_str());
        let packed = names.and_then(|names| names.get(path.name()));
        packed.map(|packed| unpack(path.parent_str(), path.name(), packed)).transpose()
    }

    fn list(&self, directory: &Path) -> Result<BTreeMap<String, Record>, StoreError> {
        let names = self.records.get(directory).into_iter().flatten();
        names
            .map(|(name, packed)| Ok((name.clone(), unpack(directory.as_str(), name, packed)?)))
            .collect()
    }

    fn counts(&self) -> Counts {
        let (held, bytes) = (self.counts.held.iter(), self.counts.bytes.iter());
        let pending = self.pending.iter().map(|(service, paths)| (*service, paths.len() as u64));
        let unable = self.unable.iter().map(|(service, paths)| (*service, paths.len() as u64));
        Counts {
            entries: u64::try_from(self.counts.entries).unwrap_or(0),
            held: held
                .filter_map(|(service, held)| Some((*service, u64::try_from(*held).ok()?)))
                .filter(|(_, held)| *held > 0)
                .collect(),
            bytes: bytes
                .filter_map(|(service, bytes)| Some((*service, u64::try_from(*bytes).ok()?)))
                .filter(|(_, bytes)| *bytes > 0)
                .collect(),
            pending: pending.filter(|(_, paths)| *paths > 0).collect(),
            unable: unable.filter(|(_, paths)| *paths > 0).collect(),
            conflicts: self.conflicts.len() as u64,
        }
    }

    fn size_bytes(&self) -> u64 {
        let names = self.records.values().flatten();
        names.map(|(name, packed)| name.len() as u64 + packed.len() as u64).sum()
    }
}

/// Puts `value` at `key`, or takes away what is there.
fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn unpack(directory: &str, name: &str, packed: &[u8]) -> Result<Record, StoreError> {
    Record::unpack(packed).map_err(|error| StoreError::Damaged {
        key: format!("{directory}/{name}"),
        reason: error.to_string(),
    })
}

#[async_trait]
impl Store for MemoryStore {
    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        self.operate(|server| {
            let generation = server.data.generation.clone();
            Ok(Incarnation { generation, run: format!("run-{}", server.run) })
        })
        .await
    }

    async fn set_up(&self) -> Result<String, StoreError> {
        self.operate(|server| {
            if let Some(generation) = &server.data.generation {
                return Ok(generation.clone());
            }
            server.generations += 1;
            let generation = format!("generation-{}", server.generations);
            // As in Redis: what was written before the set-up are remains of a lost store.
            let before = std::mem::take(&mut server.data);
            server.data = Data {
                generation: Some(generation.clone()),
                registry: before.registry,
                ids: before.ids,
                reports: before.reports,
                ignoring: before.ignoring,
                ignore_texts: before.ignore_texts,
                ..Data::default()
            };
            Ok(generation)
        })
        .await
    }

    async fn get(&self, paths: &[Path]) -> Result<Vec<Option<Record>>, StoreError> {
        self.operate(|server| paths.iter().map(|path| server.data.record(path)).collect()).await
    }

    async fn list(
        &self,
        directories: &[Path],
    ) -> Result<Vec<BTreeMap<String, Record>>, StoreError> {
        self.operate(|server| directories.iter().map(|each| server.data.list(each)).collect()).await
    }

    async fn directories(&self, from: &Cursor) -> Result<(Vec<Path>, Option<Cursor>), StoreError> {
        self.operate(|server| {
            // A cursor is the last directory told, after a mark that the default lacks.
            let after = from.0.strip_prefix('>');
            let rest = server.data.records.keys().map(Path::clone);
            let mut rest = rest.skip_while(|path| after.is_some_and(|last| path.as_str() <= last));
            let page: Vec<_> = rest.by_ref().take(PAGE_DIRECTORIES).collect();
            let more = rest.next().is_some();
            let last = page.last().filter(|_| more);
            let cursor = last.map(|last| Cursor(format!(">{last}")));
            Ok((page, cursor))
        })
        .await
    }

    async fn commit(&self, commits: Vec<(Shard, Commit)>) -> Result<(), StoreError> {
        for (shard, commit) in commits {
            self.operate(|server| {
                server.data.apply(shard, commit);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn streams(&self) -> Result<BTreeMap<ServiceId, Stream>, StoreError> {
        self.operate(|server| {
            let parts = server.data.streams.iter();
            Ok(combine_streams(parts.map(|(&(service, shard), &part)| (service, shard, part))))
        })
        .await
    }

    async fn pending(&self, service: ServiceId, limit: usize) -> Result<Vec<Path>, StoreError> {
        self.operate(|server| {
            let Some(paths) = server.data.pending.get(&service) else { return Ok(Vec::new()) };
            server.turn = server.turn.wrapping_add(1);
            let start = server.turn % paths.len().max(1);
            let turned = paths.keys().skip(start).chain(paths.keys().take(start));
            Ok(turned.take(limit).cloned().collect())
        })
        .await
    }

    async fn pending_since(&self, path: &Path) -> Result<BTreeMap<ServiceId, u64>, StoreError> {
        self.operate(|server| {
            let pending = server.data.pending.iter();
            Ok(pending.filter_map(|(id, paths)| Some((*id, *paths.get(path)?))).collect())
        })
        .await
    }

    async fn problems(
        &self,
        service: ServiceId,
        limit: usize,
    ) -> Result<Vec<(Path, Fault)>, StoreError> {
        self.operate(|server| {
            let problems = server.data.problems.get(&service).into_iter().flatten();
            Ok(problems.take(limit).map(|(path, fault)| (path.clone(), fault.clone())).collect())
        })
        .await
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError> {
        self.operate(|server| {
            let mut conflicts: Vec<_> = server.data.conflicts.values().cloned().collect();
            conflicts.sort_by(|a, b| (&a.path, &a.kept).cmp(&(&b.path, &b.kept)));
            Ok(conflicts)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.operate(|server| Ok(server.data.counts())).await
    }

    async fn forget_unable(&self) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.unable.clear();
            Ok(())
        })
        .await
    }

    async fn forget_pending(&self, service: ServiceId) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.pending.remove(&service);
            server.data.unable.remove(&service);
            server.data.problems.remove(&service);
            Ok(())
        })
        .await
    }

    async fn registry(&self) -> Result<Option<Registry>, StoreError> {
        self.operate(|server| Ok(server.data.registry.clone())).await
    }

    async fn set_registry(&self, registry: &Registry) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.registry = Some(registry.clone());
            Ok(())
        })
        .await
    }

    async fn service_id(&self, name: &str) -> Result<ServiceId, StoreError> {
        self.operate(|server| {
            let ids = &mut server.data.ids;
            let next = ids.len() as u16 + 1;
            Ok(*ids.entry(name.to_owned()).or_insert(ServiceId(next)))
        })
        .await
    }

    async fn ignoring(&self, known: u64) -> Result<Option<IgnoreSet>, StoreError> {
        self.operate(|server| {
            let set = server.data.ignoring.as_ref();
            Ok(set.filter(|set| set.version != known).cloned())
        })
        .await
    }

    async fn set_ignoring(&self, set: &IgnoreSet) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.ignoring = Some(set.clone());
            Ok(())
        })
        .await
    }

    async fn ignore_texts(&self) -> Result<BTreeMap<(ServiceId, Path), IgnoreText>, StoreError> {
        self.operate(|server| Ok(server.data.ignore_texts.clone())).await
    }

    async fn set_ignore_text(
        &self,
        service: ServiceId,
        path: &Path,
        text: &IgnoreText,
    ) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.ignore_texts.insert((service, path.clone()), text.clone());
            Ok(())
        })
        .await
    }

    async fn reports(&self) -> Result<BTreeMap<ServiceId, Report>, StoreError> {
        self.operate(|server| Ok(server.data.reports.clone())).await
    }

    async fn set_report(&self, service: ServiceId, report: &Report) -> Result<(), StoreError> {
        self.operate(|server| {
            server.data.reports.insert(service, report.clone());
            Ok(())
        })
        .await
    }

    async fn used_memory_bytes(&self) -> Result<u64, StoreError> {
        self.operate(|server| Ok(server.data.size_bytes())).await
    }
}
