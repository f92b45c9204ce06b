//! Reading pending work, problems, conflicts, streams and counts: what each shard has a part of.

use std::collections::BTreeMap;

use redis::Pipeline;

use super::link::Link;
use super::{PAGE, keys, value};
use crate::store::{Conflict, Counts, StoreError, Stream, combine_streams};
use crate::{Fault, Path, ServiceId, Shard};

/// How far each service's events were committed.
pub async fn streams(link: &Link) -> Result<BTreeMap<ServiceId, Stream>, StoreError> {
    let answers = each_shard(link, |pipe, shard| {
        pipe.cmd("HGETALL").arg(keys::streams(shard));
    })
    .await?;
    let mut parts = Vec::new();
    for (shard, value) in answers {
        let key = keys::streams(shard);
        for (service, reached) in value::pairs(value, &key)? {
            parts.push((value::service(service, &key)?, shard, value::two(reached, &key)?));
        }
    }
    Ok(combine_streams(parts.into_iter()))
}

/// At most `limit` paths at which `service` has work to do, drawn at random, so that some whose
/// work fails again and again never keep the others from their turn.
pub async fn pending(
    link: &Link,
    service: ServiceId,
    limit: usize,
) -> Result<Vec<Path>, StoreError> {
    let answers = each_shard(link, |pipe, shard| {
        pipe.cmd("HLEN").arg(keys::pending(shard, service));
    })
    .await?;
    let mut sizes = Vec::new();
    for (shard, value) in answers {
        let size: usize = value::read(value, &keys::pending(shard, service))?;
        sizes.push((size, shard));
    }
    // Each shard gives its share; what a small one leaves over goes to the larger ones.
    sizes.sort_unstable();
    let mut left = limit;
    let mut pipe = Pipeline::new();
    for (at, (size, shard)) in sizes.iter().enumerate() {
        let share = (*size).min(left.div_ceil(sizes.len() - at));
        left -= share;
        if share > 0 {
            pipe.cmd("HRANDFIELD").arg(keys::pending(*shard, service)).arg(share);
        }
    }
    let mut paths = Vec::new();
    for value in link.run(&pipe).await? {
        for path in value::read::<Vec<Vec<u8>>>(value, "pending work")? {
            paths.push(value::path(path, "pending work")?);
        }
    }
    Ok(paths)
}

/// Since when each service has had work to do at `path`, in milliseconds since the epoch.
pub async fn pending_since(
    link: &Link,
    path: &Path,
) -> Result<BTreeMap<ServiceId, u64>, StoreError> {
    let services = service_ids(link).await?;
    let keys = services.iter().map(|service| keys::pending(Shard::of(path), *service));
    let keys: Vec<_> = keys.collect();
    let mut pipe = Pipeline::new();
    for key in &keys {
        pipe.cmd("HGET").arg(key).arg(path.as_str());
    }
    let mut since = BTreeMap::new();
    for ((service, key), value) in services.iter().zip(&keys).zip(link.run(&pipe).await?) {
        if let Some(at_ms) = value::read::<Option<u64>>(value, key)? {
            since.insert(*service, at_ms);
        }
    }
    Ok(since)
}

/// The first `limit` problems of `service` by path.
pub async fn problems(
    link: &Link,
    service: ServiceId,
    limit: usize,
) -> Result<Vec<(Path, Fault)>, StoreError> {
    let mut first: BTreeMap<Path, Fault> = BTreeMap::new();
    let mut cursors: Vec<(Shard, u64)> = Shard::all().map(|shard| (shard, 0)).collect();
    while !cursors.is_empty() {
        let mut pipe = Pipeline::new();
        for (shard, cursor) in &cursors {
            let key = keys::problems(*shard, service);
            pipe.cmd("HSCAN").arg(key).arg(*cursor).arg("COUNT").arg(PAGE);
        }
        let values = link.run(&pipe).await?;
        for ((shard, cursor), value) in cursors.iter_mut().zip(values) {
            let key = keys::problems(*shard, service);
            let (next, found): (u64, value::Pairs) = value::read(value, &key)?;
            *cursor = next;
            for (path, fault) in found {
                first.insert(value::path(path, &key)?, value::json(&fault, &key)?);
            }
            // However many there are, only the first of them are kept.
            while first.len() > limit {
                first.pop_last();
            }
        }
        cursors.retain(|(_, cursor)| *cursor != 0);
    }
    Ok(first.into_iter().collect())
}

