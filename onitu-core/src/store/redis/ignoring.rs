//! What is ignored, as it was published, and what ignore files say on each service.

use std::collections::BTreeMap;

use redis::Pipeline;
use serde::Serialize;

use super::link::Link;
use super::{keys, value};
use crate::ignore::{IgnoreSet, IgnoreText};
use crate::store::StoreError;
use crate::{Path, ServiceId};

/// What is published, unless that is version `known`.
pub async fn published(link: &Link, known: u64) -> Result<Option<IgnoreSet>, StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("HGET").arg(keys::IGNORING).arg("version");
    let [version] = value::exactly(link.run(&pipe).await?)?;
    let version: Option<u64> = value::read(version, keys::IGNORING)?;
    if version.is_none_or(|version| version == known) {
        return Ok(None);
    }
    let mut pipe = Pipeline::new();
    pipe.cmd("HGET").arg(keys::IGNORING).arg("set");
    let [set] = value::exactly(link.run(&pipe).await?)?;
    let set: Option<Vec<u8>> = value::read(set, keys::IGNORING)?;
    set.map(|json| value::json(&json, keys::IGNORING)).transpose()
}

/// Publishes `set`; version and set change together.
pub async fn publish(link: &Link, set: &IgnoreSet) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("HSET").arg(keys::IGNORING);
    pipe.arg("version").arg(set.version).arg("set").arg(json(set, keys::IGNORING)?);
    link.run(&pipe).await.map(|_| ())
}

/// What was noted.
pub async fn texts(link: &Link) -> Result<BTreeMap<(ServiceId, Path), IgnoreText>, StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("HGETALL").arg(keys::IGNORE_TEXTS);
    let [all] = value::exactly(link.run(&pipe).await?)?;
    let all: Vec<(Vec<u8>, Vec<u8>)> = value::read(all, keys::IGNORE_TEXTS)?;
    let damaged = || value::damaged(keys::IGNORE_TEXTS, "a field is no service and path");
    let read = |(field, text): (Vec<u8>, Vec<u8>)| {
        let field = String::from_utf8(field).map_err(|_| damaged())?;
        let (service, path) = field.split_once(':').ok_or_else(damaged)?;
        let service = ServiceId(value::number(service, keys::IGNORE_TEXTS)?);
        let path = Path::new(path).map_err(|_| damaged())?;
        Ok(((service, path), value::json(&text, keys::IGNORE_TEXTS)?))
    };
    all.into_iter().map(read).collect()
}

/// Notes what an ignore file says.
pub async fn note_text(
    link: &Link,
    service: ServiceId,
    path: &Path,
    text: &IgnoreText,
) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    let field = format!("{service}:{path}");
    let said = json(text, keys::IGNORE_TEXTS)?;
    pipe.cmd("HSET").arg(keys::IGNORE_TEXTS).arg(field).arg(said);
    link.run(&pipe).await.map(|_| ())
}

fn json<T: Serialize>(value: &T, key: &str) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| value::damaged(key, error))
}
