//! The store in Redis: records as hashes per directory, everything a shard holds under its hash
//! tag, one `MULTI`/`EXEC` a commit (`docs/protocol.md`, "Store").
//!
//! [`link`] is the connection, [`keys`] the names, [`buckets`] the arithmetic of large
//! directories, [`read`] and [`commit`] the records, [`work`] what is to be done about them. This
//! room knows nothing of what records mean.

mod buckets;
mod commit;
mod ignoring;
mod keys;
mod link;
mod read;
mod value;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use redis::{InfoDict, Pipeline};

use self::link::Link;
use super::{Commit, Conflict, Counts, Cursor, Incarnation, Registry, Store, StoreError, Stream};
use crate::ignore::{IgnoreSet, IgnoreText};
use crate::status::Report;
use crate::{Fault, Path, Record, ServiceId, Shard};

/// The version of keys and encodings this program reads and writes.
const LAYOUT_VERSION: u32 = 4;
/// Keys or fields in one page of an iteration, more or less.
const PAGE: usize = 512;

/// The store in Redis. One connection is shared by all who use it; when it breaks, commands fail
/// at once with [`StoreError::Unavailable`] and a later one connects again.
pub struct RedisStore {
    link: Link,
}

impl RedisStore {
    /// Connects to `url`: `redis+unix:///path` (percent-encoded) or `redis://host:port`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while the server isn't there or still loads its data: try
    /// again. [`StoreError::Newer`] if a newer Onitu wrote what it holds.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self { link: Link::open(url).await? })
    }

    async fn meta(&self, field: &str) -> Result<Option<String>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(keys::META).arg(field);
        let [value] = value::exactly(self.link.run(&pipe).await?)?;
        value::read(value, keys::META)
    }

    /// One page of the keys that match `pattern`.
    async fn scan(
        &self,
        cursor: u64,
        pattern: &str,
    ) -> Result<(Option<u64>, Vec<Vec<u8>>), StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let [value] = value::exactly(self.link.run(&pipe).await?)?;
        let (next, found): (u64, Vec<Vec<u8>>) = value::read(value, "SCAN")?;
        Ok(((next != 0).then_some(next), found))
    }

    /// Those of `directories` whose first bucket happens to be empty. The others are told when it
    /// comes along: a large directory shall not be told once for each of its buckets.
    async fn without_first_bucket(
        &self,
        directories: BTreeSet<Path>,
    ) -> Result<Vec<Path>, StoreError> {
        let mut pipe = Pipeline::new();
        for directory in &directories {
            let shard = Shard::of_directory(directory.as_str());
            pipe.cmd("EXISTS").arg(keys::records(shard, directory.as_str(), 0));
        }
        let mut without = Vec::new();
        for (directory, value) in directories.into_iter().zip(self.link.run(&pipe).await?) {
            if !value::read::<bool>(value, "EXISTS")? {
                without.push(directory);
            }
        }
        Ok(without)
    }

    /// Removes the keys of shards that match `pattern`.
    async fn clear(&self, pattern: &str) -> Result<(), StoreError> {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, found) = self.scan(from, pattern).await?;
            let mut pipe = Pipeline::new();
            for key in found.iter().filter(|key| keys::is_ours(key)) {
                pipe.cmd("UNLINK").arg(key);
            }
            self.link.run(&pipe).await?;
            cursor = next;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(keys::META).arg(keys::GENERATION);
        pipe.cmd("INFO").arg("server");
        let [generation, info] = value::exactly(self.link.run(&pipe).await?)?;
        let info: InfoDict = value::read(info, "INFO server")?;
        let run = info.get("run_id").unwrap_or_default();
        Ok(Incarnation { generation: value::read(generation, keys::META)?, run })
    }

    async fn set_up(&self) -> Result<String, StoreError> {
        if let Some(generation) = self.meta(keys::GENERATION).await? {
            if self.meta(keys::LAYOUT).await?.is_none_or(|layout| layout == "1" || layout == "2") {
                // The Referee notes all pending work anew when it starts.
                self.clear(keys::FORMER_PATTERN).await?;
            }
            // What is written from here on may be more than an older program can read.
            let mut pipe = Pipeline::new();
            pipe.cmd("HSET").arg(keys::META).arg(keys::LAYOUT).arg(LAYOUT_VERSION);
            self.link.run(&pipe).await?;
            return Ok(generation);
        }
        // A commit under way may have written after everything had been lost: half a truth.
        self.clear(keys::SHARDED_PATTERN).await?;
        let mut pipe = Pipeline::new();
        let generation = format!("{:016x}", fastrand::u64(..));
        pipe.cmd("MULTI");
        pipe.cmd("HSETNX").arg(keys::META).arg(keys::LAYOUT).arg(LAYOUT_VERSION);
        pipe.cmd("HSETNX").arg(keys::META).arg(keys::GENERATION).arg(&generation);
        pipe.cmd("EXEC");
        self.link.run(&pipe).await?;
        // Somebody else may have been first.
        Ok(self.meta(keys::GENERATION).await?.unwrap_or(generation))
    }

    async fn get(&self, paths: &[Path]) -> Result<Vec<Option<Record>>, StoreError> {
        read::get(&self.link, paths).await
    }

    async fn list(
        &self,
        directories: &[Path],
    ) -> Result<Vec<BTreeMap<String, Record>>, StoreError> {
        read::list(&self.link, directories).await
    }

    async fn directories(&self, from: &Cursor) -> Result<(Vec<Path>, Option<Cursor>), StoreError> {
        let cursor = if from.0.is_empty() { 0 } else { value::number(&from.0, "a cursor")? };
        let (next, found) = self.scan(cursor, keys::RECORDS_PATTERN).await?;
        let (mut page, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (directory, is_first) in found.iter().filter_map(|key| keys::directory(key)) {
            if is_first {
                page.insert(directory)
            } else {
                others.insert(directory)
            };
        }
        page.extend(self.without_first_bucket(others).await?);
        Ok((page.into_iter().collect(), next.map(|next| Cursor(next.to_string()))))
    }

    async fn commit(&self, commits: Vec<(Shard, Commit)>) -> Result<(), StoreError> {
        commit::commit(&self.link, commits).await
    }

    async fn streams(&self) -> Result<BTreeMap<ServiceId, Stream>, StoreError> {
        work::streams(&self.link).await
    }

    async fn pending(&self, service: ServiceId, limit: usize) -> Result<Vec<Path>, StoreError> {
        work::pending(&self.link, service, limit).await
    }

    async fn pending_since(&self, path: &Path) -> Result<BTreeMap<ServiceId, u64>, StoreError> {
        work::pending_since(&self.link, path).await
    }

    async fn problems(
        &self,
        service: ServiceId,
        limit: usize,
    ) -> Result<Vec<(Path, Fault)>, StoreError> {
        work::problems(&self.link, service, limit).await
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError> {
        work::conflicts(&self.link).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        work::counts(&self.link).await
    }

    async fn forget_unable(&self) -> Result<(), StoreError> {
        work::forget_unable(&self.link).await
    }

    async fn forget_pending(&self, service: ServiceId) -> Result<(), StoreError> {
        work::forget_pending(&self.link, service).await
    }

    async fn registry(&self) -> Result<Option<Registry>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("GET").arg(keys::REGISTRY);
        let [value] = value::exactly(self.link.run(&pipe).await?)?;
        let json: Option<Vec<u8>> = value::read(value, keys::REGISTRY)?;
        json.map(|json| value::json(&json, keys::REGISTRY)).transpose()
    }

    async fn set_registry(&self, registry: &Registry) -> Result<(), StoreError> {
        let json =
            serde_json::to_vec(registry).map_err(|error| value::damaged(keys::REGISTRY, error))?;
        let mut pipe = Pipeline::new();
        pipe.cmd("SET").arg(keys::REGISTRY).arg(json);
        self.link.run(&pipe).await.map(|_| ())
    }

    async fn service_id(&self, name: &str) -> Result<ServiceId, StoreError> {
        let mut ask = Pipeline::new();
        ask.cmd("HGET").arg(keys::SERVICE_IDS).arg(name);
        let [given] = value::exactly(self.link.run(&ask).await?)?;
        if let Some(id) = value::read::<Option<u16>>(given, keys::SERVICE_IDS)? {
            return Ok(ServiceId(id));
        }
        let mut pipe = Pipeline::new();
        pipe.cmd("HINCRBY").arg(keys::META).arg(keys::LAST_SERVICE).arg(1);
        let [next] = value::exactly(self.link.run(&pipe).await?)?;
        let next: u16 = value::read(next, keys::LAST_SERVICE)?;
        let mut pipe = Pipeline::new();
        pipe.cmd("HSETNX").arg(keys::SERVICE_IDS).arg(name).arg(next);
        pipe.cmd("HGET").arg(keys::SERVICE_IDS).arg(name);
        let [_, given] = value::exactly(self.link.run(&pipe).await?)?;
        value::read(given, keys::SERVICE_IDS).map(ServiceId)
    }

    async fn ignoring(&self, known: u64) -> Result<Option<IgnoreSet>, StoreError> {
        ignoring::published(&self.link, known).await
    }

    async fn set_ignoring(&self, set: &IgnoreSet) -> Result<(), StoreError> {
        ignoring::publish(&self.link, set).await
    }

    async fn ignore_texts(&self) -> Result<BTreeMap<(ServiceId, Path), IgnoreText>, StoreError> {
        ignoring::texts(&self.link).await
    }

    async fn set_ignore_text(
        &self,
        service: ServiceId,
        path: &Path,
        text: &IgnoreText,
    ) -> Result<(), StoreError> {
        ignoring::note_text(&self.link, service, path, text).await
    }

    async fn reports(&self) -> Result<BTreeMap<ServiceId, Report>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGETALL").arg(keys::REPORTS);
        let [value] = value::exactly(self.link.run(&pipe).await?)?;
        let pairs = value::pairs(value, keys::REPORTS)?.into_iter();
        pairs
            .map(|(service, report)| {
                Ok((value::service(service, keys::REPORTS)?, value::json(&report, keys::REPORTS)?))
            })
            .collect()
    }

    async fn set_report(&self, service: ServiceId, report: &Report) -> Result<(), StoreError> {
        let json =
            serde_json::to_vec(report).map_err(|error| value::damaged(keys::REPORTS, error))?;
        let mut pipe = Pipeline::new();
        pipe.cmd("HSET").arg(keys::REPORTS).arg(service.0).arg(json);
        self.link.run(&pipe).await.map(|_| ())
    }

    async fn check_writes(&self) -> Result<(), StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("persistence");
        let [info] = value::exactly(self.link.run(&pipe).await?)?;
        let info: InfoDict = value::read(info, "INFO persistence")?;
        match info.get::<String>("aof_last_write_status") {
            Some(status) if status != "ok" => {
                Err(StoreError::Full("its last write of the append-only file failed".to_owned()))
            }
            _ => Ok(()),
        }
    }

    async fn used_memory_bytes(&self) -> Result<u64, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("memory");
        let [info] = value::exactly(self.link.run(&pipe).await?)?;
        let info: InfoDict = value::read(info, "INFO memory")?;
        info.get("used_memory")
            .ok_or_else(|| value::damaged("INFO memory", "no field `used_memory`"))
    }
}