/// All conflicts, by path.
pub async fn conflicts(link: &Link) -> Result<Vec<Conflict>, StoreError> {
    let answers = each_shard(link, |pipe, shard| {
        pipe.cmd("HVALS").arg(keys::conflicts(shard));
    })
    .await?;
    let mut conflicts: Vec<Conflict> = Vec::new();
    for (shard, value) in answers {
        let key = keys::conflicts(shard);
        for conflict in value::read::<Vec<Vec<u8>>>(value, &key)? {
            conflicts.push(value::json(&conflict, &key)?);
        }
    }
    conflicts.sort_by(|a, b| (&a.path, &a.kept).cmp(&(&b.path, &b.kept)));
    Ok(conflicts)
}

/// The sums.
pub async fn counts(link: &Link) -> Result<Counts, StoreError> {
    let pending = count(link, keys::pending).await?;
    let mut counts = Counts { pending, ..Counts::default() };
    counts.unable = count(link, keys::unable).await?;
    let mut pipe = Pipeline::new();
    for shard in Shard::all() {
        pipe.cmd("HGETALL").arg(keys::counts(shard));
        pipe.cmd("HLEN").arg(keys::conflicts(shard));
    }
    let mut values = link.run(&pipe).await?.into_iter();
    let (mut entries, mut held) = (0i64, BTreeMap::<ServiceId, i64>::new());
    let mut bytes = BTreeMap::<ServiceId, i64>::new();
    for shard in Shard::all() {
        let key = keys::counts(shard);
        let sums: BTreeMap<String, i64> = value::read(value::next(&mut values)?, &key)?;
        for (field, sum) in sums {
            if let Some(service) = field.strip_prefix(keys::HELD) {
                *held.entry(ServiceId(value::number(service, &key)?)).or_default() += sum;
            } else if let Some(service) = field.strip_prefix(keys::BYTES) {
                *bytes.entry(ServiceId(value::number(service, &key)?)).or_default() += sum;
            } else if field == keys::ENTRIES {
                entries += sum;
            }
        }
        counts.conflicts += value::read::<u64>(value::next(&mut values)?, &keys::conflicts(shard))?;
    }
    counts.entries = u64::try_from(entries).unwrap_or(0);
    let held = held.into_iter().map(|(id, held)| (id, u64::try_from(held).unwrap_or(0)));
    counts.held = held.filter(|(_, held)| *held > 0).collect();
    let bytes = bytes.into_iter().map(|(id, bytes)| (id, u64::try_from(bytes).unwrap_or(0)));
    counts.bytes = bytes.filter(|(_, bytes)| *bytes > 0).collect();
    Ok(counts)
}

/// Removes what any service can't keep.
pub async fn forget_unable(link: &Link) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    for service in service_ids(link).await? {
        for shard in Shard::all() {
            pipe.cmd("UNLINK").arg(keys::unable(shard, service));
        }
    }
    link.run(&pipe).await.map(|_| ())
}

/// Removes the pending work and problems of `service`.
pub async fn forget_pending(link: &Link, service: ServiceId) -> Result<(), StoreError> {
    let forgotten = each_shard(link, |pipe, shard| {
        let keys = [keys::pending, keys::unable, keys::problems].map(|key| key(shard, service));
        pipe.cmd("UNLINK").arg(&keys);
    })
    .await;
    forgotten.map(|_| ())
}

/// How many paths each service has in the hashes of these keys.
async fn count(
    link: &Link,
    key: impl Fn(Shard, ServiceId) -> String,
) -> Result<BTreeMap<ServiceId, u64>, StoreError> {
    let services = service_ids(link).await?;
    let mut pipe = Pipeline::new();
    for service in &services {
        for shard in Shard::all() {
            pipe.cmd("HLEN").arg(key(shard, *service));
        }
    }
    let mut values = link.run(&pipe).await?.into_iter();
    let mut counted = BTreeMap::new();
    for service in services {
        let mut sum = 0;
        for shard in Shard::all() {
            sum += value::read::<u64>(value::next(&mut values)?, &key(shard, service))?;
        }
        if sum > 0 {
            counted.insert(service, sum);
        }
    }
    Ok(counted)
}

async fn service_ids(link: &Link) -> Result<Vec<ServiceId>, StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("HVALS").arg(keys::SERVICE_IDS);
    let [value] = value::exactly(link.run(&pipe).await?)?;
    let ids: Vec<u16> = value::read(value, keys::SERVICE_IDS)?;
    Ok(ids.into_iter().map(ServiceId).collect())
}

/// One answer a shard to the command that `ask` adds.
async fn each_shard(
    link: &Link,
    ask: impl Fn(&mut Pipeline, Shard),
) -> Result<impl Iterator<Item = (Shard, redis::Value)>, StoreError> {
    let mut pipe = Pipeline::new();
    Shard::all().for_each(|shard| ask(&mut pipe, shard));
    Ok(Shard::all().zip(link.run(&pipe).await?))
}
